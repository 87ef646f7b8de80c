/* keeper.c - see keeper.h. Invariant: nothing is deleted before the head that makes it needless is
 * surely in force. */
#include "common/defs.h"
#include "control/keeper.h"

#include "common/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DELETE_KEYS = 256 };      /* of one transaction: others wait for it */

struct keeper {
	struct keeper_conf conf;
	pthread_t thread;
	pthread_mutex_t mutex;       /* guards what follows */
	pthread_cond_t moved;
	bool busy, ending;
	struct keeper_job job;
	atomic_bool cancel;
	int64_t compact_to;          /* its own thread's: what the last checkpoint left behind */
};

static struct checkpoint_place place_of(const struct keeper *keeper, int64_t epoch)
{
	return (struct checkpoint_place){
		.store = keeper->conf.store, .state_key = keeper->conf.state_key,
		.prefix = keeper->conf.checkpoint_prefix,
		.leader_key = keeper->conf.leader_key, .epoch = epoch,
	};
}

/* --- writing --- */

static int write_pages(struct keeper *keeper, struct keeper_job *job,
                       struct checkpoint_writer *writer, struct err *err)
{
	const uint8_t *packed = NULL;
	size_t len = 0;
	for (;;) {
		TRY(image_next(job->image, &keeper->cancel, &packed, &len, err));
		if (len == 0)
			return 0;
		TRY(checkpoint_add(writer, packed, len, err));
	}
}

static int write_all(struct keeper *keeper, struct keeper_job *job,
                     struct checkpoint_writer *writer, struct err *err)
{
	TRY(write_pages(keeper, job, writer, err));
	image_free(MOVE(job->image));
	if (atomic_load(&keeper->cancel))
		return err_set(err, E_CANCELLED, "the checkpoint is no longer wanted");
	return checkpoint_end(writer, &job->covers, clock_unix_ms(keeper->conf.clock), err);
}

/* --- deleting --- */

static int delete_range(const struct checkpoint_place *place, const char *first, const char *end,
                        int64_t *ret_revision, struct err *err)
{
	AUTO(store_txn) *txn = NULL;
	TRY(store_txn_new(&txn, err));
	TRY(store_txn_delete_range(txn, first, end, err));
	return checkpoint_commit(place, txn, ret_revision, err);
}

static int delete_span(struct keeper *keeper, const struct checkpoint_place *place,
                       const struct span *span, int64_t *ret_revision, struct err *err)
{
	char first[JOURNAL_KEY_MAX], end[JOURNAL_KEY_MAX];
	for (uint64_t seq = span->first; seq <= span->last; seq += DELETE_KEYS) {
		uint64_t after = seq + DELETE_KEYS;
		if (after > span->last)
			after = span->last + 1;
		position_key(keeper->conf.prefix, &(struct position){ span->epoch, seq }, first);
		position_key(keeper->conf.prefix, &(struct position){ span->epoch, after }, end);
		if (atomic_load(&keeper->cancel))
			return err_set(err, E_CANCELLED, "the deletion is no longer wanted");
		TRY(delete_range(place, first, end, ret_revision, err));
	}
	return 0;
}

/* What an earlier deletion left when it was broken off. */
static int delete_before(struct keeper *keeper, const struct checkpoint_place *place,
                         const struct spans *spans, const struct position *covers,
                         int64_t *ret_revision, struct err *err)
{
	char first[JOURNAL_KEY_MAX], end[JOURNAL_KEY_MAX];
	struct position upto = *covers;
	snprintf(first, sizeof first, "%s0", keeper->conf.prefix);
	if (spans->count)
		upto = (struct position){ spans->at[0].epoch, spans->at[0].first };
	position_key(keeper->conf.prefix, &upto, end);
	return delete_range(place, first, end, ret_revision, err);
}

static int delete_covered(struct keeper *keeper, const struct keeper_job *job,
                          const struct checkpoint_place *place, int64_t *ret_revision,
                          struct err *err)
{
	TRY(delete_before(keeper, place, &job->spans, &job->covers, ret_revision, err));
	for (size_t i = 0; i < job->spans.count; i++)
		TRY(delete_span(keeper, place, &job->spans.at[i], ret_revision, err));
	return 0;
}

/* Up to the deletions of the checkpoint before: writes of a few seconds ago may still have to look
 * at history, and followers do better without a new listing. */
static int compact(struct keeper *keeper, int64_t revision, struct err *err)
{
	int64_t upto = keeper->compact_to;
	keeper->compact_to = revision;
	return upto > 0 ? store_compact(keeper->conf.store, upto, err) : 0;
}

