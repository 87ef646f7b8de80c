/* strip.c - see strip.h. */
#include "common/defs.h"
#include "api/cli/strip.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 1000 };

static const struct mark { const char *state, *plain, *drawn; } marks[] = {
	{"done", "#", "\033[32m█\033[0m"},
	{"running", ">", "\033[36m▶\033[0m"},
	{"failed", "x", "\033[31m✗\033[0m"},
	{"missing", ".", "\033[2m·\033[0m"},
};

static const char *mark_of(const char *state, bool colours)
{
	for (size_t i = 0; state && i < ARRAY_LEN(marks); i++)
		if (strcmp(state, marks[i].state) == 0)
			return colours ? marks[i].drawn : marks[i].plain;
	return "?";
}

/* "2026-01-31T08:00:00.000Z" as "2026-01-31 08:00". */
static void put_time(const char *rfc3339, struct buf *out)
{
	if (rfc3339 && strlen(rfc3339) >= 16)
		buf_printf(out, "%.10s %.5s  ", rfc3339, rfc3339 + 11);
}

void strip_draw(const struct value *intervals, bool colours, struct buf *out)
{
	for (size_t i = 0; i < value_len(intervals); i++) {
		const struct value *at = value_at(intervals, i);
		if (i % STRIP_WIDTH == 0) {
			buf_puts(out, i ? "\n" : "");
			put_time(value_get_str(at, "from"), out);
		}
		buf_puts(out, mark_of(value_get_str(at, "state"), colours));
	}
	if (value_len(intervals) > 0)
		buf_putc(out, '\n');
}

const char *strip_legend(bool colours)
{
	return colours ? "█ done  ▶ running  ✗ failed  · missing"
	               : "# done  > running  x failed  . missing";
}

int pause_set(struct cli *cli, const char *path, bool paused, struct err *err)
{
	struct value *resource = NULL;
	struct call read = {.method = "GET", .path = path};
	TRY(client_call(cli, &read, &resource, err));
	struct value *spec = value_get_mut(resource, "spec");
	const char *etag = value_get_str(value_get(resource, "metadata"), "etag");
	value_set_bool(spec, "paused", paused);
	struct call write = {
		.method = "PUT",
		.path = path,
		.body = resource,
		.header = etag ? arena_printf(cli->arena, "If-Match: %s", etag) : NULL,
	};
	return client_call(cli, &write, NULL, err);
}

void pause_between_looks(void)
{
	poll(NULL, 0, LOOK_MS);
}
