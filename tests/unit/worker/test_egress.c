/* test_egress.c - calls to hosts that tenants name: a server on loopback, which the test allows,
 * and a resolver that says what the test wants. */
#include "common/defs.h"
#include "worker/egress.h"

#include "api/http.h"
#include "common/crypto.h"
#include "common/json.h"
#include "tests/support/folder.h"
#include "tests/support/pems.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BIG = 3 * 1024 * 1024 };

static struct fixture {
	struct arena *arena;
	struct http_server *server;
	int port, served, resolved;
	char hosts[1024];
	const char *says[4]; /* addresses that the resolver answers */
	const char *later;   /* after the first look-up; NULL: the same */
	char location[256];  /* of /to */
	sem_t stopped; /* posted when the call that /stop keeps waiting has ended */
	volatile int stop;
} * f;

static void put(struct http_request *request, int status, const char *text, size_t len)
{
	struct buf body;
	buf_init(&body, 2 * BIG);
	for (size_t sent = 0; sent < len; sent += strlen(text))
		buf_puts(&body, text);
	http_answer(request, status, "text/csv", &body);
}

static void serve(void *context, struct http_request *request)
{
	const char *path = http_path(request);
	int hops = 0;
	(void)context;
	__atomic_add_fetch(&f->served, 1, __ATOMIC_SEQ_CST);
	if (strcmp(path, "/to") == 0) {
		http_add_header(request, "Location", f->location);
		put(request, 302, "moved", 5);
	} else if (sscanf(path, "/hop%d", &hops) == 1) {
		char next[32];
		snprintf(next, sizeof next, "/hop%d", hops - 1);
		http_add_header(request, "Location", next);
		put(request, hops > 0 ? 307 : 200, "arrived", 7);
	} else if (strcmp(path, "/lost") == 0) {
		put(request, 302, "moved", 5);
	} else if (strcmp(path, "/big") == 0) {
		put(request, 200, "0123456789abcdef", BIG);
	} else if (strcmp(path, "/stop") == 0) {
		__atomic_store_n(&f->stop, 1, __ATOMIC_RELEASE);
		sem_wait(&f->stopped);
		put(request, 200, "late", 4);
	} else if (strcmp(path, "/missing") == 0) {
		put(request, 404, "none", 4);
	} else if (strcmp(path, "/broken") == 0) {
		put(request, 502, "none", 4);
	} else {
		put(request, 200, "a,b\n1,2\n", 8);
	}
}

static void start(const char *cert, const char *key)
{
	struct err err = {0};
	const struct http_conf conf = {.listen = "127.0.0.1:0",
	                               .threads = 2,
	                               .serve = serve,
	                               .cert_file = cert,
	                               .key_file = key};
	cr_assert_eq(http_server_new(&conf, &f->server, &err), 0, "%s", err.text);
	f->port = http_server_port(f->server);
	f->says[0] = "127.0.0.1";
	snprintf(f->hosts, sizeof f->hosts,
	         "[{\"host\":\"data.example.com\",\"port\":%d,\"scheme\":"
	         "\"%s\",\"network\":\"127.0.0.0/8\"}]",
	         f->port, cert ? "https" : "http");
}

static void setup(void)
{
	f = calloc(1, sizeof *f);
	sem_init(&f->stopped, 0, 0);
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(16 * MIB, &f->arena, NULL), 0);
	start(NULL, NULL);
}
static void teardown(void)
{
	http_server_free(f->server);
	arena_free(f->arena);
	free(f);
}
TestSuite(egress, .init = setup, .fini = teardown);

static int resolve(void *context, const char *host, struct netaddr out[EGRESS_ADDRESSES_MAX],
                   struct err *err)
{
	int count = 0;
	(void)context;
	(void)host;
	(void)err;
	bool first = f->resolved++ == 0 || !f->later;
	for (const char *const *at = f->says; *at; at++)
		cr_assert(netaddr_parse(first ? *at : f->later, &out[count++]));
	return count;
}

static struct egress_conf conf(void)
{
	return (struct egress_conf){
		.allow = "127.0.0.0/8,10.0.0.0/8,::1/128", .bytes_max = MIB, .resolve = resolve};
}

struct got {
	int rc;
	int64_t bytes;
	char text[64];
	struct err err;
};

static struct got get_with(const struct egress_conf *conf, const char *url)
{
	struct egress *egress = NULL;
	struct got got = {0};
	struct value *hosts = NULL;
	cr_assert_eq(egress_new(conf, &egress, &got.err), 0, "%s", got.err.text);
	cr_assert_eq(json_parse(f->arena, f->hosts, strlen(f->hosts), &hosts, NULL), 0);
	const struct egress_call call = {hosts, url, 20000, &f->stop};
	int fd = memfd_create("test", MFD_CLOEXEC);
	got.rc = egress_get(egress, &call, fd, &got.bytes, &got.err);
	cr_assert_geq(pread(fd, got.text, sizeof got.text - 1, 0), 0);
	close(fd);
	egress_free(egress);
	return got;
}

