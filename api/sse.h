/* sse.h - server-sent events (HTML Standard 9.2): written by the door, read by the command line. */
#ifndef SSE_H
#define SSE_H

#include "common/buf.h"

#define SSE_TYPE "text/event-stream"
enum { SSE_ID_MAX = 64, SSE_NAME_MAX = 32, SSE_DATA_MAX = 256 * 1024 };

/* One event; name NULL: "message". data may have several lines; id holds none. */
void sse_print(const char *id, const char *name, const char *data, struct buf *out);
/* What readers pass over; it shows that the other side is there. */
void sse_comment(const char *text, struct buf *out);

/* What a stream says, put together from pieces of any size. An event of more than SSE_DATA_MAX
 * bytes, or an id that is too long, ends the reading with E_TOO_LARGE. */
struct sse_event { const char *id, *name, *data; };     /* id "": none yet; borrowed for the call */
typedef void sse_event_fn(void *context, const struct sse_event *event);
struct sse_reader {
	sse_event_fn *event;
	void *context;
	struct buf line, data;
	char id[SSE_ID_MAX + 1], name[SSE_NAME_MAX + 1];
	bool begun;                  /* past a byte order mark */
	bool cr;                     /* the last byte was one: a LF that follows belongs to it */
	bool filled;                 /* the event has a data line */
};
void sse_reader_init(struct sse_reader *reader, sse_event_fn *event, void *context);
void sse_reader_release(struct sse_reader *reader);
MUST_USE int sse_read(struct sse_reader *reader, const char *bytes, size_t len, struct err *err);
static inline void sse_reader_cleanup(struct sse_reader *reader) { sse_reader_release(reader); }
#define AUTO_SSE_READER __attribute__((cleanup(sse_reader_cleanup))) struct sse_reader

#endif
