/* v_schedules.c - freehold schedules: what runs when, and what has run. */
#include "common/defs.h"
#include "api/cli/strip.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SCHEDULES_MOST = 10000, INTERVALS_SHOWN = 240, DRAWN_MAX = 64 * 1024 };

static int collection(struct cli *cli, const char **ret_path, struct err *err)
{
	const char *tenant = NULL, *domain = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	TRY(cli_domain(cli, &domain, err));
	*ret_path = client_path(cli, "/v1/tenants/%s/domains/%s/schedules", tenant, domain);
	return 0;
}

static const char *when(struct cli *cli, const struct value *spec)
{
	const char *cron = value_get_str(spec, "cron"), *zone = value_get_str(spec, "timeZone");
	const char *every = value_get_str(spec, "every");
	const struct value *datasets = value_get(spec, "onDatasets");
	if (cron)
		return zone ? arena_printf(cli->arena, "%s (%s)", cron, zone) : cron;
	if (every)
		return arena_printf(cli->arena, "every %s", every);
	return arena_printf(cli->arena, "on %s%s", value_as_str(value_at(datasets, 0)),
	                    value_len(datasets) > 1 ? ", ..." : "");
}

static const char *what(struct cli *cli, const struct value *spec)
{
	const char *pipeline = value_get_str(spec, "pipeline");
	if (pipeline)
		return arena_printf(cli->arena, "pipeline %s", pipeline);
	return value_get_str(value_get(spec, "task"), "type");
}

/* "2026-01-31 08:00:00" of RFC 3339. */
static const char *short_time(struct cli *cli, const char *text)
{
	if (!text || strlen(text) < 19)
		return NULL;
	return arena_printf(cli->arena, "%.10s %.8s", text, text + 11);
}

static int row(struct cli *cli, struct table *table, const char *path, const struct value *schedule,
               struct err *err)
{
	const char *name = value_get_str(value_get(schedule, "metadata"), "name");
	const struct value *spec = value_get(schedule, "spec");
	struct value *shown = NULL;
	struct call call = {.method = "GET",
	                    .path = client_path(cli, "%s/%s/intervals?limit=1", path, name)};
	TRY(client_call(cli, &call, &shown, err));
	const struct value *counts = value_get(shown, "counts");
	bool paused = value_get_bool(spec, "paused", false);
	table_cell(table, name);
	table_cell(table, when(cli, spec));
	table_cell(table, what(cli, spec));
	table_cell(table, paused ? "paused" : value_get(shown, "trouble") ? "trouble" : "active");
	table_number(table, value_get_int(counts, "done", 0));
	table_number(table, value_get_int(counts, "running", 0));
	table_number(table, value_get_int(counts, "failed", 0));
	table_number(table, value_get_int(counts, "missing", 0));
	table_cell(table, short_time(cli, value_as_str(value_at(value_get(shown, "next"), 0))));
	return 0;
}

