/* sharing.h - data of one domain read by another: by an Offer of its owner, and across tenants by
 * an Offer on the one side and an Acceptance on the other. Looked at anew for every grant, so that
 * whatever ends it ends it at once. Reading only.
 *
 * Inside a tenant the reader names DOMAIN.NAME as ever. Across tenants it names ALIAS.NAME, where
 * ALIAS is the name of an Acceptance of its own domain. */
#ifndef SHARING_H
#define SHARING_H

#include "api/kinds.h"
#include "control/control.h"

struct change;

/* Who reads: a domain of a tenant. */
struct reader {
	const char *tenant, *domain;
};

/* What DOMAIN.NAME stands for to a reader. */
struct shared {
	const char *tenant, *domain, *name;
	const char *offer; /* by which another tenant gives it; NULL: the reader's own */
};

/* Whether `domain` is no domain to the reader but an Acceptance's name. */
bool sharing_is_alias(struct control *control, const struct reader *reader, const char *domain);
/* Whether any domain of the tenant has an Acceptance of that name. */
bool sharing_has_alias(struct control *control, const char *tenant, const char *name);
/* Never whether the resource itself is there. kind: DATASET or FEATUREVIEW. E_INPUT, in one and the
 * same sentence: another tenant does not offer it, no more, not to this reader, or is not active.
 */
MUST_USE int sharing_resolve(struct control *control, struct arena *arena,
                             const struct reader *reader, enum kind kind, const char *domain,
                             const char *name, struct shared *ret_shared, struct err *err);
/* Whether a domain of the reader's own tenant offers it that. */
bool sharing_offers(struct control *control, struct arena *arena, const struct reader *reader,
                    enum kind kind, const char *domain, const char *name);

/* Whether an Offer (its whole resource) gives that reader anything at that time. */
bool sharing_is_for(const struct value *offer, const struct reader *reader, int64_t now_ms);
/* The member `status` of an Offer or Acceptance: {state, acceptedBy?}; NULL for other kinds. */
MUST_USE int sharing_status(struct control *control, struct arena *arena,
                            const struct value *stored, struct value **ret_status, struct err *err);
/* Each tenant that accepted an offer of that tenant. */
typedef void sharing_fn(void *context, const char *tenant);
void sharing_readers(struct control *control, const char *provider, sharing_fn *visit,
                     void *context);

/* An event in the other tenant's log: with the change when it is of the same shard, else by itself,
 * wherever that shard is led (control/late.h). */
struct audit_event;
MUST_USE int sharing_audit(struct control *control, struct part *part, struct change *change,
                           const struct audit_event *event, struct err *err);

/* One read of another tenant's data, for both logs. The provider learns of the reader's tenant
 * only; the reader's actor is its principal. */
struct shared_read {
	struct reader reader;
	const char *principal; /* of the reader */
	const char *task;      /* NULL: an online read */
	enum kind kind;
	const char *rule; /* what allowed the reader to */
	struct shared shared;
	int64_t at_ms;
};
MUST_USE int sharing_audit_read(struct control *control, struct part *part, struct change *change,
                                const struct shared_read *read, struct err *err);

#endif
