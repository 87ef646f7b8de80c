/* test_whole.c - the whole path in one process on a simulated clock: tenants, keys, manifests, raw
 * files, sealed datasets, features, bill and audit; and what a lost leader, a killed worker, a
 * revoked key and passing time do to it. */
#include "common/defs.h"
#include "tests/support/ledger.h"
#include "tests/support/yard.h"

#include "common/store_mem.h"
#include "control/lead.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { FLIGHTS = 400, BAD = 3, AIRPORTS = 4, HOUR_MS = 3600000 };

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define READ_DELAYS                                                                                \
	"{'features':['delays:flights','delays:mean'],'entities':{'airport':['ATL-marker',"        \
	"'nowhere']}}"

struct cast {
	struct yard *yard;
	struct plane *plane;
	struct company acme, globex;
	const char *reader; /* a consumer's key */
};

static void put(struct cast *cast, const char *kind, const char *path, const char *spec)
{
	plane_put(cast->plane, cast->acme.key, kind, path, spec);
}

/* Flights of 2001-09-09, the day on which the simulated clock begins, and some lines that are none.
 */
static void write_flights(struct cast *cast, const char *name, int rows)
{
	static const char *const airports[AIRPORTS] = {"ATL-marker", "ORD-marker", "SEA-marker",
	                                               "JFK-marker"};
	char *text = arena_alloc(cast->plane->arena, 64 * KIB);
	int len = snprintf(text, 64 * KIB, "origin,seen,delay\n");
	for (int i = 0; i < rows; i++)
		len += snprintf(text + len, 64 * KIB - (size_t)len, "%s,2001-09-09 01:%02d:00,%d\n",
		                airports[i % AIRPORTS], i % 40, i % 10);
	for (int i = 0; i < BAD; i++)
		len += snprintf(text + len, 64 * KIB - (size_t)len, "ATL-marker,no time,%d\n", i);
	yard_file(cast->yard, "acme", name, text);
}

static void raise_curtain(struct cast *cast)
{
	struct plane *plane = NULL;
	cast->yard = yard_open();
	cast->plane = plane = cast->yard->stage->plane;
	plane_put(plane, plane->operator_key, "RateCard", "/v1/ratecards/default",
	          "{'currency':'EUR','cpuSecond':1000000,'gibWritten':1073741824,'task':7,"
	          "'millionOnlineReads':1000000}");
	cast->acme = (struct company){"acme", "sales", plane_tenant(plane, "acme", "sales")};
	cast->globex = (struct company){"globex", "trips", plane_tenant(plane, "globex", "trips")};
	cast->reader = plane_principal(plane, "acme", "eve", "'consumer'", "sales");
	put(cast, "Dataset", SALES("datasets/flights"),
	    "{'schema':[{'name':'origin','type':'string'},"
	    "{'name':'seen','type':'timestamp','required':true},{'name':'delay','type':'int64'}]}");
	put(cast, "Dataset", SALES("datasets/delays"), "{}");
	put(cast, "Source", SALES("sources/flights"),
	    "{'connector':'file','path':'flights.csv',"
	    "'dataset':'flights','format':'csv','rejectLimit':5}");
	put(cast, "Transformation", SALES("transformations/delays"),
	    "{'sql':'SELECT origin AS airport, "
	    "max(seen) AS hour, count(*) AS flights, avg(delay) AS mean FROM flights GROUP BY "
	    "origin',"
	    "'inputs':['flights'],'output':'delays'}");
	put(cast, "Entity", SALES("entities/airport"), "{'joinKey':'airport'}");
	put(cast, "FeatureView", SALES("featureviews/delays"),
	    "{'entities':['airport'],"
	    "'dataset':'delays','timestampField':'hour','ttl':'24h','features':["
	    "{'name':'flights','type':'int64'},{'name':'mean','type':'float64'}]}");
	write_flights(cast, "flights.csv", FLIGHTS);
}

static void drop_curtain(struct cast *cast)
{
	const struct company companies[] = {cast->acme, cast->globex, {NULL, NULL, NULL}};
	yard_end_worker(cast->yard); /* which may have reads to report yet */
	const char *broken =
		ledger_check(cast->yard->stage, cast->plane->arena, NULL, 0, companies);
	cr_expect_null(broken, "%s", broken);
	yard_close(cast->yard);
}

