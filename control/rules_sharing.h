/* rules_sharing.h - what an Offer and an Acceptance must agree with; for rules.c. */
#ifndef RULES_SHARING_H
#define RULES_SHARING_H

#include "control/admit.h"

/* before NULL: there is none. */
MUST_USE int rules_offer(struct control *control, struct request *request,
                         const struct manifest *manifest, const struct value *before,
                         struct err *err);
MUST_USE int rules_acceptance(struct control *control, struct request *request,
                              const struct manifest *manifest, struct err *err);
/* Of a new domain: its name is no acceptance's. */
MUST_USE int rules_alias_free(struct control *control, const struct manifest *manifest,
                              struct err *err);
/* An Offer or Acceptance that is written or (after NULL) deleted, told to the other side: events of
 * request->change. Nothing for other kinds. */
MUST_USE int rules_sharing_tell(struct control *control, struct request *request,
                                const struct value *before, const struct value *after,
                                struct err *err);

#endif
