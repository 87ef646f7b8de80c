/* A batch of the journal, of any format, once it is unsealed. */
#include "common/defs.h"
#include "common/pack.h"
#include "control/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	struct value *value = NULL;
	struct batch_view batch;
	const struct value *records = NULL;
	if (arena_new(64 * MIB, &arena, NULL) < 0 ||
	    pack_read(arena, data, len, &value, NULL) < 0 || batch_read(value, &batch, NULL) < 0)
		return 0;
	for (size_t i = 0; i < batch.count; i++)
		if (batch_records(&batch, i, arena, &records, NULL) == 0)
			REQUIRE(value_kind(records) == VALUE_LIST);
	REQUIRE(batch.format == 1 || batch.after.epoch >= 0);
	return 0;
}
