/* v_tasks.c - freehold run and freehold tasks: submit, list, watch, cancel. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/tasks.h"
#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LIST_DEFAULT = 20, WATCHED_MOST = 200, REDRAW_MS = 1000 };

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
		return err_set(err, E_INVALID, "usage: freehold run %s %s", task_info[type].name,
		               field->arg);
	if (field->kind == FIELD_REF)
		value_set_str(spec, field->name, word);
	const char *sleep = cli_option(cli, "sleep");
	int64_t ms = 0;
	if (sleep)
		TRY(duration_parse(sleep, &ms, err));
	if (sleep)
		value_set_int(spec, "sleepMs", ms);
	return 0;
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
	value_set_str(body, "type", word);
	value_set(body, "spec", spec);
	if (value_len(limits) > 0)
		value_set(body, "limits", limits);
	*ret_body = body;
	return value_check(body, err);
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
	};
	TRY(client_call(cli, &call, &task, err));
	if (dry_run) {
		printf("would be accepted (dry run: nothing was submitted)\n");
		return 0;
	}
	const char *id = value_get_str(task, "id");
	if (!id)
		return err_set(err, E_INTERNAL, "the server's answer names no task");
	if (!cli_switch(cli, "no-wait"))
		return progress_follow(cli, path, id, err);
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, task, err);
	printf("%s\n", id);
	return 0;
}

static int list(struct cli *cli, const char *path, struct err *err)
{
	struct value *items = NULL;
	const char *state = cli_option(cli, "state");
	TRY(client_list(cli, state ? client_path(cli, "%s?state=%s", path, state) : path,
	                LIST_DEFAULT, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
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
	return 0;
}

static int tasks(struct cli *cli, struct err *err)
{
	const char *path = NULL;
	const char *id = cli_word(cli, 0);
	TRY(tasks_path(cli, &path, err));
	if (!id && cli_switch(cli, "watch"))
		return err_set(err, E_INVALID, "--watch: which task? freehold tasks ID --watch");
	if (!id)
		return list(cli, path, err);
	if (!id_valid(id))
		return err_set(err, E_INVALID, "%s: no task id; see `freehold tasks`", id);
	if (cli_switch(cli, "watch"))
		return progress_follow(cli, path, id, err);
	struct value *task = NULL;
	bool cancel = cli_switch(cli, "cancel");
	struct call call = {
		.method = cancel ? "POST" : "GET",
		.path = client_path(cli, "%s/%s%s", path, id, cancel ? "/cancel" : ""),
	};
	TRY(client_call(cli, &call, &task, err));
	if (cli->format == FORMAT_TABLE)
		cli->format = FORMAT_YAML;
	return print_value(cli, task, err);
}

static const struct option_row run_options[] = {
	{"no-wait", NULL, "print the task's id and return at once"},
	{"deadline", "DURATION", "of one attempt; default 10m"},
	{"idempotency-key", "TEXT", "the same key again is the same task"},
	{"sleep", "DURATION", "probe: stay busy that long"},
	{"dry-run", NULL, "only ask whether it would be accepted"},
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
	{"watch", NULL, "follow the task to its end (-w)"},
	{"cancel", NULL, "stop the task"},
	{"state", "STATE", "list only queued, running, succeeded, failed or cancelled ones"},
	{NULL, NULL, NULL}};

const struct verb verb_tasks = {
	.name = "tasks",
	.words = "[ID]",
	.words_max = 1,
	.summary = "List tasks, or show, follow or cancel one",
	.options = tasks_options,
	.run = tasks,
	.example = "freehold tasks 01j9... --watch",
};
