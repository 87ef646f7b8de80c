/* Envelopes: what goes in comes out; other versions and damage are refused. */
#include "common/defs.h"
#include "api/envelope.h"

#include "common/compress.h"
#include "common/pack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct arena *arena_make(void)
{
	struct arena *arena = NULL;
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	return arena;
}

static struct envelope sample(struct arena *arena, size_t body_len)
{
	struct value *body = value_map(arena);
	char *text = arena_alloc(arena, body_len + 1);
	memset(text, 'a', body_len);
	value_set_str(body, "text", text);
	return (struct envelope) {
		.version = ENVELOPE_VERSION, .kind = "poll", .worker = "w-1",
		.incarnation = 1700000000000,
		.seq = 42, .body = body,
	};
}

static void expect_back(size_t body_len)
{
	AUTO(arena) *arena = arena_make();
	AUTO_BUF out;
	buf_init(&out, MIB);
	struct envelope sent = sample(arena, body_len), got;
	struct err err = { 0 };
	cr_assert_eq(envelope_write(&sent, &out, &err), 0, "%s", err.text);
	cr_assert_eq(envelope_read(arena, out.data, out.len, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.kind, "poll");
	cr_expect_str_eq(got.worker, "w-1");
	cr_expect_eq(got.incarnation, sent.incarnation);
	cr_expect_eq(got.seq, 42);
	cr_expect(value_equal(got.body, sent.body));
	if (body_len > COMPRESS_ABOVE)
		cr_expect_lt(out.len, body_len);
}

Test(envelope, brings_back_what_was_put_in_small_and_compressed)
{
	expect_back(3);
	expect_back(50000);
}

static int read_map(const struct value *map, struct err *err)
{
	AUTO(arena) *arena = arena_make();
	AUTO_BUF packed, framed;
	buf_init(&packed, MIB);
	buf_init(&framed, MIB);
	struct envelope got;
	cr_assert_eq(pack_write(map, &packed, NULL), 0);
	cr_assert_eq(compress_write(packed.data, packed.len, &framed, NULL), 0);
	return envelope_read(arena, framed.data, framed.len, &got, err);
}

Test(envelope, names_an_old_or_a_future_version_that_it_does_not_speak)
{
	static const int versions[] = { ENVELOPE_VERSION_MIN - 1, ENVELOPE_VERSION_MAX + 1, 7 };
	AUTO(arena) *arena = arena_make();
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct value *map = value_map(arena);
		char said[32];
		struct err err = { 0 };
		value_set_int(map, "v", versions[i]);
		snprintf(said, sizeof said, "version %d ", versions[i]);
		cr_expect_eq(read_map(map, &err), E_INVALID);
		cr_expect_not_null(strstr(err.text, said), "%s", err.text);
		cr_expect_not_null(strstr(err.text, "only 1 to 2"), "%s", err.text);
	}
}

Test(envelope, reads_the_next_version_and_passes_over_what_it_adds)
{
	AUTO(arena) *arena = arena_make();
	struct value *map = value_map(arena), *body = value_map(arena);
	struct err err = { 0 };
	value_set_int(map, "v", ENVELOPE_VERSION + 1);
	value_set_str(map, "kind", "poll");
	value_set_str(map, "worker", "w");
	value_set_int(map, "incarnation", 1);
	value_set_int(map, "seq", 1);
	value_set(map, "added", value_map(arena));
	value_set(map, "body", body);
	cr_expect_eq(read_map(map, &err), 0, "%s", err.text);
}

Test(envelope, names_the_member_that_is_missing_or_wrong)
{
	AUTO(arena) *arena = arena_make();
	struct value *map = value_map(arena);
	struct err err = { 0 };
	value_set_int(map, "v", ENVELOPE_VERSION);
	value_set_str(map, "kind", "poll");
	value_set_str(map, "worker", "w");
	value_set_int(map, "incarnation", 1);
	value_set(map, "body", value_map(arena));
	cr_expect_eq(read_map(map, &err), E_INVALID);
	cr_expect_str_eq(err.text, "message: seq is missing");
	value_set_str(map, "seq", "one");
	cr_expect_eq(read_map(map, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "seq must be an integer"), "%s", err.text);
	value_set_int(map, "seq", 1);
	value_set_int(map, "newer", 1);
	cr_expect_eq(read_map(map, &err), 0, "a newer peer may say more: %s", err.text);
}

Test(envelope, refuses_every_truncation)
{
	AUTO(arena) *arena = arena_make();
	AUTO_BUF out;
	buf_init(&out, MIB);
	struct envelope sent = sample(arena, 2000), got;
	cr_assert_eq(envelope_write(&sent, &out, NULL), 0);
	for (size_t len = 0; len < out.len; len++)
		cr_expect_lt(envelope_read(arena, out.data, len, &got, NULL), 0);
}
