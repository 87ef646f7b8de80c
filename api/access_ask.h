/* access_ask.h - the "access" exchange on the link (api/poll.h): a caller's credential and what it
 * asks to read, views online or datasets by SQL, and the grant that answers it. */
#ifndef ACCESS_ASK_H
#define ACCESS_ASK_H

#include "common/value.h"

struct access_query {                /* of datasets, for one SELECT */
	const char *id;              /* that its worker gave it */
	const char *const *tables;   /* "dataset" or "domain.dataset", as the SQL names them */
	size_t table_count;
	const char *domain;          /* where bare names are looked up; NULL: the caller's own */
	const char *sha256;          /* of the SQL, in hex: control is not told the text */
};
struct access_ask {
	const char *credential;      /* as the caller sent it */
	const char *const *views;    /* "view" or "domain.view" */
	size_t view_count;
	const uint8_t *box_public;
	const char *purpose;         /* what the caller says it reads for; NULL: it does not */
	const char *address;         /* the caller's; NULL: not known */
	const struct access_query *query;    /* instead of views; NULL: none */
	size_t query_count;          /* 1 with a query, else 0 */
};
/* The header that says what something is read for, at either door. */
#define PURPOSE_HEADER "Freehold-Purpose"
enum { PURPOSE_TEXT_MAX = 128 };
MUST_USE int access_ask_value(struct arena *arena, const struct access_ask *ask,
                              struct value **ret_value, struct err *err);
MUST_USE int access_ask_read(struct arena *arena, const struct value *body,
                             struct access_ask *ret_ask, struct err *err);

/* The answer, in an envelope of kind "access": {grant: bytes of an access grant, or for a query of
 * a task grant of type query}. */
struct access_answer { const uint8_t *grant; size_t grant_len; };
MUST_USE int access_answer_value(struct arena *arena, const struct access_answer *answer,
                                 struct value **ret_value, struct err *err);
MUST_USE int access_answer_read(struct arena *arena, const struct value *body,
                                struct access_answer *ret_answer, struct err *err);

#endif
