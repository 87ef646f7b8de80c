/* story.c - see story.h. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "common/clock.h"
#include "tests/support/follow.h"
#include "worker/duck.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TASK_MS = 120000 };

static const char platform[] =
	"apiVersion: freehold.io/v1\nkind: RateCard\nmetadata: {name: default}\n"
	"spec: {currency: EUR, cpuSecond: 20, gibRead: 1000, gibWritten: 5000, gibStored: 20000,"
	" millionOnlineReads: 400000, task: 10}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Tenant\nmetadata: {name: acme}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Tenant\nmetadata: {name: globex}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Domain\nmetadata: {name: sales, tenant: acme}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Domain\nmetadata: {name: trips, tenant: globex}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Principal\nmetadata: {name: ada, tenant: acme}\n"
	"spec: {roles: [domain-owner], domain: sales}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Principal\nmetadata: {name: eve, tenant: acme}\n"
	"spec: {roles: [consumer], domain: sales}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Principal\nmetadata: {name: abe, tenant: acme}\n"
	"spec: {roles: [tenant-admin]}\n---\n"
	"apiVersion: freehold.io/v1\nkind: Principal\nmetadata: {name: gus, tenant: globex}\n"
	"spec: {roles: [domain-owner], domain: trips}\n";

const char *story_key(struct system *system, const char *who)
{
	const char *text = file_text(system_arena(system), system_path(system, "%s.key", who));
	cr_assert_not_null(text, "%s has no key", who);
	return arena_strndup(system_arena(system), text, strcspn(text, "\n"));
}

static void login(struct system *system, const char *who)
{
	system_cli_ok(system, "login", "--url", system_url(system, PORT_API), "--key-file",
	              system_path(system, "%s.key", who), "--ca-file",
	              system_path(system, "keys/ca.pem"), "--profile", who, NULL);
}

static void make_person(struct system *system, const char *tenant, const char *who)
{
	system_cli_ok(system, "keys", "create", who, "--tenant", tenant, "--out",
	              system_path(system, "%s.key", who), "--profile", "operator", NULL);
	login(system, who);
}

void story_tenants(struct system *system)
{
	login(system, "operator");
	story_apply(system, "operator", platform);
	make_person(system, "acme", "ada");
	make_person(system, "acme", "eve");
	make_person(system, "acme", "abe");
	make_person(system, "globex", "gus");
}

struct system *story_start(const struct system_options *options)
{
	struct system *system = system_start(options);
	story_tenants(system);
	return system;
}

void data_write(const char *path, const char *select, const char *options)
{
	struct err err = {0};
	AUTO(duck) *duck = NULL;
	AUTO_BUF sql;
	buf_init(&sql, 1 * MIB);
	buf_printf(&sql, "COPY (%s) TO ", select);
	duck_put_text(&sql, path);
	buf_printf(&sql, " (%s)", options);
	cr_assert_eq(buf_check(&sql, &err), 0, "%s", err.text);
	cr_assert_eq(duck_new(&duck, &err), 0, "%s", err.text);
	cr_assert_eq(duck_exec(duck, (const char *)sql.data, &err), 0, "%s: %s", path, err.text);
}

const char *data_orders(struct system *system, int64_t first, int64_t rows)
{
	return arena_printf(system_arena(system),
	                    "SELECT 'customer-of-marker-' || (i %% 1000) AS customer, "
	                    "TIMESTAMP '2024-01-01' + to_seconds(i) AS seen, i / 2.0 AS amount, "
	                    "'plaintext-marker-' || i AS note "
	                    "FROM range(%" PRId64 ", %" PRId64 ") t(i)",
	                    first, first + rows);
}

void data_csv(struct system *system, const char *name, int64_t rows)
{
	data_write(system_path(system, "files/acme/%s", name), data_orders(system, 0, rows),
	           "FORMAT csv, HEADER");
}

struct ran story_try_apply(struct system *system, const char *profile, const char *yaml)
{
	int64_t now_us = clock_mono_us(clock_system());
	const char *path = system_path(system, "manifests/%" PRId64 ".yaml", now_us);
	file_write(path, yaml);
	return system_cli(system, "apply", "-f", path, "--profile", profile, NULL);
}

const char *story_apply(struct system *system, const char *profile, const char *yaml)
{
	struct ran ran = story_try_apply(system, profile, yaml);
	cr_assert_eq(ran.code, 0, "exit code %d: %s", ran.code, ran.out);
	return ran.out;
}

void story_orders(struct system *system, const char *path, const char *format, const char *more)
{
	static const char dataset[] = "apiVersion: freehold.io/v1\nkind: Dataset\n"
				      "metadata: {name: orders, domain: sales}\nspec:\n  schema:\n"
				      "    - {name: customer, type: string, required: true}\n"
				      "    - {name: seen, type: timestamp, required: true}\n"
				      "    - {name: amount, type: float64}\n"
				      "    - {name: note, type: string}\n---\n"
				      "apiVersion: freehold.io/v1\nkind: Source\n"
				      "metadata: {name: orders, domain: sales}\n";
	story_apply(
		system, "ada",
		arena_printf(system_arena(system),
	                     "%sspec: {connector: file, path: %s, format: %s, dataset: orders%s}\n",
	                     dataset, path, format, more));
}

void story_spending(struct system *system)
{
	story_apply(
		system, "ada",
		"apiVersion: freehold.io/v1\nkind: Dataset\n"
		"metadata: {name: spending, domain: sales}\n---\n"
		"apiVersion: freehold.io/v1\nkind: Transformation\n"
		"metadata: {name: spending, domain: sales}\nspec:\n"
		"  inputs: [orders]\n  output: spending\n"
		"  sql: SELECT customer, max(seen) AS seen, count(*) AS orders, sum(amount) AS "
	        "total,"
		" any_value(note) AS note FROM orders GROUP BY customer\n---\n"
		"apiVersion: freehold.io/v1\nkind: Entity\n"
		"metadata: {name: customer, domain: sales}\nspec: {joinKey: customer}\n---\n"
		"apiVersion: freehold.io/v1\nkind: FeatureView\n"
		"metadata: {name: spending, domain: sales}\nspec:\n"
		"  entities: [customer]\n  dataset: spending\n  timestampField: seen\n"
		"  features: [{name: orders, type: int64}, {name: total, type: float64},"
		" {name: note, type: string}]\n---\n"
		"apiVersion: freehold.io/v1\nkind: FeatureView\n"
		"metadata: {name: spending_today, domain: sales}\nspec:\n"
		"  entities: [customer]\n  dataset: spending\n  timestampField: seen\n  ttl: 24h\n"
		"  features: [{name: orders, type: int64}]\n");
}

const char *story_submit(struct system *system, const char *type, const char *spec)
{
	const char *body =
		arena_printf(system_arena(system), "{\"type\":\"%s\",\"spec\":%s}", type, spec);
	struct value *task =
		system_ask(system, story_key(system, "ada"), "POST", SALES "/tasks", body);
	const char *id = value_get_str(task, "id");
	cr_assert_not_null(id, "the answer names no task");
	return id;
}

struct value *story_task(struct system *system, const char *id)
{
	return system_ask(system, story_key(system, "ada"), "GET",
	                  arena_printf(system_arena(system), SALES "/tasks/%s", id), NULL);
}

static bool is_state(const char *is, const char *wanted)
{
	if (wanted)
		return is && strcmp(is, wanted) == 0;
	return is && (strcmp(is, "succeeded") == 0 || strcmp(is, "failed") == 0 ||
	              strcmp(is, "cancelled") == 0);
}

/* Whoever is away for a while is waited for. */
static struct value *await_state(struct system *system, const char *id, const char *state, int ms)
{
	const char *path = arena_printf(system_arena(system), SALES "/tasks/%s", id);
	const char *key = story_key(system, "ada"), *last = "";
	for (int64_t deadline = mono_ms() + ms; mono_ms() < deadline; wait_ms(20)) {
		struct answer answer = system_call(system, key, "GET", path, NULL);
		last = answer.text;
		const char *is = answer.status == 200 ? value_get_str(answer.body, "state") : NULL;
		if (is_state(is, state))
			return answer.body;
		cr_assert(!is_state(is, NULL), "task %s ended before it was seen %s: %s", id,
		          state, last);
		cr_assert(answer.status != 404, "task %s is lost", id);
	}
	cr_assert_fail("task %s is not %s after %d ms: %s", id, state ? state : "at its end", ms,
	               last);
	return NULL;
}

