/* erasure.c - the driver: finds the erasures of its part and lets each do its next step. */
#include "common/defs.h"
#include "control/erasure_impl.h"

#include "common/log.h"
#include "control/dispatch.h"
#include "control/shard_tenant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_MS = 1000, BUSY_MS = 100, TURNS_MAX = 64, NOTES_MAX = 64, FOUND_MAX = 64,
	LIST_MAX = 4096, ARENA_MAX = 64 * 1024 * 1024
};
#define WORKERS_MS INT64_C(3600000)

struct erasures {
	struct part *part;
	struct erasure_conf conf;
	pthread_t thread;
	bool started;
	struct erasure_note notes[NOTES_MAX];        /* the thread's own */
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t moved;
	bool ending, woken;
};

/* --- records --- */

const char *erasure_key(char out[STORE_KEY_MAX], const char *tenant)
{
	snprintf(out, STORE_KEY_MAX, "r/erasing/%s", tenant);
	return out;
}

const char *erasure_done_key(char out[STORE_KEY_MAX], const char *uid)
{
	snprintf(out, STORE_KEY_MAX, "r/erasure/%s", uid);
	return out;
}

struct value *erasure_record(struct arena *arena, const struct erasure_asked *asked)
{
	struct value *record = value_map(arena);
	const struct value *metadata = value_get(asked->resource, "metadata");
	value_set_str(record, "tenant", asked->tenant);
	value_set_str(record, "uid", value_get_str(metadata, "uid"));
	value_set_str(record, "createdAt", value_get_str(metadata, "createdAt"));
	value_set_str(record, "requestedBy", asked->by);
	value_set_int(record, "requestedAt", asked->now_ms);
	value_set_str(record, "reason", asked->reason);
	value_set_int(record, "dueAt", asked->due_ms);
	value_set_str(record, "step", "wait");
	value_set(record, "performed", value_list(arena));
	return record;
}

static void show_time(struct value *map, const struct value *record, const char *name)
{
	char text[TIME_TEXT_MAX];
	value_set_str(map, name, time_print_ms(value_get_int(record, name, 0), text));
}

/* How far the task is that deletes the objects. */
static void show_task(struct control *control, struct arena *arena, const struct value *record,
                      struct value *shown)
{
	const char *tenant = value_get_str(record, "tenant"), *id = value_get_str(record, "task");
	const struct value *task = id ? shard_task(part_of(control, tenant)->shard, arena, tenant,
	                                           NULL, id) : NULL;
	if (!task)
		return;
	struct value *map = value_map(arena);
	static const char *const members[] = { "id", "state", "reason", "progress" };
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (value_get(task, members[i]))
			value_set(map, members[i], value_copy(arena, value_get(task, members[i])));
	value_set(shown, "task", map);
}

struct value *erasure_show(struct control *control, struct arena *arena,
                           const struct value *record)
{
	static const char *const texts[] = { "tenant", "uid", "requestedBy", "reason", "step" };
	static const char *const parts[] = { "performed", "workers" };
	struct value *shown = value_map(arena);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		value_set_str(shown, texts[i], value_get_str(record, texts[i]));
	show_time(shown, record, "requestedAt");
	show_time(shown, record, "dueAt");
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (value_get(record, parts[i]))
			value_set(shown, parts[i], value_copy(arena, value_get(record, parts[i])));
	show_task(control, arena, record, shown);
	return shown;
}

/* --- one step --- */

int erasure_save(struct erasing *erasing, struct change *change, struct err *err)
{
	char key[STORE_KEY_MAX];
	TRY(value_check(erasing->record, err));
	TRY(change_put(change, erasure_key(key, erasing->tenant), erasing->record,
	               erasing->revision, err));
	return journal_commit(erasing->part->journal, change, err);
}

int erasure_advance(struct erasing *erasing, struct change *change, const char *next,
                    struct value *counts, struct err *err)
{
	char now[TIME_TEXT_MAX];
	struct value *done = counts ? counts : value_map(erasing->arena);
	value_set_str(done, "step", value_get_str(erasing->record, "step"));
	value_set_str(done, "at", time_print_ms(erasing->now_ms, now));
	value_add(value_get_mut(erasing->record, "performed"), done);
	value_set_str(erasing->record, "step", next);
	TRY(erasure_save(erasing, change, err));
	log_info(&(struct log_context){ .tenant = erasing->tenant }, "erasure_step", "next=%s",
	         next);
	return 1;
}

