/* test_queries.c - SQL over datasets from the door to the rows: names, refusals, what policies
 * leave, what is counted and what is told to the log, over the real engine in executors of its own.
 */
#include "common/defs.h"
#include "tests/support/yard.h"

#include "common/json.h"
#include "worker/serve_query.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROWS = 40, MINUTE_MS = 60000, MUCH = 1000000 };

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define TRIPS(rest) "/v1/tenants/globex/domains/trips/" rest
#define ENDLESS "SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) = 3"

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
		                "%s,2001-09-09 01:%02d:00,%d,secret-%d\n", i % 2 ? "ATL" : "ORD", i,
		                i, i);
	yard_file(cast->yard, "acme", "flights.csv", text);
	plane_put(cast->plane, cast->acme.key, "Dataset", SALES("datasets/flights"),
	          "{'schema':[{'name':'origin','type':'string'},{'name':'seen','type':'timestamp'},"
	          "{'name':'delay','type':'int64'},"
	          "{'name':'note','type':'string','tags':['pii']}]}");
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

static void policy(struct cast *cast, const char *name, const char *text)
{
	struct arena *arena = cast->plane->arena;
	struct value *spec = value_map(arena);
	AUTO_BUF out;
	buf_init(&out, MIB);
	value_set_str(spec, "text", text);
	json_print(spec, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	plane_put(cast->plane, cast->acme.key, "Policy",
	          arena_printf(arena, "/v1/tenants/acme/policies/%s", name),
	          arena_strndup(arena, (const char *)out.data, out.len));
}

static struct answer ask(struct cast *cast, const char *key, const char *body)
{
	return yard_query(cast->yard, key, NULL, body);
}

static void expect_rows(const struct answer *answer, const char *rows)
{
	cr_expect_eq(answer->status, 200, "%s", answer->text);
	cr_expect_not_null(strstr(answer->text, rows), "%s is not in %s", rows, answer->text);
}

static void expect_refusal(const struct answer *answer, int status, const char *said)
{
	cr_expect_eq(answer->status, status, "%s", answer->text);
	cr_expect_not_null(strstr(answer->detail, said), "%s", answer->text);
}

/* ---- what is counted and told ---- */

struct counted {
	struct cast *cast;
	int64_t queries, bytes, cpu_ms;
};

static bool are_counted(void *context)
{
	struct counted *counted = context;
	struct answer answer = plane_call(counted->cast->plane, counted->cast->acme.key, "GET",
	                                  "/v1/tenants/acme/usage", NULL);
	const struct value *total = value_get(answer.body, "total");
	counted->bytes = value_get_int(total, "bytesRead", 0);
	return value_get_int(total, "queries", 0) >= counted->queries;
}

static const struct value *last_event(struct cast *cast)
{
	struct answer list = plane_call(cast->plane, cast->acme.key, "GET",
	                                "/v1/tenants/acme/audit?action=dataset:query&limit=1",
	                                NULL);
	cr_assert_eq(list.status, 200, "%s", list.text);
	return value_at(value_get(list.body, "items"), 0);
}

static bool same(const struct value *map, const char *member, const char *text)
{
	const char *found = value_get_str(map, member);
	return found && strcmp(found, text) == 0;
}

Test(queries, a_consumer_reads_what_it_may_and_it_is_counted_and_told_to_the_log)
{
	struct cast cast;
	raise_curtain(&cast);
	struct answer bare = ask(&cast, cast.reader,
	                         "{'sql':'SELECT origin, sum(delay) AS d FROM Flights GROUP BY 1 "
	                         "ORDER BY 1'}");
	expect_rows(&bare, "[\"ATL\",400],\n[\"ORD\",380]");
	struct answer far = yard_query(cast.yard, cast.acme.key, "planning",
	                               "{'sql':'SELECT count(*) AS n FROM sales.flights',"
	                               "'format':'jsonl'}");
	expect_rows(&far, "{\"n\":40}\n");
	const struct value *event = last_event(&cast);
	cr_expect(same(event, "result", "allowed"));
	cr_expect(same(event, "resource", "datasets/sales.flights"));
	cr_expect(same(event, "purpose", "planning"));
	struct counted counted = {&cast, 2, 0, 0};
	cr_expect(stage_await(cast.yard->stage, are_counted, &counted, MINUTE_MS));
	cr_expect_gt(counted.bytes, 0);
	struct answer none = ask(&cast, cast.acme.key, "{'sql':'SELECT * FROM flights'}");
	expect_refusal(&none, 400, "which domain");
	struct answer there = ask(&cast, cast.acme.key,
	                          "{'sql':'SELECT max(delay) FROM flights','domain':'sales'}");
	expect_rows(&there, "[39]");
	struct answer bad = ask(&cast, cast.reader, "{'sql':'SELECT origin FORM flights x'}");
	expect_refusal(&bad, 400, "line 1, column ");
	struct answer format = ask(&cast, cast.reader, "{'sql':'SELECT 1','format':'xml'}");
	expect_refusal(&format, 400, "format");
	plane_put(cast.plane, cast.plane->operator_key, "Quota", "/v1/tenants/acme/quotas/q",
	          "{'queries':2}");
	struct answer spent = ask(&cast, cast.reader, "{'sql':'SELECT * FROM flights'}");
	cr_expect_eq(spent.status, 429, "%s", spent.text);
	cr_expect(same(last_event(&cast), "result", "refused"));
	yard_close(cast.yard);
}

/* To the byte, the names and the request's id apart. */
static void expect_hidden(struct cast *cast, const char *key, const char *name)
{
	struct arena *arena = cast->plane->arena;
	const char *body = arena_printf(arena, "{'sql':'SELECT * FROM %s'}", name);
	struct answer answer = ask(cast, key, body);
	const char *wanted = arena_printf(arena,
	                                  "there is no dataset \"%s\" that you may read; write "
	                                  "DOMAIN.DATASET, or DATASET in your own domain", name);
	cr_expect_eq(answer.status, 404, "%s: %s", name, answer.text);
	cr_expect_str_eq(answer.detail, wanted);
}

Test(queries, another_tenants_dataset_and_a_hidden_one_are_as_one_that_does_not_exist)
{
	struct cast cast;
	raise_curtain(&cast);
	const char *trips = plane_principal(cast.plane, "globex", "gus", "'consumer'", "trips");
	const char *auditor = plane_principal(cast.plane, "acme", "ada", "'auditor'", NULL);
	plane_put(cast.plane, cast.acme.key, "Domain", "/v1/tenants/acme/domains/hr", "{}");
	plane_put(cast.plane, cast.acme.key, "Dataset", "/v1/tenants/acme/domains/hr/datasets/pay",
	          "{}");
	expect_hidden(&cast, trips, "nothing");
	expect_hidden(&cast, trips, "flights");
	expect_hidden(&cast, trips, "sales.flights");
	expect_hidden(&cast, cast.globex.key, "sales.flights");
	expect_hidden(&cast, cast.reader, "hr.pay");
	expect_hidden(&cast, cast.reader, "hr.nothing");
	expect_hidden(&cast, cast.plane->operator_key, "sales.flights");
	struct answer told = ask(&cast, auditor, "{'sql':'SELECT * FROM sales.flights'}");
	expect_refusal(&told, 403, "dataset:query");
	struct answer who = ask(&cast, "fh_nobody", "{'sql':'SELECT 1'}");
	cr_expect_eq(who.status, 401, "%s", who.text);
	/* What is shared is read under the name it was accepted by, and both logs say so. */
	plane_put(cast.plane, cast.acme.key, "Offer", SALES("offers/gold"),
	          "{'datasets':['flights'],'to':{'tenant':'globex','domain':'trips'},"
	          "'purpose':'planning'}");
	plane_put(cast.plane, cast.globex.key, "Acceptance", TRIPS("acceptances/acme_sales"),
	          "{'from':{'tenant':'acme','domain':'sales','offer':'gold'}}");
	struct answer shared = ask(&cast, trips,
	                           "{'sql':'SELECT count(*) FROM acme_sales.flights'}");
	expect_rows(&shared, "[40]");
	expect_hidden(&cast, trips, "acme_sales.other");
	plane_call(cast.plane, cast.acme.key, "DELETE", SALES("offers/gold"), NULL);
	expect_hidden(&cast, trips, "acme_sales.flights");
	yard_close(cast.yard);
}

Test(queries, policies_leave_rows_and_columns_and_ask_for_a_purpose)
{
	struct cast cast;
	raise_curtain(&cast);
	policy(&cast, "rows",
	       "forbid(principal == User::\"acme/eve\", action == Action::\"dataset:read\", "
	       "resource is Dataset) when { resource.row.origin == \"ORD\" };");
	policy(&cast, "columns",
	       "@mask(\"replace-with-null\") forbid(principal == User::\"acme/eve\", "
	       "action == Action::\"column:read\", resource) when { "
	       "resource.tags.contains(\"pii\") };");
	struct answer rows = ask(&cast, cast.reader,
	                         "{'sql':'SELECT origin, count(*), count(note) FROM flights "
	                         "GROUP BY 1'}");
	expect_rows(&rows, "\"rows\":[\n[\"ATL\",20,0]],");
	struct answer raw = ask(&cast, cast.reader,
	                        "{'sql':'SELECT * FROM flights','format':'csv'}");
	cr_expect_eq(raw.status, 200, "%s", raw.text);
	cr_expect_null(strstr(raw.text, "secret-"), "%s", raw.text);
	cr_expect_null(strstr(raw.text, "ORD"), "%s", raw.text);
	struct answer owner = ask(&cast, cast.acme.key,
	                          "{'sql':'SELECT count(note) FROM sales.flights'}");
	expect_rows(&owner, "[40]");
	plane_put(cast.plane, cast.acme.key, "Dataset", SALES("datasets/flights"),
	          "{'purposes':['planning'],'schema':[{'name':'origin','type':'string'},"
	          "{'name':'seen','type':'timestamp'},{'name':'delay','type':'int64'},"
	          "{'name':'note','type':'string','tags':['pii']}]}");
	const char *body = "{'sql':'SELECT count(*) FROM flights'}";
	struct answer none = ask(&cast, cast.reader, body);
	cr_expect_eq(none.status, 403, "%s", none.text);
	struct answer other = yard_query(cast.yard, cast.reader, "gossip", body);
	cr_expect_eq(other.status, 403, "%s", other.text);
	struct answer right = yard_query(cast.yard, cast.reader, "planning", body);
	expect_rows(&right, "[20]");
	yard_close(cast.yard);
}

/* ---- long ones ---- */

static int dial(struct cast *cast, const char *sql, const char *format)
{
	char text[2048], body[1024];
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)serve_port(cast->yard->serve)),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
	int len = snprintf(body, sizeof body, "{\"sql\":\"%s\",\"format\":\"%s\"}", sql, format);
	int all = snprintf(text, sizeof text,
	                   "POST /query HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	                   "Authorization: Bearer %s\r\n"
	                   "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
	                   cast->reader, len, body);
	cr_assert_eq(write(fd, text, (size_t)all), all);
	return fd;
}