static const char *url(const char *scheme, const char *host, const char *path)
{
	return arena_printf(f->arena, "%s://%s:%d%s", scheme, host, f->port, path);
}

static struct got get(const char *host, const char *path)
{
	const struct egress_conf wanted = conf();
	return get_with(&wanted, url("http", host, path));
}

static void check_denied(struct got got, const char *says)
{
	cr_expect_eq(got.rc, E_DENIED, "%d: %s", got.rc, got.err.text);
	cr_expect(strstr(got.err.text, says), "%s", got.err.text);
	cr_expect_eq(f->served, 0, "it was called");
}

Test(egress, fetches_from_a_host_of_the_list)
{
	struct got got = get("data.example.com", "/a.csv");
	cr_assert_eq(got.rc, 0, "%s", got.err.text);
	cr_expect_str_eq(got.text, "a,b\n1,2\n");
	cr_expect_eq(got.bytes, 8);
	cr_expect_eq(f->resolved, 1);
}

Test(egress, a_host_that_is_not_on_the_list_is_not_even_looked_up)
{
	check_denied(get("other.example.com", "/"), "spec.egress");
	cr_expect_eq(f->resolved, 0);
	const struct egress_conf wanted = conf();
	check_denied(get_with(&wanted, url("https", "data.example.com", "/")), "an operator can");
	snprintf(f->hosts, sizeof f->hosts, "[]");
	check_denied(get("data.example.com", "/"), "spec.egress");
}

Test(egress, addresses_that_no_task_may_reach_are_refused_whatever_is_allowed)
{
	static const char *const never[] = {
		"169.254.169.254",
		"fd00:ec2::254",
		"0.0.0.0",
		"::",
		"224.0.0.1",
		"fe80::1",
		"::ffff:169.254.169.254",
		"64:ff9b::a9fe:a9fe",
		"2002:7f00:1::",
		"255.255.255.255",
	};
	struct egress_conf wanted = conf();
	wanted.allow = "0.0.0.0/0,::/0";
	snprintf(f->hosts, sizeof f->hosts,
	         "[{\"host\":\"data.example.com\",\"port\":%d,\"scheme\":"
	         "\"http\",\"network\":\"0.0.0.0/0\"}]",
	         f->port);
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		f->says[0] = never[i];
		check_denied(get_with(&wanted, url("http", "data.example.com", "/")),
		             "no task may");
	}
}

Test(egress, private_addresses_need_the_worker_and_the_list)
{
	struct egress_conf wanted = conf();
	wanted.allow = NULL;
	check_denied(get_with(&wanted, url("http", "data.example.com", "/")),
	             "--egress-allow-private");
	snprintf(f->hosts, sizeof f->hosts,
	         "[{\"host\":\"data.example.com\",\"port\":%d,\"scheme\":"
	         "\"http\"}]",
	         f->port);
	check_denied(get("data.example.com", "/"), "spec.egress");
	f->says[0] = "10.0.0.1";
	check_denied(get("data.example.com", "/"), "private");
}

Test(egress, what_the_worker_denies_is_denied)
{
	struct egress_conf wanted = conf();
	wanted.deny = "192.0.2.0/24,127.0.0.1/32";
	check_denied(get_with(&wanted, url("http", "data.example.com", "/")), "no task may");
}

Test(egress, one_bad_address_among_good_ones_spoils_the_name)
{
	f->says[1] = "169.254.169.254";
	check_denied(get("data.example.com", "/"), "no task may");
}

/* The second answer would lead elsewhere; nobody asks for it. */
Test(egress, a_name_is_resolved_once_and_its_address_pinned)
{
	f->later = "10.255.255.1";
	struct got got = get("data.example.com", "/a.csv");
	cr_expect_eq(got.rc, 0, "%s", got.err.text);
	cr_expect_eq(f->resolved, 1);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	f->later = NULL;
	cr_expect_eq(get("data.example.com", "/a.csv").rc, 0, "a proxy was asked");
	unsetenv("http_proxy");
}

Test(egress, an_address_as_a_host_is_judged_as_one)
{
	static const char *const odd[] = {"127.1", "2130706433", "0x7f.1", "017700000001"};
	snprintf(f->hosts, sizeof f->hosts,
	         "[{\"host\":\"127.0.0.1\",\"port\":%d,\"scheme\":\"http\","
	         "\"network\":\"127.0.0.0/8\"}]",
	         f->port);
	cr_expect_eq(get("127.0.0.1", "/").rc, 0);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		cr_expect_eq(get(odd[i], "/").rc, E_INPUT, "%s", odd[i]);
	snprintf(f->hosts, sizeof f->hosts,
	         "[{\"host\":\"169.254.169.254\",\"port\":%d,\"scheme\":"
	         "\"http\"}]",
	         f->port);
	f->served = 0;
	check_denied(get("169.254.169.254", "/"), "no task may");
}

