/* v_runs.c - freehold runs: start, list, show, follow, cancel, resume. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/text.h"
#include "common/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1024 * 1024, LIST_MOST = 50 };

static int runs_path(struct cli *cli, const char **ret_path, struct err *err)
{
	const char *tenant = NULL, *domain = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	TRY(cli_domain(cli, &domain, err));
	*ret_path = client_path(cli, "/v1/tenants/%s/domains/%s/runs", tenant, domain);
	return 0;
}

/* --- what to start --- */

static int read_all(struct cli *cli, int fd, const char *path, char **ret_text, size_t *ret_len,
                    struct err *err)
{
	char *text = arena_alloc(cli->arena, FILE_BYTES_MAX + 1);
	size_t len = 0;
	ssize_t n = 1;
	if (!text)
		return err_set(err, E_NOMEM, "no memory for %s", path);
	while (n > 0 && len <= FILE_BYTES_MAX) {
		n = read(fd, text + len, FILE_BYTES_MAX + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return err_errno(err, errno, "%s", path);
	if (len > FILE_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "%s: over %d bytes", path, FILE_BYTES_MAX);
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static int read_file(struct cli *cli, const char *path, const struct value **ret_document,
                     struct err *err)
{
	char *text = NULL;
	size_t len = 0;
	struct value *list = NULL;
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "%s", path);
	int rc = read_all(cli, fd, path, &text, &len, err);
	if (!standard)
		close(fd);
	TRY(rc);
	if (yaml_parse(cli->arena, text, len, &list, err) < 0)
		return err_prefix(err, "%s", path);
	if (value_len(list) != 1)
		return err_set(err, E_INVALID, "%s: holds %zu documents; a run is one", path,
		               value_len(list));
	*ret_document = value_at(list, 0);
	return 0;
}

/* {name, tasks}, or a Pipeline's manifest: its tasks. */
static int body_of_file(struct cli *cli, const char *path, struct value **ret_body,
                        struct err *err)
{
	const struct value *document = NULL;
	TRY(read_file(cli, path, &document, err));
	*ret_body = value_copy(cli->arena, document);
	if (!value_get(document, "kind"))
		return value_check(*ret_body, err);
	const struct value *tasks = value_get(value_get(document, "spec"), "tasks");
	if (!tasks)
		return err_set(err, E_INVALID, "%s: is a manifest without spec.tasks; give a "
		               "Pipeline, or {name, tasks}", path);
	*ret_body = value_map(cli->arena);
	value_set_str(*ret_body, "name",
	              value_get_str(value_get(document, "metadata"), "name"));
	value_set(*ret_body, "tasks", value_copy(cli->arena, tasks));
	return value_check(*ret_body, err);
}

static int request_body(struct cli *cli, struct value **ret_body, struct err *err)
{
	const char *file = cli_option(cli, "file"), *pipeline = cli_option(cli, "pipeline");
	if (!file == !pipeline)
		return err_set(err, E_INVALID, "what is to run? give -f FILE or --pipeline NAME");
	if (file)
		return body_of_file(cli, file, ret_body, err);
	*ret_body = value_map(cli->arena);
	value_set_str(*ret_body, "pipeline", pipeline);
	return value_check(*ret_body, err);
}

/* --- the words --- */

static int start(struct cli *cli, const char *path, struct err *err)
{
	struct value *body = NULL, *run = NULL;
	const char *key = cli_option(cli, "idempotency-key");
	bool dry_run = cli_switch(cli, "dry-run");
	TRY(request_body(cli, &body, err));
	struct call call = {
		.method = "POST",
		.body = body,
		.path = client_path(cli, "%s%s", path, dry_run ? "?dryRun=true" : ""),
		.header = key ? arena_printf(cli->arena, "Idempotency-Key: %s", key) : NULL,
		.purpose = cli_option(cli, "purpose"),
	};
	TRY(client_call(cli, &call, &run, err));
	if (dry_run) {
		printf("would be accepted (dry run: nothing was started)\n");
		return 0;
	}
	const char *id = value_get_str(run, "id");
	if (!id)
		return err_set(err, E_INTERNAL, "the server's answer names no run");
	if (cli_switch(cli, "watch"))
		return run_progress_follow(cli, path, id, err);
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, run, err);
	printf("%s\n", id);
	return 0;
}

static int list(struct cli *cli, const char *path, struct err *err)
{
	static const char *const titles[] = {"ID",    "NAME",   "STATE", "TASKS", "ENDED",
	                                     "FAILED", "AGE",   NULL};
	struct value *items = NULL;
	const char *state = cli_option(cli, "state");
	TRY(client_list(cli, state ? client_path(cli, "%s?state=%s", path, state) : path, LIST_MOST,
	                &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *run = value_at(items, i), *counts = value_get(run, "counts");
		const char *pipeline = value_get_str(run, "pipeline");
		table_cell(table, value_get_str(run, "id"));
		table_cell(table, pipeline ? pipeline : value_get_str(run, "name"));
		table_cell(table, value_get_str(run, "state"));
		table_number(table, value_get_int(run, "count", 0));
		table_number(table, run_progress_ended_count(run));
		table_number(table, value_get_int(counts, "failed", 0) +
		             value_get_int(counts, "dead", 0));
		table_cell(table, human_age(cli, value_get_str(run, "acceptedAt")));
	}
	table_print(table);
	return 0;
}

static int check_word(const char *word, struct err *err)
{
	static const char *const words[] = {"start", "list", "get", "cancel", "resume"};
	for (size_t i = 2; i < ARRAY_LEN(words); i++)
		if (strcmp(word, words[i]) == 0)
			return 0;
	const char *near = name_nearest(word, words, ARRAY_LEN(words));
	return err_set(err, E_INVALID, "%s: start, list, get, cancel or resume%s%s%s", word,
	               near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* get, cancel, resume */
static int one(struct cli *cli, const char *path, const char *word, struct err *err)
{
	const char *id = cli_word(cli, 1);
	struct value *run = NULL;
	bool get = strcmp(word, "get") == 0;
	TRY(check_word(word, err));
	if (id && !id_valid(id))
		return err_set(err, E_INVALID, "%s: no run id; see `freehold runs`", id);
	if (!id)
		return err_set(err, E_INVALID, "%s: which run? freehold runs %s ID; see `freehold "
		               "runs`", word, word);
	struct call call = {
		.method = get ? "GET" : "POST",
		.path = client_path(cli, "%s/%s%s%s", path, id, get ? "" : "/", get ? "" : word),
	};
	TRY(client_call(cli, &call, &run, err));
	return cli_switch(cli, "watch") ? run_progress_follow(cli, path, id, err)
	                                : run_progress_show(cli, run, err);
}

static int runs(struct cli *cli, struct err *err)
{
	const char *path = NULL, *word = cli_word(cli, 0);
	TRY(runs_path(cli, &path, err));
	if (!word || strcmp(word, "list") == 0)
		return list(cli, path, err);
	if (strcmp(word, "start") == 0)
		return start(cli, path, err);
	return one(cli, path, word, err);
}

static const struct option_row options[] = {
	{"file", "PATH", "start: a file with {name, tasks} or a Pipeline, or - (-f)"},
	{"pipeline", "NAME", "start: a run of that pipeline"},
	{"watch", NULL, "follow the run to its end (-w)"},
	{"idempotency-key", "TEXT", "start: the same key again is the same run"},
	{"purpose", "TEXT", "start: what it reads for, where that is asked for"},
	{"dry-run", NULL, "start: only ask whether it would be accepted"},
	{"state", "STATE", "list only queued, running, succeeded, failed or cancelled ones"},
	{NULL, NULL, NULL}};

const struct verb verb_runs = {
	.name = "runs",
	.words = "[start | get ID | cancel ID | resume ID]",
	.words_max = 2,
	.summary = "Start tasks that depend on each other; list, follow, cancel or resume runs",
	.options = options,
	.run = runs,
	.example = "freehold runs start --pipeline nightly --watch",
};
