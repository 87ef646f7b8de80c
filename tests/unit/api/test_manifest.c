/* test_manifest.c - manifests: checked, placed, compared. */
#include "common/defs.h"
#include "api/manifest.h"

#include "common/json.h"
#include "common/yaml.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct err err;

static void begin(void)
{
	cr_assert_eq(arena_new(8 * MIB, &arena, &err), 0);
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(manifest, .init = begin, .fini = end);

static const struct value *yaml(const char *text)
{
	struct value *list = NULL;
	cr_assert_eq(yaml_parse(arena, text, strlen(text), &list, &err), 0, "%s", err.text);
	return value_at(list, 0);
}

#define HEAD "apiVersion: freehold.io/v1\n"
#define DATASET HEAD "kind: Dataset\nmetadata:\n  name: flights\n  tenant: acme\n  domain: ops\n"

static const char *refusal(const char *text)
{
	struct manifest manifest;
	cr_assert_eq(manifest_check(yaml(text), &manifest, &err), E_INVALID, "accepted: %s", text);
	return err.text;
}

Test(manifest, is_read_whole)
{
	struct manifest manifest;
	const struct value *document = yaml(DATASET
		"  labels: {team: ops}\n  annotations: {note: x}\n"
		"spec:\n  schema:\n  - {name: origin, type: string}\n");
	cr_assert_eq(manifest_check(document, &manifest, &err), 0, "%s", err.text);
	cr_expect_eq(manifest.kind, KIND_DATASET);
	cr_expect_str_eq(manifest.name, "flights");
	cr_expect_str_eq(manifest.tenant, "acme");
	cr_expect_str_eq(manifest.domain, "ops");
	cr_expect_str_eq(value_get_str(manifest.labels, "team"), "ops");
	cr_expect_str_eq(value_get_str(manifest.annotations, "note"), "x");
	cr_expect_eq(value_len(value_get(manifest.spec, "schema")), 1);
	cr_expect_eq(manifest.document, document);
}

Test(manifest, that_was_read_from_the_server_can_be_applied_again)
{
	struct manifest manifest;
	cr_expect_eq(manifest_check(yaml(DATASET
		"  uid: 01h\n  createdAt: '2001-01-01T00:00:00Z'\n"
		"  updatedAt: '2001-01-01T00:00:00Z'\n  etag: '7'\n"
		"status: {snapshot: 4, anything: [1]}\n"), &manifest, &err), 0, "%s", err.text);
}

Test(manifest, needs_no_spec_where_nothing_is_required)
{
	struct manifest manifest;
	cr_expect_eq(manifest_check(yaml(HEAD "kind: Tenant\nmetadata: {name: acme}\n"), &manifest,
	                            &err), 0);
	cr_expect_null(manifest.spec);
	cr_expect_null(manifest.tenant);
	cr_expect_str_eq(refusal(HEAD "kind: RateCard\nmetadata: {name: standard}\n"),
	                 "spec.currency: is missing; it is required (ISO 4217 code)");
}

Test(manifest, errors_name_the_field_and_the_nearest_known_one)
{
	cr_expect_str_eq(refusal(DATASET "spec:\n  schema:\n  - {name: a, type: date}\n"
	                         "  - {name: b, type: date}\n  - {name: c, typ: date}\n"),
	                 "spec.schema[2].typ: unknown field; did you mean \"type\"?");
	cr_expect_str_eq(refusal(HEAD "kind: Source\nmetadata: {name: s}\n"
	                         "spec: {rejectLimit: '12'}\n"),
	                 "spec.rejectLimit: must be an integer, not a string");
	cr_expect_str_eq(refusal(DATASET "spce: {}\n"),
	                 "spce: unknown field; did you mean \"spec\"?");
	cr_expect_str_eq(refusal(HEAD "kind: Dataset\nmetadata: {nmae: x}\n"),
	                 "metadata.nmae: unknown field; did you mean \"name\"?");
	cr_expect_str_eq(refusal(HEAD "kind: Datset\nmetadata: {name: x}\n"),
	                 "kind: unknown kind; did you mean \"Dataset\"?");
	cr_expect_str_eq(refusal(HEAD "kind: featureview\nmetadata: {name: x}\n"),
	                 "kind: unknown kind; did you mean \"FeatureView\"?");
	cr_expect(strstr(refusal(HEAD "kind: Pod\nmetadata: {name: x}\n"),
	                 "kind: unknown kind; known: Tenant, "));
}

Test(manifest, errors_say_what_is_missing_or_of_another_version)
{
	cr_expect_str_eq(refusal("kind: Tenant\nmetadata: {name: a}\n"),
	                 "apiVersion: is missing; it is required (write freehold.io/v1)");
	cr_expect_str_eq(refusal("apiVersion: v1\nkind: Tenant\nmetadata: {name: a}\n"),
	                 "apiVersion: must be freehold.io/v1");
	cr_expect(strstr(refusal(HEAD "metadata: {name: a}\n"), "kind: is missing"));
	cr_expect(strstr(refusal(HEAD "kind: Tenant\n"), "metadata: is missing"));
	cr_expect(strstr(refusal(HEAD "kind: Tenant\nmetadata: {}\n"), "metadata.name: is "
	                 "missing"));
	cr_expect(strstr(refusal(HEAD "kind: Tenant\nmetadata: {name: Acme}\n"), "metadata.name"));
	cr_expect(strstr(refusal("- 1\n"), "a manifest must be a map"));
	cr_expect(strstr(refusal("just text\n"), "a manifest must be a map"));
	cr_expect_str_eq(refusal(HEAD "kind: Tenant\nmetadata: x\n"),
	                 "metadata: must be a map, not a string");
}

Test(manifest, refuses_a_place_its_kind_does_not_have)
{
	cr_expect_str_eq(refusal(HEAD "kind: Tenant\nmetadata: {name: a, tenant: b}\n"),
	                 "metadata.tenant: a Tenant belongs to the platform, not to a tenant; "
	                 "leave it out");
	cr_expect_str_eq(refusal(HEAD "kind: Quota\nmetadata: {name: a, tenant: b, domain: c}\n"),
	                 "metadata.domain: a Quota belongs to a tenant, not to a domain; leave it "
	                 "out");
}

Test(manifest, lies_on_the_path_of_its_scope)
{
	static const struct { const char *text, *path; } rows[] = {
		{ DATASET, "/v1/tenants/acme/domains/ops/datasets/flights" },
		{ HEAD "kind: Tenant\nmetadata: {name: acme}\n", "/v1/tenants/acme" },
		{ HEAD "kind: Domain\nmetadata: {name: ops, tenant: acme}\n",
		  "/v1/tenants/acme/domains/ops" },
		{ HEAD "kind: Quota\nmetadata: {name: q, tenant: acme}\n",
		  "/v1/tenants/acme/quotas/q" },
		{ HEAD "kind: RateCard\nmetadata: {name: default}\nspec: {currency: EUR}\n",
		  "/v1/ratecards/default" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest manifest;
		AUTO_BUF out;
		buf_init(&out, 4096);
		cr_assert_eq(manifest_check(yaml(rows[i].text), &manifest, &err), 0, "%s",
		             err.text);
		cr_assert_eq(manifest_path(&manifest, &out, &err), 0, "%s", err.text);
		cr_expect_str_eq((char *)out.data, rows[i].path);
	}
}

Test(manifest, has_no_path_before_its_place_is_known)
{
	struct manifest manifest;
	AUTO_BUF out;
	buf_init(&out, 4096);
	cr_assert_eq(manifest_check(yaml(HEAD "kind: Dataset\nmetadata: {name: a, tenant: t}\n"),
	                            &manifest, &err), 0);
	cr_assert_eq(manifest_path(&manifest, &out, &err), E_INVALID);
	cr_expect_str_eq(err.text, "metadata.domain: is missing; a Dataset belongs to a domain");
	manifest.tenant = NULL;
	cr_assert_eq(manifest_path(&manifest, &out, &err), E_INVALID);
	cr_expect_str_eq(err.text, "metadata.tenant: is missing; a Dataset belongs to a tenant");
	cr_expect_eq(out.len, 0);
}

static void expect_diff(const char *before, const char *after, const char *expected)
{
	struct value *list = NULL;
	AUTO_BUF out;
	buf_init(&out, 64 * KIB);
	cr_assert_eq(manifest_diff(arena, before ? yaml(before) : NULL, yaml(after), &list, &err),
	             0);
	json_print(list, &out);
	cr_assert_eq(buf_check(&out, &err), 0);
	cr_expect_str_eq((char *)out.data, expected);
}

Test(manifest, does_not_differ_from_itself_as_the_server_shows_it)
{
	expect_diff(DATASET "  uid: x\n  etag: '4'\n  labels: {}\nspec: {description: d}\n"
	            "status: {snapshot: 1}\n",
	            DATASET "spec: {description: d}\n", "[]");
}

Test(manifest, differences_are_told_by_path_with_old_and_new)
{
	expect_diff(DATASET "  labels: {a: '1', b: '2'}\nspec:\n  description: old\n"
	            "  schema: [{name: x, type: int32}, {name: y, type: date}]\n",
	            DATASET "  labels: {a: '1', c: '3'}\nspec:\n  description: new\n"
	            "  schema: [{name: x, type: int64}]\n",
	            "[{\"path\":\"metadata.labels.c\",\"new\":\"3\"},"
	            "{\"path\":\"metadata.labels.b\",\"old\":\"2\"},"
	            "{\"path\":\"spec.description\",\"old\":\"old\",\"new\":\"new\"},"
	            "{\"path\":\"spec.schema[0].type\",\"old\":\"int32\",\"new\":\"int64\"},"
	            "{\"path\":\"spec.schema[1]\",\"old\":{\"name\":\"y\",\"type\":\"date\"}}]");
}

Test(manifest, is_all_new_where_there_was_none)
{
	expect_diff(NULL, DATASET "  labels: {a: '1'}\nspec: {description: d}\n",
	            "[{\"path\":\"metadata.labels.a\",\"new\":\"1\"},"
	            "{\"path\":\"spec.description\",\"new\":\"d\"}]");
}

Test(manifest, difference_without_memory_is_an_error)
{
	struct value *list = NULL;
	AUTO(arena) *small = NULL;
	cr_assert_eq(arena_new(256, &small, &err), 0);
	cr_expect_eq(manifest_diff(small, NULL, yaml(DATASET "spec: {description: d, schema: "
	                           "[{name: a, type: date}]}\n"), &list, &err), E_NOMEM);
	cr_expect_null(list);
}
