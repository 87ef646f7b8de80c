/* duck_error.h - what may be told of an engine's message; used by duck.c only, and pure. */
#ifndef DUCK_ERROR_H
#define DUCK_ERROR_H

#include "common/buf.h"

enum duck_blame {
	BLAME_SQL,  /* the author's text: the message is kept */
	BLAME_DATA, /* a value at run time: the message may quote it, so it is not kept */
	BLAME_MEMORY,
	BLAME_ACCESS,
	BLAME_IO,
	BLAME_INTERRUPT,
	BLAME_ENGINE
};

/* What stands for the path of a descriptor; NULL: "a dataset's file". */
typedef const char *duck_named_fn(const void *context, int fd);

/* Fills err with what may be told and returns its code. */
int duck_error_tell(enum duck_blame blame, const char *message, duck_named_fn *named,
                    const void *context, struct err *err);

#endif
