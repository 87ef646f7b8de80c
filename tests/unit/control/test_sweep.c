/* test_sweep.c - which folders a sweep may take: none that is kept, and none that an attempt may
 * come to publish. And the platform's place in a tenant comes and goes with it. */
#include "common/defs.h"
#include "control/sweep.h"

#include "control/archive.h"
#include "control/home.h"
#include "control/plan.h"
#include "control/settle.h"
#include "tests/support/desk.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

static const struct value *plan_sweep(struct desk *desk)
{
	static const struct token latest = { INT64_MAX, INT64_MAX };
	struct value *done = value_map(desk->arena);
	const struct work work = {
		.id = "01hzzzzzzzzzzzzzzzzzzzzzzz", .tenant = "acme", .domain = "freehold",
		.type = TASK_SWEEP, .spec = value_map(desk->arena), .token = latest,
	};
	cr_assert_eq(sweep_plan(&desk->control, desk->arena, &work, done, &desk->err), 0, "%s",
	             desk->err.text);
	return done;
}

static const char *text_of(struct desk *desk, struct token token)
{
	return arena_printf(desk->arena, "%" PRId64 "-%" PRId64, token.epoch, token.counter);
}

static bool keeps(struct desk *desk, const struct value *done, struct token token)
{
	const char *kept = value_get_str(done, "kept"), *name = text_of(desk, token);
	const char *found = kept ? strstr(kept, name) : NULL;
	size_t len = strlen(name);
	return found && (found == kept || found[-1] == ' ') && (!found[len] || found[len] == ' ');
}

static int settle_one(struct desk *desk, const struct report *report)
{
	struct settle_item item = { .kind = SETTLE_REPORT, .worker = "w1", .report = report };
	struct settle_item *items[] = { &item };
	size_t count = 0;
	return settle(&desk->part, items, 1, &count, &desk->err);
}

/* An attempt that has written its file and is to report it. */
struct written {
	struct work work;
	struct output output;
	struct table_file file;
	struct report report;
};

static void write_one(struct desk *desk, bool replace, struct written *ret)
{
	char prefix[GRANT_PREFIX_MAX];
	desk_submit(desk, "acme", replace ? TASK_TRANSFORM : TASK_INGEST,
	            replace ? "{'transformation':'hourly'}" : "{'source':'raw'}");
	ret->work = desk_pick(desk);
	grant_prefix("acme", "ops", ret->work.token, prefix);
	struct snapshot *current = NULL;
	const struct dataset_at at = { "acme", "ops", replace ? "hourly" : "raw" };
	int64_t revision = 0;
	cr_assert_eq(snapshots_current(desk->control.catalog, desk->arena, &at, &current, NULL,
	                               &revision, &desk->err), 0);
	ret->file = (struct table_file){
		.path = arena_printf(desk->arena, "%s/data-0.parquet", prefix), .rows = 1,
		.bytes = 10, .plain_bytes = 9,
	};
	ret->output = (struct output){
		.uid = desk_uid(desk, KIND_DATASET, "acme", "ops", at.name), .files = &ret->file,
		.file_count = 1, .replace = replace, .base_snapshot = current ? current->id : 0,
		.schema = desk_json(desk, "[{'name':'airport','type':'string'}]"),
	};
	ret->report = (struct report){
		.task = ret->work.id, .token = ret->work.token, .outcome = OUTCOME_SUCCEEDED,
		.usage = { .cpu_ms = 1 }, .outputs = &ret->output, .output_count = 1,
	};
}

static void publish_one(struct desk *desk, const struct written *written)
{
	cr_assert_eq(settle_one(desk, &written->report), 0, "%s", desk->err.text);
}

