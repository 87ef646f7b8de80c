/* erasure_steps.c - the steps of an erasure, but for its keys and resources (erasure_keys.c) and
 * its end (erasure_settle.c). Each looks at what there is and does what is left of it. */
#include "common/defs.h"
#include "control/erasure_impl.h"

#include "common/crypto.h"
#include "control/dispatch.h"
#include "control/record.h"
#include "control/shard_archive.h"
#include "control/shard_tenant.h"

#include <string.h>

enum { STOP_AGAIN_MS = 5000, TASK_AGAIN_MS = 1000, WORKERS_COME_MS = 2500, NODES_MAX = 4096 };

static int64_t mono_ms(const struct erasing *erasing)
{
	return clock_mono_ms(erasing->control->clock);
}

/* --- wait --- */

int erasure_wait(struct erasing *erasing, struct err *err)
{
	AUTO(change) *change = NULL;
	char key[STORE_KEY_MAX];
	struct value *resource = NULL;
	int64_t revision = 0;
	if (erasing->now_ms < value_get_int(erasing->record, "dueAt", INT64_MAX))
		return 0;
	catalog_key(key, KIND_TENANT, NULL, NULL, erasing->tenant);
	TRY(catalog_get(erasing->control->catalog, erasing->arena, key, &resource, &revision,
	                err));
	struct value *state = value_get_mut(resource, "state");
	if (!state)
		return err_set(err, E_CORRUPT, "the tenant %s is to be erased and does not say so",
		               erasing->tenant);
	value_set_int(state, "erasingAt", erasing->now_ms);
	TRY(value_check(resource, err));
	TRY(change_new(&change, err));
	TRY(change_put(change, key, resource, revision, err));
	return erasure_advance(erasing, change, "stop", NULL, err);
}

/* --- stop --- */

static int record_stop(struct erasing *erasing, size_t count, struct err *err)
{
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	struct value *record = record_new(change_arena(change), RECORD_STOP, erasing->now_ms);
	TRY(value_check(record, err));
	value_set_str(record, "tenant", erasing->tenant);
	value_set_str(record, "principal", PLATFORM_PRINCIPAL);
	TRY(change_record(change, record, err));
	value_set_int(erasing->record, "stoppedAt", erasing->now_ms);
	value_set_int(erasing->record, "stopped",
	              value_get_int(erasing->record, "stopped", 0) + (int64_t)count);
	TRY(erasure_save(erasing, change, err));
	dispatch_wake(erasing->part->dispatch);
	return 0;
}

/* Those that run are told so; those that wait are named by the shard. */
static int cancel_running(struct erasing *erasing, const struct value *running, struct err *err)
{
	for (size_t i = 0; i < value_len(running); i++) {
		int rc = dispatch_cancel(erasing->part->dispatch, erasing->tenant,
		                         value_as_str(value_at(running, i)), err);
		if (rc < 0 && rc != E_CONFLICT && rc != E_NOT_FOUND)
			return rc;
	}
	return 0;
}

int erasure_stop(struct erasing *erasing, struct err *err)
{
	AUTO(change) *change = NULL;
	struct value *running = NULL, *counts = value_map(erasing->arena);
	int64_t stopped_ms = value_get_int(erasing->record, "stoppedAt", 0);
	size_t count = 0;
	TRY(shard_tenant_unfinished(erasing->part->shard, erasing->tenant, erasing->arena, &count,
	                            &running, err));
	if (count > 0 && erasing->now_ms - stopped_ms >= STOP_AGAIN_MS)
		return record_stop(erasing, stopped_ms ? 0 : count, err);
	if (count > 0)
		return cancel_running(erasing, running, err);
	TRY(change_new(&change, err));
	value_set_int(counts, "tasks", value_get_int(erasing->record, "stopped", 0));
	return erasure_advance(erasing, change, "keys", counts, err);
}

/* --- objects --- */

static int submit_erase(struct erasing *erasing, struct err *err)
{
	AUTO(change) *change = NULL;
	char id[ID_LEN + 1];
	uint8_t random[10];
	struct shard *shard = erasing->part->shard;
	struct value *spec = value_map(erasing->arena);
	value_set_str(spec, "uid", erasing->uid);
	TRY(value_check(spec, err));
	random_bytes(random, sizeof random);
	id_make(erasing->now_ms, random, id);
	const struct platform_task made = { id, erasing->tenant, TASK_ERASE, spec,
	                                    erasing->now_ms };
	TRY(change_new(&change, err));
	value_set_str(erasing->record, "task", id);
	TRY(shard_submit_platform(shard, &made, change, err));
	int rc = erasure_save(erasing, change, err);
	if (rc < 0 && rc != E_UNKNOWN_OUTCOME)
		shard_withdraw(shard, id);
	dispatch_wake(erasing->part->dispatch);
	return rc;
}

