/* journal_lead.c - taking and giving up the lead of a journal: what is stored is read, and the next
 * batch follows it. */
#include "common/defs.h"
#include "control/journal_impl.h"

#include "control/replay.h"

enum { REPLAY_ARENA_MAX = 512 * 1024 * 1024 };

/* What was under way ends, the writing of a checkpoint too: it is not read while it changes. */
static void give_up(struct journal *journal)
{
	pthread_mutex_lock(&journal->mutex);
	journal->epoch = 0;
	journal_refuse_waiting(journal);
	while (journal->busy)
		pthread_cond_wait(&journal->idle, &journal->mutex);
	pthread_mutex_unlock(&journal->mutex);
	if (journal->keeper)
		keeper_cancel(journal->keeper);
}

static struct replay replay_of(const struct journal *journal, struct arena *arena)
{
	return (struct replay){
		.store = journal->conf.store, .state_key = journal->conf.state_key,
		.prefix = journal->prefix, .checkpoint_prefix = journal->checkpoint_prefix,
		.record = journal->conf.ops.record, .context = journal->conf.ops.context,
		.arena = arena,
	};
}

/* Takes replay's spans. */
static void take_up(struct journal *journal, int64_t epoch, struct replay *replay)
{
	pthread_mutex_lock(&journal->mutex);
	journal->epoch = epoch;
	journal->at = replay->at;
	journal->retry_mono_ms = 0;
	journal_keep_led(journal, replay);
	pthread_cond_signal(&journal->work);
	pthread_mutex_unlock(&journal->mutex);
}

/* The keys between the checkpoint and where the state stands, which somebody else has read. */
static int count_read(struct replay *replay, struct err *err)
{
	const struct position *covers = &replay->head.covers, *at = &replay->at;
	struct position first = { at->epoch, covers->epoch == at->epoch ? covers->seq + 1 : 0 };
	if (position_compare(covers, at) == 0 || at->epoch == 0)
		return 0;
	TRY(spans_add(&replay->spans, &first, err));
	replay->bytes++;             /* how many is not known: a checkpoint by time */
	return spans_add(&replay->spans, at, err);
}

static int from_position(struct replay *replay, const struct position *position, struct err *err)
{
	struct checkpoint_place place = replay_place(replay);
	replay->at = *position;
	if (replay->checkpoint_prefix)
		TRY(checkpoint_head_get(&place, &replay->head, err));
	TRY(count_read(replay, err));
	return replay_rest(replay, err);
}

static int lead(struct journal *journal, int64_t epoch, const struct position *position,
                struct err *err)
{
	AUTO(arena) *arena = NULL;
	give_up(journal);
	if (epoch == 0)
		return 0;
	TRY(arena_new(REPLAY_ARENA_MAX, &arena, err));
	struct replay replay = replay_of(journal, arena);
	int rc = position ? from_position(&replay, position, err) : replay_whole(&replay, err);
	if (rc == 0)
		take_up(journal, epoch, &replay);
	else
		spans_release(&replay.spans);
	return rc;
}

int journal_lead(struct journal *journal, int64_t epoch, struct err *err)
{
	return lead(journal, epoch, NULL, err);
}

int journal_lead_from(struct journal *journal, int64_t epoch, const struct position *position,
                      struct err *err)
{
	return lead(journal, epoch, position, err);
}
