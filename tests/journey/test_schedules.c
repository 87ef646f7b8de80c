/* test_schedules.c - schedules and backfills on a simulated clock, with workers without executors:
 * every interval runs once, whatever becomes of the leader in between. What ran is read from the
 * tasks themselves. */
#include "common/defs.h"
#include "tests/support/stage.h"

#include "control/control.h"
#include "control/shard_interval.h"
#include "control/shard_work.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define PROBE "'task':{'type':'probe','spec':{}}"

enum { PUPPETS = 2, SLOTS = 4, MINUTE_MS = 60000, STRIPS_MAX = 2000 };

struct cast {
	struct stage *stage;
	const char *key;
	struct puppet *puppets[PUPPETS];
	bool idle;        /* the puppets end nothing by themselves */
	int64_t begin_ms; /* of the test, a full second */
};

static struct answer call(struct cast *cast, const char *method, const char *path, const char *body)
{
	return plane_call(cast->stage->plane, cast->key, method, path, body);
}

/* {T+90} becomes the time 90 seconds after the test's begin. */
static const char *with_times(struct cast *cast, const char *text)
{
	struct arena *arena = cast->stage->plane->arena;
	char *out = arena_alloc(arena, strlen(text) * 8 + 64), *to = out;
	while (*text) {
		char time[TIME_TEXT_MAX];
		if (strncmp(text, "{T", 2) != 0) {
			*to++ = *text++;
			continue;
		}
		char *end = NULL;
		int64_t seconds = strtoll(text + 2, &end, 10);
		to += sprintf(to, "%s", time_print_s(cast->begin_ms + seconds * 1000, time));
		text = end + 1;
	}
	return out;
}

static struct answer put(struct cast *cast, const char *kind, const char *path, const char *spec)
{
	const char *body = arena_printf(
		cast->stage->plane->arena,
		"{'apiVersion':'freehold.io/v1','kind':'%s','metadata':{'name':'%s'},'spec':%s}",
		kind, strrchr(path, '/') + 1, with_times(cast, spec));
	return call(cast, "PUT", path, body);
}

static void must_put(struct cast *cast, const char *kind, const char *path, const char *spec)
{
	struct answer answer = put(cast, kind, path, spec);
	cr_assert_lt(answer.status, 300, "%s: %d %s", path, answer.status, answer.text);
}

static void open_cast(struct cast *cast)
{
	*cast = (struct cast){.stage = stage_open()};
	struct plane *plane = cast->stage->plane;
	cast->key = plane_tenant(plane, "acme", "sales");
	for (int i = 0; i < PUPPETS; i++)
		cast->puppets[i] = puppet_new(cast->stage, i ? "w-1" : "w-0", SLOTS, 1);
	cast->begin_ms = clock_unix_ms(cast->stage->clock) / 1000 * 1000 + 1000;
}

static void close_cast(struct cast *cast)
{
	cr_expect_str_empty(cast->stage->fault);
	for (int i = 0; i < PUPPETS; i++)
		puppet_free(cast->puppets[i]);
	stage_close(cast->stage);
}

static void end_all(struct cast *cast)
{
	const struct ending ending = {.outcome = OUTCOME_SUCCEEDED, .rows = 1};
	for (int i = 0; i < PUPPETS; i++)
		while (puppet_running(cast->puppets[i]) > 0)
			puppet_end(cast->puppets[i], 0, &ending);
}

struct until {
	struct cast *cast;
	int64_t unix_ms;
};

static bool time_came(void *context)
{
	struct until *until = context;
	if (!until->cast->idle)
		end_all(until->cast);
	return clock_unix_ms(until->cast->stage->clock) >= until->unix_ms;
}

/* Until that many seconds after the begin. */
static void pass(struct cast *cast, int64_t seconds)
{
	struct until until = {cast, cast->begin_ms + seconds * 1000};
	cr_assert(stage_await(cast->stage, time_came, &until, INT64_C(1) << 40));
	stage_rest();
}

