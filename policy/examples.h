/* examples.h - a policy's examples (spec.examples of kind Policy, whose fields have been checked):
 * requests and what must come of them, decided by an engine without looking anything up. */
#ifndef EXAMPLES_H
#define EXAMPLES_H

#include "policy/naming.h"

enum { EXAMPLES_MAX = 1000 };            /* of one policy */

struct example {
	const char *name;                /* its own, or "#3" */
	bool holds;
	const char *expected, *got;      /* "deny by salaries.0" */
};
/* E_INVALID names the member that is wrong; whether it holds is no error. */
MUST_USE int example_run(const struct model *model, const struct engine *engine,
			 struct arena *arena, const char *tenant, const struct value *examples,
			 size_t i, struct example *ret_example, struct err *err);
/* The domains that examples name, so that an engine can have their roles: adds new ones to a list
 * of texts. */
void examples_domains(const struct model *model, struct arena *arena, const char *tenant,
		      const struct value *examples, struct value *domains);

#endif
