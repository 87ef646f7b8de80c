/* fuzz_snapshot.c - a table's snapshot as it lies in the store: what is read is written again to
 * the same. */
#include "common/defs.h"
#include "api/table.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF first, second;
	struct snapshot *snapshot = NULL, *again = NULL, *next = NULL;
	struct err err = {0};
	buf_init(&first, 4 * MIB);
	buf_init(&second, 4 * MIB);
	REQUIRE(arena_new(64 * MIB, &arena, NULL) == 0);
	if (snapshot_decode(arena, data, len, &snapshot, &err) < 0) {
		REQUIRE(err.text[0]);
		return 0;
	}
	(void)!snapshot_next(arena, snapshot, false, 0, snapshot, &next, &err);
	(void)snapshot_summary(arena, snapshot);
	if (snapshot_encode(snapshot, &first, &err) < 0)
		return 0;
	REQUIRE(snapshot_decode(arena, first.data, first.len, &again, &err) == 0);
	REQUIRE(snapshot_encode(again, &second, &err) == 0);
	REQUIRE(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	return 0;
}
