/* What of a table its reader may see, checked before it is carried and before it is applied. */
#include "common/defs.h"
#include "api/restriction.h"

#include "common/json.h"

#include <criterion/criterion.h>
#include <string.h>

static struct value *json(struct arena *arena, const char *text)
{
	struct value *value = NULL;
	cr_assert_eq(json_parse(arena, text, strlen(text), &value, NULL), 0);
	return value;
}

static struct value *schema_of(struct arena *arena)
{
	return json(arena, "[{\"name\":\"iban\",\"type\":\"string\",\"required\":true},"
	                   "{\"name\":\"day\",\"type\":\"date\"}]");
}

static int check(struct arena *arena, const char *filter, const char *masks, const char *hidden,
                 struct err *err)
{
	const struct restriction restriction = {
		.filter = filter ? json(arena, filter) : NULL,
		.masks = masks ? json(arena, masks) : NULL,
		.hidden = hidden ? json(arena, hidden) : NULL,
	};
	return restriction_check(&restriction, schema_of(arena), err);
}

Test(restriction, what_can_be_applied_is_taken)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(check(arena, NULL, NULL, NULL, NULL), 0);
	cr_assert_eq(check(arena, "[\"eq\",\"iban\",\"DE1\"]",
	                   "{\"iban\":\"show-last-4\",\"day\":\"truncate-to-year\"}", "[\"gone\"]",
	                   NULL), 0);
}

Test(restriction, what_cannot_be_applied_is_refused_by_name)
{
	AUTO(arena) *arena = NULL;
	struct err err = { 0 };
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(check(arena, "[\"eq\",\"bic\",\"x\"]", NULL, NULL, &err), E_INVALID);
	cr_assert(strstr(err.text, "bic"), "%s", err.text);
	cr_assert_eq(check(arena, NULL, "{\"bic\":\"show-last-4\"}", NULL, &err), E_INVALID);
	cr_assert(strstr(err.text, "bic"), "%s", err.text);
	cr_assert_eq(check(arena, NULL, "{\"day\":\"show-last-4\"}", NULL, &err), E_INVALID);
	cr_assert_eq(check(arena, NULL, "{\"iban\":\"replace-with-null\"}", NULL, &err), E_INVALID);
	cr_assert_eq(check(arena, NULL, "{\"iban\":\"blur\"}", NULL, &err), E_INVALID);
	cr_assert_eq(check(arena, NULL, "{\"iban\":4}", NULL, &err), E_INVALID);
	cr_assert_eq(check(arena, NULL, NULL, "[1]", &err), E_INVALID);
}

Test(restriction, without_a_schema_nothing_can_be_restricted)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	const struct restriction all = { 0 }, some = { .hidden = json(arena, "[\"iban\"]") };
	cr_assert_eq(restriction_check(&all, NULL, NULL), 0);
	cr_assert_eq(restriction_check(&some, NULL, NULL), E_INVALID);
}

Test(restriction, an_unreadable_mask_hides_and_an_unreadable_name_hides_everything)
{
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	const struct restriction restriction = {
		.masks = json(arena, "{\"iban\":\"show-last-4\",\"day\":\"blur\"}"),
		.hidden = json(arena, "[\"name\"]"),
	};
	const struct restriction odd = { .hidden = json(arena, "[7]") };
	cr_assert(restriction_any(&restriction));
	cr_assert_eq(restriction_mask(&restriction, "iban"), MASK_SHOW_LAST_4);
	cr_assert_eq(restriction_mask(&restriction, "day"), MASK_NULL);
	cr_assert_eq(restriction_mask(&restriction, "name"), MASK_NONE);
	cr_assert(restriction_hides(&restriction, "name"));
	cr_assert(!restriction_hides(&restriction, "iban"));
	cr_assert(restriction_hides(&odd, "iban"));
}
