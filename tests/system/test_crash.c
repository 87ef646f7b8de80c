/* Parts die in the middle of work: nothing acknowledged is lost, nothing is done twice, and what is
 * billed is what was measured. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BIG = 2000000, PROBES = 12, END_MS = 150000 };

static const char *const measures[] = {"tasks",	       "cpuMs", "bytesRead",
				       "bytesWritten", "rows",	"costMicros"};

static struct value *all_tasks(struct system *system)
{
	struct value *page = system_ask(system, story_key(system, "ada"), "GET",
					SALES "/tasks?limit=500", NULL);
	cr_assert_null(value_get(page, "continue"));
	return value_get_mut(page, "items");
}

/* What was measured, task by task, is what the tenant's total says. */
static void check_bill(struct system *system)
{
	struct value *tasks = all_tasks(system);
	for (size_t m = 0; m < ARRAY_LEN(measures); m++) {
		int64_t sum = 0;
		for (size_t i = 0; i < value_len(tasks); i++)
			sum += value_get_int(value_get(value_at(tasks, i), "usage"), measures[m],
					     0);
		cr_assert_eq(story_usage(system, measures[m]), sum,
			     "%s: bill %" PRId64 ", tasks %" PRId64, measures[m],
			     story_usage(system, measures[m]), sum);
	}
	struct value *usage =
		system_ask(system, story_key(system, "ada"), "GET", "/v1/tenants/acme/usage", NULL);
	const struct value *reserved = value_get(usage, "reserved");
	const char *name = NULL;
	for (size_t i = 0; i < value_len(reserved); i++)
		cr_assert_eq(value_as_int(value_member(reserved, i, &name), -1), 0,
			     "%s is still reserved after all has ended", name);
}

/* Events that tell of a task's success in the audit log. */
static size_t outcomes(struct system *system, const char *id)
{
	size_t count = 0;
	const char *next = NULL;
	do {
		struct value *page = system_ask(
			system, story_key(system, "operator"), "GET",
			arena_printf(system_arena(system),
				     "/v1/tenants/acme/audit?action=task:outcome&result=succeeded"
				     "&limit=500%s%s",
				     next ? "&continue=" : "", next ? next : ""),
			NULL);
		const struct value *items = value_get(page, "items");
		for (size_t i = 0; i < value_len(items); i++) {
			const char *task = value_get_str(value_at(items, i), "task");
			count += task && strcmp(task, id) == 0;
		}
		next = value_get_str(page, "continue");
	} while (next);
	return count;
}

static void check_succeeded(struct system *system, const char *id)
{
	struct value *task = story_await(system, id, END_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s: %s", task_code(task),
			 task_text(task));
	cr_assert_eq(outcomes(system, id), 1, "the audit log tells %zu times of the success of %s",
		     outcomes(system, id), id);
}

static void check_all_succeeded(struct system *system)
{
	struct value *tasks = all_tasks(system);
	for (size_t i = 0; i < value_len(tasks); i++)
		check_succeeded(system, value_get_str(value_at(tasks, i), "id"));
}

static struct system *start_with_orders(int64_t rows, const struct system_options *options)
{
	struct system *system = story_start(options);
	data_csv(system, "orders.csv", rows);
	story_orders(system, "orders.csv", "csv", "");
	return system;
}

Test(crash, a_worker_killed_in_an_ingestion_costs_an_attempt_and_no_row)
{
	struct system *system = start_with_orders(BIG, NULL);
	const char *id = story_submit(system, "ingest", "{\"source\":\"orders\"}");
	story_await_running(system, id);
	wait_ms(400);
	pid_t executors[16];
	size_t count = process_children(system_pid(system, PART_WORKER), executors, 16);
	system_kill(system, PART_WORKER);
	cr_assert_str_eq(value_get_str(story_task(system, id), "state"), "running",
			 "it ended before the worker was killed; take more rows");
	for (size_t i = 0; i < count && i < 16; i++)
		for (int waited = 0; process_alive(executors[i]); waited += 10, wait_ms(10))
			cr_assert(waited < 60000, "an executor outlives its worker");
	system_run(system, PART_WORKER);
	check_succeeded(system, id);
	cr_assert_eq(value_get_int(story_task(system, id), "attempt", 0), 2);
	cr_assert_eq(story_rows(system, "orders"), BIG);
	check_bill(system);
	system_stop(system);
}

