/* test_runs.c - runs through the real control: admission, dispatch, settlement and replay, with
 * puppets for workers. */
#include "common/defs.h"
#include "tests/support/stage.h"

#include "control/submit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define OPS "/v1/tenants/acme/domains/ops"
#define PROBE(name, deps) "{'name':'" name "','type':'probe','spec':{},'dependsOn':[" deps "]}"
#define DIAMOND "[" PROBE("extract", "") "," PROBE("left", "{'task':'extract'}") "," \
	PROBE("right", "{'task':'extract'}") "," \
	PROBE("load", "{'task':'left'},{'task':'right','on':'success'}") "," \
	PROBE("alarm", "{'task':'load','on':'failure'}") "," \
	PROBE("tidy", "{'task':'load','on':'always'}") "]"

enum { PATIENCE_MS = 120000 };

static struct stage *stage;
static struct puppet *puppet;
static const char *key;

static void begin(void)
{
	stage = stage_open();
	key = plane_tenant(stage->plane, "acme", "ops");
	puppet = puppet_new(stage, "w1", 4, 1);
}

static void end(void)
{
	puppet_free(puppet);
	stage_close(stage);
}

TestSuite(runs, .init = begin, .fini = end);

static struct answer call(const char *method, const char *path, const char *body)
{
	return plane_call(stage->plane, key, method, path, body);
}

static const char *at(const char *fmt, const char *id)
{
	return arena_printf(stage->plane->arena, "%s/%s", fmt, id);
}

static const struct value *run_now(const char *id)
{
	struct answer answer = call("GET", at(OPS "/runs", id), NULL);
	return answer.status == 200 ? answer.body : NULL;
}

static const struct value *task_now(const char *id, const char *name)
{
	const struct value *tasks = value_get(run_now(id), "tasks");
	for (size_t i = 0; i < value_len(tasks); i++)
		if (strcmp(value_get_str(value_at(tasks, i), "name"), name) == 0)
			return value_at(tasks, i);
	return NULL;
}

/* Only lets time pass. */
static bool never(void *context)
{
	(void)context;
	return false;
}

struct wish { const char *run, *name, *state; };

static bool granted(void *context)
{
	const struct wish *wish = context;
	const struct value *of = wish->name ? task_now(wish->run, wish->name) : run_now(wish->run);
	const char *state = value_get_str(of, "state");
	return state && strcmp(state, wish->state) == 0;
}

/* name NULL: the run itself. */
static void await_state(const char *run, const char *name, const char *state)
{
	struct wish wish = { run, name, state };
	if (stage_await(stage, granted, &wish, PATIENCE_MS))
		return;
	struct answer answer = call("GET", at(OPS "/runs", run), NULL);
	cr_assert_fail("%s is not %s: %s", name ? name : "the run", state, answer.text);
}

static bool has_them(void *context)
{
	return puppet_running(puppet) == *(const int *)context;
}

/* That a task is running is known before its worker has it. */
static void await_running(int count)
{
	cr_assert(stage_await(stage, has_them, &count, PATIENCE_MS), "%d run, not %d",
	          puppet_running(puppet), count);
}

static bool is_told_to_end(void *context)
{
	(void)context;
	bool told = false;
	pthread_mutex_lock(&stage->mutex);
	for (const struct act *act = stage->acts; act; act = act->next)
		told |= act->cancelled && !act->ended;
	pthread_mutex_unlock(&stage->mutex);
	return told;
}

static bool ended(void *context)
{
	return value_get(call("GET", context, NULL).body, "endedAt");
}

static const struct value *dead(void)
{
	return value_get(call("GET", OPS "/tasks?state=dead", NULL).body, "items");
}

static bool one_is_dead(void *context)
{
	(void)context;
	return value_len(dead()) > 0;
}

static void end_one(enum outcome outcome, int code)
{
	const struct ending ending = { .outcome = outcome, .code = code };
	await_running(1);
	puppet_end(puppet, 0, &ending);
}

