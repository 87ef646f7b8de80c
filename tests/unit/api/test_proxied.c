/* test_proxied.c - a caller's address through proxies: only what trusted ones wrote counts. */
#include "common/defs.h"
#include "api/proxied.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *client(const char *trusted, const char *peer, const char *chain)
{
	static _Thread_local char out[NETADDR_TEXT];
	struct net_ranges ranges;
	cr_assert(net_ranges_parse(trusted, &ranges));
	return proxied_client(&ranges, peer, chain, out) ? out : "(none)";
}

Test(proxied, is_the_peer_where_no_proxy_is_trusted)
{
	cr_expect_str_eq(client(NULL, "192.0.2.1", "10.0.0.1"), "192.0.2.1");
	cr_expect_str_eq(client("10.0.0.0/8", "192.0.2.1", "10.0.0.1, 10.0.0.2"), "192.0.2.1");
	cr_expect_str_eq(client("10.0.0.0/8", "10.0.0.9", NULL), "10.0.0.9");
	cr_expect_str_eq(client(NULL, "::ffff:192.0.2.1", NULL), "192.0.2.1");
	cr_expect_str_eq(client(NULL, "unix", NULL), "(none)");
}

Test(proxied, is_the_last_address_that_a_trusted_proxy_wrote)
{
	static const char proxies[] = "10.0.0.0/8,fd00::/8";
	cr_expect_str_eq(client(proxies, "10.0.0.9", "198.51.100.7"), "198.51.100.7");
	cr_expect_str_eq(client(proxies, "10.0.0.9", "198.51.100.7 ,10.2.3.4,\t10.0.0.8"),
	                 "198.51.100.7");
	cr_expect_str_eq(client(proxies, "fd00::1", "2001:db8::7"), "2001:db8::7");
	cr_expect_str_eq(client(proxies, "::ffff:10.0.0.9", "::ffff:198.51.100.7"),
	                 "198.51.100.7");
}

Test(proxied, does_not_believe_what_a_client_has_written_before)
{
	static const char proxies[] = "10.0.0.0/8";
	cr_expect_str_eq(client(proxies, "10.0.0.9", "10.1.1.1, 198.51.100.7"), "198.51.100.7");
	cr_expect_str_eq(client(proxies, "10.0.0.9", "127.0.0.1, x, 198.51.100.7"),
	                 "198.51.100.7");
}

Test(proxied, stops_at_what_is_no_address_and_after_so_many)
{
	static const char proxies[] = "10.0.0.0/8";
	char chain[PROXIED_CHAIN_MAX] = "198.51.100.7";
	cr_expect_str_eq(client(proxies, "10.0.0.9", "198.51.100.7, unknown"), "10.0.0.9");
	cr_expect_str_eq(client(proxies, "10.0.0.9", "198.51.100.7, 10.0.0.3, , 10.0.0.4"),
	                 "10.0.0.4");
	cr_expect_str_eq(client(proxies, "10.0.0.9", ","), "10.0.0.9");
	for (int i = 0; i < PROXIED_HOPS_MAX; i++)
		strcat(chain, ", 10.0.0.5");
	cr_expect_str_eq(client(proxies, "10.0.0.9", chain), "10.0.0.5");
}
