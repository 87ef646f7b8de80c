/* test_histories.c - random histories of a control plane: clients submit and cancel, workers end attempts,
 * die, fall silent, say things twice and too late, leaders are deposed, the store fails, time jumps. After
 * each history everything must add up. FREEHOLD_SEED=N runs the one history N; a failure names it. */
#include "common/defs.h"
#include "tests/support/ledger.h"

#include "common/store_mem.h"
#include "control/lead.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PUPPETS = 3, ACTIONS = 40, PROMISED_MAX = 256, SETTLE_MS = 900000, STEP_REAL_US = 200,
	HISTORIES = 50               /* of each test below */
};

struct history {
	uint64_t seed, random;
	struct stage *stage;
	struct arena *arena;
	struct puppet *puppets[PUPPETS];
	bool deaf[PUPPETS];
	int64_t life;                /* the next incarnation */
	struct company companies[3];
	struct promised promised[PROMISED_MAX];
	size_t promised_count;
	const char *last_body[2];    /* of each tenant, with its Idempotency-Key */
	char last_key[2][32];
	int keys;
};

/* splitmix64 */
static uint64_t draw(struct history *history, uint64_t below)
{
	uint64_t x = history->random += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (x ^ (x >> 31)) % below;
}

/* --- the cast --- */

static void put(struct history *history, const struct company *company, const char *kind,
                const char *place, const char *spec)
{
	plane_put(history->stage->plane, company->key, kind, arena_printf(history->arena,
	          "/v1/tenants/%s/domains/%s/%s", company->tenant, company->domain, place), spec);
}

static void furnish(struct history *history, const struct company *company)
{
	static const char *const things[][3] = {
		{ "Dataset", "datasets/raw", "{}" }, { "Dataset", "datasets/whole", "{}" },
		{ "Dataset", "datasets/sums", "{}" },
		{ "Source", "sources/raw", "{'connector':'file','path':'a.csv','dataset':'raw',"
		  "'format':'csv'}" },
		{ "Source", "sources/whole", "{'connector':'file','path':'b.csv','dataset':'whole',"
		  "'format':'csv','mode':'replace'}" },
		{ "Transformation", "transformations/sums", "{'sql':'SELECT n FROM raw',"
		  "'inputs':['raw'],'output':'sums'}" },
		{ "Entity", "entities/thing", "{'joinKey':'n','valueType':'int64'}" },
		{ "FeatureView", "featureviews/view", "{'entities':['thing'],'dataset':'sums',"
		  "'timestampField':'at','features':[{'name':'n','type':'int64'}]}" },
	};
	for (size_t i = 0; i < ARRAY_LEN(things); i++)
		put(history, company, things[i][0], things[i][1], things[i][2]);
}

static void begin(struct history *history, uint64_t seed)
{
	struct err err = { 0 };
	*history = (struct history){ .seed = seed, .random = seed, .life = 1 };
	cr_assert_eq(arena_new(256 * MIB, &history->arena, &err), 0);
	history->stage = stage_open();
	struct plane *plane = history->stage->plane;
	plane_put(plane, plane->operator_key, "RateCard", "/v1/ratecards/default",
	          "{'currency':'EUR','cpuSecond':1000000,'gibWritten':1073741824,'task':7}");
	history->companies[0] = (struct company){ "acme", "sales",
	                                          plane_tenant(plane, "acme", "sales") };
	history->companies[1] = (struct company){ "globex", "trips",
	                                          plane_tenant(plane, "globex", "trips") };
	plane_put(plane, plane->operator_key, "Quota", "/v1/tenants/globex/quotas/few",
	          "{'concurrentTasks':1,'queuedTasks':5}");
	furnish(history, &history->companies[0]);
	furnish(history, &history->companies[1]);
	static const char *const names[PUPPETS] = { "w-0", "w-1", "w-2" };
	for (int i = 0; i < PUPPETS; i++)
		history->puppets[i] = puppet_new(history->stage, names[i], 2, history->life++);
}

/* --- what clients do --- */

static void promise(struct history *history, const struct company *company, struct answer answer)
{
	const char *id = value_get_str(answer.body, "id");
	bool refused = answer.status == 429 || answer.status == 503 || answer.status == 409;
	cr_assert(refused || answer.status == 202, "seed %" PRIu64 ": a submission is answered %d %s",
	          history->seed, answer.status, answer.text);
	for (size_t i = 0; !refused && i < history->promised_count; i++)
		if (strcmp(history->promised[i].id, id) == 0)
			return;
	if (refused || history->promised_count == PROMISED_MAX)
		return;
	struct promised *promised = &history->promised[history->promised_count++];
	snprintf(promised->id, sizeof promised->id, "%s", id);
	promised->tenant = company->tenant;
}

