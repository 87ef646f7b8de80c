/* test_engine_reading.c - rows pass that the policies, decided with the row, allow to whom roles or
 * policies permit the table; columns are hidden or masked as forbids on column:read say. */
#include "common/defs.h"
#include "common/rowfilter.h"
#include "policy/engine_impl.h"
#include "policy/engine_reading.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { TRIALS = 400, ROWS = 10 };

static struct arena *arena;
static struct err err;

static void setup(void)
{
	cr_assert_eq(arena_new(256 * MIB, &arena, &err), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(engine_reading, .init = setup, .fini = teardown);

/* --- a table, and who asks --- */

static const struct {
	const char *name, *type;
	bool required;
	const char *tag;
} columns[] = {
	{ "region", "string", false, NULL }, { "amount", "int64", false, NULL },
	{ "vip", "boolean", true, NULL },    { "email", "string", false, "pii" },
	{ "born", "date", true, "pii" },
};

static struct value *schema_of_table(void)
{
	struct value *schema = value_list(arena);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		struct value *column = value_map(arena);
		value_set_str(column, "name", columns[i].name);
		value_set_str(column, "type", columns[i].type);
		value_set_bool(column, "required", columns[i].required);
		value_add(schema, column);
	}
	return schema;
}

static struct value *tags_of_table(void)
{
	struct value *tags = value_map(arena);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		struct value *list = value_list(arena);
		if (columns[i].tag)
			value_add_str(list, columns[i].tag);
		value_set(tags, columns[i].name, list);
	}
	return tags;
}

static struct engine *engine_of(const char *text)
{
	static const char *const domains[] = { "sales" };
	const struct engine_policy one = { "own", text };
	const struct engine_conf conf = { .tenant = "acme", .domains = domains, .domain_count = 1,
		                          .policies = &one, .policy_count = 1 };
	struct engine *engine = NULL;
	cr_assert_eq(engine_new(&conf, &engine, &err), 0, "%s\n%s", err.text, text);
	return engine;
}

static struct asker asker_of(const char *role)
{
	struct asker asker = { .tenant = "acme", .principal = "ann", .auth = AUTH_KEY };
	if (role)
		cr_assert(asker_bind(&asker, role, "sales"));
	return asker;
}

static struct engine_ask ask_of(const struct asker *asker)
{
	return (struct engine_ask){ .asker = asker, .action = "dataset:read", .now_ms = 1000,
		                    .resource = { .domain = "sales", .kind = "Dataset",
		                                  .name = "orders" } };
}

static struct engine_reading read_by(const struct engine *engine, const char *role)
{
	struct asker asker = asker_of(role);
	const struct engine_ask ask = ask_of(&asker);
	const struct engine_columns table = { schema_of_table(), tags_of_table() };
	struct engine_reading reading;
	cr_assert_eq(engine_read(engine, arena, &ask, &table, &reading, &err), 0, "%s", err.text);
	return reading;
}

static struct engine_reading read_with(const char *text, const char *role)
{
	AUTO(engine) *engine = engine_of(text);
	return read_by(engine, role);
}

/* --- rows, against the whole decision --- */

struct row {
	bool has_region, has_amount;
	const char *region;
	int64_t amount;
	bool vip;
};

static const struct value *cell(void *context, const char *column)
{
	const struct row *row = context;
	if (strcmp(column, "region") == 0)
		return row->has_region ? value_str(arena, row->region) : NULL;
	if (strcmp(column, "amount") == 0)
		return row->has_amount ? value_int(arena, row->amount) : NULL;
	return strcmp(column, "vip") == 0 ? value_bool(arena, row->vip) : NULL;
}

static const struct cedar_record *record_of(const struct cedar_field *fields, size_t count)
{
	struct cedar_field *copy = arena_alloc(arena, (count + 1) * sizeof *copy);
	const struct cedar_record *record = NULL;
	memcpy(copy, fields, count * sizeof *copy);
	cr_assert_eq(cedar_record_new(arena, copy, count, &record, &err), 0);
	return record;
}

