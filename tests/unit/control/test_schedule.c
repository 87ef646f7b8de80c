/* test_schedule.c - schedules and backfills through the door: what is refused, in which words, what
 * is shown, and what the thread keeps of the catalog. What runs is in
 * tests/journey/test_schedules.c. */
#include "common/defs.h"
#include "control/backfill.h"
#include "control/firing.h"
#include "control/rules_schedule.h"
#include "control/schedule.h"
#include "control/schedule_impl.h"
#include "control/stop.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define PROBE "'task':{'type':'probe','spec':{}}"

static struct answer put(struct plane *plane, const char *key, const char *kind, const char *path,
                         const char *spec)
{
	return plane_call(plane, key, "PUT", path,
	                  arena_printf(plane->arena,
	                               "{'apiVersion':'freehold.io/v1','kind':'%s','metadata':"
	                               "{'name':'%s'},'spec':%s}",
	                               kind, strrchr(path, '/') + 1, spec));
}

struct bad {
	const char *spec;
	int status;
	const char *says;
};

static void refuse(struct plane *plane, const char *key, const char *kind, const char *path,
                   const struct bad *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct answer answer = put(plane, key, kind, path, rows[i].spec);
		cr_expect_eq(answer.status, rows[i].status, "%s: %d %s", rows[i].spec,
		             answer.status, answer.text);
		cr_expect_not_null(strstr(answer.detail, rows[i].says), "%s: %s", rows[i].spec,
		                   answer.detail);
	}
}

Test(schedule, is_refused_in_words_that_help)
{
	static const struct bad rows[] = {
		{"{'cron':'0 0 * *'," PROBE "}", 400, "spec.cron: character 8"},
		{"{'cron':'0 61 * * *'," PROBE "}", 400, "the hour 61 is out of 0 to 23"},
		{"{'cron':'@daily','timeZone':'Europe/Berln'," PROBE "}", 400,
	         "did you mean Europe/Berlin?"},
		{"{'every':'1h','cron':'@daily'," PROBE "}", 400, "exactly one"},
		{"{" PROBE "}", 400, "exactly one"},
		{"{'every':'1h'}", 400, "neither of task and pipeline"},
		{"{'every':'1h','start':'2024-01-02T00:00:00Z','end':'2024-01-01T00:00:00Z'," PROBE
	         "}",
	         400, "spec.end: lies before the start"},
		{"{'every':'1h','task':{'type':'prob'}}", 400, "spec.task: "},
		{"{'every':'1h','task':{'type':'ingest','spec':{'source':'none'}}}", 400,
	         "there is no source none"},
		{"{'onDatasets':['none']," PROBE "}", 400, "there is no dataset none"},
		{"{'every':'1h','pipeline':'none'}", 400, "there is no pipeline none"},
		{"{'every':'1h','maxActive':5000," PROBE "}", 400, "maxActive"},
		{"{'every':'1h','catchUp':'some'," PROBE "}", 400, "catchUp"},
	};
	struct plane *plane = plane_start();
	const char *key = plane_tenant(plane, "acme", "sales");
	refuse(plane, key, "Schedule", SALES("schedules/tick"), rows, ARRAY_LEN(rows));
	plane_stop(plane);
}

Test(schedule, is_written_only_by_who_may_run_tasks)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	const char *reader = plane_principal(plane, "acme", "eve", "'consumer'", "sales");
	const char *producer = plane_principal(plane, "acme", "pat", "'producer'", "sales");
	cr_expect_eq(
		put(plane, reader, "Schedule", SALES("schedules/t"), "{'every':'1h'," PROBE "}")
			.status,
		403);
	cr_expect_eq(plane_call(plane, reader, "POST", SALES("schedules/t/trigger"), "{}").status,
	             403);
	cr_expect_eq(plane_call(plane, producer, "POST", SALES("schedules/t/trigger"), "{}").status,
	             404);
	plane_stop(plane);
}

