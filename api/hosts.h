/* hosts.h - which hosts a tenant's tasks may call: the list in Tenant.spec.egress, which an
 * operator sets and a signed grant carries to the worker. Names are compared here; addresses are
 * the worker's (worker/egress.h). */
#ifndef HOSTS_H
#define HOSTS_H

#include "common/netaddr.h"
#include "common/value.h"

enum { HOSTS_MAX = 64, HOST_MAX = 253, HOST_URL_MAX = 2048 };

/* Where a URL leads. */
struct host_target {
	bool plain; /* http:// */
	int port;
	char host[HOST_MAX + 1]; /* lower case, no final dot; an IPv6 address without brackets */
	const char *path;        /* and parameters, from the first slash; in the URL, "" for none */
};
/* Only what has one reading: http or https, no user name, no fragment, a host of letters, digits,
 * hyphens and dots, or an address in its usual form. E_INVALID. */
MUST_USE int host_target_parse(const char *url, struct host_target *ret_target, struct err *err);
/* "https://HOST[:PORT]/PATH" without what may be secret in it: for errors. */
void host_target_print(const struct host_target *target, char out[HOST_URL_MAX]);

/* Spec.egress: at most HOSTS_MAX of {host, scheme, port, network}, already checked as fields. path
 * is put before names in errors. E_INVALID. */
MUST_USE int hosts_check(const struct value *list, const char *path, struct err *err);
/* The first entry that names the target; NULL: none does. */
const struct value *hosts_find(const struct value *list, const struct host_target *target);

#endif
