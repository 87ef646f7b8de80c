/* rules_schedule.c - see rules_schedule.h. A backfill keeps the definition it began with: an edit
 * of what its intervals or its task are is refused until it is finished or deleted; a pause,
 * another catch-up policy or an end are not. */
#include "common/defs.h"
#include "control/rules_schedule.h"

#include "control/backfill.h"
#include "control/due.h"
#include "control/may.h"
#include "control/rules.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 200 };

/* --- what it runs --- */

static int may_run(struct control *control, const struct request *request, struct err *err)
{
	const struct target target = { .tenant = request->tenant, .domain = request->domain };
	if (may_request(control, request, ACTION_TASK_RUN, &target, KIND_NONE, NULL, NULL).allowed)
		return 0;
	return err_set(err, E_DENIED, "what a schedule runs is run for who writes it, and %s/%s "
	               "may not %s in %s; a tenant-admin of %s can grant it", request->asker.tenant,
	               request->asker.principal, action_name(ACTION_TASK_RUN), request->domain,
	               request->tenant);
}

static int check_task(struct control *control, struct request *request, const struct value *task,
                      struct err *err)
{
	struct task_request asked;
	if (task_request_read(task, &asked, err) < 0)
		return err_prefix(err, "spec.task");
	if (request->dry_run)
		return 0;
	if (rules_task(control, request, task_info[asked.type].fields, asked.spec, err) < 0)
		return err_prefix(err, "spec.task");
	return 0;
}

static int check_work(struct control *control, struct request *request, const struct value *spec,
                      struct err *err)
{
	const struct value *task = value_get(spec, "task");
	bool pipeline = value_get(spec, "pipeline");
	if (pipeline == (task != NULL))
		return err_set(err, E_INVALID, "spec: has %s of task and pipeline; give exactly "
		               "one", task ? "both" : "neither");
	TRY(may_run(control, request, err));
	return task ? check_task(control, request, task, err) : 0;
}

/* --- backfills of a schedule --- */

static int64_t created_ms(const struct request *request, const struct value *before)
{
	int64_t unix_ms = request->now_ms;
	const char *text = value_get_str(value_get(before, "metadata"), "createdAt");
	return text && time_parse(text, &unix_ms, NULL) == 0 ? unix_ms : request->now_ms;
}

struct look {
	struct request *request;
	const char *schedule, *uid;
	const struct timetable *timetable;
	char last[STORE_KEY_MAX];    /* that was looked at */
};

/* E_CONFLICT names one that is not finished. */
static int is_finished(void *context, const char *key, const struct value *resource,
                       int64_t revision, struct err *err)
{
	struct look *look = context;
	struct backfill backfill;
	struct backfill_state state;
	(void)revision;
	snprintf(look->last, sizeof look->last, "%s", key);
	TRY(backfill_read(resource, &backfill, err));
	if (strcmp(backfill.schedule, look->schedule) != 0)
		return 0;
	TRY(backfill_look(look->request->part->shard, look->request->arena, &backfill, look->uid,
	                  look->timetable, &state, err));
	bool finished = backfill_finished(&state, look->timetable);
	int64_t left = due_count(look->timetable, state.taken.items, state.taken.len,
	                         state.from_ms, state.to_ms, BACKFILL_INTERVALS_MAX);
	backfill_state_release(&state);
	if (finished)
		return 0;
	return err_set(err, E_CONFLICT, "the backfill %s of this schedule has %lld intervals left; "
	               "wait for its end or cancel it before you change when the schedule runs or "
	               "what it runs", backfill.name, (long long)(left + state.running));
}

static bool same(const struct value *a, const struct value *b, const char *name)
{
	const struct value *left = value_get(a, name), *right = value_get(b, name);
	return (!left && !right) || (left && right && value_equal(left, right));
}

static bool same_definition(const struct value *a, const struct value *b)
{
	static const char *const members[] = {
		"cron", "timeZone", "every", "onDatasets", "trigger", "start", "task", "pipeline",
	};
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (!same(a, b, members[i]))
			return false;
	return true;
}

