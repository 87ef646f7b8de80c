/* test_leaving.c - ended tasks on their way out of memory into the tenant's sealed history, by real
 * workers on a simulated clock: they are listed and read as before, SQL sees them, and no crash
 * loses one or keeps two. And what a sweep leaves of a tenant's objects. */
#include "common/defs.h"
#include "tests/support/yard.h"

#include "common/store_mem.h"
#include "control/archive.h"
#include "control/history.h"
#include "control/sweep.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOUR_MS = 3600000, MINUTE_MS = 60000, IDS_MAX = 64 };

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define OURS(rest) "/v1/tenants/acme/domains/freehold" rest

struct cast {
	struct yard *yard;
	struct plane *plane;
	struct company acme;
	const char *ids[IDS_MAX];
	size_t count;
};

static void put(struct cast *cast, const char *kind, const char *path, const char *spec)
{
	plane_put(cast->plane, cast->acme.key, kind, path, spec);
}

static struct cast raise_curtain(void)
{
	struct cast cast = {.yard = yard_open()};
	cast.plane = cast.yard->stage->plane;
	cast.acme = (struct company){"acme", "sales", plane_tenant(cast.plane, "acme", "sales")};
	yard_file(cast.yard, "acme", "n.csv", "n\n1\n2\n3\n");
	put(&cast, "Dataset", SALES("datasets/raw"), "{'schema':[{'name':'n','type':'int64'}]}");
	put(&cast, "Dataset", SALES("datasets/sums"), "{}");
	put(&cast, "Source", SALES("sources/raw"),
	    "{'connector':'file','path':'n.csv','dataset':'raw','format':'csv'}");
	put(&cast, "Transformation", SALES("transformations/sums"),
	    "{'sql':'SELECT sum(n) AS s FROM raw','inputs':['raw'],'output':'sums'}");
	return cast;
}

static const struct value *run(struct cast *cast, const char *type, const char *spec,
                               const char *state)
{
	cr_assert_lt(cast->count, IDS_MAX);
	const char *id = yard_submit(cast->yard, &cast->acme, type, spec);
	cast->ids[cast->count++] = id;
	const struct value *task = yard_await(cast->yard, &cast->acme, id, NULL);
	cr_assert_str_eq(value_get_str(task, "state"), state, "%s",
	                 value_get_str(value_get(task, "error"), "text"));
	return task;
}

static void run_some(struct cast *cast)
{
	run(cast, "ingest", "{'source':'raw'}", "succeeded");
	run(cast, "transform", "{'transformation':'sums'}", "succeeded");
	for (int i = 0; i < 3; i++)
		run(cast, "probe", "{}", "succeeded");
}

/* None of them is in memory, and nothing of the platform's own. */
static bool have_left(void *context)
{
	struct cast *cast = context;
	AUTO(arena) *arena = NULL;
	struct shard_counts counts;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	struct shard *shard = cast->yard->stage->plane->part->shard;
	if (!stage_leads(cast->yard->stage))
		return false;
	for (size_t i = 0; i < cast->count; i++)
		if (shard_task(shard, arena, "acme", NULL, cast->ids[i]))
			return false;
	shard_counts(shard, &counts);
	return counts.running + counts.waiting == 0;
}

static void leave(struct cast *cast)
{
	stage_jump(cast->yard->stage, HOUR_MS + MINUTE_MS);
	cr_assert(stage_await(cast->yard->stage, have_left, cast, 10 * MINUTE_MS));
}

static struct answer get(struct cast *cast, const char *path)
{
	const struct asked asked = {"GET", path, .key = cast->acme.key};
	return yard_ask_held(cast->yard, &asked);
}

static int64_t history_rows(struct cast *cast)
{
	struct snapshot *snapshot = NULL;
	return home_history(cast->plane->control, cast->plane->arena, "acme", &snapshot) ?
		snapshot->rows : 0;
}

