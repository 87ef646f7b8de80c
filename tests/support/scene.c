/* scene.c - see scene.h. */
#include "common/defs.h"
#include "tests/support/scene.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	END_MS = 900000,
	INSIST_TIMES = 3000,
	INSIST_MS = 50,
	INSIST_REAL_US = 200,
	HURRIED_TIMES = 500,
	BUSY_REAL_US = 5000,     /* who is to lead waits for a processor */
	FORGOTTEN_TIMES = 20,
	FORGOTTEN_MS = 4000,
	WHOLE_TIMES = 2000,
	WHOLE_REAL_US = 200
};

void scene_open(struct scene *scene)
{
	struct err err = {0};
	*scene = (struct scene){.life = 1};
	cr_assert_eq(arena_new(256 * MIB, &scene->arena, &err), 0);
	scene->stage = stage_open();
}

void scene_close(struct scene *scene)
{
	for (int i = 0; i < SCENE_PUPPETS; i++)
		puppet_free(scene->puppets[i]);
	stage_close(scene->stage);
	arena_free(scene->arena);
}

/* --- clients --- */

static const char *quoted(struct arena *arena, const char *text)
{
	char *copy = text ? arena_strdup(arena, text) : NULL;
	for (char *at = copy; at && *at; at++)
		if (*at == '\'')
			*at = '"';
	return copy;
}

static bool may_change(const struct answer *answer)
{
	const char *code = answer->code ? answer->code : "";
	return answer->status == 503 || answer->status == 504 || strcmp(code, "BUSY") == 0 ||
	       (answer->status == 409 && strstr(answer->detail, "being worked on"));
}

static bool may_be_forgotten(const struct scene *scene, const struct answer *answer)
{
	bool moved = answer->status == 409 && strstr(answer->detail, "at the same time");
	return scene->forgetful &&
	       (moved || answer->status == 400 || answer->status == 401 || answer->status == 404);
}

/* A catalog that lost an entry lists again, on a thread of its own. */
static void await_whole(const struct scene *scene)
{
	struct catalog *catalog = scene->stage->plane->control->catalog;
	for (int i = 0; i < WHOLE_TIMES && !catalog_whole(catalog); i++)
		usleep(WHOLE_REAL_US);
}

struct answer scene_insist(struct scene *scene, const char *credential, const char *method,
                           const char *path, const char *body, const char *key)
{
	struct plane *plane = scene->stage->plane;
	const struct header headers[] = {{"Idempotency-Key", key}, {NULL, NULL}};
	const struct asked asked = {
		.method = method,
		.path = path,
		.key = credential,
		.body = quoted(plane->arena, body),
		.headers = key ? headers : NULL,
	};
	struct answer answer = plane_ask(plane, &asked);
	for (int i = 0, forgotten = 0; i < INSIST_TIMES; i++) {
		bool again = may_change(&answer);
		if (!again && !(may_be_forgotten(scene, &answer) && forgotten++ < FORGOTTEN_TIMES))
			break;
		clock_advance(scene->stage->clock, again ? INSIST_MS : FORGOTTEN_MS);
		usleep(i < HURRIED_TIMES ? INSIST_REAL_US : BUSY_REAL_US);
		if (!again)
			await_whole(scene);
		answer = plane_ask(plane, &asked);
	}
	return answer;
}

struct answer scene_submit(struct scene *scene, int company, const char *body, const char *key,
                           bool insist)
{
	const struct company *of = &scene->companies[company];
	const char *path = arena_printf(scene->arena, "/v1/tenants/%s/domains/%s/tasks", of->tenant,
	                                of->domain);
	const struct header headers[] = {{"Idempotency-Key", key}, {NULL, NULL}};
	const struct asked asked = {
		.method = "POST",
		.key = of->key,
		.body = quoted(scene->arena, body),
		.headers = headers,
		.path = path,
	};
	struct answer answer = insist ? scene_insist(scene, of->key, "POST", path, body, key)
	                              : plane_ask(scene->stage->plane, &asked);
	const char *id = value_get_str(answer.body, "id");
	if (answer.status != 202 || scene->promised_count == SCENE_PROMISES)
		return answer;
	for (size_t i = 0; i < scene->promised_count; i++) {
		const struct promised *known = &scene->promised[i];
		if (strcmp(known->key, key) != 0 || known->tenant != of->tenant)
			continue;
		cr_assert_str_eq(known->id, id, "one Idempotency-Key has made two tasks");
		return answer;
	}
	struct promised *promised = &scene->promised[scene->promised_count++];
	snprintf(promised->id, sizeof promised->id, "%s", id);
	snprintf(promised->key, sizeof promised->key, "%s", key);
	promised->tenant = of->tenant;
	return answer;
}

/* --- the cast --- */

static void put(struct scene *scene, const char *credential, const char *kind, const char *path,
                const char *spec)
{
	const char *body = arena_printf(scene->arena,
	                                "{'apiVersion':'freehold.io/v1','kind':'%s',"
	                                "'metadata':{'name':'%s'},'spec':%s}",
	                                kind, strrchr(path, '/') + 1, spec);
	struct answer answer = scene_insist(scene, credential, "PUT", path, body, NULL);
	cr_assert(answer.status == 200 || answer.status == 201, "PUT %s: %d %s", path,
	          answer.status, answer.text);
}

