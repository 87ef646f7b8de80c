/* test_dispatch_worker.c - workers that come, stay and go, over a real link in simulated time. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

/* The next poll names that attempt as running. */
static void keep_running(struct hand *hand, const struct grant *grant, struct running *slot)
{
	*slot = (struct running){ grant->task, grant->token, { "reading", 5, 50, 10 } };
	hand->poll.running = slot;
	hand->poll.running_count = 1;
}

static void hand_over(struct hand *hand, const struct grant *grant, struct report *slot, bool back)
{
	*slot = (struct report){
		.task = grant->task, .token = grant->token, .outcome = OUTCOME_CANCELLED,
		.handed_back = back, .usage = { .cpu_ms = 40 },
	};
	hand->poll.running_count = 0;
	hand->poll.done = slot;
	hand->poll.done_count = 1;
}

/* The row of a worker in the table; NULL: it is not there. */
static const struct value *row_of(struct desk *desk, const char *name)
{
	struct value *list = NULL;
	struct err err = { 0 };
	cr_assert_eq(dispatch_workers(desk->part.dispatch, desk->arena, &list, &err), 0, "%s",
	             err.text);
	for (size_t i = 0; i < value_len(list); i++)
		if (strcmp(value_get_str(value_at(list, i), "name"), name) == 0)
			return value_at(list, i);
	return NULL;
}

static void await_row(struct desk *desk, const char *name, bool there)
{
	for (int ms = 0; (row_of(desk, name) != NULL) != there; ms++) {
		cr_assert_lt(ms, 60000, "%s is %s the table", name, there ? "not in" : "in");
		usleep(1000);
	}
}

static void await_connected(struct desk *desk, const char *name, bool is)
{
	for (int ms = 0; value_get_bool(row_of(desk, name), "connected", !is) != is; ms++) {
		cr_assert_lt(ms, 60000, "%s is %s connected", name, is ? "not" : "still");
		usleep(1000);
	}
}

/* A poll by hand: what the other side says, whatever it is. */
static int ask(struct hand *hand, const struct value *body, int version, int timeout_ms,
               struct err *ret_said)
{
	struct err err = { 0 };
	struct envelope answered;
	AUTO_BUF out, in;
	buf_init(&out, LINK_MESSAGE_MAX);
	buf_init(&in, LINK_MESSAGE_MAX);
	struct envelope envelope = {
		.version = version, .kind = "poll", .worker = hand->name,
		.incarnation = hand->incarnation, .seq = ++hand->seq, .body = body,
	};
	cr_assert_eq(envelope_write(&envelope, &out, &err), 0, "%s", err.text);
	TRY(link_client_call(hand->link, 0, out.data, out.len, timeout_ms, &in, &err));
	cr_assert_eq(envelope_read(hand->arena, in.data, in.len, &answered, &err), 0);
	if (strcmp(answered.kind, "problem") != 0)
		return 0;
	link_problem_read(answered.body, ret_said);
	return 1;
}

static struct value *body_of(struct hand *hand)
{
	struct value *body = NULL;
	hand->poll.box_public = hand->box_public;
	cr_assert_eq(poll_value(hand->arena, &hand->poll, &body, NULL), 0);
	return body;
}

