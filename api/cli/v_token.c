/* v_token.c - freehold token: a short-lived token for a program, and the keys that sign them. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <stdio.h>
#include <string.h>

/* "a,b" as a list; NULL stays NULL. */
static struct value *split(struct cli *cli, const char *text)
{
	struct value *list = text ? value_list(cli->arena) : NULL;
	while (text && *text) {
		size_t len = strcspn(text, ",");
		if (len)
			value_add(list, value_strn(cli->arena, text, len));
		text += len + (text[len] == ',');
	}
	return list;
}

static int make(struct cli *cli, struct err *err)
{
	struct value *body = value_map(cli->arena), *answer = NULL;
	struct value *audience = split(cli, cli_option(cli, "audience"));
	struct value *scope = split(cli, cli_option(cli, "scope"));
	if (audience)
		value_set(body, "audience", audience);
	if (scope)
		value_set(body, "scope", scope);
	value_set_str(body, "lifetime", cli_option(cli, "lifetime"));
	value_set_str(body, "domain", cli_option(cli, "domain"));
	TRY(value_check(body, err));
	struct call call = {.method = "POST", .path = "/v1/token", .body = body};
	TRY(client_call(cli, &call, &answer, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	const char *token = value_get_str(answer, "token");
	if (!token)
		return err_set(err, E_INTERNAL, "the server's answer holds no token");
	printf("%s\n", token);
	return 0;
}

static int show_keys(struct cli *cli, const struct value *answer, struct err *err)
{
	static const char *const titles[] = {"KEY", "PUBLIC KEY", "SIGNS", "ACCEPTED UNTIL", NULL};
	const struct value *list = value_get(answer, "keys");
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, list, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(list); i++) {
		const struct value *key = value_at(list, i);
		table_cell(table, value_get_str(key, "kid"));
		table_cell(table, value_get_str(key, "publicKey"));
		table_cell(table, value_get_bool(key, "current", false) ? "yes" : "no");
		table_cell(table, value_get_str(key, "until"));
	}
	table_print(table);
	return 0;
}

static int keys(struct cli *cli, struct err *err)
{
	struct value *answer = NULL;
	struct call call = {.method = "GET", .path = "/v1/token/keys"};
	TRY(client_call(cli, &call, &answer, err));
	return show_keys(cli, answer, err);
}

static int rotate(struct cli *cli, struct err *err)
{
	struct value *body = value_map(cli->arena), *answer = NULL;
	value_set_bool(body, "drop", cli_switch(cli, "drop"));
	struct call call = {.method = "POST", .path = "/v1/token/keys/rotate", .body = body};
	TRY(client_call(cli, &call, &answer, err));
	return show_keys(cli, answer, err);
}

static int token(struct cli *cli, struct err *err)
{
	const char *what = cli_word(cli, 0);
	if (!what)
		return make(cli, err);
	if (strcmp(what, "keys") == 0)
		return keys(cli, err);
	if (strcmp(what, "rotate-keys") == 0)
		return rotate(cli, err);
	return err_set(err, E_INVALID, "%s: must be keys or rotate-keys, or left out", what);
}

static const struct option_row options[] = {
	{"audience", "DOORS", "control, serving or both with a comma between; default both"},
	{"scope", "ACTIONS", "what it may at most: dataset:read,task:*; with --domain only there"},
	{"lifetime", "DURATION", "1s to 1h; default 15m, and never longer than the login"},
	{"drop", NULL, "rotate-keys: end all tokens that are out at once"},
	{NULL, NULL, NULL}};

const struct verb verb_token = {
	.name = "token",
	.words = "[keys|rotate-keys]",
	.words_max = 1,
	.summary = "Print a short-lived token that may less than you",
	.options = options,
	.run = token,
	.example = "freehold token --audience serving --scope features:read --lifetime 5m",
};
