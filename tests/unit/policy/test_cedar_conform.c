/* test_cedar_conform.c - requests and entities that do and do not fit a schema. */
#include "common/defs.h"
#include "policy/cedar_conform.h"
#include "policy/cedar_json.h"

#include <criterion/criterion.h>
#include <string.h>

static const char schema_text[] =
	"entity Group; entity Color enum [\"red\"];\n"
	"entity User in [Group] = { age: Long, nick?: String, best?: Color } tags Set<String>;\n"
	"action view appliesTo { principal: User, resource: [Group, Color],"
	" context: { ip: ipaddr } "
	"};\n";

static struct arena *arena;
static struct err err;
static const struct cedar_schema *schema;

static void start(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
	cr_assert_eq(cedar_schema_parse(arena, schema_text, strlen(schema_text), &schema, &err), 0);
}

static void stop(void)
{
	arena_free(arena);
}

TestSuite(cedar_conform, .init = start, .fini = stop);

static struct value *json(const char *text)
{
	struct value *value = NULL;
	cr_assert_eq(cedar_json_read(arena, text, strlen(text), &value, &err), 0, "%s", err.text);
	return value;
}

static int try_entity(const char *rest)
{
	struct cedar_entities *entities = NULL;
	const char *text = arena_printf(arena, "[{\"uid\": {\"type\": %s}]", rest);
	cr_assert_eq(cedar_entities_new(arena, &entities, &err), 0);
	return cedar_json_entities(entities, arena, json(text), schema, &err);
}

Test(cedar_conform, takes_entities_that_fit)
{
	static const char *const good[] = {
		"\"Group\", \"id\": \"g\"}",
		"\"Color\", \"id\": \"red\"}",
		"\"User\", \"id\": \"u\"}, \"attrs\": {\"age\": 1}",
		"\"User\", \"id\": \"u\"}, \"attrs\": {\"age\": 1, \"best\": {\"type\": \"Color\","
		" \"id\": \"red\"}}, \"tags\": {\"x\": [\"y\"]},"
		" \"parents\": [{\"type\": \"Group\", \"id\": \"g\"}]",
		"\"Action\", \"id\": \"view\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect_eq(try_entity(good[i]), 0, "%s: %s", good[i], err.text);
}

Test(cedar_conform, refuses_entities_that_do_not)
{
	static const char *const bad[] = {
		"\"Nope\", \"id\": \"g\"}", "\"Action\", \"id\": \"nope\"}",
		"\"Color\", \"id\": \"green\"}", "\"User\", \"id\": \"u\"}",
		"\"User\", \"id\": \"u\"}, \"attrs\": {\"age\": \"1\"}",
		"\"User\", \"id\": \"u\"}, \"attrs\": {\"age\": 1, \"wings\": 2}",
		"\"User\", \"id\": \"u\"}, \"attrs\": {\"age\": 1, \"best\": {\"type\": \"Color\","
		" \"id\": \"green\"}}",
		"\"User\", \"id\": \"u\"}, \"attrs\": {\"age\": 1}, \"tags\": {\"x\": [1]}",
		"\"Group\", \"id\": \"g\"}, \"tags\": {\"x\": [\"y\"]}",
		"\"Group\", \"id\": \"g\"}, \"parents\": [{\"type\": \"Group\", \"id\": \"h\"}]",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(try_entity(bad[i]), E_INVALID, "%s", bad[i]);
}

static int try_request(const char *principal, const char *action, const char *resource,
		       const char *context)
{
	struct cedar_request request;
	const char *text = arena_printf(arena,
		"{\"principal\": {\"type\": \"%s\", \"id\": \"1\"}, \"action\": {\"type\": "
		"\"Action\","
		" \"id\": \"%s\"}, \"resource\": {\"type\": \"%s\", \"id\": \"red\"}, \"context\": "
		"%s}",
		principal, action, resource, context);
	return cedar_json_request(arena, json(text), schema, &request, &err);
}

Test(cedar_conform, judges_requests)
{
	const char *ip = "{\"ip\": \"10.0.0.1\"}";
	cr_expect_eq(try_request("User", "view", "Group", ip), 0, "%s", err.text);
	cr_expect_eq(try_request("User", "view", "Color", ip), 0, "%s", err.text);
	cr_expect_eq(try_request("Group", "view", "Group", ip), E_INVALID);
	cr_expect_eq(try_request("User", "nope", "Group", ip), E_INVALID);
	cr_expect_eq(try_request("User", "view", "User", ip), E_INVALID);
	cr_expect_eq(try_request("User", "view", "Group", "{}"), E_INVALID);
	cr_expect_eq(try_request("User", "view", "Group", "{\"ip\": 1}"), E_INVALID);
	cr_expect_eq(try_request("User", "view", "Group", "{\"ip\": \"::1\", \"x\": 1}"),
		E_INVALID);
}

Test(cedar_conform, judges_a_value_alone)
{
	struct cedar_value number = { .kind = CEDAR_LONG, .i = 1 };
	cr_expect_eq(cedar_conform_value(arena, schema, cedar_type_of(CEDAR_TYPE_LONG), &number,
	                                 &err), 0);
	cr_expect_eq(cedar_conform_value(arena, schema, cedar_type_of(CEDAR_TYPE_STRING), &number,
	                                 &err), E_INVALID);
}
