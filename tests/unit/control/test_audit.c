/* test_audit.c - audit events: what a record holds, cut to a size whatever was asked. */
#include "common/defs.h"
#include "control/audit.h"

#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

static struct value *newest(struct plane *plane)
{
	struct value *list = NULL;
	struct err err = {0};
	bool more = false;
	const struct audit_query query = {.tenant = "acme", .limit = 1};
	cr_assert_eq(shard_audit(plane->part->shard, plane->arena, &query, &list, &more, &err),
	             0);
	cr_assert_eq(value_len(list), 1);
	return value_copy(plane->arena, value_at(list, 0));
}

static void commit(struct plane *plane, const struct audit_event *event)
{
	AUTO(change) *change = NULL;
	struct err err = {0};
	cr_assert_eq(change_new(&change, &err), 0);
	cr_assert_eq(audit_add(change, event, &err), 0, "%s", err.text);
	cr_assert_eq(journal_commit(plane->part->journal, change, &err), 0, "%s", err.text);
}

Test(audit, holds_what_happened_and_leaves_out_what_was_not_said)
{
	struct plane *plane = plane_start();
	const struct audit_event event = {.tenant = "acme",
	                                  .actor = "acme/ada",
	                                  .action = "task:run",
	                                  .resource = "/v1/x",
	                                  .result = "denied",
	                                  .at_ms = 77};
	commit(plane, &event);
	const struct value *record = newest(plane);
	cr_expect_str_eq(value_get_str(record, "actor"), "acme/ada");
	cr_expect_str_eq(value_get_str(record, "result"), "denied");
	cr_expect_eq(value_get_int(record, "at", 0), 77);
	cr_expect_null(value_get(record, "code"));
	cr_expect_null(value_get(record, "task"));
	plane_stop(plane);
}

Test(audit, cuts_what_is_long_between_characters)
{
	struct plane *plane = plane_start();
	char path[1001];
	for (size_t i = 0; i + 1 < sizeof path; i += 2)
		memcpy(path + i, "\xc3\xa4", 2);
	path[1000] = 0;
	const struct audit_event event = {.tenant = "acme",
	                                  .actor = "a",
	                                  .action = "b",
	                                  .resource = path + 0,
	                                  .result = "denied",
	                                  .at_ms = 1};
	commit(plane, &event);
	const char *resource = value_get_str(newest(plane), "resource");
	cr_assert_not_null(resource);
	cr_expect_leq(strlen(resource), 260);
	cr_expect_str_eq(resource + strlen(resource) - 3, "...");
	cr_expect_eq(strlen(resource) % 2, 1, "no half character before the dots");
	plane_stop(plane);
}

Test(audit, writes_down_its_class_and_leaves_out_a_detail_that_is_too_large)
{
	struct plane *plane = plane_start();
	struct value *detail = value_map(plane->arena);
	char text[AUDIT_DETAIL_MAX + 1];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	value_set_str(detail, "much", text);
	const char *const policies[] = {"one.0", "two.0"};
	const struct audit_event event = {.tenant = "acme",
	                                  .actor = "acme/ada",
	                                  .on_behalf = "acme/bob",
	                                  .action = "dataset:read",
	                                  .verb = VERB_QUERY_DATA,
	                                  .resource = "/v1/x",
	                                  .result = "allowed",
	                                  .policies = policies,
	                                  .policy_count = 2,
	                                  .detail = detail,
	                                  .at_ms = 1};
	commit(plane, &event);
	const struct value *record = newest(plane);
	cr_expect_eq(value_get_int(record, "class", 0), 6005);
	cr_expect_eq(value_get_int(record, "activity", 0), 4);
	cr_expect_str_eq(value_get_str(record, "onBehalfOf"), "acme/bob");
	cr_expect_str_eq(value_as_str(value_at(value_get(record, "policies"), 1)), "two.0");
	cr_expect(value_get_bool(value_get(record, "detail"), "omitted", false));
	plane_stop(plane);
}
