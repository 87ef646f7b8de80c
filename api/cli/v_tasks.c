/* v_tasks.c - freehold run and freehold tasks: submit, list, watch, cancel. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/tasks.h"
#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 20000, BAR_WIDTH = 30, LIST_DEFAULT = 20, UNREACHABLE_MS = 120000 };

static int tasks_path(struct cli *cli, const char **ret_path, struct err *err)
{
	const char *tenant = NULL, *domain = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	TRY(cli_domain(cli, &domain, err));
	*ret_path = client_path(cli, "/v1/tenants/%s/domains/%s/tasks", tenant, domain);
	return 0;
}

static bool ended(const char *state)
{
	return state && (strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
	                 strcmp(state, "cancelled") == 0);
}

static void print_bar(int64_t percent)
{
	for (int i = 0; i < BAR_WIDTH; i++)
		fputs(percent >= 0 && i * 100 < percent * BAR_WIDTH ? "█" : "░", stdout);
	if (percent >= 0)
		printf(" %3" PRId64 "%%", percent);
	else
		printf("  --%%");
}

/* One line that grows, on a terminal. */
static void draw_progress(const struct value *task)
{
	const char *state = value_get_str(task, "state");
	const struct value *progress = value_get(task, "progress");
	const char *phase = ended(state) ? NULL : value_get_str(progress, "phase");
	int64_t attempt = value_get_int(task, "attempt", 0);
	bool done = strcmp(state, "succeeded") == 0;
	printf("\r\033[K%-11s ", value_get_str(task, "type"));
	print_bar(done ? 100 : value_get_int(progress, "percent", -1));
	printf("  %s%s%s  %" PRId64 " rows", state, phase ? ", " : "", phase ? phase : "",
	       value_get_int(done ? value_get(task, "usage") : progress, "rows", 0));
	if (attempt > 1)
		printf("  attempt %" PRId64, attempt);
	if (ended(state))
		printf("\n");
}

/* Where no terminal is, a line whenever the state changes. */
static void show_progress(struct cli *cli, const struct value *task, const char *last_state)
{
	const char *state = value_get_str(task, "state");
	if (cli->terminal)
		draw_progress(task);
	else if (!last_state || strcmp(state, last_state) != 0)
		printf("%s %s: %s%s\n", value_get_str(task, "type"), value_get_str(task, "id"),
		       state, value_get_int(task, "attempt", 0) > 1 ? " (another attempt)" : "");
	fflush(stdout);
}

static int64_t rejected_rows(const struct value *task)
{
	const struct value *outputs = value_get(task, "outputs");
	int64_t rows = 0;
	for (size_t i = 0; i < value_len(outputs); i++)
		rows += value_get_int(value_at(outputs, i), "rejectedRows", 0);
	return rows;
}

static int finish(struct cli *cli, const struct value *task, struct err *err)
{
	const char *state = value_get_str(task, "state");
	const struct value *usage = value_get(task, "usage");
	if (cli->format != FORMAT_TABLE)
		TRY(print_value(cli, task, err));
	if (strcmp(state, "succeeded") == 0) {
		if (cli->format != FORMAT_TABLE)
			return 0;
		printf("  %" PRId64
		       " rows, %s read, %s written, %.2f cpu s, peak %s, attempt %" PRId64,
		       value_get_int(usage, "rows", 0),
		       human_bytes(cli, value_get_int(usage, "bytesRead", 0)),
		       human_bytes(cli, value_get_int(usage, "bytesWritten", 0)),
		       (double)value_get_int(usage, "cpuMs", 0) / 1000,
		       human_bytes(cli, value_get_int(usage, "memoryPeakBytes", 0)),
		       value_get_int(task, "attempt", 1));
		int64_t rejected = rejected_rows(task);
		if (rejected > 0)
			printf(", %" PRId64 " bad rows kept aside", rejected);
		printf("\n");
		return 0;
	}
	cli->exit_code = EXIT_TASK_FAILED;
	const struct value *error = value_get(task, "error");
	const char *code = value_get_str(error, "code");
	const char *text = value_get_str(error, "text");
	return err_set(err, E_CONFLICT, "task %s %s: %s%s%s", value_get_str(task, "id"), state,
	               code ? code : "", code ? ": " : "", text ? text : "no reason given");
}

/* Follows a task to its end by held reads; a server that is away for a while is waited for. */
static int watch(struct cli *cli, const char *collection, const char *id, struct err *err)
{
	struct value *task = NULL;
	char last_state[32] = "";
	int64_t version = 0;
	int64_t reached = clock_mono_ms(clock_system());
	for (;;) {
		struct call call = {
			.method = "GET",
			.timeout_ms = WAIT_MS + 10000,
			.path = client_path(cli, "%s/%s?waitMs=%d&afterVersion=%" PRId64,
		                            collection, id, WAIT_MS, version),
		};
		int rc = client_call(cli, &call, &task, err);
		int64_t now = clock_mono_ms(clock_system());
		if (rc < 0 && (!err_retryable(rc) || now - reached > UNREACHABLE_MS))
			return rc;
		if (rc < 0)
			continue;
		reached = now;
		version = value_get_int(task, "version", 0);
		const char *state = value_get_str(task, "state");
		if (!state)
			return err_set(err, E_INTERNAL, "the server's answer names no state");
		if (cli->format == FORMAT_TABLE)
			show_progress(cli, task, *last_state ? last_state : NULL);
		snprintf(last_state, sizeof last_state, "%s", state);
		if (ended(state))
			return finish(cli, task, err);
	}
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
		return watch(cli, path, id, err);
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
		return watch(cli, path, id, err);
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