Test(dispatch_worker, the_table_shows_what_a_worker_says_of_itself)
{
	static const struct poll_label labels[] = { { "zone", "a" } };
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	hand.poll.pool = "gpu";
	hand.poll.labels = labels;
	hand.poll.label_count = 1;
	hand.poll.cpu_millis_max = 6000;
	hand.poll.memory_bytes_max = (uint64_t)16 << 30;
	hand.poll.protocol = POLL_PROTOCOL;
	cr_assert_lt(hand_try(&hand, 100, &answer), 0, "there is nothing to do");
	await_row(desk, "w1", true);
	const struct value *row = row_of(desk, "w1");
	cr_assert_not_null(row);
	cr_expect_str_eq(value_get_str(row, "pool"), "gpu");
	cr_expect_str_eq(value_get_str(value_get(row, "labels"), "zone"), "a");
	cr_expect_str_eq(value_get_str(row, "version"), "test");
	const struct value *capacity = value_get(row, "capacity");
	cr_expect_eq(value_get_int(capacity, "cpuMillis", 0), 6000);
	cr_expect_eq(value_get_int(capacity, "slots", 0), 4);
	cr_expect_eq(value_get_int(capacity, "memoryBytes", 0), INT64_C(16) << 30);
	cr_expect_eq(value_get_int(value_get(row, "free"), "memoryBytes", 0), INT64_C(8) << 30);
	cr_expect_eq(value_get_int(row, "running", -1), 0);
	cr_expect(value_get_bool(row, "serves", false));
	cr_expect(value_get_bool(row, "connected", false));
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch_worker, one_of_the_first_protocol_has_a_core_for_each_slot)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	cr_assert_lt(hand_try(&hand, 100, &answer), 0);
	await_row(desk, "w1", true);
	const struct value *row = row_of(desk, "w1");
	cr_expect_str_eq(value_get_str(row, "pool"), "default");
	cr_expect_eq(value_get_int(row, "protocol", 0), 1);
	cr_expect_eq(value_get_int(value_get(row, "capacity"), "cpuMillis", 0), 4000);
	cr_expect_eq(value_get_int(value_get(row, "capacity"), "memoryBytes", 0), INT64_C(8) << 30);
	desk_submit(desk, "acme", TASK_PROBE, "{}");
	hand_task(&hand);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch_worker, one_whose_connection_ended_is_given_up_before_a_silent_one)
{
	struct desk *desk = desk_new(true);
	struct hand dead = hand_new(desk, "w1", 1), other = hand_new(desk, "w2", 1);
	struct poll_answer answer;
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	hand_task(&dead);
	hand_end(&dead);
	await_connected(desk, "w1", false);
	clock_advance(desk->clock, GONE_MS - 1);
	cr_assert_str_eq(desk_state(desk, "acme", id), "running", "it may come back");
	cr_assert_lt(GONE_MS, SILENT_MS);
	clock_advance(desk->clock, 1);
	desk_await(desk, "acme", id, "queued");
	for (int i = 0; i < 10 && row_of(desk, "w1"); i++) {
		clock_advance(desk->clock, 200);
		usleep(2000);
	}
	await_row(desk, "w1", false);
	cr_assert_str_eq(hand_task(&other)->task, id);
	cr_assert_lt(hand_try(&other, 10, &answer), 1);
	hand_end(&other);
	desk_end(desk);
}

Test(dispatch_worker, one_that_comes_back_soon_keeps_its_attempts)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1), again;
	struct running slot;
	struct poll_answer answer;
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct grant *grant = hand_task(&hand);
	hand_end(&hand);
	await_connected(desk, "w1", false);
	clock_advance(desk->clock, GONE_MS / 2);
	again = hand_new(desk, "w1", 1);     /* the same life over another connection */
	again.seq = hand.seq;
	keep_running(&again, grant, &slot);
	hand_try(&again, 50, &answer);
	await_connected(desk, "w1", true);
	clock_advance(desk->clock, GONE_MS);
	cr_assert_lt(hand_try(&again, 50, &answer), 1);
	cr_assert_str_eq(desk_state(desk, "acme", id), "running");
	cr_assert_not_null(row_of(desk, "w1"));
	hand_end(&again);
	desk_end(desk);
}

struct waiting { struct hand *hand; struct err said; int rc; _Atomic bool over; };

static void *ask_held(void *context)
{
	struct waiting *waiting = context;
	waiting->rc = ask(waiting->hand, body_of(waiting->hand), ENVELOPE_VERSION, 60000,
	                  &waiting->said);
	waiting->over = true;
	return NULL;
}

/* The first is asked for a sign of life by an answer, or gives it by a poll of its own. */
static void refuse(struct hand *first, struct hand *second, struct err *ret_said)
{
	struct waiting waiting = { .hand = second };
	struct poll_answer answer;
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, ask_held, &waiting), 0);
	while (!waiting.over)
		hand_try(first, 20, &answer);
	pthread_join(thread, NULL);
	cr_assert_eq(waiting.rc, 1, "it was not refused");
	*ret_said = waiting.said;
}