/* Every page of the list, which must be newest first; how many there were. */
static size_t list_all(struct cast *cast, const char *query, const char *ids[IDS_MAX])
{
	const char *resume = NULL;
	size_t count = 0;
	do {
		struct answer page = get(cast, arena_printf(
			cast->plane->arena, SALES("tasks?limit=2%s%s%s"), query,
			resume ? "&continue=" : "", resume ? resume : ""));
		cr_assert_eq(page.status, 200, "%s", page.text);
		const struct value *items = value_get(page.body, "items");
		for (size_t i = 0; i < value_len(items); i++) {
			cr_assert_lt(count, IDS_MAX);
			ids[count] = value_get_str(value_at(items, i), "id");
			cr_assert(count == 0 || strcmp(ids[count - 1], ids[count]) > 0,
			          "%s comes after %s", ids[count], ids[count - 1]);
			count++;
		}
		resume = value_get_str(page.body, "continue");
	} while (resume);
	return count;
}

Test(leaving, ended_tasks_are_listed_and_read_as_before)
{
	struct cast cast = raise_curtain();
	const char *ids[IDS_MAX];
	run_some(&cast);
	const struct value *before = yard_task(cast.yard, &cast.acme, cast.ids[0]);
	struct answer usage = get(&cast, "/v1/tenants/acme/usage");
	leave(&cast);
	cr_assert_eq(history_rows(&cast), 5);
	struct answer after = get(&cast, arena_printf(cast.plane->arena, SALES("tasks/%s"),
	                                              cast.ids[0]));
	cr_assert_eq(after.status, 200, "%s", after.text);
	cr_expect(value_get_bool(after.body, "archived", false));
	struct value *same = value_copy(cast.plane->arena, after.body);
	value_remove(same, "archived");
	cr_expect(value_equal(same, before), "%s", after.text);
	cr_expect_str_eq(get(&cast, "/v1/tenants/acme/usage").text, usage.text);
	/* With some in memory again. */
	run_some(&cast);
	cr_assert_eq(list_all(&cast, "", ids), 10);
	for (size_t i = 0; i < 10; i++)
		cr_expect_str_eq(ids[i], cast.ids[9 - i]);
	cr_expect_eq(list_all(&cast, "&state=succeeded", ids), 10);
	cr_expect_eq(list_all(&cast, "&state=running", ids), 0);
	cr_expect_eq(list_all(&cast, "&state=failed", ids), 0);
	/* What never was. */
	cr_expect_eq(get(&cast, SALES("tasks/00000000000000000000000000")).status, 404);
	cr_expect_eq(get(&cast, SALES("tasks/nothing")).status, 404);
	/* Cancelling what has ended changes nothing, wherever it is. */
	const char *path = arena_printf(cast.plane->arena, SALES("tasks/%s/cancel"), cast.ids[0]);
	const struct asked cancel = {"POST", path, .key = cast.acme.key};
	struct answer cancelled = yard_ask_held(cast.yard, &cancel);
	cr_expect_eq(cancelled.status, 200, "%s", cancelled.text);
	yard_close(cast.yard);
}

