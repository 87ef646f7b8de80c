/* tenancy.h - what state a tenant is in, and what that forbids. It stands in the member "state" of
 * the tenant's resource (r/tenant/NAME), beside metadata and spec, where no PUT reaches it:
 * {is, since, by, reason, before?, id?, dueAt?, erasingAt?}, times in Unix ms. Without it the
 * tenant is active; `before` is the state that a cancelled deletion or an unsealing goes back to.
 * Any thread. */
#ifndef TENANCY_H
#define TENANCY_H

#include "control/control.h"

enum tenant_state {
	TENANT_ACTIVE,
	TENANT_SUSPENDED,            /* starts nothing; what runs ends, what is stored is read */
	TENANT_SEALED,               /* and its keys are locked away: nothing of its data opens */
	TENANT_DELETING,             /* waits to be erased, as suspended; then is erased */
	TENANT_STATES_
};

const char *tenant_state_name(enum tenant_state state);  /* "active", "suspended", ... */
enum tenant_state tenant_state_of(const struct value *tenant);   /* of the whole resource */
/* Of a tenant that does not exist: active, nothing forbids what is not there. When memory is
 * missing to look: sealed. */
enum tenant_state tenant_state(struct control *control, const char *tenant);

enum tenancy_need {
	TENANCY_READ,                /* reads what is stored of its data: histories, archives */
	TENANCY_RUN,                 /* starts a task, fires a schedule, reads online */
	TENANCY_KEYS,                /* opens any of its keys */
	TENANCY_WRITE,               /* changes a resource of it */
};
/* E_CONFLICT, whose sentence names the state, since when, who, the reason given, the way out. */
MUST_USE int tenancy_needs(struct control *control, const char *tenant, enum tenancy_need need,
                           struct err *err);
/* What is shown of it: {state, since?, by?, reason?, dueAt?, erasingAt?, before?}. */
struct value *tenancy_status(struct arena *arena, const struct value *tenant);
/* A new state map, in arena; before NULL: it goes back to active. */
struct value *tenancy_state_new(struct arena *arena, enum tenant_state is, const char *by,
                                const char *reason, const struct value *before, int64_t now_ms);

/* Does here what follows from a tenant's state: its resource is another, or (value NULL) gone. */
void tenancy_changed(struct control *control, const char *tenant, const struct value *value);

/* The same of a tenant's resource that was read already. */
MUST_USE int tenancy_allows(const struct value *tenant, enum tenancy_need need, struct err *err);

#endif
