/* log.c - one line a call, written with one write(2), so lines of threads never mix. Nothing here
 * allocates: a process short of memory can still say so. */
#include "common/defs.h"
#include "common/log.h"

#include "common/clock.h"
#include "common/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 2048, LINE_MAX_BYTES = 16384 };

/* Set once by main before any thread starts; read-only after. */
static struct {
	char process[24];
	enum log_level least;
} log_state = { "freehold", LOG_INFO };

void log_start(const char *process, enum log_level least)
{
	snprintf(log_state.process, sizeof log_state.process, "%s", process);
	log_state.least = least;
}

static const char *level_name(enum log_level level)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	return level <= LOG_ERROR ? names[level] : "error";
}

static void put_member(struct buf *line, const char *name, size_t name_len, const char *text,
		       size_t len)
{
	size_t start = line->len;
	buf_putc(line, start ? ',' : '{');
	json_print_str(name, name_len, line);
	buf_putc(line, ':');
	json_print_str(text, len, line);
	if (line->failed) {     /* whole or not at all: the line stays JSON */
		line->len = start;
		line->failed = false;
	}
}

static void put_text(struct buf *line, const char *name, const char *text)
{
	if (text && *text)
		put_member(line, name, strlen(name), text, strlen(text));
}

/* Length of the name of a "name=" at text, or 0. */
static size_t name_len(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return len && text[len] == '=' ? len : 0;
}

/* A quoted value ends at the quote that is followed by the end or by another " name=": reasons
 * quote names themselves, and nobody escapes them. */
static size_t quoted_len(const char *text)
{
	const char *quote = strchr(text, '"');
	while (quote && quote[1] && !(quote[1] == ' ' && name_len(quote + 2)))
		quote = strchr(quote + 1, '"');
	return quote ? (size_t)(quote - text) : strlen(text);
}

/* A caller's field must not pass for one of ours, nor make the object ambiguous. */
static bool is_ours(const char *name, size_t len)
{
	static const char *const ours[] = { "time", "level", "process", "event", "tenant",
	                                    "request", "task", "text" };
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (strlen(ours[i]) == len && memcmp(ours[i], name, len) == 0)
			return true;
	return false;
}

static void put_field(struct buf *line, const char *name, size_t len, const char *text,
		      size_t text_len)
{
	char renamed[64];
	if (is_ours(name, len)) {
		len = (size_t)snprintf(renamed, sizeof renamed, "field_%.*s", (int)len, name);
		name = renamed;
	}
	put_member(line, name, len, text, text_len);
}

static void put_fields(struct buf *line, const char *text)
{
	while (*(text += strspn(text, " "))) {
		size_t name = name_len(text);
		if (!name) {
			put_text(line, "text", text);
			return;
		}
		const char *value = text + name + 1;
		bool quoted = *value == '"';
		value += quoted;
		size_t len = quoted ? quoted_len(value) : strcspn(value, " ");
		put_field(line, text, name, value, len);
		text = value + len;
		text += quoted && *text == '"';
	}
}

static void write_line(const uint8_t *line, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, line, len);
		if (n <= 0)
			return;     /* nobody is left to tell */
		line += n;
		len -= (size_t)n;
	}
}

void log_write(enum log_level level, const struct log_context *context, const char *event,
	       const char *fmt, ...)
{
	if (level < log_state.least)
		return;
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);

	/* max < cap: the buffer never outgrows the stack, so it never allocates. */
	uint8_t bytes[LINE_MAX_BYTES];
	struct buf line = { .data = bytes, .cap = sizeof bytes, .max = sizeof bytes - 4 };
	char now[TIME_TEXT_MAX];
	put_text(&line, "time", time_print_ms(clock_unix_ms(clock_system()), now));
	put_text(&line, "level", level_name(level));
	put_text(&line, "process", log_state.process);
	put_text(&line, "event", event);
	if (context) {
		put_text(&line, "tenant", context->tenant);
		put_text(&line, "request", context->request);
		put_text(&line, "task", context->task);
	}
	put_fields(&line, text);
	memcpy(bytes + line.len, "}\n", 2);
	write_line(bytes, line.len + 2);
}
