/* client.c - calls of the API: JSON in, JSON out, problem documents as errors. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/access_ask.h"
#include "api/problem.h"
#include "common/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 64 * 1024 * 1024, PAGE = 500 };

const char *client_path(struct cli *cli, const char *fmt, ...)
{
	char path[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(path, sizeof path, fmt, ap);
	va_end(ap);
	AUTO_BUF out;
	buf_init(&out, sizeof path * 3);
	for (const char *c = path; *c; c++) {
		bool plain = strchr("/?&=-_.~:,*", *c) || (*c >= '0' && *c <= '9') ||
		             (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
		if (plain)
			buf_putc(&out, *c);
		else
			buf_printf(&out, "%%%02X", (unsigned char)*c);
	}
	if (buf_check(&out, NULL) < 0)
		return "/";
	const char *copy = arena_strdup(cli->arena, (const char *)out.data);
	return copy ? copy : "/";
}

static int read_answer(struct cli *cli, const struct buf *answer, int status,
                       struct value **ret_value, struct err *err)
{
	if (status >= 400) {
		struct err problem = {0};
		problem_read((const char *)answer->data, answer->len, status, &problem);
		return err_set(err, problem.code, "%s", problem.text);
	}
	if (!ret_value)
		return 0;
	*ret_value = NULL;
	if (answer->len == 0)
		return 0;
	return json_parse(cli->arena, (const char *)answer->data, answer->len, ret_value, err);
}

int client_call(struct cli *cli, const struct call *call, struct value **ret_value, struct err *err)
{
	AUTO_BUF body;
	AUTO_BUF answer;
	buf_init(&body, ANSWER_MAX);
	buf_init(&answer, ANSWER_MAX);
	if (call->body)
		json_print(call->body, &body);
	TRY(buf_check(&body, err));
	const char *purpose = NULL;
	if (call->purpose)
		purpose = arena_printf(cli->arena, PURPOSE_HEADER ": %s", call->purpose);
	const char *more[] = {call->header, purpose};
	const char *headers[] = {cli->authorization, "Content-Type: application/json",
	                         more[0] ? more[0] : more[1], more[0] ? more[1] : NULL, NULL};
	const char *url = arena_printf(cli->arena, "%s%s", cli->url, call->path);
	if (!url)
		return err_set(err, E_NOMEM, "no memory for a URL");
	struct fetch_call fetch = {
		.method = call->method,
		.url = url,
		.headers = headers,
		.body = call->body ? body.data : NULL,
		.body_len = call->body ? body.len : 0,
		.timeout_ms = call->timeout_ms ? call->timeout_ms : 30000,
	};
	int status = 0;
	TRY(fetch_call(cli->fetch, &fetch, &status, &answer, NULL, err));
	TRY(buf_check(&answer, err));
	return read_answer(cli, &answer, status, ret_value, err);
}

int client_list(struct cli *cli, const char *path, size_t most, struct value **ret_list,
                struct err *err)
{
	struct value *list = value_list(cli->arena);
	const char *next = NULL;
	const char *join = strchr(path, '?') ? "&" : "?";
	do {
		size_t left = most - value_len(list);
		const char *more = next ? client_path(cli, "&continue=%s", next) : "";
		struct call call = {
			.method = "GET",
			.path = arena_printf(cli->arena, "%s%slimit=%zu%s", path, join,
		                             left < PAGE ? left : PAGE, more),
		};
		struct value *page = NULL;
		if (!call.path)
			return err_set(err, E_NOMEM, "no memory for a list");
		TRY(client_call(cli, &call, &page, err));
		const struct value *items = value_get(page, "items");
		for (size_t i = 0; i < value_len(items); i++)
			value_add(list, value_copy(cli->arena, value_at(items, i)));
		next = value_get_str(page, "continue");
	} while (next && *next && value_len(list) < most);
	TRY(value_check(list, err));
	*ret_list = list;
	return 0;
}
