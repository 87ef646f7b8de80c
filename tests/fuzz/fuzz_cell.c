/* fuzz_cell.c - values as they lie in the online store: walked over within their bounds, and
 * printed as JSON. */
#include "common/defs.h"
#include "common/json.h"
#include "common/text.h"
#include "common/value.h"
#include "worker/cell.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void print(const uint8_t *at)
{
	AUTO_BUF out;
	AUTO(arena) *arena = NULL;
	struct value *value = NULL;
	buf_init(&out, MIB);
	cell_print(at, &out);
	/* Texts are UTF-8 without NUL when they are stored (common/pack.c); what is printed is no
	 * more than they are. Unsigned numbers past 64 bits' sign are JSON, but none that our
	 * reader takes. */
	if (buf_check(&out, NULL) < 0 || *at == 0xcf ||
	    !utf8_valid((const char *)out.data, out.len) ||
	    strstr((const char *)out.data, "\\u0000"))
		return;
	REQUIRE(arena_new(4 * MIB, &arena, NULL) == 0);
	REQUIRE(json_parse(arena, (const char *)out.data, out.len, &value, NULL) == 0);
	(void)cell_is_null(at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* A copy of just that size, so that a step too far is seen. */
	uint8_t *copy = malloc(len ? len : 1);
	const uint8_t *at = NULL;
	REQUIRE(copy);
	if (len)
		memcpy(copy, data, len);
	int64_t count = cell_list(copy, len, &at);
	for (int64_t i = 0; i < count && i < 64; i++) {
		const uint8_t *end = cell_end(at, copy + len);
		if (!end)
			break;
		REQUIRE(end > at && end <= copy + len);
		print(at);
		at = end;
	}
	free(copy);
	return 0;
}
