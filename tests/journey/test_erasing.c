/* test_erasing.c - a tenant that is suspended, sealed, unsealed and erased, with a real worker:
 * what goes on, what stops, and that nothing of it is left but its certificate. */
#include "common/defs.h"
#include "tests/support/tells.h"
#include "tests/support/yard.h"

#include "api/certificate.h"
#include "common/store_mem.h"
#include "control/home.h"
#include "control/journal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HOUR_MS = 3600000, ROWS = 40, FAR_STEP_MS = 200 };

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define READ "{'features':['delays:mean'],'entities':{'airport':['ATL']}}"

struct cast {
	struct yard *yard;
	struct plane *plane;
	struct company acme, globex;
};

static struct answer operator_asks(struct cast *cast, const char *method, const char *path,
                                   const char *body)
{
	return plane_call(cast->plane, cast->plane->operator_key, method, path, body);
}

static struct answer move(struct cast *cast, const char *verb)
{
	struct answer answer = operator_asks(cast, "POST",
	                                     arena_printf(cast->plane->arena,
	                                                  "/v1/tenants/acme/%s", verb),
	                                     "{'reason':'a test'}");
	cr_assert_eq(answer.status, 200, "%s: %s", verb, answer.text);
	return answer;
}

static void put(struct cast *cast, const char *kind, const char *path, const char *spec)
{
	plane_put(cast->plane, cast->acme.key, kind, path, spec);
}

static void make_acme(struct cast *cast)
{
	char text[4096];
	int len = snprintf(text, sizeof text, "airport,hour,mean\n");
	cast->acme = (struct company){"acme", "sales", plane_tenant(cast->plane, "acme", "sales")};
	put(cast, "Dataset", SALES("datasets/delays"),
	    "{'schema':[{'name':'airport','type':'string'},"
	    "{'name':'hour','type':'timestamp','required':true},{'name':'mean','type':'int64'}]}");
	put(cast, "Source", SALES("sources/delays"),
	    "{'connector':'file','path':'delays.csv','dataset':'delays','format':'csv'}");
	put(cast, "Entity", SALES("entities/airport"), "{'joinKey':'airport'}");
	put(cast, "FeatureView", SALES("featureviews/delays"),
	    "{'entities':['airport'],'dataset':'delays','timestampField':'hour',"
	    "'features':[{'name':'mean','type':'int64'}]}");
	for (int i = 0; i < ROWS; i++)
		len += snprintf(text + len, sizeof text - (size_t)len,
		                "%s,2001-09-09 01:%02d:00,%d\n", i % 2 ? "ATL" : "ORD", i, i);
	yard_file(cast->yard, "acme", "delays.csv", text);
}

static void raise_curtain(struct cast *cast)
{
	cast->yard = yard_open();
	cast->plane = cast->yard->stage->plane;
	make_acme(cast);
	cast->globex = (struct company){"globex", "trips",
	                                plane_tenant(cast->plane, "globex", "trips")};
}

static void run(struct cast *cast, const char *type, const char *spec)
{
	const char *id = yard_submit(cast->yard, &cast->acme, type, spec);
	const struct value *task = yard_await(cast->yard, &cast->acme, id, NULL);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s: %s", type,
	                 value_get_str(value_get(task, "error"), "text"));
}

static void fill(struct cast *cast)
{
	run(cast, "ingest", "{'source':'delays'}");
	run(cast, "materialize", "{'featureView':'delays'}");
	struct answer read = yard_read(cast->yard, cast->acme.key, READ);
	cr_assert_eq(read.status, 200, "%s", read.text);
}

/* --- conditions --- */

static bool read_is_refused(void *context)
{
	struct cast *cast = context;
	return yard_read(cast->yard, cast->acme.key, READ).status == 409;
}

static bool read_is_answered(void *context)
{
	struct cast *cast = context;
	return yard_read(cast->yard, cast->acme.key, READ).status == 200;
}

