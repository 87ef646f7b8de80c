/* Reading by plan: damage and lack of room are errors, and what fails is not counted. */
#include "common/defs.h"
#include "worker/lookup.h"

#include "worker/meter.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 2, ROWS = 2 };

struct rig {
	char dir[40];
	struct online *online;
	struct online_view *view;
	struct meter *meter;
	struct access_plan plan;
	struct access_source source;
	struct access_column columns[COLUMNS];
	struct ask ask;
	struct ask_key keys[ROWS];
	struct found found[ROWS];
	const uint8_t *cells[COLUMNS * ROWS];
	uint8_t bytes[ONLINE_ROOM];
	struct lookup_room room;
	struct buf out;
	struct err err;
};

static const uint8_t key[KEY_BYTES] = { 5 };
static const int16_t column_of[] = { 1, -1, 0 };   /* the third feature first, then the first */

static void put(struct rig *rig, const char *entity, const void *values, size_t len)
{
	AUTO(online_batch) *batch = NULL;
	int64_t changed, bytes;
	cr_assert_eq(online_batch_new(rig->view, &batch, NULL), 0);
	cr_assert_eq(online_put(batch, entity, strlen(entity), 1000000, values, len, NULL), 0);
	cr_assert_eq(online_commit(batch, &changed, &bytes, NULL), 0);
}

static void make_ask(struct rig *rig, const char *join_key, size_t rows)
{
	rig->keys[0] = (struct ask_key) { "x", 1, false };
	rig->keys[1] = (struct ask_key) { "7", 1, true };
	rig->ask = (struct ask) { .entity_count = 1, .rows = rows };
	rig->ask.entities[0] = (struct ask_entity) { join_key, strlen(join_key), rig->keys };
}

static void rig_start(struct rig *rig)
{
	char path[64];
	memset(rig, 0, sizeof *rig);
	snprintf(rig->dir, sizeof rig->dir, "/tmp/lookup-test-XXXXXX");
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_not_null(mkdtemp(rig->dir));
	snprintf(path, sizeof path, "%s/online", rig->dir);
	cr_assert_eq(online_new(path, 16 * MIB, &rig->online, NULL), 0);
	snprintf(path, sizeof path, "%s/meter", rig->dir);
	cr_assert_eq(meter_new(path, &rig->meter, NULL), 0);
	cr_assert_eq(online_view_new(rig->online, "acme", "u", 1, key, &rig->view, NULL), 0);
	rig->source = (struct access_source) {
		.online = rig->view, .join_key = "k", .join_key_len = 1, .column_of = column_of,
		.feature_count = ARRAY_LEN(column_of),
	};
	cr_assert_eq(meter_slot(rig->meter, "acme", "d", &rig->source.meter_slot, NULL), 0);
	rig->columns[0].name = "\"c\"";
	rig->columns[1].name = "\"a\"";
	rig->plan = (struct access_plan) {
		.tenant = "acme", .views = &rig->source, .view_count = 1, .columns = rig->columns,
		.column_count = COLUMNS,
	};
	rig->room = (struct lookup_room) {
		.found = rig->found, .found_max = ROWS, .cells = rig->cells,
		.cell_max = COLUMNS * ROWS, .bytes = rig->bytes, .byte_max = sizeof rig->bytes,
	};
	buf_init(&rig->out, MIB);
	make_ask(rig, "k", ROWS);
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

static int print(struct rig *rig)
{
	buf_clear(&rig->out);
	return lookup_print(&rig->plan, &rig->ask, 2000000, &rig->room, rig->meter, &rig->out,
	                    &rig->err);
}

Test(lookup, features_land_in_the_columns_they_were_asked_for_in)
{
	static struct rig rig;
	rig_start(&rig);
	put(&rig, "x", "\x93\x01\x02\x03", 4);
	put(&rig, "7", "\x92\x0a\x0b", 3);     /* of an older time: no third value */
	cr_assert_eq(print(&rig), 0, "%s", rig.err.text);
	cr_expect_str_eq((char *)rig.out.data,
		"{\"metadata\":{\"feature_names\":[\"k\",\"c\",\"a\"]},\"results\":[{\"values\":"
		"[\"x\",7],\"statuses\":[\"PRESENT\",\"PRESENT\"],\"event_timestamps\":"
		"[\"1970-01-01T00:00:00Z\",\"1970-01-01T00:00:00Z\"]},{\"values\":[3,null],"
		"\"statuses\":[\"PRESENT\",\"NOT_FOUND\"],\"event_timestamps\":"
		"[\"1970-01-01T00:00:01Z\",\"1970-01-01T00:00:00Z\"]},{\"values\":[1,10],"
		"\"statuses\":[\"PRESENT\",\"PRESENT\"],\"event_timestamps\":"
		"[\"1970-01-01T00:00:01Z\",\"1970-01-01T00:00:01Z\"]}]}");
	cr_expect_eq(meter_total(rig.meter), ROWS);
	rig_stop(&rig);
}

Test(lookup, stored_values_that_are_no_list_of_scalars_are_corrupt_and_not_counted)
{
	static struct rig rig;
	static const struct { const char *bytes; size_t len; } bad[] = {
		{ "\x01", 1 }, { "\x93\x01", 2 }, { "\x91\x91\x01", 3 }, { "", 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		rig_start(&rig);
		put(&rig, "x", bad[i].bytes, bad[i].len);
		cr_expect_eq(print(&rig), E_CORRUPT, "case %zu", i);
		cr_expect_eq(meter_total(rig.meter), 0);
		rig_stop(&rig);
	}
}

Test(lookup, too_little_room_is_said_and_an_arena_gives_it)
{
	static struct rig rig;
	AUTO(arena) *arena = NULL;
	static char large[3000];
	rig_start(&rig);
	cr_assert_eq(arena_new(4 * MIB, &arena, NULL), 0);
	memcpy(large, "\x91\xc5\x0b\xb4", 4);   /* a list of one: 2996 bytes */
	put(&rig, "x", large, sizeof large);
	rig.room.byte_max = 1000;
	cr_expect_eq(print(&rig), E_TOO_LARGE);
	rig.room.byte_max = sizeof rig.bytes;
	rig.room.found_max = 1;
	cr_expect_eq(print(&rig), E_TOO_LARGE);
	cr_assert_eq(lookup_room_new(arena, &rig.plan, &rig.ask, &rig.room, NULL), 0);
	cr_expect_eq(print(&rig), 0, "%s", rig.err.text);
	rig_stop(&rig);
}

Test(lookup, a_join_key_that_is_missing_or_of_no_view_is_named)
{
	static struct rig rig;
	rig_start(&rig);
	make_ask(&rig, "other", 1);
	cr_expect_eq(print(&rig), E_INVALID);
	cr_expect_not_null(strstr(rig.err.text, "\"other\""), "%s", rig.err.text);
	rig.ask.entity_count = 0;
	cr_expect_eq(print(&rig), E_INVALID);
	cr_expect_not_null(strstr(rig.err.text, "\"k\" is missing"), "%s", rig.err.text);
	rig_stop(&rig);
}
