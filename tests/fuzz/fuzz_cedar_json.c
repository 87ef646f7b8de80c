/* fuzz_cedar_json.c - entities, a request or a schema out of any bytes: the first byte says
 * which. */
#include "common/defs.h"
#include "policy/cedar_json.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Every ancestor of an ancestor is an ancestor. */
static void check_closed(const struct cedar_entities *entities, const struct cedar_uid *uid)
{
	const struct cedar_entity *entity = cedar_entities_find(entities, uid);
	for (size_t i = 0; entity && i < entity->ancestor_count; i++) {
		const struct cedar_entity *above =
			cedar_entities_find(entities, entity->ancestors[i]);
		for (size_t j = 0; above && j < above->ancestor_count; j++)
			REQUIRE(cedar_entity_in(uid, entity, above->ancestors[j]));
	}
}

static void read_entities(struct arena *arena, const struct value *root)
{
	struct err err;
	struct cedar_entities *entities = NULL;
	REQUIRE(cedar_entities_new(arena, &entities, &err) == 0);
	if (cedar_json_entities(entities, arena, root, NULL, &err) < 0 ||
	    cedar_entities_close(entities, &err) < 0)
		return;
	for (size_t i = 0; i < value_len(root); i++) {
		struct cedar_uid uid;
		if (cedar_json_uid(arena, value_get(value_at(root, i), "uid"), &uid, &err) == 0)
			check_closed(entities, &uid);
	}
}

static void read_schema(struct arena *arena, const char *text, size_t len, bool json)
{
	struct err err;
	const struct cedar_schema *schema = NULL;
	int rc = json ? cedar_schema_parse_json(arena, text, len, &schema, &err)
	              : cedar_schema_parse(arena, text, len, &schema, &err);
	for (size_t i = 0; rc == 0 && i < schema->entity_count; i++)
		REQUIRE(cedar_schema_entity(schema,
			schema->entities[i].name) == &schema->entities[i]);
}

static void run(struct arena *arena, uint8_t kind, const char *text, size_t len)
{
	struct err err;
	struct value *root = NULL;
	struct cedar_request request;
	if (kind % 4 < 2) {
		read_schema(arena, text, len, kind % 4);
		return;
	}
	if (cedar_json_read(arena, text, len, &root, &err) < 0)
		return;
	if (kind % 4 == 2)
		read_entities(arena, root);
	else
		(void)!cedar_json_request(arena, root, NULL, &request, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err;
	AUTO(arena) *arena = NULL;
	if (!len)
		return 0;
	REQUIRE(arena_new(64 * MIB, &arena, &err) == 0);
	run(arena, data[0], (const char *)data + 1, len - 1);
	return 0;
}
