/* netaddr.h - internet addresses as numbers: what kind of place one is, and whether it lies in a
 * range. An IPv4 address inside an IPv6 one (mapped, NAT64) is judged as the address it leads to.
 */
#ifndef NETADDR_H
#define NETADDR_H

#include "common/defs.h"

struct sockaddr;

enum { NETADDR_TEXT = 46 };

struct netaddr {
	int bits;          /* 32 or 128 */
	uint8_t bytes[16]; /* in network order */
};

enum net_scope {
	NET_PUBLIC,
	NET_PRIVATE, /* RFC 1918, shared (CGNAT), unique local */
	NET_LOOPBACK,
	NET_FORBIDDEN /* link-local and metadata addresses, multicast, unspecified,
	               * broadcast, reserved, tunnels */
};

bool netaddr_parse(const char *text, struct netaddr *ret_address); /* strict: no 127.1, no zone */
bool netaddr_of(const struct sockaddr *socket, struct netaddr *ret_address);
void netaddr_print(const struct netaddr *address, char out[NETADDR_TEXT]);
enum net_scope netaddr_scope(const struct netaddr *address);
const char *net_scope_name(enum net_scope scope);

struct net_range {
	struct netaddr address;
	int length;
};
/* "10.0.0.0/8", "fd00::/8"; no bits beyond the length. */
bool net_range_parse(const char *text, struct net_range *ret_range);
/* An IPv4 address counts however it is written. */
bool net_range_has(const struct net_range *range, const struct netaddr *address);

enum { NET_RANGES_MAX = 64 };
struct net_ranges {
	struct net_range ranges[NET_RANGES_MAX];
	size_t count;
};
/* Separated by commas; NULL or "": none. */
bool net_ranges_parse(const char *text, struct net_ranges *ret_ranges);
bool net_ranges_have(const struct net_ranges *ranges, const struct netaddr *address);

#endif
