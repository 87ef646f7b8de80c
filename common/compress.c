/* compress.c - LZ4 blocks in a frame of their own: LZ4's own frame format would let the sender
 * choose the memory the reader spends. */
#include "common/defs.h"
#include "common/compress.h"

#include <lz4.h>
#include <string.h>

enum { KIND_RAW = 0, KIND_LZ4 = 1, LZ4_HEAD = 5, LZ4_RATIO_MAX = 255 };

static void put_u32(uint8_t *at, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(n >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
		(uint32_t)at[3] << 24;
}

static int no_room(const struct buf *out, size_t need, struct err *err)
{
	if (need > out->max - out->len)
		return err_set(err, E_TOO_LARGE, "%zu bytes are needed, %zu are allowed", need,
		               out->max - out->len);
	return err_set(err, E_NOMEM, "no memory for %zu bytes", need);
}

static int copy_raw(const void *data, size_t len, struct buf *out, struct err *err)
{
	uint8_t *to = buf_room(out, len + 1);
	if (!to)
		return no_room(out, len + 1, err);
	to[0] = KIND_RAW;
	if (len)
		memcpy(to + 1, data, len);
	out->len += len + 1;
	return 0;
}

int compress_write(const void *data, size_t len, struct buf *out, struct err *err)
{
	/* A frame that would not be shorter than raw is raw, so raw's length is all it may need. */
	if (len < COMPRESS_ABOVE || len > LZ4_MAX_INPUT_SIZE)
		return copy_raw(data, len, out, err);
	uint8_t *to = buf_room(out, len + 1);
	if (!to)
		return no_room(out, len + 1, err);
	int packed = LZ4_compress_default(data, (char *)to + LZ4_HEAD, (int)len,
	                                  (int)(len + 1 - LZ4_HEAD));
	if (packed <= 0)
		return copy_raw(data, len, out, err);
	to[0] = KIND_LZ4;
	put_u32(to + 1, (uint32_t)len);
	out->len += LZ4_HEAD + (size_t)packed;
	return 0;
}

static int read_lz4(const uint8_t *frame, size_t len, struct buf *out, struct err *err)
{
	if (len < LZ4_HEAD)
		return err_set(err, E_INVALID, "a compressed frame of %zu bytes is too short", len);
	size_t raw = get_u32(frame + 1), body = len - LZ4_HEAD;
	if (raw > LZ4_MAX_INPUT_SIZE || raw / LZ4_RATIO_MAX > body || body > LZ4_MAX_INPUT_SIZE)
		return err_set(err, E_INVALID, "a compressed frame of %zu bytes cannot hold %zu",
		               len, raw);
	if (raw > out->max - out->len)
		return no_room(out, raw, err);
	uint8_t *to = buf_room(out, raw);
	if (!to)
		return no_room(out, raw, err);
	int got = LZ4_decompress_safe((const char *)frame + LZ4_HEAD, (char *)to, (int)body,
	                              (int)raw);
	if (got < 0 || (size_t)got != raw)
		return err_set(err, E_INVALID, "a compressed frame is damaged");
	out->len += raw;
	return 0;
}

int compress_read(const void *data, size_t len, struct buf *out, struct err *err)
{
	const uint8_t *frame = data;
	if (len == 0)
		return err_set(err, E_INVALID, "a compressed frame is empty");
	if (frame[0] == KIND_LZ4)
		return read_lz4(frame, len, out, err);
	if (frame[0] != KIND_RAW)
		return err_set(err, E_INVALID, "a compressed frame has the unknown kind %d; 0 and "
		               "1 are known", frame[0]);
	if (buf_put(out, frame + 1, len - 1) < 0)
		return no_room(out, len - 1, err);
	return 0;
}