static const struct value *intervals(struct cast *cast, const char *schedule)
{
	const char *path =
		arena_printf(cast->stage->plane->arena, SALES("schedules/%s/intervals"), schedule);
	struct answer answer = call(cast, "GET", path, NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	return answer.body;
}

static int64_t count_of(struct cast *cast, const char *schedule, const char *state)
{
	return value_get_int(value_get(intervals(cast, schedule), "counts"), state, -1);
}

struct counted {
	struct cast *cast;
	const char *schedule, *state;
	int64_t count;
};

static bool counts_to(void *context)
{
	struct counted *counted = context;
	if (!stage_leads(counted->cast->stage))
		return false;
	if (!counted->cast->idle)
		end_all(counted->cast);
	return count_of(counted->cast, counted->schedule, counted->state) >= counted->count;
}

static void await_count(struct cast *cast, const char *schedule, const char *state, int64_t count)
{
	struct counted counted = {cast, schedule, state, count};
	cr_assert(stage_await(cast->stage, counts_to, &counted, 60 * MINUTE_MS),
	          "%s: %lld of %lld %s", schedule, (long long)count_of(cast, schedule, state),
	          (long long)count, state);
}

/* --- what ran, by the tasks --- */

struct strip {
	int64_t from_ms, to_ms;
	int code; /* not 0: it failed */
	bool running;
};
struct strips {
	struct strip items[STRIPS_MAX];
	size_t count;
};

static int by_from(const void *a, const void *b)
{
	const struct strip *x = a, *y = b;
	return x->from_ms < y->from_ms ? -1 : x->from_ms > y->from_ms;
}

static int64_t time_of(const struct value *map, const char *name)
{
	int64_t unix_ms = 0;
	cr_assert_eq(time_parse(value_get_str(map, name), &unix_ms, NULL), 0, "no %s", name);
	return unix_ms;
}

static void take_page(const struct value *items, const char *schedule, struct strips *strips)
{
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *task = value_at(items, i);
		const char *of = value_get_str(task, "schedule");
		const char *state = value_get_str(task, "state");
		if (!of || strcmp(of, schedule) != 0)
			continue;
		cr_assert_lt(strips->count, STRIPS_MAX);
		strips->items[strips->count++] = (struct strip){
			.from_ms = time_of(value_get(task, "interval"), "from"),
			.to_ms = time_of(value_get(task, "interval"), "to"),
			.running = !value_get(task, "endedAt"),
			.code = strcmp(state, "succeeded") == 0 ? 0 : 1,
		};
	}
}

/* Of every task of the schedule that is not cancelled, by its interval. */
static struct strips *strips_of(struct cast *cast, const char *schedule)
{
	struct arena *arena = cast->stage->plane->arena;
	struct strips *strips = arena_alloc(arena, sizeof *strips);
	const char *resume = "";
	while (resume) {
		struct answer answer = call(cast, "GET",
		                            arena_printf(arena, SALES("tasks?limit=500%s%s"),
		                                         *resume ? "&continue=" : "", resume),
		                            NULL);
		cr_assert_eq(answer.status, 200, "%s", answer.text);
		take_page(value_get(answer.body, "items"), schedule, strips);
		resume = value_get_str(answer.body, "continue");
	}
	qsort(strips->items, strips->count, sizeof strips->items[0], by_from);
	return strips;
}

/* They follow each other from the begin on, without a gap and none twice. */
static void are_whole(struct cast *cast, const char *schedule, int64_t from_s, int64_t every_s,
                      size_t least)
{
	struct strips *strips = strips_of(cast, schedule);
	int64_t at_ms = cast->begin_ms + from_s * 1000;
	cr_assert_geq(strips->count, least, "%zu of %zu", strips->count, least);
	for (size_t i = 0; i < strips->count; i++) {
		cr_assert_eq(strips->items[i].from_ms, at_ms, "interval %zu begins %lld s late", i,
		             (long long)(strips->items[i].from_ms - at_ms) / 1000);
		cr_assert_eq(strips->items[i].to_ms - at_ms, every_s * 1000);
		at_ms = strips->items[i].to_ms;
	}
}

/* --- schedules --- */

