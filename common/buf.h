/* buf.h - bytes that grow up to a maximum. A failed append leaves the buffer as it was. */
#ifndef BUF_H
#define BUF_H

#include "common/err.h"

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max;     /* bytes; set by buf_init */
	bool failed;    /* sticky: an append did not fit. Check once, after a run of appends. */
	bool starved;   /* and it was memory that was missing, not room up to max */
};

void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);        /* length 0 and failed off; keeps the memory */

/* Each returns 0 or E_NOMEM / E_TOO_LARGE, and sets failed; the result may be ignored when
 * buf_check is called afterwards. */
int buf_put(struct buf *buf, const void *data, size_t len);
int buf_puts(struct buf *buf, const char *text);
int buf_putc(struct buf *buf, char c);
int buf_printf(struct buf *buf, const char *fmt, ...) PRINTF(2, 3);
/* Room for len more bytes at data + len; the caller then adds to len. NULL on failure. */
uint8_t *buf_room(struct buf *buf, size_t len);
/* A failure if any append failed; also ends the data with a NUL that len does not count. */
MUST_USE int buf_check(struct buf *buf, struct err *err);

static inline void buf_cleanup(struct buf *buf) { buf_release(buf); }
#define AUTO_BUF __attribute__((cleanup(buf_cleanup))) struct buf

#endif
