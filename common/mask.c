/* mask.c - see mask.h. One table says which action is for which type. */
#include "common/defs.h"
#include "common/mask.h"

#include "common/crypto.h"
#include "common/date.h"

#include <string.h>

enum type { TYPE_BOOLEAN, TYPE_INT32, TYPE_INT64, TYPE_FLOAT64, TYPE_STRING, TYPE_TIMESTAMP,
	    TYPE_DATE, TYPE_BYTES, TYPE_DECIMAL, TYPE_COUNT_ };

static const char *const type_names[TYPE_COUNT_] = {
	"boolean", "int32", "int64", "float64", "string", "timestamp", "date", "bytes", "decimal",
};

#define BIT(type) (1u << (type))
enum { TEXTS = BIT(TYPE_STRING), TIMES = BIT(TYPE_TIMESTAMP) | BIT(TYPE_DATE),
       DIGESTS = BIT(TYPE_STRING) | BIT(TYPE_BYTES) | BIT(TYPE_INT32) | BIT(TYPE_INT64),
       ALL = BIT(TYPE_COUNT_) - 1 };

static const struct {
	const char *name;
	unsigned types;
} masks[MASK_COUNT_] = {
	[MASK_NONE] = { "none", ALL },
	[MASK_ALPHANUM] = { "mask-alphanum", TEXTS },
	[MASK_SHOW_FIRST_4] = { "show-first-4", TEXTS },
	[MASK_SHOW_LAST_4] = { "show-last-4", TEXTS },
	[MASK_NULL] = { "replace-with-null", ALL },
	[MASK_FIXED] = { "mask-to-fixed-value", ALL },
	[MASK_YEAR] = { "truncate-to-year", TIMES },
	[MASK_MONTH] = { "truncate-to-month", TIMES },
	[MASK_SHA256] = { "sha-256-global", DIGESTS },
	[MASK_SHA256_LOCAL] = { "sha-256-query-local", DIGESTS },
};

#define DAY_MICROS (INT64_C(86400) * 1000000)
enum { FIXED_INT = 999999999, FIXED_YEAR = 9999 };

const char *mask_name(enum mask mask)
{
	return (unsigned)mask < MASK_COUNT_ ? masks[mask].name : "unknown";
}

int mask_by_name(const char *name, enum mask *ret_mask, struct err *err)
{
	for (int i = MASK_NONE + 1; name && i < MASK_COUNT_; i++)
		if (strcmp(masks[i].name, name) == 0) {
			*ret_mask = (enum mask)i;
			return 0;
		}
	return err_set(err, E_INVALID,
	               "\"%.64s\" is no masking action; there are mask-alphanum, show-first-4, "
	               "show-last-4, replace-with-null, mask-to-fixed-value, truncate-to-year, "
	               "truncate-to-month, sha-256-global and sha-256-query-local",
	               name ? name : "");
}

static enum type type_of(const char *type)
{
	size_t len = strcspn(type, "(");
	for (int i = 0; i < TYPE_COUNT_; i++)
		if (strlen(type_names[i]) == len && strncmp(type_names[i], type, len) == 0)
			return (enum type)i;
	return TYPE_COUNT_;
}

int mask_check(enum mask mask, const char *column, const char *type, bool required,
               struct err *err)
{
	enum type known = type_of(type);
	if ((unsigned)mask >= MASK_COUNT_ || known == TYPE_COUNT_ ||
	    !(masks[mask].types & BIT(known)))
		return err_set(err, E_INVALID, "%s is not for the column \"%s\" of type %s; "
		               "replace-with-null and mask-to-fixed-value are for every type",
		               mask_name(mask), column, type);
	if (mask == MASK_NULL && required)
		return err_set(err, E_INVALID, "replace-with-null is not for the column \"%s\", "
		               "which is required; mask-to-fixed-value is", column);
	return 0;
}

/* --- text --- */

static size_t point_len(const char *text, size_t len)
{
	size_t at = 1;
	while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80)
		at++;
	return at;
}

