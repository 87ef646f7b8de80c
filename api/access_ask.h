/* access_ask.h - the "access" exchange on the link (api/poll.h): a caller's credential and what it
 * asks to read, and the access grant that answers it. */
#ifndef ACCESS_ASK_H
#define ACCESS_ASK_H

#include "common/value.h"

struct access_ask {
	const char *credential;      /* as the caller sent it */
	const char *const *views;    /* "view" or "domain.view" */
	size_t view_count;
	const uint8_t *box_public;
};
MUST_USE int access_ask_value(struct arena *arena, const struct access_ask *ask,
                              struct value **ret_value, struct err *err);
MUST_USE int access_ask_read(struct arena *arena, const struct value *body,
                             struct access_ask *ret_ask, struct err *err);

/* The answer, in an envelope of kind "access": {grant: bytes of an access grant}. */
struct access_answer { const uint8_t *grant; size_t grant_len; };
MUST_USE int access_answer_value(struct arena *arena, const struct access_answer *answer,
                                 struct value **ret_value, struct err *err);
MUST_USE int access_answer_read(struct arena *arena, const struct value *body,
                                struct access_answer *ret_answer, struct err *err);

#endif