Test(schedules, run_each_interval_once_when_it_is_over)
{
	struct cast cast;
	open_cast(&cast);
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'10s','start':'{T0}'," PROBE "}");
	pass(&cast, 9);
	cr_expect_eq(strips_of(&cast, "tick")->count, 0, "an interval ran before it was over");
	pass(&cast, 105);
	await_count(&cast, "tick", "done", 10);
	are_whole(&cast, "tick", 0, 10, 10);
	const struct value *shown = intervals(&cast, "tick");
	cr_expect_eq(value_len(value_get(shown, "ranges")), 1, "what meets is one range");
	cr_expect_eq(value_len(value_get(shown, "next")), 5);
	cr_expect_eq(count_of(&cast, "tick", "missing"), 0);
	close_cast(&cast);
}

Test(schedules, fire_by_cron_in_their_zone)
{
	struct cast cast;
	open_cast(&cast);
	/* The simulated clock begins at 2001-09-09T01:46:40Z: 03:46 in Berlin. */
	must_put(&cast, "Schedule", SALES("schedules/nightly"),
	         "{'cron':'48-50 3 * * *','timeZone':'Europe/Berlin'," PROBE "}");
	pass(&cast, 250);
	await_count(&cast, "nightly", "done", 2);
	struct strips *strips = strips_of(&cast, "nightly");
	cr_assert_eq(strips->count, 2);
	char text[TIME_TEXT_MAX];
	cr_expect_str_eq(time_print_s(strips->items[0].from_ms, text), "2001-09-09T01:48:00Z");
	cr_expect_str_eq(time_print_s(strips->items[1].to_ms, text), "2001-09-09T01:50:00Z");
	close_cast(&cast);
}

/* Anything may be cut off by the restart: what was accepted is not run again, what was not is. */
Test(schedules, run_nothing_twice_and_lose_nothing_through_restarts)
{
	struct cast cast;
	open_cast(&cast);
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'2s','start':'{T0}','maxActive':3," PROBE "}");
	for (int i = 1; i <= 6; i++) {
		pass(&cast, i * 15);
		stage_restart(cast.stage);
	}
	int64_t passed = (clock_unix_ms(cast.stage->clock) - cast.begin_ms) / 2000;
	await_count(&cast, "tick", "done", passed);
	are_whole(&cast, "tick", 0, 2, (size_t)passed);
	close_cast(&cast);
}

static bool has_begun(void *context)
{
	const struct until *end = context;
	usleep(10000);
	end_all(end->cast);
	const struct strips *strips = strips_of(end->cast, "tick");
	for (size_t i = 0; i < strips->count; i++)
		if (strips->items[i].to_ms == end->unix_ms)
			return true;
	return false;
}

/* The interval that ends then is run. The clock stands meanwhile: a machine that is busy is not to
 * look like a control plane that was away for an interval. */
static void await_begun(struct cast *cast, int64_t seconds)
{
	struct until end = {cast, cast->begin_ms + seconds * 1000};
	cr_assert(stage_await(cast->stage, has_begun, &end, 0), "%lld", (long long)seconds);
}

Test(schedules, catch_up_as_their_policy_says)
{
	static const struct {
		const char *policy;
		int64_t done, missing;
	} rows[] = {{"all", 10, 0}, {"latest", 4, 6}, {"none", 4, 6}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cast cast;
		open_cast(&cast);
		const char *spec = arena_printf(
			cast.stage->plane->arena,
			"{'every':'100s','start':'{T0}','catchUp':'%s','paused':%%s," PROBE "}",
			rows[i].policy);
		const char *paused = arena_printf(cast.stage->plane->arena, spec, "true");
		const char *running = arena_printf(cast.stage->plane->arena, spec, "false");
		cast.stage->step_ms = 200;
		must_put(&cast, "Schedule", SALES("schedules/tick"), paused);
		pass(&cast, 690);
		cr_expect_eq(strips_of(&cast, "tick")->count, 0, "a paused one ran");
		pass(&cast, 701);
		must_put(&cast, "Schedule", SALES("schedules/tick"), running);
		for (int64_t seconds = 700; seconds <= 1000; seconds += 100) {
			pass(&cast, seconds + 1);
			await_begun(&cast, seconds);
		}
		await_count(&cast, "tick", "done", rows[i].done);
		cr_expect_eq(count_of(&cast, "tick", "missing"), rows[i].missing, "%s",
		             rows[i].policy);
		cr_expect_eq(count_of(&cast, "tick", "done"), rows[i].done, "%s", rows[i].policy);
		close_cast(&cast);
	}
}

