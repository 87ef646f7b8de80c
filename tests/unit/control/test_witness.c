/* test_witness.c - what a request leaves in the audit log: of every route, allowed and denied. */
#include "common/defs.h"
#include "control/witness.h"

#include "control/ocsf.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define POLICY(condition) \
	"{'apiVersion':'freehold.io/v1','kind':'Policy','metadata':{'name':'p'}," \
	"'spec':{'text':'forbid(principal, action, resource) when { " condition " };'}}"

enum { RECENT = 50 };

static struct value *events_of(struct plane *plane, const char *tenant)
{
	struct value *list = NULL;
	struct err err = {0};
	bool more = false;
	const struct audit_query query = {.tenant = tenant, .limit = RECENT};
	cr_assert_eq(shard_audit(plane->part->shard, plane->arena, &query, &list, &more, &err),
	             0, "%s", err.text);
	return list;
}

/* The events of a request that has just been answered: they are among the newest. */
static size_t find_events(struct plane *plane, const char *tenant, const char *request,
                          const struct value **ret_event)
{
	const struct value *list = events_of(plane, tenant);
	size_t count = 0;
	for (size_t i = 0; i < value_len(list); i++) {
		const char *id = value_get_str(value_at(list, i), "request");
		if (!id || strcmp(id, request) != 0)
			continue;
		*ret_event = value_at(list, i);
		count++;
	}
	return count;
}

/* A row's path with names that there may not be: denials come before that is looked at. */
static const char *path_of(struct plane *plane, const char *row, const char *tenant)
{
	static const char *const names[][2] = {{"{domain}", "flights"}, {"{name}", "thing"},
	                                       {"{task}", "01arz3ndektsv4rrffq69g5fav"},
	                                       {"{run}", "01arz3ndektsv4rrffq69g5fav"},
	                                       {"{key}", "01arz3ndektsv4rrffq69g5fav"}};
	struct buf out;
	buf_init(&out, 1024);
	while (*row) {
		size_t len = *row == '{' ? strcspn(row, "}") + 1 : strcspn(row, "{");
		const char *text = NULL;
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (strncmp(row, names[i][0], len) == 0 && strlen(names[i][0]) == len)
				text = names[i][1];
		if (strncmp(row, "{tenant}", 8) == 0)
			text = tenant;
		if (text)
			buf_puts(&out, text);
		else
			buf_put(&out, row, len);
		row += len;
	}
	cr_assert_eq(buf_check(&out, NULL), 0);
	const char *path = arena_strdup(plane->arena, (char *)out.data);
	buf_release(&out);
	return path;
}

static bool asks_nobody(const struct route *route)
{
	return route->action == ACTION_PUBLIC;
}

static void expect_event(struct plane *plane, const struct route *route, const char *tenant,
                         const char *actor, const struct answer *answer)
{
	const struct value *event = NULL;
	size_t count = find_events(plane, tenant, answer->request_id, &event);
	cr_assert_eq(count, 1, "%s %s: %d, %zu events: %s", route->method, route->path,
	             answer->status, count, answer->text);
	cr_expect_str_eq(value_get_str(event, "actor"), actor);
	cr_expect_str_eq(value_get_str(event, "action"), action_name(route->action));
	cr_expect_str_eq(value_get_str(event, "operation"), witness_operation(plane->arena, route));
	cr_expect_not_null(value_get_str(event, "credential"), "%s", route->path);
	cr_expect_not_null(ocsf_class_name((int)value_get_int(event, "class", 0)), "%s",
	                   route->path);
	cr_expect_str_eq(value_get_str(event, "purpose"), "tests");
	if (answer->status == 403 || answer->status == 404)
		cr_expect_not_null(value_get_str(event, "code"), "%s", route->path);
}

static struct answer ask(struct plane *plane, const struct route *route, const char *key,
                         const char *path)
{
	static const struct header headers[] = {{"Freehold-Purpose", "tests"},
	                                        {"Content-Type", "application/json"},
	                                        {NULL, NULL}};
	return plane_ask(plane, &(struct asked){.method = route->method,
	                                        .path = path,
	                                        .key = key,
	                                        .headers = headers,
	                                        .body = strcmp(route->method, "GET") ? "{}"
	                                                                             : NULL});
}

