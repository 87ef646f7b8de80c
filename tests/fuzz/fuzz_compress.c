/* fuzz_compress.c - a frame of anyone's opens within its bound or not at all; our own gives back
 * what went in. */
#include "common/defs.h"
#include "common/compress.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err;
	AUTO_BUF opened;
	AUTO_BUF frame;
	AUTO_BUF back;
	buf_init(&opened, MIB);
	buf_init(&frame, len + 1);
	buf_init(&back, len);
	if (compress_read(data, len, &opened, &err) < 0)
		REQUIRE(opened.len == 0);
	REQUIRE(compress_write(data, len, &frame, &err) == 0);
	REQUIRE(compress_read(frame.data, frame.len, &back, &err) == 0);
	REQUIRE(back.len == len && (len == 0 || memcmp(back.data, data, len) == 0));
	return 0;
}
