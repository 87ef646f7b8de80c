/* stream.c - a route that goes on and on: server-sent events or bytes as they come. Whoever is not
 * the leader names the one who is, once. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/problem.h"
#include "common/json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 64 * 1024, PROBLEM_MAX = 64 * 1024, BEGIN_MS = 10000, SILENCE_MS = 60000 };

struct stream {
	struct buf head;             /* status line and headers */
	struct buf body;             /* of an answer that is no stream */
	struct sse_reader reader;
	fetch_data_fn *data;         /* NULL: they are events, for the reader */
	void *context;
	const struct call *call;     /* instead of a GET; NULL: it is one */
	const char *sent;            /* its body */
	struct err err;              /* of what was said; code 0: none */
};

/* "HTTP/1.1 200 OK" */
static int status_of(struct stream *stream)
{
	const char *space = NULL;
	if (buf_check(&stream->head, NULL) == 0)
		space = strchr((const char *)stream->head.data, ' ');
	return space ? atoi(space) : 0;
}

static bool on_data(void *context, const char *data, size_t len)
{
	struct stream *stream = context;
	if (status_of(stream) != 200)
		return buf_put(&stream->body, data, len) == 0;
	if (stream->data)
		return stream->data(stream->context, data, len);
	return sse_read(&stream->reader, data, len, &stream->err) == 0;
}

/* A header's value, in the arena; NULL: absent. */
static const char *header_of(struct cli *cli, const struct stream *stream, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = (const char *)stream->head.data; at && *at;) {
		size_t line = strcspn(at, "\r\n");
		if (line > len && strncasecmp(at, name, len) == 0 && at[len] == ':') {
			size_t skip = len + 1 + strspn(at + len + 1, " \t");
			return arena_strndup(cli->arena, at + skip, line > skip ? line - skip : 0);
		}
		at += line + strspn(at + line, "\r\n");
	}
	return NULL;
}

static int read_once(struct cli *cli, const char *url, struct stream *stream, int *ret_status,
                     struct err *err)
{
	const char *last = stream->reader.id[0] ? arena_printf(cli->arena, "Last-Event-ID: %s",
	                                                       stream->reader.id) : NULL;
	const char *accept = stream->data ? "Accept: */*" : "Accept: " SSE_TYPE;
	const struct call *asked = stream->call;
	const char *headers[6] = { cli->authorization, accept };
	size_t count = 2;
	if (last)
		headers[count++] = last;
	if (stream->sent)
		headers[count++] = "Content-Type: application/json";
	if (asked && asked->header)
		headers[count++] = asked->header;
	const struct fetch_call call = {
		.method = asked ? asked->method : "GET", .url = url, .headers = headers,
		.timeout_ms = asked && asked->timeout_ms ? asked->timeout_ms : BEGIN_MS,
		.head = &stream->head, .body = stream->sent,
		.body_len = stream->sent ? strlen(stream->sent) : 0,
	};
	buf_clear(&stream->head);
	buf_clear(&stream->body);
	TRY(fetch_stream(cli->fetch, &call, on_data, stream, SILENCE_MS, NULL, ret_status, err));
	if (!stream->err.code)
		return 0;
	*err = stream->err;
	return err->code;
}

/* Where a 307 points; a credential goes from https to https only. */
static int referred(struct cli *cli, const struct stream *stream, const char **ret_url,
                    struct err *err)
{
	const char *url = header_of(cli, stream, "Location");
	bool secure = strncmp(cli->url, "https:", 6) == 0;
	if (!url || strncmp(url, secure ? "https://" : "http", secure ? 8 : 4) != 0)
		return err_set(err, E_INTERNAL, "the server sends this stream elsewhere, but not "
		               "to an address that may be followed; ask the replica that leads");
	*ret_url = url;
	return 0;
}

static int run(struct cli *cli, const char *path, struct stream *stream, struct err *err)
{
	const char *url = arena_printf(cli->arena, "%s%s", cli->url, path);
	int status = 0;
	if (!url)
		return err_set(err, E_NOMEM, "no memory for a URL");
	TRY(read_once(cli, url, stream, &status, err));
	if (status == 307) {
		TRY(referred(cli, stream, &url, err));
		TRY(read_once(cli, url, stream, &status, err));
	}
	if (status == 200 || status == 204)
		return 0;
	TRY(buf_check(&stream->body, err));
	problem_read((const char *)stream->body.data, stream->body.len, status, err);
	return err->code;
}

int client_stream(struct cli *cli, const char *path, char last_id[SSE_ID_MAX + 1],
                  sse_event_fn *event, void *context, struct err *err)
{
	struct stream stream = { .err = { 0 } };
	buf_init(&stream.head, HEAD_MAX);
	buf_init(&stream.body, PROBLEM_MAX);
	sse_reader_init(&stream.reader, event, context);
	memcpy(stream.reader.id, last_id, SSE_ID_MAX + 1);
	int rc = run(cli, path, &stream, err);
	memcpy(last_id, stream.reader.id, SSE_ID_MAX + 1);
	sse_reader_release(&stream.reader);
	buf_release(&stream.head);
	buf_release(&stream.body);
	return rc;
}

int client_download(struct cli *cli, const char *path, fetch_data_fn *data, void *context,
                    struct err *err)
{
	struct stream stream = { .data = data, .context = context };
	buf_init(&stream.head, HEAD_MAX);
	buf_init(&stream.body, PROBLEM_MAX);
	int rc = run(cli, path, &stream, err);
	buf_release(&stream.head);
	buf_release(&stream.body);
	return rc;
}

static int print_body(struct cli *cli, const struct call *call, const char **ret_text,
                      struct err *err)
{
	AUTO_BUF body;
	buf_init(&body, MIB);
	json_print(call->body, &body);
	TRY(buf_check(&body, err));
	*ret_text = arena_strndup(cli->arena, (const char *)body.data, body.len);
	return *ret_text ? 0 : err_set(err, E_NOMEM, "no memory for a request");
}

int client_pour(struct cli *cli, const struct call *call, fetch_data_fn *data, void *context,
                struct err *err)
{
	struct stream stream = { .data = data, .context = context, .call = call };
	TRY(print_body(cli, call, &stream.sent, err));
	buf_init(&stream.head, HEAD_MAX);
	buf_init(&stream.body, PROBLEM_MAX);
	int rc = run(cli, call->path, &stream, err);
	buf_release(&stream.head);
	buf_release(&stream.body);
	return rc;
}
