/* may.h - may a request's caller do that? The one way handlers and rules ask: by roles and
 * policies, with the request's time and purpose and the asker's address. */
#ifndef MAY_H
#define MAY_H

#include "api/access_ask.h"
#include "control/admit.h"
#include "control/policies.h"

/* By the tags in force of what is asked about, which ask->tags gets: the kind of ask->kind. */
struct decision may_decide(struct control *control, struct arena *arena, struct policies_ask *ask,
			   enum kind kind);
/* Of a resource: its kind and name, and as it is stored (for tags and labels); NULL: of the
 * target itself. */
struct decision may_request(struct control *control, const struct request *request,
			    enum action action, const struct target *target, enum kind kind,
			    const char *name, const struct value *stored);
/* The same outside of a request. */
struct decision may_asker(struct control *control, struct arena *arena, const struct asker *asker,
			  enum action action, const struct target *target, enum kind kind,
			  const char *name);

#endif
