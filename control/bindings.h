/* bindings.h - who has which role where, by whatever way: a principal's own roles, its groups,
 * RoleBindings (of a tenant, a domain or one resource), and the domains it owns. An index of the
 * catalog by subject, kept by the catalog's
 * changes, so that a request costs a few look-ups however many bindings a tenant has.
 *
 * A subject is a principal's NAME or "group:NAME". Any thread. */
#ifndef BINDINGS_H
#define BINDINGS_H

#include "api/kinds.h"
#include "control/control.h"
#include "policy/policy.h"

#define GROUP_SUBJECT "group:"

struct bindings;
MUST_USE int bindings_new(struct bindings **ret_bindings, struct err *err);
void bindings_free(struct bindings *bindings);
DEFINE_AUTO(bindings)

/* A key of the catalog has that value now; NULL: it is gone. Other kinds' keys are ignored. What
 * memory is missing for gives nothing to anybody until its next change. */
void bindings_changed(struct bindings *bindings, const char *key, const struct value *value);

/* Adds to an asker with tenant, principal, its own roles and maybe groups (of a login): its groups,
 * and the bindings of itself and of all its groups. The texts lie in the arena. Without memory it
 * adds less. bindings NULL: nothing. */
void bindings_fill(struct bindings *bindings, struct arena *arena, struct asker *asker);

/* What would be after a write: the key would have that value; NULL: it would be gone. */
struct what_if {
	const char *key;
	const struct value *value;
};
typedef int bindings_fn(void *context, const struct binding *binding, struct err *err);
/* Each role that a subject has, its own, by groups and by ownership. what_if NULL: as it is. The
 * arena holds the change that is looked at. */
MUST_USE int bindings_each(struct bindings *bindings, struct arena *arena, const char *tenant,
                           const char *subject, const struct what_if *what_if, bindings_fn *visit,
                           void *context, struct err *err);
/* A role as someone has it: which resource says so (its catalog key), through which group. */
struct bindings_origin {
	const char *role, *domain, *source, *group;      /* domain, group: NULL: none */
};
typedef void bindings_origin_fn(void *context, const struct bindings_origin *origin);
/* Of an asker as bindings_fill left it. Texts are the visit's only. */
void bindings_origins(struct bindings *bindings, const struct asker *asker,
		      bindings_origin_fn *visit, void *context);
/* E_INVALID, naming one, when a principal would have more than BINDINGS_MAX roles or be in more
 * than GROUPS_MAX groups. */
MUST_USE int bindings_check_room(struct bindings *bindings, struct arena *arena, const char *tenant,
                                 const struct what_if *what_if, struct err *err);
/* Whether anyone in the tenant who is not disabled has that role in all of it. */
MUST_USE int bindings_has_holder(struct bindings *bindings, struct arena *arena, const char *tenant,
                                 const char *role, const struct what_if *what_if, bool *ret_has,
                                 struct err *err);
/* Each principal that is there and not disabled, as an asker with all it has, until visit says so
 * by *ret_enough. The lock is held, and the texts are the index's: nothing is kept. */
typedef int bindings_asker_fn(void *context, const struct asker *asker, bool *ret_enough,
                              struct err *err);
MUST_USE int bindings_askers(struct bindings *bindings, struct arena *arena, const char *tenant,
                             const struct what_if *what_if, bindings_asker_fn *visit,
                             void *context, struct err *err);
/* The key of a resource that names the subject, other than the subject's own; or that gives a role
 * in the domain, other than the domain's own. Empty: none does. */
void bindings_user_of(struct bindings *bindings, const char *tenant, const char *subject,
                      char ret_key[STORE_KEY_MAX]);
void bindings_user_of_domain(struct bindings *bindings, const char *tenant, const char *domain,
                             char ret_key[STORE_KEY_MAX]);
/* Or that gives a role at that resource alone. */
void bindings_user_of_resource(struct bindings *bindings, const char *tenant,
                               const struct binding *place, char ret_key[STORE_KEY_MAX]);

#endif
