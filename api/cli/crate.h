/* crate.h - the files of an object store's folder, into another folder as they are. Objects never
 * change but for their header when keys are rotated, so one that is there already with the same
 * length and the same beginning is left alone. */
#ifndef CRATE_H
#define CRATE_H

#include "common/err.h"

enum { CRATE_PATH_MAX = 4096 };

struct crate_conf {
	const char *from, *to;       /* folders; to is made when it is not there */
	const char *link_from;       /* hard links where the same is there; NULL: none */
};
struct crate_count {
	uint64_t copied, linked, kept, bytes;    /* bytes: copied */
};
/* Adds to count. What disappears from `from` meanwhile is passed by; what is no file or folder, or
 * begins with a dot, is no object. */
MUST_USE int crate_fill(const struct crate_conf *conf, struct crate_count *count, struct err *err);

#endif
