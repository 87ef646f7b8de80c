/* test_conf.c - settings: flag before environment before default; what is wrong is named. */
#include "common/defs.h"
#include "control/conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static int read_args(struct conf *conf, struct err *err, char *a, char *b)
{
	char name[] = "freehold-control";
	char *argv[] = { name, a, b, NULL };
	unsetenv("FREEHOLD_ROOT_KEY_FILE");
	return conf_read(b ? 3 : a ? 2 : 1, argv, conf, err);
}

Test(conf, prefers_the_flag_to_the_environment_and_that_to_the_default)
{
	struct conf conf;
	struct err err = { 0 };
	char flag[] = "--listen", value[] = "127.0.0.1:1";
	unsetenv("FREEHOLD_LISTEN");
	cr_assert_eq(read_args(&conf, &err, NULL, NULL), 0, "%s", err.text);
	cr_expect_str_eq(conf.listen, "127.0.0.1:7070");
	setenv("FREEHOLD_LISTEN", "127.0.0.1:2", 1);
	cr_assert_eq(read_args(&conf, &err, NULL, NULL), 0);
	cr_expect_str_eq(conf.listen, "127.0.0.1:2");
	cr_assert_eq(read_args(&conf, &err, flag, value), 0);
	cr_expect_str_eq(conf.listen, "127.0.0.1:1");
	unsetenv("FREEHOLD_LISTEN");
}

Test(conf, takes_empty_text_for_none)
{
	struct conf conf;
	struct err err = { 0 };
	cr_assert_eq(read_args(&conf, &err, NULL, NULL), 0);
	cr_expect_null(conf.bootstrap_key_file);
	cr_expect_eq(conf.http_threads, 32);
	cr_expect(!conf.make_root_key);
}

Test(conf, names_what_is_wrong_and_the_nearest_right_one)
{
	struct conf conf;
	struct err err = { 0 };
	char listn[] = "--listn", x[] = "x", threads[] = "--http-threads",
	     make[] = "--make-root-key";
	char plain[] = "listen", level[] = "--log-level";
	cr_expect_eq(read_args(&conf, &err, listn, x), E_INVALID);
	cr_expect_not_null(strstr(err.text, "--listen"), "%s", err.text);
	cr_expect_eq(read_args(&conf, &err, threads, x), E_INVALID);
	cr_expect_not_null(strstr(err.text, "http-threads"), "%s", err.text);
	cr_expect_eq(read_args(&conf, &err, make, x), E_INVALID);
	cr_expect_eq(read_args(&conf, &err, plain, x), E_INVALID);
	cr_expect_eq(read_args(&conf, &err, threads, NULL), E_INVALID);
	cr_assert_eq(read_args(&conf, &err, level, x), 0);
	enum log_level found;
	cr_expect_eq(conf_log_level(&conf, &found, &err), E_INVALID);
}

Test(conf, explains_every_setting)
{
	AUTO_BUF out;
	struct err err = { 0 };
	buf_init(&out, 64 * KIB);
	conf_help(&out);
	cr_assert_eq(buf_check(&out, &err), 0);
#define SETTING(kind, name, flag, env, fallback, doc) \
	cr_expect_not_null(strstr((char *)out.data, "--" flag " ")); \
	cr_expect_not_null(strstr((char *)out.data, env));
#include "control/conf.def"
#undef SETTING
}

Test(conf, others_reach_it_where_it_listens_unless_that_is_everywhere)
{
	static const struct { const char *listen, *cert, *given, *url; } rows[] = {
		{ "127.0.0.1:7070", NULL, NULL, "http://127.0.0.1:7070" },
		{ "10.1.2.3:443", "c.pem", NULL, "https://10.1.2.3:443" },
		{ "0.0.0.0:7070", "c.pem", NULL, "" },
		{ "[::]:7070", "c.pem", NULL, "" },
		{ "127.0.0.1:0", NULL, NULL, "" },
		{ "0.0.0.0:7070", "c.pem", "https://a.example/", "https://a.example" },
	};
	struct err err = { 0 };
	char url[256];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct conf conf = { .listen = rows[i].listen, .cert_file = rows[i].cert,
		                           .advertise_url = rows[i].given };
		cr_expect_eq(conf_advertise(&conf, url, &err), 0, "%s", err.text);
		cr_expect_str_eq(url, rows[i].url);
	}
	const struct conf wrong = { .listen = "127.0.0.1:1", .advertise_url = "a.example" };
	cr_expect_eq(conf_advertise(&wrong, url, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "--advertise-url"));
}

Test(conf, workers_are_not_told_to_dial_a_wildcard)
{
	const struct conf wild = { .link = "tls+tcp://0.0.0.0:7071" };
	const struct conf wild6 = { .link = "tls+tcp://[::]:7071" };
	const struct conf own = { .link = "tls+tcp://control.example.com:7071" };
	const struct conf said = { .link = "tls+tcp://0.0.0.0:7071",
		                   .worker_links = "tls+tcp://a.example.com:7071" };
	cr_expect_null(conf_worker_links(&wild));
	cr_expect_null(conf_worker_links(&wild6));
	cr_expect_str_eq(conf_worker_links(&own), own.link);
	cr_expect_str_eq(conf_worker_links(&said), said.worker_links);
}

Test(conf, other_replicas_are_not_reached_in_the_clear_but_on_loopback)
{
	const struct conf conf = { .listen = "0.0.0.0:7070", .cert_file = "c.pem",
		                   .advertise_url = "http://control.example.com:7070" };
	struct err err = { 0 };
	char url[256];
	cr_expect_eq(conf_advertise(&conf, url, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "loopback"), "%s", err.text);
}