static void send_body(struct history *history, int company, const char *body, const char *key)
{
	const struct header headers[] = { { "Idempotency-Key", key }, { NULL, NULL } };
	const struct company *of = &history->companies[company];
	const struct asked asked = {
		.method = "POST", .key = of->key, .body = body, .headers = headers,
		.path = arena_printf(history->arena, "/v1/tenants/%s/domains/%s/tasks", of->tenant,
		                     of->domain),
	};
	promise(history, of, plane_ask(history->stage->plane, &asked));
}

static void submit(struct history *history)
{
	static const char *const bodies[] = {
		"{\"type\":\"ingest\",\"spec\":{\"source\":\"raw\"}}",
		"{\"type\":\"ingest\",\"spec\":{\"source\":\"raw\"},\"limits\":{\"attempts\":1}}",
		"{\"type\":\"ingest\",\"spec\":{\"source\":\"whole\"}}",
		"{\"type\":\"transform\",\"spec\":{\"transformation\":\"sums\"}}",
		"{\"type\":\"materialize\",\"spec\":{\"featureView\":\"view\"}}",
		"{\"type\":\"probe\",\"spec\":{}}",
	};
	int company = (int)draw(history, 2);
	history->last_body[company] = bodies[draw(history, ARRAY_LEN(bodies))];
	snprintf(history->last_key[company], sizeof history->last_key[company], "key-%d",
	         history->keys++);
	send_body(history, company, history->last_body[company], history->last_key[company]);
}

/* As a client that did not hear the answer. */
static void submit_again(struct history *history)
{
	int company = (int)draw(history, 2);
	if (history->last_body[company])
		send_body(history, company, history->last_body[company], history->last_key[company]);
}

static void cancel(struct history *history)
{
	if (!history->promised_count)
		return;
	const struct promised *promised = &history->promised[draw(history, history->promised_count)];
	bool second = strcmp(promised->tenant, history->companies[1].tenant) == 0;
	const struct company *of = &history->companies[second];
	struct answer answer = plane_call(history->stage->plane, of->key, "POST",
		arena_printf(history->arena, "/v1/tenants/%s/domains/%s/tasks/%s/cancel", of->tenant,
		             of->domain, promised->id), NULL);
	cr_assert(answer.status < 300 || answer.status == 503, "seed %" PRIu64 ": a cancel is answered "
	          "%d %s", history->seed, answer.status, answer.text);
}

/* A dataset changes while attempts write to it. */
static void edit(struct history *history)
{
	const struct company *of = &history->companies[draw(history, 2)];
	struct answer answer = plane_call(history->stage->plane, of->key, "PUT",
		arena_printf(history->arena, "/v1/tenants/%s/domains/%s/datasets/raw", of->tenant,
		             of->domain),
		arena_printf(history->arena, "{'apiVersion':'freehold.io/v1','kind':'Dataset','metadata':"
		             "{'name':'raw'},'spec':{'description':'edit %d'}}", (int)draw(history, 100)));
	cr_assert(answer.status == 200 || answer.status == 503 || answer.status == 412,
	          "seed %" PRIu64 ": an edit is answered %d %s", history->seed, answer.status,
	          answer.text);
}

/* --- what befalls workers, the leader and the store --- */

static void end_one(struct history *history)
{
	static const int codes[] = { E_INPUT, E_IO, E_RESOURCES, E_UNAVAILABLE, E_NO_SPACE };
	struct ending ending = { .outcome = OUTCOME_SUCCEEDED, .rows = 1 + (int64_t)draw(history, 50) };
	if (draw(history, 4) == 0) {
		ending.outcome = OUTCOME_FAILED;
		ending.code = codes[draw(history, ARRAY_LEN(codes))];
	}
	puppet_end(history->puppets[draw(history, PUPPETS)], (int)draw(history, 2), &ending);
}

static void die(struct history *history)
{
	static const char *const names[PUPPETS] = { "w-0", "w-1", "w-2" };
	size_t i = draw(history, PUPPETS);
	puppet_free(history->puppets[i]);
	history->deaf[i] = false;
	history->puppets[i] = puppet_new(history->stage, names[i], 2, history->life++);
}

static void turn_deaf(struct history *history)
{
	size_t i = draw(history, PUPPETS);
	history->deaf[i] = !history->deaf[i];
	puppet_deaf(history->puppets[i], history->deaf[i]);
}

static void fail_store(struct history *history)
{
	int code = draw(history, 2) ? E_UNAVAILABLE : E_UNKNOWN_OUTCOME;
	store_mem_fail(history->stage->plane->store, 1 + draw(history, 4), code);
}

