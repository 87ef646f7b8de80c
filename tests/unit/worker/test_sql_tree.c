/* test_sql_tree.c - trees out of json_serialize_sql's text. */
#include "common/defs.h"
#include "worker/sql_tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(sql_tree, members_are_found_and_texts_unescaped)
{
	struct arena *arena = NULL;
	struct sql_node *root = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(sql_tree_read(arena, "{\"a\":\"x\\\"\\u0041\\n\",\"b\":null,\"c\":[],\"d\":[1,"
	                           "{\"e\":\"\"}],\"f\":true}", &root, NULL), 0);
	cr_expect_str_eq(sql_text(root, "a"), "x\"A\n");
	cr_expect(sql_is(root, "a", "x\"A\n"));
	cr_expect(sql_has(root, "a") && sql_has(root, "d") && sql_has(root, "f"));
	cr_expect_not(sql_has(root, "b") || sql_has(root, "c") || sql_has(root, "z"));
	cr_expect_str_eq(sql_get(root, "d")->first->text, "1");
	cr_expect_not(sql_has(sql_get(root, "d")->first->next, "e"));
	cr_expect_str_eq(sql_text_or(root, "a", "z"), "x\"A\n");
	cr_expect_str_eq(sql_text_or(root, "f", "z"), "z", "is there, and no text");
	cr_expect_str_eq(sql_text_or(sql_get(root, "d")->first->next, "e", "z"), "z");
	cr_expect_null(sql_get(NULL, "a"));
	cr_expect_null(sql_text(root, "b"));
	arena_free(arena);
}

Test(sql_tree, what_is_no_tree_or_too_deep_is_refused)
{
	static const char *const wrong[] = {
		"", "[]", "{", "{\"a\":1}}", "{\"a\"}", "{\"a\":\"x}", "{\"a\":\"\\u00ff\"}",
		"{\"a\":[}", "{}{}", "1",
	};
	struct arena *arena = NULL;
	struct sql_node *root = NULL;
	char deep[2 * SQL_TREE_DEPTH_MAX + 16] = "{\"a\":";
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		cr_expect_eq(sql_tree_read(arena, wrong[i], &root, NULL), E_INVALID, "%s",
		             wrong[i]);
	memset(deep + strlen(deep), '[', SQL_TREE_DEPTH_MAX);
	cr_expect_eq(sql_tree_read(arena, deep, &root, NULL), E_INVALID);
	arena_free(arena);
}
