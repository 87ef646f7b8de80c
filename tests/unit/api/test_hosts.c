/* test_hosts.c - URLs with one reading, and the list of hosts that may be called. */
#include "common/defs.h"
#include "api/hosts.h"

#include "common/err.h"
#include "common/json.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;

static void setup(void)
{
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(hosts, .init = setup, .fini = teardown);

static const struct value *list(const char *text)
{
	struct value *value = NULL;
	struct err err;
	char *json = arena_strdup(arena, text);
	for (char *at = json; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	cr_assert_eq(json_parse(arena, json, strlen(json), &value, &err), 0, "%s", err.text);
	return value;
}

Test(hosts, a_url_says_where_it_leads)
{
	static const struct {
		const char *url, *host;
		int port;
		bool plain;
		const char *shown;
	} good[] = {
		{"https://data.example.com/a.csv?key=1", "data.example.com", 443, false,
	         "https://data.example.com/a.csv"},
		{"HTTP://Data.Example.COM.:8080", "data.example.com", 8080, true,
	         "http://data.example.com:8080"},
		{"https://[2001:db8::1]:444/x", "2001:db8::1", 444, false,
	         "https://[2001:db8::1]:444/x"},
		{"https://192.0.2.7/x?y", "192.0.2.7", 443, false, "https://192.0.2.7/x"},
		{"https://a_b-c.example.com?x=1", "a_b-c.example.com", 443, false,
	         "https://a_b-c.example.com"},
	};
	struct host_target target;
	struct err err;
	char shown[HOST_URL_MAX];
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		cr_assert_eq(host_target_parse(good[i].url, &target, &err), 0, "%s: %s",
		             good[i].url, err.text);
		cr_expect_str_eq(target.host, good[i].host);
		cr_expect(target.port == good[i].port && target.plain == good[i].plain);
		host_target_print(&target, shown);
		cr_expect_str_eq(shown, good[i].shown);
	}
}

Test(hosts, what_two_readers_may_read_differently_is_no_url)
{
	static const char *const bad[] = {
		"",
		"data.example.com",
		"ftp://example.com/",
		"file:///etc/passwd",
		"https:/example.com",
		"https://",
		"https:///x",
		"https://user@example.com/",
		"https://a:b@example.com/",
		"https://example.com@evil.example/",
		"https://127.1/",
		"https://2130706433/",
		"https://0x7f000001/",
		"https://0177.0.0.1/",
		"https://[::1/",
		"https://::1/",
		"https://[127.0.0.1]/",
		"https://[::1]x/",
		"https://example.com:0/",
		"https://example.com:65536/",
		"https://example.com:/",
		"https://example.com:4a/",
		"https://exa mple.com/",
		"https://ex%61mple.com/",
		"https://example..com/",
		"https://-a.example.com/",
		"https://example.com\\@evil.example/",
		"https://example.com/a b",
		"https://example.com/\n",
		"https://example.com/#x",
		"https://ex\xc3\xa4mple.com/",
		"https://.example.com/",
		"https://example.com:00000000443/x y",
	};
	struct host_target target;
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(host_target_parse(bad[i], &target, &err), E_INVALID, "%s", bad[i]);
}

Test(hosts, a_list_is_checked_with_the_entry_named)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"[{'host':'a.example.com'},{'host':'*'}]", "spec.egress[1].host"},
		{"[{'host':'*.com'}]", "spec.egress[0].host"},
		{"[{'host':'A.example.com'}]", "lower case"},
		{"[{'host':'https://a.example.com'}]", "host"},
		{"[{'host':'a.*.example.com'}]", "host"},
		{"[{'host':'127.1'}]", "host"},
		{"[{'host':'a.example.com','network':'10.0.0.1/8'}]", "spec.egress[0].network"},
	};
	struct err err = {0};
	cr_expect_eq(hosts_check(list("[{'host':'*.example.com','port':444},{'host':'192.0.2.1'},"
	                              "{'host':'a.example.com','network':'10.0.0.0/8'}]"),
	                         "spec.egress", &err),
	             0, "%s", err.text);
	cr_expect_eq(hosts_check(NULL, "spec.egress", &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(hosts_check(list(bad[i].text), "spec.egress", &err), E_INVALID);
		cr_expect(strstr(err.text, bad[i].says), "%s: %s", bad[i].text, err.text);
	}
}

Test(hosts, a_host_is_found_with_its_scheme_and_port_only)
{
	static const char hosts[] =
		"[{'host':'a.example.com'},{'host':'*.data.example.com','port':444},"
		"{'host':'b.example.com','scheme':'http'}]";
	static const struct {
		const char *url;
		bool found;
	} urls[] = {
		{"https://a.example.com/", true},
		{"https://A.EXAMPLE.com./", true},
		{"https://a.example.com:444/", false},
		{"http://a.example.com/", false},
		{"http://a.example.com:443/", false},
		{"https://x.a.example.com/", false},
		{"https://aa.example.com/", false},
		{"https://x.data.example.com:444/", true},
		{"https://x.y.data.example.com:444/", true},
		{"https://data.example.com:444/", false},
		{"https://xdata.example.com:444/", false},
		{"http://b.example.com/", true},
		{"https://b.example.com/", false},
	};
	const struct value *entries = list(hosts);
	struct host_target target;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		cr_assert_eq(host_target_parse(urls[i].url, &target, NULL), 0, "%s", urls[i].url);
		cr_expect_eq(hosts_find(entries, &target) != NULL, urls[i].found, "%s",
		             urls[i].url);
		cr_expect_null(hosts_find(NULL, &target));
	}
}
