/* test_door.c - control/door.c: what a client sends through HTTP is what admit() sees, and what it
 * answers is what the client gets. */
#include "common/defs.h"
#include "control/door.h"

#include "common/fetch.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct got {
	int status;
	char body[4096], headers[4096];
};

static void ask(struct plane *plane, const char *method, const char *path, const char *body,
                struct got *ret_got)
{
	struct fetch *fetch = NULL;
	struct err err = { 0 };
	AUTO_BUF text, headers;
	char url[256], authorization[256];
	const char *lines[] = { authorization, "Content-Type: application/json", NULL };
	buf_init(&text, MIB);
	buf_init(&headers, MIB);
	snprintf(url, sizeof url, "%s%s", plane->url, path);
	snprintf(authorization, sizeof authorization, "Authorization: Bearer %s",
	         plane->operator_key);
	const struct fetch_call call = { .method = method, .url = url, .headers = lines,
		.body = body, .body_len = body ? strlen(body) : 0 };
	cr_assert_eq(fetch_new(&(struct fetch_conf){ .ca_file = NULL }, &fetch, &err), 0);
	cr_assert_eq(fetch_call(fetch, &call, &ret_got->status, &text, &headers, &err), 0, "%s",
	             err.text);
	snprintf(ret_got->body, sizeof ret_got->body, "%.*s", (int)text.len, (char *)text.data);
	snprintf(ret_got->headers, sizeof ret_got->headers, "%.*s", (int)headers.len,
	         (char *)headers.data);
	fetch_free(fetch);
}

Test(door, hands_over_method_path_parameters_headers_and_body)
{
	struct plane *plane = plane_start_with(&(struct plane_options){ .replica = "a" });
	struct got got;
	ask(plane, "PUT", "/v1/tenants/acme?dryRun=true",
	    "{\"apiVersion\":\"freehold.io/v1\",\"kind\":\"Tenant\",\"metadata\":"
	    "{\"name\":\"acme\"},\"spec\":{}}", &got);
	cr_expect_eq(got.status, 200, "%s", got.body);
	cr_expect_not_null(strstr(got.body, "\"result\":\"created\""), "%s", got.body);
	ask(plane, "GET", "/v1/tenants/acme", NULL, &got);
	cr_expect_eq(got.status, 404, "the parameter was not seen: %s", got.body);
	plane_stop(plane);
}

Test(door, answers_with_the_headers_that_belong_to_it)
{
	struct plane *plane = plane_start_with(&(struct plane_options){ .replica = "a" });
	struct got got;
	ask(plane, "GET", "/v1/tenants/platform", NULL, &got);
	cr_expect_eq(got.status, 200, "%s", got.body);
	cr_expect_not_null(strcasestr(got.headers, "\nETag: "), "%s", got.headers);
	cr_expect_not_null(strcasestr(got.headers, "\nX-Request-Id: "), "%s", got.headers);
	cr_expect_not_null(strcasestr(got.headers, "\nFreehold-Revision: "), "%s", got.headers);
	ask(plane, "POST", "/v1/tenants/platform", "{}", &got);
	cr_expect_eq(got.status, 405);
	cr_expect_not_null(strcasestr(got.headers, "\nAllow: GET, PUT, DELETE"), "%s", got.headers);
	plane->operator_key[0] = 0;
	ask(plane, "GET", "/v1/tenants/platform", NULL, &got);
	cr_expect_eq(got.status, 401);
	cr_expect_not_null(strcasestr(got.headers, "\nWWW-Authenticate: Bearer"), "%s",
	                   got.headers);
	plane_stop(plane);
}
