/* test_cedar_schema.c - both forms of a schema, name resolution, and types. */
#include "common/defs.h"
#include "common/buf.h"
#include "policy/cedar_schema.h"
#include "policy/cedar_schema_raw.h"
#include "policy/cedar_type.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct err err;

static void start(void)
{
	cr_assert_eq(arena_new(64 * MIB, &arena, &err), 0);
}

static void stop(void)
{
	arena_free(arena);
}

TestSuite(cedar_schema, .init = start, .fini = stop);
TestSuite(cedar_type, .init = start, .fini = stop);

static const struct cedar_schema *human(const char *text)
{
	const struct cedar_schema *schema = NULL;
	cr_assert_eq(cedar_schema_parse(arena, text, strlen(text), &schema, &err), 0, "%s",
		err.text);
	return schema;
}

static const struct cedar_schema *json(const char *text)
{
	const struct cedar_schema *schema = NULL;
	cr_assert_eq(cedar_schema_parse_json(arena, text, strlen(text), &schema, &err), 0, "%s",
	             err.text);
	return schema;
}

static const char human_text[] =
	"type Address = { street: String, \"zip code\"?: Long };\n"
	"@doc(\"people\")\n"
	"namespace Org {\n"
	"  type Names = Set<String>;\n"
	"  entity Group;\n"
	"  entity User in [Group] = { home: Address, boss?: User, names: Names, at: datetime }\n"
	"    tags Set<Long>;\n"
	"  entity Color enum [\"red\", \"blue\"];\n"
	"  action read, \"read all\";\n"
	"  action view in [read, Action::\"read all\"] appliesTo {\n"
	"    principal: User, resource: [Group, Org::Color], context: { ip: ipaddr, ok: "
	"__cedar::Bool } };\n"
	"}\n";

static const char json_text[] =
	"{\"\": {\"commonTypes\": {\"Address\": {\"type\": \"Record\", \"attributes\": {"
	"  \"street\": {\"type\": \"String\"}, \"zip code\": {\"type\": \"Long\", \"required\": "
	"false}}}},"
	"  \"entityTypes\": {}, \"actions\": {}},"
	" \"Org\": {\"commonTypes\": {\"Names\": {\"type\": \"Set\", \"element\": {\"type\": "
	"\"String\"}}},"
	"  \"entityTypes\": {\"Group\": {}, \"Color\": {\"enum\": [\"red\", \"blue\"]},"
	"   \"User\": {\"memberOfTypes\": [\"Group\"], \"tags\": {\"type\": \"Set\", \"element\": "
	"{\"type\": \"Long\"}},"
	"    \"shape\": {\"type\": \"Record\", \"attributes\": {\"home\": {\"type\": \"Address\"},"
	"     \"boss\": {\"type\": \"Entity\", \"name\": \"User\", \"required\": false},"
	"     \"names\": {\"type\": \"EntityOrCommon\", \"name\": \"Names\"},"
	"     \"at\": {\"type\": \"Extension\", \"name\": \"datetime\"}}}}},"
	"  \"actions\": {\"read\": {}, \"read all\": {},"
	"   \"view\": {\"memberOf\": [{\"id\": \"read\"}, {\"type\": \"Org::Action\", \"id\": "
	"\"read all\"}],"
	"    \"appliesTo\": {\"principalTypes\": [\"User\"], \"resourceTypes\": [\"Group\", "
	"\"Org::Color\"],"
	"     \"context\": {\"type\": \"Record\", \"attributes\": {"
	"      \"ip\": {\"type\": \"Extension\", \"name\": \"ipaddr\"}, \"ok\": {\"type\": "
	"\"Boolean\"}}}}}}}}";

