/* follow.c - see follow.h. All but follow_revision, follow_wait and follow_stop happens in the
 * store's watch thread. Invariant: whole means that the state is what the journal says up to
 * replay.at. */
#include "common/defs.h"
#include "control/follow.h"

#include "common/log.h"
#include "control/replay.h"

#include <pthread.h>
#include <stdlib.h>

enum {
	RELIST_MS = 300000, RETRY_FIRST_MS = 100, RETRY_MOST_MS = 5000,
	BATCH_ARENA_MAX = 512 * 1024 * 1024
};

struct follow {
	struct follow_conf conf;
	struct arena *arena;
	struct replay replay;        /* the watch thread's */
	bool whole;                  /* the watch thread's, then follow_stop's caller's */
	struct store_watch *watch;
	pthread_mutex_t mutex;       /* guards what follows */
	pthread_cond_t moved;
	int64_t revision;            /* 0: not whole */
	bool stopping;
};

static void set_revision(struct follow *follow, int64_t revision)
{
	pthread_mutex_lock(&follow->mutex);
	if (revision == 0 || revision > follow->revision)
		follow->revision = revision;
	pthread_cond_broadcast(&follow->moved);
	pthread_mutex_unlock(&follow->mutex);
}

static void on_record(void *context, const struct value *record)
{
	struct follow *follow = context;
	follow->conf.ops.record(follow->conf.ops.context, record);
}

/* --- building --- */

static int build(struct follow *follow, struct err *err)
{
	const struct follow_conf *conf = &follow->conf;
	spans_release(&follow->replay.spans);
	follow->replay = (struct replay){
		.store = conf->store, .state_key = conf->state_key, .prefix = conf->prefix,
		.checkpoint_prefix = conf->checkpoint_prefix, .record = on_record,
		.context = follow, .arena = follow->arena,
	};
	conf->ops.clear(conf->ops.context);
	return replay_whole(&follow->replay, err);
}

/* False: it is to end. */
static bool pause_for(struct follow *follow, int64_t ms)
{
	struct clock *clock = follow->conf.clock;
	int64_t until_ms = clock_mono_ms(clock) + ms;
	pthread_mutex_lock(&follow->mutex);
	while (!follow->stopping &&
	       clock_wait(clock, &follow->moved, &follow->mutex, until_ms))
		;
	bool goes_on = !follow->stopping;
	pthread_mutex_unlock(&follow->mutex);
	return goes_on;
}

/* A checkpoint that is written meanwhile makes it begin again; so does a store out of reach. */
static void rebuild(struct follow *follow)
{
	struct err err = { 0 };
	int64_t wait_ms = RETRY_FIRST_MS;
	follow->whole = false;
	set_revision(follow, 0);
	while (build(follow, &err) < 0) {
		log_warn(NULL, "follow_not_built", "code=%s reason=\"%s\"", err_name(err.code),
		         err.text);
		if (!pause_for(follow, wait_ms))
			return;
		wait_ms = wait_ms * 2 < RETRY_MOST_MS ? wait_ms * 2 : RETRY_MOST_MS;
	}
	follow->whole = true;
	if (follow->conf.ops.whole)
		follow->conf.ops.whole(follow->conf.ops.context);
	set_revision(follow, follow->replay.revision);
}

/* --- what the watch tells --- */

static void take_batch(struct follow *follow, const struct store_item *item)
{
	struct err err = { 0 };
	if (replay_batch(&follow->replay, item, &err) >= 0)
		return;
	log_info(NULL, "follow_begins_again", "code=%s reason=\"%s\"", err_name(err.code),
	         err.text);
	rebuild(follow);
}

/* A listing shows what is there, not what came and was deleted since the last event. False: that
 * cannot be found out now. */
static bool check_covered(struct follow *follow)
{
	struct err err = { 0 };
	bool covered = false;
	if (replay_covered(&follow->replay, &covered, &err) < 0)
		return false;
	if (covered)
		rebuild(follow);
	return true;
}

/* A checkpoint deletes what it covers. True: this state never had it. */
static bool is_missed(const struct follow *follow, const char *key)
{
	struct position position;
	return position_read(follow->conf.prefix, key, &position, NULL) < 0 ||
		position_compare(&position, &follow->replay.at) > 0;
}

static void on_sync(void *context, const struct store_item *item, int64_t revision)
{
	struct follow *follow = context;
	if (item) {
		if (follow->whole)
			take_batch(follow, item);
		return;
	}
	if (!follow->whole)
		rebuild(follow);
	else if (!check_covered(follow))
		return;
	if (follow->whole)
		set_revision(follow, revision);
}

static void on_event(void *context, const struct store_event *event)
{
	struct follow *follow = context;
	if (!follow->whole)
		return;
	if (!event->deleted)
		take_batch(follow, &event->item);
	else if (is_missed(follow, event->item.key))
		rebuild(follow);
	if (follow->whole && event->last_of_txn)
		set_revision(follow, event->revision);
}

/* --- life --- */

int follow_new(const struct follow_conf *conf, struct follow **ret_follow, struct err *err)
{
	AUTO(follow) *follow = calloc(1, sizeof *follow);
	if (!follow)
		return err_set(err, E_NOMEM, "no memory to follow a journal");
	follow->conf = *conf;
	if (!conf->relist_ms)
		follow->conf.relist_ms = RELIST_MS;
	pthread_mutex_init(&follow->mutex, NULL);
	clock_cond_init(&follow->moved);
	TRY(arena_new(BATCH_ARENA_MAX, &follow->arena, err));
	const struct store_watch_ops ops = {
		.event = on_event, .sync = on_sync, .context = follow,
	};
	TRY(store_watch_new(conf->store, conf->prefix, &ops, follow->conf.relist_ms,
	                    &follow->watch, err));
	*ret_follow = MOVE(follow);
	return 0;
}

bool follow_stop(struct follow *follow, struct position *ret_position)
{
	pthread_mutex_lock(&follow->mutex);
	follow->stopping = true;
	pthread_cond_broadcast(&follow->moved);
	pthread_mutex_unlock(&follow->mutex);
	store_watch_free(MOVE(follow->watch));
	*ret_position = follow->replay.at;
	return follow->whole;
}

void follow_free(struct follow *follow)
{
	struct position ignored;
	if (!follow)
		return;
	follow_stop(follow, &ignored);
	spans_release(&follow->replay.spans);
	arena_free(follow->arena);
	pthread_cond_destroy(&follow->moved);
	pthread_mutex_destroy(&follow->mutex);
	free(follow);
}

int64_t follow_revision(struct follow *follow)
{
	pthread_mutex_lock(&follow->mutex);
	int64_t revision = follow->revision;
	pthread_mutex_unlock(&follow->mutex);
	return revision;
}

bool follow_wait(struct follow *follow, int64_t revision, int64_t deadline_mono_ms)
{
	pthread_mutex_lock(&follow->mutex);
	while (follow->revision < revision && !follow->stopping &&
	       clock_wait(follow->conf.clock, &follow->moved, &follow->mutex, deadline_mono_ms))
		;
	bool there = follow->revision >= revision;
	pthread_mutex_unlock(&follow->mutex);
	return there;
}
