/* fuzz_proxied.c - whatever a client or proxy writes, its address is one, and the peer's own where
 * that is not trusted. Up to the first newline: the connection's other end. */
#include "common/defs.h"
#include "api/proxied.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[PROXIED_CHAIN_MAX + NETADDR_TEXT], out[NETADDR_TEXT], same[NETADDR_TEXT];
	struct net_ranges trusted, none = { .count = 0 };
	struct netaddr address;
	if (len >= sizeof text || memchr(data, 0, len))
		return 0;
	memcpy(text, data, len);
	text[len] = 0;
	char *chain = strchr(text, '\n');
	if (chain)
		*chain++ = 0;
	REQUIRE(net_ranges_parse("10.0.0.0/8,fd00::/8", &trusted));
	if (!proxied_client(&trusted, text, chain, out)) {
		REQUIRE(!netaddr_parse(text, &address));
		return 0;
	}
	REQUIRE(netaddr_parse(out, &address));
	REQUIRE(proxied_client(&none, text, chain, same));
	REQUIRE(proxied_client(&trusted, text, NULL, out) && strcmp(out, same) == 0);
	return 0;
}
