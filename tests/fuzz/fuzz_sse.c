/* fuzz_sse.c - whatever a server may stream: read within bounds, alike in one piece and in many;
 * an event's id, name and data hold what their limits allow. */
#include "common/defs.h"
#include "api/sse.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct heard { uint64_t hash; size_t events; };

static void mix(struct heard *heard, const char *text)
{
	for (; *text; text++)
		heard->hash = (heard->hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	heard->hash++;
}

static void on_event(void *context, const struct sse_event *event)
{
	struct heard *heard = context;
	REQUIRE(strlen(event->id) <= SSE_ID_MAX && strlen(event->name) <= SSE_NAME_MAX);
	REQUIRE(strlen(event->data) <= SSE_DATA_MAX);
	mix(heard, event->id);
	mix(heard, event->name);
	mix(heard, event->data);
	heard->events++;
}

static int read_in(const uint8_t *data, size_t len, size_t piece, struct heard *heard)
{
	AUTO_SSE_READER reader;
	int rc = 0;
	sse_reader_init(&reader, on_event, heard);
	for (size_t at = 0; at < len && rc == 0; at += piece)
		rc = sse_read(&reader, (const char *)data + at, piece < len - at ? piece : len - at,
		              NULL);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct heard whole = { 0 }, pieces = { 0 };
	if (len == 0)
		return 0;
	size_t piece = 1 + data[0] % 7;
	int rc = read_in(data + 1, len - 1, len, &whole);
	REQUIRE(read_in(data + 1, len - 1, piece, &pieces) == rc);
	REQUIRE(whole.hash == pieces.hash && whole.events == pieces.events);
	return 0;
}