Test(dispatch_worker, another_of_the_same_name_is_refused_while_the_first_lives)
{
	struct desk *desk = desk_new(true);
	struct hand first = hand_new(desk, "w1", 1), second = hand_new(desk, "w1", 2);
	struct running slot;
	struct err said = { 0 };
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	keep_running(&first, hand_task(&first), &slot);
	for (int i = 0; i < 3; i++) {
		refuse(&first, &second, &said);
		cr_assert_str_eq(desk_state(desk, "acme", id), "running", "it is undisturbed");
		cr_assert_eq(value_get_int(row_of(desk, "w1"), "running", -1), 1);
	}
	cr_expect_eq(said.code, E_CONFLICT);
	cr_expect_not_null(strstr(said.text, "another worker named w1 polls from"), "%s",
	                   said.text);
	cr_expect_not_null(strstr(said.text, "--name"), "%s", said.text);
	hand_end(&second);
	hand_end(&first);
	desk_end(desk);
}

struct holder { struct hand *hand; int rc; _Atomic bool over; };

/* Its first poll waits for an answer, as one that has nothing to do does. */
static void *poll_held(void *context)
{
	struct holder *holder = context;
	struct poll_answer answer;
	holder->rc = hand_try(holder->hand, 60000, &answer);
	while (!holder->over)
		hand_try(holder->hand, 20, &answer);
	return NULL;
}

Test(dispatch_worker, a_held_poll_is_answered_when_another_claims_its_name)
{
	struct desk *desk = desk_new(true);
	struct hand first = hand_new(desk, "w1", 1), second = hand_new(desk, "w1", 2);
	struct holder holder = { .hand = &first };
	struct err said = { 0 };
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, poll_held, &holder), 0);
	await_row(desk, "w1", true);
	int rc = ask(&second, body_of(&second), ENVELOPE_VERSION, 60000, &said);
	holder.over = true;
	pthread_join(thread, NULL);
	cr_expect_eq(rc, 1, "the second was not refused");
	cr_expect_eq(holder.rc, 0, "the first was not asked for a sign of life");
	hand_end(&second);
	hand_end(&first);
	desk_end(desk);
}

Test(dispatch_worker, a_name_whose_holder_says_nothing_goes_to_the_next_life)
{
	struct desk *desk = desk_new(true);
	struct hand first = hand_new(desk, "w1", 1), second = hand_new(desk, "w1", 2);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct err said = { 0 };
	hand_task(&first);
	cr_assert_lt(ask(&second, body_of(&second), ENVELOPE_VERSION, 100, &said), 0);
	clock_advance(desk->clock, CONTEND_MS);
	struct grant *again = hand_task(&second);
	cr_assert_str_eq(again->task, id);
	cr_assert_eq(again->attempt, 2, "the first one's attempt is lost");
	hand_end(&first);
	hand_end(&second);
	desk_end(desk);
}

Test(dispatch_worker, a_name_whose_holder_is_given_up_meanwhile_goes_to_who_waits_for_it)
{
	struct desk *desk = desk_new(true);
	struct hand first = hand_new(desk, "w1", 1), second = hand_new(desk, "w1", 2);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	hand_task(&first);
	cr_assert_gt(CONTEND_MS, 1000);
	clock_advance(desk->clock, SILENT_MS - 1000);
	cr_assert_str_eq(hand_task(&second)->task, id);
	hand_end(&first);
	hand_end(&second);
	desk_end(desk);
}

static void set_policy(struct desk *desk, const char *spec)
{
	desk_put(desk, KIND_WORKER, NULL, NULL, "w1", spec);
	dispatch_policy(desk->part.dispatch, "w1");
}