Test(schedules, start_no_more_at_one_time_than_they_may)
{
	struct cast cast;
	open_cast(&cast);
	cast.idle = true;
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'2s','start':'{T0}','maxActive':2," PROBE "}");
	pass(&cast, 20);
	cr_expect_eq(strips_of(&cast, "tick")->count, 2);
	cr_expect_eq(count_of(&cast, "tick", "running"), 2);
	cast.idle = false;
	await_count(&cast, "tick", "done", 10);
	are_whole(&cast, "tick", 0, 2, 10);
	close_cast(&cast);
}

Test(schedules, go_on_where_the_last_interval_ended_after_an_edit)
{
	struct cast cast;
	open_cast(&cast);
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'10s','start':'{T0}'," PROBE "}");
	pass(&cast, 45);
	await_count(&cast, "tick", "done", 4);
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'30s','start':'{T0}'," PROBE "}");
	pass(&cast, 125);
	await_count(&cast, "tick", "done", 7);
	struct strips *strips = strips_of(&cast, "tick");
	static const int64_t ends[] = {10, 20, 30, 40, 60, 90, 120};
	cr_assert_eq(strips->count, ARRAY_LEN(ends));
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		cr_expect_eq(strips->items[i].to_ms, cast.begin_ms + ends[i] * 1000);
		cr_expect_eq(strips->items[i].from_ms,
		             i ? strips->items[i - 1].to_ms : cast.begin_ms);
	}
	close_cast(&cast);
}

static void furnish(struct cast *cast)
{
	must_put(cast, "Dataset", SALES("datasets/raw"), "{}");
	must_put(cast, "Dataset", SALES("datasets/more"), "{}");
	must_put(cast, "Source", SALES("sources/raw"),
	         "{'connector':'file','path':'a.csv','dataset':'raw','format':'csv'}");
	must_put(cast, "Source", SALES("sources/more"),
	         "{'connector':'file','path':'b.csv','dataset':'more','format':'csv'}");
}

static void load(struct cast *cast, const char *source)
{
	const char *body = arena_printf(cast->stage->plane->arena,
	                                "{'type':'ingest','spec':{'source':'%s'}}", source);
	struct answer answer = call(cast, "POST", SALES("tasks"), body);
	cr_assert_eq(answer.status, 202, "%s", answer.text);
}

Test(schedules, run_when_their_datasets_have_new_snapshots)
{
	struct cast cast;
	open_cast(&cast);
	furnish(&cast);
	load(&cast, "raw");
	pass(&cast, 3);
	must_put(&cast, "Schedule", SALES("schedules/any"),
	         "{'onDatasets':['raw','sales.more']," PROBE "}");
	must_put(&cast, "Schedule", SALES("schedules/all"),
	         "{'onDatasets':['raw','sales.more'],'trigger':'all'," PROBE "}");
	pass(&cast, 6);
	cr_expect_eq(strips_of(&cast, "any")->count, 0, "what was there before is not new");
	load(&cast, "raw");
	await_count(&cast, "any", "done", 1);
	cr_expect_eq(strips_of(&cast, "all")->count, 0, "one of two datasets does not suffice");
	stage_restart(cast.stage);
	load(&cast, "more");
	await_count(&cast, "any", "done", 2);
	await_count(&cast, "all", "done", 1);
	pass(&cast, 20);
	struct strips *strips = strips_of(&cast, "any");
	cr_assert_eq(strips->count, 2, "%zu", strips->count);
	cr_expect_eq(strips->items[0].to_ms, strips->items[1].from_ms);
	cr_expect_eq(strips_of(&cast, "all")->count, 1);
	close_cast(&cast);
}

