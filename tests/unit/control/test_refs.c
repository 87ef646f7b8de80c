/* test_refs.c - every reference of a spec is found, with its place. */
#include "common/defs.h"
#include "control/refs.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static int note(void *context, const struct ref *ref, struct err *err)
{
	char *text = context;
	(void)err;
	snprintf(text + strlen(text), 512 - strlen(text), "%s=%s:%s/%s ", ref->path,
	         kind_info[ref->kind].name, ref->domain, ref->name);
	return 0;
}

static int stop(void *context, const struct ref *ref, struct err *err)
{
	(void)context;
	return err_set(err, E_CONFLICT, "%s", ref->path);
}

static struct value *parse(struct arena *arena, const char *text)
{
	struct value *value = NULL;
	struct err err = { 0 };
	cr_assert_eq(json_parse(arena, text, strlen(text), &value, &err), 0, "%s", err.text);
	return value;
}

Test(refs, finds_single_ones_and_lists_with_their_places)
{
	struct arena *arena = NULL;
	struct err err = { 0 };
	char text[512] = "";
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	const struct value *spec = parse(arena, "{\"sql\":\"x\",\"inputs\":[\"a\",\"d.b\"],"
	                                 "\"output\":\"c\"}");
	const struct field *fields = kind_info[KIND_TRANSFORMATION].fields;
	cr_assert_eq(refs_visit(fields, spec, "spec", "own", note, text, &err), 0, "%s", err.text);
	cr_expect_str_eq(text, "spec.inputs[0]=dataset:own/a spec.inputs[1]=dataset:d/b "
	                 "spec.output=dataset:own/c ");
	cr_expect_eq(refs_visit(fields, spec, "spec", "own", stop, NULL, &err), E_CONFLICT);
	cr_expect_str_eq(err.text, "spec.inputs[0]");
	arena_free(arena);
}

Test(refs, names_the_place_of_one_that_is_malformed)
{
	struct arena *arena = NULL;
	struct err err = { 0 };
	char text[512] = "";
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	const struct value *spec = parse(arena, "{\"dataset\":\"a.b.c\"}");
	cr_expect_eq(
		refs_visit(kind_info[KIND_SOURCE].fields, spec, "spec", "own", note, text, &err),
		E_INVALID);
	cr_expect_not_null(strstr(err.text, "spec.dataset"), "%s", err.text);
	arena_free(arena);
}
