/* placeholder.c - see placeholder.h. */
#include "common/defs.h"
#include "control/placeholder.h"

#include "common/buf.h"
#include "common/date.h"

#include <inttypes.h>
#include <string.h>

enum { DAY_S = 86400 };

static const char start_name[] = "{interval_start:", end_name[] = "{interval_end:";

/* The format after a name and its colon; NULL: no placeholder begins there. */
static const char *format_of(const char *at, bool *ret_end)
{
	*ret_end = strncmp(at, end_name, sizeof end_name - 1) == 0;
	if (*ret_end)
		return at + sizeof end_name - 1;
	return strncmp(at, start_name, sizeof start_name - 1) == 0 ? at + sizeof start_name - 1
	                                                           : NULL;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_' || c == '-';
}

static int wrong(const char *path, const char *at, const char *what, struct err *err)
{
	return err_set(err, E_INVALID, "character %d: %s", (int)(at - path) + 1, what);
}

/* Of a format: ret_end gets its closing brace. */
static int check_format(const char *path, const char *at, const char **ret_end, struct err *err)
{
	for (; *at && *at != '}'; at++) {
		if (*at == '%' && (!at[1] || !strchr("YmdHMSj", at[1])))
			return wrong(path, at, "after % comes one of Y m d H M S j", err);
		if (*at == '%')
			at++;
		else if (!is_plain(*at))
			return wrong(path, at, "a placeholder's time has % with a letter, letters, "
			             "digits, _ and - only", err);
	}
	if (!*at)
		return wrong(path, at, "a placeholder lacks its closing brace", err);
	*ret_end = at;
	return 0;
}

int placeholder_check(const char *path, struct err *err)
{
	for (const char *at = path; (at = strchr(at, '{'));) {
		bool end = false;
		const char *format = format_of(at, &end);
		if (format)
			TRY(check_format(path, format, &at, err));
		else if (strncmp(at, "{interval", 9) == 0)
			return wrong(path, at, "a placeholder is {interval_start:%Y-%m-%d} or "
			             "{interval_end:...}", err);
		else
			at++;
	}
	return 0;
}

static void put_part(char letter, int64_t unix_s, struct buf *out)
{
	int64_t days = date_floor(unix_s, DAY_S), second = unix_s - days * DAY_S;
	struct date date = date_of_days(days);
	switch (letter) {
	case 'Y': buf_printf(out, "%04" PRId64, date.year); break;
	case 'm': buf_printf(out, "%02d", date.month); break;
	case 'd': buf_printf(out, "%02d", date.day); break;
	case 'H': buf_printf(out, "%02d", (int)(second / 3600)); break;
	case 'M': buf_printf(out, "%02d", (int)(second / 60 % 60)); break;
	case 'S': buf_printf(out, "%02d", (int)(second % 60)); break;
	default:
		buf_printf(out, "%03d", (int)(days - date_to_days(date.year, 1, 1)) + 1);
	}
}

static void put_time(const char *format, const char *end, int64_t unix_ms, struct buf *out)
{
	for (; format < end; format++) {
		if (*format == '%')
			put_part(*++format, date_floor(unix_ms, 1000), out);
		else
			buf_putc(out, *format);
	}
}

static int fill(const char *path, const int64_t *from_ms, const int64_t *to_ms, struct buf *out,
                struct err *err)
{
	for (const char *at = path; *at;) {
		bool is_end = false;
		const char *format = format_of(at, &is_end), *end = NULL;
		if (!format) {
			buf_putc(out, *at++);
			continue;
		}
		if (!from_ms || !to_ms)
			return err_set(err, E_INVALID, "the source's path holds a data interval, "
			               "which only a task of a schedule has; run it by a schedule, "
			               "or give it a path without one");
		TRY(check_format(path, format, &end, err));
		put_time(format, end, is_end ? *to_ms : *from_ms, out);
		at = end + 1;
	}
	return buf_check(out, err);
}

int placeholder_fill(struct arena *arena, const char *path, const int64_t *from_ms,
                     const int64_t *to_ms, const char **ret_path, struct err *err)
{
	AUTO_BUF out;
	buf_init(&out, PLACEHOLDER_PATH_MAX);
	TRY(fill(path, from_ms, to_ms, &out, err));
	*ret_path = arena_strndup(arena, out.len ? (const char *)out.data : "", out.len);
	return *ret_path ? 0 : err_set(err, E_NOMEM, "no memory for a path");
}
