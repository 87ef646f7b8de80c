/* test_compress.c - frames of LZ4. */
#include "common/defs.h"
#include "common/compress.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <string.h>

static uint8_t data[300000];

/* Repetitive for a while, then noise from a fixed generator. */
static void fill(size_t noise_from)
{
	uint32_t state = 1;
	for (size_t i = 0; i < sizeof data; i++) {
		state = state * 1664525 + 1013904223;
		data[i] = i < noise_from ? (uint8_t)(i % 7) : (uint8_t)(state >> 24);
	}
}

static size_t frame_len(size_t len)
{
	struct err err;
	AUTO_BUF frame;
	AUTO_BUF back;
	buf_init(&frame, sizeof data + 1);
	buf_init(&back, len);
	cr_assert_eq(compress_write(data, len, &frame, &err), 0);
	cr_assert_eq(compress_read(frame.data, frame.len, &back, &err), 0);
	cr_assert_eq(back.len, len);
	cr_assert(len == 0 || memcmp(back.data, data, len) == 0);
	return frame.len;
}

Test(compress, gives_back_bodies_of_any_length)
{
	fill(sizeof data / 2);
	for (size_t len = 0; len < sizeof data; len = len * 2 + 1)
		frame_len(len);
	frame_len(sizeof data);
}

Test(compress, shrinks_what_repeats_and_keeps_noise_raw)
{
	fill(sizeof data);
	cr_expect_lt(frame_len(sizeof data), sizeof data / 50);
	fill(0);
	cr_expect_eq(frame_len(sizeof data), sizeof data + 1);
	cr_expect_eq(frame_len(COMPRESS_ABOVE - 1), COMPRESS_ABOVE);
}

static int read_frame(const void *frame, size_t len, size_t max, size_t *ret_cap)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, max);
	int rc = compress_read(frame, len, &out, &err);
	cr_expect_eq(out.len, 0);
	*ret_cap = out.cap;
	return rc;
}

Test(compress, refuses_damaged_frames_without_allocating_for_them)
{
	size_t cap = 0;
	cr_expect_eq(read_frame("", 0, 100, &cap), E_INVALID);
	cr_expect_eq(read_frame("\2abc", 4, 100, &cap), E_INVALID);
	cr_expect_eq(read_frame("\1abc", 4, 100, &cap), E_INVALID);
	cr_expect_eq(read_frame("\1\xff\xff\xff\xff" "abc", 8, 1 << 30, &cap), E_INVALID);
	cr_expect_eq(cap, 0);
	cr_expect_eq(read_frame("\1\x00\x10\x00\x00" "abc", 8, 1 << 30, &cap), E_INVALID);
	cr_expect_eq(cap, 0);
	cr_expect_eq(read_frame("\1\x20\x00\x00\x00" "abc", 8, 31, &cap), E_TOO_LARGE);
	cr_expect_eq(cap, 0);
	cr_expect_eq(read_frame("\1\x20\x00\x00\x00" "abc", 8, 100, &cap), E_INVALID);
}

Test(compress, keeps_to_the_maximum_of_the_buffer)
{
	struct err err;
	AUTO_BUF out;
	buf_init(&out, 99);
	fill(0);
	cr_expect_eq(compress_write(data, 100, &out, &err), E_TOO_LARGE);
	size_t cap = 0;
	cr_expect_eq(read_frame("\0abcdef", 7, 5, &cap), E_TOO_LARGE);
}

Test(compress, reports_each_failed_allocation)
{
	fill(sizeof data);
	bool fired = true;
	for (long n = 0; fired; n++) {
		struct err err;
		AUTO_BUF frame;
		AUTO_BUF back;
		buf_init(&frame, sizeof data + 1);
		buf_init(&back, sizeof data);
		alloc_fail_after(n);
		int rc = compress_write(data, sizeof data, &frame, &err);
		if (rc == 0)
			rc = compress_read(frame.data, frame.len, &back, &err);
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_expect_eq(rc, fired ? E_NOMEM : 0);
	}
}