static bool is_gone(void *context)
{
	struct cast *cast = context;
	return operator_asks(cast, "GET", "/v1/tenants/acme", NULL).status == 404;
}

static void await(struct cast *cast, stage_ready_fn *ready, const char *what)
{
	cr_assert(stage_await(cast->yard->stage, ready, cast, HOUR_MS), "%s: %s", what,
	          operator_asks(cast, "GET", "/v1/tenants/acme/deletion", NULL).text);
}

/* --- what the store holds, opened --- */

struct search { struct cast *cast; struct arena *scratch; const char *found; };

static bool holds(const struct value *value)
{
	size_t len = 0;
	const void *bytes = value_as_bin(value, &len);
	if (tells_in(bytes, len, "acme"))
		return true;
	bool many = value_kind(value) == VALUE_MAP || value_kind(value) == VALUE_LIST;
	for (size_t i = 0; many && i < value_len(value); i++) {
		const char *name = NULL;
		const struct value *part = value_kind(value) == VALUE_MAP
			? value_member(value, i, &name) : value_at(value, i);
		if (tells(name, "acme") || holds(part))
			return true;
	}
	return false;
}

static int look(void *context, const struct store_item *item, struct err *err)
{
	struct search *search = context;
	struct plane *plane = search->cast->plane;
	struct value *value = NULL;
	(void)err;
	if (strncmp(item->key, "r/erasure/", 10) == 0)
		return 0;
	bool found = tells(item->key, "acme") ||
		(journal_open_value(keyring_state_key(plane->keyring), item->key, item->value,
		                    item->value_len, search->scratch, &value, NULL) == 0 &&
		 holds(value));
	arena_reset(search->scratch);
	if (found)
		search->found = arena_strdup(plane->arena, item->key);
	return 0;
}

static const char *left_in_store(struct cast *cast)
{
	AUTO(arena) *scratch = NULL;
	struct search search = { .cast = cast };
	cr_assert_eq(arena_new(16 * MIB, &scratch, NULL), 0);
	search.scratch = scratch;
	cr_assert_eq(store_list(cast->plane->store, "", look, &search, NULL, NULL), 0);
	return search.found;
}

static bool store_is_clean(void *context)
{
	return left_in_store(context) == NULL;
}

static bool is_there(struct cast *cast, const char *folder)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s/acme", cast->yard->dir, folder);
	return access(path, F_OK) == 0;
}

/* --- the certificate --- */

static struct note_verifier verifier_of(struct cast *cast)
{
	struct note_verifier verifier;
	struct answer answer = operator_asks(cast, "GET", "/v1/signers", NULL);
	const char *key = value_get_str(value_at(value_get(answer.body, "items"), 0), "key");
	cr_assert_not_null(key, "%s", answer.text);
	cr_assert_eq(note_verifier_read(key, &verifier, NULL), 0, "%s", key);
	return verifier;
}

static const struct value *certificate_of(struct cast *cast)
{
	struct err err = { 0 };
	struct value *certificate = NULL;
	struct note_verifier verifier = verifier_of(cast);
	struct answer list = operator_asks(cast, "GET", "/v1/erasures", NULL);
	const struct value *first = value_at(value_get(list.body, "items"), 0);
	const char *uid = value_get_str(first, "uid");
	cr_assert_not_null(uid, "%s", list.text);
	struct answer one = operator_asks(cast, "GET", arena_printf(cast->plane->arena,
	                                                            "/v1/erasures/%s", uid), NULL);
	const char *text = value_get_str(one.body, "certificate");
	cr_assert_not_null(text, "%s", one.text);
	cr_assert_eq(certificate_open(cast->plane->arena, &verifier, text, strlen(text),
	                              &certificate, &err), 0, "%s\n%s", err.text, text);
	return certificate;
}

