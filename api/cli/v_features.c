/* v_features.c - freehold features get: online values, and the HTTP call that returns them. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "a,b" into a list; with integers as numbers where asked. */
static struct value *split(struct cli *cli, const char *text, const char *prefix, bool numbers)
{
	struct value *list = value_list(cli->arena);
	while (*text) {
		size_t len = strcspn(text, ",");
		const char *item = arena_printf(cli->arena, "%s%.*s", prefix, (int)len, text);
		char *end = NULL;
		long long number = item && numbers ? strtoll(item, &end, 10) : 0;
		if (numbers && end && end != item && !*end)
			value_add(list, value_int(cli->arena, number));
		else if (len > 0)
			value_add_str(list, item);
		text += len + (text[len] == ',');
	}
	return list;
}

static int add_entities(struct cli *cli, struct value *entities, struct err *err)
{
	for (int i = 0; i < cli->option_count; i++) {
		if (strcmp(cli->options[i].name, "entity") != 0)
			continue;
		const char *text = cli->options[i].value;
		const char *equals = strchr(text, '=');
		if (!equals || equals == text || !equals[1])
			return err_set(err, E_INVALID,
			               "--entity: must be KEY=VALUE,VALUE..., not %s", text);
		const char *name = arena_strndup(cli->arena, text, (size_t)(equals - text));
		struct value *list = split(cli, equals + 1, "", cli_switch(cli, "int64"));
		for (size_t k = 0; cli_switch(cli, "int64") && k < value_len(list); k++)
			if (value_kind(value_at(list, k)) != VALUE_INT)
				return err_set(err, E_INVALID, "--entity: with --int64 values "
				               "must be numbers, not %s",
				               value_as_str(value_at(list, k)));
		value_set(entities, name, list);
	}
	if (value_len(entities) == 0)
		return err_set(err, E_INVALID, "whose features? give --entity KEY=VALUE,VALUE...");
	return 0;
}

static int request_body(struct cli *cli, struct value **ret_body, struct err *err)
{
	const char *view = cli_word(cli, 1);
	const char *features = cli_option(cli, "features");
	if (!features)
		return err_set(err, E_INVALID, "which features? give --features NAME,NAME...");
	const char *domain = cli_option(cli, "domain");
	const char *prefix = domain && !strchr(view, '.')
	                             ? arena_printf(cli->arena, "%s.%s:", domain, view)
	                             : arena_printf(cli->arena, "%s:", view);
	struct value *body = value_map(cli->arena);
	struct value *entities = value_map(cli->arena);
	TRY(add_entities(cli, entities, err));
	value_set(body, "features", split(cli, features, prefix, false));
	value_set(body, "entities", entities);
	value_set_bool(body, "full_feature_names", cli_switch(cli, "full-names"));
	*ret_body = body;
	return value_check(body, err);
}

static void print_curl(const char *url, const struct value *body)
{
	AUTO_BUF text;
	buf_init(&text, 65536);
	json_print(body, &text);
	if (buf_check(&text, NULL) < 0)
		return;
	printf("\nthe same over HTTP (KEY is your API key):\n  curl -s %s/get-online-features "
	       "-H \"Authorization: Bearer $KEY\" \\\n    -d '%s'\n",
	       url, (const char *)text.data);
}

static const char *cell_text(struct cli *cli, const struct value *column, size_t row)
{
	const char *status = value_as_str(value_at(value_get(column, "statuses"), row));
	const struct value *cell = value_at(value_get(column, "values"), row);
	if (status && strcmp(status, "PRESENT") != 0)
		return status;
	if (value_kind(cell) == VALUE_STR)
		return value_as_str(cell);
	AUTO_BUF text;
	buf_init(&text, 65536);
	json_print(cell, &text);
	return buf_check(&text, NULL) < 0 ? "..."
	                                  : arena_strdup(cli->arena, (const char *)text.data);
}

/* One line an entity row: its columns, then when the values were true. */
static void print_answer(struct cli *cli, const struct value *answer)
{
	const struct value *names = value_get(value_get(answer, "metadata"), "feature_names");
	const struct value *results = value_get(answer, "results");
	const char *titles[16] = {NULL};
	size_t columns = value_len(names) < 14 ? value_len(names) : 14;
	for (size_t i = 0; i < columns; i++)
		titles[i] = value_as_str(value_at(names, i));
	titles[columns] = "event time";
	struct table *table = table_new(cli, titles);
	size_t rows = value_len(value_get(value_at(results, 0), "values"));
	for (size_t row = 0; row < rows; row++) {
		const char *time = NULL;
		for (size_t i = 0; i < columns; i++) {
			const struct value *column = value_at(results, i);
			table_cell(table, cell_text(cli, column, row));
			time = value_as_str(value_at(value_get(column, "event_timestamps"), row));
		}
		table_cell(table, time && strncmp(time, "1970-", 5) != 0 ? time : NULL);
	}
	table_print(table);
}

static int features(struct cli *cli, struct err *err)
{
	if (strcmp(cli_word(cli, 0), "get") != 0)
		return err_set(err, E_INVALID, "usage: freehold features get VIEW ...");
	struct value *who = NULL, *body = NULL, *answer = NULL;
	struct call ask = {.method = "GET", .path = "/v1/whoami"};
	TRY(client_call(cli, &ask, &who, err));
	const char *url = cli_option(cli, "serving-url");
	if (!url)
		url = value_get_str(who, "servingUrl");
	if (!url)
		return err_set(err, E_UNAVAILABLE,
		               "no worker serves online features now; see /readyz");
	TRY(request_body(cli, &body, err));
	const char *control = cli->url;
	cli->url = url;
	struct call call = {.method = "POST", .path = "/get-online-features", .body = body,
	                    .purpose = cli_option(cli, "purpose")};
	int rc = client_call(cli, &call, &answer, err);
	cli->url = control;
	if (rc < 0)
		return rc;
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	print_answer(cli, answer);
	print_curl(url, body);
	return 0;
}

static const struct option_row options[] = {
	{"features", "NAME,NAME", "features of the view"},
	{"entity", "KEY=VALUE,VALUE", "whose; a view of several entities takes several of these"},
	{"int64", NULL, "the entity's values are numbers"},
	{"full-names", NULL, "answer with VIEW__FEATURE"},
	{"serving-url", "URL", "instead of the one control names"},
	{"purpose", "TEXT", "what it is read for, where that is asked for"},
	{NULL, NULL, NULL}};

const struct verb verb_features = {
	.name = "features",
	.words = "get VIEW",
	.words_min = 2,
	.words_max = 2,
	.summary = "Read online features, and see the HTTP call that does it",
	.example = "freehold features get airport_delays --features mean_delay --entity "
                   "airport=ATL,ORD",
	.options = options,
	.run = features,
};
