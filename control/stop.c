/* stop.c - see stop.h. */
#include "common/defs.h"
#include "control/stop.h"

#include "control/dispatch.h"
#include "control/record.h"
#include "control/shard_run.h"

enum { ARENA_MAX = 4 * 1024 * 1024 };

static int record_it(struct part *part, const struct stop *stop, struct err *err)
{
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	struct value *record = record_new(change_arena(change), RECORD_CANCEL, stop->now_ms);
	value_set_str(record, stop->is_run ? "run" : "id", stop->id);
	value_set_str(record, "tenant", stop->tenant);
	value_set_str(record, "principal", stop->principal);
	TRY(value_check(record, err));
	TRY(change_record(change, record, err));
	return journal_commit(part->journal, change, err);
}

/* Those: it has ended by itself, or waits and is named by the shard. */
static int end_task(struct part *part, const struct stop *stop, const char *id, struct err *err)
{
	int rc = dispatch_cancel(part->dispatch, stop->tenant, id, err);
	return rc == E_CONFLICT || rc == E_NOT_FOUND ? 0 : rc;
}

int stop_now(struct part *part, const struct stop *stop, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *ids = NULL;
	TRY(record_it(part, stop, err));
	if (!stop->is_run)
		return end_task(part, stop, stop->id, err);
	TRY(arena_new(ARENA_MAX, &arena, err));
	int rc = shard_run_ending(part->shard, arena, stop->id, &ids, err);
	for (size_t i = 0; rc == 0 && i < value_len(ids); i++)
		rc = end_task(part, stop, value_as_str(value_at(ids, i)), err);
	dispatch_wake(part->dispatch);
	return rc == E_NOT_FOUND ? 0 : rc;
}
