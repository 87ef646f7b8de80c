/* fuzz_root.c - a key service's answers and the stored record of the wrapped key: what is taken
 * lies inside the input and is of the alphabet that keys are written in. */
#include "common/defs.h"
#include "tenant/root.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void as_answer(const char *text, size_t len)
{
	static const char *const names[] = {"plaintext", "ciphertext", "client_token"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t taken = 0;
		const char *at = transit_member(text, len, names[i], &taken);
		if (!at)
			continue;
		REQUIRE(at > text && at + taken < text + len && at[taken] == '"');
		REQUIRE(taken > 0 && taken <= TRANSIT_TEXT_MAX && !memchr(at, '\\', taken));
	}
}

static void as_record(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	struct root_record record;
	REQUIRE(arena_new(MIB, &arena, NULL) == 0);
	if (root_record_read(arena, data, len, &record, NULL) == 0)
		REQUIRE(!record.text != !record.box);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	as_answer((const char *)data, len);
	as_record(data, len);
	return 0;
}
