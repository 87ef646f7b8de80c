/* b_rowfilter.c - what a restriction costs: the 3,000,000 flights read by a reader whose rows are
 * filtered, or whose columns are masked, beside one who may see all and writes the same condition
 * by hand, or none. Both from grant to report. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/json.h"
#include "tests/bench/sealed.h"

#include <string.h>

enum { ROUNDS = 25 };

static const char *const columns[][2] = {
	{"date", "timestamp"}, {"delay", "int64"}, {"distance", "int64"}, {"origin", "string"},
	{"destination", "string"},
};

#define ALL "max(date) AS a, avg(delay) AS b, avg(distance) AS c, min(origin) AS d, " \
	    "max(destination) AS e"

/* What a reader asks, under which restriction, and what stands beside it. */
static const struct measured {
	enum figure_id id;
	const char *filter, *masks, *select, *by_hand;
} rows[] = {
	{FIGURE_rowfilter_most, "['gt','distance',300]", NULL, "SELECT " ALL " FROM flights",
	 "SELECT " ALL " FROM flights WHERE distance > 300"},
	{FIGURE_rowfilter_few, "['in','origin','ATL','ORD']", NULL, "SELECT " ALL " FROM flights",
	 "SELECT " ALL " FROM flights WHERE origin IN ('ATL', 'ORD')"},
	{FIGURE_rowfilter_many, "['any',['in','origin','ATL','ORD'],['all',['gt','delay',10],"
	 "['lt','distance',900]]]", NULL, "SELECT " ALL " FROM flights",
	 "SELECT " ALL " FROM flights WHERE origin IN ('ATL', 'ORD') OR (delay > 10 AND "
	 "distance < 900)"},
	{FIGURE_rowfilter_one, "['gt','distance',300]", NULL, "SELECT avg(delay) AS a FROM flights",
	 "SELECT avg(delay) AS a FROM flights WHERE distance > 300"},
	{FIGURE_rowfilter_narrow, "['gt','distance',300]", NULL,
	 "SELECT avg(delay) AS a FROM flights WHERE origin = 'ATL'",
	 "SELECT avg(delay) AS a FROM flights WHERE distance > 300 AND origin = 'ATL'"},
	{FIGURE_rowfilter_mask, NULL, "{'origin':'show-first-4','date':'truncate-to-month'}",
	 "SELECT max(date) AS a, max(origin) AS b FROM flights",
	 "SELECT max(date) AS a, max(origin) AS b FROM flights"},
	{FIGURE_rowfilter_sha, NULL, "{'origin':'sha-256-query-local'}",
	 "SELECT max(origin) AS b FROM flights", "SELECT max(origin) AS b FROM flights"},
	{FIGURE_rowfilter_sha_number, NULL, "{'distance':'sha-256-query-local'}",
	 "SELECT max(distance) AS b FROM flights", "SELECT max(distance) AS b FROM flights"},
};

struct reader {
	struct local *local;
	struct grant_table whole, restricted;
	const struct measured *measured;
};

static int restricted(void *context, double *ret_value, struct err *err)
{
	struct reader *reader = context;
	return sealed_select(reader->local, &reader->restricted, reader->measured->select,
			     ret_value, err);
}

static int by_hand(void *context, double *ret_value, struct err *err)
{
	struct reader *reader = context;
	return sealed_select(reader->local, &reader->whole, reader->measured->by_hand, ret_value,
			     err);
}

/* JSON with ' for "; NULL for NULL. */
static int parse(struct arena *arena, const char *json, const struct value **ret_value,
		 struct err *err)
{
	struct value *value = NULL;
	*ret_value = NULL;
	if (!json)
		return 0;
	char *copy = arena_strdup(arena, json);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for a restriction");
	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	TRY(json_parse(arena, copy, strlen(copy), &value, err));
	*ret_value = value;
	return 0;
}

static int measure(struct bench *bench, struct reader *reader, const struct measured *measured,
		   struct err *err)
{
	double value, floor;
	reader->measured = measured;
	reader->restricted = reader->whole;
	TRY(parse(bench->arena, measured->filter, &reader->restricted.restriction.filter, err));
	TRY(parse(bench->arena, measured->masks, &reader->restricted.restriction.masks, err));
	TRY(bench_turns(ROUNDS, restricted, by_hand, reader, &value, &floor, err));
	bench_figure(bench, measured->id, value, floor);
	return 0;
}

int bench_rowfilter(struct bench *bench, struct err *err)
{
	AUTO(local) *local = NULL;
	struct input_files files;
	TRY(local_new(bench, 1, &local, err));
	TRY(input_flights_files(bench, &files, err));
	files.count = 1;
	struct reader reader = {.local = local};
	TRY(sealed_table(bench, local, &files, "flights", columns, ARRAY_LEN(columns),
			 &reader.whole, err));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		TRY(measure(bench, &reader, &rows[i], err));
	return sealed_drop(local, &reader.whole, err);
}
