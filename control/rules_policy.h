/* rules_policy.h - a Policy about to be written: the set of all stays one by which administrators
 * may change policies; its text agrees with the platform's model; its examples hold. */
#ifndef RULES_POLICY_H
#define RULES_POLICY_H

#include "control/admit.h"

/* E_INVALID, E_CONFLICT. What is allowed and hardly meant is added to request->warnings: names of
 * nothing, what the text would be refused for were it new, other policies' examples that hold no
 * more. */
MUST_USE int rules_policy(struct control *control, struct request *request,
			  const struct manifest *manifest, const struct value *before,
			  struct err *err);

#endif
