/* A row read online, as a restricted reader sees it: beside mask_cell on the same cells, and as an
 * answer of the door. */
#include "common/defs.h"
#include "worker/row_veil.h"

#include "common/date.h"
#include "common/json.h"
#include "common/pack.h"
#include "worker/lookup.h"
#include "worker/meter.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 9 };

static struct arena *arena;
static const struct mask_salt salt = {{1, 2, 3}};
static const struct ask_key entity = {"7", 1, true};

static void setup(void)
{
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	cr_assert_eq(crypto_start(NULL), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(row_veil, .init = setup, .fini = teardown);

static const char *const types[FEATURES] = {
	"boolean", "int32", "int64", "float64", "string", "timestamp", "date", "bytes",
	"decimal(6,2)",
};

/* JSON with ' for ". */
static struct value *parse(const char *json)
{
	char *copy = arena_strdup(arena, json);
	struct value *value = NULL;
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(arena, copy, strlen(copy), &value, NULL), 0, "%s", json);
	return value;
}

static const char *as_text(const struct value *value)
{
	AUTO_BUF out;
	buf_init(&out, MIB);
	json_print(value, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	return arena_strdup(arena, (char *)out.data);
}

/* Features f0, f1, ... of the types above; masks: by feature. */
static const struct row_veil *veil_of(const char *filter, const enum mask masks[FEATURES])
{
	static struct access_feature features[FEATURES];
	static char names[FEATURES][4];
	const struct row_veil *veil = NULL;
	for (int i = 0; i < FEATURES; i++) {
		snprintf(names[i], sizeof names[i], "f%d", i);
		features[i] = (struct access_feature){
			.name = names[i], .type = types[i], .mask = masks ? masks[i] : MASK_NONE};
	}
	struct access_view view = {
		.join_key = "k", .key_type = "int64", .features = features,
		.feature_count = FEATURES, .filter = filter ? parse(filter) : NULL,
	};
	cr_assert_eq(row_veil_new(arena, &view, &veil, NULL), 0);
	return veil;
}

/* The values seen, NULL when there is no row. */
static struct value *see(const struct row_veil *veil, const struct value *values)
{
	AUTO_BUF packed;
	struct err err = {0};
	const uint8_t *data = NULL;
	struct value *seen = NULL;
	size_t len = 0;
	buf_init(&packed, MIB);
	cr_assert_eq(pack_write(values, &packed, &err), 0);
	int rc = row_veil_apply(veil, arena, &salt, &entity, packed.data, packed.len, &data, &len,
	                        &err);
	cr_assert_geq(rc, 0, "%s", err.text);
	if (rc == 1)
		cr_assert_eq(pack_read(arena, data, len, &seen, &err), 0, "%s", err.text);
	return seen;
}

/* As t_materialize.c stores them. */
static struct value *stored(void)
{
	struct value *values = parse("[true,7,-9000000000,1.5,'Ann-Lee (7)',"
	                             "'2024-02-29T12:34:56.000001Z','1969-12-31']");
	value_add(values, value_bin(arena, "\xaa\x00", 2));
	value_add(values, value_real(arena, 1.25));
	return values;
}

static const char *day_text(int64_t days, const char *rest)
{
	struct date date = date_of_days(days);
	return arena_printf(arena, "%04d-%02d-%02d%s", (int)date.year, date.month, date.day, rest);
}

/* What mask_cell gives for the cell, as it would have been stored. */
static struct value *expected_cell(enum mask mask, int i, const struct value *cell)
{
	struct value *masked = NULL;
	int64_t us = (date_to_days(2024, 2, 29) * 86400 + 45296) * 1000000 + 1;
	if (strcmp(types[i], "timestamp") == 0)
		cell = value_int(arena, us);
	if (strcmp(types[i], "date") == 0)
		cell = value_int(arena, -1);
	cr_assert_eq(mask_cell(arena, mask, &salt, types[i], cell, &masked, NULL), 0);
	if (value_kind(masked) == VALUE_NULL)
		return masked;
	if (strcmp(types[i], "timestamp") == 0)
		return value_str(arena, day_text(value_as_int(masked, 0) / 86400000000,
		                                 "T00:00:00.000000Z"));
	if (strcmp(types[i], "date") == 0)
		return value_str(arena, day_text(value_as_int(masked, 0), ""));
	return masked;
}

Test(row_veil, each_action_masks_each_type_online_as_on_a_single_cell)
{
	int compared = 0;
	for (int mask = MASK_NONE + 1; mask < MASK_COUNT_; mask++) {
		enum mask masks[FEATURES] = {MASK_NONE};
		for (int i = 0; i < FEATURES; i++)
			if (mask_check((enum mask)mask, "", types[i], false, NULL) == 0)
				masks[i] = (enum mask)mask;
		struct value *values = stored(), *seen = see(veil_of(NULL, masks), values);
		cr_assert_eq(value_len(seen), FEATURES);
		for (int i = 0; i < FEATURES; i++) {
			const struct value *cell = value_at(values, (size_t)i);
			const struct value *right = expected_cell(masks[i], i, cell);
			if (masks[i] == MASK_NONE)
				right = cell;
			compared += masks[i] != MASK_NONE;
			cr_expect(value_equal(value_at(seen, (size_t)i), right), "%s of %s: %s",
			          mask_name((enum mask)mask), types[i],
			          as_text(value_at(seen, (size_t)i)));
		}
	}
	cr_expect_eq(compared, 33);
}

Test(row_veil, what_is_missing_stays_missing_and_what_was_never_written_is_not_made_up)
{
	enum mask masks[FEATURES];
	for (int i = 0; i < FEATURES; i++)
		masks[i] = MASK_FIXED;
	cr_expect_str_eq(as_text(see(veil_of(NULL, masks),
	                             parse("[null,null,null,null,null,null,null,null,null]"))),
	                 "[null,null,null,null,null,null,null,null,null]");
	cr_expect_str_eq(as_text(see(veil_of(NULL, masks), parse("[true,1]"))),
	                 "[false,999999999]");
}

Test(row_veil, a_time_that_cannot_be_read_is_not_shown_masked)
{
	static const char *const odd[] = {"infinity", "soon", "2024-13-01T00:00:00.000000Z", ""};
	enum mask masks[FEATURES] = {[5] = MASK_YEAR, [6] = MASK_YEAR};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct value *values = parse("[true,1,1,1.0,'']");
		value_add_str(values, odd[i]);
		value_add_str(values, odd[i]);
		const struct value *seen = see(veil_of(NULL, masks), values);
		cr_expect_eq(value_kind(value_at(seen, 5)), VALUE_NULL, "%s", odd[i]);
		cr_expect_eq(value_kind(value_at(seen, 6)), VALUE_NULL, "%s", odd[i]);
	}
}

Test(row_veil, the_filter_is_on_originals_and_the_key)
{
	static const struct { const char *filter; bool seen; } cases[] = {
		{"['eq','k',7]", true}, {"['ne','k',7]", false}, {"['any']", false},
		{"['eq','f0',true]", true}, {"['lt','f2',0]", true}, {"['gt','f1',7]", false},
		{"['like','f4','Ann','']", true}, {"['eq','f4','XXXXXXXX']", false},
		{"['gt','f5',{'ms':1709210096000}]", true},
		{"['eq','f5',{'ms':1709210096000}]", false},
		{"['eq','f6',{'ms':-86400000}]", true}, {"['ge','f6',{'ms':0}]", false},
		{"['null','f7']", false}, {"['some','f8']", true},
		{"['any',['eq','k',8],['in','f1',1,7]]", true},
	};
	enum mask masks[FEATURES] = {[4] = MASK_FIXED, [5] = MASK_NULL};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_expect_eq(see(veil_of(cases[i].filter, masks), stored()) != NULL,
		             cases[i].seen, "%s", cases[i].filter);
}

Test(row_veil, a_row_that_the_filter_cannot_understand_is_not_seen)
{
	static const char *const filters[] = {
		"['ne','f5',{'ms':0}]", "['out','gone','x']", "['ne','f6',{'ms':0}]",
	};
	struct value *values = parse("[true,1,1,1.0,'a','then','whenever']");
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		cr_expect_null(see(veil_of(filters[i], NULL), values), "%s", filters[i]);
}

Test(row_veil, nothing_restricted_needs_no_veil)
{
	cr_expect_null(veil_of(NULL, NULL));
}

/* --- through the door --- */

struct rig {
	char dir[40];
	struct online *online;
	struct online_view *view;
	struct meter *meter;
	struct access_plan plan;
	struct access_source source;
	struct access_column columns[2];
	struct ask ask;
	struct ask_key keys[3];
	struct buf out;
};

static const uint8_t key[KEY_BYTES] = {5};
static const int16_t column_of[] = {0, 1};

static void put(struct rig *rig, const char *name, const char *values)
{
	AUTO(online_batch) *batch = NULL;
	AUTO_BUF packed;
	int64_t changed, bytes;
	buf_init(&packed, MIB);
	cr_assert_eq(pack_write(parse(values), &packed, NULL), 0);
	cr_assert_eq(online_batch_new(rig->view, &batch, NULL), 0);
	cr_assert_eq(online_put(batch, name, strlen(name), 1000000, packed.data, packed.len, NULL),
	             0);
	cr_assert_eq(online_commit(batch, &changed, &bytes, NULL), 0);
}

static void rig_start(struct rig *rig)
{
	char path[64];
	memset(rig, 0, sizeof *rig);
	snprintf(rig->dir, sizeof rig->dir, "/tmp/row-veil-XXXXXX");
	cr_assert_not_null(mkdtemp(rig->dir));
	snprintf(path, sizeof path, "%s/online", rig->dir);
	cr_assert_eq(online_new(path, 16 * MIB, &rig->online, NULL), 0);
	snprintf(path, sizeof path, "%s/meter", rig->dir);
	cr_assert_eq(meter_new(path, &rig->meter, NULL), 0);
	cr_assert_eq(online_view_new(rig->online, "acme", "u", 1, key, &rig->view, NULL), 0);
	rig->source = (struct access_source){
		.online = rig->view, .join_key = "k", .join_key_len = 1, .column_of = column_of,
		.feature_count = 2,
	};
	cr_assert_eq(meter_slot(rig->meter, "acme", "d", &rig->source.meter_slot, NULL), 0);
	rig->columns[0].name = "\"a\"";
	rig->columns[1].name = "\"b\"";
	rig->plan = (struct access_plan){
		.tenant = "acme", .views = &rig->source, .view_count = 1, .columns = rig->columns,
		.column_count = 2,
	};
	rig->keys[0] = (struct ask_key){"x", 1, false};
	rig->keys[1] = (struct ask_key){"y", 1, false};
	rig->keys[2] = (struct ask_key){"none", 4, false};
	rig->ask = (struct ask){.entity_count = 1, .rows = 3};
	rig->ask.entities[0] = (struct ask_entity){"k", 1, rig->keys};
	buf_init(&rig->out, MIB);
	put(rig, "x", "['ann@example.com','EU']");
	put(rig, "y", "['bob@example.com','US']");
}

static void rig_stop(struct rig *rig)
{
	char command[80];
	buf_release(&rig->out);
	online_view_free(rig->view);
	meter_free(rig->meter);
	online_free(rig->online);
	snprintf(command, sizeof command, "rm -rf '%s'", rig->dir);
	cr_assert_eq(system(command), 0);
}

/* The answer's columns behind the entities'. */
static const char *read_as(struct rig *rig, const char *filter, enum mask mask)
{
	struct access_feature features[] = {{.name = "a", .type = "string", .mask = mask},
	                                    {.name = "b", .type = "string"}};
	struct access_view view = {
		.join_key = "k", .key_type = "string", .features = features, .feature_count = 2,
		.filter = filter ? parse(filter) : NULL,
	};
	struct lookup_room room;
	struct err err = {0};
	cr_assert_eq(row_veil_new(arena, &view, &rig->source.veil, &err), 0);
	cr_assert_eq(lookup_room_new(arena, &rig->plan, &rig->ask, &room, &err), 0);
	buf_clear(&rig->out);
	cr_assert_eq(lookup_print(&rig->plan, &rig->ask, 2000000, &room, rig->meter, &rig->out,
	                          &err), 0, "%s", err.text);
	struct value *answer = NULL;
	cr_assert_eq(json_parse(arena, (char *)rig->out.data, rig->out.len, &answer, &err), 0);
	struct value *columns = value_list(arena);
	for (size_t i = 1; i < 3; i++)
		value_add(columns, value_copy(arena, value_at(value_get(answer, "results"), i)));
	return as_text(columns);
}

Test(row_veil, a_row_filtered_out_is_answered_as_one_that_is_not_there)
{
	static struct rig rig;
	rig_start(&rig);
	cr_expect_str_eq(read_as(&rig, "['eq','b','EU']", MASK_ALPHANUM),
		"[{\"values\":[\"xxx@xxxxxxx.xxx\",null,null],\"statuses\":[\"PRESENT\","
		"\"NOT_FOUND\",\"NOT_FOUND\"],\"event_timestamps\":[\"1970-01-01T00:00:01Z\","
		"\"1970-01-01T00:00:00Z\",\"1970-01-01T00:00:00Z\"]},{\"values\":[\"EU\",null,null"
		"],"
		"\"statuses\":[\"PRESENT\",\"NOT_FOUND\",\"NOT_FOUND\"],\"event_timestamps\":"
		"[\"1970-01-01T00:00:01Z\",\"1970-01-01T00:00:00Z\",\"1970-01-01T00:00:00Z\"]}]");
	rig_stop(&rig);
}

Test(row_veil, each_answer_has_a_salt_of_its_own)
{
	static struct rig rig;
	rig_start(&rig);
	const char *first = read_as(&rig, NULL, MASK_SHA256_LOCAL);
	cr_expect_str_neq(read_as(&rig, NULL, MASK_SHA256_LOCAL), first);
	const char *global = read_as(&rig, NULL, MASK_SHA256);
	cr_expect_str_eq(read_as(&rig, NULL, MASK_SHA256), global);
	rig_stop(&rig);
}

Test(row_veil, what_grows_by_its_mask_still_has_room_or_is_read_the_long_way)
{
	static struct rig rig;
	struct found found[3];
	const uint8_t *cells[6];
	uint8_t bytes[128];
	struct lookup_room room = {
		.found = found, .found_max = 3, .cells = cells, .cell_max = 6, .bytes = bytes,
		.byte_max = sizeof bytes,
	};
	rig_start(&rig);
	(void)read_as(&rig, NULL, MASK_SHA256);
	buf_clear(&rig.out);
	cr_expect_eq(lookup_print(&rig.plan, &rig.ask, 2000000, &room, rig.meter, &rig.out, NULL),
	             E_TOO_LARGE);
	rig_stop(&rig);
}