static void submit_probes(struct system *system, const char **ids, int count)
{
	for (int i = 0; i < count; i++)
		ids[i] = story_submit(system, "probe", "{\"sleepMs\":300}");
}

static void survives(enum part part)
{
	const char *ids[PROBES];
	struct system *system = start_with_orders(BIG / 4, NULL);
	const char *ingest = story_submit(system, "ingest", "{\"source\":\"orders\"}");
	submit_probes(system, ids, PROBES);
	story_await_running(system, ingest);
	wait_ms(200);
	system_kill(system, part);
	wait_ms(300);
	system_run(system, part);
	check_succeeded(system, ingest);
	for (int i = 0; i < PROBES; i++)
		check_succeeded(system, ids[i]);
	cr_assert_eq(story_rows(system, "orders"), BIG / 4);
	cr_assert_eq(value_len(all_tasks(system)), PROBES + 1);
	check_bill(system);
	system_stop(system);
}

Test(crash, acknowledged_tasks_outlive_a_killed_control_and_end_once)
{
	survives(PART_CONTROL);
}

Test(crash, acknowledged_tasks_outlive_a_killed_etcd_and_end_once)
{
	survives(PART_ETCD);
}

Test(crash, while_etcd_is_away_requests_are_told_when_to_try_again_and_tasks_go_on)
{
	struct system *system = start_with_orders(1000, NULL);
	const char *key = story_key(system, "ada");
	const char *id = story_submit(system, "probe", "{\"sleepMs\":4000}");
	story_await_running(system, id);
	system_kill(system, PART_ETCD);
	int64_t began = mono_ms();
	size_t refused = 0;
	while (mono_ms() - began < 12000) {
		struct answer answer = system_call(system, key, "POST", SALES "/tasks",
						   "{\"type\":\"probe\",\"spec\":{}}");
		cr_assert_eq(answer.status, 503, "%d %s", answer.status, answer.text);
		cr_assert_not_null(answer_header(system, &answer, "Retry-After"));
		refused++;
		wait_ms(500);
	}
	cr_assert_geq(refused, 2);
	system_run(system, PART_ETCD);
	check_succeeded(system, id);
	cr_assert_eq(value_get_int(story_task(system, id), "attempt", 0), 1,
		     "a running task did not go on");
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	/* What was refused may have been written all the same; what was, has ended. */
	struct value *tasks = all_tasks(system);
	cr_assert_leq(value_len(tasks), 2 + refused);
	for (size_t i = 0; i < value_len(tasks); i++)
		check_succeeded(system, value_get_str(value_at(tasks, i), "id"));
	check_bill(system);
	system_stop(system);
}

/* POST with a key until it is acknowledged. */
static const char *submit_once(struct system *system, const char *key)
{
	const char *header = arena_printf(system_arena(system), "Idempotency-Key: %s", key);
	const char *ada = story_key(system, "ada");
	for (int64_t deadline = mono_ms() + 60000; mono_ms() < deadline; wait_ms(50)) {
		struct answer answer =
			system_call_with(system, PORT_API, ada, header, "POST", SALES "/tasks",
					 "{\"type\":\"probe\",\"spec\":{\"sleepMs\":20}}");
		if (answer.status >= 200 && answer.status < 300)
			return value_get_str(answer.body, "id");
		cr_assert(answer.status == 0 || answer.status == 503, "%d %s", answer.status,
			  answer.text);
	}
	cr_assert_fail("not acknowledged within a minute");
	return NULL;
}

