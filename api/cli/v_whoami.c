/* v_whoami.c - freehold whoami: who the profile's credential is, and for how long. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <stdio.h>
#include <string.h>

static const char *join(struct cli *cli, const struct value *list)
{
	const char *text = NULL;
	for (size_t i = 0; i < value_len(list); i++)
		text = arena_printf(cli->arena, "%s%s%s", text ? text : "", text ? ", " : "",
		                    value_as_str(value_at(list, i)));
	return text;
}

static void row(struct table *table, const char *name, const char *text)
{
	table_cell(table, name);
	table_cell(table, text);
}

static int whoami(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"WHO", "IS", NULL};
	struct value *who = NULL;
	struct call call = {.method = "GET", .path = "/v1/whoami"};
	TRY(client_call(cli, &call, &who, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, who, err);
	struct table *table = table_new(cli, titles);
	const struct value *scope = value_get(who, "scope");
	row(table, "profile", cli->profile);
	row(table, "server", cli->url);
	row(table, "tenant", value_get_str(who, "tenant"));
	row(table, "principal", value_get_str(who, "principal"));
	row(table, "domain", value_get_str(who, "domain"));
	row(table, "roles", join(cli, value_get(who, "roles")));
	row(table, "groups", join(cli, value_get(who, "groups")));
	row(table, "auth", value_get_str(who, "auth"));
	row(table, "scope", !scope ? "all" : value_len(scope) ? join(cli, scope) : "nothing");
	row(table, "expires", value_get_str(who, "expiresAt"));
	table_print(table);
	return 0;
}

const struct verb verb_whoami = {
	.name = "whoami",
	.words = "",
	.summary = "Who the profile's credential is, what it may, when it ends",
	.example = "freehold whoami --profile ada",
	.run = whoami,
};
