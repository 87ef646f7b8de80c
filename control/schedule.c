/* schedule.c - the schedules' thread: what wakes it, and its loop. Invariant: every item stands in
 * the heap or waits for an event that puts it there. */
#include "common/defs.h"
#include "control/schedule_impl.h"

#include "common/log.h"
#include "control/shard_work.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* The wall clock may step: it is looked at this often at least. */
enum { LOOK_MS = 60000, IDLE_MS = 3600000, RETRY_MS = 1000 };

static void *schedules_run(void *context);

/* --- life --- */

int schedules_new(struct part *part, struct schedules **ret_schedules, struct err *err)
{
	uint64_t seed = 0;
	AUTO(schedules) *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory for the schedules");
	random_bytes(&seed, sizeof seed);
	made->part = part;
	made->control = part->control;
	pthread_mutex_init(&made->mutex, NULL);
	clock_cond_init(&made->noted);
	hashmap_init(&made->wanted, seed);
	hashmap_init(&made->by_key, seed);
	hashmap_init(&made->by_uid, seed);
	int failed = pthread_create(&made->thread, NULL, schedules_run, made);
	if (failed)
		return err_errno(err, failed, "cannot start the schedules' thread");
	made->started = true;
	*ret_schedules = MOVE(made);
	return 0;
}

void schedules_stop(struct schedules *schedules)
{
	if (!schedules->started)
		return;
	pthread_mutex_lock(&schedules->mutex);
	schedules->ending = true;
	pthread_cond_broadcast(&schedules->noted);
	pthread_mutex_unlock(&schedules->mutex);
	pthread_join(schedules->thread, NULL);
	schedules->started = false;
}

static void notes_free(struct note *note)
{
	while (note) {
		struct note *next = note->next;
		free(note);
		note = next;
	}
}

void schedules_free(struct schedules *schedules)
{
	if (!schedules)
		return;
	schedules_stop(schedules);
	items_clear(schedules);
	change_free(schedules->volley.change);
	arena_free(schedules->volley.arena);
	notes_free(schedules->notes);
	heap_release(&schedules->due);
	hashmap_release(&schedules->wanted);
	hashmap_release(&schedules->by_key);
	hashmap_release(&schedules->by_uid);
	pthread_cond_destroy(&schedules->noted);
	pthread_mutex_destroy(&schedules->mutex);
	free(schedules);
}

/* --- from other threads --- */

static void wake(struct schedules *schedules)
{
	schedules->woken = true;
	pthread_cond_broadcast(&schedules->noted);
}

void schedules_wake(struct schedules *schedules)
{
	if (!schedules)
		return;
	pthread_mutex_lock(&schedules->mutex);
	wake(schedules);
	pthread_mutex_unlock(&schedules->mutex);
}

void schedules_reread(struct schedules *schedules)
{
	if (!schedules)
		return;
	pthread_mutex_lock(&schedules->mutex);
	schedules->lost_notes = true;
	wake(schedules);
	pthread_mutex_unlock(&schedules->mutex);
}

static void note_head(struct schedules *schedules, const char *key)
{
	struct hash_node *node = hashmap_find(&schedules->wanted, key);
	struct wanted *at = node ? HASH_OWNER(node, struct wanted, by_key) : NULL;
	for (; at; at = at->same) {
		if (at->item->poked)
			continue;
		at->item->poked = true;
		at->item->next_poked = schedules->poked;
		schedules->poked = at->item;
		wake(schedules);
	}
}

static void note_key(struct schedules *schedules, const char *key)
{
	size_t len = strlen(key) + 1;
	bool room = schedules->note_count < NOTES_MAX;
	struct note *note = room ? malloc(sizeof *note + len) : NULL;
	if (note) {
		memcpy(note->key, key, len);
		note->next = schedules->notes;
		schedules->notes = note;
		schedules->note_count++;
	} else {
		schedules->lost_notes = true;
	}
	wake(schedules);
}

void schedules_changed(struct schedules *schedules, const char *key)
{
	enum kind kind = KIND_NONE;
	bool head = strncmp(key, "r/head/", 7) == 0;
	if (!schedules || (!head && !is_schedule_key(key, &kind)))
		return;
	pthread_mutex_lock(&schedules->mutex);
	if (head)
		note_head(schedules, key);
	else
		note_key(schedules, key);
	pthread_mutex_unlock(&schedules->mutex);
}

static void set_time(struct value *map, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	value_set_str(map, name, time_print_ms(unix_ms, text));
}

struct value *schedules_trouble(struct schedules *schedules, struct arena *arena, const char *key)
{
	struct value *trouble = NULL;
	if (!schedules)
		return NULL;
	pthread_mutex_lock(&schedules->mutex);
	const struct item *item = item_by_key(schedules, key);
	if (item && item->code) {
		trouble = value_map(arena);
		value_set_str(trouble, "code", err_name(item->code));
		value_set_str(trouble, "text", item->text);
		set_time(trouble, "retryAt", item->retry_ms);
	}
	pthread_mutex_unlock(&schedules->mutex);
	return trouble;
}

/* --- the loop --- */

struct news { struct note *notes; bool all; };