struct value *story_await(struct system *system, const char *id, int ms)
{
	return await_state(system, id, NULL, ms);
}

void story_await_running(struct system *system, const char *id)
{
	await_state(system, id, "running", TASK_MS);
}

const char *task_text(const struct value *task)
{
	const char *text = value_get_str(value_get(task, "error"), "text");
	return text ? text : "";
}

const char *task_code(const struct value *task)
{
	const char *code = value_get_str(value_get(task, "error"), "code");
	return code ? code : "";
}

struct value *story_run(struct system *system, const char *type, const char *spec)
{
	struct value *task = story_await(system, story_submit(system, type, spec), TASK_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s %s: %s %s", type, spec,
	                 task_code(task), task_text(task));
	return task;
}

struct value *story_fail(struct system *system, const char *type, const char *spec)
{
	struct value *task = story_await(system, story_submit(system, type, spec), TASK_MS);
	cr_assert_str_eq(value_get_str(task, "state"), "failed");
	return task;
}

int64_t story_rows(struct system *system, const char *dataset)
{
	struct value *resource =
		system_ask(system, story_key(system, "ada"), "GET",
	                   arena_printf(system_arena(system), SALES "/datasets/%s", dataset), NULL);
	return value_get_int(value_get(value_get(resource, "status"), "snapshot"), "rows", -1);
}

int64_t story_usage(struct system *system, const char *name)
{
	struct value *usage =
		system_ask(system, story_key(system, "ada"), "GET", "/v1/tenants/acme/usage", NULL);
	return value_get_int(value_get(usage, "total"), name, 0);
}

struct answer story_features(struct system *system, const char *who, const char *body)
{
	return system_call_with(system, PORT_SERVING, story_key(system, who), NULL, "POST",
	                        "/get-online-features", body);
}
