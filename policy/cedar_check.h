/* cedar_check.h - the type of one expression in one request environment, by the strict rules. */
#ifndef CEDAR_CHECK_H
#define CEDAR_CHECK_H

#include "policy/cedar_ast.h"
#include "policy/cedar_schema.h"

enum { CEDAR_KNOWN_MAX = 1000 };             /* later tests establish nothing more */

/* What has been tested before: that `on` has an attribute, or a tag. A list; NULL is the empty
 * one. */
struct cedar_known {
	const struct cedar_known *next;
	uint32_t count;                      /* from here on; at most CEDAR_KNOWN_MAX */
	const struct cedar_expr *on;
	struct cedar_str attr;               /* unless tag is set */
	const struct cedar_expr *tag;
};

struct cedar_typed {
	const struct cedar_type *type;
	const struct cedar_known *known;     /* holds when the expression is true */
};

struct cedar_checker {
	struct arena *arena;
	const struct cedar_schema *schema;
	const struct cedar_action_type *action;
	const struct cedar_type *principal, *resource, *action_type;
	struct err *err;
};

/* E_INVALID with place and reason when the expression has no type. */
MUST_USE int cedar_check(struct cedar_checker *checker, const struct cedar_expr *expr,
			 const struct cedar_known *known, struct cedar_typed *ret_typed);

#endif
