/* percent.c - strict: what does not decode is refused, never passed on half decoded. */
#include "common/defs.h"
#include "api/percent.h"

#include "common/text.h"

#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *percent_decode(struct arena *arena, const char *text)
{
	size_t len = strlen(text);
	if (!memchr(text, '%', len))
		return utf8_valid(text, len) ? text : NULL;
	char *out = arena_alloc(arena, len + 1);
	size_t n = 0;
	for (size_t i = 0; out && i < len; i++) {
		if (text[i] != '%') {
			out[n++] = text[i];
			continue;
		}
		int high = hex_digit(text[i + 1]);
		int low = high < 0 ? -1 : hex_digit(text[i + 2]);
		if (low < 0 || high + low == 0)
			return NULL;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return out && utf8_valid(out, n) ? out : NULL;
}

void percent_encode(struct buf *out, const char *text)
{
	for (const char *c = text; *c; c++) {
		bool plain = strchr("-_.~", *c) || (*c >= '0' && *c <= '9') ||
			(*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
		if (plain)
			buf_putc(out, *c);
		else
			buf_printf(out, "%%%02X", (unsigned char)*c);
	}
}
