/* journal.c - the group commit: a queue of changes and one thread that commits them.
 * Invariants: the next batch's place follows the last durable one's, so a write whose outcome was
 * unknown and the next batch exclude each other. `ops` is called by one thread at a time: the
 * committer's while epoch is not 0, the caller of journal_lead while it is. The mutex is never held
 * across the store or ops. */
#include "common/defs.h"
#include "control/journal_impl.h"

#include "common/log.h"
#include "control/batch.h"
#include "control/change_impl.h"

#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX_DEFAULT = 4096, BATCH_BYTES_DEFAULT = 262144, SLOW_MS = 1000 };

static void *committer(void *context);

static int check_conf(const struct journal_conf *conf, struct err *err)
{
	size_t longest = strlen(conf->prefix) + 16 + 1 + 16;
	if (longest >= JOURNAL_KEY_MAX)
		return err_set(err, E_INVALID, "the journal's prefix has %zu bytes; at most %d fit",
		               strlen(conf->prefix), JOURNAL_KEY_MAX - 34);
	return 0;
}

static int fill(struct journal *journal, const struct journal_conf *conf, struct err *err)
{
	journal->conf = *conf;
	journal->leader_key = strdup(conf->leader_key);
	journal->prefix = strdup(conf->prefix);
	if (conf->checkpoint_prefix)
		journal->checkpoint_prefix = strdup(conf->checkpoint_prefix);
	if (!journal->leader_key || !journal->prefix ||
	    (conf->checkpoint_prefix && !journal->checkpoint_prefix))
		return err_set(err, E_NOMEM, "no memory for the journal");
	if (!conf->batch_bytes)
		journal->conf.batch_bytes = BATCH_BYTES_DEFAULT;
	if (!conf->queue_max)
		journal->conf.queue_max = QUEUE_MAX_DEFAULT;
	TRY(journal_keep_start(journal, err));
	if (pthread_create(&journal->thread, NULL, committer, journal) != 0)
		return err_set(err, E_NOMEM, "no thread for the journal");
	journal->started = true;
	return 0;
}

int journal_new(const struct journal_conf *conf, struct journal **ret_journal, struct err *err)
{
	TRY(check_conf(conf, err));
	struct journal *journal = calloc(1, sizeof *journal);
	if (!journal)
		return err_set(err, E_NOMEM, "no memory for the journal");
	journal->last = &journal->first;
	journal->due_mono_ms = INT64_MAX;
	pthread_mutex_init(&journal->mutex, NULL);
	clock_cond_init(&journal->work);
	pthread_cond_init(&journal->idle, NULL);
	int rc = fill(journal, conf, err);
	if (rc < 0)
		journal_free(journal);
	else
		*ret_journal = journal;
	return rc;
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	pthread_mutex_lock(&journal->mutex);
	journal->ending = true;
	pthread_cond_signal(&journal->work);
	pthread_mutex_unlock(&journal->mutex);
	if (journal->started)
		pthread_join(journal->thread, NULL);
	keeper_free(journal->keeper);
	spans_release(&journal->spans);
	pthread_cond_destroy(&journal->idle);
	pthread_cond_destroy(&journal->work);
	pthread_mutex_destroy(&journal->mutex);
	free(journal->leader_key);
	free(journal->prefix);
	free(journal->checkpoint_prefix);
	free(journal);
}

int journal_not_leader(struct err *err)
{
	return err_set(err, E_NOT_LEADER, "this replica does not lead; ask again, the request goes "
	               "to the one that does");
}

static void pending_end(struct pending *pending, int rc, const struct err *err)
{
	pending->rc = rc;
	if (rc < 0)
		pending->err = *err;
	pending->done = true;
	pthread_cond_signal(&pending->done_cond);
}

static void refuse_waiting(struct journal *journal, int rc, const struct err *why)
{
	for (struct pending *at = journal->first, *next = NULL; at; at = next) {
		next = at->next;
		pending_end(at, rc, why);
	}
	journal->first = NULL;
	journal->last = &journal->first;
	journal->waiting = 0;
}

void journal_refuse_waiting(struct journal *journal)
{
	struct err err;
	int rc = journal_not_leader(&err);
	refuse_waiting(journal, rc, &err);
}

int64_t journal_epoch(struct journal *journal)
{
	pthread_mutex_lock(&journal->mutex);
	int64_t epoch = journal->epoch;
	pthread_mutex_unlock(&journal->mutex);
	return epoch;
}

