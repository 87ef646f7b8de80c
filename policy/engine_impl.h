/* engine_impl.h - what a request names, as entities. Private to policy/engine*.c. */
#ifndef ENGINE_IMPL_H
#define ENGINE_IMPL_H

#include "policy/engine.h"

/* The entities are open: more can be added before they are closed. */
struct engine_scene {
	const struct cedar_set *set;
	struct cedar_entities *entities;
	struct cedar_request request;
};
MUST_USE int engine_scene(const struct engine *engine, struct arena *arena,
			  const struct engine_ask *ask, struct engine_scene *ret_scene,
			  struct err *err);
/* A policy as answers name it. NULL: no memory. */
const char *engine_rule(struct arena *arena, const struct cedar_policy *policy);

#endif
