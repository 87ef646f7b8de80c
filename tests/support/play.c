/* play.c - see play.h. */
#include "common/defs.h"
#include "tests/support/play.h"

#include "common/store_mem.h"
#include "control/lead.h"

#include <criterion/criterion.h>
#include <string.h>

enum { TURN_MS = 60000 };

static const char *submit(struct scene *scene, int company, const char *body, const char *key)
{
	struct answer answer = scene_submit(scene, company, body, key, true);
	cr_assert_eq(answer.status, 202, "%d %s", answer.status, answer.text);
	return value_get_str(answer.body, "id");
}

struct turn {
	struct scene *scene;
	struct ending ending;
};

static bool somebody_ends(void *context)
{
	struct turn *turn = context;
	for (int i = 0; i < SCENE_PUPPETS; i++) {
		struct puppet *puppet = turn->scene->puppets[i];
		if (!puppet || puppet_running(puppet) == 0)
			continue;
		puppet_end(puppet, 0, &turn->ending);
		return true;
	}
	return false;
}

/* The next attempt that runs ends so. */
static void end_next(struct scene *scene, enum outcome outcome, int code)
{
	struct turn turn = {scene, {outcome, code, 5}};
	stage_pass(scene->stage, somebody_ends, &turn, TURN_MS);
}

static void cancel(struct scene *scene, const char *id)
{
	const struct company *of = &scene->companies[0];
	struct answer answer =
		scene_insist(scene, of->key, "POST",
	                     arena_printf(scene->arena, "/v1/tenants/%s/domains/%s/tasks/%s/cancel",
	                                  of->tenant, of->domain, id),
	                     NULL, NULL);
	cr_assert_lt(answer.status, 300, "%d %s", answer.status, answer.text);
}

const char *play(struct scene *scene)
{
	scene_furnish(scene);
	scene_puppet(scene, 0);
	scene_puppet(scene, 1);
	submit(scene, 0, "{'type':'ingest','spec':{'source':'raw'}}", "a");
	submit(scene, 0, "{'type':'ingest','spec':{'source':'whole'}}", "b");
	end_next(scene, OUTCOME_FAILED, E_IO);
	end_next(scene, OUTCOME_SUCCEEDED, 0);
	const char *unwanted = submit(scene, 0, "{'type':'probe','spec':{}}", "c");
	cancel(scene, unwanted);
	submit(scene, 1, "{'type':'ingest','spec':{'source':'raw'}}", "d");
	end_next(scene, OUTCOME_SUCCEEDED, 0);
	store_mem_depose(scene->stage->plane->store,
	                 scene->stage->plane->part->leader_key);
	submit(scene, 0, "{'type':'transform','spec':{'transformation':'sums'}}", "e");
	end_next(scene, OUTCOME_SUCCEEDED, 0);
	submit(scene, 1, "{'type':'materialize','spec':{'featureView':'view'}}", "f");
	return scene_end(scene);
}
