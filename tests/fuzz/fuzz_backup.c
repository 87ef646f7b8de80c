/* A backup's archive: its preamble, and its records once they are unsealed, in any pieces. */
#include "common/defs.h"
#include "control/backup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int on_key(void *context, const struct store_item *item, struct err *err)
{
	(void)err;
	REQUIRE(item->key[0]);
	++*(uint64_t *)context;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct backup_info info, end;
	struct backup_records records;
	size_t at = 0, used = 0, piece = len > 0 ? data[0] + 1u : 1;
	uint64_t seen = 0;
	int rc = 0;
	if (backup_preamble_read(data, len, &info, &used, NULL) == 0)
		REQUIRE(used <= len && info.shards > 0);
	backup_records_init(&records, &end);
	records.visit = on_key;
	records.context = &seen;
	for (at = 1; at < len && rc == 0; at += piece)
		rc = backup_records_take(&records, data + at, len - at < piece ? len - at : piece,
		                         NULL);
	if (rc == 0 && backup_records_check(&records, NULL) == 0)
		REQUIRE(records.keys <= seen);
	backup_records_release(&records);
	return 0;
}