static void restart(struct history *history)
{
	store_mem_fail(history->stage->plane->store, 0, 0);
	stage_restart(history->stage);
}

static void act_once(struct history *history)
{
	struct stage *stage = history->stage;
	uint64_t what = draw(history, 100);
	if (what < 30)
		submit(history);
	else if (what < 60)
		end_one(history);
	else if (what < 66)
		cancel(history);
	else if (what < 72)
		clock_advance(stage->clock, (int64_t)draw(history, 4000));
	else if (what < 76)
		turn_deaf(history);
	else if (what < 79)
		die(history);
	else if (what < 83)
		store_mem_depose(stage->plane->store, LEADER_KEY);
	else if (what < 86)
		puppet_repeat(history->puppets[draw(history, PUPPETS)]);
	else if (what < 91)
		fail_store(history);
	else if (what < 93)
		restart(history);
	else if (what < 95)
		clock_advance(stage->clock, 16000);
	else if (what < 97)
		submit_again(history);
	else
		edit(history);
	clock_advance(stage->clock, (int64_t)draw(history, 200));
	usleep(STEP_REAL_US);
}

/* --- the end --- */

static bool all_ended(struct history *history)
{
	AUTO(arena) *arena = NULL;
	struct shard *shard = history->stage->plane->control->shard;
	bool ended = true;
	cr_assert_eq(arena_new(64 * MIB, &arena, NULL), 0);
	for (size_t i = 0; ended && i < history->promised_count; i++) {
		struct value *task = shard_task(shard, arena, history->promised[i].tenant, NULL,
		                                history->promised[i].id);
		ended = task && value_get(task, "endedAt");
	}
	/* Also those that were accepted without their client's hearing of it. */
	for (int i = 0; ended && i < 2; i++) {
		struct value *usage = shard_usage(shard, arena, history->companies[i].tenant);
		ended = value_len(value_get(usage, "reserved")) == 0;
	}
	return ended;
}

static bool is_over(void *context)
{
	struct history *history = context;
	const struct ending ending = { .outcome = OUTCOME_SUCCEEDED, .rows = 3 };
	bool settled = true;
	for (int i = 0; i < PUPPETS; i++) {
		while (puppet_running(history->puppets[i]) > 0)
			puppet_end(history->puppets[i], 0, &ending);
		settled &= puppet_settled(history->puppets[i]);
	}
	return settled && all_ended(history);
}

static const char *unfinished(struct history *history)
{
	struct shard *shard = history->stage->plane->control->shard;
	for (size_t i = 0; i < history->promised_count; i++) {
		struct value *task = shard_task(shard, history->arena, history->promised[i].tenant, NULL,
		                                history->promised[i].id);
		if (!task)
			return "a promised task is not there";
		if (!value_get(task, "endedAt"))
			return arena_printf(history->arena, "task %s is %s: %s", history->promised[i].id,
			                    value_get_str(task, "state"), value_get_str(task, "reason"));
	}
	return "a report waits for its acknowledgement, or a reservation for its task";
}

static void finish(struct history *history)
{
	store_mem_fail(history->stage->plane->store, 0, 0);
	for (int i = 0; i < PUPPETS; i++)
		puppet_deaf(history->puppets[i], false);
	bool over = stage_await(history->stage, is_over, history, SETTLE_MS);
	cr_assert(over, "seed %" PRIu64 ": it does not come to an end: %s", history->seed,
	          unfinished(history));
	const char *broken = ledger_check(history->stage, history->arena, history->promised,
	                                  history->promised_count, history->companies);
	cr_assert_null(broken, "seed %" PRIu64 ": %s", history->seed, broken);
	for (int i = 0; i < PUPPETS; i++)
		puppet_free(history->puppets[i]);
	stage_close(history->stage);
	arena_free(history->arena);
}

static void live_through(uint64_t seed)
{
	struct history history;
	begin(&history, seed);
	for (int i = 0; i < ACTIONS; i++)
		act_once(&history);
	finish(&history);
}

static void histories(uint64_t first)
{
	const char *wish = getenv("FREEHOLD_SEED");
	if (wish) {
		live_through(strtoull(wish, NULL, 10));
		return;
	}
	for (uint64_t seed = first; seed < first + HISTORIES; seed++)
		live_through(seed);
}

Test(histories, add_up_in_the_first_fifty_seeds)
{
	histories(1000);
}

Test(histories, add_up_in_the_second_fifty_seeds)
{
	histories(2000);
}

Test(histories, add_up_in_the_third_fifty_seeds)
{
	histories(3000);
}

Test(histories, add_up_in_the_fourth_fifty_seeds)
{
	histories(4000);
}