static void end_two(void)
{
	const struct ending ending = { .outcome = OUTCOME_SUCCEEDED };
	await_running(2);
	puppet_end(puppet, 0, &ending);
	puppet_end(puppet, 0, &ending);
}

static const char *start(const char *body)
{
	struct answer answer = call("POST", OPS "/runs", body);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	cr_assert_str_eq(answer.location, at(OPS "/runs", value_get_str(answer.body, "id")));
	return value_get_str(answer.body, "id");
}

static void to_the_load(const char *run)
{
	await_state(run, "extract", "running");
	end_one(OUTCOME_SUCCEEDED, 0);
	await_state(run, "left", "running");
	await_state(run, "right", "running");
	end_two();
	await_state(run, "load", "running");
}

Test(runs, a_pipelines_run_fails_is_resumed_and_succeeds)
{
	plane_put(stage->plane, key, "Pipeline", OPS "/pipelines/nightly",
	          "{'description':'x','tasks':" DIAMOND "}");
	const char *run = start("{'pipeline':'nightly'}");
	to_the_load(run);
	end_one(OUTCOME_FAILED, E_INPUT);
	await_state(run, "alarm", "running");
	await_state(run, "tidy", "running");
	end_two();
	await_state(run, NULL, "failed");
	cr_assert_str_eq(value_get_str(run_now(run), "pipeline"), "nightly");
	stage_restart(stage);
	await_state(run, NULL, "failed");
	struct answer answer = call("POST", arena_printf(stage->plane->arena, OPS "/runs/%s/resume",
	                                                 run), NULL);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	await_state(run, "load", "running");
	cr_assert_str_eq(value_get_str(task_now(run, "alarm"), "state"), "succeeded",
	                 "what succeeded stays");
	end_one(OUTCOME_SUCCEEDED, 0);
	await_state(run, NULL, "succeeded");
	answer = call("POST", arena_printf(stage->plane->arena, OPS "/runs/%s/resume", run), NULL);
	cr_assert_eq(answer.status, 409);
}

Test(runs, what_was_blocked_goes_on_when_control_died_after_its_dependency_ended)
{
	const char *run = start("{'name':'once','tasks':" DIAMOND "}");
	await_state(run, "extract", "running");
	end_one(OUTCOME_SUCCEEDED, 0);
	await_state(run, "extract", "succeeded");
	stage_restart(stage);
	await_state(run, "left", "running");
	await_state(run, "right", "running");
	cr_assert_str_eq(value_get_str(task_now(run, "load"), "state"), "blocked");
	end_two();
	await_state(run, "load", "running");
	end_one(OUTCOME_SUCCEEDED, 0);
	await_state(run, "tidy", "running");
	end_one(OUTCOME_SUCCEEDED, 0);
	await_state(run, NULL, "succeeded");
	cr_assert_str_eq(value_get_str(task_now(run, "alarm"), "reason"),
	                 "load succeeded, and it wanted a failure");
}

Test(runs, a_cancelled_run_ends_what_runs_and_what_waits)
{
	const char *run = start("{'tasks':" DIAMOND "}");
	await_state(run, "extract", "running");
	struct answer answer = call("POST", arena_printf(stage->plane->arena, OPS "/runs/%s/cancel",
	                                                 run), NULL);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	await_state(run, "tidy", "cancelled");
	cr_assert(stage_await(stage, is_told_to_end, NULL, PATIENCE_MS));
	end_one(OUTCOME_SUCCEEDED, 0);               /* a cancelled one ends so */
	await_state(run, NULL, "cancelled");
	answer = call("POST", arena_printf(stage->plane->arena, OPS "/runs/%s/cancel", run), NULL);
	cr_assert_eq(answer.status, 200, "ending what has ended changes nothing");
}