static struct cedar_value row_value(const struct row *row)
{
	struct cedar_field fields[3] = { { CEDAR_STR("vip"), { .kind = CEDAR_BOOL,
		                                               .b = row->vip } } };
	size_t count = 1;
	if (row->has_region)
		fields[count++] = (struct cedar_field){ CEDAR_STR("region"),
			{ .kind = CEDAR_STRING, .str = cedar_str(row->region) } };
	if (row->has_amount)
		fields[count++] = (struct cedar_field){ CEDAR_STR("amount"),
			{ .kind = CEDAR_LONG, .i = row->amount } };
	return (struct cedar_value){ .kind = CEDAR_RECORD, .record = record_of(fields, count) };
}

/* As if the row were known: the same request, with resource.row in the entity. */
static bool allows(const struct engine *engine, const char *role, const struct row *row)
{
	struct asker asker = asker_of(role);
	const struct engine_ask ask = ask_of(&asker);
	struct engine_scene scene;
	struct cedar_answer answer;
	struct cedar_field fields[12];
	cr_assert_eq(engine_scene(engine, arena, &ask, &scene, &err), 0);
	struct cedar_entity *table = (struct cedar_entity *)(uintptr_t)
		cedar_entities_find(scene.entities, &scene.request.resource);
	cr_assert_not_null(table);
	cr_assert(table->attrs->count < ARRAY_LEN(fields));
	memcpy(fields, table->attrs->fields, table->attrs->count * sizeof fields[0]);
	fields[table->attrs->count] = (struct cedar_field){ CEDAR_STR("row"), row_value(row) };
	table->attrs = record_of(fields, table->attrs->count + 1);
	cr_assert_eq(cedar_entities_close(scene.entities, &err), 0);
	cr_assert_eq(cedar_set_decide(scene.set, arena, &scene.request, scene.entities, &answer,
	                              &err), 0);
	return answer.allowed;
}

static uint64_t dice;
static unsigned throw_of(unsigned sides)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(dice >> 33) % sides;
}

static const char *some_condition(int depth)
{
	static const char *const simple[] = {
		"resource.row.region == \"EU\"", "resource.row.region != \"US\"",
		"resource.row.region like \"E*\"", "[\"EU\", \"US\"].contains(resource.row.region)",
		"resource.row.amount < 2", "resource.row.amount >= 1", "1 < resource.row.amount",
		"resource.row.vip", "resource.row has region", "resource.row has missing",
		"resource.row.missing == 1", "resource.row.amount == \"EU\"",
		"principal.name == \"ann\"", "principal in Group::\"acme/none\"",
		"context has purpose", "resource.tenant == \"acme\"", "resource has row",
	};
	if (depth == 0 || throw_of(3) == 0)
		return simple[throw_of(ARRAY_LEN(simple))];
	const char *a = some_condition(depth - 1), *b = some_condition(depth - 1);
	switch (throw_of(4)) {
	case 0:
		return arena_printf(arena, "(%s && %s)", a, b);
	case 1:
		return arena_printf(arena, "(%s || %s)", a, b);
	case 2:
		return arena_printf(arena, "!(%s)", a);
	default:
		return arena_printf(arena, "(if %s then %s else %s)", a, b, some_condition(0));
	}
}

static const char *some_policies(void)
{
	static const char *const heads[] = {
		"permit(principal, action, resource)",
		"permit(principal, action == Action::\"dataset:read\", "
		"resource == Dataset::\"acme/sales/orders\")",
		"forbid(principal, action in Action::\"read\", resource)",
		"forbid(principal, action, resource in Domain::\"acme/sales\")",
		"forbid(principal == User::\"acme/bob\", action, resource)",
	};
	const char *text = "";
	for (unsigned i = throw_of(4) + 1; i; i--)
		text = arena_printf(arena, "%s%s %s { %s };\n", text,
		                    heads[throw_of(ARRAY_LEN(heads))],
		                    throw_of(3) ? "when" : "unless", some_condition(2));
	return text;
}

