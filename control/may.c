/* may.c - see may.h. */
#include "common/defs.h"
#include "control/may.h"

struct decision may_request(struct control *control, const struct request *request,
                            enum action action, const struct target *target, enum kind kind,
                            const char *name, const struct value *stored)
{
	const struct policies_ask ask = {
		.asker = &request->asker, .action = action, .target = *target,
		.kind = kind == KIND_NONE ? NULL : kind_info[kind].kind, .name = name,
		.resource = stored, .now_ms = request->now_ms,
		.purpose = request_header(request, PURPOSE_HEADER),
	};
	return policies_decide(control->policies, request->arena, &ask);
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
	const struct policies_ask ask = {
		.asker = asker, .action = action, .target = *target,
		.kind = kind == KIND_NONE ? NULL : kind_info[kind].kind, .name = name,
		.resource = stored, .now_ms = clock_unix_ms(control->clock),
	};
	return policies_decide(control->policies, arena, &ask);
}
