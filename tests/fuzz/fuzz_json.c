/* fuzz_json.c - whatever parses prints, and parses again to the same value. */
#include "common/defs.h"
#include "common/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(struct arena *arena, const struct value *value,
		  void (*print)(const struct value *value, struct buf *out))
{
	struct value *back = NULL;
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 16 * MIB);
	print(value, &out);
	REQUIRE(buf_check(&out, &err) == 0);
	REQUIRE(json_parse(arena, (const char *)out.data, out.len, &back, &err) == 0);
	REQUIRE(value_equal(value, back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct value *value = NULL;
	struct err err;
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(64 * MIB, &arena, &err) == 0);
	if (json_parse(arena, (const char *)data, len, &value, &err) == 0) {
		check(arena, value, json_print);
		check(arena, value, json_print_pretty);
	}
	return 0;
}
