/* may.c - see may.h. */
#include "common/defs.h"
#include "control/may.h"

#include "control/tagging.h"

/* When tags cannot be said, nothing is allowed. */
struct decision may_decide(struct control *control, struct arena *arena, struct policies_ask *ask,
                           enum kind kind)
{
	struct tags tags = { 0 };
	const struct target *target = &ask->target;
	bool tagged = ask->name && (kind == KIND_DATASET || kind == KIND_FEATUREVIEW);
	if (!tagged || !policies_in_force(control->policies, target->tenant))
		return policies_decide(control->policies, arena, ask);
	int rc = kind == KIND_DATASET ? tags_of(control, arena, target->tenant, target->domain,
	                                        ask->name, &tags, NULL)
	                              : tags_of_view(control, arena, target->tenant,
	                                             target->domain, ask->name, &tags, NULL);
	ask->tags = tags.dataset;
	struct decision decision = policies_decide(control->policies, arena, ask);
	if (rc < 0 && decision.allowed)
		decision = (struct decision){ .visible = true, .rule = "tags-unavailable" };
	return decision;
}

struct decision may_request(struct control *control, const struct request *request,
                            enum action action, const struct target *target, enum kind kind,
                            const char *name, const struct value *stored)
{
	struct policies_ask ask = {
		.asker = &request->asker, .action = action, .target = *target,
		.kind = kind == KIND_NONE ? NULL : kind_info[kind].kind, .name = name,
		.resource = stored, .now_ms = request->now_ms,
		.purpose = request_header(request, PURPOSE_HEADER),
	};
	return may_decide(control, request->arena, &ask, kind);
}

struct decision may_asker(struct control *control, struct arena *arena, const struct asker *asker,
                          enum action action, const struct target *target, enum kind kind,
                          const char *name)
{
	struct value *stored = NULL;
	char key[STORE_KEY_MAX];
	if (kind != KIND_NONE && policies_in_force(control->policies, target->tenant)) {
		catalog_key(key, kind, target->tenant, target->domain, name);
		if (catalog_get(control->catalog, arena, key, &stored, NULL, NULL) < 0)
			stored = NULL;
	}
	struct policies_ask ask = {
		.asker = asker, .action = action, .target = *target,
		.kind = kind == KIND_NONE ? NULL : kind_info[kind].kind, .name = name,
		.resource = stored, .now_ms = clock_unix_ms(control->clock),
	};
	return may_decide(control, arena, &ask, kind);
}
