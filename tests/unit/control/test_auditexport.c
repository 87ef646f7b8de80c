/* test_auditexport.c - events for other systems: byte for byte what was hashed, none left out. */
#include "common/defs.h"
#include "control/auditexport.h"

#include "common/json.h"
#include "control/ocsf.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACME "/v1/tenants/acme"

static const char *export_text(struct plane *plane, const char *query)
{
	struct answer answer = plane_call(plane, plane->operator_key, "GET",
	                                  arena_printf(plane->arena, ACME "/audit/export%s", query),
	                                  NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_assert_str_eq(answer.content_type, "application/x-ndjson");
	return answer.text;
}

static const struct value *line_at(struct plane *plane, const char *text, size_t number)
{
	struct value *line = NULL;
	struct err err = {0};
	for (; number > 0; number--) {
		text = strchr(text, '\n');
		cr_assert_not_null(text);
		text++;
	}
	cr_assert_eq(json_parse(plane->arena, text, strcspn(text, "\n"), &line, &err), 0, "%s",
	             err.text);
	return line;
}

static size_t lines_in(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += *text == '\n';
	return count;
}

Test(auditexport, gives_every_event_once_in_order_and_goes_on_after_the_last)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "flights");
	const char *all = export_text(plane, "");
	size_t count = lines_in(all);
	cr_assert_gt(count, 2);
	for (size_t i = 0; i < count; i++)
		cr_expect_eq(value_get_int(value_get(line_at(plane, all, i), "metadata"),
		                           "sequence", 0),
		             (int64_t)i + 1);
	const char *two = export_text(plane, "?limit=2");
	cr_expect_eq(lines_in(two), 2);
	cr_expect_eq(strncmp(all, two, strlen(two)), 0, "the same bytes");
	const char *rest = export_text(plane, "?since=2");
	cr_expect_eq(strncmp(rest, all + strlen(two), strlen(all) - strlen(two)), 0);
	/* That each export was an event as well: */
	cr_expect_eq(lines_in(rest), count);
	plane_stop(plane);
}

Test(auditexport, a_line_is_the_events_own_and_a_cloudevent_carries_it_unchanged)
{
	struct plane *plane = plane_start();
	struct value *events = NULL;
	struct err err = {0};
	bool more = false;
	AUTO_BUF out;
	buf_init(&out, OCSF_LINE_MAX);
	plane_tenant(plane, "acme", "flights");
	const struct audit_query query = {.tenant = "acme", .limit = 1000};
	cr_assert_eq(shard_audit(plane->part->shard, plane->arena, &query, &events, &more, &err),
	             0);
	const struct value *first = value_at(events, value_len(events) - 1);
	cr_assert_eq(ocsf_print(first, &out, &err), 0);
	const char *line = export_text(plane, "?limit=1");
	cr_expect_eq(strncmp(line, (char *)out.data, out.len), 0);
	const char *text = export_text(plane, "?limit=1&format=cloudevents");
	const struct value *cloud = line_at(plane, text, 0);
	cr_expect_str_eq(value_get_str(cloud, "specversion"), "1.0");
	cr_expect_str_eq(value_get_str(cloud, "id"), "acme/1");
	cr_expect_eq(strncmp(value_get_str(cloud, "source"), "freehold/audit/", 15), 0);
	cr_expect_eq(strncmp(value_get_str(cloud, "type"), "freehold.audit.", 15), 0);
	cr_expect_null(strchr(value_get_str(cloud, "type"), ':'));
	const char *data = strstr(text, "\"data\":");
	cr_assert_not_null(data);
	cr_expect_eq(strncmp(data + 7, (char *)out.data, out.len), 0);
	plane_stop(plane);
}

Test(auditexport, what_cannot_be_read_as_asked_is_refused)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "flights");
	const char *const wrong[] = {"/export?format=csv", "/export?since=x", "/export?limit=0",
	                             "?from=yesterday",    "?class=x",
	                             "?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		cr_expect_eq(plane_call(plane, plane->operator_key, "GET",
		                        arena_printf(plane->arena, ACME "/audit%s", wrong[i]),
		                        NULL)
		                     .status,
		             400, "%s", wrong[i]);
	plane_stop(plane);
}

static size_t found(struct plane *plane, const char *query)
{
	struct answer answer = plane_call(plane, plane->operator_key, "GET",
	                                  arena_printf(plane->arena, ACME "/audit?%s", query),
	                                  NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	return value_len(value_get(answer.body, "items"));
}

Test(auditexport, the_log_is_searched_by_what_an_event_says)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "flights");
	static const struct header headers[] = {{"Freehold-Purpose", "billing"}, {NULL, NULL}};
	struct answer read = plane_ask(plane, &(struct asked){.method = "GET",
	                                                      .path = ACME "/domains/flights",
	                                                      .key = admin,
	                                                      .headers = headers});
	cr_assert_eq(read.status, 200);
	cr_expect_eq(found(plane, "purpose=billing"), 1);
	cr_expect_eq(found(plane, "purpose=bill"), 0);
	cr_expect_eq(found(plane, arena_printf(plane->arena, "request=%s", read.request_id)), 1);
	cr_expect_eq(found(plane, "resource=/v1/tenants/acme/domains/flights&action=domain:read"),
	             1);
	cr_expect_eq(found(plane, "resource=/v1/tenants/acme/domains&action=domain:read"), 1);
	cr_expect_eq(found(plane, "resource=/v1/tenants/acme/domains/fli&action=domain:read"), 0);
	cr_expect_eq(found(plane, "purpose=billing&class=6003"), 1);
	cr_expect_eq(found(plane, "purpose=billing&class=6005"), 0);
	cr_expect_eq(found(plane, "purpose=billing&from=2001-01-01T00:00:00Z"), 1);
	cr_expect_eq(found(plane, "purpose=billing&to=2001-01-01T00:00:00Z"), 0);
	struct answer page = plane_call(plane, plane->operator_key, "GET", ACME "/audit?limit=1",
	                                NULL);
	const char *next = value_get_str(page.body, "continue");
	int64_t newest = value_get_int(value_at(value_get(page.body, "items"), 0), "seq", 0);
	cr_assert_not_null(next);
	page = plane_call(plane, plane->operator_key, "GET",
	                  arena_printf(plane->arena, ACME "/audit?limit=1&continue=%s", next),
	                  NULL);
	cr_expect_eq(value_get_int(value_at(value_get(page.body, "items"), 0), "seq", 0),
	             newest - 1);
	plane_stop(plane);
}
