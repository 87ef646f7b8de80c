/* test_dispatch.c - a leader and its workers over a real link, in simulated time. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "common/store_mem.h"
#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* The next poll names that attempt as running. */
static void keep_running(struct hand *hand, const struct grant *grant, struct running *slot)
{
	*slot = (struct running){ grant->task, grant->token, { "reading", 5, 50, 10 } };
	hand->poll.running = slot;
	hand->poll.running_count = 1;
}

static void finish(struct hand *hand, const struct grant *grant, struct report *slot)
{
	*slot = (struct report){
		.task = grant->task, .token = grant->token, .outcome = OUTCOME_SUCCEEDED,
		.usage = { .cpu_ms = 40 },
	};
	hand->poll.running_count = 0;
	hand->poll.done = slot;
	hand->poll.done_count = 1;
}

static void report_nothing(struct hand *hand)
{
	hand->poll.running_count = 0;
	hand->poll.done_count = 0;
}

static void await_ack(struct hand *hand, const struct token *token)
{
	for (int i = 0; i < 100; i++) {
		struct poll_answer answer;
		if (hand_try(hand, 200, &answer) < 0)
			continue;
		for (size_t j = 0; j < answer.ack_count; j++)
			if (answer.acks[j].counter == token->counter)
				return;
	}
	cr_assert(false, "the report was not acknowledged");
}

Test(dispatch, a_task_goes_out_comes_back_and_is_acknowledged_when_durable)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct report done;
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{'sleepMs':5}");
	struct grant *grant = hand_task(&hand);
	cr_assert_str_eq(grant->task, id);
	cr_assert_eq(grant->attempt, 1);
	cr_assert_eq(grant->token.epoch, journal_epoch(desk->part.journal));
	cr_assert_eq(value_get_int(grant->work, "sleepMs", 0), 5);
	cr_assert_str_eq(desk_state(desk, "acme", id), "running");
	finish(&hand, grant, &done);
	await_ack(&hand, &grant->token);
	cr_assert_str_eq(desk_state(desk, "acme", id), "succeeded");
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 40);
	await_ack(&hand, &grant->token);     /* said once more: acknowledged, and counted no more */
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 40);
	hand_end(&hand);
	desk_end(desk);
}

struct held { struct hand *hand; struct poll_answer answer; int rc; };

static void *poll_held(void *context)
{
	struct held *held = context;
	held->rc = hand_try(held->hand, 60000, &held->answer);
	return NULL;
}

Test(dispatch, a_held_poll_is_answered_when_work_comes)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct held held = { .hand = &hand };
	struct dispatch_status status = { 0 };
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, poll_held, &held), 0);
	desk_await_workers(desk, 1);
	dispatch_status(desk->part.dispatch, desk->arena, &status);
	cr_assert_eq(status.slots, 4);
	cr_assert_str_eq(status.serve_url, "http://127.0.0.1:1");
	clock_advance(desk->clock, 3000);
	desk_submit(desk, "acme", TASK_PROBE, "{}");
	pthread_join(thread, NULL);
	cr_assert_eq(held.rc, 0, "%s", desk->err.text);
	cr_assert_eq(held.answer.task_count, 1);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, a_repeated_poll_gets_the_same_answer)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct grant *grant = hand_task(&hand);
	struct poll_answer again = hand_repeat(&hand);
	cr_assert_eq(again.task_count, 1);
	cr_assert_eq(hand_open(&hand, &again.tasks[0])->token.counter, grant->token.counter);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, an_attempt_that_never_arrived_is_given_out_again_without_counting)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct grant *first = hand_task(&hand);
	report_nothing(&hand);
	struct grant *second = hand_task(&hand);
	cr_assert_str_eq(second->task, first->task);
	cr_assert_neq(second->token.counter, first->token.counter);
	cr_assert_eq(second->attempt, 1);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, a_restarted_worker_loses_its_attempts_at_once)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct grant *first = hand_task(&hand);
	hand_end(&hand);
	struct hand anew = hand_new(desk, "w1", 2);
	struct report done;
	struct grant *second = hand_task(&anew);
	cr_assert_str_eq(second->task, id);
	cr_assert_eq(second->attempt, 2);
	finish(&anew, first, &done);         /* the zombie's */
	struct running slot;
	keep_running(&anew, second, &slot);
	await_ack(&anew, &first->token);
	cr_assert_str_eq(desk_state(desk, "acme", id), "running", "a zombie ends nothing");
	finish(&anew, second, &done);
	await_ack(&anew, &second->token);
	cr_assert_str_eq(desk_state(desk, "acme", id), "succeeded");
	cr_assert_eq(desk_used(desk, "acme", "tasks"), 1);
	hand_end(&anew);
	desk_end(desk);
}