static int64_t row_count(struct cast *cast, const char *dataset)
{
	struct answer answer = plane_call(
		cast->plane, cast->acme.key, "GET",
		arena_printf(cast->plane->arena, SALES("datasets/%s/snapshots"), dataset), NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	return value_get_int(value_at(value_get(answer.body, "items"), 0), "rows", 0);
}

static const struct value *run(struct cast *cast, const char *type, const char *spec)
{
	const char *id = yard_submit(cast->yard, &cast->acme, type, spec);
	const struct value *task = yard_await(cast->yard, &cast->acme, id, NULL);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s: %s", type,
	                 value_get_str(value_get(task, "error"), "text"));
	return task;
}

static void run_all(struct cast *cast)
{
	run(cast, "ingest", "{'source':'flights'}");
	run(cast, "transform", "{'transformation':'delays'}");
	run(cast, "materialize", "{'featureView':'delays'}");
}

static int64_t total(struct cast *cast, const char *member)
{
	const struct asked asked = {"GET", "/v1/tenants/acme/usage", .key = cast->acme.key};
	struct answer answer = yard_ask(cast->yard, &asked);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	return value_get_int(value_get(answer.body, "total"), member, 0);
}

static const char *status_of(const struct value *answer, size_t column, size_t row)
{
	const struct value *result = value_at(value_get(answer, "results"), column);
	const char *text = value_as_str(value_at(value_get(result, "statuses"), row));
	return text ? text : "(none)";
}

/* What the transformation and the view read is told, with its snapshot and for whom. */
static void expect_reads(struct cast *cast)
{
	struct answer audit = plane_call(cast->plane, cast->acme.key, "GET",
	                                 "/v1/tenants/acme/audit?action=dataset:read&class=6005",
	                                 NULL);
	const struct value *items = value_get(audit.body, "items");
	cr_assert_eq(value_len(items), 2, "%s", audit.text);
	for (size_t i = 0; i < 2; i++) {
		const struct value *event = value_at(items, i);
		const struct value *inputs = value_get(value_get(event, "detail"), "inputs");
		cr_assert_eq(value_len(inputs), 1, "%s", audit.text);
		cr_expect_str_eq(value_get_str(value_at(inputs, 0), "dataset"),
		                 i == 0 ? "delays" : "flights");
		cr_expect_gt(value_get_int(value_at(inputs, 0), "snapshot", 0), 0);
		cr_expect_str_eq(value_get_str(event, "onBehalfOf"), "acme/admin");
	}
}

/* --- the story --- */

Test(whole, leads_from_raw_files_to_served_features_a_bill_and_an_audit_trail)
{
	struct cast cast;
	raise_curtain(&cast);
	const struct value *loaded = run(&cast, "ingest", "{'source':'flights'}");
	const struct value *output = value_at(value_get(loaded, "outputs"), 0);
	cr_expect_eq(value_get_int(output, "rows", 0), FLIGHTS);
	cr_expect_eq(value_get_int(output, "rejectedRows", 0), BAD);
	run(&cast, "transform", "{'transformation':'delays'}");
	run(&cast, "materialize", "{'featureView':'delays'}");
	cr_expect_eq(row_count(&cast, "flights"), FLIGHTS);
	cr_expect_eq(row_count(&cast, "delays"), AIRPORTS);

	struct answer answer = yard_read(cast.yard, cast.reader, READ_DELAYS);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_str_eq(status_of(answer.body, 1, 0), "PRESENT");
	cr_expect_str_eq(status_of(answer.body, 1, 1), "NOT_FOUND");
	const struct value *flights = value_at(value_get(answer.body, "results"), 1);
	cr_expect_eq(value_as_int(value_at(value_get(flights, "values"), 0), 0),
	             FLIGHTS / AIRPORTS);
	cr_expect_not(yard_stores(cast.yard, "-marker"), "plaintext lies in a file of the worker");

	cr_expect_eq(total(&cast, "tasks"), 3);
	cr_expect_geq(total(&cast, "rows"), FLIGHTS + AIRPORTS);
	cr_expect_gt(total(&cast, "cpuMs"), 0);
	cr_expect_gt(total(&cast, "costMicros"), 0);
	struct answer audit = plane_call(cast.plane, cast.acme.key, "GET",
	                                 "/v1/tenants/acme/audit"
	                                 "?action=task:outcome",
	                                 NULL);
	cr_assert_eq(audit.status, 200, "%s", audit.text);
	cr_expect_eq(value_len(value_get(audit.body, "items")), 3);
	expect_reads(&cast);
	drop_curtain(&cast);
}