Test(leaving, sql_sees_the_history_and_nobody_writes_it)
{
	struct cast cast = raise_curtain();
	run_some(&cast);
	leave(&cast);
	put(&cast, "Dataset", SALES("datasets/report"), "{}");
	put(&cast, "Transformation", SALES("transformations/report"),
	    "{'sql':'SELECT type, count(*) AS n, sum(cpu_ms) AS cpu, min(accepted_at) AS first "
	    "FROM freehold.tasks WHERE ended_at > accepted_at OR started_at IS NOT NULL "
	    "GROUP BY type','inputs':['freehold.tasks'],'output':'report'}");
	const struct value *task =
		run(&cast, "transform", "{'transformation':'report'}", "succeeded");
	cr_expect_eq(value_get_int(value_at(value_get(task, "outputs"), 0), "rows", 0), 3);
	cr_expect_eq(get(&cast, OURS("/datasets/tasks")).status, 200);
	static const struct { const char *method, *path, *body; int status; } refused[] = {
		{"PUT", OURS(""), "{'apiVersion':'freehold.io/v1','kind':'Domain',"
		                  "'metadata':{'name':'freehold'},'spec':{}}", 403},
		{"DELETE", OURS(""), NULL, 403},
		{"PUT", OURS("/datasets/mine"), "{'apiVersion':'freehold.io/v1','kind':'Dataset',"
		                                "'metadata':{'name':'mine'},'spec':{}}", 403},
		{"DELETE", OURS("/datasets/tasks"), NULL, 403},
		{"PUT", SALES("transformations/x"),
		 "{'apiVersion':'freehold.io/v1','kind':'Transformation','metadata':{'name':'x'},"
		 "'spec':{'sql':'SELECT 1','inputs':['raw'],'output':'freehold.tasks'}}", 403},
		{"PUT", SALES("sources/x"),
		 "{'apiVersion':'freehold.io/v1','kind':'Source','metadata':{'name':'x'},"
		 "'spec':{'connector':'file','path':'n.csv','format':'csv',"
		 "'dataset':'freehold.tasks'}}", 403},
		{"POST", OURS("/tasks"), "{'type':'probe'}", 403},
		{"POST", SALES("tasks"), "{'type':'archive','spec':{'tasks':'x'}}", 400},
		{"POST", SALES("tasks"), "{'type':'sweep'}", 400},
	};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct answer answer = plane_call(cast.plane, cast.acme.key, refused[i].method,
		                                  refused[i].path, refused[i].body);
		cr_expect_eq(answer.status, refused[i].status, "%s %s: %d %s", refused[i].method,
		             refused[i].path, answer.status, answer.text);
	}
	yard_close(cast.yard);
}

Test(leaving, crashes_between_lose_no_task_and_keep_none_twice)
{
	struct cast cast = raise_curtain();
	const char *ids[IDS_MAX];
	for (int round = 0; round < 3; round++) {
		run_some(&cast);
		stage_jump(cast.yard->stage, HOUR_MS + MINUTE_MS);
		for (int i = 0; i < 2 + round; i++) {
			stage_pass(cast.yard->stage, have_left, &cast, 40 * (round + 1) * (i + 1));
			if (i % 2 == 0)
				yard_kill(cast.yard);
			else
				store_mem_depose(cast.plane->store, cast.plane->part->leader_key);
		}
		cr_assert(stage_await(cast.yard->stage, have_left, &cast, 20 * MINUTE_MS));
		cr_assert_eq(history_rows(&cast), (int64_t)cast.count);
	}
	cr_assert_eq(list_all(&cast, "", ids), cast.count);
	for (size_t i = 0; i < cast.count; i++)
		cr_expect_str_eq(ids[i], cast.ids[cast.count - 1 - i]);
	yard_close(cast.yard);
}

Test(leaving, without_a_worker_the_history_is_asked_for_again_later)
{
	struct cast cast = raise_curtain();
	run_some(&cast);
	leave(&cast);
	yard_end_worker(cast.yard);
	const char *path = arena_printf(cast.plane->arena, SALES("tasks/%s"), cast.ids[0]);
	const struct asked asked = {"GET", path, .key = cast.acme.key};
	struct answer answer = yard_ask_held_once(cast.yard, &asked);
	cr_expect_eq(answer.status, 503, "%s", answer.text);
	cr_expect_gt(answer.retry_after_s, 0);
	yard_close(cast.yard);
}

/* --- sweeping --- */

static void make_old(const char *path)
{
	const struct timespec when[2] = {{.tv_sec = 631152000}, {.tv_sec = 631152000}}; /* 1990 */
	cr_assert_eq(utimensat(AT_FDCWD, path, when, 0), 0, "%s", path);
}

