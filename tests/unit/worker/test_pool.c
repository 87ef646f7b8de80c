/* Executors: kept ready, limited, cancelled. */
#include "common/defs.h"
#include "tests/support/process.h"
#include "tests/support/worksite.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct worksite site;
static void setup(void)
{
	worksite_open(&site, 1, false);
}
static void teardown(void)
{
	worksite_close(&site);
}
TestSuite(pool, .init = setup, .fini = teardown);

static struct report probe(int sleep_ms, int64_t deadline_ms)
{
	struct value *work = value_map(site.arena);
	value_set_int(work, "sleepMs", sleep_ms);
	struct grant grant = worksite_grant(&site, TASK_PROBE, work);
	grant.limits.deadline_ms = deadline_ms;
	return worksite_run(&site, &grant);
}

static struct report burn(const char *sql, int64_t cpu_ms, uint64_t memory)
{
	static struct grant_table output;
	output = worksite_table("x", "ds2", NULL, NULL, &site);
	struct value *work = value_map(site.arena);
	value_set_str(work, "sql", sql);
	struct grant grant = worksite_grant(&site, TASK_TRANSFORM, work);
	grant.outputs = &output;
	grant.output_count = 1;
	grant.limits.cpu_ms = cpu_ms;
	grant.limits.memory_bytes = memory;
	return worksite_run(&site, &grant);
}

enum { CHILDREN_MAX = 16, MORE_THAN_A_SOCKET_HOLDS = 8 * 1024 * 1024 };

/* The zygote, and those that it forked. */
static void kill_children(void)
{
	pid_t children[CHILDREN_MAX];
	size_t count = process_children(getpid(), children, CHILDREN_MAX);
	for (size_t i = 0; i < count && i < CHILDREN_MAX; i++)
		kill(children[i], SIGKILL);
}

static bool one_waits(void *pool)
{
	return pool_ready(pool) == 1;
}

static bool none_waits(void *pool)
{
	return pool_ready(pool) == 0;
}

/* A pool_wanted_fn: when the job has been sent. */
static bool kill_once(void *context)
{
	bool *killed = context;
	if (!*killed)
		kill_children();
	return *killed = true;
}

/* When one has been taken for the job, which cannot be sent to its end. */
static void *kill_at_claim(void *pool)
{
	if (wait_until(none_waits, pool, 60000))
		kill_children();
	return NULL;
}

/* The one that waits reads nothing of what it is sent. */
static void stop_all(void)
{
	cr_assert(wait_until(one_waits, site.runner.pool, 60000));
	process_pause_children(getpid());
}

static int run_probe(size_t padding, pool_wanted_fn *wanted, void *context, struct err *err)
{
	struct usage usage = {0};
	struct limits limits;
	struct value *result = NULL, *message = value_map(site.arena);
	char *text = arena_alloc(site.arena, padding + 1);
	memset(text, 'x', padding);
	text[padding] = 0;
	limits_default(&limits);
	value_set_str(message, "type", "probe");
	value_set_str(message, "domain", "sales");
	value_set_str(message, "padding", text);
	value_set_int(message, "threads", limits.threads);
	value_set_int(message, "memory", (int64_t)limits.memory_bytes);
	value_set(message, "work", value_map(site.arena));
	struct pool_job job = {
		.message = message, .wanted = wanted, .context = context, .limits = &limits};
	int rc = pool_run(site.runner.pool, &job, &site.attempt, site.arena, &result, &usage, err);
	cr_expect_eq(rc < 0, !result);
	return rc;
}

static void *cancel_soon(void *context)
{
	usleep(200000);
	attempt_cancel(context);
	return NULL;
}

Test(pool, runs_a_job_in_an_executor_that_waited)
{
	for (int i = 0; i < 200 && pool_ready(site.runner.pool) == 0; i++)
		usleep(50000);
	cr_assert_eq(pool_ready(site.runner.pool), 1);
	struct report report = probe(0, 60000);
	cr_assert_eq(report.code, 0, "%s", report.text);
	cr_expect_gt(report.usage.cpu_ms, 0);
	for (int i = 0; i < 200 && pool_ready(site.runner.pool) == 0; i++)
		usleep(50000);
	cr_expect_eq(pool_ready(site.runner.pool), 1, "another takes its place");
}