Test(dispatch_worker, a_cordoned_worker_gets_nothing_until_it_is_uncordoned)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	set_policy(desk, "{'cordoned':true}");
	clock_advance(desk->clock, ADOPT_MS + 1);
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	cr_assert_lt(hand_try(&hand, 300, &answer), 0);
	await_row(desk, "w1", true);
	cr_assert(value_get_bool(row_of(desk, "w1"), "cordoned", false));
	cr_assert_not(value_get_bool(row_of(desk, "w1"), "draining", true));
	cr_assert_str_eq(desk_state(desk, "acme", id), "queued");
	set_policy(desk, "{}");
	cr_assert_str_eq(hand_task(&hand)->task, id);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch_worker, what_runs_on_a_drained_worker_goes_on_elsewhere_at_no_attempts_cost)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1), other = hand_new(desk, "w2", 1);
	struct running slot;
	struct report done;
	struct poll_answer answer;
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	struct grant *grant = hand_task(&hand);
	keep_running(&hand, grant, &slot);
	hand_try(&hand, 50, &answer);
	set_policy(desk, "{'drain':true}");
	answer = hand_poll(&hand);
	for (int i = 0; i < 20 && answer.back_count == 0; i++)
		answer = hand_poll(&hand);
	cr_assert_eq(answer.back_count, 1);
	cr_assert_eq(answer.backs[0].counter, grant->token.counter);
	cr_assert_eq(answer.cancel_count, 0);
	hand_over(&hand, grant, &done, true);
	for (int i = 0; i < 100 && answer.ack_count == 0; i++)
		hand_try(&hand, 200, &answer);
	cr_assert_eq(answer.ack_count, 1);
	struct grant *second = hand_task(&other);
	cr_assert_str_eq(second->task, id);
	const struct value *task = desk_task(desk, "acme", id);
	cr_assert_str_eq(value_get_str(task, "state"), "running");
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 40, "what it took is billed");
	hand_end(&hand);
	hand_end(&other);
	desk_end(desk);
}

Test(dispatch_worker, handed_back_as_often_as_it_may_fail_a_task_still_runs)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct report done;
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	for (int i = 0; i < 5; i++) {
		struct grant *grant = hand_task(&hand);
		cr_assert_str_eq(grant->task, id);
		hand_over(&hand, grant, &done, true);
	}
	hand_task(&hand);
	cr_assert_eq(desk_used(desk, "acme", "cpuMs"), 200);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch_worker, a_malformed_poll_is_named_and_loses_nothing)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct running slot;
	struct poll_answer answer;
	struct err said = { 0 };
	const char *id = desk_submit(desk, "acme", TASK_PROBE, "{}");
	keep_running(&hand, hand_task(&hand), &slot);
	struct value *body = body_of(&hand);
	value_set_str(body, "running", "many");
	cr_assert_eq(ask(&hand, body, ENVELOPE_VERSION, 10000, &said), 1);
	cr_expect_eq(said.code, E_INVALID);
	cr_expect_not_null(strstr(said.text, "poll: running"), "%s", said.text);
	cr_assert_leq(hand_try(&hand, 50, &answer), 0);
	cr_assert_str_eq(desk_state(desk, "acme", id), "running");
	cr_assert_eq(value_get_int(row_of(desk, "w1"), "running", -1), 1);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch_worker, a_poll_of_a_shard_that_is_not_there_is_told_how_many_there_are)
{
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct poll_answer answer;
	struct err said = { 0 };
	hand.poll.shard = 3;
	cr_assert_eq(ask(&hand, body_of(&hand), ENVELOPE_VERSION, 10000, &said), 1);
	cr_expect_eq(said.code, E_INVALID);
	cr_expect_not_null(strstr(said.text, "there is no shard 3; this control has 1"), "%s",
	                   said.text);
	cr_expect_null(row_of(desk, "w1"), "nothing is learned from it");
	hand.poll.shard = 0;
	cr_assert_leq(hand_try(&hand, 50, &answer), 0);
	await_row(desk, "w1", true);
	hand_end(&hand);
	desk_end(desk);
}

Test(dispatch_worker, the_next_version_is_understood_and_those_beyond_are_told_which_are)
{
	static const int strange[] = { ENVELOPE_VERSION_MIN - 1, ENVELOPE_VERSION_MAX + 1 };
	struct desk *desk = desk_new(true);
	struct hand hand = hand_new(desk, "w1", 1);
	struct err said = { 0 };
	struct value *body = body_of(&hand);
	value_set(body, "later", value_map(hand.arena));
	cr_assert_lt(ask(&hand, body, ENVELOPE_VERSION + 1, 100, &said), 0, "it is held");
	await_row(desk, "w1", true);
	for (size_t i = 0; i < ARRAY_LEN(strange); i++) {
		cr_assert_eq(ask(&hand, body_of(&hand), strange[i], 10000, &said), 1);
		cr_expect_eq(said.code, E_INVALID);
		cr_expect_not_null(strstr(said.text, "is not spoken here, only 1 to 2"), "%s",
		                   said.text);
	}
	hand_end(&hand);
	desk_end(desk);
}