static const char *key_of(struct system *system, int i)
{
	return arena_printf(system_arena(system), "order-%d", i);
}

Test(crash, repeated_kills_under_a_stream_of_submissions_lose_none_and_double_none)
{
	enum { ROUNDS = 12, EACH = 5 };
	static const enum part victims[] = {PART_CONTROL, PART_ETCD, PART_WORKER};
	const char *ids[ROUNDS * EACH];
	struct system *system = story_start(NULL);
	for (int round = 0; round < ROUNDS; round++) {
		enum part victim = victims[round % 3];
		int first = round * EACH;
		/* The first of each round is under way while the part dies. */
		const char *const args[] = {"run",
					    "probe",
					    "--sleep",
					    "20ms",
					    "--no-wait",
					    "--profile",
					    "ada",
					    "--idempotency-key",
					    key_of(system, first),
					    NULL};
		pid_t asks =
			system_cli_start(system, system_path(system, "out/round-%d", round), args);
		wait_ms(5 * round);
		system_kill(system, victim);
		process_wait(asks, 60000);
		system_run(system, victim);
		for (int i = first; i < first + EACH; i++)
			ids[i] = submit_once(system, key_of(system, i));
	}
	for (int i = 0; i < ROUNDS * EACH; i++) {
		check_succeeded(system, ids[i]);
		cr_assert_str_eq(submit_once(system, key_of(system, i)), ids[i]);
	}
	cr_assert_eq(value_len(all_tasks(system)), ROUNDS * EACH);
	check_bill(system);
	system_stop(system);
}

Test(crash, a_worker_that_comes_back_after_it_was_given_up_changes_nothing)
{
	struct system *system = start_with_orders(BIG, NULL);
	const char *id = story_submit(system, "ingest", "{\"source\":\"orders\"}");
	story_await_running(system, id);
	wait_ms(300);
	system_pause(system, PART_WORKER);
	cr_assert_str_eq(value_get_str(story_task(system, id), "state"), "running",
			 "it ended before the worker was stopped; take more rows");
	system_run(system, PART_WORKER_2);
	struct value *task = story_await(system, id, END_MS);
	cr_assert_eq(value_get_int(task, "attempt", 0), 2);
	cr_assert_eq(story_rows(system, "orders"), BIG);
	int64_t rows = story_usage(system, "rows"), stored = story_usage(system, "bytesStored");
	system_resume(system, PART_WORKER);
	wait_ms(8000); /* for its old attempt to end, too */
	cr_assert(value_equal(value_get(story_task(system, id), "outputs"),
			      value_get(task, "outputs")));
	cr_assert_eq(story_rows(system, "orders"), BIG);
	cr_assert_eq(story_usage(system, "rows"), rows);
	cr_assert_eq(story_usage(system, "bytesStored"), stored);
	check_succeeded(system, id);
	check_bill(system);
	story_run(system, "probe", "{}");
	system_stop(system);
}

Test(crash, a_system_that_is_started_anew_has_everything_it_had)
{
	struct system *system = start_with_orders(5000, NULL);
	story_spending(system);
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
	static const char ask[] = "{\"features\":[\"spending:total\"],"
				  "\"entities\":{\"customer\":[\"customer-of-marker-5\"]},\"full_"
				  "feature_names\":false}";
	struct answer before = story_features(system, "eve", ask);
	cr_assert_eq(before.status, 200, "%s", before.text);
	struct value *tasks = all_tasks(system);
	system_kill(system, PART_WORKER);
	system_kill(system, PART_CONTROL);
	system_kill(system, PART_ETCD);
	system_run(system, PART_ETCD);
	system_run(system, PART_CONTROL);
	system_run(system, PART_WORKER);
	system_await_ready(system);
	cr_assert_eq(story_rows(system, "orders"), 5000);
	cr_assert_eq(value_len(all_tasks(system)), value_len(tasks));
	struct answer after = story_features(system, "eve", ask);
	cr_assert_str_eq(before.text, after.text);
	check_bill(system);
	system_stop(system);
}