static void check_org(const struct cedar_schema *schema)
{
	struct cedar_uid view, all;
	const struct cedar_entity_type *user = cedar_schema_entity(schema, CEDAR_STR("Org::User"));
	cedar_uid_init(&view, CEDAR_STR("Org::Action"), CEDAR_STR("view"));
	cedar_uid_init(&all, CEDAR_STR("Org::Action"), CEDAR_STR("read all"));
	cr_assert_not_null(user);
	cr_expect(cedar_schema_below(schema, user->name, CEDAR_STR("Org::Group")));
	cr_expect(!cedar_schema_below(schema, CEDAR_STR("Org::Group"), user->name));
	const struct cedar_attr *boss = cedar_type_attr(user->shape, CEDAR_STR("boss"));
	cr_assert_not_null(boss);
	cr_expect(!boss->required && boss->type->kind == CEDAR_TYPE_ENTITY);
	cr_expect(cedar_str_is(boss->type->name, "Org::User"));
	const struct cedar_attr *home = cedar_type_attr(user->shape, CEDAR_STR("home"));
	cr_expect(home->required && home->type->count == 2);
	cr_expect_eq(user->tags->element->kind, CEDAR_TYPE_LONG);
	cr_expect_eq(cedar_schema_entity(schema, CEDAR_STR("Org::Color"))->choices.count, 2);
	const struct cedar_action_type *action = cedar_schema_action(schema, &view);
	cr_assert_not_null(action);
	cr_expect_eq(action->ancestor_count, 2);
	cr_expect(cedar_action_below(action, &all));
	cr_expect(cedar_names_have(&action->resources, CEDAR_STR("Org::Color")));
	cr_expect_eq(action->context->count, 2);
	cr_expect(cedar_schema_is_action(schema, CEDAR_STR("Org::Action")));
	cr_expect_eq(schema->action_count, 3);
}

Test(cedar_schema, reads_the_human_form)
{
	check_org(human(human_text));
}

Test(cedar_schema, reads_the_same_out_of_json)
{
	check_org(json(json_text));
	const struct cedar_schema *a = human(human_text), *b = json(json_text);
	cr_assert_eq(a->entity_count, b->entity_count);
	for (size_t i = 0; i < a->entity_count; i++)
		cr_expect(cedar_type_equal(a->entities[i].shape, b->entities[i].shape));
}

Test(cedar_schema, refuses_what_means_nothing)
{
	static const char *const bad[] = {
		"entity A in [B];", "entity A; entity A;", "entity A = { x: Nope };",
		"entity A = Long;",
		"type T = T;", "type A = Set<B>; type B = { a: A };", "type Long = String;",
		"action a in [b];", "action a in [b]; action b in [a];", "action a; action a;",
		"entity A; action a appliesTo { principal: A };",
		"entity A; action a appliesTo { principal: A, principal: A, resource: A };",
		"entity A; action a appliesTo { principal: A, resource: A, context: Long };",
		"entity A enum [];", "namespace N { entity A; ", "namespace N { namespace M {} }",
		"entity A { a: Long, a: Long };", "thing A;", "entity A",
		"entity A = { a: Set<> };",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct cedar_schema *unused = NULL;
		cr_expect_eq(cedar_schema_parse(arena, bad[i], strlen(bad[i]), &unused, &err),
			E_INVALID,
		             "%s", bad[i]);
	}
}

Test(cedar_schema, refuses_json_with_misspelt_members)
{
	static const char *const bad[] = {
		"[]", "{\"\": {\"entityType\": {}}}",
		"{\"\": {\"entityTypes\": {\"A\": {\"memberOf\": []}}}}",
		"{\"\": {\"entityTypes\": {\"A\": {\"shape\": {\"type\": \"Nope\"}}}}}",
		"{\"\": {\"entityTypes\": {\"A\": {\"shape\": {\"type\": \"A\"}}}}}",
		"{\"\": {\"entityTypes\": {\"A\": {\"enum\": []}}}}",
		"{\"\": {\"actions\": {\"a\": {\"appliesTo\": {\"principalTypes\": []}}}}}",
		"{\"\": {\"actions\": {\"a\": {\"memberOf\": [{\"id\": \"b\"}]}}}}",
		"{\"\": {\"commonTypes\": {\"T\": {\"type\": \"Set\"}}}}",
		"{\"\": {\"commonTypes\": {\"T\": {\"type\": \"Record\", \"attributes\": {},"
		" \"additionalAttributes\": true}}}}",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct cedar_schema *unused = NULL;
		cr_expect_eq(cedar_schema_parse_json(arena, bad[i], strlen(bad[i]), &unused, &err),
		             E_INVALID, "%s", bad[i]);
	}
}

