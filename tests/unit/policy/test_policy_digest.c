/* test_policy_digest.c - one number for all that is decided by: anyone can make it again. */
#include "common/defs.h"
#include "policy/policy_digest.h"

#include "common/crypto.h"
#include "common/text.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct engine_policy night = { "night", "permit(principal, action, resource);" };
static const struct engine_policy day = { "day", "forbid(principal, action, resource);" };

static void digest_of(const struct engine_policy *policies, size_t count, char *hex)
{
	struct err err = { 0 };
	cr_assert_eq(policy_digest(policies, count, hex, &err), 0, "%s", err.text);
}

static void add_line(struct buf *lines, const void *text, size_t len, const char *name)
{
	uint8_t hash[32];
	char hex[POLICY_DIGEST_TEXT];
	sha256(text, len, hash);
	hex_print(hash, sizeof hash, hex);
	buf_printf(lines, "%s  %s\n", hex, name);
}

Test(policy_digest, is_that_of_the_lines_that_sha256sum_would_print)
{
	const struct engine_policy both[] = { night, day };
	char hex[POLICY_DIGEST_TEXT], expected[POLICY_DIGEST_TEXT];
	uint8_t hash[32];
	AUTO_BUF book, lines;
	buf_init(&book, MIB);
	buf_init(&lines, MIB);
	role_book(&book);
	cr_assert_eq(buf_check(&book, NULL), 0);
	cr_expect_not_null(strstr((const char *)book.data, "consumer domain domain:read"));
	add_line(&lines, book.data, book.len, "roles");
	add_line(&lines, day.text, strlen(day.text), "day");
	add_line(&lines, night.text, strlen(night.text), "night");
	sha256(lines.data, lines.len, hash);
	hex_print(hash, sizeof hash, expected);
	digest_of(both, 2, hex);
	cr_expect_str_eq(hex, expected);
}

Test(policy_digest, tells_names_texts_and_sets_apart_but_not_their_order)
{
	const struct engine_policy one[] = { night, day }, other[] = { day, night };
	const struct engine_policy renamed[] = { night, { "noon", day.text } };
	const struct engine_policy reworded[] = { night, { "day", night.text } };
	char hex[POLICY_DIGEST_TEXT], again[POLICY_DIGEST_TEXT];
	digest_of(one, 2, hex);
	digest_of(other, 2, again);
	cr_expect_str_eq(hex, again);
	digest_of(renamed, 2, again);
	cr_expect_str_neq(hex, again);
	digest_of(reworded, 2, again);
	cr_expect_str_neq(hex, again);
	digest_of(one, 1, again);
	cr_expect_str_neq(hex, again);
}
