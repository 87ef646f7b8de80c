/* fuzz_yaml.c - each document that parses prints, and parses again to the same value. */
#include "common/defs.h"
#include "common/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(struct arena *arena, const struct value *document)
{
	struct value *list = NULL;
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 16 * MIB);
	REQUIRE(yaml_print(document, &out, &err) == 0);
	REQUIRE(yaml_parse(arena, (const char *)out.data, out.len, &list, &err) == 0);
	REQUIRE(value_len(list) == 1);
	REQUIRE(value_equal(document, value_at(list, 0)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct value *list = NULL;
	struct err err;
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(64 * MIB, &arena, &err) == 0);
	if (yaml_parse(arena, (const char *)data, len, &list, &err) < 0)
		return 0;
	for (size_t i = 0; i < value_len(list); i++)
		check(arena, value_at(list, i));
	return 0;
}
