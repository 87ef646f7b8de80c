/* Who comes in, against real processes: keys that end on every replica, tokens and logins by the
 * command line, an identity provider in the test's process. */
#include "common/defs.h"
#include "common/text.h"
#include "tests/support/idp.h"
#include "tests/support/story.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 60000, ROUNDS = 10 };

#define ACME "/v1/tenants/acme"
#define KEYS ACME "/principals/eve/keys"
#define SAYS(out, text) cr_assert(strstr(out, text), "%s is not in: %s", text, out)

struct reader { struct system *system; int port; const char *key; };

static int status(const struct reader *reader)
{
	return system_call_with(reader->system, reader->port, reader->key, NULL, "GET", SALES,
	                        NULL).status;
}

static bool reads(void *context)
{
	return status(context) == 200;
}

static bool is_up(void *context)
{
	const struct reader *reader = context;
	return system_call_with(reader->system, reader->port, NULL, NULL, "GET", "/readyz",
	                        NULL).status == 200;
}

Test(identity, a_revoked_key_is_refused_by_the_other_replica_at_once)
{
	const struct system_options options = { .replicas = true };
	struct system *system = story_start(&options);
	struct reader second = { system, PORT_API_2, NULL };
	const char *abe = story_key(system, "abe");
	system_run(system, PART_CONTROL_2);
	cr_assert(wait_until(is_up, &second, WAIT_MS), "the second replica is not ready");
	for (int i = 0; i < ROUNDS; i++) {
		struct value *made = system_ask(system, abe, "POST", KEYS, NULL);
		const char *path = arena_printf(system_arena(system), KEYS "/%s",
		                                value_get_str(made, "id"));
		second.key = value_get_str(made, "key");
		cr_assert(wait_until(reads, &second, WAIT_MS), "the key is not taken");
		system_ask(system, abe, "DELETE", path, NULL);
		cr_assert_eq(status(&second), 401, "round %d", i);
	}
	system_stop(system);
}

/* --- the command line --- */

static const char *first_line(struct system *system, const char *text)
{
	return arena_strndup(system_arena(system), text, strcspn(text, "\n"));
}

static void rotate(struct system *system)
{
	const char *out = system_cli_ok(system, "keys", "create", "eve", "--profile", "abe", NULL);
	const char *key = first_line(system, out);
	const char *id = arena_strndup(system_arena(system), key + 3, ID_LEN);
	cr_assert_eq(system_call(system, key, "GET", "/v1/whoami", NULL).status, 200);
	out = system_cli_ok(system, "keys", "rotate", "eve", id, "--overlap", "1h", "--profile",
	                    "abe", NULL);
	const char *next = first_line(system, out);
	cr_assert_eq(system_call(system, key, "GET", "/v1/whoami", NULL).status, 200);
	cr_assert_eq(system_call(system, next, "GET", "/v1/whoami", NULL).status, 200);
	out = system_cli_ok(system, "keys", "list", "eve", "--profile", "abe", NULL);
	SAYS(out, "LAST USED");
	SAYS(out, id);
	cr_assert(!strstr(out, key) && !strstr(out, next), "a list shows a secret: %s", out);
	system_cli_ok(system, "keys", "revoke", "eve", id, "--profile", "abe", NULL);
	cr_assert_eq(system_call(system, key, "GET", "/v1/whoami", NULL).status, 401);
	cr_assert_eq(system_call(system, next, "GET", "/v1/whoami", NULL).status, 200);
}

static void tokens(struct system *system)
{
	const char *read = "{\"features\":[\"nothing:x\"],\"entities\":{\"id\":[1]}}";
	const char *out = system_cli_ok(system, "token", "--scope", "dataset:read,domain:read",
	                                "--lifetime", "5m", "--profile", "ada", NULL);
	const char *token = first_line(system, out);
	cr_assert_eq(system_call(system, token, "GET", SALES, NULL).status, 200);
	cr_assert_eq(system_call(system, token, "GET", SALES "/tasks", NULL).status, 403);
	out = system_cli_ok(system, "token", "--audience", "serving", "--profile", "eve", NULL);
	token = first_line(system, out);
	cr_assert_eq(system_call(system, token, "GET", SALES, NULL).status, 401);
	struct answer serving = system_call_with(system, PORT_SERVING, token, NULL, "POST",
	                                         "/get-online-features", read);
	cr_expect_eq(serving.status, 404, "%s", serving.text);
	out = system_cli_ok(system, "token", "--audience", "control", "--profile", "eve", NULL);
	serving = system_call_with(system, PORT_SERVING, first_line(system, out), NULL, "POST",
	                           "/get-online-features", read);
	cr_expect_eq(serving.status, 401, "%s", serving.text);
	SAYS(system_cli_ok(system, "token", "keys", "--profile", "eve", NULL), "yes");
	cr_expect_eq(system_cli(system, "token", "rotate-keys", "--profile", "eve", NULL).code, 4);
	SAYS(system_cli_ok(system, "token", "rotate-keys", "--profile", "operator", NULL), "2-");
	SAYS(system_cli_ok(system, "whoami", "--profile", "ada", NULL), "domain-owner");
}

/* The token comes by a file, as no secret may stand in argv. */
static void logins(struct system *system, struct idp *idp)
{
	struct arena *arena = system_arena(system);
	const char *file = system_path(system, "login.jwt");
	story_apply(system, "abe", arena_printf(arena,
		"apiVersion: freehold.io/v1\nkind: IdentityProvider\nmetadata: {name: corp}\n"
		"spec:\n  issuer: %s\n  audiences: [freehold]\n"
		"  groups: [{claim: analysts, roles: [consumer], domain: sales}]\n",
		idp_url(idp)));
	file_write(file, idp_jwt(idp, arena, "k", arena_printf(arena,
		"{'iss':'%s','aud':'freehold','sub':'zoe','groups':['analysts'],'exp':%lld}",
		idp_url(idp), (long long)time(NULL) + 600)));
	const char *url = system_url(system, PORT_API);
	SAYS(system_cli_ok(system, "login", "--url", url, "--token-file", file, "--tenant", "acme",
	                   "--profile", "zoe", NULL), "acme/corp:zoe");
	const char *out = system_cli_ok(system, "whoami", "--profile", "zoe", NULL);
	SAYS(out, "token");
	SAYS(out, "consumer");
	SAYS(system_cli_ok(system, "get", "datasets", "--domain", "sales", "--profile", "zoe",
	                   NULL), "no datasets");
	file_write(file, "a.b.c");
	cr_assert_eq(system_cli(system, "login", "--url", url, "--token-file", file, "--profile",
	                        "none", NULL).code, 4);
}

Test(identity, keys_tokens_and_logins_by_the_command_line)
{
	static const char *const control[] = { "--issuer-loopback", "true", NULL };
	const struct system_options options = { .control = control };
	struct system *system = story_start(&options);
	struct idp *idp = idp_start();
	idp_add_key(idp, "k", SIGNATURE_ES256);
	rotate(system);
	tokens(system);
	logins(system, idp);
	idp_stop(idp);
	system_stop(system);
}