static int tidy(struct keeper *keeper, const struct keeper_job *job,
                struct checkpoint_writer *writer, struct err *err)
{
	struct checkpoint_place place = place_of(keeper, job->epoch);
	int64_t revision = 0;
	TRY(delete_covered(keeper, job, &place, &revision, err));
	TRY(checkpoint_clean(writer, err));
	return compact(keeper, revision, err);
}

/* --- the thread --- */

static int work(struct keeper *keeper, struct keeper_job *job, struct keeper_done *done)
{
	struct checkpoint_place place = place_of(keeper, job->epoch);
	AUTO(checkpoint_writer) *writer = NULL;
	struct err why = { 0 };
	TRY(checkpoint_begin(&place, job->attempt, &writer, &done->err));
	TRY(write_all(keeper, job, writer, &done->err));
	checkpoint_stats(writer, &done->stats);
	int rc = tidy(keeper, job, writer, &why);
	done->deleted = rc == 0;     /* the next checkpoint deletes what is left */
	if (rc < 0)
		done->err = why;
	if (store_size(keeper->conf.store, &done->store_bytes, &why) < 0)
		done->store_bytes = 0;
	return 0;
}

static void run_job(struct keeper *keeper, struct keeper_job *job)
{
	int64_t start_us = clock_mono_us(keeper->conf.clock);
	struct keeper_done done = { .covers = job->covers };
	done.rc = work(keeper, job, &done);
	done.us = clock_mono_us(keeper->conf.clock) - start_us;
	image_free(MOVE(job->image));
	spans_release(&job->spans);
	keeper->conf.done(keeper->conf.context, &done);
}

static void *run(void *context)
{
	struct keeper *keeper = context;
	pthread_mutex_lock(&keeper->mutex);
	for (;;) {
		while (!keeper->busy && !keeper->ending)
			pthread_cond_wait(&keeper->moved, &keeper->mutex);
		if (!keeper->busy)
			break;
		struct keeper_job job = keeper->job;
		pthread_mutex_unlock(&keeper->mutex);
		run_job(keeper, &job);
		pthread_mutex_lock(&keeper->mutex);
		keeper->busy = false;
		pthread_cond_broadcast(&keeper->moved);
	}
	pthread_mutex_unlock(&keeper->mutex);
	return NULL;
}

int keeper_new(const struct keeper_conf *conf, struct keeper **ret_keeper, struct err *err)
{
	struct keeper *keeper = calloc(1, sizeof *keeper);
	if (!keeper)
		return err_set(err, E_NOMEM, "no memory to write checkpoints");
	keeper->conf = *conf;
	pthread_mutex_init(&keeper->mutex, NULL);
	pthread_cond_init(&keeper->moved, NULL);
	if (pthread_create(&keeper->thread, NULL, run, keeper) != 0) {
		pthread_cond_destroy(&keeper->moved);
		pthread_mutex_destroy(&keeper->mutex);
		free(keeper);
		return err_set(err, E_NOMEM, "no thread to write checkpoints");
	}
	*ret_keeper = keeper;
	return 0;
}

void keeper_start(struct keeper *keeper, struct keeper_job *job)
{
	pthread_mutex_lock(&keeper->mutex);
	while (keeper->busy)         /* done was called; it is on its way out */
		pthread_cond_wait(&keeper->moved, &keeper->mutex);
	keeper->job = *job;
	keeper->busy = true;
	atomic_store(&keeper->cancel, false);
	pthread_cond_broadcast(&keeper->moved);
	pthread_mutex_unlock(&keeper->mutex);
	*job = (struct keeper_job){ 0 };
}

void keeper_cancel(struct keeper *keeper)
{
	pthread_mutex_lock(&keeper->mutex);
	atomic_store(&keeper->cancel, true);
	while (keeper->busy)
		pthread_cond_wait(&keeper->moved, &keeper->mutex);
	pthread_mutex_unlock(&keeper->mutex);
}

void keeper_free(struct keeper *keeper)
{
	if (!keeper)
		return;
	keeper_cancel(keeper);
	pthread_mutex_lock(&keeper->mutex);
	keeper->ending = true;
	pthread_cond_broadcast(&keeper->moved);
	pthread_mutex_unlock(&keeper->mutex);
	pthread_join(keeper->thread, NULL);
	pthread_cond_destroy(&keeper->moved);
	pthread_mutex_destroy(&keeper->mutex);
	free(keeper);
}
