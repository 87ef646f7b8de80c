/* events.c - see events.h. One mutex guards the list and what the thread knows of each stream; it
 * is held across reads of the shard and the catalog, whose locks are therefore after it, and is
 * never taken by what notes on the board. Invariant: only the thread frees an attached feed. */
#include "common/defs.h"
#include "control/events.h"

#include "api/sse.h"
#include "common/json.h"
#include "common/netaddr.h"
#include "common/pack.h"
#include "control/identity.h"
#include "control/may.h"
#include "control/shard_run.h"
#include "control/watch.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MOST = 512, MOST_OF_TENANT = 128, ROUND_MS = 1000, CHECK_MS = 2000, SILENCE_MS = 15000,
	EVENT_MAX = 16 * 1024, TOLD_KEPT = 16, PROOF_MAX = 16 * 1024
};
#define ARENA_MAX (4 * MIB)

struct feed {
	struct feed *next, **at;
	struct events *events;
	struct part *part;
	struct watch *watch;
	struct outflow *outflow;     /* NULL: not attached yet */
	char tenant[NAME_MAX_LEN + 1], domain[NAME_MAX_LEN + 1], id[ID_LEN + 1];
	char address[NETADDR_TEXT];  /* its client's; empty: not known */
	struct buf proof;            /* packed; empty: nobody checks */
	bool is_run;
	int64_t epoch, version;      /* that its client knows; 0, -1: none */
	int64_t said_mono_ms, checked_mono_ms;
	uint64_t told[TOLD_KEPT];    /* what was said last, by hash of whom */
};

struct events {
	struct control *control;
	struct events_conf conf;
	struct board *board;
	pthread_t thread;
	bool started;
	_Atomic int count;
	pthread_mutex_t mutex;       /* guards all below and the feeds */
	struct feed *feeds;
	struct arena *arena;         /* of one event */
	bool stopping;
};

/* --- ids --- */

const char *event_id_print(int64_t epoch, int64_t version, char out[EVENT_ID_MAX])
{
	snprintf(out, EVENT_ID_MAX, "%" PRId64 "-%" PRId64, epoch, version);
	return out;
}

bool event_id_read(const char *text, int64_t *ret_epoch, int64_t *ret_version)
{
	char again[EVENT_ID_MAX];
	int64_t epoch = 0, version = 0;
	if (!text || strlen(text) >= EVENT_ID_MAX ||
	    sscanf(text, "%" SCNd64 "-%" SCNd64, &epoch, &version) != 2 || epoch < 0 ||
	    version < 0 || strcmp(event_id_print(epoch, version, again), text) != 0)
		return false;
	*ret_epoch = epoch;
	*ret_version = version;
	return true;
}

/* --- what is said; mutex held --- */

/* What of the task's value an event tells, by one name each. */
static struct value *event_of(struct arena *arena, const struct feed *feed,
                              const struct value *seen)
{
	static const char *const texts[] = { "state", "reason", "worker" };
	static const char *const parts[] = { "progress", "usage", "error", "counts" };
	struct value *event = value_map(arena);
	value_set_str(event, feed->is_run ? "run" : "task", feed->id);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		value_set_str(event, texts[i], value_get_str(seen, texts[i]));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (value_len(value_get(seen, parts[i])) > 0)
			value_set(event, parts[i], value_copy(arena, value_get(seen, parts[i])));
	if (!feed->is_run)
		value_set_int(event, "attempt", value_get_int(seen, "attempt", 0));
	return event;
}

static struct value *event_of_sighting(struct arena *arena, const struct sighting *sighting)
{
	struct value *event = value_map(arena), *progress = value_map(arena);
	value_set_str(event, "task", sighting->task);
	if (sighting->name[0])
		value_set_str(event, "name", sighting->name);
	value_set_str(event, "state", sighting->state);
	if (sighting->stepped)
		value_set_str(event, "reason", trail_reason(arena, &sighting->step));
	if (sighting->phase[0] || sighting->rows || sighting->bytes || sighting->percent >= 0) {
		value_set_str(progress, "phase", sighting->phase);
		value_set_int(progress, "rows", sighting->rows);
		value_set_int(progress, "bytes", sighting->bytes);
		if (sighting->percent >= 0)
			value_set_int(progress, "percent", sighting->percent);
		value_set(event, "progress", progress);
	}
	value_set_int(event, "attempt", sighting->attempt);
	return event;
}

