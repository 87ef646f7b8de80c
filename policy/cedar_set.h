/* cedar_set.h - an immutable, indexed set of policies, and the decision over it.
 *
 * Default deny; a forbid wins; a policy that fails is skipped and reported. Filled, closed, and
 * from then on read by any thread; a change is a new set, and whoever holds the old one keeps
 * it. */
#ifndef CEDAR_SET_H
#define CEDAR_SET_H

#include "policy/cedar_eval.h"

struct cedar_set;

/* bytes_max bounds all that the set will hold. The caller owns one hold. */
MUST_USE int cedar_set_new(size_t bytes_max, struct cedar_set **ret_set, struct err *err);
void cedar_set_hold(struct cedar_set *set);
void cedar_set_free(struct cedar_set *set);      /* gives one hold back; accepts NULL */
DEFINE_AUTO(cedar_set)

/* All policies and templates of the text, or none: the error names the place. Ids are prefix and
 * number ("policy0"), so a prefix is given once. */
MUST_USE int cedar_set_add(struct cedar_set *set, const char *text, size_t len, const char *prefix,
			   struct err *err);
/* A policy out of a template that is in the set; uids are copied and may be NULL without a slot. */
MUST_USE int cedar_set_link(struct cedar_set *set, const char *template_id, const char *id,
			    const struct cedar_uid *principal, const struct cedar_uid *resource,
			    struct err *err);
/* Builds the index; nothing is added after it. E_INVALID when an id is there twice. */
MUST_USE int cedar_set_close(struct cedar_set *set, struct err *err);

size_t cedar_set_count(const struct cedar_set *set);                  /* templates included */
const struct cedar_policy *cedar_set_at(const struct cedar_set *set, size_t i);
size_t cedar_set_bytes(const struct cedar_set *set);                  /* held in memory */

struct cedar_failure {
	const struct cedar_policy *policy;
	const char *reason;
};

/* Lists are in the order of the set. They live in the arena that was given. */
struct cedar_answer {
	bool allowed;
	size_t reason_count;             /* the policies that determined it */
	const struct cedar_policy **reasons;
	size_t error_count;
	struct cedar_failure *errors;
};

/* Fails only without memory, and then nothing is decided: deny. */
MUST_USE int cedar_set_decide(const struct cedar_set *set, struct arena *arena,
			      const struct cedar_request *request,
			      const struct cedar_entities *entities,
			      struct cedar_answer *ret_answer, struct err *err);
/* The policies whose scope the request lies in, whatever their conditions, in the order of the
 * set; the list lives in the arena. Fails only without memory. */
MUST_USE int cedar_set_concerned(const struct cedar_set *set, struct arena *arena,
				 const struct cedar_request *request,
				 const struct cedar_entities *entities,
				 const struct cedar_policy ***ret_policies, size_t *ret_count,
				 struct err *err);

#endif
