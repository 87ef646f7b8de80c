/* v_tasks.c - freehold run and freehold tasks: submit, list, watch, cancel. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/tasks.h"
#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_DEFAULT = 20 };

static int tasks_path(struct cli *cli, const char **ret_path, struct err *err)
{
	const char *tenant = NULL, *domain = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	TRY(cli_domain(cli, &domain, err));
	*ret_path = client_path(cli, "/v1/tenants/%s/domains/%s/tasks", tenant, domain);
	return 0;
}

static int set_spec(struct cli *cli, enum task_type type, struct value *spec, struct err *err)
{
	const struct field *field = task_info[type].fields;
	const char *word = cli_word(cli, 1);
	if (field->kind == FIELD_REF && !word)
		return err_set(err, E_INVALID, "%s: which %s? freehold run %s NAME",
		               task_info[type].name, field->name, task_info[type].name);
	if (field->kind == FIELD_REF)
		value_set_str(spec, field->name, word);
	const char *sleep = cli_option(cli, "sleep");
	int64_t ms = 0;
	if (sleep && duration_parse(sleep, &ms, err) < 0)
		return err_prefix(err, "--sleep");
	if (sleep)
		value_set_int(spec, "sleepMs", ms);
	return 0;
}

static void set_placement(struct cli *cli, struct value *body)
{
	struct value *placement = value_map(cli->arena);
	value_set_str(placement, "pool", cli_option(cli, "pool"));
	value_set_str(placement, "priority", cli_option(cli, "priority"));
	if (value_len(placement) > 0)
		value_set(body, "placement", placement);
}

static int request_body(struct cli *cli, struct value **ret_body, struct err *err)
{
	const char *word = cli_word(cli, 0);
	enum task_type type = task_by_name(word);
	if (type == TASK_NONE) {
		const char *names[TASK_COUNT_];
		size_t count = 0;
		for (int i = 0; i < TASK_COUNT_; i++)
			if (!task_info[i].platform)
				names[count++] = task_info[i].name;
		const char *nearest = name_nearest(word, names, count);
		return err_set(err, E_INVALID, "%s: no such task type%s%s%s", word,
		               nearest ? "; did you mean " : "", nearest ? nearest : "",
		               nearest ? "?" : "");
	}
	struct value *body = value_map(cli->arena);
	struct value *spec = value_map(cli->arena);
	struct value *limits = value_map(cli->arena);
	TRY(set_spec(cli, type, spec, err));
	value_set_str(limits, "deadline", cli_option(cli, "deadline"));
	set_placement(cli, body);
	value_set_str(body, "type", word);
	value_set(body, "spec", spec);
	if (value_len(limits) > 0)
		value_set(body, "limits", limits);
	*ret_body = body;
	return value_check(body, err);
}

static int show_dry_run(struct cli *cli, const struct value *answer, struct err *err)
{
	const struct value *explained = value_get(answer, "explain");
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	printf("would be accepted (dry run: nothing was submitted)\n");
	if (explained)
		explain_print(cli, explained);
	return 0;
}

static int run(struct cli *cli, struct err *err)
{
	const char *path = NULL;
	struct value *body = NULL, *task = NULL;
	TRY(tasks_path(cli, &path, err));
	TRY(request_body(cli, &body, err));
	const char *key = cli_option(cli, "idempotency-key");
	bool dry_run = cli_switch(cli, "dry-run");
	struct call call = {
		.method = "POST",
		.body = body,
		.path = client_path(cli, "%s%s", path, dry_run ? "?dryRun=true" : ""),
		.header = key ? arena_printf(cli->arena, "Idempotency-Key: %s", key) : NULL,
		.purpose = cli_option(cli, "purpose"),
	};
	TRY(client_call(cli, &call, &task, err));
	if (dry_run)
		return show_dry_run(cli, task, err);
	const char *id = value_get_str(task, "id");
	if (!id)
		return err_set(err, E_INTERNAL, "the server's answer names no task");
	if (!cli_switch(cli, "no-wait") || cli_switch(cli, "watch"))
		return progress_follow(cli, path, id, err);
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, task, err);
	printf("%s\n", id);
	return 0;
}

/* --- lists --- */

static int list_path(struct cli *cli, const char *path, const char *states, const char **ret_path,
                     struct err *err)
{
	static const char *const plain[] = { "type", "run", "schedule" };
	static const char *const times[] = { "since", "until" };
	const char *join = "?", *value = NULL;
	if (states) {
		path = arena_printf(cli->arena, "%s?state=%s", path, states);
		join = "&";
	}
	for (size_t i = 0; i < ARRAY_LEN(plain) + ARRAY_LEN(times); i++) {
		bool is_time = i >= ARRAY_LEN(plain);
		const char *name = is_time ? times[i - ARRAY_LEN(plain)] : plain[i];
		value = cli_option(cli, name);
		if (is_time)
			TRY(cli_time(cli, name, &value, err));
		if (!value)
			continue;
		path = arena_printf(cli->arena, "%s%s%s=%s", path ? path : "", join, name, value);
		join = "&";
	}
	if (!path)
		return err_set(err, E_NOMEM, "no memory for a list");
	*ret_path = path;            /* client_list encodes it */
	return 0;
}

