/* test_queries.c - SQL over datasets from the door to the rows: formats, names, refusals, limits,
 * what is counted and what is told to the log, over the real engine in executors of its own. */
#include "common/defs.h"
#include "tests/support/yard.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 40, MINUTE_MS = 60000 };

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define TRIPS(rest) "/v1/tenants/globex/domains/trips/" rest

struct cast {
	struct yard *yard;
	struct plane *plane;
	struct company acme, globex;
	const char *reader; /* a consumer's key */
};

static void load(struct cast *cast)
{
	char text[4096];
	int len = snprintf(text, sizeof text, "origin,seen,delay,note\n");
	for (int i = 0; i < ROWS; i++)
		len += snprintf(text + len, sizeof text - (size_t)len,
		                "%s,2001-09-09 01:%02d:00,%d,\"a, \"\"b\"\"\"\n",
		                i % 2 ? "ATL" : "ORD", i, i);
	yard_file(cast->yard, "acme", "flights.csv", text);
	plane_put(cast->plane, cast->acme.key, "Dataset", SALES("datasets/flights"),
	          "{'schema':[{'name':'origin','type':'string'},{'name':'seen','type':'timestamp'},"
	          "{'name':'delay','type':'int64'},{'name':'note','type':'string'}]}");
	plane_put(cast->plane, cast->acme.key, "Source", SALES("sources/flights"),
	          "{'connector':'file','path':'flights.csv','dataset':'flights','format':'csv'}");
	const char *id = yard_submit(cast->yard, &cast->acme, "ingest", "{'source':'flights'}");
	const struct value *task = yard_await(cast->yard, &cast->acme, id, NULL);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded");
}

static void raise_curtain(struct cast *cast)
{
	cast->yard = yard_open();
	cast->plane = cast->yard->stage->plane;
	cast->acme = (struct company){"acme", "sales", plane_tenant(cast->plane, "acme", "sales")};
	cast->globex = (struct company){"globex", "trips",
	                                plane_tenant(cast->plane, "globex", "trips")};
	cast->reader = plane_principal(cast->plane, "acme", "eve", "'consumer'", "sales");
	load(cast);
}

static void drop_curtain(struct cast *cast)
{
	yard_close(cast->yard);
}

static struct answer ask(struct cast *cast, const char *key, const char *body)
{
	return yard_query(cast->yard, key, NULL, body);
}

/* The rows of an answer, as JSON. */
static const char *rows_of(const struct answer *answer)
{
	const char *rows = strstr(answer->text, "\"rows\":");
	return rows ? rows : answer->text;
}

Test(queries, a_consumer_reads_a_dataset_by_its_name_and_by_its_domain)
{
	struct cast cast;
	raise_curtain(&cast);
	struct answer bare = ask(&cast, cast.reader,
	                         "{'sql':'SELECT origin, sum(delay) AS d FROM Flights GROUP BY 1 "
	                         "ORDER BY 1'}");
	cr_expect_eq(bare.status, 200, "%s", bare.text);
	cr_expect_not_null(strstr(rows_of(&bare), "[\"ATL\",400],\n[\"ORD\",380]"), "%s", bare.text);
	drop_curtain(&cast);
}
