/* policy_review.h - is a policy as it was meant? What is wrong with its text by the platform's own
 * model (policy/model.h), and which names in it are of nothing that is there now, which is no
 * error: it may come, and matches nothing till then. */
#ifndef POLICY_REVIEW_H
#define POLICY_REVIEW_H

#include "control/control.h"
#include "policy/model.h"

/* The platform's own model; lives in the arena. */
MUST_USE int review_model(struct arena *arena, const struct model **ret_model, struct err *err);

/* Its text, as model_print. */
MUST_USE int review_schema(struct buf *out, struct err *err);

struct review {
	struct control *control;
	struct arena *arena;
	const struct model *model;
	const char *tenant; /* whose policies they are */
};
/* Adds sentences that name the policy to both lists. A text that cannot be read is an error, too.
 */
MUST_USE int review_policy(const struct review *review, const char *name, const char *text,
                           struct value *errors, struct value *warnings, struct err *err);

/* Runs a policy's examples on an engine; adds a sentence for each that does not hold, at most
 * `most`, and *tried, how many were run. E_INVALID: one cannot be read. */
struct engine;
MUST_USE int review_examples(const struct review *review, const struct engine *engine,
                             const char *name, const struct value *examples, size_t most,
                             struct value *failed, size_t *tried, struct err *err);

#endif
