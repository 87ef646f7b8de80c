/* cedar_ip.h - Cedar's ipaddr: an IPv4 or IPv6 address with a prefix. */
#ifndef CEDAR_IP_H
#define CEDAR_IP_H

#include "policy/cedar_value.h"

/* "10.1.2.3", "10.1.0.0/16", "::1", "ff00::/8". False for anything else; IPv4 inside IPv6 text,
 * leading zeros of an octet or a prefix and zone names are refused. */
bool cedar_ip_parse(struct cedar_str text, struct cedar_ip *ret_ip);
bool cedar_ip_is_loopback(const struct cedar_ip *ip);
bool cedar_ip_is_multicast(const struct cedar_ip *ip);
bool cedar_ip_in_range(const struct cedar_ip *ip, const struct cedar_ip *range);

#endif
