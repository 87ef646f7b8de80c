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
	/* For cedar_function_call: NULL, or why there is no result. */
	const char *(*run)(struct arena *arena, const struct cedar_value *args,
			   struct cedar_value *ret_value);
};

const struct cedar_function *cedar_function_find(struct cedar_str name);   /* or NULL */
/* As many arguments as its arity, of its kinds. E_INVALID with the reason, or E_NOMEM. */
MUST_USE int cedar_function_call(const struct cedar_function *function, struct arena *arena,
				 const struct cedar_value *args, struct cedar_value *ret_value,
				 struct err *err);
/* A function that makes a value of text: decimal, ip, datetime, duration. */
bool cedar_function_makes(const struct cedar_function *function);

#endif
