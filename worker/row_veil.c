/* row_veil.c - see row_veil.h. Invariant: what lies online as text and is none (t_materialize.c,
 * put_feature: timestamps, dates) is read back before it is compared or masked. */
#include "common/defs.h"
#include "worker/row_veil.h"

#include "common/date.h"
#include "common/pack.h"
#include "worker/online.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_US (INT64_C(86400) * 1000000)
enum { PACKED_MAX = ONLINE_ROOM, TIME_TEXT = 64, YEARS_MAX = 10000000 };

struct veil_feature {
	const char *name, *type;
	enum mask mask;
};

struct row_veil {
	const char *join_key;
	bool number_key;
	const struct value *filter;      /* NULL: every row */
	const struct veil_feature *features;
	size_t feature_count;
};

static bool is_restricted(const struct access_view *view)
{
	for (size_t i = 0; i < view->feature_count; i++)
		if (view->features[i].mask != MASK_NONE)
			return true;
	return view->filter != NULL;
}

int row_veil_new(struct arena *arena, const struct access_view *view,
                 const struct row_veil **ret_veil, struct err *err)
{
	*ret_veil = NULL;
	if (!is_restricted(view))
		return 0;
	struct row_veil *veil = arena_alloc(arena, sizeof *veil);
	struct veil_feature *features = arena_alloc(arena,
	                                            view->feature_count * sizeof *features + 1);
	if (!veil || !features)
		return err_set(err, E_NOMEM, "no memory for a restricted view");
	bool whole = true;
	for (size_t i = 0; i < view->feature_count; i++) {
		features[i].name = arena_strdup(arena, view->features[i].name);
		features[i].type = arena_strdup(arena, view->features[i].type);
		features[i].mask = view->features[i].mask;
		whole = whole && features[i].name && features[i].type;
	}
	*veil = (struct row_veil){
		.join_key = arena_strdup(arena, view->join_key),
		.number_key = strcmp(view->key_type, "int64") == 0,
		.filter = view->filter ? value_copy(arena, view->filter) : NULL,
		.features = features, .feature_count = view->feature_count,
	};
	if (!whole || !veil->join_key || (view->filter && value_check(veil->filter, NULL) < 0))
		return err_set(err, E_NOMEM, "no memory for a restricted view");
	*ret_veil = veil;
	return 0;
}

/* --- times as text --- */

/* Past the end of what us can say lie the infinities. */
static int64_t micros_of(int64_t year, int month, int day, int64_t of_day)
{
	int64_t us = 0;
	if (llabs(year) > YEARS_MAX ||
	    __builtin_mul_overflow(date_to_days(year, month, day), DAY_US, &us) ||
	    __builtin_add_overflow(us, of_day, &us))
		return year < 1970 ? INT64_MIN : INT64_MAX;
	return us;
}

/* "2001-01-31T12:00:00.000001Z", or without a time, or with " (BC)" behind. */
static bool read_stamp(const char *text, int64_t *ret_us)
{
	int64_t year = 0;
	int month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction = 0, end = 0;
	int got = sscanf(text, "%" SCNd64 "-%2d-%2d%nT%2d:%2d:%2d.%6dZ%n", &year, &month, &day,
	                 &end, &hour, &minute, &second, &fraction, &end);
	bool before = got == 3 && strcmp(text + end, " (BC)") == 0;
	if (!before && ((got != 3 && got != 7) || text[end]))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	*ret_us = micros_of(before ? 1 - year : year, month, day,
	                    ((hour * INT64_C(60) + minute) * 60 + second) * 1000000 + fraction);
	return true;
}

static bool read_time(const char *text, int64_t *ret_us)
{
	bool past = text[0] == '-';
	if (strcmp(text + past, "infinity") != 0)
		return read_stamp(text, ret_us);
	*ret_us = past ? INT64_MIN : INT64_MAX;
	return true;
}

static void print_day(int64_t days, char out[TIME_TEXT], const char *rest)
{
	struct date date = date_of_days(days);
	snprintf(out, TIME_TEXT, "%04" PRId64 "-%02d-%02d%s", date.year, date.month, date.day,
	         rest);
}

static bool is(const char *type, const char *other)
{
	return strcmp(type, other) == 0;
}

static bool is_time(const char *type)
{
	return is(type, "timestamp") || is(type, "date");
}

/* --- the filter --- */