static const struct { const char *name; erasure_step_fn *run; } steps[] = {
	{ "wait", erasure_wait },       { "stop", erasure_stop },
	{ "keys", erasure_keys },       { "resources", erasure_resources },
	{ "objects", erasure_objects }, { "online", erasure_online },
	{ "forget", erasure_forget },   { "settle", erasure_settle },
};

static int run_step(struct erasing *erasing, struct err *err)
{
	const char *step = value_get_str(erasing->record, "step");
	for (size_t i = 0; step && i < ARRAY_LEN(steps); i++)
		if (strcmp(steps[i].name, step) == 0)
			return steps[i].run(erasing, err);
	return err_set(err, E_INVALID, "the erasure of the tenant %s is at a step that only "
	               "another version of Freehold knows", erasing->tenant);
}

static bool is_waiting(const struct value *record)
{
	const char *step = value_get_str(record, "step");
	return step && strcmp(step, "wait") == 0;
}

static struct erasure_note *note_of(struct erasures *erasures, const char *uid)
{
	struct erasure_note *free_one = &erasures->notes[0];
	for (size_t i = 0; i < NOTES_MAX; i++) {
		struct erasure_note *note = &erasures->notes[i];
		if (strcmp(note->uid, uid) == 0)
			return note;
		if (!note->uid[0])
			free_one = note;
	}
	*free_one = (struct erasure_note){ .checkpoints = 0 };
	snprintf(free_one->uid, sizeof free_one->uid, "%s", uid);
	return free_one;
}

/* 1: more can be done at once; 0: not now; its record may be gone, then it is done. */
static int drive(struct erasures *erasures, const char *tenant, struct err *err)
{
	AUTO(arena) *arena = NULL;
	char key[STORE_KEY_MAX];
	struct erasing erasing = {
		.part = erasures->part, .control = erasures->part->control,
		.conf = &erasures->conf, .tenant = tenant,
		.now_ms = clock_unix_ms(erasures->part->control->clock),
	};
	TRY(arena_new(ARENA_MAX, &arena, err));
	erasing.arena = arena;
	int rc = catalog_get(erasing.control->catalog, arena, erasure_key(key, tenant),
	                     &erasing.record, &erasing.revision, err);
	if (rc == E_NOT_FOUND)
		return 0;
	TRY(rc);
	erasing.uid = value_get_str(erasing.record, "uid");
	if (!erasing.uid || !value_get(erasing.record, "performed"))
		return err_set(err, E_CORRUPT, "the record of the erasure of %s lacks a member",
		               tenant);
	if (!is_waiting(erasing.record))     /* one that may be cancelled takes no place */
		erasing.note = note_of(erasures, erasing.uid);
	return run_step(&erasing, err);
}

/* --- all of them --- */

struct found {
	struct part *part;
	char tenants[FOUND_MAX][NAME_MAX_LEN + 1];
	size_t count;
	bool busy;                   /* one of them is past its wait */
};

static int see(void *context, const char *key, const struct value *record, int64_t revision,
               struct err *err)
{
	struct found *found = context;
	const char *tenant = value_get_str(record, "tenant");
	(void)key, (void)revision, (void)err;
	if (!tenant || part_of(found->part->control, tenant) != found->part ||
	    found->count == FOUND_MAX)
		return 0;
	snprintf(found->tenants[found->count++], NAME_MAX_LEN + 1, "%s", tenant);
	found->busy |= !is_waiting(record);
	return 0;
}

static int find(struct part *part, struct found *found, struct err *err)
{
	AUTO(arena) *arena = NULL;
	bool more = false;
	*found = (struct found){ .part = part };
	if (!catalog_has_prefix(part->control->catalog, "r/erasing/"))
		return 0;
	TRY(arena_new(ARENA_MAX, &arena, err));
	return catalog_list(part->control->catalog, arena, "r/erasing/", NULL, LIST_MAX, see,
	                    found, &more, err);
}

