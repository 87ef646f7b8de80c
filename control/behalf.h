/* behalf.h - for whom a task reads, and what for: kept with its record when it is accepted, and
 * looked up again for each attempt, so that it reads what they may read by then.
 *
 * A record's (a Schedule's, too) `reader` is {principal?, strength?, groups?}: principal
 * "TENANT/NAME", absent where the task's own principal is it; strength of how they proved who they
 * are, absent for an API key; groups that a login's provider named. `purpose` is a text. What runs
 * by a schedule runs for whoever wrote that, and for the purpose given then. */
#ifndef BEHALF_H
#define BEHALF_H

#include "api/access_ask.h"
#include "control/admit.h"
#include "control/shard_work.h"

struct behalf {
	const struct value *reader;      /* NULL: the principal itself, by an API key */
	const char *purpose;             /* NULL: none was given */
};
/* Of who asks now; in the request's arena. with_principal: the task's own is to be another. */
MUST_USE int behalf_of(const struct request *request, bool with_principal,
		       struct behalf *ret_behalf, struct err *err);
/* As kept in a record or resource. */
struct behalf behalf_read(const struct value *kept);
/* Adds its members to a record or resource. */
void behalf_set(struct arena *arena, struct value *record, const struct behalf *behalf);

/* With the roles they have now. E_DENIED, naming them: they are gone or disabled, or nobody is
 * known (a schedule that was written before writers were kept). */
MUST_USE int behalf_asker(struct control *control, struct arena *arena, const struct work *work,
			  struct asker *ret_asker, struct err *err);

#endif