static uint64_t mix(uint64_t hash, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Whether its client was told just that already, of this task or run. */
static bool is_known(struct feed *feed, const char *id, const struct buf *json)
{
	uint64_t *told = &feed->told[mix(0, id, strlen(id)) % TOLD_KEPT];
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), (const char *)json->data, json->len);
	bool known = *told == hash;
	*told = hash;
	return known;
}

/* id NULL: it cannot be resumed from. False: nobody listens any more, or memory is short, and the
 * stream is to end. */
static bool say(struct feed *feed, const char *id, const struct value *event, int64_t version)
{
	const char *run = value_get_str(event, "run"), *task = value_get_str(event, "task");
	AUTO_BUF json, out;
	buf_init(&json, EVENT_MAX);
	buf_init(&out, 2 * EVENT_MAX);
	if (value_check(event, NULL) < 0)
		return false;
	json_print(event, &json);
	if (buf_check(&json, NULL) < 0 || json.len == 0)
		return false;
	if (is_known(feed, run ? run : task ? task : "", &json))
		return true;             /* only its version moved */
	json.len--;
	buf_printf(&json, ",\"version\":%" PRId64 "}", version);
	if (buf_check(&json, NULL) < 0)
		return false;
	sse_print(id, run ? "run" : "task", (char *)json.data, &out);
	if (buf_check(&out, NULL) < 0)
		return false;
	feed->said_mono_ms = clock_mono_ms(feed->events->control->clock);
	return outflow_put(feed->outflow, out.data, out.len);
}

static const struct value *look(struct feed *feed)
{
	struct arena *arena = feed->events->arena;
	if (feed->is_run)
		return shard_run_brief(feed->part->shard, arena, feed->tenant, feed->domain,
		                       feed->id);
	return shard_task(feed->part->shard, arena, feed->tenant, feed->domain, feed->id);
}

/* What was noted since the last time, but for version now, which is told from the whole task. A
 * run's stream tells its tasks' changes without ids: resuming goes by the run's own version. */
static bool tell_noted(struct feed *feed, int64_t now)
{
	char id[EVENT_ID_MAX];
	struct sighting sighting;
	while (watch_next(feed->watch, &sighting)) {
		int64_t version = sighting.version;
		if (!feed->is_run && (version <= feed->version || version == now))
			continue;
		if (!say(feed, feed->is_run ? NULL : event_id_print(feed->epoch, version, id),
		         event_of_sighting(feed->events->arena, &sighting), version))
			return false;
		if (!feed->is_run)
			feed->version = version;
	}
	return true;
}

/* Each change since the last time, and where it stands now. False: the stream is to end. */
static bool tell(struct feed *feed)
{
	char id[EVENT_ID_MAX];
	struct arena *arena = feed->events->arena;
	int64_t epoch = journal_epoch(feed->part->journal);
	arena_reset(arena);
	if (!part_leads(feed->part))
		return true;             /* until the next round finds it so still */
	if (epoch != feed->epoch)
		feed->version = -1;
	feed->epoch = epoch;
	const struct value *seen = look(feed);
	int64_t now = value_get_int(seen, "version", 0);
	if (!tell_noted(feed, now) || !seen)
		return false;
	if (now > feed->version && !say(feed, event_id_print(epoch, now, id),
	                                event_of(arena, feed, seen), now))
		return false;
	feed->version = now > feed->version ? now : feed->version;
	return value_get(seen, "endedAt") == NULL;
}

/* --- whether it may go on; mutex held --- */