static int list(struct cli *cli, const char *path, struct err *err)
{
	static const char *const titles[] = {"NAME", "WHEN",   "RUNS",    "STATE",      "DONE",
	                                     "NOW",  "FAILED", "MISSING", "NEXT (UTC)", NULL};
	struct value *items = NULL;
	TRY(client_list(cli, path, SCHEDULES_MOST, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++)
		TRY(row(cli, table, path, value_at(items, i), err));
	table_print(table);
	return 0;
}

static int query(struct cli *cli, const char **ret_query, struct err *err)
{
	const char *from = NULL, *to = NULL;
	TRY(cli_time(cli, "from", &from, err));
	TRY(cli_time(cli, "to", &to, err));
	const char *text = arena_printf(cli->arena, "?limit=%d", INTERVALS_SHOWN);
	if (from)
		text = arena_printf(cli->arena, "%s&from=%s", text, from);
	*ret_query = to ? arena_printf(cli->arena, "%s&to=%s", text, to) : text;
	return 0;
}

static void print_strip(struct cli *cli, const struct value *shown)
{
	const struct value *counts = value_get(shown, "counts"), *next = value_get(shown, "next");
	AUTO_BUF out;
	buf_init(&out, DRAWN_MAX);
	strip_draw(value_get(shown, "intervals"), cli->terminal, &out);
	if (buf_check(&out, NULL) == 0 && out.len)
		fwrite(out.data, 1, out.len, stdout);
	printf("%s\n", strip_legend(cli->terminal));
	printf("%" PRId64 " done, %" PRId64 " running, %" PRId64 " failed, %" PRId64 " missing%s\n",
	       value_get_int(counts, "done", 0), value_get_int(counts, "running", 0),
	       value_get_int(counts, "failed", 0), value_get_int(counts, "missing", 0),
	       value_get_bool(shown, "paused", false) ? "; paused" : "");
	if (value_len(next))
		printf("next: %s UTC\n", short_time(cli, value_as_str(value_at(next, 0))));
	const struct value *trouble = value_get(shown, "trouble");
	if (trouble)
		printf("the last try failed: %s: %s\n", value_get_str(trouble, "code"),
		       value_get_str(trouble, "text"));
}

static int intervals(struct cli *cli, const char *path, struct err *err)
{
	struct value *shown = NULL;
	const char *asked = NULL;
	TRY(query(cli, &asked, err));
	struct call call = {.method = "GET",
	                    .path = client_path(cli, "%s/intervals%s", path, asked)};
	TRY(client_call(cli, &call, &shown, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, shown, err);
	print_strip(cli, shown);
	return 0;
}

static int trigger(struct cli *cli, const char *path, struct err *err)
{
	const char *from = NULL, *to = NULL;
	TRY(cli_time(cli, "from", &from, err));
	TRY(cli_time(cli, "to", &to, err));
	struct value *body = value_map(cli->arena), *started = NULL;
	if ((from == NULL) != (to == NULL))
		return err_set(err, E_INVALID, "--from and --to go together: which interval?");
	if (from) {
		struct value *interval = value_map(cli->arena);
		value_set_str(interval, "from", from);
		value_set_str(interval, "to", to);
		value_set(body, "interval", interval);
	}
	if (cli_switch(cli, "redo"))
		value_set_bool(body, "redo", true);
	TRY(value_check(body, err));
	struct call call = {
		.method = "POST", .path = client_path(cli, "%s/trigger", path), .body = body};
	TRY(client_call(cli, &call, &started, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, started, err);
	const char *task = value_get_str(started, "task"), *run = value_get_str(started, "run");
	printf("%s %s\n", task ? "task" : "run", task ? task : run ? run : "-");
	return 0;
}

static int pause(struct cli *cli, const char *path, const char *name, bool paused,
                 struct err *err)
{
	TRY(pause_set(cli, path, paused, err));
	printf("schedule %s %s\n", name, paused ? "paused; what runs goes on" : "resumed");
	return 0;
}

static int schedules(struct cli *cli, struct err *err)
{
	static const char *const actions[] = {"list", "intervals", "trigger", "pause", "resume",
	                                      NULL};
	const char *verb = cli_word(cli, 0), *name = cli_word(cli, 1), *path = NULL;
	TRY(collection(cli, &path, err));
	if (!verb || strcmp(verb, "list") == 0)
		return list(cli, path, err);
	TRY(cli_action(cli, actions, "schedule", err));
	const char *one = client_path(cli, "%s/%s", path, name);
	if (strcmp(verb, "intervals") == 0)
		return intervals(cli, one, err);
	if (strcmp(verb, "trigger") == 0)
		return trigger(cli, one, err);
	return pause(cli, one, name, verb[0] == 'p', err);
}

static const struct option_row options[] = {
	{"from", "TIME", "intervals: from then on; trigger: the interval's begin"},
	{"to", "TIME", "intervals: until then; trigger: the interval's end"},
	{"redo", NULL, "trigger: run it also if it is done"},
	{NULL, NULL, NULL}};

const struct verb verb_schedules = {
	.name = "schedules",
	.words = "[list|intervals|trigger|pause|resume] [NAME]",
	.words_max = 2,
	.summary = "What runs when: list schedules, show their intervals, run one, pause, resume",
	.example = "freehold schedules intervals nightly",
	.options = options,
	.run = schedules,
};