Test(dispatch, a_silent_workers_task_goes_to_another)
{
	struct desk *desk = desk_new(true);
	struct hand dead = hand_new(desk, "w1", 1), other = hand_new(desk, "w2", 1);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	hand_task(&dead);
	for (int i = 0; i < 2 * SILENT_MS / 1000 &&
	     strcmp(desk_state(desk, "acme", id), "running") == 0; i++) {
		clock_advance(desk->clock, 1000);
		usleep(2000);
	}
	struct grant *second = hand_task(&other);
	cr_assert_str_eq(second->task, id);
	cr_assert_eq(second->attempt, 2);
	hand_end(&dead);
	hand_end(&other);
	desk_end(desk);
}

Test(dispatch, a_new_leader_adopts_what_runs_and_settles_it_once)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct running slot;
	struct report done;
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct grant *grant = hand_task(&hand);
	keep_running(&hand, grant, &slot);
	desk_lead(desk);
	struct poll_answer answer;
	for (int i = 0; i < 400 && strcmp(desk_state(desk, "acme", id), "running") != 0; i++)
		if (hand_try(&hand, 200, &answer) == 0)
			cr_assert_eq(answer.cancel_count, 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "running");
	clock_advance(desk->clock, 5000);
	cr_assert_eq(hand_try(&hand, 100, &answer) == 0 && answer.task_count > 0, false,
	             "it is given out once");
	finish(&hand, grant, &done);
	await_ack(&hand, &grant->token);
	cr_assert_str_eq(desk_state(desk, "acme", id), "succeeded");
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, a_new_leader_waits_before_it_gives_out_what_may_still_run)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	desk_submit(desk, "acme", TASK_PROBE, "{}");
	desk_lead(desk);
	cr_assert_lt(hand_try(&hand, 300, &answer), 0, "held: nothing is given out yet");
	clock_advance(desk->clock, ADOPT_MS + 100);
	hand_task(&hand);
	hand_end(&hand);
	desk_end(desk);
}

static const char *rule_at(struct desk *desk, const char *id, size_t i)
{
	struct value *map = shard_explain(desk->part.shard, desk->arena, "acme", NULL, id);
	cr_assert_not_null(map);
	const char *rule = value_get_str(value_at(value_get(map, "reasons"), i), "rule");
	return rule ? rule : "none";
}

Test(dispatch, under_a_new_leader_that_has_no_workers_that_is_the_first_reason)
{
	struct desk *desk = desk_new(true);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	desk_lead(desk);
	cr_expect_str_eq(rule_at(desk, id, 0), "never-fits");
	cr_expect_str_eq(rule_at(desk, id, 1), "new-leader");
	desk_end(desk);
}

Test(dispatch, a_running_task_is_cancelled_through_its_worker)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct running slot;
	struct report done;
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct grant *grant = hand_task(&hand);
	keep_running(&hand, grant, &slot);
	desk_cancel(desk, id);
	struct poll_answer answer = hand_poll(&hand);
	cr_assert_eq(answer.cancel_count, 1);
	cr_assert_eq(answer.cancels[0].counter, grant->token.counter);
	finish(&hand, grant, &done);
	done.outcome = OUTCOME_CANCELLED;
	await_ack(&hand, &grant->token);
	cr_assert_str_eq(desk_state(desk, "acme", id), "cancelled");
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 40, "what it took is billed");
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, a_waiting_task_is_cancelled_at_once)
{
	struct desk *desk = desk_new(true);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	desk_cancel(desk, id);
	desk_await(desk, "acme", id, "cancelled");
	cr_assert_eq(desk_reserved(desk, "acme", "tasks"), 0);
	cr_assert_eq(dispatch_cancel(desk->part.dispatch, "acme", id, &desk->err), E_CONFLICT);
	cr_assert_eq(dispatch_cancel(desk->part.dispatch, "globex", id, &desk->err),
	             E_NOT_FOUND);
	desk_end(desk);
}

Test(dispatch, what_cannot_be_planned_fails_with_the_users_sentence)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	desk_story(desk);
	const char *id = desk_submit(desk, "acme", TASK_TRANSFORM, "{'transformation':'hourly'}");
	for (int i = 0; i < 100 && strcmp(desk_state(desk, "acme", id), "failed") != 0; i++) {
		if (hand_try(&hand, 50, &answer) == 0)
			cr_assert_eq(answer.task_count, 0);
		clock_advance(desk->clock, 200);
	}
	const struct value *error = value_get(desk_task(desk, "acme", id), "error");
	cr_assert(error && strstr(value_get_str(error, "text"), "has no data yet"));
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, a_materialize_goes_only_to_a_worker_that_serves)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	clock_advance(desk->clock, 3000);
	hand.poll.serve_url = NULL;
	const char *id = desk_submit(desk, "acme", TASK_MATERIALIZE, "{'featureView':'delays'}");
	cr_assert_lt(hand_try(&hand, 200, &answer), 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "queued");
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, a_report_survives_a_store_that_is_away)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct report done;
	struct poll_answer answer;
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct grant *grant = hand_task(&hand);
	finish(&hand, grant, &done);
	store_mem_fail(desk->control.store, 1, E_UNAVAILABLE);
	for (int i = 0; i < 200 && strcmp(desk_state(desk, "acme", id), "succeeded") != 0; i++) {
		if (hand_try(&hand, 50, &answer) == 0 && answer.ack_count > 0)
			cr_assert_str_eq(desk_state(desk, "acme", id), "succeeded");
		clock_advance(desk->clock, 100);
	}
	store_mem_fail(desk->control.store, 0, 0);
	await_ack(&hand, &grant->token);
	cr_assert_str_eq(desk_state(desk, "acme", id), "succeeded");
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 40);
	hand_end(&hand);
	desk_end(desk);
}

