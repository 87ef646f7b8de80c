/* cedar_function.h - the functions and methods of Cedar's extension types, one table. */
#ifndef CEDAR_FUNCTION_H
#define CEDAR_FUNCTION_H

#include "policy/cedar_value.h"

enum { CEDAR_FUNCTION_ARGS_MAX = 2 };

struct cedar_function {
	const char *name;
	bool method;                 /* called as x.name(...); x is the first argument */
	uint8_t arity;
	uint8_t args[CEDAR_FUNCTION_ARGS_MAX];   /* enum cedar_kind */
	uint8_t result;              /* enum cedar_kind */
	/* Arguments have the kinds above. NULL, or why there is no result. */
	const char *(*call)(struct arena *arena, const struct cedar_value *args,
			    struct cedar_value *ret_value);
};

const struct cedar_function *cedar_function_find(struct cedar_str name);   /* or NULL */
/* A function that makes a value of text: decimal, ip, datetime, duration. */
bool cedar_function_makes(const struct cedar_function *function);

#endif