Test(schedules, run_an_interval_by_hand_once)
{
	struct cast cast;
	open_cast(&cast);
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'10s','start':'{T0}','paused':true," PROBE "}");
	pass(&cast, 35);
	const char *path = SALES("schedules/tick/trigger");
	cr_expect_eq(call(&cast, "POST", path, "{}").status, 202);
	struct answer again = call(&cast, "POST", path, "{}");
	cr_expect_eq(again.status, 409, "%s", again.text);
	cr_expect_not_null(strstr(again.detail, "running"), "%s", again.detail);
	await_count(&cast, "tick", "done", 1);
	again = call(&cast, "POST", path, "{}");
	cr_expect_eq(again.status, 409);
	cr_expect_not_null(strstr(again.detail, "redo"), "%s", again.detail);
	cr_expect_eq(call(&cast, "POST", path, "{'redo':true}").status, 202);
	const char *first = with_times(&cast, "{'interval':{'from':'{T0}','to':'{T10}'}}");
	const char *wrong = with_times(&cast, "{'interval':{'from':'{T3}','to':'{T10}'}}");
	const char *back = with_times(&cast, "{'interval':{'from':'{T10}','to':'{T0}'}}");
	const char *future = with_times(&cast, "{'interval':{'from':'{T90}','to':'{T100}'}}");
	cr_expect_eq(call(&cast, "POST", path, first).status, 202);
	cr_expect_eq(call(&cast, "POST", path, wrong).status, 400);
	cr_expect_eq(call(&cast, "POST", path, future).status, 400);
	struct answer backwards = call(&cast, "POST", path, back);
	cr_expect_eq(backwards.status, 400);
	cr_expect_not_null(strstr(backwards.detail, "forwards"), "%s", backwards.detail);
	await_count(&cast, "tick", "done", 2);
	cr_expect_eq(strips_of(&cast, "tick")->count, 3);
	close_cast(&cast);
}

/* The only interval of the schedule "tick" has failed; the path that starts it anew. */
static const char *fail_first(struct cast *cast, const char *what, const char *list,
                              const char *verb)
{
	const struct ending bad = {.outcome = OUTCOME_FAILED, .code = E_INPUT};
	struct arena *arena = cast->stage->plane->arena;
	cast->idle = true;
	must_put(cast, "Schedule", SALES("schedules/tick"),
	         arena_printf(arena, "{'every':'5s','start':'{T0}','end':'{T5}',%s}", what));
	pass(cast, 7);
	for (int i = 0; i < PUPPETS; i++)
		puppet_end(cast->puppets[i], 0, &bad);
	await_count(cast, "tick", "failed", 1);
	struct answer ended = call(cast, "GET", list, NULL);
	const char *id = value_get_str(value_at(value_get(ended.body, "items"), 0), "id");
	return arena_printf(arena, "%s/%s/%s", list, id, verb);
}

Test(schedules, know_when_a_failed_interval_is_started_anew)
{
	struct cast cast;
	open_cast(&cast);
	const char *replay = fail_first(&cast, PROBE, SALES("tasks"), "replay");
	struct answer again = call(&cast, "POST", replay, NULL);
	cr_assert_lt(again.status, 300, "%s", again.text);
	await_count(&cast, "tick", "running", 1);
	stage_restart(cast.stage);
	again = call(&cast, "POST", SALES("schedules/tick/trigger"), "{'redo':true}");
	cr_expect_eq(again.status, 409, "%s", again.text);
	cr_expect_eq(count_of(&cast, "tick", "running"), 1);
	cast.idle = false;
	await_count(&cast, "tick", "done", 1);
	cr_expect_eq(count_of(&cast, "tick", "failed"), 0);
	close_cast(&cast);
}

Test(schedules, know_when_a_failed_run_is_resumed)
{
	struct cast cast;
	open_cast(&cast);
	must_put(&cast, "Pipeline", SALES("pipelines/two"),
	         "{'tasks':[{'name':'a','type':'probe'},{'name':'b','type':'probe',"
	         "'dependsOn':[{'task':'a'}]}]}");
	const char *resume = fail_first(&cast, "'pipeline':'two'", SALES("runs"), "resume");
	cr_assert_lt(call(&cast, "POST", resume, NULL).status, 300);
	await_count(&cast, "tick", "running", 1);
	cr_expect_eq(count_of(&cast, "tick", "failed"), 0);
	stage_restart(cast.stage);
	await_count(&cast, "tick", "running", 1);
	cast.idle = false;
	await_count(&cast, "tick", "done", 1);
	cr_expect_eq(count_of(&cast, "tick", "failed"), 0);
	struct answer again = call(&cast, "POST", resume, NULL);
	cr_expect_eq(again.status, 409, "%s", again.text);
	close_cast(&cast);
}