static bool permitted(struct feed *feed, int64_t now_mono_ms)
{
	struct control *control = feed->events->control;
	struct arena *arena = feed->events->arena;
	struct asker asker;
	struct value *proof = NULL;
	const struct target target = { .tenant = feed->tenant, .domain = feed->domain };
	if (!feed->proof.len || now_mono_ms - feed->checked_mono_ms < CHECK_MS)
		return true;
	feed->checked_mono_ms = now_mono_ms;
	arena_reset(arena);
	if (pack_read(arena, feed->proof.data, feed->proof.len, &proof, NULL) < 0 ||
	    identity_again(control, arena, proof, clock_unix_ms(control->clock), &asker, NULL) < 0)
		return false;
	asker.address = feed->address[0] ? feed->address : NULL;
	return may_asker(control, arena, &asker, ACTION_TASK_READ, &target, KIND_NONE, NULL)
		.allowed;
}

static bool keep_alive(struct feed *feed, int64_t now_mono_ms)
{
	static const char comment[] = ": still here\n\n";
	if (now_mono_ms - feed->said_mono_ms < SILENCE_MS)
		return true;
	feed->said_mono_ms = now_mono_ms;
	return outflow_put(feed->outflow, comment, sizeof comment - 1);
}

static void unlist(struct feed *feed)
{
	*feed->at = feed->next;
	if (feed->next)
		feed->next->at = feed->at;
	atomic_fetch_sub(&feed->events->count, 1);
}

static void end(struct feed *feed)
{
	unlist(feed);
	watch_free(feed->watch);
	if (feed->outflow)
		outflow_end(feed->outflow);
	buf_release(&feed->proof);
	free(feed);
}

/* Also tells what is new: a board that had no memory for a note is made good. */
static void go_round(struct events *events, int64_t now_mono_ms)
{
	for (struct feed *feed = events->feeds, *next; feed; feed = next) {
		next = feed->next;
		if (feed->outflow &&
		    !(part_leads(feed->part) && permitted(feed, now_mono_ms) && tell(feed) &&
		      keep_alive(feed, now_mono_ms)))
			end(feed);
	}
}

static struct feed *find(const struct events *events, const void *owner)
{
	struct feed *feed = events->feeds;
	while (feed && feed != owner)
		feed = feed->next;
	return feed;
}

static void *run(void *context)
{
	struct events *events = context;
	struct clock *clock = events->control->clock;
	int64_t next_ms = INT64_MAX;
	for (bool stopping = false; !stopping;) {
		const void *owner = board_take(events->board, next_ms);
		pthread_mutex_lock(&events->mutex);
		struct feed *feed = owner ? find(events, owner) : NULL;
		if (feed && feed->outflow && !tell(feed))
			end(feed);
		int64_t now_ms = clock_mono_ms(clock);
		if (now_ms >= next_ms)
			go_round(events, now_ms);
		if (now_ms >= next_ms || next_ms == INT64_MAX)
			next_ms = events->feeds ? now_ms + ROUND_MS : INT64_MAX;
		stopping = events->stopping;
		pthread_mutex_unlock(&events->mutex);
	}
	return NULL;
}

/* --- streams --- */

static int of_tenant(const struct events *events, const char *tenant)
{
	int count = 0;
	for (const struct feed *feed = events->feeds; feed; feed = feed->next)
		count += strcmp(feed->tenant, tenant) == 0;
	return count;
}

/* Mutex held. */
static int enlist(struct events *events, struct feed *feed, struct err *err)
{
	int of_all = atomic_load(&events->count), of_one = of_tenant(events, feed->tenant);
	if (events->stopping)
		return err_set(err, E_UNAVAILABLE, "this server is shutting down; ask again, it or "
		               "another replica will answer");
	if (of_one >= events->conf.most_of_tenant)
		return err_set(err, E_BUSY, "%d event streams of the tenant %s are open, which is "
		               "the most for one; close one, or read the task with waitMs instead",
		               of_one, feed->tenant);
	if (of_all >= events->conf.most)
		return err_set(err, E_BUSY, "all %d event streams of this server are taken; ask "
		               "again later, or read the task with waitMs instead", of_all);
	feed->at = &events->feeds;
	feed->next = events->feeds;
	if (feed->next)
		feed->next->at = &feed->next;
	events->feeds = feed;
	atomic_fetch_add(&events->count, 1);
	return 0;
}

