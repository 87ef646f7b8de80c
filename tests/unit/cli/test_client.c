/* Calls of the API against a server that this test plays. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/http.h"
#include "api/problem.h"
#include "common/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { ITEMS = 1203 };

static struct cli cli;
static struct arena *arena;
static struct http_server *server;
static int pages, limits[8];

static void answer_page(struct http_request *request, struct buf *body)
{
	const char *from_text = http_query(request, "continue");
	int from = 0, limit = 0;
	if (from_text)
		cr_assert_eq(sscanf(from_text, "k+%d/=", &from), 1, "%s", from_text);
	cr_assert_eq(sscanf(http_query(request, "limit"), "%d", &limit), 1);
	if (pages < (int)ARRAY_LEN(limits))
		limits[pages] = limit;
	pages++;
	buf_puts(body, "{\"items\":[");
	int i = from;
	for (; i < ITEMS && i < from + limit; i++)
		buf_printf(body, "%s{\"n\":%d}", i > from ? "," : "", i);
	buf_puts(body, "]");
	if (i < ITEMS)
		buf_printf(body, ",\"continue\":\"k+%d/=\"", i);
	buf_puts(body, "}");
}

static void answer_echo(struct http_request *request, struct buf *body)
{
	size_t len = 0;
	const uint8_t *data = http_body(request, &len);
	const char *extra = http_header(request, "If-Match");
	buf_printf(body, "{\"method\":\"%s\",\"path\":\"%s\",\"key\":\"%s\",\"extra\":\"%s\","
	           "\"body\":%.*s}", http_method(request), http_path(request),
	           http_header(request, "Authorization"), extra ? extra : "-",
	           len ? (int)len : 4, len ? (const char *)data : "null");
}

static void serve(void *context, struct http_request *request)
{
	struct buf body;
	const char *path = http_path(request);
	(void)context;
	buf_init(&body, MIB);
	if (strcmp(path, "/page") == 0) {
		answer_page(request, &body);
	} else if (strcmp(path, "/problem") == 0) {
		struct err err = { 0 };
		err_set(&err, E_QUOTA, "asked 5, 3 left");
		http_answer(request, problem_print(&err, "r1", &body), PROBLEM_TYPE, &body);
		return;
	} else if (strcmp(path, "/gateway") == 0) {
		buf_puts(&body, "<html>bad gateway</html>");
		http_answer(request, 502, "text/html", &body);
		return;
	} else if (strcmp(path, "/nothing") == 0) {
		http_answer(request, 204, NULL, NULL);
		return;
	} else if (strcmp(path, "/words") == 0) {
		buf_puts(&body, "no json");
	} else {
		answer_echo(request, &body);
	}
	http_answer(request, 200, "application/json", &body);
}

static void setup(void)
{
	struct http_conf conf = { .listen = "127.0.0.1:0", .serve = serve, .threads = 2 };
	struct fetch_conf fetch = { 0 };
	struct err err = { 0 };
	cr_assert_eq(arena_new(16 * MIB, &arena, NULL), 0);
	cli = (struct cli) { .arena = arena, .authorization = "Authorization: Bearer k1" };
	cr_assert_eq(http_server_new(&conf, &server, &err), 0, "%s", err.text);
	cr_assert_eq(fetch_new(&fetch, &cli.fetch, &err), 0, "%s", err.text);
	cli.url = arena_printf(arena, "http://127.0.0.1:%d", http_server_port(server));
	pages = 0;
}
static void teardown(void)
{
	fetch_free(cli.fetch);
	http_server_free(server);
	arena_free(arena);
}
TestSuite(client, .init = setup, .fini = teardown);

static int get(const char *path, struct value **ret_value, struct err *err)
{
	struct call call = { .method = "GET", .path = path };
	return client_call(&cli, &call, ret_value, err);
}

Test(client, sends_method_path_body_key_and_one_more_header)
{
	struct value *body = value_map(arena), *answer = NULL;
	struct err err = { 0 };
	value_set_int(body, "a", 1);
	struct call call = {
		.method = "PUT", .path = "/v1/x", .body = body, .header = "If-Match: 7",
	};
	cr_assert_eq(client_call(&cli, &call, &answer, &err), 0, "%s", err.text);
	cr_expect_str_eq(value_get_str(answer, "method"), "PUT");
	cr_expect_str_eq(value_get_str(answer, "path"), "/v1/x");
	cr_expect_str_eq(value_get_str(answer, "key"), "Bearer k1");
	cr_expect_str_eq(value_get_str(answer, "extra"), "7");
	cr_expect(value_equal(value_get(answer, "body"), body));
}

Test(client, a_delete_has_no_body)
{
	struct value *answer = NULL;
	struct call call = { .method = "DELETE", .path = "/v1/x" };
	cr_assert_eq(client_call(&cli, &call, &answer, NULL), 0);
	cr_expect_str_eq(value_get_str(answer, "method"), "DELETE");
	cr_expect_eq(value_kind(value_get(answer, "body")), VALUE_NULL);
	cr_expect_eq(client_call(&cli, &call, NULL, NULL), 0, "the answer may be ignored");
}

Test(client, an_empty_answer_is_no_value)
{
	struct value *answer = value_map(arena);
	cr_assert_eq(get("/nothing", &answer, NULL), 0);
	cr_expect_null(answer);
}

Test(client, a_problem_document_becomes_the_error_as_it_was_said)
{
	struct value *answer = NULL;
	struct err err = { 0 };
	cr_expect_eq(get("/problem", &answer, &err), E_QUOTA);
	cr_expect_eq(err.code, E_QUOTA);
	cr_expect_str_eq(err.text, "asked 5, 3 left");
	cr_expect_null(answer);
}

Test(client, what_is_no_problem_document_names_the_status)
{
	struct value *answer = NULL;
	struct err err = { 0 };
	cr_expect_lt(get("/gateway", &answer, &err), 0);
	cr_expect_not_null(strstr(err.text, "502"), "%s", err.text);
	cr_expect_lt(get("/words", &answer, &err), 0);
	cr_expect_null(answer);
}

Test(client, a_server_that_is_not_there_is_unavailable)
{
	struct err err = { 0 };
	cli.url = "http://127.0.0.1:1";
	cr_expect_eq(get("/v1/x", NULL, &err), E_UNAVAILABLE, "%s", err.text);
	cr_expect_eq(cli_exit_code(&err), EXIT_UNAVAILABLE);
	cr_expect_null(strstr(err.text, "k1"), "the key is in no message");
}

Test(client, what_a_path_is_made_of_is_encoded)
{
	cr_expect_str_eq(client_path(&cli, "/v1/%s?state=%s", "a b", "x\"y%"),
	                 "/v1/a%20b?state=x%22y%25");
	cr_expect_str_eq(client_path(&cli, "/v1/%s", "z\xc3\xbc#"), "/v1/z%C3%BC%23");
	cr_expect_str_eq(client_path(&cli, "/v1/a-b_c.d~e"), "/v1/a-b_c.d~e");
}

Test(client, all_pages_become_one_list_in_order)
{
	struct value *list = NULL;
	struct err err = { 0 };
	cr_assert_eq(client_list(&cli, "/page", 100000, &list, &err), 0, "%s", err.text);
	cr_assert_eq(value_len(list), ITEMS);
	for (size_t i = 0; i < ITEMS; i++)
		cr_assert_eq(value_get_int(value_at(list, i), "n", -1), (int64_t)i);
	cr_expect_eq(pages, 3);
}

Test(client, no_more_is_asked_for_than_is_wanted)
{
	struct value *list = NULL;
	cr_assert_eq(client_list(&cli, "/page?x=1", 600, &list, NULL), 0);
	cr_expect_eq(value_len(list), 600);
	cr_assert_eq(pages, 2);
	cr_expect(limits[0] == 500 && limits[1] == 100, "%d %d", limits[0], limits[1]);
}

Test(client, a_page_that_fails_fails_the_list)
{
	struct value *list = NULL;
	cr_expect_eq(client_list(&cli, "/problem", 10, &list, NULL), E_QUOTA);
	cr_expect_null(list);
}
