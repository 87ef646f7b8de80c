/* test_verified.c - what was verified is remembered until it expires or the keys change. */
#include "common/defs.h"
#include "tenant/verified.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct verified *begin(void)
{
	struct verified *verified = NULL;
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(verified_new(&verified, NULL), 0);
	return verified;
}

static bool has(struct verified *verified, const char *text, uint64_t stamp, int64_t now_ms)
{
	uint8_t name[DIGEST_BYTES];
	AUTO_BUF out;
	buf_init(&out, VERIFIED_BYTES_MAX);
	verified_name(verified, text, name);
	bool found = verified_get(verified, name, stamp, now_ms, &out);
	cr_expect(!found || strcmp((char *)out.data, text) == 0);
	return found;
}

static void put(struct verified *verified, const char *text, uint64_t stamp, int64_t expires_ms)
{
	uint8_t name[DIGEST_BYTES];
	verified_name(verified, text, name);
	verified_put(verified, name, stamp, expires_ms, text, strlen(text));
}

Test(verified, remembers_until_the_end_and_under_the_same_keys)
{
	struct verified *verified = begin();
	cr_expect_not(has(verified, "one", 1, 0));
	put(verified, "one", 1, 1000);
	cr_expect(has(verified, "one", 1, 999));
	cr_expect_not(has(verified, "one", 1, 1000), "it has expired");
	cr_expect_not(has(verified, "one", 2, 999), "the keys are others");
	cr_expect_not(has(verified, "two", 1, 999));
	put(verified, "one", 2, 2000);
	cr_expect(has(verified, "one", 2, 1999));
	verified_free(verified);
}

Test(verified, is_bounded_and_gives_up_what_ends_first)
{
	struct verified *verified = begin();
	int kept = 0;
	for (int i = 0; i < 3 * VERIFIED_MOST; i++) {
		char text[32];
		snprintf(text, sizeof text, "token %d", i);
		put(verified, text, 1, 1000 + i);
	}
	for (int i = 0; i < 3 * VERIFIED_MOST; i++) {
		char text[32];
		snprintf(text, sizeof text, "token %d", i);
		kept += has(verified, text, 1, 0);
	}
	cr_expect_leq(kept, VERIFIED_MOST);
	cr_expect_gt(kept, VERIFIED_MOST / 2);
	cr_expect(has(verified, "token 12287", 1, 0), "the newest ends last");
	verified_free(verified);
}

Test(verified, keeps_nothing_that_is_too_long)
{
	struct verified *verified = begin();
	uint8_t name[DIGEST_BYTES];
	static uint8_t data[VERIFIED_BYTES_MAX + 1];
	AUTO_BUF out;
	buf_init(&out, 2 * VERIFIED_BYTES_MAX);
	verified_name(verified, "x", name);
	verified_put(verified, name, 1, 10, data, sizeof data);
	cr_expect_not(verified_get(verified, name, 1, 0, &out));
	verified_free(verified);
}
