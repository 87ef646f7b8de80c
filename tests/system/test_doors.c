/* The doors: TLS anywhere but on loopback, workers with the right certificate only, and what is
 * public. */
#include "common/defs.h"
#include "tests/support/story.h"

#include "tests/support/follow.h"
#include "tests/support/pems.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *control_program(struct system *system)
{
	return arena_printf(system_arena(system), "%s/freehold-control", getenv("FREEHOLD_BUILD"));
}

/* freehold-control on the system's etcd and keys, with another door. */
static pid_t start_control(struct system *system, const char *listen, bool tls)
{
	const char *args[PROCESS_ARGS_MAX] = {
		control_program(system), "--replica", "control-9", "--listen", listen, "--etcd",
		system_url(system, PORT_ETCD), "--root-key-file",
		system_path(system, "keys/root.key"), "--link", system_url(system, PORT_LINK_2),
		"--link-ca-file", system_path(system, "keys/ca.pem"), "--link-cert-file",
		system_path(system, "keys/control.pem"), "--link-key-file",
		system_path(system, "keys/control.key"),
	};
	size_t count = 0;
	while (args[count])
		count++;
	if (tls) {
		args[count++] = "--cert-file";
		args[count++] = system_path(system, "keys/control.pem");
		args[count++] = "--key-file";
		args[count] = system_path(system, "keys/control.key");
	}
	return process_start(args, system_path(system, "out/control-9"), NULL);
}

Test(doors, plain_http_beyond_loopback_is_refused_with_the_way_out)
{
	struct system *system = story_start(NULL);
	pid_t pid = start_control(system, "0.0.0.0:0", false);
	int code = process_wait(pid, 60000);
	cr_assert(code > 0 && code < 256, "%d", code);
	const char *out = file_text(system_arena(system), system_path(system, "out/control-9"));
	cr_assert(strstr(out, "cert") || strstr(out, "TLS"), "%s", out);
	system_stop(system);
}

struct tried { struct system *system; struct ran ran; const char *url; };

static bool logged_in(void *context)
{
	struct tried *tried = context;
	struct system *system = tried->system;
	tried->ran = system_cli(system, "login", "--url", tried->url, "--ca-file",
	                        system_path(system, "keys/ca.pem"), "--key-file",
	                        system_path(system, "ada.key"), "--profile", "tls", NULL);
	return tried->ran.code == 0;
}

Test(doors, the_api_speaks_tls_to_whoever_trusts_its_certificate)
{
	struct system *system = story_start(NULL);
	struct arena *arena = system_arena(system);
	int port = system_port(system, PORT_API_2);
	struct tried tried = {
		.system = system, .url = arena_printf(arena, "https://localhost:%d", port),
	};
	pid_t pid = start_control(system, arena_printf(arena, "0.0.0.0:%d", port), true);
	cr_assert(wait_until(logged_in, &tried, 60000), "%s", tried.ran.out);
	system_cli_ok(system, "get", "domains", "--profile", "tls", NULL);
	struct ran stranger = system_cli(system, "login", "--url", tried.url, "--key-file",
	                                 system_path(system, "ada.key"), NULL);
	cr_assert_neq(stranger.code, 0, "an unknown certificate was trusted");
	process_kill(pid);
	system_stop(system);
}

Test(doors, a_worker_with_a_certificate_of_another_authority_gets_no_task)
{
	struct system *system = story_start(NULL);
	const char *keys = system_path(system, "other-keys");
	mkdir(keys, 0700);
	pems_authority(keys, "another");
	pems_add(keys, "worker-1", "IP:127.0.0.1");
	const char *const args[] = {
		arena_printf(system_arena(system), "%s/freehold-worker", getenv("FREEHOLD_BUILD")),
		"--name", "worker-3", "--control", system_url(system, PORT_LINK), "--link-ca-file",
		system_path(system, "keys/ca.pem"), "--link-cert-file",
		system_path(system, "other-keys/worker-1.pem"), "--link-key-file",
		system_path(system, "other-keys/worker-1.key"), "--signing-public-file",
		system_path(system, "keys/grants.pub"), "--objects", system_path(system, "objects"),
		"--online", system_path(system, "online-2"), "--listen", "127.0.0.1:0", NULL
	};
	pid_t pid = process_start(args, system_path(system, "out/worker"), NULL);
	wait_ms(4000);
	struct answer metrics = system_call(system, NULL, "GET", "/metrics", NULL);
	cr_assert_not_null(strstr(metrics.text, "\nfreehold_workers 1\n"), "%s", metrics.text);
	const char *log = file_text(system_arena(system), system_path(system, "out/worker"));
	cr_assert_null(strstr(log, "control_answers"), "%s", log);
	process_kill(pid);
	system_stop(system);
}