static bool leads(void *context)
{
	return stage_leads(context);
}

/* The clock stands while a query is on its way: nothing of it waits for time, and control leads on.
 */
static void await_running(struct cast *cast, int count)
{
	struct queries_status status = {.running = -1};
	for (int i = 0; i < MINUTE_MS && status.running != count; i++) {
		usleep(1000);
		queries_status(cast->yard->queries, &status);
	}
	cr_assert_eq(status.running, count);
}

static int dial_leader(struct cast *cast, const char *sql, const char *format)
{
	cr_assert(stage_await(cast->yard->stage, leads, cast->yard->stage, MINUTE_MS));
	return dial(cast, sql, format);
}

/* All that comes until the server closes; false: it was cut off before its last chunk. */
static bool read_all(int fd, struct buf *out)
{
	char bytes[65536];
	ssize_t n;
	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		(void)!buf_put(out, bytes, (size_t)n);
	close(fd);
	buf_putc(out, 0);
	return out->len > 6 && memcmp(out->data + out->len - 6, "0\r\n\r\n", 6) == 0;
}

/* Cut off in any case; whether it came to say why. */
static bool fails_midway(struct cast *cast)
{
	struct buf out;
	buf_init(&out, 64 * MIB);
	int fd = dial_leader(cast,
	                     "SELECT CASE WHEN i = 600000 THEN CAST(i || 'x' AS INTEGER) ELSE i "
	                     "END FROM range(700000) t(i)", "json");
	cr_expect_not(read_all(fd, &out), "cut off");
	const char *text = (const char *)out.data;
	cr_expect_eq(strncmp(text, "HTTP/1.1 200", 12), 0, "it had begun: %.300s", text);
	cr_expect_null(strstr(text, "rowCount"));
	bool says = strstr(text, "\n{\"error\":{\"code\":\"INPUT\"") != NULL;
	buf_release(&out);
	return says;
}

Test(queries, a_client_that_goes_ends_its_query_and_a_long_answer_that_fails_has_no_end)
{
	struct cast cast;
	raise_curtain(&cast);
	int fd = dial_leader(&cast, ENDLESS, "json");
	await_running(&cast, 1);
	close(fd);
	await_running(&cast, 0);
	/* Nobody takes it: it waits in the pipe, and goes with its client. */
	fd = dial_leader(&cast, "SELECT i FROM range(100000000) t(i)", "csv");
	await_running(&cast, 1);
	close(fd);
	await_running(&cast, 0);
	cr_expect(fails_midway(&cast), "it says why");
	yard_close(cast.yard);
}
