/* text.c - names, ULIDs, base64, hex, UTF-8. */
#include "common/defs.h"
#include "common/text.h"

#include <string.h>

enum { NEAREST_MAX_LEN = 64 };

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool in_name(char c)
{
	return is_lower(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int name_check(const char *field, const char *name, struct err *err)
{
	if (!name || !*name)
		return err_set(err, E_INVALID, "%s is missing; give 1 to %d of a-z 0-9 - _", field,
		               NAME_MAX_LEN);
	size_t len = strlen(name);
	if (len > NAME_MAX_LEN)
		return err_set(err, E_INVALID, "%s has %zu characters, at most %d are allowed; "
		               "shorten it", field, len, NAME_MAX_LEN);
	if (!is_lower(name[0]))
		return err_set(err, E_INVALID, "%s must begin with a letter a-z", field);
	if (name[len - 1] == '-')
		return err_set(err, E_INVALID, "%s must not end with a hyphen", field);
	for (size_t i = 0; i < len; i++)
		if (!in_name(name[i]))
			return err_set(err, E_INVALID, "%s may hold only a-z 0-9 - _; character "
			               "%zu is another", field, i + 1);
	return 0;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Damerau-Levenshtein distance (optimal string alignment), three rows. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][NEAREST_MAX_LEN + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	for (size_t j = 0; j <= b_len; j++)
		before[j] = last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t step = least(last[j], now[j - 1]) + 1;
			now[j] = least(step, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
		size_t *spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[b_len];
}

const char *name_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t len = word ? strlen(word) : 0;
	if (len == 0 || len > NEAREST_MAX_LEN)
		return NULL;
	const char *nearest = NULL;
	size_t best = len / 3 + 1;
	for (size_t i = 0; i < count; i++) {
		size_t other = strlen(candidates[i]);
		if (other > NEAREST_MAX_LEN)
			continue;
		size_t d = distance(word, len, candidates[i], other);
		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}

static const char crockford[33] = "0123456789abcdefghjkmnpqrstvwxyz";

void id_make(int64_t unix_ms, const uint8_t random[10], char out[ID_LEN + 1])
{
	uint64_t ms = unix_ms < 0 ? 0 : (uint64_t)unix_ms & 0xffffffffffffu;
	for (int i = 0; i < 10; i++)
		out[i] = crockford[(ms >> (45 - 5 * i)) & 31];
	for (int half = 0; half < 2; half++) {
		uint64_t bits = 0;
		for (int i = 0; i < 5; i++)
			bits = bits << 8 | random[half * 5 + i];
		for (int i = 0; i < 8; i++)
			out[10 + half * 8 + i] = crockford[(bits >> (35 - 5 * i)) & 31];
	}
	out[ID_LEN] = 0;
}

bool id_valid(const char *text)
{
	if (!text || strnlen(text, ID_LEN + 1) != ID_LEN || text[0] > '7')
		return false;
	for (int i = 0; i < ID_LEN; i++)
		if (!strchr(crockford, text[i]))
			return false;
	return true;
}

static const char base64_letters[65] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_letters[65] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode64(const uint8_t *in, size_t len, const char *letters, bool pad,
		     struct buf *out)
{
	if (len > SIZE_MAX / 2) {
		out->failed = true;
		return;
	}
	size_t rest = len % 3;
	size_t total = len / 3 * 4 + (rest == 0 ? 0 : pad ? 4 : rest + 1);
	uint8_t *to = buf_room(out, total);
	if (!to)
		return;
	for (size_t i = 0; i + 3 <= len; i += 3) {
		uint32_t bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			*to++ = (uint8_t)letters[(bits >> shift) & 63];
	}
	if (rest) {
		uint32_t bits = (uint32_t)in[len - rest] << 16;
		bits |= rest == 2 ? (uint32_t)in[len - 1] << 8 : 0;
		*to++ = (uint8_t)letters[bits >> 18];
		*to++ = (uint8_t)letters[(bits >> 12) & 63];
		if (rest == 2)
			*to++ = (uint8_t)letters[(bits >> 6) & 63];
		for (size_t i = rest; pad && i < 3; i++)
			*to++ = '=';
	}
	out->len += total;
}

void base64_print(const void *data, size_t len, struct buf *out)
{
	encode64(data, len, base64_letters, true, out);
}

void base64url_print(const void *data, size_t len, struct buf *out)
{
	encode64(data, len, base64url_letters, false, out);
}

/* The value of a letter, or 64. */
static uint32_t sextet(char c, const char *letters)
{
	if (c >= 'A' && c <= 'Z')
		return (uint32_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint32_t)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0') + 52;
	return c == letters[62] ? 62 : c == letters[63] ? 63 : 64;
}

static int refuse64(struct err *err, const char *why)
{
	return err_set(err, E_INVALID, "the base64 text %s", why);
}

/* The letters of one quantum (2 to 4 of them) into 1 to 3 bytes; false for a letter of no value or
 * bits that a canonical encoder leaves zero. */
static bool quantum(const char *text, size_t count, const char *letters, uint8_t out[3])
{
	uint32_t bits = 0;
	for (size_t i = 0; i < 4; i++) {
		uint32_t value = i < count ? sextet(text[i], letters) : 0;
		if (value > 63)
			return false;
		bits = bits << 6 | value;
	}
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	return count == 4 || (bits & (count == 3 ? 0xffu : 0xffffu)) == 0;
}

static int decode64(const char *text, size_t len, const char *letters, struct buf *out,
		    struct err *err)
{
	size_t rest = len % 4;
	if (rest == 1)
		return refuse64(err, "has a length that no encoder makes");
	size_t total = len / 4 * 3 + (rest ? rest - 1 : 0);
	if (total > out->max - out->len)
		return err_set(err, E_TOO_LARGE, "the base64 text holds %zu bytes, %zu are allowed",
		               total, out->max - out->len);
	uint8_t *to = buf_room(out, total);
	if (!to)
		return err_set(err, E_NOMEM, "no memory for %zu bytes out of base64", total);
	for (size_t i = 0; i < len; i += 4) {
		size_t count = len - i < 4 ? len - i : 4;
		uint8_t three[3];
		if (!quantum(text + i, count, letters, three))
			return refuse64(err, "holds a character outside its alphabet, or bits "
			                "after its end");
		memcpy(to, three, count - 1);
		to += count - 1;
	}
	out->len += total;
	return 0;
}

int base64_parse(const char *text, size_t len, struct buf *out, struct err *err)
{
	if (len % 4)
		return refuse64(err, "must have a length that is a multiple of 4; pad it with =");
	size_t pad = 0;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	return decode64(text, len - pad, base64_letters, out, err);
}

int base64url_parse(const char *text, size_t len, struct buf *out, struct err *err)
{
	return decode64(text, len, base64url_letters, out, err);
}

void hex_print(const void *data, size_t len, char *out)
{
	static const char digits[17] = "0123456789abcdef";
	const uint8_t *in = data;
	for (size_t i = 0; i < len; i++) {
		*out++ = digits[in[i] >> 4];
		*out++ = digits[in[i] & 15];
	}
	*out = 0;
}

/* How many bytes follow this first byte, and the least code point so long a form may carry. */
static int followers(uint8_t first, uint32_t *ret_bits, uint32_t *ret_least)
{
	if (first >= 0xc2 && first <= 0xdf) {
		*ret_bits = first & 0x1fu;
		*ret_least = 0x80;
		return 1;
	}
	if ((first & 0xf0) == 0xe0) {
		*ret_bits = first & 0x0fu;
		*ret_least = 0x800;
		return 2;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		*ret_bits = first & 0x07u;
		*ret_least = 0x10000;
		return 3;
	}
	return -1;
}

/* Bytes of the character at s, which is no ASCII; 0 when it is malformed. */
static size_t wide_char(const uint8_t *s, size_t len)
{
	uint32_t bits = 0, least_code = 0;
	int more = followers(s[0], &bits, &least_code);
	if (more < 0 || (size_t)more >= len)
		return 0;
	for (int i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		bits = bits << 6 | (s[i] & 0x3fu);
	}
	bool surrogate = bits >= 0xd800 && bits <= 0xdfff;
	return bits < least_code || bits > 0x10ffff || surrogate ? 0 : (size_t)more + 1;
}

static bool all_ascii(const uint8_t *s)
{
	uint64_t eight;
	memcpy(&eight, s, sizeof eight);
	return (eight & 0x8080808080808080u) == 0;
}

bool utf8_valid(const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t i = 0;
	while (i < len) {
		if (len - i >= 8 && all_ascii(s + i)) {
			i += 8;
			continue;
		}
		size_t step = s[i] < 0x80 ? 1 : wide_char(s + i, len - i);
		if (step == 0)
			return false;
		i += step;
	}
	return true;
}