Test(schedules, refuse_to_start_anew_what_another_has_run_since)
{
	struct cast cast;
	open_cast(&cast);
	const char *replay = fail_first(&cast, PROBE, SALES("tasks"), "replay");
	cast.idle = false;
	cr_expect_eq(call(&cast, "POST", SALES("schedules/tick/trigger"), "{}").status, 202);
	await_count(&cast, "tick", "done", 1);
	struct answer again = call(&cast, "POST", replay, NULL);
	cr_expect_eq(again.status, 409, "%s", again.text);
	cr_expect_not_null(strstr(again.detail, "is done"), "%s", again.detail);
	close_cast(&cast);
}

struct many {
	struct cast *cast;
	size_t count;
};

/* Seen without a request: each of those is an event that becomes durable. */
static bool have_ended(void *context)
{
	const struct many *many = context;
	struct shard_counts counts;
	end_all(many->cast);
	shard_counts(many->cast->stage->plane->part->shard, &counts);
	return counts.tasks >= many->count && counts.waiting == 0 && counts.running == 0;
}

/* Many become durable together; one that cannot does not hold up the others. */
Test(schedules, fire_together_and_each_once)
{
	enum { MANY = 300 };
	struct cast cast;
	open_cast(&cast);
	const char *poor_key = plane_tenant(cast.stage->plane, "globex", "trips");
	plane_put(cast.stage->plane, cast.stage->plane->operator_key, "Quota",
	          "/v1/tenants/globex/quotas/none", "{'tasks':0,'window':'total'}");
	const char *spec =
		with_times(&cast, "{'every':'60s','start':'{T0}','end':'{T60}'," PROBE "}");
	for (int i = 0; i < MANY; i++) {
		bool poor = i % 50 == 7;
		const char *path = arena_printf(
			cast.stage->plane->arena, "/v1/tenants/%s/domains/%s/schedules/s%d",
			poor ? "globex" : "acme", poor ? "trips" : "sales", i);
		struct answer answer = plane_call(
			cast.stage->plane, poor ? poor_key : cast.key, "PUT", path,
			arena_printf(cast.stage->plane->arena,
		                     "{'apiVersion':'freehold.io/v1','kind':'Schedule','metadata':"
		                     "{'name':'s%d'},'spec':%s}",
		                     i, spec));
		cr_assert_lt(answer.status, 300, "%s", answer.text);
	}
	pass(&cast, 61);
	struct many many = {&cast, MANY - MANY / 50};
	cr_assert(stage_await(cast.stage, have_ended, &many, MINUTE_MS));
	for (int i = 0; i < MANY; i++)
		if (i % 50 != 7)
			await_count(&cast, arena_printf(cast.stage->plane->arena, "s%d", i), "done",
			            1);
	pass(&cast, 63);
	for (int i = 0; i < MANY; i += 38) {
		const char *name = arena_printf(cast.stage->plane->arena, "s%d", i);
		cr_expect_eq(strips_of(&cast, name)->count, i % 50 != 7, "%s", name);
	}
	close_cast(&cast);
}

/* --- backfills --- */

static const struct value *progress(struct cast *cast, const char *name)
{
	struct answer answer =
		call(cast, "GET",
	             arena_printf(cast->stage->plane->arena, SALES("backfills/%s/progress"), name),
	             NULL);
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	return answer.body;
}

struct awaited {
	struct cast *cast;
	const char *name, *state;
};

static bool is_in_state(void *context)
{
	struct awaited *awaited = context;
	if (!stage_leads(awaited->cast->stage))
		return false;
	if (!awaited->cast->idle)
		end_all(awaited->cast);
	return strcmp(value_get_str(progress(awaited->cast, awaited->name), "state"),
	              awaited->state) == 0;
}

static void await_backfill(struct cast *cast, const char *name, const char *state)
{
	struct awaited awaited = {cast, name, state};
	cr_assert(stage_await(cast->stage, is_in_state, &awaited, 60 * MINUTE_MS), "%s is %s", name,
	          value_get_str(progress(cast, name), "state"));
}

