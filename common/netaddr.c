/* netaddr.c - see netaddr.h. The table is read from its top: the first range that has the address
 * says what it is (IANA's registries of special-purpose addresses). */
#include "common/defs.h"
#include "common/netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct special {
	const char *range;
	enum net_scope scope;
} specials[] = {
	{"0.0.0.0/8", NET_FORBIDDEN},
	{"10.0.0.0/8", NET_PRIVATE},
	{"100.100.100.200/32", NET_FORBIDDEN}, /* a metadata service */
	{"100.64.0.0/10", NET_PRIVATE},
	{"127.0.0.0/8", NET_LOOPBACK},
	{"169.254.0.0/16", NET_FORBIDDEN},
	{"172.16.0.0/12", NET_PRIVATE},
	{"192.0.0.192/32", NET_FORBIDDEN}, /* a metadata service */
	{"192.0.0.0/24", NET_FORBIDDEN},
	{"192.0.2.0/24", NET_FORBIDDEN},
	{"192.88.99.0/24", NET_FORBIDDEN},
	{"192.168.0.0/16", NET_PRIVATE},
	{"198.18.0.0/15", NET_FORBIDDEN},
	{"198.51.100.0/24", NET_FORBIDDEN},
	{"203.0.113.0/24", NET_FORBIDDEN},
	{"224.0.0.0/3", NET_FORBIDDEN},
	{"::1/128", NET_LOOPBACK},
	{"fd00:ec2::/32", NET_FORBIDDEN},
	{"fd20:ce::254/128", NET_FORBIDDEN},
	{"fc00::/7", NET_PRIVATE},
	{"64:ff9b:1::/48", NET_PRIVATE},
	{"2001:db8::/32", NET_FORBIDDEN},
	{"2001::/23", NET_FORBIDDEN},
	{"2002::/16", NET_FORBIDDEN},
	{"3fff::/20", NET_FORBIDDEN},
	{"2000::/3", NET_PUBLIC},
	{"::/0", NET_FORBIDDEN},
};

bool netaddr_parse(const char *text, struct netaddr *ret_address)
{
	struct netaddr address = {.bits = strchr(text, ':') ? 128 : 32};
	if (inet_pton(address.bits == 128 ? AF_INET6 : AF_INET, text, address.bytes) != 1)
		return false;
	*ret_address = address;
	return true;
}

bool netaddr_of(const struct sockaddr *socket, struct netaddr *ret_address)
{
	struct netaddr address = {.bits = socket->sa_family == AF_INET6 ? 128 : 32};
	if (socket->sa_family == AF_INET)
		memcpy(address.bytes, &((const struct sockaddr_in *)socket)->sin_addr, 4);
	else if (socket->sa_family == AF_INET6)
		memcpy(address.bytes, &((const struct sockaddr_in6 *)socket)->sin6_addr, 16);
	else
		return false;
	*ret_address = address;
	return true;
}

void netaddr_print(const struct netaddr *address, char out[NETADDR_TEXT])
{
	out[0] = 0;
	(void)!inet_ntop(address->bits == 128 ? AF_INET6 : AF_INET, address->bytes, out,
	                 NETADDR_TEXT);
}

static bool begins_with(const uint8_t *bytes, const uint8_t *wanted, int bits)
{
	int whole = bits / 8, rest = bits % 8;
	if (memcmp(bytes, wanted, (size_t)whole) != 0)
		return false;
	return rest == 0 || (bytes[whole] ^ wanted[whole]) >> (8 - rest) == 0;
}

/* The IPv4 address that a mapped or NAT64 one stands for, or the address itself. */
static struct netaddr plain(const struct netaddr *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	struct netaddr inner = {.bits = 32};
	if (address->bits != 128 ||
	    (!begins_with(address->bytes, mapped, 96) && !begins_with(address->bytes, nat64, 96)))
		return *address;
	memcpy(inner.bytes, address->bytes + 12, 4);
	return inner;
}

bool net_range_parse(const char *text, struct net_range *ret_range)
{
	char address[NETADDR_TEXT], *end = NULL;
	size_t len = strcspn(text, "/");
	struct net_range range;
	if (!text[len] || len >= sizeof address || text[len + 1] < '0' || text[len + 1] > '9')
		return false;
	snprintf(address, sizeof address, "%.*s", (int)len, text);
	long length = strtol(text + len + 1, &end, 10);
	if (!netaddr_parse(address, &range.address) || *end || length > range.address.bits)
		return false;
	range.length = (int)length;
	for (int bit = range.length; bit < range.address.bits; bit++)
		if (range.address.bytes[bit / 8] & (0x80 >> bit % 8))
			return false;
	*ret_range = range;
	return true;
}

bool net_range_has(const struct net_range *range, const struct netaddr *address)
{
	struct netaddr inner = plain(address);
	return inner.bits == range->address.bits &&
	       begins_with(inner.bytes, range->address.bytes, range->length);
}

enum net_scope netaddr_scope(const struct netaddr *address)
{
	struct net_range range;
	for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
		bool sound = net_range_parse(specials[i].range, &range);
		REQUIRE(sound);
		if (net_range_has(&range, address))
			return specials[i].scope;
	}
	return NET_PUBLIC;
}

const char *net_scope_name(enum net_scope scope)
{
	static const char *const names[] = {"public", "private", "loopback",
	                                    "link-local, multicast or reserved"};
	return names[scope];
}

bool net_ranges_parse(const char *text, struct net_ranges *ret_ranges)
{
	struct net_ranges ranges = {.count = 0};
	char one[64];
	for (const char *at = text ? text : ""; *at;) {
		size_t len = strcspn(at, ",");
		if (len >= sizeof one || ranges.count == NET_RANGES_MAX)
			return false;
		snprintf(one, sizeof one, "%.*s", (int)len, at);
		if (!net_range_parse(one, &ranges.ranges[ranges.count++]))
			return false;
		at += len + (at[len] == ',');
	}
	*ret_ranges = ranges;
	return true;
}

bool net_ranges_have(const struct net_ranges *ranges, const struct netaddr *address)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (net_range_has(&ranges->ranges[i], address))
			return true;
	return false;
}
