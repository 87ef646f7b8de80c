/* access_link.h - asks control over the link what a caller may read online. */
#ifndef ACCESS_LINK_H
#define ACCESS_LINK_H

#include "common/clock.h"
#include "worker/peer.h"
#include "api/access_grant.h"
#include "worker/access_cache.h"

struct access_link {             /* all borrowed */
	struct clock *clock;
	struct peer *peer;
	const struct grant_opener *opener;
};
/* An access_ask_fn; context is a struct access_link. What control refuses is told in its words. */
MUST_USE int access_link_ask(void *context, const struct access_want *want,
                             const char *const *views, size_t count, struct arena *arena,
                             struct access_grant **ret_grant, struct err *err);

/* The same for a query (ask->query); a query_ask_fn (worker/query.h). box_public is filled in. Wipe
 * the grant. */
struct access_ask;
MUST_USE int access_link_query(void *context, const struct access_ask *ask, struct arena *arena,
                               struct grant **ret_grant, struct err *err);

#endif