Test(backfills, run_what_was_before_the_schedule_while_it_goes_on)
{
	struct cast cast;
	open_cast(&cast);
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'5s','start':'{T0}'," PROBE "}");
	pass(&cast, 12);
	must_put(&cast, "Backfill", SALES("backfills/old"),
	         "{'schedule':'tick','from':'{T-200}','to':'{T10}','parallelism':3}");
	pass(&cast, 14);
	stage_restart(cast.stage);
	await_backfill(&cast, "old", "done");
	const struct value *shown = progress(&cast, "old");
	cr_expect_eq(value_get_int(shown, "left", -1), 0);
	cr_expect_eq(value_get_int(shown, "done", -1), value_get_int(shown, "intervals", -2));
	cr_expect_geq(value_get_int(shown, "done", -1), 40);
	cr_expect_gt(value_get_real(shown, "perHour", 0), 0);
	are_whole(&cast, "tick", -200, 5, 42);
	close_cast(&cast);
}

Test(backfills, run_no_more_at_one_time_than_they_may_and_stop_when_paused)
{
	struct cast cast;
	open_cast(&cast);
	cast.idle = true;
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'5s','start':'{T0}','paused':true," PROBE "}");
	pass(&cast, 1);
	must_put(&cast, "Backfill", SALES("backfills/old"),
	         "{'schedule':'tick','from':'{T-50}','to':'{T0}','parallelism':3}");
	pass(&cast, 3);
	cr_expect_eq(value_get_int(progress(&cast, "old"), "running", -1), 3);
	must_put(&cast, "Backfill", SALES("backfills/old"),
	         "{'schedule':'tick','from':'{T-50}','to':'{T0}','parallelism':3,'paused':true}");
	cast.idle = false;
	pass(&cast, 8);
	const struct value *shown = progress(&cast, "old");
	cr_expect_eq(value_get_int(shown, "done", -1), 3);
	cr_expect_eq(value_get_int(shown, "left", -1), 7);
	cr_expect_str_eq(value_get_str(shown, "state"), "paused");
	must_put(&cast, "Backfill", SALES("backfills/old"),
	         "{'schedule':'tick','from':'{T-50}','to':'{T0}','parallelism':3}");
	await_backfill(&cast, "old", "done");
	are_whole(&cast, "tick", -50, 5, 10);
	close_cast(&cast);
}

static bool nothing_runs(void *context)
{
	struct cast *cast = context;
	end_all(cast);
	return stage_leads(cast->stage) && count_of(cast, "tick", "running") == 0;
}

/* How many tasks were asked to end. */
static size_t cancels(struct cast *cast)
{
	size_t count = 0;
	struct answer answer = call(cast, "GET", SALES("tasks?limit=500"), NULL);
	const struct value *items = value_get(answer.body, "items");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *task = value_at(items, i);
		const char *state = value_get_str(task, "state");
		count += value_get_bool(task, "cancelRequested", false) ||
		         strcmp(state, "cancelled") == 0;
	}
	return count;
}

/* Each within its own bound; what the schedule runs counts as the backfill's too, and is not ended
 * with it. */
Test(backfills, share_a_range_with_their_schedule)
{
	struct cast cast;
	open_cast(&cast);
	cast.idle = true;
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'5s','start':'{T-50}','end':'{T0}','paused':true," PROBE "}");
	pass(&cast, 1);
	must_put(&cast, "Backfill", SALES("backfills/old"),
	         "{'schedule':'tick','from':'{T-50}','to':'{T0}'}");
	pass(&cast, 3);
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'5s','start':'{T-50}','end':'{T0}'," PROBE "}");
	pass(&cast, 6);
	cr_expect_eq(count_of(&cast, "tick", "running"), 2);
	const struct value *shown = progress(&cast, "old");
	cr_expect_eq(value_get_int(shown, "running", -1), 2);
	cr_expect_eq(value_get_int(shown, "intervals", -1), 10);
	cr_assert_eq(call(&cast, "DELETE", SALES("backfills/old"), NULL).status, 200);
	pass(&cast, 12);
	size_t cancelled = cancels(&cast);
	cr_expect_eq(cancelled, 1, "%zu were ended", cancelled);
	cast.idle = false;
	await_count(&cast, "tick", "done", 9); /* the one may have succeeded before it heard */
	cr_assert(stage_await(cast.stage, nothing_runs, &cast, MINUTE_MS));
	cr_expect_eq(count_of(&cast, "tick", "missing"), 0);
	cr_expect_eq(strips_of(&cast, "tick")->count, 10);
	close_cast(&cast);
}