Test(doors, what_needs_no_credential_names_no_tenant)
{
	static const char *const places[] = {
		"/healthz", "/readyz", "/metrics", "/openapi.json", "/version"
	};
	static const int ports[] = { PORT_API, PORT_SERVING };
	struct system *system = story_start(NULL);
	story_run(system, "probe", "{}");
	for (size_t i = 0; i < ARRAY_LEN(ports) * ARRAY_LEN(places); i++) {
		const char *place = places[i % ARRAY_LEN(places)];
		int port = ports[i / ARRAY_LEN(places)];
		struct answer answer = system_call_with(system, port, NULL, NULL, "GET", place,
		                                        NULL);
		if (port == PORT_SERVING && answer.status == 404)
			continue;
		cr_assert_eq(answer.status, 200, "%s: %d %s", place, answer.status, answer.text);
		cr_assert_null(strstr(answer.text, "acme"), "%s names a tenant", place);
		cr_assert_null(strstr(answer.text, "sales"), "%s names a domain", place);
		if (strcmp(place, "/metrics") == 0)
			cr_assert(strstr(answer.text, "# TYPE freehold_"), "%s", answer.text);
	}
	struct answer api = system_call(system, NULL, "GET", "/openapi.json", NULL);
	cr_assert_str_eq(value_get_str(api.body, "openapi"), "3.1.0");
	system_stop(system);
}

/* --- docs/getting-started.md --- */

/* The next block between a line with `open` and one that is `close`; moves *at behind it. */
static const char *next_block(struct system *system, const char **at, const char *open,
                              const char *close)
{
	const char *start = strstr(*at, open);
	const char *body = start ? strchr(start, '\n') : NULL;
	const char *end = body ? strstr(body, close) : NULL;
	if (!end)
		return NULL;
	*at = end + strlen(close);
	return arena_strndup(system_arena(system), body + 1, (size_t)(end - body));
}

Test(doors, what_getting_started_says_works_as_it_is_written)
{
	struct system *system = system_start(NULL);
	struct arena *arena = system_arena(system);
	const char *guide = file_text(arena, "docs/getting-started.md"), *at = guide;
	cr_assert_not_null(guide);
	data_write(system_path(system, "files/acme/my-orders.csv"),
	           "SELECT 'c-17' AS customer, now()::TIMESTAMP AS ordered_at, 12.5 AS amount",
	           "FORMAT csv, HEADER");
	system_cli_ok(system, "login", "--url", system_url(system, PORT_API), "--key-file",
	              system_path(system, "operator.key"), "--profile", "operator", NULL);
	story_apply(system, "operator", next_block(system, &at, "<<'YAML'", "\nYAML\n"));
	system_cli_ok(system, "keys", "create", "ada", "--tenant", "acme", "--out",
	              system_path(system, "ada.key"), NULL);
	system_cli_ok(system, "login", "--url", system_url(system, PORT_API), "--key-file",
	              system_path(system, "ada.key"), "--profile", "ada", NULL);
	/* Her data and her features; the policy behind them is an administrator's. */
	for (int blocks = 0; blocks < 2; blocks++) {
		const char *block = next_block(system, &at, "<<'YAML'", "\nYAML\n");
		cr_assert_not_null(block, "the guide has no manifest %d of ada's", blocks);
		story_apply(system, "ada", block);
	}
	static const char *const lines[][8] = {
		{ "run", "ingest", "orders" }, { "describe", "dataset", "orders" },
		{ "run", "transform", "spending" }, { "run", "materialize", "spending" },
		{ "features", "get", "spending", "--features", "orders,total", "--entity",
		  "customer=c-17,c-99" },
		{ "usage" }, { "tasks" }, { "audit", "--profile", "operator", "--tenant", "acme" },
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		const char *line = "freehold";
		for (size_t j = 0; lines[i][j]; j++)
			line = arena_printf(arena, "%s %s", line, lines[i][j]);
		cr_assert_not_null(strstr(guide, line), "the guide does not say: %s", line);
		struct ran ran = system_cli_args(system, lines[i]);
		cr_assert_eq(ran.code, 0, "%s: %s", line, ran.out);
		if (strcmp(lines[i][0], "features") == 0)
			cr_assert(strstr(ran.out, "12.5") && strstr(ran.out, "NOT_FOUND"), "%s",
			          ran.out);
	}
	system_stop(system);
}
