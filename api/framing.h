/* framing.h - whether a request's header lines leave one reading only of where the request ends and
 * to whom it goes. What a proxy in front might read otherwise than we do (two lengths, a length and
 * chunks, codings, names with blanks, control characters) is refused, and its connection closed.
 * Rules: RFC 9112, sections 3.2, 5 and 6. */
#ifndef FRAMING_H
#define FRAMING_H

#include "common/err.h"

enum { FRAMING_HEADERS_MAX = 100 };  /* lines */

struct framing {
	int lines, hosts, lengths, codings;
	bool chunked;                /* the only coding, said once */
	const char *fault;           /* the first one; NULL: none so far */
};

/* value_len: as received; a NUL within it shows. */
void framing_add(struct framing *framing, const char *name, size_t name_len, const char *value,
                 size_t value_len);
/* After all lines. old: HTTP/1.0. E_INVALID: the connection cannot be used any further. */
MUST_USE int framing_check(const struct framing *framing, bool old, struct err *err);
/* The same of the target: a path from the root. E_INVALID. */
MUST_USE int framing_target(const char *target, struct err *err);

#endif
