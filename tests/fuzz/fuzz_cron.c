/* fuzz_cron.c - whatever reads as a cron expression fires, later each time, and is found back. */
#include "common/defs.h"
#include "common/cron.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[CRON_TEXT_MAX + 2];
	struct cron cron;
	struct zone *zone = NULL;
	struct err err;
	if (len >= sizeof text || memchr(data, 0, len))
		return 0;
	memcpy(text, data, len);
	text[len] = 0;
	if (cron_parse(text, &cron, &err) < 0) {
		REQUIRE(err.code == E_INVALID);
		return 0;
	}
	REQUIRE(zone_open("Europe/Berlin", &zone, &err) == 0);
	int64_t at_ms = 1711800000000;       /* the day before clocks change */
	for (int i = 0; i < 8; i++) {
		int64_t next_ms = cron_next(&cron, zone, at_ms);
		REQUIRE(next_ms > at_ms && next_ms != INT64_MAX);
		REQUIRE(cron_last(&cron, zone, next_ms) == next_ms);
		at_ms = next_ms;
	}
	zone_free(zone);
	return 0;
}