static bool two_are_cancelled(void *context)
{
	return cancels(context) == 2;
}

Test(backfills, end_what_they_run_when_they_are_deleted)
{
	struct cast cast;
	open_cast(&cast);
	cast.idle = true;
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'5s','start':'{T0}','paused':true," PROBE "}");
	pass(&cast, 1);
	must_put(&cast, "Backfill", SALES("backfills/old"),
	         "{'schedule':'tick','from':'{T-50}','to':'{T0}','parallelism':2}");
	pass(&cast, 3);
	cr_assert_eq(call(&cast, "DELETE", SALES("schedules/tick"), NULL).status, 409,
	             "a schedule with a backfill was deleted");
	cr_assert_eq(call(&cast, "DELETE", SALES("backfills/old"), NULL).status, 200);
	cr_assert(stage_await(cast.stage, two_are_cancelled, &cast, MINUTE_MS), "its tasks go on");
	cast.idle = false;
	cr_assert(stage_await(cast.stage, nothing_runs, &cast, MINUTE_MS));
	pass(&cast, 60);
	cr_expect_eq(strips_of(&cast, "tick")->count, 2, "it went on");
	close_cast(&cast);
}

Test(backfills, redo_what_failed_and_only_that)
{
	struct cast cast;
	const struct ending bad = {.outcome = OUTCOME_FAILED, .code = E_INPUT};
	open_cast(&cast);
	cast.idle = true;
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'5s','start':'{T0}','end':'{T20}'," PROBE "}");
	pass(&cast, 7);
	for (int i = 0; i < PUPPETS; i++)
		puppet_end(cast.puppets[i], 0, &bad);
	cast.idle = false;
	await_count(&cast, "tick", "failed", 1);
	pass(&cast, 25);
	await_count(&cast, "tick", "done", 3);
	must_put(&cast, "Backfill", SALES("backfills/again"),
	         "{'schedule':'tick','from':'{T0}','to':'{T20}','redo':'failed'}");
	await_backfill(&cast, "again", "done");
	cr_expect_eq(value_get_int(progress(&cast, "again"), "intervals", -1), 1);
	cr_expect_eq(count_of(&cast, "tick", "done"), 4);
	must_put(&cast, "Backfill", SALES("backfills/all"),
	         "{'schedule':'tick','from':'{T0}','to':'{T20}','redo':'all'}");
	await_backfill(&cast, "all", "done");
	cr_expect_eq(value_get_int(progress(&cast, "all"), "done", -1), 4);
	cr_expect_eq(strips_of(&cast, "tick")->count, 4 + 1 + 4);
	close_cast(&cast);
}

Test(backfills, keep_the_definition_they_began_with)
{
	struct cast cast;
	open_cast(&cast);
	cast.idle = true;
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'5s','start':'{T0}','paused':true," PROBE "}");
	pass(&cast, 1);
	must_put(&cast, "Backfill", SALES("backfills/old"),
	         "{'schedule':'tick','from':'{T-50}','to':'{T0}'}");
	pass(&cast, 3);
	struct answer answer = put(&cast, "Schedule", SALES("schedules/tick"),
	                           "{'every':'10s','start':'{T0}','paused':true," PROBE "}");
	cr_expect_eq(answer.status, 409);
	cr_expect_not_null(strstr(answer.detail, "backfill old"), "%s", answer.detail);
	cr_expect_not_null(strstr(answer.detail, "10 intervals left"), "%s", answer.detail);
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'5s','start':'{T0}','maxActive':2," PROBE "}");
	cast.idle = false;
	await_backfill(&cast, "old", "done");
	must_put(&cast, "Schedule", SALES("schedules/tick"),
	         "{'every':'10s','start':'{T0}'," PROBE "}");
	answer = put(&cast, "Backfill", SALES("backfills/old"),
	             "{'schedule':'tick','from':'{T-90}','to':'{T0}'}");
	cr_expect_eq(answer.status, 409, "%s", answer.text);
	close_cast(&cast);
}