Test(pool, ends_an_attempt_at_its_deadline)
{
	struct report report = probe(30000, 300);
	cr_expect_eq(report.code, E_RESOURCES);
	cr_expect(strstr(report.text, "300 ms"), "%s", report.text);
	cr_expect_lt(report.usage.wall_ms, 10000);
}

Test(pool, ends_an_attempt_at_its_cpu_limit)
{
	struct report report =
		burn("SELECT sum(hash(a.range + b.range)::DOUBLE) AS s FROM range(100000000) a, "
	             "range(1000) b",
	             700, 1024 * MIB);
	cr_expect_eq(report.code, E_RESOURCES, "%s", report.text);
	cr_expect(strstr(report.text, "cpuSeconds: the attempt may take 700 ms"), "%s",
	          report.text);
	cr_expect_geq(report.usage.cpu_ms, 700);
}

Test(pool, ends_an_attempt_at_its_memory_limit)
{
	struct report report =
		burn("SELECT list(range) AS l FROM range(200000000)", 60000, 200 * MIB);
	cr_expect_eq(report.code, E_RESOURCES, "%s", report.text);
	cr_expect(strstr(report.text, "memoryBytes"), "%s", report.text);
	cr_expect(strstr(report.text, "209715200"), "%s", report.text);
}

Test(pool, cancels_a_running_attempt_within_a_second)
{
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, &site.attempt), 0);
	struct report report = probe(30000, 60000);
	pthread_join(thread, NULL);
	cr_expect_eq(report.outcome, OUTCOME_CANCELLED);
	cr_expect_lt(report.usage.wall_ms, 20000, "it would have slept for 30 s");
}

Test(pool, gives_a_job_to_another_when_the_first_is_killed_before_it_read_it)
{
	struct err err = {0};
	bool killed = false;
	stop_all();
	cr_expect_eq(run_probe(0, kill_once, &killed, &err), 0, "%s", err.text);
	cr_expect(killed);
}

Test(pool, gives_a_job_to_another_when_the_first_is_killed_while_it_is_sent)
{
	struct err err = {0};
	pthread_t thread;
	stop_all();
	cr_assert_eq(pthread_create(&thread, NULL, kill_at_claim, site.runner.pool), 0);
	cr_expect_eq(run_probe(MORE_THAN_A_SOCKET_HOLDS, NULL, NULL, &err), 0, "%s", err.text);
	pthread_join(thread, NULL);
}

Test(pool, refuses_a_program_that_is_not_there)
{
	pool_free(site.runner.pool);
	struct pool_conf conf = {.program = "/nonexistent/freehold-worker",
	                         .clock = clock_system()};
	struct err err = {0};
	cr_assert_eq(pool_new(&conf, &site.runner.pool, &err), 0);
	struct report report = probe(0, 1000);
	cr_expect_eq(report.outcome, OUTCOME_FAILED);
}

Test(pool, says_what_its_executors_cages_are)
{
	struct cage_report cage;
	struct err err = {0};
	cr_assert_eq(pool_cage(site.runner.pool, &cage, &err), 0, "%s", err.text);
	cr_expect(cage.layers[CAGE_SECCOMP].on);
	cr_expect_not(cage.layers[CAGE_CGROUP].on, "nobody asked for groups");
	for (int i = 0; i < CAGE_LAYERS; i++)
		if (!cage.layers[i].on)
			fprintf(stderr, "not tested, this host has no \"%s\": %s\n",
			        cage_layer_name(i), cage.layers[i].why);
}

/* Of both ways to an executor. */
Test(pool, gives_no_task_to_an_executor_without_a_layer_that_is_required)
{
	for (int ready = 0; ready < 2; ready++) {
		struct pool_conf conf = {
			.ready = ready, .clock = clock_system(), .required = 1u << CAGE_CGROUP};
		struct pool *pool = NULL;
		struct cage_report cage;
		struct err err = {0};
		cr_assert_eq(pool_new(&conf, &pool, &err), 0, "%s", err.text);
		cr_expect_eq(pool_cage(pool, &cage, &err), E_UNAVAILABLE);
		cr_expect_not_null(strstr(err.text, "\"cgroup\""), "%s", err.text);
		struct pool *own = site.runner.pool;
		site.runner.pool = pool;
		struct report report = probe(0, 60000);
		cr_expect_eq(report.code, E_UNAVAILABLE, "%s", report.text);
		site.runner.pool = own;
		pool_free(pool);
	}
}
