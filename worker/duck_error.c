/* duck_error.c - an engine's message without descriptors' paths and without data.
 * A message of BLAME_DATA is never copied: only its class, the SQL types it names and the position
 * in the author's SQL are, because anything else in it may be a value. */
#include "common/defs.h"
#include "worker/duck_error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char fd_path[] = "/proc/self/fd/";

/* The message with every descriptor's path replaced. */
static void scrub(const char *message, duck_named_fn *named, const void *context, struct buf *out)
{
	for (const char *at = message; *at;) {
		if (strncmp(at, fd_path, sizeof fd_path - 1) != 0) {
			buf_putc(out, *at++);
			continue;
		}
		char *end = NULL;
		long fd = strtol(at + sizeof fd_path - 1, &end, 10);
		const char *name = named ? named(context, (int)fd) : NULL;
		buf_puts(out, name ? name : "a dataset's file");
		at = end;
	}
}

/* "Conversion Error", out of "Conversion Error: ..."; only letters and spaces count as one. */
static void put_class(const char *message, struct buf *out)
{
	size_t len = strspn(message, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ");
	if (message[len] == ':' && len < 40)
		buf_put(out, message, len);
	else
		buf_puts(out, "Error");
}

static bool is_type(const char *word, size_t len)
{
	static const char *const types[] = {
		"BOOLEAN",  "BOOL",    "INT8",     "INT16",     "INT32",    "INT64",    "INT128",
		"UINT8",    "UINT16",  "UINT32",   "UINT64",    "TINYINT",  "SMALLINT", "INTEGER",
		"BIGINT",   "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",  "FLOAT",
		"DOUBLE",   "DECIMAL", "VARCHAR",  "BLOB",      "DATE",     "TIME",     "TIMESTAMP",
		"INTERVAL", "UUID",    "JSON",     "ENUM",
	};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strlen(types[i]) == len && memcmp(types[i], word, len) == 0)
			return true;
	return false;
}

/* Past a quoted part, or past one character. */
static const char *skip(const char *at)
{
	const char *end = *at == '\'' || *at == '"' ? strchr(at + 1, *at) : at;
	return end ? end + 1 : at + strlen(at);
}

/* Names of types outside quotes, as " (types: VARCHAR, INT32)". */
static void put_types(const char *message, struct buf *out)
{
	int found = 0;
	for (const char *at = message; *at && found < 4;) {
		size_t len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
		if (len && is_type(at, len)) {
			buf_puts(out, found++ ? ", " : " (types: ");
			buf_put(out, at, len);
		}
		at = len ? at + len : skip(at);
	}
	if (found)
		buf_putc(out, ')');
}

/* "LINE 3: ..." with a caret below, as " at line 3, column 8". */
static void put_position(const char *message, struct buf *out)
{
	const char *line = strstr(message, "\nLINE ");
	if (!line || !isdigit((unsigned char)line[6]))
		return;
	buf_printf(out, " at line %ld of the SQL", strtol(line + 6, NULL, 10));
}

static int tell_data(const char *message, struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, 1024);
	put_class(message, &text);
	if (strstr(message, "verflow") || strstr(message, "out of range"))
		buf_puts(&text, ": a value is out of its type's range");
	else if (strstr(message, "onvert") || strstr(message, "cast") || strstr(message, "Cast"))
		buf_puts(&text, ": a value does not fit the type it is converted to");
	else
		buf_puts(&text, ": a value was refused at run time");
	put_types(message, &text);
	put_position(message, &text);
	buf_puts(&text, "; the value is not shown; TRY_CAST gives NULL instead of this failure");
	TRY(buf_check(&text, err));
	return err_set(err, E_INPUT, "%s", (const char *)text.data);
}

static int tell_text(int code, const char *message, duck_named_fn *named, const void *context,
                     struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, 64 * KIB);
	scrub(message, named, context, &text);
	TRY(buf_check(&text, err));
	return err_set(err, code, "%s", (const char *)text.data);
}

int duck_error_tell(enum duck_blame blame, const char *message, duck_named_fn *named,
                    const void *context, struct err *err)
{
	if (!message || !*message)
		return err_set(err, E_INTERNAL, "the engine failed without saying why");
	switch (blame) {
	case BLAME_SQL:
		return tell_text(E_INVALID, message, named, context, err);
	case BLAME_ACCESS:
		return tell_text(E_DENIED, message, named, context, err);
	case BLAME_IO:
		return tell_text(E_IO, message, named, context, err);
	case BLAME_DATA:
		return tell_data(message, err);
	case BLAME_MEMORY:
		return err_set(err, E_RESOURCES,
		               "the engine needs more memory than the task's limit leaves "
		               "it; raise limits.memoryBytes or read less at one time");
	case BLAME_INTERRUPT:
		/* Nobody interrupts it from outside: the thread that failed stopped the others. */
		return err_set(err, E_INPUT, "a value was refused at run time, in a part of the "
		               "statement that ran beside this one; the engine did not say more");
	case BLAME_ENGINE:
		break;
	}
	return err_set(err, E_INTERNAL, "the engine failed with an internal error");
}