Test(whole, tells_another_tenant_nothing)
{
	struct cast cast;
	raise_curtain(&cast);
	run_all(&cast);
	struct answer there =
		plane_call(cast.plane, cast.globex.key, "GET", SALES("datasets/flights"), NULL);
	struct answer none =
		plane_call(cast.plane, cast.globex.key, "GET", SALES("datasets/nothing"), NULL);
	cr_expect_eq(there.status, 404);
	cr_expect_eq(none.status, 404);
	cr_expect_eq(strlen(there.detail) - strlen("flights"),
	             strlen(none.detail) - strlen("nothing"));
	struct answer read = yard_read(cast.yard, cast.globex.key, READ_DELAYS);
	struct answer other = yard_read(cast.yard, cast.globex.key,
	                                "{'features':['nothing:flights'],"
	                                "'entities':{'airport':['ATL-marker']}}");
	cr_expect_eq(read.status, other.status);
	cr_expect_eq(read.status, 404, "%s", read.text);
	drop_curtain(&cast);
}

struct billed {
	struct cast *cast;
	int64_t count;
};

static bool reads_are_billed(void *context)
{
	struct billed *reads = context;
	return total(reads->cast, "onlineReads") >= reads->count;
}

/* Without a leader a cold read is refused, and a kept connection may be a dead worker's; then it is
 * asked again. */
static bool is_whole(const struct answer *answer)
{
	bool later = answer->status == 503 || answer->status == 504 || answer->status == 0;
	cr_assert(later || answer->status == 200, "%d %s", answer->status, answer->text);
	return answer->status == 200;
}

static bool is_answered(void *context)
{
	struct cast *cast = context;
	struct answer answer = yard_read_once(cast->yard, cast->reader, READ_DELAYS);
	return is_whole(&answer);
}

Test(whole, bills_online_reads_once_through_killed_workers_and_deposed_leaders)
{
	struct cast cast;
	raise_curtain(&cast);
	run_all(&cast);
	for (int i = 0; i < 3; i++) {
		cr_assert(stage_await(cast.yard->stage, is_answered, &cast, HOUR_MS / 10));
		store_mem_depose(cast.plane->store, cast.plane->part->leader_key);
		yard_kill(cast.yard);
	}
	struct billed reads = {&cast, 6}; /* two entities in one view, three times */
	cr_expect(stage_await(cast.yard->stage, reads_are_billed, &reads, HOUR_MS / 10));
	stage_pass(cast.yard->stage, reads_are_billed, &(struct billed){&cast, 7}, 10000);
	cr_expect_eq(total(&cast, "onlineReads"), 6);
	drop_curtain(&cast);
}

struct aged {
	struct cast *cast;
	struct answer answer;
};

static bool has_read(void *context)
{
	struct aged *aged = context;
	aged->answer = yard_read_once(aged->cast->yard, aged->cast->reader, READ_DELAYS);
	return is_whole(&aged->answer);
}

Test(whole, values_grow_too_old_as_time_passes)
{
	struct cast cast;
	raise_curtain(&cast);
	run_all(&cast);
	struct aged read = {.cast = &cast};
	cr_assert(stage_await(cast.yard->stage, has_read, &read, HOUR_MS / 10));
	cr_expect_str_eq(status_of(read.answer.body, 1, 0), "PRESENT");
	stage_jump(cast.yard->stage, 25 * HOUR_MS);
	cr_assert(stage_await(cast.yard->stage, has_read, &read, HOUR_MS / 10));
	cr_expect_str_eq(status_of(read.answer.body, 1, 0), "OUTSIDE_MAX_AGE");
	drop_curtain(&cast);
}

static bool is_refused(void *context)
{
	struct cast *cast = context;
	return yard_read(cast->yard, cast->reader, READ_DELAYS).status == 401;
}

Test(whole, a_revoked_key_reads_nothing_more_within_seconds)
{
	struct cast cast;
	raise_curtain(&cast);
	run_all(&cast);
	cr_assert_eq(yard_read(cast.yard, cast.reader, READ_DELAYS).status, 200);
	const char *keys = "/v1/tenants/acme/principals/eve/keys";
	struct answer list = plane_call(cast.plane, cast.acme.key, "GET", keys, NULL);
	const char *id = value_get_str(value_at(value_get(list.body, "items"), 0), "id");
	struct answer revoked =
		plane_call(cast.plane, cast.acme.key, "DELETE",
	                   arena_printf(cast.plane->arena, "%s/%s", keys, id), NULL);
	cr_assert_eq(revoked.status, 200, "%s", revoked.text);
	cr_expect(stage_await(cast.yard->stage, is_refused, &cast, 3000));
	drop_curtain(&cast);
}

