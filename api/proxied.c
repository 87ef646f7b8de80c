/* proxied.c - see proxied.h. */
#include "common/defs.h"
#include "api/proxied.h"

#include <stdio.h>
#include <string.h>

/* ::ffff:10.1.2.3 is 10.1.2.3. */
static void unmap(struct netaddr *address)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };
	if (address->bits != 128 || memcmp(address->bytes, head, sizeof head) != 0)
		return;
	memmove(address->bytes, address->bytes + sizeof head, 4);
	memset(address->bytes + 4, 0, sizeof address->bytes - 4);
	address->bits = 32;
}

/* The last item of chain's first *len bytes, which *len then ends before. */
static bool take_last(const char *chain, size_t *len, struct netaddr *ret_address)
{
	char text[NETADDR_TEXT];
	size_t end = *len, from;
	for (from = end; from && chain[from - 1] != ',';)
		from--;
	*len = from ? from - 1 : 0;
	while (from < end && (chain[from] == ' ' || chain[from] == '\t'))
		from++;
	while (end > from && (chain[end - 1] == ' ' || chain[end - 1] == '\t'))
		end--;
	if (end == from || end - from >= sizeof text)
		return false;
	memcpy(text, chain + from, end - from);
	text[end - from] = 0;
	return netaddr_parse(text, ret_address);
}

bool proxied_client(const struct net_ranges *trusted, const char *peer, const char *chain,
                    char out[NETADDR_TEXT])
{
	struct netaddr client, next;
	size_t len = chain ? strlen(chain) : 0;
	if (!netaddr_parse(peer, &client))
		return false;
	unmap(&client);
	for (int hop = 0; hop < PROXIED_HOPS_MAX && len && net_ranges_have(trusted, &client);
	     hop++) {
		if (!take_last(chain, &len, &next))
			break;
		client = next;
		unmap(&client);
	}
	netaddr_print(&client, out);
	return true;
}