static void add_counts(struct erasing *erasing, const struct value *told)
{
	static const char *const names[] = { "objectsDeleted", "bytesDeleted" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		value_set_int(erasing->record, names[i],
		              value_get_int(erasing->record, names[i], 0) +
		              value_get_int(told, names[i], 0));
}

/* One after which nothing was there any more is the last. */
static int task_succeeded(struct erasing *erasing, const struct value *task, struct err *err)
{
	AUTO(change) *change = NULL;
	const struct value *told = value_at(value_get(task, "outputs"), 0);
	struct value *counts = value_map(erasing->arena);
	TRY(change_new(&change, err));
	add_counts(erasing, told);
	value_remove(erasing->record, "task");
	if (value_get_int(told, "objectsSeen", 1) > 0) {
		TRY(erasure_save(erasing, change, err));
		return 1;
	}
	value_set_int(counts, "objects", value_get_int(erasing->record, "objectsDeleted", 0));
	value_set_int(counts, "bytes", value_get_int(erasing->record, "bytesDeleted", 0));
	return erasure_advance(erasing, change, "online", counts, err);
}

int erasure_objects(struct erasing *erasing, struct err *err)
{
	const char *id = value_get_str(erasing->record, "task");
	const struct value *task = id ? shard_task(erasing->part->shard, erasing->arena,
	                                           erasing->tenant, NULL, id) : NULL;
	const char *state = value_get_str(task, "state");
	if (state && strcmp(state, "succeeded") == 0)
		return task_succeeded(erasing, task, err);
	if (state && !value_get(task, "endedAt"))
		return 0;
	if (mono_ms(erasing) < erasing->note->retry_mono_ms)
		return 0;
	erasing->note->retry_mono_ms = mono_ms(erasing) + TASK_AGAIN_MS;
	return submit_erase(erasing, err);
}

/* --- online --- */

struct roll { struct erasing *erasing; struct value *workers; bool grew; };

static void call(struct roll *roll, const char *name)
{
	if (!name || value_get(roll->workers, name))
		return;
	value_set(roll->workers, name, value_map(roll->erasing->arena));
	roll->grew = true;
}

static int call_node(void *context, const char *key, const struct value *node, int64_t revision,
                     struct err *err)
{
	(void)node, (void)revision, (void)err;
	call(context, strrchr(key, '/') + 1);
	return 0;
}

/* Those that serve now, those that have reported reads, and those that were let in at all, unless
 * they are here and serve nothing. */
static int call_all(struct roll *roll, struct err *err)
{
	struct erasing *erasing = roll->erasing;
	struct value *list = NULL, *names = value_list(erasing->arena);
	bool more = false;
	TRY(dispatch_workers(erasing->part->dispatch, erasing->arena, &list, err));
	TRY(shard_meter_names(erasing->part->shard, names, err));
	for (size_t i = 0; i < value_len(names); i++)
		call(roll, value_as_str(value_at(names, i)));
	TRY(catalog_list(erasing->control->catalog, erasing->arena, "r/node/", NULL, NODES_MAX,
	                 call_node, roll, &more, err));
	for (size_t i = 0; i < value_len(list); i++) {
		const struct value *worker = value_at(list, i);
		const char *name = value_get_str(worker, "name");
		if (value_get_bool(worker, "serves", false))
			call(roll, name);
		else if (name && !value_get(value_get(roll->workers, name), "confirmedAt"))
			value_remove(roll->workers, name);
	}
	return 0;
}

/* 1: some are new. */
static int take_confirmed(struct erasing *erasing, struct value *workers, struct err *err)
{
	char now[TIME_TEXT_MAX];
	struct value *list = NULL;
	bool news = false;
	TRY(dispatch_erased(erasing->part->dispatch, erasing->uid, erasing->arena, &list, err));
	for (size_t i = 0; i < value_len(list); i++) {
		const struct value *said = value_at(list, i);
		const char *name = value_get_str(said, "worker");
		const struct value *known = value_get(workers, name);
		if (value_get(known, "confirmedAt"))
			continue;
		struct value *map = value_map(erasing->arena);
		value_set_str(map, "confirmedAt", time_print_ms(erasing->now_ms, now));
		value_set_int(map, "rows", value_get_int(said, "rows", 0));
		value_set(workers, name, map);
		news = true;
	}
	return news;
}

static size_t count_open(const struct value *workers, int64_t *ret_rows)
{
	size_t open = 0;
	for (size_t i = 0; i < value_len(workers); i++) {
		const struct value *worker = value_member(workers, i, NULL);
		open += !value_get(worker, "confirmedAt");
		*ret_rows += value_get_int(worker, "rows", 0);
	}
	return open;
}

/* Workers come back within a moment to a leader that is new. */
static bool is_over(struct erasing *erasing, size_t open)
{
	int64_t since_ms = value_get_int(erasing->record, "onlineSince", erasing->now_ms);
	bool came = mono_ms(erasing) - erasing->note->online_mono_ms >= WORKERS_COME_MS;
	return came && (open == 0 || erasing->now_ms - since_ms >= erasing->conf->workers_ms);
}

static struct value *workers_of(struct erasing *erasing)
{
	if (!value_get(erasing->record, "workers"))
		value_set(erasing->record, "workers", value_map(erasing->arena));
	return value_get_mut(erasing->record, "workers");
}

int erasure_online(struct erasing *erasing, struct err *err)
{
	AUTO(change) *change = NULL;
	struct value *counts = value_map(erasing->arena);
	struct roll roll = { erasing, workers_of(erasing), false };
	int64_t rows = 0;
	if (!erasing->note->online_mono_ms)
		erasing->note->online_mono_ms = mono_ms(erasing);
	if (!value_get(erasing->record, "onlineSince")) {
		value_set_int(erasing->record, "onlineSince", erasing->now_ms);
		roll.grew = true;
	}
	TRY(call_all(&roll, err));
	int news = take_confirmed(erasing, roll.workers, err);
	TRY(news);
	size_t open = count_open(roll.workers, &rows);
	TRY(change_new(&change, err));
	if (is_over(erasing, open)) {
		dispatch_erase_end(erasing->part->dispatch, erasing->uid);
		value_set_int(counts, "workers", (int64_t)(value_len(roll.workers) - open));
		value_set_int(counts, "unconfirmed", (int64_t)open);
		value_set_int(counts, "rows", rows);
		return erasure_advance(erasing, change, "forget", counts, err);
	}
	if (open > 0)
		dispatch_erase(erasing->part->dispatch, erasing->tenant, erasing->uid);
	return roll.grew || news ? erasure_save(erasing, change, err) : 0;
}