Test(runs, a_dead_task_is_listed_with_its_error_and_starts_anew)
{
	struct answer answer = call("POST", OPS "/tasks", "{'type':'probe','spec':{},"
	                            "'limits':{'attempts':1}}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	const char *id = value_get_str(answer.body, "id");
	const char *replay = arena_printf(stage->plane->arena, OPS "/tasks/%s/replay", id);
	answer = call("POST", replay, NULL);
	cr_assert_eq(answer.status, 409, "%s", answer.text);
	end_one(OUTCOME_FAILED, E_IO);
	cr_assert(stage_await(stage, one_is_dead, NULL, PATIENCE_MS));
	const struct value *list = dead();
	cr_assert_eq(value_len(list), 1);
	cr_assert_str_eq(value_get_str(value_get(value_at(list, 0), "error"), "code"), "IO");
	answer = call("POST", replay, NULL);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	await_running(1);
	const struct value *task = call("GET", at(OPS "/tasks", id), NULL).body;
	cr_assert_eq(value_get_int(task, "attempt", -1), 1, "all its attempts are before it");
	cr_assert_null(value_get(task, "error"));
}

/* --- bad input: each is refused by name, and loses nothing --- */

static void refuses(const char *body, const char *code, const char *sentence)
{
	struct answer answer = call("POST", OPS "/runs", body);
	cr_assert(answer.code && strcmp(answer.code, code) == 0, "%s", answer.text);
	cr_assert(strstr(answer.detail, sentence), "%s", answer.detail);
	cr_assert_eq(value_len(value_get(call("GET", OPS "/runs", NULL).body, "items")), 0);
}

Test(runs, what_is_wrong_with_a_run_is_said_by_name)
{
	refuses("{'tasks':[" PROBE("a", "{'task':'b'}") "," PROBE("b", "{'task':'a'}") "]}",
	        "INVALID", "is a cycle");
	refuses("{'tasks':[" PROBE("load", "") "," PROBE("b", "{'task':'laod'}") "]}", "INVALID",
	        "did you mean load?");
	refuses("{'pipeline':'none'}", "NOT_FOUND", "there is no pipeline none");
	refuses("{'name':'x'}", "INVALID", "its pipeline or its tasks");
	refuses("{'pipeline':'x','tasks':[" PROBE("a", "") "]}", "INVALID", "names both");
	refuses("{'tasks':[{'name':'a','type':'ingest','spec':{'source':'none'}}]}", "INVALID",
	        "tasks[0]: spec.source: there is no source none");
	struct answer answer = call("POST", OPS "/tasks", "{'tasks':[" PROBE("a", "") "]}");
	cr_assert_eq(answer.status, 400, "%s", answer.text);
	const char *pipeline = "{'apiVersion':'freehold.io/v1','kind':'Pipeline',"
		"'metadata':{'name':'p'},"
		"'spec':{'tasks':[" PROBE("a", "{'task':'a'}") "]}}";
	answer = call("PUT", OPS "/pipelines/p", pipeline);
	cr_assert_eq(answer.status, 400, "%s", answer.text);
	cr_assert(strstr(answer.detail, "spec.tasks: a -> a is a cycle"), "%s", answer.detail);
}

Test(runs, one_idempotency_key_starts_one_run_and_no_other)
{
	const struct header headers[] = {
		{ "Content-Type", "application/json" }, { "Idempotency-Key", "k1" }, { NULL, NULL }
	};
	struct asked asked = {
		.method = "POST", .path = OPS "/runs", .key = key, .headers = headers,
		.body = "{\"tasks\":[{\"name\":\"a\",\"type\":\"probe\"}]}",
	};
	struct answer first = plane_ask(stage->plane, &asked);
	cr_assert_eq(first.status, 202, "%s", first.text);
	struct answer second = plane_ask(stage->plane, &asked);
	cr_assert_eq(second.status, 202, "%s", second.text);
	cr_assert_str_eq(value_get_str(first.body, "id"), value_get_str(second.body, "id"));
	asked.body = "{\"tasks\":[{\"name\":\"b\",\"type\":\"probe\"}]}";
	second = plane_ask(stage->plane, &asked);
	cr_assert_eq(second.status, 409, "%s", second.text);
	cr_assert(strstr(second.detail, "with another body"), "%s", second.detail);
	cr_assert_eq(value_len(value_get(call("GET", OPS "/runs", NULL).body, "items")), 1);
}

Test(runs, a_dry_run_starts_nothing_and_holds_nothing)
{
	struct answer answer = call("POST", OPS "/runs?dryRun=true", "{'tasks':" DIAMOND "}");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_assert_eq(value_len(value_get(call("GET", OPS "/runs", NULL).body, "items")), 0);
	answer = call("GET", "/v1/tenants/acme/usage", NULL);
	cr_assert_eq(value_get_int(value_get(answer.body, "reserved"), "tasks", 0), 0);
}

Test(runs, a_task_that_expires_has_failed_and_says_when)
{
	puppet_deaf(puppet, true);
	struct answer answer = call("POST", OPS "/tasks", "{'type':'probe','spec':{},"
	                            "'placement':{'expires':'5s'}}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	const char *path = at(OPS "/tasks", value_get_str(answer.body, "id"));
	cr_assert(stage_await(stage, ended, (void *)(uintptr_t)path, PATIENCE_MS));
	answer = call("GET", path, NULL);
	cr_assert_str_eq(value_get_str(answer.body, "state"), "failed", "%s", answer.text);
	cr_assert_str_eq(value_get_str(value_get(answer.body, "error"), "code"), "TIMEOUT");
}

/* It is asked for, as a cancelled one is; what it used until then is billed. */
Test(runs, a_running_task_that_expires_is_ended_and_has_failed)
{
	struct answer answer = call("POST", OPS "/tasks", "{'type':'probe','spec':{},"
	                            "'placement':{'expires':'2s'}}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	const char *path = at(OPS "/tasks", value_get_str(answer.body, "id"));
	await_running(1);
	cr_assert_not(stage_pass(stage, ended, (void *)path, 3000), "its worker has it still");
	cr_expect_str_eq(value_get_str(call("GET", path, NULL).body, "state"), "running");
	cr_assert(stage_await(stage, is_told_to_end, NULL, PATIENCE_MS));
	end_one(OUTCOME_SUCCEEDED, 0);
	cr_assert(stage_await(stage, ended, (void *)path, PATIENCE_MS));
	answer = call("GET", path, NULL);
	cr_assert_str_eq(value_get_str(answer.body, "state"), "failed", "%s", answer.text);
	const struct value *error = value_get(answer.body, "error");
	cr_expect_str_eq(value_get_str(error, "code"), "TIMEOUT", "%s", answer.text);
	cr_expect_not_null(strstr(answer.text, "placement.expires"), "%s", answer.text);
	cr_expect_gt(value_get_int(value_get(answer.body, "usage"), "cpuMs", 0), 0, "%s",
	             answer.text);
	answer = call("GET", "/v1/tenants/acme/usage", NULL);
	cr_expect_eq(value_get_int(value_get(answer.body, "reserved"), "tasks", 0), 0,
	             "%s", answer.text);
}

/* The end of one that had succeeded just before is not changed by it. */
Test(runs, a_task_that_ends_before_it_expires_has_not_expired)
{
	struct answer answer = call("POST", OPS "/tasks", "{'type':'probe','spec':{},"
	                            "'placement':{'expires':'60s'}}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	const char *path = at(OPS "/tasks", value_get_str(answer.body, "id"));
	end_one(OUTCOME_SUCCEEDED, 0);
	cr_assert(stage_await(stage, ended, (void *)path, 30000));
	cr_assert_not(stage_pass(stage, never, NULL, 70000));
	answer = call("GET", path, NULL);
	cr_expect_str_eq(value_get_str(answer.body, "state"), "succeeded", "%s", answer.text);
}