Test(backfills, are_refused_in_words_that_help)
{
	static const struct bad rows[] = {
		{"{'schedule':'tick','from':'2024-01-02T00:00:00Z','to':'2024-01-01T00:00:00Z'}",
	         400, "runs forwards"},
		{"{'schedule':'tick','from':'2024-01-02T00:00:00Z','to':'2024-01-02T00:00:00Z'}",
	         400, "runs forwards"},
		{"{'schedule':'tick','from':'yesterday','to':'2024-01-01T00:00:00Z'}", 400,
	         "spec.from: a time must be RFC 3339"},
		{"{'schedule':'none','from':'2024-01-01T00:00:00Z','to':'2024-01-02T00:00:00Z'}",
	         400, "there is no schedule none"},
		{"{'schedule':'tick','from':'2024-01-01T00:10:00Z','to':'2024-01-01T00:50:00Z'}",
	         400, "no whole interval"},
		{"{'schedule':'tick','from':'2024-01-01T00:00:00Z','to':'9000-01-01T00:00:00Z'}",
	         400, "lies in the future"},
		{"{'schedule':'tick','from':'1000-01-01T00:00:00Z','to':'2024-01-01T00:00:00Z'}",
	         400, "over 100000 intervals"},
		{"{'schedule':'heads','from':'2024-01-01T00:00:00Z','to':'2024-01-02T00:00:00Z'}",
	         400, "runs on datasets"},
		{"{'schedule':'tick','from':'2024-01-01T00:00:00Z','to':'2024-01-02T00:00:00Z',"
	         "'parallelism':0}",
	         400, "parallelism"},
	};
	struct plane *plane = plane_start();
	const char *key = plane_tenant(plane, "acme", "sales");
	plane_put(plane, key, "Dataset", SALES("datasets/raw"), "{}");
	plane_put(plane, key, "Schedule", SALES("schedules/tick"),
	          "{'cron':'@hourly','paused':true," PROBE "}");
	plane_put(plane, key, "Schedule", SALES("schedules/heads"),
	          "{'onDatasets':['raw']," PROBE "}");
	refuse(plane, key, "Backfill", SALES("backfills/old"), rows, ARRAY_LEN(rows));
	plane_stop(plane);
}

