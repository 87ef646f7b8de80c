/* fuzz_naming.c - whatever is taken as a resource of an action has a name that is taken as the same
 * one. The input: an action, a space, a resource. */
#include "common/defs.h"
#include "policy/naming.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct model_kind kinds[] = {
#define SUBTABLE(name, FIELDS)
#define KIND MODEL_KIND
#include "api/kinds.def"
#undef KIND
#undef SUBTABLE
};

/* Its Platform's kinds are all of one entity: those names are not looked at. */
static void names_itself(const struct model *model, struct arena *arena, enum action action,
                         const struct engine_resource *resource)
{
	struct engine_resource again;
	struct err err;
	const char *uid = naming_uid(arena, "acme", resource);
	if (!uid || resource->platform || (resource->domain && strpbrk(resource->domain, "/\"")) ||
	    (resource->name && strpbrk(resource->name, "/\"")))
		return;
	if (naming_resource(model, arena, "acme", action, uid, &again, &err) < 0)
		return;
	const char *other = naming_uid(arena, "acme", &again);
	REQUIRE(!other || strcmp(uid, other) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	const struct model *model = NULL;
	struct engine_resource resource;
	enum action action;
	struct err err;
	if (len > 2048 || arena_new(16 * MIB, &arena, &err) < 0)
		return 0;
	char *text = arena_strndup(arena, (const char *)data, len);
	char *space = text ? strchr(text, ' ') : NULL;
	if (!space)
		return 0;
	*space = 0;
	if (naming_action(text, &action, &err) < 0) {
		REQUIRE(err.code == E_INVALID);
		return 0;
	}
	if (model_new(arena, kinds, ARRAY_LEN(kinds), &model, &err) == 0 &&
	    naming_resource(model, arena, "acme", action, space + 1, &resource, &err) == 0)
		names_itself(model, arena, action, &resource);
	return 0;
}