/* What was noted since the last time; what was poked is due now. */
static struct news take_news(struct schedules *schedules)
{
	pthread_mutex_lock(&schedules->mutex);
	struct news news = { schedules->notes, schedules->lost_notes };
	struct item *poked = schedules->poked;
	schedules->notes = NULL;
	schedules->note_count = 0;
	schedules->lost_notes = schedules->woken = false;
	schedules->poked = NULL;
	for (struct item *at = poked; at; at = at->next_poked)
		at->poked = false;
	pthread_mutex_unlock(&schedules->mutex);
	while (poked) {
		struct item *next = poked->next_poked;
		item_due(schedules, poked, 0);
		poked = next;
	}
	return news;
}

/* The epoch that is in force and the replay it rests on, as one; see control/dispatch.c. */
static int64_t led_now(const struct schedules *schedules, uint64_t *ret_replay)
{
	struct part *part = schedules->part;
	*ret_replay = shard_replays(part->shard);
	int64_t epoch = atomic_load(&part->led);
	bool whole = epoch == journal_epoch(part->journal) &&
		*ret_replay == shard_replays(part->shard);
	return whole ? epoch : 0;
}

static int take_epoch(struct schedules *schedules, bool again, struct err *err)
{
	uint64_t replay = 0;
	int64_t epoch = led_now(schedules, &replay);
	if (epoch == schedules->epoch && replay == schedules->replay && !again)
		return 0;
	items_clear(schedules);
	schedules->epoch = 0;
	if (!epoch)
		return 0;
	TRY(items_read_all(schedules, err));
	schedules->epoch = epoch;
	schedules->replay = replay;
	backfills_cancel_orphans(schedules);
	return 0;
}

static int take_notes(struct schedules *schedules, const struct note *note, struct err *err)
{
	bool backfill_gone = false;
	for (; note; note = note->next) {
		enum kind kind = KIND_NONE;
		TRY(item_read(schedules, note->key, err));
		backfill_gone |= is_schedule_key(note->key, &kind) && kind == KIND_BACKFILL &&
			!item_by_key(schedules, note->key);
	}
	if (backfill_gone)
		backfills_cancel_orphans(schedules);
	return 0;
}

static void take_moved(struct schedules *schedules)
{
	char uid[ID_LEN + 1];
	while (shard_interval_take_moved(schedules->part->shard, uid)) {
		struct item *item = item_by_uid(schedules, uid);
		if (item)
			item_look(schedules, item);
	}
}

/* All that is due; then what is not yet durable. False: nothing was. */
static bool run_due(struct schedules *schedules)
{
	struct clock *clock = schedules->control->clock;
	struct err err = { 0 };
	bool any = false;
	for (struct heap_node *first; (first = heap_first(&schedules->due)); any = true) {
		int64_t due_ms = (int64_t)schedules->due.items[0].key;
		if (due_ms > clock_unix_ms(clock) || !part_leads(schedules->part))
			break;
		struct item *item = HEAP_OWNER(first, struct item, due);
		heap_remove(&schedules->due, first);
		item_due(schedules, item, item_run(schedules, item));
	}
	if (volley_commit(schedules, &err) < 0)
		any = true;          /* they are due again, one by one */
	return any;
}

/* When to look again, unix ms. */
static int64_t turn(struct schedules *schedules, const struct news *news)
{
	struct clock *clock = schedules->control->clock;
	struct err err = { 0 };
	int rc = take_epoch(schedules, news->all, &err);
	if (rc == 0 && schedules->epoch)
		rc = take_notes(schedules, news->notes, &err);
	if (rc < 0) {
		log_warn(NULL, "schedules_not_read", "code=%s reason=\"%s\"", err_name(rc),
		         err.text);
		schedules->epoch = 0;        /* all of them anew */
		return clock_unix_ms(clock) + RETRY_MS;
	}
	if (!schedules->epoch)
		return clock_unix_ms(clock) + IDLE_MS;
	take_moved(schedules);
	schedules->volley.most = VOLLEY_MAX;
	while (part_leads(schedules->part) && run_due(schedules))
		;
	return schedules->due.len ? (int64_t)schedules->due.items[0].key : INT64_MAX;
}

static void sleep_until(struct schedules *schedules, int64_t unix_ms)
{
	struct clock *clock = schedules->control->clock;
	int64_t wait_ms = unix_ms == INT64_MAX ? IDLE_MS : unix_ms - clock_unix_ms(clock);
	if (wait_ms > LOOK_MS && schedules->due.len > 0)
		wait_ms = LOOK_MS;
	if (wait_ms < 0)
		wait_ms = 0;
	int64_t until_ms = clock_mono_ms(clock) + wait_ms;
	pthread_mutex_lock(&schedules->mutex);
	while (!schedules->woken && !schedules->ending &&
	       clock_wait(clock, &schedules->noted, &schedules->mutex, until_ms))
		;
	pthread_mutex_unlock(&schedules->mutex);
}

static bool is_ending(struct schedules *schedules)
{
	pthread_mutex_lock(&schedules->mutex);
	bool ending = schedules->ending;
	pthread_mutex_unlock(&schedules->mutex);
	return ending;
}

static void *schedules_run(void *context)
{
	struct schedules *schedules = context;
	while (!is_ending(schedules)) {
		struct news news = take_news(schedules);
		int64_t next_ms = turn(schedules, &news);
		notes_free(news.notes);
		sleep_until(schedules, next_ms);
	}
	return NULL;
}