Test(schedule, shows_its_intervals_one_by_one_and_its_next_times)
{
	struct plane *plane = plane_start();
	const char *key = plane_tenant(plane, "acme", "sales");
	plane_put(plane, key, "Schedule", SALES("schedules/tick"),
	          "{'cron':'30 2 * * *','timeZone':'Europe/Berlin','paused':true,"
	          "'start':'2024-01-01T00:00:00Z'," PROBE "}");
	struct answer answer =
		plane_call(plane, key, "GET",
	                   SALES("schedules/tick/intervals"
	                         "?from=2024-03-29T00:00:00Z&to=2024-04-02T00:00:00Z"),
	                   NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	const struct value *list = value_get(answer.body, "intervals");
	static const char *const begins[] = {"2024-03-29T01:30:00.000Z", "2024-03-30T01:30:00.000Z",
	                                     "2024-03-31T01:00:00.000Z"};
	cr_assert_eq(value_len(list), 3, "%s", answer.text);
	for (size_t i = 0; i < 3; i++) {
		cr_expect_str_eq(value_get_str(value_at(list, i), "from"), begins[i]);
		cr_expect_str_eq(value_get_str(value_at(list, i), "state"), "missing");
	}
	cr_expect_eq(value_len(value_get(answer.body, "next")), 0, "a paused one has no next time");
	cr_expect_gt(value_get_int(value_get(answer.body, "counts"), "missing", 0), 300);
	answer = plane_call(plane, key, "GET",
	                    SALES("schedules/tick/intervals?from=2024-04-02T00:00:00Z"
	                          "&to=2024-03-02T00:00:00Z"),
	                    NULL);
	cr_expect_eq(answer.status, 400);
	cr_expect_not_null(strstr(answer.detail, "runs forwards"));
	cr_expect_eq(plane_call(plane, key, "GET", SALES("schedules/none/intervals"), NULL).status,
	             404);
	plane_stop(plane);
}

Test(schedule, says_why_an_interval_could_not_be_run)
{
	struct plane *plane = plane_start();
	const char *key = plane_tenant(plane, "acme", "sales");
	plane_put(plane, plane->operator_key, "Quota", "/v1/tenants/acme/quotas/none",
	          "{'tasks':0,'window':'total'}");
	plane_put(plane, key, "Schedule", SALES("schedules/tick"),
	          "{'every':'1h','start':'2024-01-01T00:00:00Z','catchUp':'latest'," PROBE "}");
	const struct value *trouble = NULL;
	for (int i = 0; i < 12000 && !trouble; i++) {
		struct answer answer =
			plane_call(plane, key, "GET", SALES("schedules/tick/intervals"), NULL);
		trouble = value_get(answer.body, "trouble");
		usleep(5000);
	}
	cr_assert_not_null(trouble, "no trouble is shown");
	cr_expect_str_eq(value_get_str(trouble, "code"), "QUOTA");
	cr_expect_not_null(value_get_str(trouble, "retryAt"));
	plane_stop(plane);
}

Test(schedule, keys_are_told_from_others)
{
	enum kind kind = KIND_NONE;
	cr_expect(is_schedule_key("r/schedule/acme/sales/tick", &kind));
	cr_expect_eq(kind, KIND_SCHEDULE);
	cr_expect(is_schedule_key("r/backfill/acme/sales/old", &kind));
	cr_expect_eq(kind, KIND_BACKFILL);
	cr_expect_not(is_schedule_key("r/schedules/acme/sales/tick", &kind));
	cr_expect_not(is_schedule_key("r/dataset/acme/sales/schedule", &kind));
}

Test(schedule, survives_more_changes_than_can_be_noted)
{
	struct plane *plane = plane_start();
	const char *key = plane_tenant(plane, "acme", "sales");
	for (int i = 0; i < NOTES_MAX * 2; i++)
		schedules_changed(plane->part->schedules, "r/schedule/acme/sales/none");
	plane_put(plane, key, "Schedule", SALES("schedules/tick"),
	          "{'every':'1h','start':'2024-01-01T00:00:00Z','catchUp':'latest'," PROBE "}");
	int64_t running = 0;
	for (int i = 0; i < 12000 && running == 0; i++) {
		struct answer answer =
			plane_call(plane, key, "GET", SALES("schedules/tick/intervals"), NULL);
		running = value_get_int(value_get(answer.body, "counts"), "running", 0);
		usleep(5000);
	}
	cr_expect_eq(running, 1, "the newest interval does not run");
	plane_stop(plane);
}

/* A task that control itself ends, and one that has ended already. */
Test(stop, ends_a_waiting_task_and_nothing_else)
{
	struct plane *plane = plane_start();
	const char *key = plane_tenant(plane, "acme", "sales");
	struct err err = {0};
	struct answer made =
		plane_call(plane, key, "POST", SALES("tasks"), "{'type':'probe','spec':{}}");
	cr_assert_eq(made.status, 202, "%s", made.text);
	const char *id = value_get_str(made.body, "id"), *state = "";
	const struct stop stop = {.tenant = "acme",
	                          .id = id,
	                          .principal = "system/backfill",
	                          .now_ms = clock_unix_ms(clock_system())};
	for (int i = 0; i < 2; i++)
		cr_expect_eq(stop_now(plane->part, &stop, &err), 0, "%s", err.text);
	for (int i = 0; i < 12000 && strcmp(state, "cancelled") != 0; i++) {
		made = plane_call(plane, key, "GET",
		                  arena_printf(plane->arena, SALES("tasks/%s"), id), NULL);
		state = value_get_str(made.body, "state");
		usleep(5000);
	}
	cr_expect_str_eq(state, "cancelled");
	plane_stop(plane);
}