static void drive_on(struct erasures *erasures, const char *tenant)
{
	struct err err = { 0 };
	int rc = 1;
	for (int i = 0; i < TURNS_MAX && rc == 1 && part_leads(erasures->part); i++)
		rc = drive(erasures, tenant, &err);
	if (rc < 0 && rc != E_NOT_LEADER && rc != E_PRECONDITION)
		log_warn(&(struct log_context){ .tenant = tenant }, "erasure_not_driven",
		         "code=%s reason=\"%s\"", err_name(rc), err.text);
}

/* What a new leader finds running of a tenant that is sealed, and what was on its way then. */
static void seal_again(struct part *part)
{
	char names[HELD_NAMES_MAX][NAME_MAX_LEN + 1];
	size_t count = shard_tenants_running(part->shard, names, HELD_NAMES_MAX);
	for (size_t i = 0; i < count; i++)
		dispatch_seal(part->dispatch, names[i]);
}

/* True: there is something to do soon. */
static bool look(struct erasures *erasures)
{
	struct found found;
	struct err err = { 0 };
	seal_again(erasures->part);
	if (find(erasures->part, &found, &err) < 0) {
		log_warn(NULL, "erasures_not_read", "reason=\"%s\"", err.text);
		return false;
	}
	for (size_t i = 0; i < found.count; i++)
		drive_on(erasures, found.tenants[i]);
	return found.busy;
}

static void *run(void *context)
{
	struct erasures *erasures = context;
	struct clock *clock = erasures->part->control->clock;
	int64_t wait_ms = erasures->conf.look_ms;
	pthread_mutex_lock(&erasures->mutex);
	while (!erasures->ending) {
		int64_t until_ms = clock_mono_ms(clock) + wait_ms;
		while (!erasures->ending && !erasures->woken &&
		       clock_wait(clock, &erasures->moved, &erasures->mutex, until_ms))
			;
		erasures->woken = false;
		if (erasures->ending)
			break;
		pthread_mutex_unlock(&erasures->mutex);
		bool busy = part_leads(erasures->part) && look(erasures);
		pthread_mutex_lock(&erasures->mutex);
		wait_ms = busy && BUSY_MS < erasures->conf.look_ms ? BUSY_MS
		                                                   : erasures->conf.look_ms;
	}
	pthread_mutex_unlock(&erasures->mutex);
	return NULL;
}

/* --- life --- */

int erasures_new(struct part *part, const struct erasure_conf *conf,
                 struct erasures **ret_erasures, struct err *err)
{
	AUTO(erasures) *erasures = calloc(1, sizeof *erasures);
	if (!erasures)
		return err_set(err, E_NOMEM, "no memory for erasures");
	erasures->part = part;
	erasures->conf = *conf;
	if (!erasures->conf.workers_ms)
		erasures->conf.workers_ms = WORKERS_MS;
	if (!erasures->conf.look_ms)
		erasures->conf.look_ms = LOOK_MS;
	pthread_mutex_init(&erasures->mutex, NULL);
	clock_cond_init(&erasures->moved);
	int code = pthread_create(&erasures->thread, NULL, run, erasures);
	if (code)
		return err_errno(err, code, "cannot start the thread of erasures");
	erasures->started = true;
	*ret_erasures = MOVE(erasures);
	return 0;
}

void erasures_wake(struct erasures *erasures)
{
	if (!erasures)
		return;
	pthread_mutex_lock(&erasures->mutex);
	erasures->woken = true;
	pthread_cond_broadcast(&erasures->moved);
	pthread_mutex_unlock(&erasures->mutex);
}

void erasures_free(struct erasures *erasures)
{
	if (!erasures)
		return;
	pthread_mutex_lock(&erasures->mutex);
	erasures->ending = true;
	pthread_cond_broadcast(&erasures->moved);
	pthread_mutex_unlock(&erasures->mutex);
	if (erasures->started)
		pthread_join(erasures->thread, NULL);
	pthread_cond_destroy(&erasures->moved);
	pthread_mutex_destroy(&erasures->mutex);
	free(erasures);
}
