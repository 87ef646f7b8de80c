/* Polls and their answers survive the link unchanged; nonsense is refused by name. */
#include "common/defs.h"
#include "api/poll.h"

#include "api/access_ask.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t box[BOX_PUBLIC_BYTES] = { 1, 2, 3 };

static struct arena *arena_make(void)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	return arena;
}

static const struct table_file files[] = {
	{ .path = "acme/flights/1-2/part-0.parquet", .rows = 10, .bytes = 2000,
	  .plain_bytes = 1900 },
};
static const struct output outputs[] = {
	{ .uid = "01hx", .replace = true, .base_snapshot = 4, .files = files, .file_count = 1,
	  .rejected_rows = 3, .rejects_path = "acme/flights/1-2/rejects" },
};
static const struct report reports[] = {
	{ .task = "01task", .token = { 5, 6 }, .outcome = OUTCOME_FAILED, .code = E_RESOURCES,
	  .text = "memory: 2 GiB asked, 1 GiB allowed", .usage = { .cpu_ms = 7, .wall_ms = 9 },
	  .outputs = outputs, .output_count = 1 },
};
static const struct running running[] = {
	{ .task = "01other", .token = { 5, 7 },
	  .progress = { .phase = "reading", .rows = 1, .bytes = 2, .percent = -1 } },
};
static const struct reads reads[] = {
	{ "acme", "flights", 12, NULL }, { "acme", "flights", 70, "cpuMs" },
};

static struct poll sample(void)
{
	return (struct poll) {
		.slots = 1, .slots_max = 2, .memory_bytes = 1 << 30, .box_public = box,
		.serve_url = "http://127.0.0.1:8080", .version = "0.1", .running = running,
		.running_count = 1, .done = reports, .done_count = 1, .meter_seq = 3,
		.reads = reads,
		.reads_count = ARRAY_LEN(reads),
	};
}

static void expect_report(const struct report *report)
{
	cr_expect_str_eq(report->task, "01task");
	cr_expect_eq(report->token.counter, 6);
	cr_expect_eq(report->outcome, OUTCOME_FAILED);
	cr_expect_eq(report->code, E_RESOURCES);
	cr_expect_str_eq(report->text, reports[0].text);
	cr_expect_eq(report->usage.cpu_ms, 7);
	cr_assert_eq(report->output_count, 1);
	cr_expect(report->outputs[0].replace);
	cr_expect_eq(report->outputs[0].base_snapshot, 4);
	cr_expect_str_eq(report->outputs[0].rejects_path, outputs[0].rejects_path);
	cr_expect_str_eq(report->outputs[0].files[0].path, files[0].path);
	cr_expect_eq(report->outputs[0].files[0].plain_bytes, 1900);
}