Test(sweep, what_an_attempt_may_still_publish_is_not_swept)
{
	struct desk *desk = desk_new(false);
	struct written first, second, late;
	desk_story(desk);
	write_one(desk, false, &first);
	write_one(desk, false, &second);
	const struct value *done = plan_sweep(desk);
	cr_expect_str_eq(value_get_str(done, "below"), text_of(desk, first.work.token));
	cr_expect_null(value_get(done, "kept"));
	publish_one(desk, &second);
	done = plan_sweep(desk);
	cr_expect_str_eq(value_get_str(done, "below"), text_of(desk, first.work.token));
	cr_expect(keeps(desk, done, second.work.token));
	publish_one(desk, &first);
	write_one(desk, false, &late);
	done = plan_sweep(desk);
	cr_expect_str_eq(value_get_str(done, "below"), text_of(desk, late.work.token));
	cr_expect(keeps(desk, done, first.work.token) && keeps(desk, done, second.work.token));
	desk_end(desk);
}

Test(sweep, a_zombies_folder_is_swept_once_it_can_publish_no_more)
{
	struct desk *desk = desk_new(false);
	struct written zombie, next;
	desk_story(desk);
	write_one(desk, false, &zombie);
	const struct report lost = {
		.task = zombie.work.id, .token = zombie.work.token, .outcome = OUTCOME_FAILED,
		.code = E_DEAD_WORKER, .text = "its worker died",
	};
	publish_one(desk, &(struct written){ .report = lost });
	write_one(desk, false, &next);
	const struct value *done = plan_sweep(desk);
	cr_expect_str_eq(value_get_str(done, "below"), text_of(desk, next.work.token));
	cr_expect_not(keeps(desk, done, zombie.work.token));
	publish_one(desk, &zombie);
	cr_expect_not(keeps(desk, plan_sweep(desk), zombie.work.token), "it published nothing");
	desk_end(desk);
}

Test(sweep, after_a_change_of_leaders_what_may_be_adopted_is_not_swept)
{
	struct desk *desk = desk_new(false);
	struct written done_before, running;
	desk_story(desk);
	write_one(desk, false, &done_before);
	publish_one(desk, &done_before);
	write_one(desk, false, &running);
	desk_lead(desk);
	const struct value *done = plan_sweep(desk);
	cr_expect_str_eq(value_get_str(done, "below"), "0-0", "any of its attempts may be told of");
	cr_expect(keeps(desk, done, done_before.work.token));
	desk_end(desk);
}

Test(sweep, replaced_snapshots_stay_for_a_while_and_the_last_ten_for_good)
{
	struct desk *desk = desk_new(false);
	struct written all[14];
	desk_story(desk);
	for (int i = 0; i < 13; i++) {
		write_one(desk, true, &all[i]);
		publish_one(desk, &all[i]);
	}
	const struct value *done = plan_sweep(desk);
	for (int i = 0; i < 13; i++)
		cr_expect(keeps(desk, done, all[i].work.token), "snapshot %d", i + 1);
	clock_advance(desk->clock, 2 * SWEEP_GRACE_MS);
	write_one(desk, true, &all[13]);
	publish_one(desk, &all[13]);
	done = plan_sweep(desk);
	for (int i = 0; i < 14; i++)
		cr_expect_eq(keeps(desk, done, all[i].work.token), i >= 3, "snapshot %d", i + 1);
	/* The head says the same to a new leader. */
	desk_lead(desk);
	done = plan_sweep(desk);
	for (int i = 0; i < 14; i++)
		cr_expect_eq(keeps(desk, done, all[i].work.token), i >= 3, "snapshot %d", i + 1);
	desk_end(desk);
}