static int no_backfill_runs(struct control *control, struct request *request,
                            const struct manifest *manifest, const struct value *before,
                            struct err *err)
{
	char prefix[STORE_KEY_MAX];
	struct timetable old;
	bool more = true;
	int rc = 0;
	const struct value *spec = value_get(before, "spec");
	if (!before || same_definition(spec, manifest->spec))
		return 0;
	TRY(timetable_read(spec, created_ms(request, before), &old, err));
	struct look look = { request, manifest->name,
	                     value_get_str(value_get(before, "metadata"), "uid"), &old, "" };
	snprintf(prefix, sizeof prefix, "r/backfill/%s/%s/", manifest->tenant, manifest->domain);
	while (rc == 0 && more)
		rc = catalog_list(control->catalog, request->arena, prefix,
		                  look.last[0] ? look.last : NULL, PAGE, is_finished, &look, &more,
		                  err);
	timetable_release(&old);
	return rc;
}

int rules_schedule(struct control *control, struct request *request,
                   const struct manifest *manifest, const struct value *before, struct err *err)
{
	struct timetable timetable;
	TRY(timetable_read(manifest->spec, created_ms(request, before), &timetable, err));
	timetable_release(&timetable);
	TRY(check_work(control, request, manifest->spec, err));
	return no_backfill_runs(control, request, manifest, before, err);
}

/* --- backfills --- */

static int unchanged(const struct value *before, const struct value *spec, struct err *err)
{
	static const char *const members[] = { "schedule", "from", "to", "redo" };
	for (size_t i = 0; before && i < ARRAY_LEN(members); i++)
		if (!same(value_get(before, "spec"), spec, members[i]))
			return err_set(err, E_CONFLICT, "spec.%s: cannot be changed any more; "
			               "delete this backfill and make another", members[i]);
	return 0;
}

static int check_range(const struct timetable *timetable, const struct backfill *backfill,
                       int64_t now_ms, struct err *err)
{
	int64_t from = 0, to = 0;
	if (timetable->pace == PACE_DATASETS)
		return err_set(err, E_INVALID, "spec.schedule: %s runs on datasets; only one with "
		               "cron or every has intervals to backfill", backfill->schedule);
	if (backfill->to_ms > now_ms)
		return err_set(err, E_INVALID, "spec.to: lies in the future; a backfill is of what "
		               "has been");
	if (!timetable_whole(timetable, backfill->from_ms, backfill->to_ms, &from, &to))
		return err_set(err, E_INVALID, "spec: no whole interval of the schedule %s lies "
		               "from spec.from to spec.to; widen the range", backfill->schedule);
	if (due_count(timetable, NULL, 0, from, to, BACKFILL_INTERVALS_MAX + 1) >
	    BACKFILL_INTERVALS_MAX)
		return err_set(err, E_INVALID, "spec: the range holds over %d intervals; make "
		               "several backfills", BACKFILL_INTERVALS_MAX);
	return 0;
}

static int check_schedule(struct control *control, struct request *request,
                          const struct backfill *backfill, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *schedule = NULL;
	struct timetable timetable;
	catalog_key(key, KIND_SCHEDULE, request->tenant, request->domain, backfill->schedule);
	if (request->dry_run && !catalog_has(control->catalog, key))
		return 0;
	TRY(catalog_get(control->catalog, request->arena, key, &schedule, NULL, err));
	TRY(timetable_read(value_get(schedule, "spec"), created_ms(request, schedule), &timetable,
	                   err));
	int rc = check_range(&timetable, backfill, request->now_ms, err);
	timetable_release(&timetable);
	return rc;
}

int rules_backfill(struct control *control, struct request *request,
                   const struct manifest *manifest, const struct value *before, struct err *err)
{
	struct backfill backfill;
	struct value *resource = value_map(request->arena);
	value_set(resource, "spec", value_copy(request->arena, manifest->spec));
	TRY(value_check(resource, err));
	TRY(backfill_read(resource, &backfill, err));
	if (strchr(backfill.schedule, '.'))
		return err_set(err, E_INVALID, "spec.schedule: is a schedule of the same domain");
	TRY(unchanged(before, manifest->spec, err));
	TRY(may_run(control, request, err));
	return before ? 0 : check_schedule(control, request, &backfill, err);
}
