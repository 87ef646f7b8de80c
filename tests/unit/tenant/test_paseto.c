/* test_paseto.c - PASETO v4.public: the specification's own vectors, and what is refused. */
#include "common/defs.h"
#include "tenant/paseto.h"

#include "common/arena.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* github.com/paseto-standard/test-vectors, v4.json: 4-S-1 to 4-S-3. */
#define SECRET "b4cbfb43df4ce210727d953e4a713307fa19bb7d9f85041438d9e11b942a3774" PUBLIC
#define PUBLIC "1eb9dbbbbc047c03fd70604e0071f0987e16b28b757225c11f00415d0e20b1a2"
#define PAYLOAD "{\"data\":\"this is a signed message\",\"exp\":\"2022-01-01T00:00:00+00:00\"}"
#define BODY "v4.public.eyJkYXRhIjoidGhpcyBpcyBhIHNpZ25lZCBtZXNzYWdlIiwiZXhwIjoiMjAyMi0wMS0wMVQwMDo" \
	"wMDowMCswMDowMCJ9"
#define FOOTER "{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}"
#define FOOTER_TEXT ".eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9"

static const struct vector { const char *name, *token, *footer, *implicit; } vectors[] = {
	{ "4-S-1", BODY "bg_XBBzds8lTZShVlwwKSgeKpLT3yukTw6JUz3W4h_ExsQV-P0V54zemZDcAxFaS"
	                "eef1QlXEFtkqxT1ciiQEDA", "", "" },
	{ "4-S-2", BODY "v3Jt8mx_TdM2ceTGoqwrh4yDFn0XsHvvV_D0DtwQxVrJEBMl0F2caAdgnpKlt4p7"
	                "xBnx1HcO-SPo8FPp214HDw" FOOTER_TEXT, FOOTER, "" },
	{ "4-S-3", BODY "NPWciuD3d0o5eXJXG5pJy-DiVEoyPYWs1YSTwWHNJq6DZD3je5gf-0M4JR9ipdUS"
	                "JbIovzmBECeaWmaqcaP0DQ" FOOTER_TEXT,
	  FOOTER, "{\"test-vector\":\"4-S-3\"}" },
};

static void from_hex(const char *hex, uint8_t *out)
{
	for (unsigned byte = 0; *hex && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		*out++ = (uint8_t)byte;
}

static struct arena *begin(uint8_t public_key[SIGN_PUBLIC_BYTES],
                           uint8_t secret_key[SIGN_SECRET_BYTES])
{
	struct arena *arena = NULL;
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	from_hex(PUBLIC, public_key);
	from_hex(SECRET, secret_key);
	return arena;
}

Test(paseto, agrees_with_the_specifications_vectors_both_ways)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	struct arena *arena = begin(public_key, secret_key);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		const struct vector *vector = &vectors[i];
		struct paseto token;
		struct err err = { 0 };
		AUTO_BUF text;
		buf_init(&text, PASETO_TEXT_MAX);
		cr_assert_eq(paseto_write(secret_key, PAYLOAD, strlen(PAYLOAD), vector->footer,
		                          vector->implicit, &text, &err), 0, "%s", err.text);
		cr_expect_str_eq((char *)text.data, vector->token, "%s", vector->name);
		cr_assert_eq(paseto_read(arena, vector->token, &token, &err), 0, "%s", err.text);
		cr_expect(paseto_verify(&token, vector->implicit, public_key), "%s", vector->name);
		cr_expect_eq(token.message_len, strlen(PAYLOAD));
		cr_expect_eq(memcmp(token.message, PAYLOAD, token.message_len), 0);
		cr_expect_str_eq((const char *)token.footer, vector->footer);
		cr_expect_not(paseto_verify(&token, "x", public_key), "another assertion");
	}
	arena_free(arena);
}

Test(paseto, refuses_every_changed_character)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	struct arena *arena = begin(public_key, secret_key);
	size_t len = strlen(vectors[1].token);
	for (size_t i = 0; i < len; i++) {
		char text[512];
		struct paseto token;
		snprintf(text, sizeof text, "%s", vectors[1].token);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		arena_reset(arena);
		bool taken = paseto_read(arena, text, &token, NULL) == 0 &&
			paseto_verify(&token, "", public_key);
		cr_expect_not(taken, "character %zu", i);
	}
	arena_free(arena);
}

Test(paseto, refuses_what_has_not_the_form)
{
	static const char *const bad[] = {
		"", "v4.public.", "v4.public", "v4.local.AAAA", "v3.public.AAAA", "V4.public.AAAA",
		"v4.public.AAAA", "v4.public.AA==", BODY, "v4.public..AAAA",
	};
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	struct arena *arena = begin(public_key, secret_key);
	struct paseto token;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect(paseto_read(arena, bad[i], &token, NULL) < 0 ||
		          !paseto_verify(&token, "", public_key), "%s", bad[i]);
	char text[1024];
	snprintf(text, sizeof text, "%s.", vectors[0].token);
	cr_expect_lt(paseto_read(arena, text, &token, NULL), 0, "an empty footer is none");
	snprintf(text, sizeof text, "%s.AAAA", vectors[1].token);
	cr_expect_lt(paseto_read(arena, text, &token, NULL), 0, "a fifth part");
	char *longest = arena_alloc(arena, PASETO_TEXT_MAX + 2);
	memset(longest, 'A', PASETO_TEXT_MAX + 1);
	longest[PASETO_TEXT_MAX + 1] = 0;
	memcpy(longest, "v4.public.", 10);
	cr_expect_lt(paseto_read(arena, longest, &token, NULL), 0, "over the most");
	arena_free(arena);
}

Test(paseto, a_footer_cannot_be_swapped_and_another_key_does_not_do)
{
	uint8_t public_key[SIGN_PUBLIC_BYTES], secret_key[SIGN_SECRET_BYTES];
	struct arena *arena = begin(public_key, secret_key);
	struct paseto token, other;
	cr_assert_eq(paseto_read(arena, vectors[1].token, &token, NULL), 0);
	cr_assert_eq(paseto_read(arena, vectors[0].token, &other, NULL), 0);
	struct paseto mixed = token;
	mixed.footer = other.footer;
	mixed.footer_len = other.footer_len;
	cr_expect_not(paseto_verify(&mixed, "", public_key));
	public_key[3] ^= 1;
	cr_expect_not(paseto_verify(&token, "", public_key));
	arena_free(arena);
}