/* Every object of the domain becomes old; how many there are. History and audit are written beside
 * them when they are ripe, and stay young. */
static size_t age_objects(struct cast *cast)
{
	char line[512], *command = arena_printf(cast->plane->arena,
	                                        "find %s/objects/acme/sales -type f 2>/dev/null",
	                                        cast->yard->dir);
	FILE *found = popen(command, "r");
	size_t count = 0;
	cr_assert_not_null(found);
	while (fgets(line, sizeof line, found)) {
		line[strcspn(line, "\n")] = 0;
		make_old(line);
		count++;
	}
	pclose(found);
	return count;
}

static void orphan(struct cast *cast, const char *path)
{
	struct object_writer *writer = NULL;
	struct err err = {0};
	cr_assert_eq(object_writer_new(cast->yard->runner.objects, path, &writer, &err), 0);
	cr_assert_eq(object_write(writer, "x", 1, &err), 0);
	cr_assert_eq(object_commit(writer, &err), 0, "%s", err.text);
	object_writer_free(writer);
}

static struct answer operator_reads(struct cast *cast, const char *tenant, const char *id)
{
	const char *path = arena_printf(cast->plane->arena, "/v1/tenants/%s/sweep/%s", tenant, id);
	return plane_call(cast->plane, cast->plane->operator_key, "GET", path, NULL);
}

static const struct value *sweep(struct cast *cast)
{
	const struct company ours = {"acme", PLATFORM_DOMAIN, cast->acme.key};
	struct answer answer = plane_call(cast->plane, cast->plane->operator_key, "POST",
	                                  "/v1/tenants/acme/sweep", NULL);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	const struct value *task = yard_await(cast->yard, &ours,
	                                      value_get_str(answer.body, "id"), NULL);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded");
	const char *id = value_get_str(task, "id");
	struct answer read = operator_reads(cast, "acme", id);
	cr_expect_eq(read.status, 200, "%s", read.text);
	cr_expect(value_equal(value_get(read.body, "outputs"), value_get(task, "outputs")));
	cr_expect_eq(operator_reads(cast, "globex", id).status, 404);
	return value_at(value_get(task, "outputs"), 0);
}

Test(leaving, a_sweep_leaves_what_a_kept_snapshot_names)
{
	struct cast cast = raise_curtain();
	run(&cast, "ingest", "{'source':'raw'}", "succeeded");
	run(&cast, "ingest", "{'source':'raw'}", "succeeded");
	for (int i = 0; i < 14; i++)
		run(&cast, "transform", "{'transformation':'sums'}", "succeeded");
	orphan(&cast, "acme/sales/1-1/data-0.parquet");
	orphan(&cast, "acme/sales/999999999-1/data-0.parquet");
	cr_assert_eq(age_objects(&cast), 18);
	struct answer usage = get(&cast, "/v1/tenants/acme/usage");
	/* 14 snapshots of sums: the current one, and 13 replaced within the last hour. */
	cr_expect_eq(value_get_int(sweep(&cast), "objectsDeleted", -1), 1);
	cr_expect_str_eq(get(&cast, "/v1/tenants/acme/usage").text, usage.text);
	stage_jump(cast.yard->stage, HOUR_MS + MINUTE_MS);
	run(&cast, "transform", "{'transformation':'sums'}", "succeeded");
	cr_assert_eq(age_objects(&cast), 18);
	/* 14 were replaced, and 10 of those stay. */
	cr_expect_eq(value_get_int(sweep(&cast), "objectsDeleted", -1), 4);
	cr_expect_eq(value_get_int(sweep(&cast), "objectsDeleted", -1), 0);
	run(&cast, "transform", "{'transformation':'sums'}", "succeeded");
	const struct value *rows = value_get(get(&cast, SALES("datasets/raw")).body, "status");
	cr_expect_eq(value_get_int(value_get(rows, "snapshot"), "rows", 0), 6);
	yard_close(cast.yard);
}