struct replica {
	struct system *system;
	int port;
};

static bool leads(void *context)
{
	struct replica *replica = context;
	struct answer answer = system_call_with(replica->system, replica->port, NULL, NULL, "GET",
						"/readyz", NULL);
	return value_get_int(answer.body, "shardsLed", 0) > 0;
}

Test(crash, a_deposed_leader_that_wakes_up_writes_nothing_and_the_next_one_lost_nothing)
{
	const struct system_options options = {.replicas = true};
	const char *ids[PROBES];
	struct system *system = start_with_orders(1000, &options);
	const char *ada = story_key(system, "ada");
	struct replica first = {system, PORT_API}, second = {system, PORT_API_2};
	system_run(system, PART_CONTROL_2);
	cr_assert(!leads(&second), "two replicas lead");
	submit_probes(system, ids, PROBES);
	system_pause(system, PART_CONTROL);
	cr_assert(wait_until(leads, &second, 60000), "nobody follows the leader");
	struct answer answer = system_call_with(
		system, PORT_API_2, ada, NULL, "POST", SALES "/tasks",
		"{\"type\":\"ingest\",\"spec\":{\"source\":\"orders\"}}");
	cr_assert(answer.status / 100 == 2, "%d %s", answer.status, answer.text);
	system_resume(system, PART_CONTROL);
	struct answer late = system_call(system, ada, "POST", SALES "/tasks",
					 "{\"type\":\"probe\",\"spec\":{}}");
	/* It passes it on as soon as it knows who leads; until then it says when to come back. */
	cr_assert(late.status == 202 || late.status == 503, "%d %s", late.status, late.text);
	if (late.status == 503)
		cr_assert_not_null(answer_header(system, &late, "Retry-After"));
	system_kill(system, PART_CONTROL_2);
	cr_assert(wait_until(leads, &first, 60000), "nobody leads");
	for (int i = 0; i < PROBES; i++)
		check_succeeded(system, ids[i]);
	check_succeeded(system, value_get_str(answer.body, "id"));
	check_all_succeeded(system);    /* the late one, too, if it was taken */
	cr_assert_eq(story_rows(system, "orders"), 1000);
	check_bill(system);
	system_stop(system);
}

Test(crash, an_etcd_that_hangs_costs_answers_no_client_its_patience_and_no_task)
{
	struct system *system = start_with_orders(1000, NULL);
	const char *key = story_key(system, "ada");
	const char *id = story_submit(system, "probe", "{\"sleepMs\":3000}");
	story_await_running(system, id);
	system_pause(system, PART_ETCD);
	for (int64_t began = mono_ms(); mono_ms() - began < 15000;) {
		struct answer answer = system_call(system, key, "POST", SALES "/tasks",
						   "{\"type\":\"probe\",\"spec\":{}}");
		cr_assert(answer.status == 503 || answer.status == 504, "%d %s", answer.status,
			  answer.text);
		cr_assert_not_null(answer_header(system, &answer, "Retry-After"));
		wait_ms(300);
	}
	system_resume(system, PART_ETCD);
	check_succeeded(system, id);
	check_all_succeeded(system);
	check_bill(system);
	system_stop(system);
}

Test(crash, a_control_that_stood_still_beyond_its_lease_finds_what_was_done_meanwhile)
{
	struct system *system = start_with_orders(BIG / 4, NULL);
	const char *ids[PROBES];
	const char *ingest = story_submit(system, "ingest", "{\"source\":\"orders\"}");
	submit_probes(system, ids, PROBES);
	story_await_running(system, ingest);
	system_pause(system, PART_CONTROL);
	wait_ms(18000);
	system_resume(system, PART_CONTROL);
	check_succeeded(system, ingest);
	for (int i = 0; i < PROBES; i++)
		check_succeeded(system, ids[i]);
	cr_assert_eq(story_rows(system, "orders"), BIG / 4);
	check_bill(system);
	system_stop(system);
}
