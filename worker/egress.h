/* egress.h - the only way from this worker's agent to hosts that tenants name. A call goes to a
 * host on the list in the tenant's grant (api/hosts.h), by https unless the list says http. Its
 * name is resolved once; every address that comes back must be one that may be called, and the
 * connection is made to one of those, whatever else may happen: no second look-up, no proxy. Each
 * redirect is followed as a call of its own, five at most.
 *
 * Public addresses may be called. Loopback and private ones only where both the worker's settings
 * (allow) and the list's entry (network) say so; link-local, metadata, multicast and reserved ones
 * never. */
#ifndef EGRESS_H
#define EGRESS_H

#include "api/hosts.h"
#include "common/err.h"

struct egress;

enum { EGRESS_ADDRESSES_MAX = 16, EGRESS_REDIRECTS_MAX = 5 };

/* At most EGRESS_ADDRESSES_MAX addresses of a host, as text; how many, or a failure. */
typedef int egress_resolve_fn(void *context, const char *host,
                              struct netaddr out[EGRESS_ADDRESSES_MAX], struct err *err);
struct egress_conf {
	const char *deny, *allow;   /* ranges, separated by commas; NULL: none. deny wins */
	const char *ca_file;        /* PEM; NULL: the system's */
	int64_t bytes_max;          /* of one answer */
	int idle_ms;                /* longest silence; 0: 30000 */
	egress_resolve_fn *resolve; /* NULL: the system's resolver */
	void *context;              /* of resolve */
};
/* E_INVALID names the setting. */
MUST_USE int egress_new(const struct egress_conf *conf, struct egress **ret_egress,
                        struct err *err);
void egress_free(struct egress *egress);
DEFINE_AUTO(egress)

struct egress_call {
	const struct value *hosts; /* the grant's list; NULL: nothing may be called */
	const char *url;
	int64_t timeout_ms;       /* for all of it */
	const volatile int *stop; /* set by another thread to end it soon; NULL: nobody does */
};
/* GETs what is there into fd (a file or memfd, from its place on). E_DENIED: a host or address that
 * may not be called, with the field to change and who may. E_INPUT: the server says there is
 * nothing, or the URL is none. E_UNAVAILABLE, E_TIMEOUT: maybe later. E_RESOURCES: over bytes_max.
 * E_CANCELLED: stop. */
MUST_USE int egress_get(struct egress *egress, const struct egress_call *call, int fd,
                        int64_t *ret_bytes, struct err *err);

#endif