/* One sealed file of 3 rows is what `raw` holds now. The worker ends with nothing free. */
static void load_raw(struct hand *hand)
{
	struct desk *desk = hand->desk;
	desk_submit(desk, "acme", TASK_INGEST, "{'source':'raw'}");
	struct grant *grant = hand_task(hand);
	struct table_file file = {
		.path = arena_printf(desk->arena, "%s/0.parquet", grant->output_prefix),
		.rows = 3, .bytes = 100, .plain_bytes = 90,
	};
	struct output output = {
		.uid = grant->outputs[0].uid, .files = &file, .file_count = 1,
		.schema = desk_json(desk, "[{'name':'airport','type':'string'}]"),
	};
	struct report done;
	finish(hand, grant, &done);
	done.outputs = &output;
	done.output_count = 1;
	hand->poll.slots = 0;
	await_ack(hand, &grant->token);
	report_nothing(hand);
}

/* It is found by the path of what was read. */
static const struct value *newest_read(struct desk *desk)
{
	struct value *list = NULL;
	bool more = false;
	const struct audit_query query = {
		.tenant = "acme", .resource = "/v1/tenants/acme/domains/ops/datasets/raw",
	};
	cr_assert_eq(shard_audit(desk->part.shard, desk->arena, &query, &list, &more, &desk->err),
	             0, "%s", desk->err.text);
	return value_at(list, 0);
}

Test(dispatch, what_an_attempt_reads_is_durable_before_its_grant_leaves)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	desk_story(desk);
	desk_put(desk, KIND_TENANT, NULL, NULL, "acme", "{}");
	desk_put(desk, KIND_PRINCIPAL, "acme", NULL, "alice", "{'roles':['producer']}");
	load_raw(&hand);
	const char *id = desk_submit(desk, "acme", TASK_TRANSFORM, "{'transformation':'hourly'}");
	store_mem_fail(desk->control.store, 1, E_UNAVAILABLE);       /* of the event */
	hand.poll.slots = 1;
	int rc = hand_try(&hand, 50, &answer);
	cr_assert(rc < 0 || answer.task_count == 0, "not before it can be written down");
	cr_assert_eq(desk_events(desk, "acme", "dataset:read", "allowed"), 0);
	struct grant *grant = hand_task(&hand);       /* moves time on: it is tried again */
	cr_assert_str_eq(grant->task, id);
	cr_assert_eq(grant->attempt, 1);
	desk_lead(desk);                             /* what a crash would leave */
	size_t events = desk_events(desk, "acme", "dataset:read", "allowed");
	cr_assert_not_null(newest_read(desk));
	cr_assert_geq(events, 1, "%zu; a grant whose answer was lost has one, too", events);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, reads_are_acknowledged_when_they_are_counted)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct reads reads = { "acme", "ops", 11, NULL };
	struct poll_answer answer = { 0 };
	hand.poll.reads = &reads;
	hand.poll.reads_count = 1;
	hand.poll.meter_seq = 1;
	for (int i = 0; i < 100 && answer.meter_ack != 1; i++)
		if (hand_try(&hand, 200, &answer) < 0)
			clock_advance(desk->clock, 100);
	cr_assert_eq(answer.meter_ack, 1);
	cr_assert_eq(desk_used(desk, "acme", "onlineReads"), 11);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, revocations_reach_every_worker)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	cr_assert_lt(hand_try(&hand, 100, &answer), 0);
	desk_await_workers(desk, 1);         /* one that was not heard of yet has nothing to drop */
	dispatch_drop_access(desk->part.dispatch, "acme");
	answer = hand_poll(&hand);
	cr_assert_eq(answer.drop_count, 1);
	cr_assert_str_eq(answer.drop[0], "acme");
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch, one_that_does_not_lead_says_so)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	atomic_store(&desk->part.led, 0);
	struct poll_answer answer = hand_poll(&hand);
	cr_assert_not(answer.leader);
	hand_end(&hand);
	desk_end(desk);
}
