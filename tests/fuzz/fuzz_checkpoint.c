/* A checkpoint's head or page, once it is unsealed. */
#include "common/defs.h"
#include "common/pack.h"
#include "control/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void on_record(void *context, const struct value *record)
{
	REQUIRE(record);
	++*(size_t *)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	struct value *value = NULL;
	struct checkpoint_head head;
	size_t count = 0;
	if (arena_new(64 * MIB, &arena, NULL) < 0 || pack_read(arena, data, len, &value, NULL) < 0)
		return 0;
	if (checkpoint_head_read(value, &head, NULL) == 0)
		REQUIRE(head.pages >= 0 && head.generation.epoch > 0 && head.covers.epoch > 0);
	if (checkpoint_page_read(value, arena, on_record, &count, NULL) == 0)
		REQUIRE(count == value_len(value) - 1);
	return 0;
}
