/* lockout.c - see lockout.h. */
#include "common/defs.h"
#include "control/lockout.h"

#include "control/may.h"
#include "policy/engine.h"

#include <string.h>

struct search {
	struct control *control;
	const struct what_if *what_if;
	const struct engine *engine;
	struct arena *scratch;       /* for one decision */
	struct policies_ask ask;
	bool found;
};

/* What policies see of it beside its roles; the catalog's lock is taken within the bindings', and
 * never the other way round: what the catalog tells of is told outside its own. */
static int add_attributes(const struct search *search, struct asker *asker, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	const struct what_if *what_if = search->what_if;
	catalog_key(key, KIND_PRINCIPAL, asker->tenant, NULL, asker->principal);
	bool changes = what_if && strcmp(what_if->key, key) == 0;
	int code = changes ? 0 : catalog_get(search->control->catalog, search->scratch, key,
	                                     &stored, NULL, err);
	if (code < 0)
		return code == E_NOT_FOUND ? 0 : code;
	asker->attributes = value_get(value_get(changes ? what_if->value : stored, "spec"),
	                              "attributes");
	return 0;
}

static int try_asker(void *context, const struct asker *asker, bool *ret_enough, struct err *err)
{
	static const enum auth ways[] = { AUTH_KEY, AUTH_TOKEN, AUTH_OIDC };
	struct search *search = context;
	for (size_t i = 0; i < ARRAY_LEN(ways) && !search->found; i++) {
		struct asker tried = *asker;
		struct engine_answer answer;
		tried.auth = ways[i];
		search->ask.asker = &tried;
		arena_reset(search->scratch);
		TRY(add_attributes(search, &tried, err));
		search->found = policies_decide_by(search->engine, search->scratch, &search->ask,
		                                   &answer).allowed;
	}
	*ret_enough = search->found;
	return 0;
}

static int can_anybody(struct control *control, const struct request *request,
                       const struct engine *engine, const struct what_if *what_if,
                       bool *ret_can, struct err *err)
{
	AUTO(arena) *scratch = NULL;
	TRY(arena_new(MIB, &scratch, err));
	struct search search = {
		.control = control, .what_if = what_if, .engine = engine,
		.scratch = scratch,
		.ask = { .action = ACTION_POLICY_WRITE, .now_ms = request->now_ms,
		         .target = { .tenant = request->tenant, .whole = true },
		         .address = request->asker.address,
		         .purpose = request_header(request, PURPOSE_HEADER) },
	};
	TRY(bindings_askers(control->bindings, request->arena, request->tenant, what_if,
	                    try_asker, &search, err));
	*ret_can = search.found;
	return 0;
}

int lockout_check(struct control *control, const struct request *request,
                  const struct what_if *what_if, bool *ret_looked, struct err *err)
{
	AUTO(engine) *engine = NULL;
	bool before = false, after = false;
	*ret_looked = false;
	if (!control->policies || !control->bindings)
		return 0;
	if (!policies_engine(control->policies, request->tenant, &engine))
		return err_set(err, E_UNAVAILABLE, "the policies of %s cannot be decided by now; "
		               "ask again in a second", request->tenant);
	if (!engine)
		return 0;
	*ret_looked = true;
	TRY(can_anybody(control, request, engine, what_if, &after, err));
	if (after)
		return 0;
	TRY(can_anybody(control, request, engine, NULL, &before, err));
	if (!before)
		return 0;
	return err_set(err, E_CONFLICT, "by its policies nobody of %s could change policies any "
	               "more; leave one who can, or ask the platform's operator",
	               request->tenant);
}
