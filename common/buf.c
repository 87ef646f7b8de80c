/* buf.c - growable bytes. Invariant: len <= cap <= max + 1 (one for the closing NUL). */
#include "common/defs.h"
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max };
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){ .max = buf->max };
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	buf->starved = false;
}

static int grow(struct buf *buf, size_t len)
{
	if (len > buf->max - buf->len) {
		buf->failed = true;
		return E_TOO_LARGE;
	}
	size_t need = buf->len + len + 1;
	if (need <= buf->cap)
		return 0;
	size_t cap = buf->cap ? buf->cap * 2 : 256;
	if (cap < need)
		cap = need;
	if (cap > buf->max + 1)
		cap = buf->max + 1;
	uint8_t *data = realloc(buf->data, cap);
	if (!data) {
		buf->failed = true;
		buf->starved = true;
		return E_NOMEM;
	}
	buf->data = data;
	buf->cap = cap;
	return 0;
}

uint8_t *buf_room(struct buf *buf, size_t len)
{
	return grow(buf, len) < 0 ? NULL : buf->data + buf->len;
}

int buf_put(struct buf *buf, const void *data, size_t len)
{
	TRY(grow(buf, len));
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	return 0;
}

int buf_puts(struct buf *buf, const char *text)
{
	return buf_put(buf, text, strlen(text));
}

int buf_putc(struct buf *buf, char c)
{
	return buf_put(buf, &c, 1);
}

int buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	int rc = len < 0 ? E_INVALID : grow(buf, (size_t)len);
	if (rc == 0) {
		vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, fmt, again);
		buf->len += (size_t)len;
	}
	va_end(again);
	return rc;
}

int buf_check(struct buf *buf, struct err *err)
{
	if (!buf->failed && grow(buf, 0) == 0) {
		buf->data[buf->len] = 0;
		return 0;
	}
	if (buf->starved)
		return err_set(err, E_NOMEM, "no memory for a buffer of %zu bytes", buf->len);
	return err_set(err, E_TOO_LARGE, "does not fit into %zu bytes", buf->max);
}