void journal_stats(struct journal *journal, struct journal_stats *ret_stats)
{
	pthread_mutex_lock(&journal->mutex);
	*ret_stats = journal->stats;
	pthread_mutex_unlock(&journal->mutex);
}

/* --- committing --- */

/* mutex held */
static int enqueue(struct journal *journal, struct pending *pending, struct err *err)
{
	if (!journal->epoch || journal->ending)
		return journal_not_leader(err);
	if (journal->waiting >= journal->conf.queue_max)
		return err_set(err, E_BUSY, "%zu changes wait for the store, which is the most "
		               "that may; try again in a second", journal->waiting);
	*journal->last = pending;
	journal->last = &pending->next;
	journal->waiting++;
	pthread_cond_signal(&journal->work);
	return 0;
}

int journal_commit(struct journal *journal, struct change *change, struct err *err)
{
	TRY(change_seal(change, journal->conf.state_key, err));
	struct pending pending = { .change = change };
	pthread_cond_init(&pending.done_cond, NULL);
	pthread_mutex_lock(&journal->mutex);
	int rc = enqueue(journal, &pending, err);
	if (rc == 0) {
		while (!pending.done)
			pthread_cond_wait(&pending.done_cond, &journal->mutex);
		rc = pending.rc;
		if (rc < 0 && err)
			*err = pending.err;
	}
	pthread_mutex_unlock(&journal->mutex);
	pthread_cond_destroy(&pending.done_cond);
	return rc;
}

static void apply(const struct journal *journal, const struct change *change, int64_t revision)
{
	const struct journal_ops *ops = &journal->conf.ops;
	/* Resources first: who sees by a record that a task has published or has left for the
	 * history also sees the snapshot. */
	for (size_t i = 0; ops->resource && i < change->op_count; i++)
		if (change->ops[i].kind != CHANGE_EXPECT)
			ops->resource(ops->context, change->ops[i].key, change->ops[i].value,
			              revision);
	for (size_t i = 0; i < value_len(change->records); i++)
		ops->record(ops->context, value_at(change->records, i));
}

static void committed(struct journal *journal, struct change *const *changes, size_t count,
                      const struct position *position, size_t bytes)
{
	struct err err = { 0 };
	pthread_mutex_lock(&journal->mutex);
	journal->at = *position;
	/* Without memory the key stays until the next epoch's first checkpoint. */
	if (spans_add(&journal->spans, position, &err) < 0)
		log_error(NULL, "journal_key_not_counted", "reason=\"%s\"", err.text);
	journal_keep_count(journal, bytes);
	journal->stats.commits++;
	journal->stats.changes += count;
	journal->stats.bytes += bytes;
	for (size_t i = 0; i < count; i++)
		journal->stats.records += value_len(changes[i]->records);
	pthread_mutex_unlock(&journal->mutex);
}

static struct batch_place next_place(struct journal *journal, struct position *ret_position,
                                     char key[JOURNAL_KEY_MAX])
{
	struct position next = { 0 };
	pthread_mutex_lock(&journal->mutex);
	next.epoch = journal->epoch;
	if (journal->at.epoch == next.epoch)
		next.seq = journal->at.seq + 1;
	*ret_position = next;
	struct batch_place place = {
		.store = journal->conf.store, .state_key = journal->conf.state_key,
		.leader_key = journal->leader_key, .epoch = next.epoch, .after = journal->at,
		.key = position_key(journal->prefix, &next, key), .clock = journal->conf.clock,
	};
	pthread_mutex_unlock(&journal->mutex);
	return place;
}

static int commit_some(struct journal *journal, struct change *const *changes, size_t count,
                       struct err *err)
{
	char key[JOURNAL_KEY_MAX];
	struct position position;
	struct batch_place place = next_place(journal, &position, key);
	if (!place.epoch)
		return journal_not_leader(err);
	int64_t revision = 0, start_us = clock_mono_us(journal->conf.clock);
	size_t bytes = 0;
	TRY(batch_commit(&place, changes, count, &revision, &bytes, err));
	int64_t us = clock_mono_us(journal->conf.clock) - start_us;
	committed(journal, changes, count, &position, bytes);
	for (size_t i = 0; i < count; i++)
		apply(journal, changes[i], revision);
	pthread_mutex_lock(&journal->mutex);
	journal->stats.last_commit_us = us;
	pthread_mutex_unlock(&journal->mutex);
	return 0;
}