Test(egress, a_redirect_is_judged_like_the_first_call)
{
	static const char *const away[] = {
		"http://other.example.com/", "http://169.254.169.254/latest/meta-data/",
		"https://data.example.com/", "//other.example.com/x",
		"http://127.0.0.1/",
	};
	for (size_t i = 0; i < ARRAY_LEN(away); i++) {
		snprintf(f->location, sizeof f->location, "%s", away[i]);
		struct got got = get("data.example.com", "/to");
		cr_expect_eq(got.rc, E_DENIED, "%s: %d %s", away[i], got.rc, got.err.text);
	}
	snprintf(f->location, sizeof f->location, "file:///etc/passwd");
	cr_expect_eq(get("data.example.com", "/to").rc, E_INPUT);
	snprintf(f->location, sizeof f->location, "/a.csv");
	struct got got = get("data.example.com", "/to");
	cr_expect_str_eq(got.text, "a,b\n1,2\n", "%s", got.err.text);
	cr_expect_eq(got.bytes, 8);
}

/* Each hop is looked up and judged again: an answer that changes in between gains nothing. */
Test(egress, a_name_that_leads_elsewhere_at_a_redirect_is_refused)
{
	f->later = "169.254.169.254";
	snprintf(f->location, sizeof f->location, "/a.csv");
	cr_expect_eq(get("data.example.com", "/to").rc, E_DENIED);
	cr_expect_eq(f->served, 1);
}

Test(egress, five_redirects_are_followed_and_no_more)
{
	cr_expect_str_eq(get("data.example.com", "/hop5").text, "arrived");
	struct got got = get("data.example.com", "/hop6");
	cr_expect_eq(got.rc, E_INPUT);
	cr_expect(strstr(got.err.text, "5 redirects"), "%s", got.err.text);
	cr_expect_eq(get("data.example.com", "/lost").rc, E_INPUT);
}

Test(egress, an_answer_over_the_limit_is_cut_off)
{
	struct got got = get("data.example.com", "/big");
	cr_expect_eq(got.rc, E_RESOURCES);
	cr_expect(strstr(got.err.text, "1048576"), "%s", got.err.text);
}

Test(egress, what_the_server_says_is_told)
{
	cr_expect_eq(get("data.example.com", "/missing").rc, E_INPUT);
	cr_expect_eq(get("data.example.com", "/broken").rc, E_UNAVAILABLE);
	const struct egress_conf wanted = conf();
	snprintf(f->hosts, sizeof f->hosts,
	         "[{\"host\":\"data.example.com\",\"port\":1,\"scheme\":"
	         "\"http\",\"network\":\"127.0.0.0/8\"}]");
	cr_expect_eq(get_with(&wanted, "http://data.example.com:1/").rc, E_UNAVAILABLE);
}

Test(egress, is_stopped_from_outside)
{
	struct got got = get("data.example.com", "/stop");
	sem_post(&f->stopped);
	cr_expect_eq(got.rc, E_CANCELLED, "%s", got.err.text);
}

Test(egress, a_certificate_must_be_trusted_and_bear_the_name)
{
	char dir[] = "/tmp/test-egress-XXXXXX";
	folder_make(dir);
	pems_authority(dir, "test");
	pems_add(dir, "one", "DNS:data.example.com");
	const struct pem_paths files = pems_paths(dir, "one");
	http_server_free(f->server);
	start(files.cert, files.key);
	struct egress_conf wanted = conf();
	struct got got = get_with(&wanted, url("https", "data.example.com", "/a.csv"));
	cr_expect_eq(got.rc, E_UNAVAILABLE);
	cr_expect(strstr(got.err.text, "not trusted"), "%s", got.err.text);
	wanted.ca_file = files.ca;
	got = get_with(&wanted, url("https", "data.example.com", "/a.csv"));
	cr_expect_str_eq(got.text, "a,b\n1,2\n", "%s", got.err.text);
	snprintf(f->hosts, sizeof f->hosts,
	         "[{\"host\":\"*.example.com\",\"port\":%d,\"network\":"
	         "\"127.0.0.0/8\"}]",
	         f->port);
	cr_expect_eq(get_with(&wanted, url("https", "other.example.com", "/")).rc, E_UNAVAILABLE);
	folder_remove(dir);
}

Test(egress, settings_are_ranges)
{
	struct egress *egress = NULL;
	struct err err = {0};
	struct egress_conf wanted = conf();
	wanted.deny = "10.0.0.1/8";
	cr_expect_eq(egress_new(&wanted, &egress, &err), E_INVALID);
	cr_expect(strstr(err.text, "--egress-deny"), "%s", err.text);
	wanted.deny = NULL;
	wanted.allow = "10.0.0.0/8,all";
	cr_expect_eq(egress_new(&wanted, &egress, &err), E_INVALID);
	cr_expect(strstr(err.text, "--egress-allow-private"), "%s", err.text);
}