Test(cedar_schema, looks_into_its_own_namespace_first)
{
	const struct cedar_schema *schema = human(
		"namespace N { type Name = String; entity User = { a: Name, b: User,"
		" c: __cedar::Long }; entity Long; entity Z = { a: Long }; }");
	const struct cedar_type *shape = cedar_schema_entity(schema, CEDAR_STR("N::User"))->shape;
	cr_expect_eq(cedar_type_attr(shape, CEDAR_STR("a"))->type->kind, CEDAR_TYPE_STRING);
	cr_expect(cedar_str_is(cedar_type_attr(shape, CEDAR_STR("b"))->type->name, "N::User"));
	cr_expect_eq(cedar_type_attr(shape, CEDAR_STR("c"))->type->kind, CEDAR_TYPE_LONG);
	shape = cedar_schema_entity(schema, CEDAR_STR("N::Z"))->shape;
	cr_expect_eq(cedar_type_attr(shape, CEDAR_STR("a"))->type->kind, CEDAR_TYPE_ENTITY);
}

Test(cedar_schema, refuses_a_name_that_hides_another)
{
	static const char *const bad[] = {
		"entity U; namespace N { entity U; }", "type T = Long; namespace N { entity T; }",
		"entity U; namespace N { type U = Long; }", "action a; namespace N { action a; }",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct cedar_schema *unused = NULL;
		cr_expect_eq(cedar_schema_parse(arena, bad[i], strlen(bad[i]), &unused, &err),
			E_INVALID, "%s", bad[i]);
	}
}

/* t0 = {a: Long}, t1 = {a: t0, b: t0} ...: small text, a type of 2^n parts. */
Test(cedar_schema, bounds_the_size_and_depth_of_types)
{
	const struct cedar_schema *unused = NULL;
	AUTO_BUF text;
	buf_init(&text, MIB);
	buf_puts(&text, "type t0 = { a: Long };");
	for (int i = 1; i < 40; i++)
		buf_printf(&text, "type t%d = { a: t%d, b: t%d };", i, i - 1, i - 1);
	cr_assert_eq(buf_check(&text, &err), 0);
	cr_expect_eq(cedar_schema_parse(arena, (char *)text.data, text.len, &unused, &err),
		E_INVALID);
	buf_clear(&text);
	buf_puts(&text, "type t0 = Long;");
	for (int i = 1; i < 5000; i++)
		buf_printf(&text, "type t%d = Set<t%d>;", i, i - 1);
	cr_assert_eq(buf_check(&text, &err), 0);
	cr_expect_eq(cedar_schema_parse(arena, (char *)text.data, text.len, &unused, &err),
		E_INVALID);
}

Test(cedar_schema_raw, completes_names_with_their_namespace)
{
	start();
	struct raw_schema raw = { .arena = arena, .err = &err };
	struct cedar_str full;
	cr_assert_eq(raw_full_name(&raw, CEDAR_STR("A::B"), CEDAR_STR("C"), &full), 0);
	cr_expect(cedar_str_is(full, "A::B::C"));
	cr_assert_eq(raw_full_name(&raw, CEDAR_STR(""), CEDAR_STR("C"), &full), 0);
	cr_expect(cedar_str_is(full, "C"));
	stop();
}

Test(cedar_type, joins_strictly)
{
	const struct cedar_type *user = NULL, *group = NULL, *joined = NULL;
	cr_assert_eq(cedar_type_entity(arena, CEDAR_STR("User"), &user, &err), 0);
	cr_assert_eq(cedar_type_entity(arena, CEDAR_STR("Group"), &group, &err), 0);
	cr_assert_eq(cedar_type_join(arena, user, group, &joined, &err), 0);
	cr_expect_null(joined);
	cr_assert_eq(cedar_type_join(arena, cedar_type_bool(true), cedar_type_bool(false), &joined,
	                             &err), 0);
	cr_expect_eq(joined->kind, CEDAR_TYPE_BOOL);
	struct cedar_attr need[] = { { CEDAR_STR("a"), true, user } };
	struct cedar_attr may[] = { { CEDAR_STR("a"), false, user } };
	const struct cedar_type *one = NULL, *two = NULL;
	cr_assert_eq(cedar_type_record(arena, need, 1, &one, &err), 0);
	cr_assert_eq(cedar_type_record(arena, may, 1, &two, &err), 0);
	cr_expect(!cedar_type_equal(one, two));
	cr_assert_eq(cedar_type_join(arena, one, two, &joined, &err), 0);
	cr_expect_null(joined);
}
