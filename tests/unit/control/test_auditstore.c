/* test_auditstore.c - audit events leave memory for the dataset freehold.audit, each once, and are
 * counted as stored by the outcome of a task that names them and by nothing else. */
#include "common/defs.h"
#include "control/auditstore.h"

#include "common/json.h"
#include "control/audit.h"
#include "control/plan.h"
#include "control/question.h"
#include "control/record.h"
#include "control/settle.h"
#include "control/shard_auditstore.h"
#include "tests/support/desk.h"

#include <criterion/criterion.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
static const struct store_rules rules = { 5, 5 * MINUTE_MS };

static void happen(struct desk *desk, int count)
{
	for (int i = 0; i < count; i++) {
		AUTO(change) *change = NULL;
		const struct audit_event event = {
			.tenant = "acme", .actor = i % 2 ? "acme/ann" : "acme/bob",
			.action = "dataset:read", .resource = "it's \"quoted\"",
			.result = "allowed", .at_ms = clock_unix_ms(desk->clock),
		};
		cr_assert_eq(change_new(&change, &desk->err), 0);
		cr_assert_eq(audit_add(change, &event, &desk->err), 0);
		cr_assert_eq(journal_commit(desk->part.journal, change, &desk->err), 0, "%s",
		             desk->err.text);
	}
}

static struct desk *begin(void)
{
	struct desk *desk = desk_new(false);
	desk_story(desk);
	desk_put(desk, KIND_TENANT, NULL, NULL, "acme", "{}");
	return desk;
}

static size_t look(struct desk *desk)
{
	size_t submitted = 0;
	cr_assert_eq(auditstore_look(&desk->part, &rules, &submitted, &desk->err), 0, "%s",
	             desk->err.text);
	return submitted;
}

static struct store_state state(struct desk *desk)
{
	struct store_state state;
	shard_store_state(desk->part.shard, "acme", &state);
	return state;
}

/* Takes the audit task, and what its grant says. */
static struct grant *granted(struct desk *desk, struct work *ret_work)
{
	struct grant *grant = NULL;
	*ret_work = desk_pick(desk);
	cr_assert_eq(ret_work->type, TASK_AUDIT);
	cr_assert_eq(plan_grant(&desk->control, desk->arena, ret_work, "w1", &grant, &desk->err),
	             0, "%s", desk->err.text);
	return grant;
}

static struct value *rows_of(struct desk *desk, const struct grant *grant)
{
	struct value *rows = NULL;
	const char *text = value_get_str(grant->work, "rows");
	cr_assert_eq(json_parse(desk->arena, text, strlen(text), &rows, &desk->err), 0);
	return rows;
}

static void report(struct desk *desk, const struct grant *grant, int code)
{
	struct table_file file = {
		.path = arena_printf(desk->arena, "%s/data-0.parquet", grant->output_prefix),
		.rows = (int64_t)value_len(rows_of(desk, grant)), .bytes = 100, .plain_bytes = 90,
	};
	const struct output output = {
		.uid = grant->outputs[0].uid, .files = &file, .file_count = 1,
		.schema = grant->outputs[0].schema, .base_snapshot = grant->outputs[0].snapshot,
		.replace = strcmp(value_get_str(grant->work, "mode"), "replace") == 0,
	};
	const struct report told = {
		.task = grant->task, .token = grant->token, .code = code,
		.outcome = code ? OUTCOME_FAILED : OUTCOME_SUCCEEDED,
		.text = code ? "it did not work" : NULL,
		.outputs = code ? NULL : &output, .output_count = code ? 0 : 1,
	};
	struct settle_item item = { .kind = SETTLE_REPORT, .worker = "w1", .report = &told };
	struct settle_item *items[] = { &item };
	size_t count = 0;
	cr_assert_eq(settle(&desk->part, items, 1, &count, &desk->err), 0, "%s", desk->err.text);
}

Test(auditstore, few_and_young_events_stay_many_or_old_ones_go)
{
	struct desk *desk = begin();
	happen(desk, 2);
	size_t waiting = state(desk).waiting;
	cr_assert_geq(waiting, 2);
	cr_assert_lt(waiting, 5);
	cr_assert_eq(look(desk), 0, "few, and young");
	clock_advance(desk->clock, 6 * MINUTE_MS);
	cr_assert_eq(look(desk), 1, "old ones");
	cr_assert_eq(look(desk), 0, "one is under way");
	desk_end(desk);
}

Test(auditstore, each_event_is_stored_once_whatever_fails_between)
{
	struct desk *desk = begin();
	struct work work;
	happen(desk, 7);
	size_t waiting = state(desk).waiting;
	cr_assert_eq(look(desk), 1);
	struct grant *grant = granted(desk, &work);
	cr_assert_str_eq(value_get_str(grant->work, "mode"), "append");
	struct value *rows = rows_of(desk, grant);
	cr_assert_eq(value_len(rows), waiting);
	report(desk, grant, 0);
	for (int replayed = 0; replayed < 2; replayed++) {
		cr_assert_eq(state(desk).waiting, 0);
		cr_assert_eq(state(desk).stored, (int64_t)waiting);
		desk_lead(desk);
	}
	happen(desk, 6);
	cr_assert_eq(look(desk), 1);
	grant = granted(desk, &work);
	rows = rows_of(desk, grant);
	cr_assert_eq(value_as_int(value_at(value_at(rows, 0), 0), 0), (int64_t)waiting + 1);
	cr_assert_eq(value_len(rows), 6);
	desk_end(desk);
}

