/* fuzz_pack.c - whatever reads is written canonically: reading that gives the same value, and
 * writing it again the same bytes. */
#include "common/defs.h"
#include "common/pack.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct value *value = NULL, *back = NULL;
	struct err err;
	AUTO(arena) *arena = NULL;
	AUTO_BUF once;
	AUTO_BUF twice;
	buf_init(&once, 16 * MIB);
	buf_init(&twice, 16 * MIB);
	REQUIRE(arena_new(64 * MIB, &arena, &err) == 0);
	if (pack_read(arena, data, len, &value, &err) < 0)
		return 0;
	REQUIRE(pack_write(value, &once, &err) == 0);
	REQUIRE(pack_read(arena, once.data, once.len, &back, &err) == 0);
	REQUIRE(value_equal(value, back));
	REQUIRE(pack_write(back, &twice, &err) == 0);
	REQUIRE(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	return 0;
}
