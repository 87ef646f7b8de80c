/* proxied.h - whose request it is that comes through proxies: X-Forwarded-For, as far as it was
 * written by proxies that are trusted. Each adds the address it was called from at the end, so the
 * list is read from there; what is before the first address that is no trusted proxy's anyone may
 * have written. */
#ifndef PROXIED_H
#define PROXIED_H

#include "common/netaddr.h"

enum { PROXIED_HOPS_MAX = 16, PROXIED_CHAIN_MAX = 2048 };

/* peer: the connection's other end. chain: "A, B, C"; NULL: none. What cannot be read ends the
 * list: then it is the last address before that. An IPv4 address inside an IPv6 one is written as
 * itself. False: peer is no address. */
bool proxied_client(const struct net_ranges *trusted, const char *peer, const char *chain,
                    char out[NETADDR_TEXT]);

#endif