Test(sweep, one_at_a_time_and_in_each_tenants_turn)
{
	struct desk *desk = desk_new(false);
	struct shard_counts counts;
	const int64_t day_ms = INT64_C(86400000), now_ms = clock_unix_ms(desk->clock);
	desk_story(desk);
	desk_put(desk, KIND_TENANT, NULL, NULL, "acme", "{}");
	cr_assert_eq(sweep_look(&desk->part, day_ms, now_ms, now_ms + 1000, &desk->err), 0);
	cr_assert_eq(sweep_look(&desk->part, day_ms, now_ms - day_ms, now_ms, &desk->err), 0, "%s",
	             desk->err.text);
	shard_counts(desk->part.shard, &counts);
	cr_expect_eq(counts.tasks, 1);
	cr_assert_eq(sweep_look(&desk->part, day_ms, now_ms - day_ms, now_ms, &desk->err), 0);
	shard_counts(desk->part.shard, &counts);
	cr_expect_eq(counts.tasks, 1);
	struct work work = desk_pick(desk);
	struct grant *grant = NULL;
	cr_assert_eq(work.type, TASK_SWEEP);
	cr_assert_eq(plan_grant(&desk->control, desk->arena, &work, "w1", &grant, &desk->err), 0,
	             "%s", desk->err.text);
	cr_expect_str_eq(value_get_str(grant->work, "below"), text_of(desk, work.token));
	struct report report = {
		.task = work.id, .token = work.token, .outcome = OUTCOME_SUCCEEDED,
		.usage = { .cpu_ms = 5 },
		.result = desk_json(desk, "{'objectsDeleted':3,'bytesDeleted':30,'x':'y'}"),
	};
	cr_assert_eq(settle_one(desk, &report), 0, "%s", desk->err.text);
	const struct value *task = desk_task(desk, "acme", work.id);
	const struct value *told = value_at(value_get(task, "outputs"), 0);
	cr_expect_eq(value_get_int(told, "objectsDeleted", 0), 3);
	cr_expect_null(value_get(told, "x"));
	cr_expect_eq(desk_used(desk, "acme", "cpuMs"), 0);
	desk_end(desk);
}

Test(sweep, only_an_operator_asks_for_one)
{
	struct plane *plane = plane_start();
	const char *key = plane_tenant(plane, "acme", "sales");
	cr_expect_eq(plane_call(plane, key, "POST", "/v1/tenants/acme/sweep", NULL).status, 403);
	const char *path = "/v1/tenants/acme/sweep";
	struct answer answer = plane_call(plane, plane->operator_key, "POST", path, NULL);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	cr_expect_str_eq(value_get_str(answer.body, "type"), "sweep");
	cr_expect_eq(plane_call(plane, plane->operator_key, "POST", path, NULL).status, 409);
	cr_expect_eq(plane_call(plane, plane->operator_key, "POST", "/v1/tenants/nobody/sweep",
	                        NULL).status, 404);
	answer = plane_call(plane, key, "GET", answer.location, NULL);
	cr_expect_eq(answer.status, 200, "%s", answer.text);
	plane_stop(plane);
}

Test(sweep, the_platforms_place_goes_with_the_tenant)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	const char *tenant = "/v1/tenants/acme";
	struct answer answer = plane_call(plane, plane->operator_key, "POST",
	                                  "/v1/tenants/acme/sweep", NULL);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	cr_expect_eq(plane_call(plane, plane->operator_key, "DELETE", tenant, NULL).status, 409);
	cr_expect_eq(plane_call(plane, plane->operator_key, "DELETE",
	                        "/v1/tenants/acme/domains/freehold", NULL).status, 403);
	answer = plane_call(plane, plane->operator_key, "DELETE",
	                    "/v1/tenants/acme/domains/sales", NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	answer = plane_call(plane, plane->operator_key, "GET",
	                    "/v1/tenants/acme/principals", NULL);
	const struct value *items = value_get(answer.body, "items");
	for (size_t i = 0; i < value_len(items); i++) {
		const char *name = value_get_str(value_get(value_at(items, i), "metadata"), "name");
		const char *path = arena_printf(plane->arena, "/v1/tenants/acme/principals/%s",
		                                name);
		plane_call(plane, plane->operator_key, "DELETE", path, NULL);
	}
	answer = plane_call(plane, plane->operator_key, "DELETE", tenant, NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_not(catalog_has_prefix(plane->control->catalog, "r/domain/acme/"));
	cr_expect_not(catalog_has_prefix(plane->control->catalog, "r/dataset/acme/"));
	plane_stop(plane);
}
