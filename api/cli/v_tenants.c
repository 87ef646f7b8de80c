/* v_tenants.c - freehold tenants: suspended, sealed, deleted, and back (the operator's). */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOOK_MS = 500 };

static int list(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"NAME", "STATE", "SINCE", "BY", "REASON", "AGE", NULL};
	struct value *tenants = NULL;
	TRY(client_list(cli, "/v1/tenants", 100000, &tenants, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, tenants, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(tenants); i++) {
		const struct value *metadata = value_get(value_at(tenants, i), "metadata");
		const struct value *status = value_get(value_at(tenants, i), "status");
		table_cell(table, value_get_str(metadata, "name"));
		table_cell(table, value_get_str(status, "state"));
		table_cell(table, value_get_str(status, "since"));
		table_cell(table, value_get_str(status, "by"));
		table_cell(table, value_get_str(status, "reason"));
		table_cell(table, human_age(cli, value_get_str(metadata, "createdAt")));
	}
	table_print(table);
	return 0;
}

static int reason_body(struct cli *cli, struct value **ret_body, struct err *err)
{
	const char *reason = cli_option(cli, "reason");
	struct value *body = value_map(cli->arena);
	if (!reason)
		return err_set(err, E_INVALID, "tenants %s: why? give --reason TEXT; whoever asks "
		               "later is told it", cli_word(cli, 0));
	value_set_str(body, "reason", reason);
	*ret_body = body;
	return 0;
}

static int set_state(struct cli *cli, const char *verb, const char *name, struct err *err)
{
	struct value *body = NULL, *tenant = NULL;
	TRY(reason_body(cli, &body, err));
	struct call call = {
		.method = "POST", .path = client_path(cli, "/v1/tenants/%s/%s", name, verb),
		.body = body,
	};
	TRY(client_call(cli, &call, &tenant, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, tenant, err);
	const char *state = value_get_str(value_get(tenant, "status"), "state");
	printf("tenant %s: %s\n", name, state ? state : "unknown");
	return 0;
}

/* --- deletion --- */

static void print_step(const struct value *step)
{
	const char *name = NULL;
	printf("  %-10s %s", value_get_str(step, "step"), value_get_str(step, "at"));
	for (size_t i = 0; i < value_len(step); i++) {
		const struct value *member = value_member(step, i, &name);
		if (value_kind(member) == VALUE_INT)
			printf("  %s %" PRId64, name, value_as_int(member, 0));
	}
	printf("\n");
}

static int show_deletion(struct cli *cli, const struct value *deletion, struct err *err)
{
	const struct value *steps = value_get(deletion, "performed");
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, deletion, err);
	printf("tenant %s is being deleted, asked for by %s at %s: %s\nuid %s, due %s, now: %s\n",
	       value_get_str(deletion, "tenant"), value_get_str(deletion, "requestedBy"),
	       value_get_str(deletion, "requestedAt"), value_get_str(deletion, "reason"),
	       value_get_str(deletion, "uid"), value_get_str(deletion, "dueAt"),
	       value_get_str(deletion, "step"));
	for (size_t i = 0; i < value_len(steps); i++)
		print_step(value_at(steps, i));
	return 0;
}

static int erasure_of(struct cli *cli, const char *uid, struct err *err)
{
	struct value *erasure = NULL;
	struct call call = {.method = "GET", .path = client_path(cli, "/v1/erasures/%s", uid)};
	TRY(client_call(cli, &call, &erasure, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, erasure, err);
	printf("tenant %s is erased since %s; `freehold erasures %s` prints the certificate\n",
	       value_get_str(erasure, "tenant"), value_get_str(erasure, "completedAt"), uid);
	return 0;
}

/* Until it is gone, or waits for something that a person decides. */
static int await_end(struct cli *cli, const char *path, const char *uid, struct err *err)
{
	const struct timespec pause = {0, LOOK_MS * 1000000L};
	size_t shown = 0;
	for (;;) {
		struct value *deletion = NULL;
		struct call call = {.method = "GET", .path = path};
		int rc = client_call(cli, &call, &deletion, err);
		if (rc == E_NOT_FOUND)
			return erasure_of(cli, uid, err);
		if (rc < 0 && !err_retryable(rc))
			return rc;
		const struct value *steps = value_get(deletion, "performed");
		for (; cli->format == FORMAT_TABLE && shown < value_len(steps); shown++)
			print_step(value_at(steps, shown));
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
}

static int begin(struct cli *cli, const char *name, struct err *err)
{
	const char *path = client_path(cli, "/v1/tenants/%s/deletion", name);
	const char *confirm = cli_option(cli, "confirm");
	struct value *body = NULL, *deletion = NULL;
	TRY(reason_body(cli, &body, err));
	if (!confirm || strcmp(confirm, name) != 0)
		return err_set(err, E_INVALID, "--confirm: must be the name again, %s: all that "
		               "the tenant has is erased when the wait is over", name);
	value_set_str(body, "name", confirm);
	value_set_str(body, "after", cli_option(cli, "after"));
	struct call call = {.method = "POST", .path = path, .body = body};
	TRY(client_call(cli, &call, &deletion, err));
	const char *uid = value_get_str(deletion, "uid");
	if (!cli_switch(cli, "wait") || !uid)
		return show_deletion(cli, deletion, err);
	return await_end(cli, path, uid, err);
}

static int look(struct cli *cli, const char *name, struct err *err)
{
	struct value *deletion = NULL;
	struct call call = {
		.method = "GET", .path = client_path(cli, "/v1/tenants/%s/deletion", name),
	};
	TRY(client_call(cli, &call, &deletion, err));
	return show_deletion(cli, deletion, err);
}

static int cancel(struct cli *cli, const char *name, struct err *err)
{
	struct call call = {
		.method = "DELETE", .path = client_path(cli, "/v1/tenants/%s/deletion", name),
	};
	TRY(client_call(cli, &call, NULL, err));
	printf("tenant %s: its deletion is cancelled\n", name);
	return 0;
}

static int tenants(struct cli *cli, struct err *err)
{
	static const char *const actions[] = {"suspend", "resume",   "seal",   "unseal",
	                                      "delete",  "deletion", "cancel", NULL};
	const char *verb = cli_word(cli, 0), *name = cli_word(cli, 1);
	if (!verb)
		return list(cli, err);
	TRY(cli_action(cli, actions, "tenant", err));
	if (strcmp(verb, "delete") == 0)
		return begin(cli, name, err);
	if (strcmp(verb, "deletion") == 0)
		return look(cli, name, err);
	if (strcmp(verb, "cancel") == 0)
		return cancel(cli, name, err);
	return set_state(cli, verb, name, err);
}

static const struct option_row options[] = {
	{"reason", "TEXT", "why: suspend, resume, seal, unseal, delete"},
	{"confirm", "NAME", "delete: the name again"},
	{"after", "TIME", "delete: how long it waits, as 7d; not less than the installation's"},
	{"wait", NULL, "delete: show the steps until it is erased"},
	{NULL, NULL, NULL}};

const struct verb verb_tenants = {
	.name = "tenants",
	.words = "[suspend|resume|seal|unseal|delete|deletion|cancel NAME]",
	.words_max = 2,
	.summary = "Tenants and their states; suspend, seal and delete them (the operator's)",
	.options = options,
	.run = tenants,
	.example = "freehold tenants seal acme --reason \"a key was lost\"",
};
