/* test_apikey.c - API keys: form, matching, and what is refused. */
#include "common/defs.h"
#include "tenant/apikey.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t credential_key[KEY_BYTES] = { 7 };

Test(apikey, matches_the_text_it_was_made_with)
{
	cr_assert_eq(crypto_start(NULL), 0);
	struct apikey key;
	char text[APIKEY_TEXT_MAX], id[ID_LEN + 1];
	apikey_make(credential_key, 1000, &key, text);
	cr_expect_eq(strlen(text), APIKEY_TEXT_MAX - 1u);
	struct err err = { 0 };
	cr_assert_eq(apikey_id(text, id, &err), 0, "%s", err.text);
	cr_expect_str_eq(id, key.id);
	cr_expect(apikey_matches(credential_key, text, key.hash));
}

Test(apikey, refuses_another_secret_and_another_installation)
{
	cr_assert_eq(crypto_start(NULL), 0);
	struct apikey key;
	char text[APIKEY_TEXT_MAX];
	apikey_make(credential_key, 1000, &key, text);
	uint8_t other[KEY_BYTES] = { 8 };
	cr_expect(!apikey_matches(other, text, key.hash));
	text[40] = text[40] == 'A' ? 'B' : 'A';
	cr_expect(!apikey_matches(credential_key, text, key.hash));
}

Test(apikey, never_makes_the_same_key_twice)
{
	cr_assert_eq(crypto_start(NULL), 0);
	struct apikey one, two;
	char a[APIKEY_TEXT_MAX], b[APIKEY_TEXT_MAX];
	apikey_make(credential_key, 1000, &one, a);
	apikey_make(credential_key, 1000, &two, b);
	cr_expect_neq(strcmp(one.id, two.id), 0);
	cr_expect_neq(strcmp(a + 30, b + 30), 0);
}

Test(apikey, refuses_what_has_not_its_form)
{
	char good[] = "fh_01h455vb4pex5vsknk084sn02q_0123456789012345678901234567890123456789012";
	char id[ID_LEN + 1] = "";
	struct err err = { 0 };
	cr_assert_eq(strlen(good), APIKEY_TEXT_MAX - 1u);
	cr_expect_eq(apikey_id(good, id, &err), 0, "%s", err.text);
	static const char *const bad[] = { "", "fh_", "fh_x_y", "Bearer fh_x",
		"xx_01h455vb4pex5vsknk084sn02q_0123456789012345678901234567890123456789012",
		"fh_01h455vb4pex5vsknk084sn02u_0123456789012345678901234567890123456789012",
		"fh_01h455vb4pex5vsknk084sn02q-0123456789012345678901234567890123456789012",
		"fh_01h455vb4pex5vsknk084sn02q_012345678901234567890123456789012345678901!",
		"fh_01h455vb4pex5vsknk084sn02q_01234567890123456789012345678901234567890123" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(apikey_id(bad[i], id, &err), E_UNAUTHENTICATED, "%s", bad[i]);
	cr_expect_eq(apikey_id(NULL, id, &err), E_UNAUTHENTICATED);
}