struct row {
	const struct row_veil *veil;
	struct arena *arena;
	const struct ask_key *key;
	const struct value *values;
	bool unclear;                /* a value that the filter asks for is not understood */
};

static const struct value *key_cell(struct row *row)
{
	const char *text = arena_strndup(row->arena, row->key->text, row->key->len);
	struct value *cell = NULL;
	if (text)
		cell = row->veil->number_key ? value_int(row->arena, strtoll(text, NULL, 10))
		                             : value_str(row->arena, text);
	row->unclear = row->unclear || !cell;
	return cell;
}

static const struct value *time_cell(struct row *row, const struct value *stored)
{
	int64_t us = 0;
	const char *text = value_as_str(stored);
	struct value *cell = text && read_time(text, &us) ? value_int(row->arena, us) : NULL;
	row->unclear = row->unclear || !cell;
	return cell;
}

static const struct value *get(void *context, const char *column)
{
	struct row *row = context;
	const struct row_veil *veil = row->veil;
	if (is(column, veil->join_key))
		return key_cell(row);
	for (size_t i = 0; i < veil->feature_count; i++) {
		const struct value *stored = value_at(row->values, i);
		if (!is(column, veil->features[i].name))
			continue;
		return value_kind(stored) != VALUE_NULL && is_time(veil->features[i].type)
		               ? time_cell(row, stored) : stored;
	}
	row->unclear = true;
	return NULL;
}

/* --- the masks --- */

/* A time that is not understood has nothing in its place. */
static int mask_time(const struct veil_feature *feature, struct arena *arena,
                     const struct value *stored, struct value **ret_cell, struct err *err)
{
	char text[TIME_TEXT];
	int64_t us = 0;
	bool date = is(feature->type, "date");
	*ret_cell = value_null(arena);
	if (!value_as_str(stored) || !read_time(value_as_str(stored), &us) || us == INT64_MIN ||
	    us == INT64_MAX)
		return 0;
	struct value *cell = value_int(arena, date ? date_floor(us, DAY_US) : us), *masked = NULL;
	TRY(mask_cell(arena, feature->mask, NULL, feature->type, cell, &masked, err));
	if (value_kind(masked) != VALUE_INT)
		return 0;
	int64_t number = value_as_int(masked, 0);
	print_day(date ? number : date_floor(number, DAY_US), text,
	          date ? "" : "T00:00:00.000000Z");
	*ret_cell = value_str(arena, text);
	return 0;
}

static int mask_one(const struct veil_feature *feature, struct arena *arena,
                    const struct mask_salt *salt, const struct value *stored,
                    struct value **ret_cell, struct err *err)
{
	if (feature->mask != MASK_NONE && is_time(feature->type))
		return mask_time(feature, arena, stored, ret_cell, err);
	return mask_cell(arena, feature->mask, salt, feature->type, stored, ret_cell, err);
}

static int mask_all(const struct row_veil *veil, struct arena *arena,
                    const struct mask_salt *salt, const struct value *values,
                    const uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	AUTO_BUF packed;
	struct value *list = value_list(arena);
	buf_init(&packed, PACKED_MAX);
	for (size_t i = 0; i < value_len(values) && i < veil->feature_count; i++) {
		struct value *cell = NULL;
		TRY(mask_one(&veil->features[i], arena, salt, value_at(values, i), &cell, err));
		value_add(list, cell);
	}
	TRY(value_check(list, err));
	TRY(pack_write(list, &packed, err));
	uint8_t *copy = arena_alloc(arena, packed.len + 1);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for masked values");
	memcpy(copy, packed.data, packed.len);
	*ret_data = copy;
	*ret_len = packed.len;
	return 0;
}

int row_veil_apply(const struct row_veil *veil, struct arena *arena, const struct mask_salt *salt,
                   const struct ask_key *key, const uint8_t *data, size_t len,
                   const uint8_t **ret_data, size_t *ret_len, struct err *err)
{
	struct value *values = NULL;
	if (pack_read(arena, data, len, &values, NULL) < 0 || value_kind(values) != VALUE_LIST)
		return err_set(err, E_CORRUPT, "online store: a value is no list of scalars");
	struct row row = {veil, arena, key, values, false};
	if (veil->filter && (!rowfilter_test(veil->filter, get, &row) || row.unclear))
		return 0;
	TRY(mask_all(veil, arena, salt, values, ret_data, ret_len, err));
	return 1;
}