static void print_list(struct cli *cli, const struct value *items)
{
	static const char *const titles[] = {"ID",    "TYPE", "STATE", "ATTEMPT", "ROWS",
	                                     "CPU S", "AGE",  "ERROR", NULL};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *task = value_at(items, i);
		const struct value *usage = value_get(task, "usage");
		table_cell(table, value_get_str(task, "id"));
		table_cell(table, value_get_str(task, "type"));
		table_cell(table, value_get_str(task, "state"));
		table_number(table, value_get_int(task, "attempt", 0));
		table_number(table, value_get_int(usage, "rows", 0));
		table_cellf(table, "%.2f", (double)value_get_int(usage, "cpuMs", 0) / 1000);
		table_cell(table, human_age(cli, value_get_str(task, "acceptedAt")));
		table_cell(table, value_get_str(value_get(task, "error"), "text"));
	}
	table_print(table);
}

static int list_limit(struct cli *cli, size_t *ret_most, struct err *err)
{
	const char *text = cli_option(cli, "limit");
	size_t digits = text ? strspn(text, "0123456789") : 0;
	*ret_most = LIST_DEFAULT;
	if (!text)
		return 0;
	if (digits < 1 || digits > 6 || text[digits] || atoi(text) < 1)
		return err_set(err, E_INVALID, "--limit: must be 1 to 999999, not %s", text);
	*ret_most = (size_t)atoi(text);
	return 0;
}

static int list(struct cli *cli, const char *path, struct err *err)
{
	struct value *items = NULL;
	size_t most = 0;
	TRY(list_limit(cli, &most, err));
	TRY(list_path(cli, path, cli_option(cli, "state"), &path, err));
	TRY(client_list(cli, path, most, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	print_list(cli, items);
	return 0;
}

/* Shown, or with action "/cancel" or "/replay" first. */
static int one_task(struct cli *cli, const char *path, const char *id, const char *action,
                    struct err *err)
{
	struct value *task = NULL;
	bool watch = cli_switch(cli, "watch");
	if (!id_valid(id))
		return err_set(err, E_INVALID, "%s: no task id; see `freehold tasks`", id);
	struct call call = {
		.method = *action ? "POST" : "GET",
		.path = client_path(cli, "%s/%s%s", path, id, action),
	};
	if (*action || !watch)
		TRY(client_call(cli, &call, &task, err));
	if (watch)
		return progress_follow(cli, path, id, err);
	if (cli->format == FORMAT_TABLE)
		cli->format = FORMAT_YAML;
	return print_value(cli, task, err);
}

static int tasks(struct cli *cli, struct err *err)
{
	const char *path = NULL;
	const char *id = cli_word(cli, 0);
	TRY(tasks_path(cli, &path, err));
	if (!id && cli_switch(cli, "watch")) {
		TRY(list_path(cli, path, cli_option(cli, "state") ? cli_option(cli, "state")
		              : "blocked,queued,running", &path, err));
		return progress_follow_all(cli, path, err);
	}
	if (!id)
		return list(cli, path, err);
	bool replay = strcmp(id, "replay") == 0, cancel = strcmp(id, "cancel") == 0;
	if (!replay && !cancel)
		return one_task(cli, path, id, cli_switch(cli, "cancel") ? "/cancel" : "", err);
	if (!cli_word(cli, 1))
		return err_set(err, E_INVALID, "%s: which task? freehold tasks %s ID; see "
		               "`freehold tasks --state %s`", id, id,
		               replay ? "dead" : "queued,running");
	return one_task(cli, path, cli_word(cli, 1), replay ? "/replay" : "/cancel", err);
}

static const struct option_row run_options[] = {
	{"no-wait", NULL, "print the task's id and return at once"},
	{"watch", NULL, "follow it to its end, as without --no-wait (-w)"},
	{"deadline", "DURATION", "of one attempt; default 10m"},
	{"pool", "NAME", "of workers; default: default"},
	{"priority", "LEVEL", "low, normal, high or urgent; default normal"},
	{"idempotency-key", "TEXT", "the same key again is the same task"},
	{"purpose", "TEXT", "what it reads for, where that is asked for"},
	{"sleep", "DURATION", "probe: stay busy that long"},
	{"dry-run", NULL, "only ask whether it would be accepted, and when it would start"},
	{NULL, NULL, NULL}};

const struct verb verb_run = {
	.name = "run",
	.words = "TYPE [NAME]",
	.words_min = 1,
	.words_max = 2,
	.summary = "Run a task (ingest SOURCE, transform NAME, materialize VIEW) and follow it",
	.example = "freehold run ingest flights-csv",
	.options = run_options,
	.run = run,
};

static const struct option_row tasks_options[] = {
	{"watch", NULL, "follow the task, or all that have not ended, to the end (-w)"},
	{"cancel", NULL, "stop the task"},
	{"state", "STATE,...", "list only those in these states, for example dead,failed"},
	{"type", "TYPE", "list only those of this type"},
	{"run", "ID", "list only those of this run"},
	{"schedule", "NAME", "list only those that this schedule submitted"},
	{"since", "TIME", "list only those accepted since then: a time, or 2h for two hours ago"},
	{"until", "TIME", "list only those accepted before then"},
	{"limit", "N", "list so many at most; default 20"},
	{NULL, NULL, NULL}};

const struct verb verb_tasks = {
	.name = "tasks",
	.words = "[ID | cancel ID | replay ID]",
	.words_max = 2,
	.summary = "List tasks; show, follow or cancel one, or start it anew",
	.options = tasks_options,
	.run = tasks,
	.example = "freehold tasks 01j9... --watch",
};
