/* err.h - one error type for the whole tree: a negative code plus one sentence.
 * The sentence names the field or thing, the rule, the numbers and the way out. It never holds
 * data values, SQL, keys or tokens. */
#ifndef ERR_H
#define ERR_H

#include "common/defs.h"

enum err_code {
	E_OK = 0,
	E_FIRST_ = -1000,
#define ERROR(code, http, retry, category, title) E_##code,
#include "common/errors.def"
#undef ERROR
	E_END_
};

struct err {
	int code;
	int after_s;                 /* seconds until the same call may succeed; 0: not known */
	char text[480];
};

/* Fills *err (may be NULL) and returns code, so that a failure is one statement. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);
/* Adds when it is worth another try: in seconds, 1 at least. Returns code. */
int err_after(struct err *err, int code, int64_t after_s);
/* Puts "what: " before the sentence that is there. Returns the code in *err. */
int err_prefix(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* The same from errno: ENOSPC and EDQUOT become E_NO_SPACE, ENOENT E_NOT_FOUND, the rest E_IO. */
int err_errno(struct err *err, int errno_value, const char *fmt, ...) PRINTF(3, 4);

const char *err_name(int code);    /* "QUOTA"; "UNKNOWN" for no code of ours */
const char *err_title(int code);   /* the row's title */
int err_http(int code);            /* HTTP status; 500 for no code of ours */
bool err_retryable(int code);
int err_by_name(const char *name); /* the code; E_INTERNAL for no name of ours */

#endif
