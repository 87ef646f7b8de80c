/* test_tasks.c - task requests and their limits. */
#include "common/defs.h"
#include "api/tasks.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct err err;
static struct task_request request;

static void begin(void)
{
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(tasks, .init = begin, .fini = end);

static int read_text(const char *text)
{
	struct value *body = NULL;
	cr_assert_eq(json_parse(arena, text, strlen(text), &body, &err), 0, "%s", err.text);
	return task_request_read(body, &request, &err);
}

static const char *refusal(const char *text)
{
	cr_assert_eq(read_text(text), E_INVALID, "accepted: %s", text);
	return err.text;
}

Test(tasks, request_has_the_default_limits)
{
	cr_assert_eq(read_text("{\"type\":\"ingest\",\"spec\":{\"source\":\"ops.flights\"}}"), 0);
	cr_expect_eq(request.type, TASK_INGEST);
	cr_expect_str_eq(value_get_str(request.spec, "source"), "ops.flights");
	cr_expect_eq(request.limits.deadline_ms, 600000);
	cr_expect_eq(request.limits.memory_bytes, 1024 * MIB);
	cr_expect_eq(request.limits.threads, 2);
	cr_expect_eq(request.limits.cpu_ms, 60000);
	cr_expect_eq(request.limits.attempts_max, 3);
}

Test(tasks, request_sets_its_own_limits)
{
	cr_assert_eq(read_text("{\"type\":\"probe\",\"limits\":{\"deadline\":\"1h30m\","
	                       "\"memoryBytes\":67108864,\"threads\":256,\"cpuSeconds\":5,"
	                       "\"attempts\":10}}"), 0);
	cr_expect_eq(request.limits.deadline_ms, 5400000);
	cr_expect_eq(request.limits.memory_bytes, 64 * MIB);
	cr_expect_eq(request.limits.threads, 256);
	cr_expect_eq(request.limits.cpu_ms, 5000);
	cr_expect_eq(request.limits.attempts_max, 10);
}

#define LIMITED(limits) "{\"type\":\"probe\",\"limits\":{" limits "}}"

Test(tasks, limits_out_of_bounds_are_refused_with_the_bound)
{
	cr_expect_str_eq(refusal(LIMITED("\"deadline\":\"500ms\"")),
	                 "limits.deadline: must be from 1s to 24h");
	cr_expect_str_eq(refusal(LIMITED("\"deadline\":\"25h\"")),
	                 "limits.deadline: must be from 1s to 24h");
	cr_expect_str_eq(refusal(LIMITED("\"memoryBytes\":1")),
	                 "limits.memoryBytes: must be at least 67108864");
	cr_expect_str_eq(refusal(LIMITED("\"threads\":0")), "limits.threads: must be at least 1");
	cr_expect_str_eq(refusal(LIMITED("\"threads\":257")), "limits.threads: must be at most "
	                 "256");
	cr_expect_str_eq(refusal(LIMITED("\"cpuSeconds\":0")),
	                 "limits.cpuSeconds: must be at least 1");
	cr_expect_str_eq(refusal(LIMITED("\"attempts\":11")), "limits.attempts: must be at most "
	                 "10");
	cr_expect_str_eq(refusal(LIMITED("\"memory\":1")),
	                 "limits.memory: unknown field; known here: deadline, memoryBytes, "
	                 "threads, cpuSeconds, attempts, retry");
}

Test(tasks, refused_limits_leave_the_others_alone)
{
	struct limits limits;
	limits_default(&limits);
	struct value *map = value_map(arena);
	value_set_int(map, "threads", 7);
	value_set_str(map, "deadline", "30h");
	cr_assert_eq(limits_read(map, &limits, &err), E_INVALID);
	cr_expect_eq(limits.threads, 2);
}

Test(tasks, request_errors_name_the_field)
{
	cr_expect_str_eq(refusal("{\"type\":\"ingst\"}"),
	                 "type: unknown task type; did you mean \"ingest\"?");
	cr_expect_str_eq(refusal("{\"type\":\"x\"}"),
	                 "type: unknown task type; known: ingest transform materialize probe");
	cr_expect(strstr(refusal("{}"), "type: is missing"));
	cr_expect_str_eq(refusal("{\"type\":5}"), "type: must be a string, not an integer");
	cr_expect_str_eq(refusal("[]"), "the document: must be a map, not a list");
	cr_expect(strstr(refusal("{\"type\":\"ingest\"}"), "spec.source: is missing"));
	cr_expect_str_eq(refusal("{\"type\":\"ingest\",\"spec\":{\"sourc\":\"a\"}}"),
	                 "spec.sourc: unknown field; did you mean \"source\"?");
	cr_expect_str_eq(refusal("{\"type\":\"ingest\",\"spce\":{}}"),
	                 "spce: unknown field; did you mean \"spec\"?");
	cr_expect_str_eq(refusal("{\"type\":\"probe\",\"spec\":{\"sleepMs\":600001}}"),
	                 "spec.sleepMs: must be at most 600000");
}

Test(tasks, are_found_by_name)
{
	for (int i = 0; i < TASK_COUNT_; i++)
		cr_expect_eq((int)task_by_name(task_info[i].name), i);
	cr_expect_eq(task_by_name("none"), TASK_NONE);
	cr_expect_eq(task_by_name(NULL), TASK_NONE);
}

Test(tasks, placement_is_read_and_has_defaults)
{
	cr_assert_eq(read_text("{\"type\":\"probe\"}"), 0);
	cr_expect_str_eq(request.placement.pool, "default");
	cr_expect_eq(request.placement.priority, PRIORITY_NORMAL);
	cr_expect_eq(request.placement.key_most, 1);
	cr_assert_eq(read_text("{\"type\":\"probe\",\"placement\":{\"pool\":\"gpu\",\"selector\":"
	                       "{\"zone\":\"a\"},\"priority\":\"urgent\",\"concurrencyKey\":\"k\","
	                       "\"concurrency\":3,\"notBefore\":\"2026-01-31T08:00:00Z\","
	                       "\"expires\":\"6h\"}}"), 0, "%s", err.text);
	cr_expect_str_eq(request.placement.pool, "gpu");
	cr_expect_eq(value_len(request.placement.selector), 1);
	cr_expect_eq(request.placement.priority, PRIORITY_URGENT);
	cr_expect_eq(request.placement.key_most, 3);
	cr_expect_eq(request.placement.not_before_ms, INT64_C(1769846400000));
	cr_expect_eq(request.placement.expires_ms, 6 * 3600 * 1000);
}

Test(tasks, placement_that_makes_no_sense_is_refused_by_name)
{
	cr_expect(strstr(refusal("{\"type\":\"probe\",\"placement\":{\"concurrency\":2}}"),
	                 "placement.concurrency"));
	cr_expect(strstr(refusal("{\"type\":\"probe\",\"placement\":{\"priority\":\"most\"}}"),
	                 "placement.priority"));
	cr_expect(strstr(refusal("{\"type\":\"probe\",\"placement\":{\"notBefore\":\"soon\"}}"),
	                 "placement.notBefore"));
	cr_expect(strstr(refusal("{\"type\":\"probe\",\"placement\":{\"expires\":\"9000h\"}}"),
	                 "placement.expires"));
}