static size_t points_of(const char *text, size_t len)
{
	size_t count = 0;
	for (size_t at = 0; at < len; at += point_len(text + at, len - at))
		count++;
	return count;
}

static char stand_in(char c)
{
	if (c >= '0' && c <= '9')
		return 'n';
	return c && strchr("(),.-@", c) ? c : 'x';
}

/* Code points from `from` up to `to` stay. */
static void put_masked(struct buf *out, const char *text, size_t len, size_t from, size_t to)
{
	size_t point = 0;
	for (size_t at = 0, step; at < len; at += step, point++) {
		step = point_len(text + at, len - at);
		if (point >= from && point < to)
			buf_put(out, text + at, step);
		else
			buf_putc(out, stand_in(text[at]));
	}
}

static void hash(enum mask mask, const struct mask_salt *salt, const void *data, size_t len,
                 uint8_t out[MASK_DIGEST_BYTES])
{
	if (mask == MASK_SHA256_LOCAL)
		sha256_both(salt->bytes, sizeof salt->bytes, data, len, out);
	else
		sha256(data, len, out);
}

static void put_hex(struct buf *out, const uint8_t digest[MASK_DIGEST_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < MASK_DIGEST_BYTES; i++) {
		buf_putc(out, digits[digest[i] >> 4]);
		buf_putc(out, digits[digest[i] & 15]);
	}
}

int mask_text(enum mask mask, const struct mask_salt *salt, const char *text, size_t len,
              struct buf *out, struct err *err)
{
	uint8_t digest[MASK_DIGEST_BYTES];
	size_t points = mask == MASK_SHOW_LAST_4 ? points_of(text, len) : 0;
	switch (mask) {
	case MASK_ALPHANUM:
		put_masked(out, text, len, 0, 0);
		break;
	case MASK_SHOW_FIRST_4:
		put_masked(out, text, len, 0, 4);
		break;
	case MASK_SHOW_LAST_4:
		put_masked(out, text, len, points > 4 ? points - 4 : 0, points);
		break;
	case MASK_SHA256:
	case MASK_SHA256_LOCAL:
		hash(mask, salt, text, len, digest);
		put_hex(out, digest);
		break;
	case MASK_NONE:
		buf_put(out, text, len);
		break;
	default:         /* nothing of it is safe to show */
		buf_puts(out, "XXXXXXXX");
	}
	return buf_check(out, err);
}

int mask_bytes(enum mask mask, const struct mask_salt *salt, const void *data, size_t len,
               struct buf *out, struct err *err)
{
	uint8_t digest[MASK_DIGEST_BYTES];
	if (mask == MASK_NONE) {
		buf_put(out, data, len);
	} else if (mask == MASK_SHA256 || mask == MASK_SHA256_LOCAL) {
		hash(mask, salt, data, len, digest);
		buf_put(out, digest, sizeof digest);
	}
	return buf_check(out, err);
}

/* --- numbers and times --- */

static uint64_t hash_number(enum mask mask, const struct mask_salt *salt, uint64_t bits, size_t len)
{
	uint8_t data[8] = {0}, digest[MASK_DIGEST_BYTES];
	uint64_t number = 0;
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(bits >> (8 * i));
	hash(mask, salt, data, len, digest);
	for (size_t i = 0; i < len; i++)
		number |= (uint64_t)digest[i] << (8 * i);
	return number;
}

int64_t mask_int64(enum mask mask, const struct mask_salt *salt, int64_t value)
{
	if (mask == MASK_NONE)
		return value;
	if (mask == MASK_SHA256 || mask == MASK_SHA256_LOCAL)
		return (int64_t)hash_number(mask, salt, (uint64_t)value, 8);
	return FIXED_INT;
}

