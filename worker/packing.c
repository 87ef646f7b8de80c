/* packing.c - invariant: what is unpacked is dropped; memory does not grow with the file. */
#include "common/defs.h"
#include "worker/packing.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { IN_BYTES = 16 * 1024, OUT_BYTES = 64 * 1024 };

struct packing {
	int fd;
	int64_t at, bytes;           /* what is read next, of how many */
	const char *compression, *path;
	uint8_t in[IN_BYTES], out[OUT_BYTES];
};

static int ends_early(const struct packing *packing, struct err *err)
{
	return err_set(err, E_INPUT, "path \"%s\": the %s file ends early, after %" PRId64
	               " bytes: it was cut off; bring it whole", packing->path,
	               packing->compression, packing->bytes);
}

static int damaged(const struct packing *packing, struct err *err)
{
	return err_set(err, E_INPUT, "path \"%s\": is damaged or not compressed as %s; check "
	               "compression", packing->path, packing->compression);
}

/* Up to max bytes from where it is; 0 at the end. */
static int take(struct packing *packing, size_t max, size_t *ret_len, struct err *err)
{
	int64_t left = packing->bytes - packing->at;
	size_t wanted = left < (int64_t)max ? (size_t)left : max;
	ssize_t n;
	do
		n = pread(packing->fd, packing->in, wanted, (off_t)packing->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(err, errno, "path \"%s\"", packing->path);
	packing->at += n;
	*ret_len = (size_t)n;
	return 0;
}

/* --- gzip --- */

static bool all_zero(const uint8_t *data, size_t len)
{
	while (len > 0 && data[len - 1] == 0)
		len--;
	return len == 0;
}

/* Behind a member: nothing, zeros (tapes and block devices leave them), or another member. */
static int rest_is_zero(struct packing *packing, z_stream *stream, bool *ret_zero, struct err *err)
{
	int64_t back = packing->at - (int64_t)stream->avail_in;
	size_t len = stream->avail_in;
	bool zero = all_zero(stream->next_in, len);
	while (zero && packing->at < packing->bytes) {
		TRY(take(packing, IN_BYTES, &len, err));
		if (len == 0)
			break;
		zero = all_zero(packing->in, len);
	}
	packing->at = back;
	stream->avail_in = 0;
	*ret_zero = zero;
	return 0;
}

/* One step: more input where it is used up, then unpacked as far as it goes. */
static int gzip_step(struct packing *packing, z_stream *stream, bool *ret_whole, struct err *err)
{
	if (stream->avail_in == 0) {
		size_t len;
		TRY(take(packing, IN_BYTES, &len, err));
		if (len == 0)
			return ends_early(packing, err);
		stream->next_in = packing->in;
		stream->avail_in = (uInt)len;
	}
	stream->next_out = packing->out;
	stream->avail_out = OUT_BYTES;
	int rc = inflate(stream, Z_NO_FLUSH);
	if (rc == Z_MEM_ERROR)
		return err_set(err, E_NOMEM, "no memory to look at the file");
	if (rc == Z_STREAM_END && inflateReset(stream) == Z_OK)
		return rest_is_zero(packing, stream, ret_whole, err);
	return rc == Z_OK || rc == Z_BUF_ERROR ? 0 : damaged(packing, err);
}

static int check_gzip(struct packing *packing, struct err *err)
{
	z_stream stream = { .next_in = Z_NULL };
	bool whole = false;
	int rc = 0;
	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return err_set(err, E_NOMEM, "no memory to look at the file");
	while (rc == 0 && !whole)
		rc = gzip_step(packing, &stream, &whole, err);
	inflateEnd(&stream);
	return rc;
}

/* --- zstd --- */

static uint32_t number(const uint8_t *bytes, size_t len)
{
	uint32_t n = 0;
	while (len > 0)
		n = n << 8 | bytes[--len];
	return n;
}

/* Exactly len bytes into packing->in; a file that has fewer was cut off. */
static int need(struct packing *packing, size_t len, struct err *err)
{
	size_t got = 0;
	TRY(take(packing, len, &got, err));
	return got == len ? 0 : ends_early(packing, err);
}

static int skip(struct packing *packing, uint32_t len, struct err *err)
{
	if ((int64_t)len > packing->bytes - packing->at)
		return ends_early(packing, err);
	packing->at += len;
	return 0;
}

/* The frame's header behind its magic number; what follows its blocks. */
static int frame_head(struct packing *packing, size_t *ret_checksum, struct err *err)
{
	static const uint8_t dictionary[] = { 0, 1, 2, 4 }, content[] = { 0, 2, 4, 8 };
	TRY(need(packing, 1, err));
	uint8_t flags = packing->in[0];
	bool single = flags & 0x20;
	uint32_t rest = (uint32_t)!single + dictionary[flags & 3] + content[flags >> 6] +
	                (uint32_t)(single && flags >> 6 == 0);
	if (flags & 0x08)
		return damaged(packing, err);
	*ret_checksum = flags & 4 ? 4 : 0;
	return skip(packing, rest, err);
}

static int zstd_frame(struct packing *packing, struct err *err)
{
	enum { RLE = 1, RESERVED = 3 };
	size_t checksum = 0;
	uint32_t head;
	TRY(frame_head(packing, &checksum, err));
	do {
		TRY(need(packing, 3, err));
		head = number(packing->in, 3);
		uint32_t kind = head >> 1 & 3;
		if (kind == RESERVED)
			return damaged(packing, err);
		TRY(skip(packing, kind == RLE ? 1 : head >> 3, err));
	} while (!(head & 1));
	return skip(packing, (uint32_t)checksum, err);
}

static int check_zstd(struct packing *packing, struct err *err)
{
	enum { FRAME = 0xFD2FB528u, SKIPPED = 0x184D2A50u };
	while (packing->at < packing->bytes) {
		TRY(need(packing, 4, err));
		uint32_t magic = number(packing->in, 4);
		bool skipped = (magic & ~15u) == SKIPPED;
		if (magic != FRAME && !skipped)
			return damaged(packing, err);
		if (skipped)
			TRY(need(packing, 4, err));
		TRY(skipped ? skip(packing, number(packing->in, 4), err)
		            : zstd_frame(packing, err));
	}
	return 0;
}

int packing_check(int fd, int64_t bytes, const char *compression, const char *path,
                  struct err *err)
{
	struct packing packing;      /* its buffers need no clearing */
	packing.fd = fd;
	packing.at = 0;
	packing.bytes = bytes;
	packing.compression = compression;
	packing.path = path;
	if (strcmp(compression, "gzip") == 0)
		return check_gzip(&packing, err);
	return strcmp(compression, "zstd") == 0 ? check_zstd(&packing, err) : 0;
}