/* Memory may differ from the store, or another leads: nothing more is written until led anew. */
static void stop_leading(struct journal *journal)
{
	pthread_mutex_lock(&journal->mutex);
	journal->epoch = 0;
	journal_refuse_waiting(journal);
	pthread_mutex_unlock(&journal->mutex);
	if (journal->conf.ops.lost)
		journal->conf.ops.lost(journal->conf.ops.context);
}

struct outcome_of {
	int rc;
	struct err err;
};

static void commit_batch(struct journal *journal, struct change *const *changes, size_t count,
                         struct outcome_of *outcomes)
{
	struct err err;
	int rc = commit_some(journal, changes, count, &err);
	if (rc == E_NOT_LEADER || rc == E_UNKNOWN_OUTCOME)
		stop_leading(journal);
	for (size_t i = 0; i < count; i++) {
		outcomes[i].rc = rc;
		if (rc == 0)
			continue;
		outcomes[i].err = err;
		/* One change's failure is its own: each gets a transaction for itself. */
		if (count > 1 && (rc == E_PRECONDITION || rc == E_TOO_LARGE || rc == E_INVALID))
			commit_batch(journal, changes + i, 1, outcomes + i);
	}
}

/* mutex held: what fits into one transaction with those before it, in order. */
static size_t take(struct journal *journal, struct pending *taken[BATCH_CHANGES_MAX])
{
	size_t count = 0, bytes = 0, ops = 3;
	while (journal->first && count < BATCH_CHANGES_MAX) {
		struct pending *next = journal->first;
		bytes += change_bytes(next->change);
		ops += change_store_ops(next->change);
		bool fits = bytes <= journal->conf.batch_bytes && ops <= STORE_OPS_MAX;
		for (size_t i = 0; fits && i < count; i++)
			fits = !change_overlaps(taken[i]->change, next->change);
		if (count > 0 && !fits)
			break;
		taken[count++] = next;
		journal->first = next->next;
		journal->waiting--;
	}
	if (!journal->first)
		journal->last = &journal->first;
	return count;
}

/* mutex held on entry and return */
static void commit_waiting(struct journal *journal)
{
	struct pending *taken[BATCH_CHANGES_MAX];
	struct change *changes[BATCH_CHANGES_MAX];
	struct outcome_of outcomes[BATCH_CHANGES_MAX];
	size_t count = take(journal, taken);
	for (size_t i = 0; i < count; i++)
		changes[i] = taken[i]->change;
	journal->busy = true;
	int64_t begin_ms = clock_mono_ms(journal->conf.clock);
	pthread_mutex_unlock(&journal->mutex);
	commit_batch(journal, changes, count, outcomes);
	pthread_mutex_lock(&journal->mutex);
	/* They have waited as long, and would wait as long again for the same answer. */
	if (outcomes[0].rc == E_UNAVAILABLE &&
	    clock_mono_ms(journal->conf.clock) - begin_ms >= SLOW_MS)
		refuse_waiting(journal, E_UNAVAILABLE, &outcomes[0].err);
	journal->busy = false;
	pthread_cond_broadcast(&journal->idle);
	for (size_t i = 0; i < count; i++)
		pending_end(taken[i], outcomes[i].rc, &outcomes[i].err);
}

/* mutex held. While a batch is under way others queue, so load makes its own company; the window
 * is for what comes alone. */
static void wait_company(struct journal *journal)
{
	int64_t until = clock_mono_ms(journal->conf.clock) + journal->conf.window_ms;
	size_t before = journal->waiting;
	while (!journal->ending && journal->first && journal->waiting <= before &&
	       clock_wait(journal->conf.clock, &journal->work, &journal->mutex, until))
		;
}

static void *committer(void *context)
{
	struct journal *journal = context;
	pthread_mutex_lock(&journal->mutex);
	while (!journal->ending) {
		journal_keep(journal);
		if (!journal->first) {
			clock_wait(journal->conf.clock, &journal->work, &journal->mutex,
			           journal_keep_due(journal));
			continue;
		}
		if (journal->conf.window_ms > 0)
			wait_company(journal);
		if (journal->first)
			commit_waiting(journal);
	}
	journal_refuse_waiting(journal);
	pthread_mutex_unlock(&journal->mutex);
	return NULL;
}
