/* lint.h - what is wrong or hardly meant in policies, without a server: what the platform's model
 * refuses, and what a set of them does to each other. */
#ifndef LINT_H
#define LINT_H

#include "policy/model.h"

struct lint_text {
	const char *name, *text;
}; /* a Policy's name and text */

enum { LINT_TEXTS_MAX = 10000, LINT_FINDINGS_MAX = 1000 };

/* A list of {severity: "error" or "warning", policy, rule, text}. The rules:
 *   syntax, model      it would be refused                                          (errors)
 *   duplicate-name     two policies of one name; the later one takes its place      (error)
 *   duplicate-id       two of one @id
 *   never-applies      its condition is true of no request
 *   shadowed           an unconditional forbid covers it; or a permit that permits all it does
 *   forbids-everything a forbid without a condition on any principal, action and resource
 *   fallible           a forbid that fails, and then forbids nothing, where a column has no value
 * or a number overflows wide               a permit of actions that no one role of a tenant has
 * together */
MUST_USE int lint_policies(const struct model *model, struct arena *arena,
                           const struct lint_text *texts, size_t count, struct value **ret_findings,
                           struct err *err);

#endif