static struct row some_row(void)
{
	static const char *const regions[] = { "EU", "US", "E", "" };
	return (struct row){ .has_region = throw_of(4) != 0, .has_amount = throw_of(4) != 0,
		             .region = regions[throw_of(4)], .amount = (int64_t)throw_of(4),
		             .vip = throw_of(2) };
}

Test(engine_reading, passes_exactly_the_rows_that_the_whole_decision_allows)
{
	size_t passed = 0, kept = 0, partly = 0;
	dice = 20240607;
	for (int trial = 0; trial < TRIALS; trial++) {
		const char *text = some_policies();
		const char *role = throw_of(2) ? "consumer" : NULL;
		AUTO(engine) *engine = engine_of(text);
		struct engine_reading reading = read_by(engine, role);
		cr_assert_null(reading.trouble, "%s", reading.trouble);
		partly += !rowfilter_is(reading.filter, true) &&
		          !rowfilter_is(reading.filter, false);
		for (int i = 0; i < ROWS; i++) {
			struct row row = some_row();
			bool wanted = allows(engine, role, &row);
			cr_assert_eq(rowfilter_test(reading.filter, cell, &row), wanted,
			             "%s\nrole %s region %s amount %d vip %d", text,
			             role ? role : "none", row.has_region ? row.region : "-",
			             row.has_amount ? (int)row.amount : -1, row.vip);
			passed += wanted;
			kept += !wanted;
		}
		arena_reset(arena);
	}
	cr_expect(passed > 200 && kept > 200 && partly > 50, "%zu %zu %zu", passed, kept, partly);
}

Test(engine_reading, spares_the_rows_that_nothing_forbids_whoever_is_permitted)
{
	struct engine_reading reading = read_with(
		"forbid(principal, action, resource) when { resource.row.vip };", NULL);
	struct row vip = { .vip = true }, other = { .vip = false };
	cr_expect(rowfilter_is(reading.filter, false));
	cr_expect(!rowfilter_test(reading.spared, cell, &vip));
	cr_expect(rowfilter_test(reading.spared, cell, &other));
}

Test(engine_reading, denies_what_no_filter_can_say_and_names_the_policy)
{
	struct engine_reading forbids = read_with(
		"forbid(principal, action, resource) when { resource.row.amount + 1 > 2 };",
		"consumer");
	struct engine_reading permits = read_with(
		"permit(principal, action, resource) when { resource.row.amount + 1 > 2 };", NULL);
	cr_expect(rowfilter_is(forbids.filter, false));
	cr_expect(rowfilter_is(permits.filter, false));
	cr_expect_not_null(strstr(forbids.trouble, "own.0"), "%s", forbids.trouble);
	cr_expect_not_null(strstr(permits.trouble, "permits no row"), "%s", permits.trouble);
}

/* --- columns --- */

static const char *mask_for(const struct engine_reading *reading, const char *column)
{
	const char *mask = value_get_str(reading->masks, column);
	return mask ? mask : "";
}

static bool hides(const struct engine_reading *reading, const char *column)
{
	for (size_t i = 0; i < value_len(reading->hidden); i++)
		if (strcmp(value_as_str(value_at(reading->hidden, i)), column) == 0)
			return true;
	return false;
}

#define ON_PII "(principal, action == Action::\"column:read\", resource) " \
	"when { resource.tags.contains(\"pii\") };\n"
#define ON_EMAIL "(principal, action == Action::\"column:read\", " \
	"resource == Column::\"acme/sales/orders/email\");\n"

#define LAST_4 "@mask(\"show-last-4\") forbid"
#define DIGEST "@mask(\"sha-256-global\") forbid"

