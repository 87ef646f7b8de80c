/* firing.c - see firing.h. */
#include "common/defs.h"
#include "control/firing.h"

#include "control/snapshots.h"

#include <stdio.h>
#include <string.h>

static int nomem(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory to run an interval of a schedule");
}

/* --- what it runs --- */

static struct value *with_priority(struct arena *arena, const struct value *task,
                                   const char *priority)
{
	struct value *copy = value_copy(arena, task);
	const struct value *old = value_get(copy, "placement");
	struct value *placement = old ? value_copy(arena, old) : value_map(arena);
	value_set_str(placement, "priority", priority);
	value_set(copy, "placement", placement);
	return copy;
}

/* A pipeline's tasks, each with that priority: a run takes none of its own. */
static int pipeline_body(struct part *part, const struct firing *firing, const char *name,
                         struct arena *arena, struct value *body, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *pipeline = NULL, *list = value_list(arena);
	const struct fired_schedule *schedule = &firing->schedule;
	if (!firing->priority) {
		value_set_str(body, "pipeline", name);
		return value_check(body, err);
	}
	snprintf(key, sizeof key, "r/pipeline/%s/%s/%s", schedule->tenant, schedule->domain, name);
	TRY(catalog_get(part->control->catalog, arena, key, &pipeline, NULL, err));
	const struct value *tasks = value_get(value_get(pipeline, "spec"), "tasks");
	for (size_t i = 0; i < value_len(tasks); i++)
		value_add(list, with_priority(arena, value_at(tasks, i), firing->priority));
	value_set_str(body, "name", name);
	value_set(body, "tasks", list);
	return value_check(body, err);
}

static int make_body(struct part *part, const struct firing *firing, struct arena *arena,
                     struct value **ret_body, struct err *err)
{
	const struct value *task = value_get(firing->schedule.spec, "task");
	const char *pipeline = value_get_str(firing->schedule.spec, "pipeline");
	struct value *body = NULL;
	if (task) {
		body = firing->priority ? with_priority(arena, task, firing->priority)
		                        : value_copy(arena, task);
	} else {
		body = value_map(arena);
		TRY(pipeline_body(part, firing, pipeline ? pipeline : "", arena, body, err));
	}
	TRY(value_check(body, err));
	*ret_body = body;
	return 0;
}

/* --- all of it --- */

static int claim_it(struct part *part, const struct firing *firing,
                    const struct submitted *submitted, struct change *change, struct err *err)
{
	const struct fired_schedule *schedule = &firing->schedule;
	char key[STORE_KEY_MAX];
	const struct claim claim = {
		.tenant = schedule->tenant, .domain = schedule->domain, .schedule = schedule->name,
		.uid = schedule->uid, .from_ms = firing->interval.from_ms,
		.to_ms = firing->interval.to_ms, .id = submitted->id,
		.is_run = submitted->is_run, .backfill = firing->backfill_uid,
		.credited = firing->credited, .redo = firing->redo, .seen = firing->seen,
		.now_ms = firing->now_ms,
	};
	catalog_key(key, KIND_SCHEDULE, schedule->tenant, schedule->domain, schedule->name);
	TRY(change_expect(change, key, schedule->revision, err));
	return shard_interval_claim(part->shard, &claim, change, err);
}

int firing_add(struct part *part, const struct firing *firing, struct change *change,
               struct arena *arena, struct submitted *ret_submitted, struct err *err)
{
	struct value *body = NULL;
	struct submitted submitted;
	char *own = arena_printf(arena, "system/schedule/%s", firing->schedule.name);
	if (!own)
		return nomem(err);
	TRY(make_body(part, firing, arena, &body, err));
	const struct submit submit = {
		.tenant = firing->schedule.tenant, .domain = firing->schedule.domain,
		.principal = firing->principal ? firing->principal : own, .body = body,
		.interval = &firing->interval, .schedule = firing->schedule.name,
		.backfill = firing->backfill, .now_ms = firing->now_ms,
		.behalf = firing->behalf ? *firing->behalf : firing->schedule.behalf,
	};
	TRY(submit_add(part, &submit, change, arena, &submitted, err));
	int rc = claim_it(part, firing, &submitted, change, err);
	if (rc < 0)
		submit_withdraw(part, &submitted);
	else
		*ret_submitted = submitted;
	return rc;
}

void firing_withdraw(struct part *part, const struct submitted *submitted)
{
	shard_interval_withdraw(part->shard, submitted->id);
	submit_withdraw(part, submitted);
}

/* --- datasets --- */

int firing_datasets(struct catalog *catalog, struct arena *arena,
                    const struct fired_schedule *schedule, const struct value *seen,
                    int64_t since_ms, struct value **ret_now, size_t *ret_fresh,
                    int64_t *ret_newest_ms, struct err *err)
{
	const struct value *refs = value_get(schedule->spec, "onDatasets");
	struct value *now = value_map(arena);
	size_t fresh = 0;
	int64_t newest_ms = INT64_MIN;
	for (size_t i = 0; i < value_len(refs); i++) {
		char domain[64], name[64], full[130];
		struct snapshot *snapshot = NULL;
		int64_t revision = 0;
		TRY(catalog_ref(value_as_str(value_at(refs, i)), schedule->domain, domain, name,
		                err));
		const struct dataset_at at = { schedule->tenant, domain, name };
		TRY(snapshots_current(catalog, arena, &at, &snapshot, NULL, &revision, err));
		snprintf(full, sizeof full, "%s.%s", domain, name);
		int64_t known = value_get_int(seen, full, 0);
		value_set_int(now, full, snapshot ? snapshot->id : known);
		if (!snapshot || snapshot->id <= known || snapshot->at_ms < since_ms)
			continue;
		fresh++;
		newest_ms = snapshot->at_ms > newest_ms ? snapshot->at_ms : newest_ms;
	}
	TRY(value_check(now, err));
	*ret_now = now;
	*ret_fresh = fresh;
	*ret_newest_ms = newest_ms;
	return 0;
}
