/* cedar_validate.h - would these policies make sense under this schema? Cedar's strict mode: what
 * passes cannot fail with a wrong type or a missing attribute on requests that fit the schema
 * (docs.cedarpolicy.com, "Policy validation"). */
#ifndef CEDAR_VALIDATE_H
#define CEDAR_VALIDATE_H

#include "policy/cedar_check.h"

struct cedar_finding {
	const struct cedar_policy *policy;
	const char *text;            /* "line 3, column 7: ..." */
};

enum { CEDAR_FINDINGS_MAX = 100 };

/* *ret_count findings, the first of each policy, at most CEDAR_FINDINGS_MAX; none: valid. Fails
 * only without memory. */
MUST_USE int cedar_validate(struct arena *arena, const struct cedar_schema *schema,
			    const struct cedar_policy *policies, size_t count,
			    const struct cedar_finding **ret_findings, size_t *ret_count,
			    struct err *err);

/* Each kind of request that a policy's scope lets through: the checker's action, principal and
 * resource are of it. */
typedef int cedar_environment_fn(void *context, struct cedar_checker *checker,
				 const struct cedar_policy *policy);
MUST_USE int cedar_each_environment(struct cedar_checker *checker,
				    const struct cedar_policy *policy,
				    cedar_environment_fn *visit, void *context);

#endif
