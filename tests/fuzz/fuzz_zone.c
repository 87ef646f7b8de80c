/* fuzz_zone.c - whatever reads as a time zone has bounded offsets and changes that go forward, and
 * a wall clock's time leads back to an instant that shows it. */
#include "common/defs.h"
#include "common/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_at(const struct zone *zone, int64_t unix_s)
{
	struct zone_instant instant;
	int offset = zone_offset_s(zone, unix_s);
	REQUIRE(offset >= -26 * 3600 && offset <= 26 * 3600);
	REQUIRE(zone_next_change(zone, unix_s) > unix_s);
	zone_instant(zone, unix_s + offset, &instant);
	REQUIRE(instant.count > 0);
	REQUIRE(instant.unix_s + zone_offset_s(zone, instant.unix_s) == unix_s + offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct zone *zone = NULL;
	struct err err;
	if (zone_parse(data, len, &zone, &err) < 0)
		return 0;
	int64_t at = -4000000000;
	for (int i = 0; i < 64 && at < 8000000000; i++) {
		check_at(zone, at);
		int64_t next = zone_next_change(zone, at);
		at = next < at + 200000000 ? next : at + 200000000;
		check_at(zone, at - 1);
	}
	zone_free(zone);
	return 0;
}