static void begin_deletion(struct cast *cast)
{
	struct answer answer = operator_asks(cast, "POST", "/v1/tenants/acme/deletion",
	                                     "{'name':'acme','reason':'the contract ended'}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
}

static void assert_nothing_left(struct cast *cast)
{
	cr_assert_not(is_there(cast, "objects"));
	cr_assert_not(is_there(cast, "online"));
	struct stage *stage = cast->yard->stage;
	int step_ms = stage->step_ms;
	stage->step_ms = FAR_STEP_MS;        /* each look opens all of the store */
	bool clean = stage_await(stage, store_is_clean, cast, HOUR_MS);
	stage->step_ms = step_ms;
	cr_assert(clean, "%s still names it", left_in_store(cast));
}

/* --- the tests --- */

Test(erasing, a_suspended_tenant_reads_nothing_online_and_goes_on_where_it_was_when_resumed)
{
	struct cast cast;
	raise_curtain(&cast);
	fill(&cast);
	move(&cast, "suspend");
	await(&cast, read_is_refused, "reads are refused");
	struct answer refused = plane_call(cast.plane, cast.acme.key, "POST", SALES("tasks"),
	                                   "{'type':'probe','spec':{}}");
	cr_assert_eq(refused.status, 409, "%s", refused.text);
	cr_assert_eq(plane_call(cast.plane, cast.acme.key, "GET", SALES("datasets/delays"),
	                        NULL).status, 200);
	move(&cast, "resume");
	await(&cast, read_is_answered, "reads are answered");
	yard_close(cast.yard);
}

Test(erasing, a_sealed_tenants_running_task_is_handed_back_and_waits_until_it_is_unsealed)
{
	struct cast cast;
	raise_curtain(&cast);
	fill(&cast);
	const char *id = yard_submit(cast.yard, &cast.acme, "probe", "{'sleepMs':600000}");
	yard_await(cast.yard, &cast.acme, id, "running");
	move(&cast, "seal");
	yard_await(cast.yard, &cast.acme, id, "queued");
	await(&cast, read_is_refused, "reads are refused");
	const struct value *task = yard_task(cast.yard, &cast.acme, id);
	cr_assert(strstr(value_get_str(task, "reason"), "sealed"), "%s",
	          value_get_str(task, "reason"));
	move(&cast, "unseal");
	yard_await(cast.yard, &cast.acme, id, "running");
	await(&cast, read_is_answered, "reads are answered");
	run(&cast, "materialize", "{'featureView':'delays'}");
	cr_assert_eq(plane_call(cast.plane, cast.acme.key, "POST",
	                        arena_printf(cast.plane->arena, SALES("tasks/%s/cancel"), id),
	                        NULL).status, 202);
	yard_await(cast.yard, &cast.acme, id, "cancelled");
	yard_close(cast.yard);
}

Test(erasing, a_deletion_wants_the_tenants_name_and_can_be_cancelled_while_it_waits)
{
	struct cast cast;
	raise_curtain(&cast);
	const char *path = "/v1/tenants/acme/deletion";
	cr_assert_eq(operator_asks(&cast, "GET", path, NULL).status, 404);
	cr_assert_eq(operator_asks(&cast, "POST", path, "{'name':'globex','reason':'x'}").status,
	             400);
	cr_assert_eq(plane_call(cast.plane, cast.acme.key, "POST", path,
	                        "{'name':'acme','reason':'x'}").status, 403);
	struct answer answer = operator_asks(&cast, "POST", path,
	                                     "{'name':'acme','reason':'x','after':'7d'}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	cr_assert_str_eq(value_get_str(answer.body, "step"), "wait");
	cr_assert_eq(operator_asks(&cast, "POST", path,
	                           "{'name':'acme','reason':'again'}").status, 202);
	struct answer refused = plane_call(cast.plane, cast.acme.key, "POST", SALES("tasks"),
	                                   "{'type':'probe','spec':{}}");
	cr_assert_eq(refused.status, 409, "%s", refused.text);
	cr_assert_eq(operator_asks(&cast, "DELETE", path, NULL).status, 200);
	cr_assert_eq(operator_asks(&cast, "GET", path, NULL).status, 404);
	run(&cast, "probe", "{'sleepMs':1}");
	yard_close(cast.yard);
}

Test(erasing, leaves_nothing_of_a_tenant_but_a_certificate_and_its_name_is_free_again)
{
	struct cast cast;
	raise_curtain(&cast);
	fill(&cast);
	put(&cast, "Schedule", SALES("schedules/often"),
	    "{'every':'1h','task':{'type':'probe','spec':{'sleepMs':1}}}");
	const char *id = yard_submit(cast.yard, &cast.acme, "probe", "{'sleepMs':600000}");
	yard_await(cast.yard, &cast.acme, id, "running");
	cr_assert(is_there(&cast, "objects") && is_there(&cast, "online"));
	cr_assert_not_null(left_in_store(&cast));
	begin_deletion(&cast);
	await(&cast, is_gone, "it is gone");
	assert_nothing_left(&cast);
	const struct value *certificate = certificate_of(&cast);
	cr_assert_str_eq(value_get_str(value_get(certificate, "tenant"), "name"), "acme");
	cr_assert_str_eq(value_get_str(certificate, "reason"), "the contract ended");
	cr_assert_geq(value_get_int(value_get(certificate, "keys"), "count", 0), 3);
	const struct value *workers = value_get(certificate, "workers");
	cr_assert_eq(value_len(workers), 1);
	const struct value *worker = value_member(workers, 0, NULL);
	cr_assert_not_null(value_get(worker, "confirmedAt"));
	cr_assert_eq(value_get_int(worker, "rows", 0), 2);
	make_acme(&cast);
	fill(&cast);
	yard_close(cast.yard);
}

static bool has_history(void *context)
{
	struct cast *cast = context;
	struct snapshot *snapshot = NULL;
	return home_history(cast->plane->control, cast->plane->arena, "acme", &snapshot) &&
		snapshot->rows > 0;
}

Test(erasing, leaves_nothing_of_a_tenants_history_nor_of_a_new_key_that_is_under_way)
{
	struct cast cast;
	raise_curtain(&cast);
	fill(&cast);
	stage_jump(cast.yard->stage, HOUR_MS);
	await(&cast, has_history, "its ended tasks leave for the dataset freehold.tasks");
	const char *id = yard_submit(cast.yard, &cast.acme, "probe", "{'sleepMs':600000}");
	yard_await(cast.yard, &cast.acme, id, "running");
	cr_assert_eq(plane_call(cast.plane, cast.acme.key, "POST",
	                        SALES("datasets/delays/keys/rotate"), NULL).status, 202);
	cr_assert(catalog_has(cast.plane->control->catalog, "r/rotation/acme"),
	          "it waits for the task that runs");
	begin_deletion(&cast);
	await(&cast, is_gone, "it is gone");
	assert_nothing_left(&cast);
	yard_close(cast.yard);
}

/* Control and worker end without a word again and again while it is erased. */
Test(erasing, goes_on_where_it_was_when_control_and_workers_die)
{
	struct cast cast;
	raise_curtain(&cast);
	fill(&cast);
	begin_deletion(&cast);
	for (int i = 0; i < 12 && !is_gone(&cast); i++) {
		if (i % 3 == 2)
			yard_kill(cast.yard);
		else
			stage_restart(cast.yard->stage);
		stage_pass(cast.yard->stage, is_gone, &cast, 700 * (i + 1));
	}
	await(&cast, is_gone, "it is gone");
	assert_nothing_left(&cast);
	const struct value *certificate = certificate_of(&cast);
	cr_assert_eq(value_len(value_get(certificate, "performed")), 7);
	yard_close(cast.yard);
}
