/* engine_impl.h - an engine from inside, and what a request names, as entities. Private to
 * policy/engine*.c. */
#ifndef ENGINE_IMPL_H
#define ENGINE_IMPL_H

#include "common/crypto.h"
#include "policy/engine.h"

#include <stdatomic.h>

enum { ENGINE_ROLES_MAX = 16, ENGINE_NAME_MAX = 80 };

/* A role's uids: of who has it in the whole tenant, in any domain, at any one resource; and of the
 * resources that it is held at. */
struct engine_role {
	const char *name;
	struct cedar_uid tenant, domains, resources, held;
};

struct engine {
	atomic_int holds;
	struct cedar_set *set;
	struct arena *arena;             /* of the world and its texts */
	struct cedar_entities *world;    /* what every request lies over */
	struct cedar_uid user, group, role, domain, column, action;      /* for their types */
	struct cedar_uid platform, own_tenant, commons;
	struct engine_role roles[ENGINE_ROLES_MAX];
	size_t role_count;
	struct hash_key key;             /* of this process */
	char tenant[ENGINE_NAME_MAX];
	char digest[POLICY_DIGEST_TEXT];
};

/* Its entities are what the request adds to the engine's world, and open: more can be added before
 * they are closed. */
struct engine_scene {
	const struct cedar_set *set;
	struct cedar_entities *entities;
	struct cedar_request request;
};
MUST_USE int engine_scene(const struct engine *engine, struct arena *arena,
			  const struct engine_ask *ask, struct engine_scene *ret_scene,
			  struct err *err);
/* Of the actions that are in it anyway. */
bool engine_reads(const char *action);
/* "A/B/C"; text NULL: no memory. */
struct cedar_str engine_path(struct arena *arena, const char *const *parts, size_t count);
/* A policy as answers name it. NULL: no memory. */
const char *engine_rule(struct arena *arena, const struct cedar_policy *policy);

#endif
