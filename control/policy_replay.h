/* policy_replay.h - the last audited decisions of a tenant, decided anew by other policies: which
 * would change. Who asked is looked up as it is now, so both sets of policies are asked today: what
 * is told to change does so by the candidates alone. Rows and masks are not compared. */
#ifndef POLICY_REPLAY_H
#define POLICY_REPLAY_H

#include "control/admit.h"

struct engine;

enum { REPLAY_DEFAULT = 10000, REPLAY_MAX = 50000, REPLAY_TOLD_MAX = 500 };

struct replay_ask {
	struct control *control;
	struct part *part;
	const char *tenant;
	const struct engine *now;        /* NULL: roles alone */
	const struct engine *candidate;
	int64_t last;                    /* events */
};
/* Sets events, replayed, changed, drifted, decisions and leftOut in a map. */
MUST_USE int policy_replay(const struct replay_ask *ask, struct arena *arena, struct value *map,
			   struct err *err);
/* What an event's path names ("/v1/tenants/acme/domains/trips/datasets/rides/..."); false: nothing
 * of that tenant. Texts in the arena. */
struct engine_resource;
bool policy_replay_resource(struct arena *arena, const char *tenant, const char *path,
			    struct engine_resource *ret_resource);

#endif
