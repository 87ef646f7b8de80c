/* cell.c - invariant: nothing beyond what cell_end accepted is read. */
#include "common/defs.h"
#include "worker/cell.h"

#include "common/json.h"
#include "common/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TAG_NIL = 0xc0, TAG_FALSE = 0xc2, TAG_TRUE = 0xc3 };

/* Bytes of the number behind a tag (0: none), for 0xc0 .. 0xdf; 0xff: no scalar. */
static const uint8_t widths[32] = {
	0, 0xff, 0, 0, 1, 2, 4, 0xff, 0xff, 0xff, 4, 8, 1, 2, 4, 8,
	1, 2, 4, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 4, 0xff, 0xff, 0xff, 0xff
};

static uint64_t number(const uint8_t *at, size_t width)
{
	uint64_t n = 0;
	for (size_t i = 0; i < width; i++)
		n = n << 8 | at[i];
	return n;
}

int64_t cell_list(const uint8_t *data, size_t len, const uint8_t **ret_at)
{
	size_t width = len && data[0] == 0xdc ? 2 : len && data[0] == 0xdd ? 4 : 0;
	bool is_short = len && data[0] >> 4 == 9;
	if ((!is_short && !width) || len < 1 + width)
		return -1;
	*ret_at = data + 1 + width;
	return is_short ? data[0] & 15 : (int64_t)number(data + 1, width);
}

static bool has_body(uint8_t tag)
{
	return (tag >= 0xc4 && tag <= 0xc6) || (tag >= 0xd9 && tag <= 0xdb);
}

const uint8_t *cell_end(const uint8_t *at, const uint8_t *end)
{
	if (at >= end)
		return NULL;
	uint8_t tag = *at++;
	uint64_t len = 0;
	if (tag < 0x80 || tag >= 0xe0)
		return at;
	if (tag >> 5 == 5) {
		len = tag & 31;
	} else {
		uint8_t width = tag >= 0xc0 ? widths[tag - 0xc0] : 0xff;
		if (width == 0xff || (size_t)(end - at) < width)
			return NULL;
		len = has_body(tag) ? number(at, width) : 0;
		at += width;
	}
	return len <= (size_t)(end - at) ? at + len : NULL;
}

bool cell_is_null(const uint8_t *at)
{
	return *at == TAG_NIL;
}

/* ---- numbers ---- */

