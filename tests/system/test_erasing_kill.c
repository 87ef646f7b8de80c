/* A tenant is erased while control and worker are killed again and again: nothing named so is left
 * in etcd, among the objects or online, and the certificate is verified by a command that asks
 * nobody. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "common/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 120000, ROWS = 2000, ROUNDS = 4, SPREAD_US = 150000 };

static bool is_gone(void *context)
{
	struct system *system = context;
	struct answer answer = system_call(system, story_key(system, "operator"), "GET",
	                                   "/v1/tenants/acme", NULL);
	return answer.status == 404;
}

static void fill(struct system *system)
{
	data_csv(system, "orders.csv", ROWS);
	story_orders(system, "orders.csv", "csv", "");
	story_spending(system);
	story_run(system, "ingest", "{\"source\":\"orders\"}");
	story_run(system, "transform", "{\"transformation\":\"spending\"}");
	story_run(system, "materialize", "{\"featureView\":\"spending\"}");
}

static bool is_there(struct system *system, const char *folder)
{
	return access(system_path(system, "%s/acme", folder), F_OK) == 0;
}

/* --- etcd --- */

static bool names_it(const char *base64)
{
	AUTO_BUF key;
	buf_init(&key, 4096);
	cr_assert_eq(base64_parse(base64, strlen(base64), &key, NULL), 0);
	cr_assert_eq(buf_check(&key, NULL), 0);
	return strstr((char *)key.data, "acme") != NULL;
}

static bool etcd_names_it(struct system *system)
{
	struct answer answer = system_call_with(system, PORT_ETCD, NULL, NULL, "POST",
	                                        "/v3/kv/range", "{\"key\":\"AA==\",\"range_end\":"
	                                        "\"AA==\",\"keys_only\":true}");
	const struct value *keys = value_get(answer.body, "kvs");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_assert_gt(value_len(keys), 0);
	for (size_t i = 0; i < value_len(keys); i++)
		if (names_it(value_get_str(value_at(keys, i), "key")))
			return true;
	return false;
}

/* --- the certificate --- */

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
}

static void check_certificate(struct system *system, const char *uid)
{
	const char *note = system_path(system, "out/acme.erased");
	const char *keys = system_path(system, "out/freehold.pub");
	const char *text = system_cli_ok(system, "erasures", uid, "--profile", "operator", NULL);
	char *changed = arena_strdup(system_arena(system), text);
	write_file(note, text);
	write_file(keys, system_cli_ok(system, "signers", "--profile", "operator", NULL));
	struct ran ran = system_cli(system, "verify", note, "--public-key", keys, NULL);
	cr_assert_eq(ran.code, 0, "%s", ran.out);
	cr_assert(strstr(ran.out, "verified: the tenant acme"), "%s", ran.out);
	char *reason = strstr(changed, "over");
	cr_assert_not_null(reason);
	reason[0] = 'O';
	write_file(note, changed);
	ran = system_cli(system, "verify", note, "--public-key", keys, NULL);
	cr_assert_eq(ran.code, 1, "%s", ran.out);
}

Test(erasing_kill, leaves_nothing_but_a_certificate_whoever_dies_meanwhile)
{
	static const char *const control[] = { "--erase-after-s", "0", NULL };
	const struct system_options options = { .control = control };
	struct system *system = story_start(&options);
	fill(system);
	cr_assert(is_there(system, "objects") && is_there(system, "online"));
	cr_assert(etcd_names_it(system));
	struct value *asked = system_ask(system, story_key(system, "operator"), "POST",
	                                 "/v1/tenants/acme/deletion",
	                                 "{\"name\":\"acme\",\"reason\":\"it is over\"}");
	const char *uid = value_get_str(asked, "uid");
	for (int round = 0; round < ROUNDS && !is_gone(system); round++) {
		enum part part = round % 2 ? PART_WORKER : PART_CONTROL;
		usleep((useconds_t)(round * SPREAD_US));
		system_kill(system, part);
		system_run(system, part);
	}
	cr_assert(wait_until(is_gone, system, WAIT_MS), "it is not gone: %s",
	          system_call(system, story_key(system, "operator"), "GET",
	                      "/v1/tenants/acme/deletion", NULL).text);
	cr_assert_not(is_there(system, "objects"));
	cr_assert_not(is_there(system, "online"));
	cr_assert_not(etcd_names_it(system));
	cr_assert_neq(system_call(system, story_key(system, "ada"), "GET", "/v1/whoami",
	                          NULL).status, 200);
	check_certificate(system, uid);
	system_stop(system);
}
