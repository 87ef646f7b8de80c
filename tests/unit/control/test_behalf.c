/* test_behalf.c - what a task keeps of whoever it runs for, and who that is later. */
#include "common/defs.h"
#include "control/behalf.h"

#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define SALES "/v1/tenants/acme/domains/sales"

static struct answer ask_for(struct plane *plane, const char *key, const char *method,
                             const char *path, const char *body, const char *purpose)
{
	const struct header headers[] = { { "Content-Type", "application/json" },
		                          { "Freehold-Purpose", purpose }, { NULL, NULL } };
	const struct asked asked = { .method = method, .path = path, .key = key, .body = body,
		                     .headers = headers };
	return plane_ask(plane, &asked);
}

Test(behalf, a_task_keeps_what_it_was_submitted_for)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	const char *etl = plane_principal(plane, "acme", "etl", "'producer'", "sales");
	struct work work;
	struct err err = { 0 };
	struct answer made = ask_for(plane, etl, "POST", SALES "/tasks", "{\"type\":\"probe\"}",
	                             "billing");
	cr_assert_eq(made.status, 202, "%s", made.text);
	const char *id = value_get_str(made.body, "id");
	struct answer shown = plane_call(plane, etl, "GET",
	                                 arena_printf(plane->arena, SALES "/tasks/%s", id), NULL);
	cr_expect_str_eq(value_get_str(shown.body, "purpose"), "billing", "%s", shown.text);
	cr_expect_null(value_get(shown.body, "reader"));
	plane_restart(plane);
	cr_assert_eq(shard_find(plane->part->shard, plane->arena, "acme", id, &work, &err), 1);
	cr_expect_str_eq(work.purpose, "billing");
	cr_expect_null(work.reader, "a key's owner is its principal");
	plane_stop(plane);
}

Test(behalf, a_purpose_of_no_or_too_many_characters_is_refused)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "sales");
	char longer[PURPOSE_TEXT_MAX + 2];
	memset(longer, 'p', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	const char *wrong[] = { "", longer };
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct answer answer = ask_for(plane, admin, "POST", SALES "/tasks",
		                               "{\"type\":\"probe\"}", wrong[i]);
		cr_expect_eq(answer.status, 400, "%s", answer.text);
		cr_expect_not_null(strstr(answer.detail, "Freehold-Purpose"), "%s", answer.detail);
	}
	plane_stop(plane);
}

static struct behalf kept_with(struct plane *plane, const char *key)
{
	struct value *found = NULL;
	struct err err = { 0 };
	cr_assert_eq(catalog_get(plane->control->catalog, plane->arena, key, &found, NULL, &err),
	             0, "%s", err.text);
	return behalf_read(found);
}

#define TICK \
	"{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"Schedule\",\"metadata\":{\"name\":" \
	"\"tick\"},\"spec\":{\"every\":\"%s\",\"task\":{\"type\":\"probe\"}}}"

Test(behalf, a_schedule_keeps_who_wrote_it_last_and_shows_it_to_nobody)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "sales");
	const char *owner = plane_principal(plane, "acme", "olga", "'domain-owner'", "sales");
	struct answer made = ask_for(plane, owner, "PUT", SALES "/schedules/tick",
	                             arena_printf(plane->arena, TICK, "1h"), "billing");
	cr_assert_eq(made.status, 201, "%s", made.text);
	struct behalf kept = kept_with(plane, "r/schedule/acme/sales/tick");
	cr_expect_str_eq(value_get_str(kept.reader, "principal"), "acme/olga");
	cr_expect_str_eq(kept.purpose, "billing");
	cr_expect_null(strstr(made.text, "acme/olga"), "%s", made.text);
	made = ask_for(plane, admin, "PUT", SALES "/schedules/tick",
	               arena_printf(plane->arena, TICK, "1h"), "fraud");
	cr_expect_eq(made.status, 200, "%s", made.text);
	kept = kept_with(plane, "r/schedule/acme/sales/tick");
	cr_expect_str_eq(value_get_str(kept.reader, "principal"), "acme/olga",
	                 "what changes nothing is not written");
	made = ask_for(plane, admin, "PUT", SALES "/schedules/tick",
	               arena_printf(plane->arena, TICK, "2h"), "fraud");
	cr_expect_eq(made.status, 200, "%s", made.text);
	kept = kept_with(plane, "r/schedule/acme/sales/tick");
	cr_expect_str_neq(value_get_str(kept.reader, "principal"), "acme/olga");
	cr_expect_str_eq(kept.purpose, "fraud");
	plane_stop(plane);
}

Test(behalf, who_it_is_has_the_roles_of_now)
{
	struct plane *plane = plane_start();
	const char *admin = plane_tenant(plane, "acme", "sales");
	plane_principal(plane, "acme", "etl", "'producer'", "sales");
	struct asker asker;
	struct err err = { 0 };
	struct value *reader = value_map(plane->arena);
	struct work work = { .id = "t", .tenant = "acme", .domain = "sales",
		             .principal = "acme/etl", .type = TASK_TRANSFORM };
	cr_assert_eq(behalf_asker(plane->control, plane->arena, &work, &asker, &err), 0);
	cr_expect_str_eq(asker.principal, "etl");
	cr_expect_eq(asker.auth, AUTH_KEY);
	cr_assert_eq(asker.binding_count, 1);
	cr_expect_str_eq(asker.bindings[0].role, "producer");
	plane_put(plane, admin, "Principal", "/v1/tenants/acme/principals/etl", "{}");
	value_set_str(reader, "strength", "token");
	work.reader = reader;
	cr_assert_eq(behalf_asker(plane->control, plane->arena, &work, &asker, &err), 0);
	cr_expect_eq(asker.binding_count, 0);
	cr_expect_eq(asker.auth, AUTH_TOKEN);
	work.principal = "acme/idp:subject";
	cr_expect_eq(behalf_asker(plane->control, plane->arena, &work, &asker, &err), E_DENIED);
	cr_expect_not_null(strstr(err.text, "acme/idp:subject"), "%s", err.text);
	plane_stop(plane);
}