static struct company make_company(struct scene *scene, const char *tenant, const char *domain)
{
	const char *operator_key = scene->stage->plane->operator_key;
	const char *path = arena_printf(scene->arena, "/v1/tenants/%s", tenant);
	const char *admin = arena_printf(scene->arena, "%s/principals/admin", path);
	put(scene, operator_key, "Tenant", path, "{}");
	put(scene, operator_key, "Domain",
	    arena_printf(scene->arena, "%s/domains/%s", path, domain), "{}");
	put(scene, operator_key, "Principal", admin, "{'roles':['tenant-admin']}");
	struct answer made = scene_insist(scene, operator_key, "POST",
	                                  arena_printf(scene->arena, "%s/keys", admin), NULL, NULL);
	cr_assert_eq(made.status, 201, "%s", made.text);
	return (struct company){tenant, domain, value_get_str(made.body, "key")};
}

static void furnish(struct scene *scene, const struct company *company)
{
	static const char *const things[][3] = {
		{"Dataset", "datasets/raw", "{}"},
		{"Dataset", "datasets/whole", "{}"},
		{"Dataset", "datasets/sums", "{}"},
		{"Source", "sources/raw",
	         "{'connector':'file','path':'a.csv','dataset':'raw',"
	         "'format':'csv'}"},
		{"Source", "sources/whole",
	         "{'connector':'file','path':'b.csv','dataset':'whole',"
	         "'format':'csv','mode':'replace'}"},
		{"Transformation", "transformations/sums",
	         "{'sql':'SELECT n FROM raw',"
	         "'inputs':['raw'],'output':'sums'}"},
		{"Entity", "entities/thing", "{'joinKey':'n','valueType':'int64'}"},
		{"FeatureView", "featureviews/view",
	         "{'entities':['thing'],'dataset':'sums',"
	         "'timestampField':'at','features':[{'name':'n','type':'int64'}]}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(things); i++)
		put(scene, company->key, things[i][0],
		    arena_printf(scene->arena, "/v1/tenants/%s/domains/%s/%s", company->tenant,
		                 company->domain, things[i][1]),
		    things[i][2]);
}

void scene_furnish(struct scene *scene)
{
	const char *operator_key = scene->stage->plane->operator_key;
	put(scene, operator_key, "RateCard", "/v1/ratecards/default",
	    "{'currency':'EUR',"
	    "'cpuSecond':1000000,'gibWritten':1073741824,'task':7}");
	scene->companies[0] = make_company(scene, "acme", "sales");
	scene->companies[1] = make_company(scene, "globex", "trips");
	put(scene, operator_key, "Quota", "/v1/tenants/globex/quotas/few",
	    "{'concurrentTasks':1,'queuedTasks':5}");
	furnish(scene, &scene->companies[0]);
	furnish(scene, &scene->companies[1]);
}

void scene_puppet(struct scene *scene, int i)
{
	static const char *const names[SCENE_PUPPETS] = {"w-0", "w-1", "w-2"};
	puppet_free(scene->puppets[i]);
	scene->deaf[i] = false;
	scene->puppets[i] = puppet_new(scene->stage, names[i], 2, scene->life++);
}

/* --- the end --- */

/* Also of what was accepted without its client's hearing of it; told by a leader that has all of
 * it. */
static bool all_ended(struct scene *scene)
{
	AUTO(arena) *arena = NULL;
	struct shard *shard = scene->stage->plane->part->shard;
	bool ended = stage_leads(scene->stage);
	cr_assert_eq(arena_new(64 * MIB, &arena, NULL), 0);
	for (size_t i = 0; ended && i < scene->promised_count; i++) {
		struct value *task = shard_task(shard, arena, scene->promised[i].tenant, NULL,
		                                scene->promised[i].id);
		ended = task && value_get(task, "endedAt");
	}
	for (int i = 0; ended && i < 2; i++) {
		struct value *usage = shard_usage(shard, arena, scene->companies[i].tenant);
		ended = value_len(value_get(usage, "reserved")) == 0;
	}
	return ended;
}

static bool is_over(void *context)
{
	struct scene *scene = context;
	const struct ending ending = {.outcome = OUTCOME_SUCCEEDED, .rows = 3};
	bool settled = true;
	for (int i = 0; i < SCENE_PUPPETS; i++) {
		if (!scene->puppets[i])
			continue;
		while (puppet_running(scene->puppets[i]) > 0)
			puppet_end(scene->puppets[i], 0, &ending);
		settled &= puppet_settled(scene->puppets[i]);
	}
	return settled && all_ended(scene);
}

static const char *unfinished(struct scene *scene)
{
	struct shard *shard = scene->stage->plane->part->shard;
	for (size_t i = 0; i < scene->promised_count; i++) {
		const char *id = scene->promised[i].id;
		struct value *task =
			shard_task(shard, scene->arena, scene->promised[i].tenant, NULL, id);
		const char *reason = value_get_str(task, "reason");
		if (!task)
			return arena_printf(scene->arena, "the promised task %s is not there", id);
		if (!value_get(task, "endedAt"))
			return arena_printf(scene->arena, "task %s does not end: it is %s: %s", id,
			                    value_get_str(task, "state"), reason ? reason : "");
	}
	return "a report waits for its acknowledgement, or a reservation for its task";
}

const char *scene_end(struct scene *scene)
{
	for (int i = 0; i < SCENE_PUPPETS; i++)
		if (scene->puppets[i])
			puppet_deaf(scene->puppets[i], false);
	if (!stage_await(scene->stage, is_over, scene, END_MS))
		return unfinished(scene);
	return ledger_check(scene->stage, scene->arena, scene->promised, scene->promised_count,
	                    scene->companies);
}
