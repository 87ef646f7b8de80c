/* cedar_ip.c - bytes after the address's own length stay zero, so whole arrays compare. */
#include "common/defs.h"
#include "policy/cedar_ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 43, V4_BITS = 32, V6_BITS = 128 };

/* A decimal number without sign or leading zeros, at most `most`. */
static bool prefix_parse(const char *text, unsigned most, uint8_t *ret_prefix)
{
	size_t len = strlen(text);
	unsigned n = 0;
	if (!len || len > 3 || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		n = n * 10 + (unsigned)(text[i] - '0');
	}
	*ret_prefix = (uint8_t)n;
	return n <= most;
}

/* inet_pton takes "01.2.3.4"; Cedar does not. */
static bool octets_canonical(const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p == '0' && (p == text || p[-1] == '.') && p[1] && p[1] != '.')
			return false;
	return true;
}

bool cedar_ip_parse(struct cedar_str text, struct cedar_ip *ret_ip)
{
	char copy[TEXT_MAX + 1];
	if (!text.len || text.len > TEXT_MAX || memchr(text.text, 0, text.len))
		return false;
	memcpy(copy, text.text, text.len);
	copy[text.len] = 0;
	char *slash = strchr(copy, '/');
	if (slash)
		*slash = 0;
	struct cedar_ip ip = { .v6 = strchr(copy, ':') != NULL };
	unsigned most = ip.v6 ? V6_BITS : V4_BITS;
	if (ip.v6 ? strchr(copy, '.') != NULL : !octets_canonical(copy))
		return false;
	if (inet_pton(ip.v6 ? AF_INET6 : AF_INET, copy, ip.addr) != 1)
		return false;
	ip.prefix = (uint8_t)most;
	if (slash && !prefix_parse(slash + 1, most, &ip.prefix))
		return false;
	*ret_ip = ip;
	return true;
}

bool cedar_ip_is_loopback(const struct cedar_ip *ip)
{
	static const uint8_t one[16] = { [15] = 1 };
	if (ip->v6)
		return memcmp(ip->addr, one, 16) == 0 && ip->prefix == V6_BITS;
	return ip->addr[0] == 127 && ip->prefix >= 8;
}

bool cedar_ip_is_multicast(const struct cedar_ip *ip)
{
	if (ip->v6)
		return ip->addr[0] == 0xff && ip->prefix >= 8;
	return (ip->addr[0] & 0xf0) == 0xe0 && ip->prefix >= 4;
}

bool cedar_ip_in_range(const struct cedar_ip *ip, const struct cedar_ip *range)
{
	if (ip->v6 != range->v6 || ip->prefix < range->prefix)
		return false;
	unsigned whole = range->prefix / 8, rest = range->prefix % 8;
	if (memcmp(ip->addr, range->addr, whole) != 0)
		return false;
	uint8_t mask = (uint8_t)(0xff00u >> rest);
	return !rest || (ip->addr[whole] & mask) == (range->addr[whole] & mask);
}