void cell_print_int(int64_t n, struct buf *out)
{
	char digits[24];
	size_t at = sizeof digits;
	uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
	do {
		digits[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (n < 0)
		digits[--at] = '-';
	buf_put(out, digits + at, sizeof digits - at);
}

/* n / 10^places, n not negative. */
static void print_decimal(uint64_t n, int places, struct buf *out)
{
	char digits[48];
	size_t at = sizeof digits;
	for (int i = 0; i < places; i++, n /= 10)
		digits[--at] = (char)('0' + n % 10);
	digits[--at] = '.';
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	buf_put(out, digits + at, sizeof digits - at);
}

/* At most 15 or 16 digits. A quotient of two exact doubles is the double nearest to the true
 * quotient, which is also what a reader makes of the decimal: so the shortest k that divides
 * back is right. */
static bool print_short(double d, struct buf *out)
{
	static const double tens[] = {
		1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
		1e16
	};
	for (size_t k = 1; k < ARRAY_LEN(tens); k++) {
		double scaled = nearbyint(d * tens[k]);
		if (scaled >= 9007199254740992.0)
			return false;
		if (scaled / tens[k] == d) {
			print_decimal((uint64_t)scaled, (int)k, out);
			return true;
		}
	}
	return false;
}

/* d = m * 2^-shift with m of 53 bits. */
struct binary {
	uint64_t m;
	int shift;
};

static struct binary binary_of(double d)
{
	int exponent;
	double fraction = frexp(d, &exponent);
	return (struct binary) { (uint64_t)ldexp(fraction, 53), 53 - exponent };
}

static unsigned __int128 power_of_ten(int k)
{
	unsigned __int128 n = 1;
	while (k-- > 0)
		n *= 10;
	return n;
}

/* d * 10^places, rounded; exact, since m * 10^22 fits 128 bits. Whether that decimal is nearer
 * to d than to its neighbours, so that it reads back as d, through ret_exact. */
static uint64_t scale(struct binary b, int places, bool *ret_exact)
{
	unsigned __int128 ten = power_of_ten(places), product = ten * b.m;
	unsigned __int128 half = (unsigned __int128)1 << (b.shift - 1);
	uint64_t n = (uint64_t)((product + half) >> b.shift);
	unsigned __int128 back = (unsigned __int128)n << b.shift;
	unsigned __int128 off = back > product ? back - product : product - back;
	/* Below a power of two the neighbour is half as far. */
	*ret_exact = off * (b.m == (uint64_t)1 << 52 ? 4 : 2) < ten;
	return n;
}

/* 16 digits where they suffice, 17 otherwise; 1e-5 <= d < 1e15, so that both have a fraction. */
static void print_long(double d, struct buf *out)
{
	int places = 16;
	bool exact;
	for (double limit = 10; limit <= d; limit *= 10)
		places--;
	for (double limit = 1; limit > d; limit /= 10)
		places++;
	struct binary b = binary_of(d);
	uint64_t n = scale(b, places - 1, &exact);
	if (exact)
		places--;
	else
		n = scale(b, places, &exact);
	print_decimal(n, places, out);
}

static void print_far(double d, struct buf *out)
{
	char text[40];
	int n = snprintf(text, sizeof text, "%.17g", d);
	buf_put(out, text, (size_t)n);
	if (!memchr(text, '.', (size_t)n) && !memchr(text, 'e', (size_t)n))
		buf_puts(out, ".0");
}

void cell_print_real(double d, struct buf *out)
{
	double size = fabs(d);
	if (!isfinite(d)) {
		buf_puts(out, "null");
	} else if (size != 0 && (size < 1e-5 || size >= 1e15)) {
		print_far(d, out);
	} else {
		if (signbit(d))
			buf_putc(out, '-');
		if (!print_short(size, out))
			print_long(size, out);
	}
}

static void print_float(uint8_t tag, const uint8_t *at, struct buf *out)
{
	if (tag == 0xca) {
		uint32_t bits = (uint32_t)number(at, 4);
		float f;
		memcpy(&f, &bits, sizeof f);
		cell_print_real(f, out);
		return;
	}
	uint64_t bits = number(at, 8);
	double d;
	memcpy(&d, &bits, sizeof d);
	cell_print_real(d, out);
}

static void print_signed(const uint8_t *at, size_t width, struct buf *out)
{
	unsigned shift = 64 - 8 * (unsigned)width;
	cell_print_int((int64_t)(number(at, width) << shift) >> shift, out);
}

static void print_unsigned(uint64_t n, struct buf *out)
{
	if (n <= INT64_MAX)
		cell_print_int((int64_t)n, out);
	else
		buf_printf(out, "%llu", (unsigned long long)n);
}

/* ---- the rest ---- */

static void print_bytes(const uint8_t *at, size_t len, struct buf *out)
{
	buf_putc(out, '"');
	base64_print(at, len, out);
	buf_putc(out, '"');
}

static void print_tagged(uint8_t tag, const uint8_t *at, struct buf *out)
{
	size_t width = widths[tag - 0xc0];
	switch (tag) {
	case TAG_NIL: buf_puts(out, "null"); break;
	case TAG_FALSE: buf_puts(out, "false"); break;
	case TAG_TRUE: buf_puts(out, "true"); break;
	case 0xc4:
	case 0xc5:
	case 0xc6: print_bytes(at + width, number(at, width), out); break;
	case 0xca:
	case 0xcb: print_float(tag, at, out); break;
	case 0xd9:
	case 0xda:
	case 0xdb: json_print_str((const char *)at + width, number(at, width), out); break;
	default:
		if (tag <= 0xcf)
			print_unsigned(number(at, width), out);
		else
			print_signed(at, width, out);
	}
}

void cell_print(const uint8_t *at, struct buf *out)
{
	uint8_t tag = *at++;
	if (tag < 0x80)
		cell_print_int(tag, out);
	else if (tag >= 0xe0)
		cell_print_int((int8_t)tag, out);
	else if (tag >> 5 == 5)
		json_print_str((const char *)at, tag & 31, out);
	else
		print_tagged(tag, at, out);
}

/* ---- time ---- */

static void put_digits(char *at, int64_t n, int width)
{
	for (int i = width - 1; i >= 0; i--, n /= 10)
		at[i] = (char)('0' + n % 10);
}

/* Days since 1970 to a date (Howard Hinnant, chrono-compatible low-level date algorithms). */
static void put_date(char *at, int64_t days)
{
	days += 719468;
	int64_t era = days / 146097, of_era = days % 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t shifted = (5 * of_year + 2) / 153;      /* months from March */
	int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
	put_digits(at, year + era * 400 + (month <= 2), 4);
	put_digits(at + 5, month, 2);
	put_digits(at + 8, of_year - (153 * shifted + 2) / 5 + 1, 2);
}

void cell_print_time(int64_t unix_us, struct buf *out)
{
	/* Years 1 to 9999, as RFC 3339 and protobuf's timestamps know them. */
	const int64_t first = INT64_C(-62135596800), last = INT64_C(253402300799);
	int64_t us = unix_us % 1000000, s = unix_us / 1000000;
	if (us < 0) {
		us += 1000000;
		s--;
	}
	if (s < first || s > last)
		s = s < first ? first : last;
	int64_t day = s >= 0 ? s / 86400 : -((86399 - s) / 86400), of_day = s - day * 86400;
	char text[] = "0000-00-00T00:00:00.000000";
	put_date(text, day);
	put_digits(text + 11, of_day / 3600, 2);
	put_digits(text + 14, of_day / 60 % 60, 2);
	put_digits(text + 17, of_day % 60, 2);
	put_digits(text + 20, us, 6);
	buf_put(out, text, us == 0 ? 19 : us % 1000 == 0 ? 23 : 26);
	buf_putc(out, 'Z');
}