Test(witness, every_route_leaves_one_event_of_a_denied_request_and_one_of_another)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "flights");
	const char *nobody = plane_principal(plane, "acme", "nobody", "", NULL);
	const char *stranger = plane_tenant(plane, "globex", "d");
	size_t denied = 0, hidden = 0, other = 0;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		const char *path = path_of(plane, route->path, "acme");
		if (asks_nobody(route))
			continue;
		struct answer answer = ask(plane, route, nobody, path);
		denied += answer.status == 403;
		expect_event(plane, route, "acme", "acme/nobody", &answer);
		/* What a stranger may not know of is in the stranger's log. */
		answer = ask(plane, route, stranger, path);
		hidden += answer.status == 404;
		expect_event(plane, route, "globex", "globex/admin", &answer);
	}
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];
		/* Not what ends the tenant or key that the rest is asked with. */
		bool ends = strcmp(route->method, "GET") != 0 && !strstr(route->path, "/domains/");
		bool hashes = route->audit == AUDIT_DENIALS && strstr(route->path, "/audit/");
		if (asks_nobody(route) || ends || hashes || route->action == ACTION_BACKUP_READ)
			continue;
		const char *path = path_of(plane, route->path, "platform");
		struct answer answer = ask(plane, route, plane->operator_key, path);
		other += answer.status != 403;
		expect_event(plane, route, "platform", "platform/operator", &answer);
	}
	cr_expect_gt(denied, 40, "%zu", denied);
	cr_expect_gt(hidden, 40, "%zu", hidden);
	cr_expect_gt(other, 20, "%zu", other);
	plane_stop(plane);
}

Test(witness, what_an_operator_does_in_a_tenant_is_in_both_logs)
{
	struct plane *plane = plane_start();
	const struct value *event = NULL;
	plane_tenant(plane, "acme", "flights");
	struct answer read = plane_call(plane, plane->operator_key, "GET", ACME "/quotas", NULL);
	struct answer write = plane_call(plane, plane->operator_key, "POST", ACME "/suspend",
	                                 "{'reason':'a test'}");
	cr_assert_eq(read.status, 200, "%s", read.text);
	cr_assert_lt(write.status, 300, "%s", write.text);
	cr_expect_eq(find_events(plane, "acme", read.request_id, &event), 1);
	cr_expect_eq(find_events(plane, "platform", read.request_id, &event), 1);
	cr_expect_eq(find_events(plane, "acme", write.request_id, &event), 1);
	cr_expect_eq(find_events(plane, "platform", write.request_id, &event), 1);
	cr_expect_str_eq(value_get_str(event, "result"), "allowed");
	plane_stop(plane);
}

Test(witness, a_change_is_told_by_what_was_made_of_it_and_never_by_its_values)
{
	struct plane *plane = plane_start();
	const struct value *event = NULL;
	const char *admin = plane_tenant(plane, "acme", "flights");
	const char *path = ACME "/policies/p";
	struct answer made = plane_call(plane, admin, "PUT", path, POLICY("1 == 2"));
	cr_assert_leq(made.status, 201, "%s", made.text);
	cr_assert_eq(find_events(plane, "acme", made.request_id, &event), 1);
	cr_expect_eq(value_get_int(event, "class", 0), 3004);
	const char *after = value_get_str(value_get(event, "detail"), "after");
	cr_expect_null(value_get(value_get(event, "detail"), "before"));
	cr_assert_not_null(after);
	cr_expect_eq(strlen(after), 64);
	struct answer changed = plane_call(plane, admin, "PUT", path, POLICY("1 == 3"));
	const struct value *second = NULL;
	cr_assert_leq(changed.status, 201, "%s", changed.text);
	cr_assert_eq(find_events(plane, "acme", changed.request_id, &second), 1);
	cr_expect_str_eq(value_get_str(value_get(second, "detail"), "before"), after);
	cr_expect_str_eq(value_as_str(value_at(value_get(value_get(second, "detail"), "changed"),
	                                       0)),
	                 "spec.text");
	cr_expect_not_null(value_get_str(second, "digest"), "by which set it was decided");
	plane_stop(plane);
}

Test(witness, a_task_of_ones_own_is_watched_under_one_event)
{
	struct plane *plane = plane_start();
	const struct value *event = NULL;
	const char *admin = plane_tenant(plane, "acme", "flights");
	const char *other = plane_principal(plane, "acme", "other", "'tenant-admin'", NULL);
	struct answer task = plane_call(plane, admin, "POST", ACME "/domains/flights/tasks",
	                                "{'type':'probe','spec':{'sleepMs':1}}");
	cr_assert_eq(task.status, 202, "%s", task.text);
	const char *path = arena_printf(plane->arena, ACME "/domains/flights/tasks/%s",
	                                value_get_str(task.body, "id"));
	struct answer first = plane_call(plane, admin, "GET", path, NULL);
	cr_expect_eq(find_events(plane, "acme", first.request_id, &event), 1);
	const char *held = arena_printf(plane->arena, "%s?waitMs=1&afterVersion=1", path);
	struct answer poll = plane_call(plane, admin, "GET", held, NULL);
	cr_assert_eq(poll.status, 200, "%s", poll.text);
	cr_expect_eq(find_events(plane, "acme", poll.request_id, &event), 0);
	struct answer theirs = plane_call(plane, other, "GET", held, NULL);
	cr_assert_eq(theirs.status, 200);
	cr_expect_eq(find_events(plane, "acme", theirs.request_id, &event), 1);
	plane_stop(plane);
}