Test(engine_reading, masks_by_tag_each_column_that_has_it_and_no_other)
{
	struct engine_reading reading =
		read_with("@mask(\"mask-to-fixed-value\") forbid" ON_PII, "consumer");
	cr_expect_str_eq(mask_for(&reading, "email"), "mask-to-fixed-value");
	cr_expect_str_eq(mask_for(&reading, "born"), "mask-to-fixed-value");
	cr_expect_eq(value_len(reading.masks), 2);
	cr_expect_null(reading.hidden);
	cr_expect(rowfilter_is(reading.filter, true));
}

Test(engine_reading, hides_a_column_when_one_forbid_has_no_mask)
{
	struct engine_reading reading = read_with(
		"@mask(\"mask-to-fixed-value\") forbid" ON_PII "forbid" ON_EMAIL, "consumer");
	cr_expect(hides(&reading, "email"));
	cr_expect_str_eq(mask_for(&reading, "email"), "");
	cr_expect_str_eq(mask_for(&reading, "born"), "mask-to-fixed-value");
}

Test(engine_reading, takes_the_strictest_of_several_masks_whatever_their_order)
{
	const char *texts[] = {
		LAST_4 ON_EMAIL DIGEST ON_EMAIL,
		DIGEST ON_EMAIL LAST_4 ON_EMAIL,
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct engine_reading reading = read_with(texts[i], "consumer");
		cr_expect_str_eq(mask_for(&reading, "email"), "sha-256-global");
	}
}

Test(engine_reading, hides_a_column_whose_type_or_need_its_mask_does_not_fit)
{
	struct engine_reading reading =
		read_with("@mask(\"show-last-4\") forbid" ON_PII, "consumer");
	cr_expect_str_eq(mask_for(&reading, "email"), "show-last-4");
	cr_expect(hides(&reading, "born"));
	cr_expect_not_null(strstr(reading.trouble, "own.0"), "%s", reading.trouble);
	struct engine_reading required =
		read_with("@mask(\"replace-with-null\") forbid" ON_PII, "consumer");
	cr_expect(hides(&required, "born"));
	struct engine_reading unknown = read_with("@mask(\"blur\") forbid" ON_PII, "consumer");
	cr_expect(hides(&unknown, "email") && hides(&unknown, "born"));
}

Test(engine_reading, tells_policies_a_columns_type_name_and_table)
{
	struct engine_reading reading = read_with(
		"forbid(principal, action == Action::\"column:read\", "
		"resource in Dataset::\"acme/sales/orders\") "
		"when { resource.type == \"int64\" || resource.name == \"region\" };"
		"forbid(principal, action == Action::\"column:read\", "
		"resource in Dataset::\"acme/sales/others\");", "consumer");
	cr_expect(hides(&reading, "amount") && hides(&reading, "region"));
	cr_expect_eq(value_len(reading.hidden), 2);
}

Test(engine_reading, leaves_out_whom_an_unless_names)
{
	const char *text = "@mask(\"mask-alphanum\") forbid(principal, "
			   "action == Action::\"column:read\", "
			   "resource == Column::\"acme/sales/orders/email\") "
			   "unless { principal in Role::\"acme/sales/producer\" };";
	AUTO(engine) *engine = engine_of(text);
	struct engine_reading consumer = read_by(engine, "consumer");
	struct engine_reading producer = read_by(engine, "producer");
	cr_expect_str_eq(mask_for(&consumer, "email"), "mask-alphanum");
	cr_expect_null(producer.masks);
}

Test(engine_reading, orders_any_two_masks)
{
	for (int a = 0; a < MASK_COUNT_; a++)
		for (int b = 0; b < MASK_COUNT_; b++)
			cr_expect_eq(mask_is_stricter((enum mask)a, (enum mask)b) +
			             mask_is_stricter((enum mask)b, (enum mask)a), a != b);
}
