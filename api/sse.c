/* sse.c - lines end in CR, LF or both; an empty one ends the event. Invariant: line holds no end of
 * line, data one LF after each data line of the event so far. */
#include "common/defs.h"
#include "api/sse.h"

#include <stdio.h>
#include <string.h>

/* --- writing --- */

void sse_print(const char *id, const char *name, const char *data, struct buf *out)
{
	if (id)
		buf_printf(out, "id: %s\n", id);
	if (name)
		buf_printf(out, "event: %s\n", name);
	for (const char *at = data; at;) {
		size_t len = strcspn(at, "\n");
		buf_printf(out, "data: %.*s\n", (int)len, at);
		at = at[len] ? at + len + 1 : NULL;
	}
	buf_putc(out, '\n');
}

void sse_comment(const char *text, struct buf *out)
{
	buf_printf(out, ": %s\n\n", text);
}

/* --- reading --- */

void sse_reader_init(struct sse_reader *reader, sse_event_fn *event, void *context)
{
	*reader = (struct sse_reader){ .event = event, .context = context };
	buf_init(&reader->line, SSE_DATA_MAX);
	buf_init(&reader->data, SSE_DATA_MAX);
}

void sse_reader_release(struct sse_reader *reader)
{
	buf_release(&reader->line);
	buf_release(&reader->data);
}

static int emit(struct sse_reader *reader, struct err *err)
{
	if (reader->filled) {
		reader->data.len--;      /* the last line's LF is no part of it */
		TRY(buf_check(&reader->data, err));
		const struct sse_event event = {
			reader->id, reader->name[0] ? reader->name : "message",
			(const char *)reader->data.data,
		};
		reader->event(reader->context, &event);
	}
	buf_clear(&reader->data);
	reader->name[0] = '\0';
	reader->filled = false;
	return 0;
}

static int take_text(const char *what, const char *value, char *out, size_t size, struct err *err)
{
	if (strlen(value) >= size)
		return err_set(err, E_TOO_LARGE, "an event's %s has over %zu bytes", what,
		               size - 1);
	memcpy(out, value, strlen(value) + 1);
	return 0;
}

static int take_field(struct sse_reader *reader, const char *name, const char *value,
                      struct err *err)
{
	if (strcmp(name, "data") == 0) {
		reader->filled = true;
		buf_puts(&reader->data, value);
		buf_putc(&reader->data, '\n');
		return reader->data.failed ? buf_check(&reader->data, err) : 0;
	}
	if (strcmp(name, "id") == 0)
		return take_text("id", value, reader->id, sizeof reader->id, err);
	if (strcmp(name, "event") == 0)
		return take_text("name", value, reader->name, sizeof reader->name, err);
	return 0;
}

static int take_line(struct sse_reader *reader, struct err *err)
{
	TRY(buf_check(&reader->line, err));
	char *line = (char *)reader->line.data;
	bool nul = strlen(line) != reader->line.len;
	buf_clear(&reader->line);
	if (nul)
		return err_set(err, E_INVALID, "an event stream's line holds a NUL");
	if (!reader->begun && strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	reader->begun = true;
	if (!*line)
		return emit(reader, err);
	char *colon = strchr(line, ':');
	if (colon == line)
		return 0;                /* a comment */
	const char *value = colon ? colon + 1 + (colon[1] == ' ') : "";
	if (colon)
		*colon = '\0';
	return take_field(reader, line, value, err);
}

int sse_read(struct sse_reader *reader, const char *bytes, size_t len, struct err *err)
{
	for (size_t i = 0; i < len;) {
		size_t n = 0;
		if (reader->cr && bytes[i] == '\n') {
			reader->cr = false;
			i++;
			continue;
		}
		reader->cr = false;
		while (i + n < len && bytes[i + n] != '\n' && bytes[i + n] != '\r')
			n++;
		buf_put(&reader->line, bytes + i, n);
		i += n;
		if (reader->line.failed)
			return buf_check(&reader->line, err);
		if (i == len)
			break;
		reader->cr = bytes[i++] == '\r';
		TRY(take_line(reader, err));
	}
	return 0;
}