Test(auditstore, an_attempt_that_fails_leaves_them_waiting)
{
	struct desk *desk = begin();
	struct work work;
	happen(desk, 7);
	size_t waiting = state(desk).waiting;
	cr_assert_eq(look(desk), 1);
	struct grant *grant = granted(desk, &work);
	report(desk, grant, E_INTERNAL);
	cr_assert_geq(state(desk).waiting, waiting);
	cr_assert_eq(state(desk).stored, 0);
	desk_end(desk);
}

Test(auditstore, a_row_has_columns_and_the_whole_event)
{
	struct desk *desk = begin();
	struct work work;
	happen(desk, 6);
	cr_assert_eq(look(desk), 1);
	struct value *rows = rows_of(desk, granted(desk, &work)), *document = NULL, *kept = NULL;
	const struct value *row = value_at(rows, value_len(rows) - 1);
	const struct home_column *columns = home_columns_of(HOME_AUDIT);
	int64_t seq = value_as_int(value_at(row, 0), 0);
	cr_assert_eq(shard_store_events(desk->part.shard, desk->arena, "acme", seq, seq, &kept,
	                                &desk->err), 0, "%s", desk->err.text);
	for (size_t i = 0; columns[i].name; i++) {
		const char *cell = value_as_str(value_at(row, i));
		if (strcmp(columns[i].name, "actor") == 0)
			cr_expect_str_eq(cell, "acme/ann");
		if (strcmp(columns[i].name, "resource") == 0)
			cr_expect_str_eq(cell, "it's \"quoted\"");
		if (strcmp(columns[i].name, "time") == 0)
			cr_expect_str_eq(cell, "2026-11-22T12:00:00.000Z");
		if (strcmp(columns[i].name, "document") == 0)
			cr_assert_eq(json_parse(desk->arena, cell, strlen(cell), &document,
			                        &desk->err), 0);
	}
	cr_assert(value_equal(document, value_at(kept, 0)), "nothing is left out of it");
	desk_end(desk);
}

Test(auditstore, stored_events_leave_memory_beyond_the_newest)
{
	struct desk *desk = begin();
	struct work work;
	happen(desk, STORE_KEEP + 300);
	for (int round = 0; state(desk).waiting > 4; round++) {
		cr_assert_lt(round, 20);
		cr_assert_eq(look(desk), 1);
		report(desk, granted(desk, &work), 0);
	}
	cr_assert_gt(state(desk).oldest, 250);
	for (int replayed = 0; replayed < 2; replayed++) {
		struct audit_query query = { .tenant = "acme", .limit = 1 };
		struct value *list = NULL;
		bool more = false;
		cr_assert_eq(shard_audit(desk->part.shard, desk->arena, &query, &list, &more,
		                         &desk->err), 0);
		cr_assert_geq(value_get_int(value_at(list, 0), "seq", 0), STORE_KEEP + 300);
		desk_lead(desk);
	}
	desk_end(desk);
}

Test(auditstore, without_a_worker_a_page_says_that_nobody_answered_and_without_data_it_is_empty)
{
	struct desk *desk = begin();
	struct value *events = NULL;
	bool more = true;
	cr_assert_eq(auditstore_page(&desk->part, desk->arena, "acme", NULL, 10, &events, &more,
	                             &desk->err), 0, "%s", desk->err.text);
	cr_assert_eq(value_len(events), 0);
	cr_assert_not(more);
	cr_assert_eq(auditstore_range(&desk->part, desk->arena, "acme", 1, AUDITSTORE_RANGE_MAX + 1,
	                              &events, &desk->err), E_INVALID);
	cr_assert_eq(auditstore_range(&desk->part, desk->arena, "acme", 1, 2, &events, &desk->err),
	             E_NOT_FOUND);
	const struct question question = { "acme", TASK_EVENTS, value_map(desk->arena) };
	struct value *answer = NULL;
	cr_assert_eq(desk->control.held_max, 0);
	cr_assert_eq(question_ask(&desk->part, desk->arena, &question, &answer, &desk->err),
	             E_UNAVAILABLE);
	desk_end(desk);
}

/* A file a round; the first one that joins them. */
static int joined_at(struct desk *desk, const char **ret_since)
{
	struct work work;
	for (int round = 0; round < 60; round++) {
		happen(desk, 5);
		cr_assert_eq(look(desk), 1);
		struct grant *grant = granted(desk, &work);
		*ret_since = value_get_str(grant->work, "since");
		report(desk, grant, 0);
		if (strcmp(value_get_str(grant->work, "mode"), "replace") == 0)
			return round;
		cr_assert_null(*ret_since);
	}
	return -1;
}

Test(auditstore, with_a_bound_on_their_age_files_are_joined_sooner_and_old_events_left_out)
{
	struct desk *desk = begin();
	const char *since = NULL;
	desk->control.audit_days = 30;
	cr_assert_eq(joined_at(desk, &since), 32);
	cr_assert_str_eq(since, "2026-10-23T12:00:00.000Z");
	desk_end(desk);
}

Test(auditstore, what_memory_would_lose_is_refused_before)
{
	struct desk *desk = begin();
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct shard *shard = desk->part.shard;
	for (int i = 0; shard_audit_has_room(shard, "acme"); i++) {
		cr_assert_lt(i, 100000, "it is never refused");
		arena_reset(arena);
		struct value *record = record_new(arena, RECORD_AUDIT, 1);
		value_set_str(record, "tenant", "acme");
		value_set_int(record, "format", 1);
		value_set_str(record, "action", "dataset:read");
		shard_record(shard, record);
	}
	cr_assert_gt(state(desk).waiting, 50000);
	cr_assert_eq(state(desk).oldest, 1, "nothing was lost until then");
	cr_assert(shard_audit_has_room(shard, "globex"), "others are not refused");
	desk_end(desk);
}
