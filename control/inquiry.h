/* inquiry.h - may they, who may, and why: the decision as it would be made (control/policies.h,
 * control/reading.h), with the roles and policies that make it. Nothing is changed by asking. */
#ifndef INQUIRY_H
#define INQUIRY_H

#include "control/admit.h"
#include "policy/naming.h"

struct engine;

struct inquiry {
	struct control *control;
	struct arena *arena;             /* of what is answered */
	const char *tenant;
	enum action action;
	struct engine_resource resource;
	struct target target;
	enum kind kind;                  /* KIND_NONE: of a place */
	const struct value *stored;      /* the resource; NULL: it is not there */
	const struct value *schema;      /* of a dataset or view; NULL: not known */
	const struct value *tags;        /* in force */
	struct engine *engine;           /* held; NULL: roles alone */
	int64_t now_ms;
	const char *address, *purpose;
};
/* Of the action and resource named so. Release with inquiry_end. E_INVALID. */
MUST_USE int inquiry_begin(struct control *control, struct request *request, const char *tenant,
			   const char *action, const char *resource, struct inquiry *ret_inquiry,
			   struct err *err);
/* Of what is known already; the rest of it is filled in. */
MUST_USE int inquiry_about(struct inquiry *inquiry, struct err *err);
/* The decision by that engine (NULL: by roles alone); its texts lie in scratch. */
struct decision inquiry_decide(const struct inquiry *inquiry, const struct engine *engine,
			       struct arena *scratch, const struct asker *asker,
			       struct engine_answer *ret_answer);
/* The same for another action on the same resource. */
void inquiry_turn(struct inquiry *inquiry, enum action action);
void inquiry_end(struct inquiry *inquiry);

/* {allowed, rule, policies, failure, roles, data}, in the inquiry's arena; scratch is used up. */
MUST_USE int inquiry_answer(const struct inquiry *inquiry, struct arena *scratch,
			    const struct asker *asker, struct value **ret_answer, struct err *err);

#endif