Test(poll, comes_back_as_it_was_sent)
{
	AUTO(arena) *arena = arena_make();
	struct poll sent = sample(), got;
	struct value *body;
	struct err err = { 0 };
	cr_assert_eq(poll_value(arena, &sent, &body, &err), 0, "%s", err.text);
	cr_assert_eq(poll_read(arena, body, &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.slots, 1);
	cr_expect_eq(got.memory_bytes, 1 << 30);
	cr_expect(memcmp(got.box_public, box, sizeof box) == 0);
	cr_expect_str_eq(got.serve_url, sent.serve_url);
	cr_assert_eq(got.running_count, 1);
	cr_expect_eq(got.running[0].progress.percent, -1);
	cr_expect_str_eq(got.running[0].progress.phase, "reading");
	cr_assert_eq(got.done_count, 1);
	expect_report(&got.done[0]);
	cr_expect_eq(got.meter_seq, 3);
	cr_expect_str_eq(got.reads[0].domain, "flights");
	cr_expect_eq(got.reads[0].count, 12);
	cr_expect_null(got.reads[0].dimension);
	cr_expect_str_eq(got.reads[1].dimension, "cpuMs");
}

static const struct poll_label labels[] = { { "zone", "a" }, { "gpu", "" } };
static const char *const caches[] = { "01hx", "01hy" };

static struct poll placed(void)
{
	struct poll poll = sample();
	poll.pool = "gpu";
	poll.labels = labels;
	poll.label_count = ARRAY_LEN(labels);
	poll.cpu_millis = 1500;
	poll.cpu_millis_max = 4000;
	poll.memory_bytes_max = (uint64_t)8 << 30;
	poll.caches = caches;
	poll.cache_count = ARRAY_LEN(caches);
	poll.protocol = POLL_PROTOCOL;
	return poll;
}

Test(poll, pool_labels_capacity_and_caches_come_back)
{
	AUTO(arena) *arena = arena_make();
	struct poll sent = placed(), got;
	struct value *body;
	struct err err = { 0 };
	cr_assert_eq(poll_value(arena, &sent, &body, &err), 0, "%s", err.text);
	cr_assert_eq(poll_read(arena, body, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.pool, "gpu");
	cr_assert_eq(got.label_count, 2);
	cr_expect_str_eq(got.labels[0].key, "zone");
	cr_expect_str_eq(got.labels[0].value, "a");
	cr_expect_str_eq(got.labels[1].value, "");
	cr_expect_eq(got.cpu_millis, 1500);
	cr_expect_eq(got.cpu_millis_max, 4000);
	cr_expect_eq(got.memory_bytes_max, (uint64_t)8 << 30);
	cr_assert_eq(got.cache_count, 2);
	cr_expect_str_eq(got.caches[1], "01hy");
	cr_expect_eq(got.protocol, POLL_PROTOCOL);
}

Test(poll, an_older_worker_says_less_and_is_understood)
{
	static const char *const later[] = { "memoryBytesMax", "cpuMillis", "cpuMillisMax", "pool",
	                                     "labels", "caches", "protocol" };
	AUTO(arena) *arena = arena_make();
	struct poll sent = placed(), got;
	struct value *body, *older = value_map(arena);
	struct err err = { 0 };
	cr_assert_eq(poll_value(arena, &sent, &body, &err), 0, "%s", err.text);
	for (size_t i = 0; i < value_len(body); i++) {
		const char *name = NULL;
		const struct value *member = value_member(body, i, &name);
		bool left_out = false;
		for (size_t j = 0; j < ARRAY_LEN(later); j++)
			left_out |= strcmp(name, later[j]) == 0;
		if (!left_out)
			value_set(older, name, value_copy(arena, member));
	}
	cr_assert_eq(poll_read(arena, older, &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.slots_max, 2);
	cr_expect_null(got.pool);
	cr_expect_eq(got.label_count, 0);
	cr_expect_eq(got.cpu_millis_max, 0);
	cr_expect_eq(got.protocol, 0);
}

Test(poll, a_newer_worker_may_say_more)
{
	AUTO(arena) *arena = arena_make();
	struct poll sent = placed(), got;
	struct value *body;
	struct err err = { 0 };
	cr_assert_eq(poll_value(arena, &sent, &body, &err), 0, "%s", err.text);
	value_set(body, "accelerators", value_list(arena));
	value_set_int(body, "protocol", POLL_PROTOCOL + 5);
	cr_expect_eq(poll_read(arena, body, &got, &err), 0, "%s", err.text);
}

Test(poll, more_labels_than_a_worker_may_have_are_refused)
{
	AUTO(arena) *arena = arena_make();
	struct poll_label many[POLL_LABELS_MAX + 1];
	struct poll sent = placed(), got;
	struct value *body;
	struct err err = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = labels[0];
	sent.labels = many;
	sent.label_count = ARRAY_LEN(many);
	cr_assert_eq(poll_value(arena, &sent, &body, NULL), 0);
	cr_expect_eq(poll_read(arena, body, &got, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "labels must have 0 to 16"), "%s", err.text);
}

Test(poll, an_answer_tells_what_to_hand_back_and_an_older_leader_does_not)
{
	AUTO(arena) *arena = arena_make();
	const struct token tokens[] = { { 1, 2 } };
	struct poll_answer sent = { .leader = true, .backs = tokens, .back_count = 1 }, got;
	struct value *body, *older = value_map(arena);
	struct err err = { 0 };
	cr_assert_eq(poll_answer_value(arena, &sent, &body, &err), 0, "%s", err.text);
	cr_assert_eq(poll_answer_read(arena, body, &got, &err), 0, "%s", err.text);
	cr_assert_eq(got.back_count, 1);
	cr_expect_eq(got.backs[0].counter, 2);
	for (size_t i = 0; i < value_len(body); i++) {
		const char *name = NULL;
		const struct value *member = value_member(body, i, &name);
		if (strcmp(name, "handBack") != 0)
			value_set(older, name, value_copy(arena, member));
	}
	cr_assert_eq(poll_answer_read(arena, older, &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.back_count, 0);
}

Test(poll, a_worker_that_serves_nothing_has_no_url)
{
	AUTO(arena) *arena = arena_make();
	struct poll sent = sample(), got;
	struct value *body;
	sent.serve_url = NULL;
	cr_assert_eq(poll_value(arena, &sent, &body, NULL), 0);
	cr_assert_eq(poll_read(arena, body, &got, NULL), 0);
	cr_expect_null(got.serve_url);
}

Test(poll, a_wrong_member_is_named_with_its_path)
{
	AUTO(arena) *arena = arena_make();
	struct poll sent = sample(), got;
	struct value *body;
	struct err err = { 0 };
	cr_assert_eq(poll_value(arena, &sent, &body, NULL), 0);
	value_set_int(body, "slots", -1);
	cr_expect_eq(poll_read(arena, body, &got, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "poll: slots must be an integer from 0"), "%s",
	                   err.text);
	value_set_int(body, "slots", 1);
	struct value *done = value_list(arena);
	value_add(done, value_map(arena));
	value_set(body, "done", done);
	cr_expect_eq(poll_read(arena, body, &got, &err), E_INVALID);
	cr_expect_str_eq(err.text, "poll: done[0]: task is missing");
}

Test(poll, too_many_reports_are_refused)
{
	AUTO(arena) *arena = arena_make();
	static struct report many[POLL_DONE_MAX + 1];
	struct poll sent = sample(), got;
	struct value *body;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = reports[0];
	sent.done = many;
	sent.done_count = ARRAY_LEN(many);
	cr_assert_eq(poll_value(arena, &sent, &body, NULL), 0);
	cr_expect_eq(poll_read(arena, body, &got, NULL), E_INVALID);
}

Test(poll, the_answer_comes_back_as_it_was_sent)
{
	AUTO(arena) *arena = arena_make();
	const struct poll_task tasks[] = { { (const uint8_t *)"grant", 5 } };
	const struct token tokens[] = { { 1, 2 }, { 1, 3 } };
	const char *const drop[] = { "acme", "globex" };
	struct poll_answer sent = {
		.leader = true, .tasks = tasks, .task_count = 1, .cancels = tokens,
		.cancel_count = 1,
		.acks = tokens, .ack_count = 2, .meter_ack = 8, .drop = drop, .drop_count = 2,
	}, got;
	struct value *body;
	struct err err = { 0 };
	cr_assert_eq(poll_answer_value(arena, &sent, &body, &err), 0, "%s", err.text);
	cr_assert_eq(poll_answer_read(arena, body, &got, &err), 0, "%s", err.text);
	cr_expect(got.leader);
	cr_expect_eq(got.tasks[0].grant_len, 5);
	cr_expect(memcmp(got.tasks[0].grant, "grant", 5) == 0);
	cr_expect_eq(got.ack_count, 2);
	cr_expect_eq(got.acks[1].counter, 3);
	cr_expect_eq(got.cancels[0].counter, 2);
	cr_expect_eq(got.meter_ack, 8);
	cr_expect_str_eq(got.drop[1], "globex");
}

Test(poll, an_access_question_and_its_answers_survive)
{
	AUTO(arena) *arena = arena_make();
	const char *const views[] = { "delays", "flights.delays" };
	struct access_ask ask = { .credential = "credential", .views = views, .view_count = 2,
	                          .box_public = box, .purpose = "billing" }, got;
	struct access_answer answer = { (const uint8_t *)"bytes", 5 }, got_answer;
	struct value *body;
	struct err said = { 0 };
	cr_assert_eq(access_ask_value(arena, &ask, &body, NULL), 0);
	cr_assert_eq(access_ask_read(arena, body, &got, NULL), 0);
	cr_expect_null(got.query, "one that was not asked is NULL on the other side, too");
	cr_expect_str_eq(got.credential, "credential");
	cr_expect_str_eq(got.views[1], "flights.delays");
	cr_expect_str_eq(got.purpose, "billing");
	ask.purpose = NULL;
	cr_assert_eq(access_ask_value(arena, &ask, &body, NULL), 0);
	cr_assert_eq(access_ask_read(arena, body, &got, NULL), 0);
	cr_expect_null(got.purpose);
	cr_assert_eq(access_answer_value(arena, &answer, &body, NULL), 0);
	cr_assert_eq(access_answer_read(arena, body, &got_answer, NULL), 0);
	cr_expect_eq(got_answer.grant_len, 5);
	struct err problem;
	err_set(&problem, E_DENIED, "no role of bob allows it");
	link_problem_read(link_problem_value(arena, &problem), &said);
	cr_expect_eq(said.code, E_DENIED);
	cr_expect_str_eq(said.text, "no role of bob allows it");
	link_problem_read(NULL, &said);
	cr_expect_eq(said.code, E_INTERNAL);
}

Test(poll, a_question_for_a_query_survives_and_asks_for_no_view)
{
	AUTO(arena) *arena = arena_make();
	static const char *const tables[] = { "flights", "weather.stations" };
	static const char sum[] = "0123456789abcdef0123456789abcdef"
				  "0123456789abcdef0123456789abcdef";
	const struct access_query query = { "01query", tables, 2, "sales", sum };
	const struct access_ask ask = {
		.credential = "credential", .box_public = box, .purpose = "planning",
		.address = "127.0.0.1", .query = &query, .query_count = 1,
	};
	struct access_ask got;
	struct value *body;
	cr_assert_eq(access_ask_value(arena, &ask, &body, NULL), 0);
	cr_assert_eq(access_ask_read(arena, body, &got, NULL), 0);
	cr_expect_eq(got.view_count, 0);
	cr_expect_str_eq(got.purpose, "planning");
	cr_expect_str_eq(got.address, "127.0.0.1");
	cr_assert_eq(got.query_count, 1);
	cr_expect_str_eq(got.query->tables[1], "weather.stations");
	cr_expect_str_eq(got.query->domain, "sales");
	cr_expect_str_eq(got.query->sha256, sum);
}

Test(poll, usage_never_counts_below_zero)
{
	AUTO(arena) *arena = arena_make();
	struct value *map = value_map(arena);
	value_set_int(map, "cpuMs", -5);
	value_set_int(map, "rows", 3);
	struct usage usage = { .wall_ms = 1 };
	usage_read(map, &usage);
	cr_expect_eq(usage.cpu_ms, 0);
	cr_expect_eq(usage.rows, 3);
	cr_expect_eq(usage.wall_ms, 0);
}