/* --- what befalls it --- */

static bool leads(void *context)
{
	return stage_leads(context);
}

static bool never(void *context)
{
	(void)context;
	return false;
}

/* What was withheld: a while after somebody leads. */
static void let_end(struct cast *cast)
{
	struct stage *stage = cast->yard->stage;
	cr_assert(stage_await(stage, leads, stage, HOUR_MS / 10));
	stage_pass(stage, never, NULL, 1000);
	cast->yard->withhold = false;
}

Test(whole, a_task_goes_on_under_the_next_leader)
{
	struct cast cast;
	raise_curtain(&cast);
	cast.yard->withhold = true;
	const char *id = yard_submit(cast.yard, &cast.acme, "probe", "{'sleepMs':1}");
	yard_await(cast.yard, &cast.acme, id, "running");
	store_mem_depose(cast.plane->store, cast.plane->part->leader_key);
	let_end(&cast);
	const struct value *task = yard_await(cast.yard, &cast.acme, id, NULL);
	cr_expect_str_eq(value_get_str(task, "state"), "succeeded");
	cr_expect_eq(value_get_int(task, "attempt", 0), 1);
	cr_expect_eq(total(&cast, "tasks"), 1);
	drop_curtain(&cast);
}

Test(whole, a_task_goes_on_when_control_is_started_anew)
{
	struct cast cast;
	raise_curtain(&cast);
	cast.yard->withhold = true;
	const char *id = yard_submit(cast.yard, &cast.acme, "probe", "{'sleepMs':1}");
	yard_await(cast.yard, &cast.acme, id, "running");
	stage_restart(cast.yard->stage);
	let_end(&cast);
	const struct value *task = yard_await(cast.yard, &cast.acme, id, NULL);
	cr_expect_str_eq(value_get_str(task, "state"), "succeeded");
	cr_expect_eq(value_get_int(task, "attempt", 0), 1);
	drop_curtain(&cast);
}

Test(whole, a_killed_worker_costs_an_attempt_and_no_row)
{
	struct cast cast;
	raise_curtain(&cast);
	cast.yard->withhold = true;  /* it dies before it tells of what it wrote */
	const char *first = yard_submit(cast.yard, &cast.acme, "probe", "{'sleepMs':600000}");
	const char *second = yard_submit(cast.yard, &cast.acme, "ingest", "{'source':'flights'}");
	yard_await(cast.yard, &cast.acme, first, "running");
	yard_await(cast.yard, &cast.acme, second, "running");
	yard_await_taken(cast.yard, 2);
	yard_kill(cast.yard);
	cast.yard->withhold = false;
	const struct value *loaded = yard_await(cast.yard, &cast.acme, second, NULL);
	cr_expect_str_eq(value_get_str(loaded, "state"), "succeeded");
	cr_expect_eq(value_get_int(loaded, "attempt", 0), 2);
	cr_expect_eq(row_count(&cast, "flights"), FLIGHTS);
	yard_await(cast.yard, &cast.acme, first, "running");
	struct answer cancelled =
		plane_call(cast.plane, cast.acme.key, "POST",
	                   arena_printf(cast.plane->arena, SALES("tasks/%s/cancel"), first), NULL);
	cr_assert_eq(cancelled.status, 202, "%s", cancelled.text);
	const struct value *task = yard_await(cast.yard, &cast.acme, first, NULL);
	cr_expect_str_eq(value_get_str(task, "state"), "cancelled");
	drop_curtain(&cast);
}

Test(whole, a_failed_task_says_why_and_publishes_nothing)
{
	struct cast cast;
	raise_curtain(&cast);
	put(&cast, "Source", SALES("sources/strict"),
	    "{'connector':'file','path':'flights.csv',"
	    "'dataset':'flights','format':'csv'}");
	const char *id = yard_submit(cast.yard, &cast.acme, "ingest", "{'source':'strict'}");
	const struct value *task = yard_await(cast.yard, &cast.acme, id, NULL);
	cr_expect_str_eq(value_get_str(task, "state"), "failed");
	cr_expect_str_eq(value_get_str(value_get(task, "error"), "code"), "INPUT");
	cr_expect_eq(row_count(&cast, "flights"), 0);
	cr_expect_eq(total(&cast, "tasks"), 1);
	drop_curtain(&cast);
}