int32_t mask_int32(enum mask mask, const struct mask_salt *salt, int32_t value)
{
	if (mask == MASK_NONE)
		return value;
	if (mask == MASK_SHA256 || mask == MASK_SHA256_LOCAL)
		return (int32_t)(uint32_t)hash_number(mask, salt, (uint32_t)value, 4);
	return FIXED_INT;
}

static int64_t truncate_days(enum mask mask, int64_t days)
{
	struct date date = date_of_days(days);
	if (mask == MASK_NONE)
		return days;
	if (mask == MASK_YEAR || mask == MASK_MONTH)
		return date_to_days(date.year, mask == MASK_YEAR ? 1 : date.month, 1);
	return date_to_days(FIXED_YEAR, 12, 31);
}

int32_t mask_date(enum mask mask, int32_t days)
{
	int64_t masked = truncate_days(mask, days);
	return masked < INT32_MIN ? INT32_MIN : (int32_t)masked;
}

int64_t mask_timestamp(enum mask mask, int64_t micros)
{
	int64_t masked = 0;
	if (mask == MASK_NONE)
		return micros;
	if (__builtin_mul_overflow(truncate_days(mask, date_floor(micros, DAY_MICROS)), DAY_MICROS,
	                           &masked))
		return INT64_MIN;
	return masked;
}

/* --- cells --- */

static struct value *number_cell(struct arena *arena, enum mask mask,
                                 const struct mask_salt *salt, enum type type, int64_t value)
{
	switch (type) {
	case TYPE_INT32:
		return value_int(arena, mask_int32(mask, salt, (int32_t)value));
	case TYPE_INT64:
		return value_int(arena, mask_int64(mask, salt, value));
	case TYPE_DATE:
		return value_int(arena, mask_date(mask, (int32_t)value));
	case TYPE_TIMESTAMP:
		return value_int(arena, mask_timestamp(mask, value));
	default:
		return value_int(arena, 0);
	}
}

static int bytes_cell(struct arena *arena, enum mask mask, const struct mask_salt *salt,
                      enum type type, const struct value *cell, struct value **ret_cell,
                      struct err *err)
{
	size_t len = 0;
	const void *data = value_as_bin(cell, &len);
	AUTO_BUF out;
	buf_init(&out, len + 2 * MASK_DIGEST_BYTES);
	if (type == TYPE_STRING)
		TRY(mask_text(mask, salt, data, len, &out, err));
	else
		TRY(mask_bytes(mask, salt, data, len, &out, err));
	*ret_cell = type == TYPE_STRING ? value_strn(arena, (const char *)out.data, out.len)
	                                : value_bin(arena, out.data, out.len);
	return 0;
}

/* Of a type whose only masked value is the fixed one. */
static struct value *fixed_cell(struct arena *arena, const struct value *cell)
{
	switch (value_kind(cell)) {
	case VALUE_BOOL:
		return value_bool(arena, false);
	case VALUE_INT:
		return value_int(arena, 0);
	case VALUE_REAL:
		return value_real(arena, 0);
	default:
		return value_str(arena, "0");
	}
}

int mask_cell(struct arena *arena, enum mask mask, const struct mask_salt *salt, const char *type,
              const struct value *cell, struct value **ret_cell, struct err *err)
{
	enum type known = type_of(type);
	struct value *masked = NULL;
	TRY(mask_check(mask, "", type, false, err));
	if (mask == MASK_NONE)
		masked = value_copy(arena, cell);
	else if (mask == MASK_NULL || value_kind(cell) == VALUE_NULL)
		masked = value_null(arena);
	else if (known == TYPE_STRING || known == TYPE_BYTES)
		TRY(bytes_cell(arena, mask, salt, known, cell, &masked, err));
	else if (known == TYPE_BOOLEAN || known == TYPE_FLOAT64 || known == TYPE_DECIMAL)
		masked = fixed_cell(arena, cell);
	else
		masked = number_cell(arena, mask, salt, known, value_as_int(cell, 0));
	if (!masked)
		return err_set(err, E_NOMEM, "no memory for a masked value");
	*ret_cell = masked;
	return 0;
}