int feed_new(struct events *events, const struct feed_conf *conf, struct feed **ret_feed,
             struct err *err)
{
	struct feed *feed = calloc(1, sizeof *feed);
	if (!feed)
		return err_set(err, E_NOMEM, "no memory for an event stream");
	feed->events = events;
	feed->part = conf->part;
	feed->is_run = conf->is_run;
	feed->version = -1;
	feed->said_mono_ms = feed->checked_mono_ms = clock_mono_ms(events->control->clock);
	snprintf(feed->tenant, sizeof feed->tenant, "%s", conf->tenant);
	snprintf(feed->domain, sizeof feed->domain, "%s", conf->domain);
	snprintf(feed->id, sizeof feed->id, "%s", conf->id);
	snprintf(feed->address, sizeof feed->address, "%s", conf->address ? conf->address : "");
	buf_init(&feed->proof, PROOF_MAX);
	(void)event_id_read(conf->last_id, &feed->epoch, &feed->version);
	int rc = conf->proof ? pack_write(conf->proof, &feed->proof, err) : 0;
	if (rc == 0)
		rc = buf_check(&feed->proof, err);
	if (rc == 0)
		rc = watch_new(events->board, feed->id, feed, &feed->watch, err);
	pthread_mutex_lock(&events->mutex);
	if (rc == 0)
		rc = enlist(events, feed, err);
	pthread_mutex_unlock(&events->mutex);
	if (rc < 0) {
		watch_free(feed->watch);
		buf_release(&feed->proof);
		free(feed);
		return rc;
	}
	*ret_feed = feed;
	return 0;
}

void feed_attach(struct feed *feed, struct outflow *outflow)
{
	struct events *events = feed->events;
	pthread_mutex_lock(&events->mutex);
	feed->outflow = outflow;
	watch_poke(feed->watch);
	if (events->stopping)
		end(feed);
	pthread_mutex_unlock(&events->mutex);
}

void feed_free(struct feed *feed)
{
	if (!feed)
		return;
	struct events *events = feed->events;
	pthread_mutex_lock(&events->mutex);
	REQUIRE(!feed->outflow);
	end(feed);
	pthread_mutex_unlock(&events->mutex);
}

/* --- life --- */

int events_new(struct control *control, const struct events_conf *conf,
               struct events **ret_events, struct err *err)
{
	struct events *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory for event streams");
	pthread_mutex_init(&made->mutex, NULL);
	AUTO(events) *events = made;
	events->control = control;
	events->conf = *conf;
	events->conf.most = conf->most ? conf->most : MOST;
	events->conf.most_of_tenant = conf->most_of_tenant ? conf->most_of_tenant : MOST_OF_TENANT;
	TRY(arena_new(ARENA_MAX, &events->arena, err));
	TRY(board_new(control->clock, &events->board, err));
	if (pthread_create(&events->thread, NULL, run, events) != 0)
		return err_set(err, E_NOMEM, "no thread for event streams");
	events->started = true;
	*ret_events = MOVE(events);
	return 0;
}

void events_stop(struct events *events)
{
	if (!events->started)
		return;
	pthread_mutex_lock(&events->mutex);
	events->stopping = true;
	pthread_mutex_unlock(&events->mutex);
	board_wake(events->board);
	pthread_join(events->thread, NULL);
	events->started = false;
	pthread_mutex_lock(&events->mutex);
	for (struct feed *feed = events->feeds, *next; feed; feed = next) {
		next = feed->next;
		if (feed->outflow)
			end(feed);
	}
	pthread_mutex_unlock(&events->mutex);
}

void events_free(struct events *events)
{
	if (!events)
		return;
	events_stop(events);
	REQUIRE(!events->feeds);
	board_free(events->board);
	arena_free(events->arena);
	pthread_mutex_destroy(&events->mutex);
	free(events);
}

struct board *events_board(struct events *events)
{
	return events->board;
}

int events_count(struct events *events)
{
	return atomic_load(&events->count);
}
