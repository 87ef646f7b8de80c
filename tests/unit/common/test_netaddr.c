/* test_netaddr.c - addresses, what kind of place each is, and ranges. */
#include "common/defs.h"
#include "common/netaddr.h"

#include <criterion/criterion.h>
#include <string.h>

static enum net_scope scope_of(const char *text)
{
	struct netaddr address;
	cr_assert(netaddr_parse(text, &address), "%s", text);
	return netaddr_scope(&address);
}

Test(netaddr, public_addresses_are_public_in_every_form)
{
	static const char *const texts[] = {
		"8.8.8.8",         "1.1.1.1",          "172.15.255.255",  "172.32.0.0",
		"100.63.255.255",  "100.128.0.0",      "223.255.255.255", "2606:4700::1111",
		"::ffff:8.8.8.8",  "64:ff9b::8.8.8.8", "169.253.255.255", "169.255.0.0",
		"192.167.255.255",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		cr_expect_eq(scope_of(texts[i]), NET_PUBLIC, "%s", texts[i]);
}

Test(netaddr, what_no_task_may_reach_is_known_in_every_form)
{
	static const struct {
		const char *text;
		enum net_scope scope;
	} known[] = {
		{"127.0.0.1", NET_LOOPBACK},
		{"127.255.255.255", NET_LOOPBACK},
		{"::1", NET_LOOPBACK},
		{"::ffff:127.0.0.1", NET_LOOPBACK},
		{"64:ff9b::127.0.0.1", NET_LOOPBACK},
		{"10.1.2.3", NET_PRIVATE},
		{"172.16.0.1", NET_PRIVATE},
		{"172.31.255.255", NET_PRIVATE},
		{"192.168.1.1", NET_PRIVATE},
		{"100.64.0.1", NET_PRIVATE},
		{"fd12::1", NET_PRIVATE},
		{"::ffff:10.0.0.1", NET_PRIVATE},
		{"64:ff9b::10.0.0.1", NET_PRIVATE},
		{"64:ff9b:1::1", NET_PRIVATE},
		{"169.254.169.254", NET_FORBIDDEN},
		{"169.254.0.1", NET_FORBIDDEN},
		{"::ffff:169.254.169.254", NET_FORBIDDEN},
		{"64:ff9b::a9fe:a9fe", NET_FORBIDDEN},
		{"fd00:ec2::254", NET_FORBIDDEN},
		{"fe80::1", NET_FORBIDDEN},
		{"100.100.100.200", NET_FORBIDDEN},
		{"0.0.0.0", NET_FORBIDDEN},
		{"::", NET_FORBIDDEN},
		{"224.0.0.1", NET_FORBIDDEN},
		{"ff02::1", NET_FORBIDDEN},
		{"255.255.255.255", NET_FORBIDDEN},
		{"240.0.0.1", NET_FORBIDDEN},
		{"::127.0.0.1", NET_FORBIDDEN},
		{"2002:7f00:1::", NET_FORBIDDEN},
		{"2001:0:4136:e378::1", NET_FORBIDDEN},
		{"192.0.0.192", NET_FORBIDDEN},
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		cr_expect_eq(scope_of(known[i].text), known[i].scope, "%s is %s", known[i].text,
		             net_scope_name(scope_of(known[i].text)));
}

Test(netaddr, odd_forms_are_no_addresses)
{
	static const char *const texts[] = {"",           "127.1",     "0x7f.0.0.1",   "2130706433",
	                                    "0177.0.0.1", "1.2.3.4.5", "fe80::1%eth0", "[::1]",
	                                    "1.2.3",      "x"};
	struct netaddr address;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		cr_expect_not(netaddr_parse(texts[i], &address), "%s", texts[i]);
}

Test(netaddr, ranges_have_no_bits_beyond_their_length)
{
	static const char *const good[] = {"0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32",
	                                   "fd00::/8",  "::1/128",    "192.168.4.0/22"};
	static const char *const bad[] = {"",
	                                  "/",
	                                  "10.0.0.0",
	                                  "10.0.0.0/",
	                                  "10.0.0.1/8",
	                                  "10.0.0.0/33",
	                                  "fd00::/129",
	                                  "10.0.0.0/-1",
	                                  "10.0.0.0/8x",
	                                  "192.168.5.0/22",
	                                  "10.0.0.0/99999999999"};
	struct net_range range;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect(net_range_parse(good[i], &range), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_not(net_range_parse(bad[i], &range), "%s", bad[i]);
}

Test(netaddr, a_range_has_its_addresses_and_no_others)
{
	static const struct {
		const char *range, *address;
		bool has;
	} pairs[] = {
		{"10.0.0.0/9", "10.127.255.255", true},  {"10.0.0.0/9", "10.128.0.0", false},
		{"10.0.0.0/9", "::ffff:10.1.1.1", true}, {"0.0.0.0/0", "::1", false},
		{"fd00::/8", "fdff::1", true},           {"fd00::/8", "fe00::1", false},
		{"10.1.2.3/32", "10.1.2.3", true},       {"10.1.2.3/32", "10.1.2.2", false},
	};
	struct net_range range;
	struct netaddr address;
	char text[NETADDR_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		cr_assert(net_range_parse(pairs[i].range, &range));
		cr_assert(netaddr_parse(pairs[i].address, &address));
		cr_expect_eq(net_range_has(&range, &address), pairs[i].has, "%s %s", pairs[i].range,
		             pairs[i].address);
	}
	cr_assert(netaddr_parse("2001:DB8:0::1", &address));
	netaddr_print(&address, text);
	cr_expect_str_eq(text, "2001:db8::1");
}

Test(netaddr, lists_of_ranges_have_what_one_of_them_has)
{
	struct net_ranges ranges;
	struct netaddr address;
	cr_assert(net_ranges_parse("10.0.0.0/8,fd00::/8", &ranges));
	cr_assert(netaddr_parse("fd12::1", &address));
	cr_expect(net_ranges_have(&ranges, &address));
	cr_assert(netaddr_parse("11.0.0.1", &address));
	cr_expect_not(net_ranges_have(&ranges, &address));
	cr_assert(net_ranges_parse(NULL, &ranges) && net_ranges_parse("", &ranges));
	cr_expect_not(net_ranges_have(&ranges, &address));
	cr_expect_not(net_ranges_parse("10.0.0.0/8,all", &ranges));
	cr_expect_not(net_ranges_parse("10.0.0.0/8 ,11.0.0.0/8", &ranges));
}
