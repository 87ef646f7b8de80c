/* test_histories.c - random histories of a control plane: clients submit and cancel, workers end
 * attempts, die, fall silent, say things twice and too late, leaders are deposed, the store fails,
 * time jumps. After each history everything must add up. FREEHOLD_SEED=N runs the one history N; a
 * failure names it. */
#include "common/defs.h"
#include "tests/support/scene.h"

#include "common/store_mem.h"
#include "control/lead.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { HISTORIES = 20 }; /* of each test below */
#else
enum { HISTORIES = 50 };
#endif
enum { ACTIONS = 40, STEP_REAL_US = 200 };

struct history {
	struct scene scene;
	uint64_t seed, random;
	const char *last_body[2]; /* of each tenant, with its Idempotency-Key */
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

static void check_answer(const struct history *history, const char *what,
                         const struct answer *answer)
{
	bool refused = answer->status == 429 || answer->status == 503 || answer->status == 409 ||
	               answer->status == 412;
	cr_assert(refused || answer->status < 300, "seed %" PRIu64 ": %s is answered %d %s",
	          history->seed, what, answer->status, answer->text);
}

/* --- what clients do --- */

static void submit(struct history *history)
{
	static const char *const bodies[] = {
		"{'type':'ingest','spec':{'source':'raw'}}",
		"{'type':'ingest','spec':{'source':'raw'},'limits':{'attempts':1}}",
		"{'type':'ingest','spec':{'source':'whole'}}",
		"{'type':'transform','spec':{'transformation':'sums'}}",
		"{'type':'materialize','spec':{'featureView':'view'}}",
		"{'type':'probe','spec':{}}",
	};
	int company = (int)draw(history, 2);
	history->last_body[company] = bodies[draw(history, ARRAY_LEN(bodies))];
	snprintf(history->last_key[company], sizeof history->last_key[company], "key-%d",
	         history->keys++);
	struct answer answer = scene_submit(&history->scene, company, history->last_body[company],
	                                    history->last_key[company], false);
	check_answer(history, "a submission", &answer);
}

/* As a client that did not hear the answer. */
static void submit_again(struct history *history)
{
	int company = (int)draw(history, 2);
	if (!history->last_body[company])
		return;
	struct answer answer = scene_submit(&history->scene, company, history->last_body[company],
	                                    history->last_key[company], false);
	check_answer(history, "a repeated submission", &answer);
}

static void cancel(struct history *history)
{
	struct scene *scene = &history->scene;
	if (!scene->promised_count)
		return;
	const struct promised *promised = &scene->promised[draw(history, scene->promised_count)];
	bool second = strcmp(promised->tenant, scene->companies[1].tenant) == 0;
	const struct company *of = &scene->companies[second];
	struct answer answer =
		plane_call(scene->stage->plane, of->key, "POST",
	                   arena_printf(scene->arena, "/v1/tenants/%s/domains/%s/tasks/%s/cancel",
	                                of->tenant, of->domain, promised->id),
	                   NULL);
	check_answer(history, "a cancel", &answer);
}

/* A dataset changes while attempts write to it. */
static void edit(struct history *history)
{
	struct scene *scene = &history->scene;
	const struct company *of = &scene->companies[draw(history, 2)];
	struct answer answer = plane_call(
		scene->stage->plane, of->key, "PUT",
		arena_printf(scene->arena, "/v1/tenants/%s/domains/%s/datasets/raw", of->tenant,
	                     of->domain),
		arena_printf(scene->arena,
	                     "{'apiVersion':'freehold.io/v1','kind':'Dataset','metadata':"
	                     "{'name':'raw'},'spec':{'description':'edit %d'}}",
	                     (int)draw(history, 100)));
	check_answer(history, "an edit", &answer);
}

/* --- what befalls workers, the leader and the store --- */

static void end_one(struct history *history)
{
	static const int codes[] = {E_INPUT, E_IO, E_RESOURCES, E_UNAVAILABLE, E_NO_SPACE};
	struct ending ending = {.outcome = OUTCOME_SUCCEEDED,
	                        .rows = 1 + (int64_t)draw(history, 50)};
	if (draw(history, 4) == 0) {
		ending.outcome = OUTCOME_FAILED;
		ending.code = codes[draw(history, ARRAY_LEN(codes))];
	}
	puppet_end(history->scene.puppets[draw(history, SCENE_PUPPETS)], (int)draw(history, 2),
	           &ending);
}

static void turn_deaf(struct history *history)
{
	struct scene *scene = &history->scene;
	size_t i = draw(history, SCENE_PUPPETS);
	scene->deaf[i] = !scene->deaf[i];
	puppet_deaf(scene->puppets[i], scene->deaf[i]);
}

static void fail_store(struct history *history)
{
	int code = draw(history, 2) ? E_UNAVAILABLE : E_UNKNOWN_OUTCOME;
	store_mem_fail(history->scene.stage->plane->store, 1 + draw(history, 4), code);
}

static void restart(struct history *history)
{
	store_mem_fail(history->scene.stage->plane->store, 0, 0);
	stage_restart(history->scene.stage);
}

static void act_once(struct history *history)
{
	struct stage *stage = history->scene.stage;
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
		scene_puppet(&history->scene, (int)draw(history, SCENE_PUPPETS));
	else if (what < 83)
		store_mem_depose(stage->plane->store, stage->plane->part->leader_key);
	else if (what < 86)
		puppet_repeat(history->scene.puppets[draw(history, SCENE_PUPPETS)]);
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

static void live_through(uint64_t seed)
{
	struct history history = {.seed = seed, .random = seed};
	scene_open(&history.scene);
	scene_furnish(&history.scene);
	for (int i = 0; i < SCENE_PUPPETS; i++)
		scene_puppet(&history.scene, i);
	for (int i = 0; i < ACTIONS; i++)
		act_once(&history);
	store_mem_fail(history.scene.stage->plane->store, 0, 0);
	const char *broken = scene_end(&history.scene);
	cr_assert_null(broken, "seed %" PRIu64 ": %s", seed, broken);
	scene_close(&history.scene);
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

Test(histories, add_up_from_seed_1000)
{
	histories(1000);
}

Test(histories, add_up_from_seed_2000)
{
	histories(2000);
}

Test(histories, add_up_from_seed_3000)
{
	histories(3000);
}

Test(histories, add_up_from_seed_4000)
{
	histories(4000);
}
