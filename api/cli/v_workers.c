/* v_workers.c - freehold workers: who takes tasks, and who is to take none (the operator's). */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/manifest.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *labels_text(struct cli *cli, const struct value *labels)
{
	const char *text = NULL, *key = NULL;
	for (size_t i = 0; i < value_len(labels); i++) {
		const char *value = value_as_str(value_member(labels, i, &key));
		text = arena_printf(cli->arena, "%s%s%s=%s", text ? text : "", text ? "," : "", key,
		                    value ? value : "");
	}
	return text;
}

static const char *state_text(const struct value *worker)
{
	if (!value_get_bool(worker, "connected", false))
		return "gone";
	if (value_get_bool(worker, "draining", false))
		return "draining";
	return value_get_bool(worker, "cordoned", false) ? "cordoned" : "ready";
}

/* "1.5 / 4": free of all. */
static void capacity_cells(struct cli *cli, struct table *table, const struct value *worker)
{
	const struct value *all = value_get(worker, "capacity"), *rest = value_get(worker, "free");
	if (!all) {
		for (int i = 0; i < 3; i++)
			table_cell(table, NULL);
		return;
	}
	table_cellf(table, "%" PRId64 " / %" PRId64, value_get_int(rest, "slots", 0),
	            value_get_int(all, "slots", 0));
	table_cellf(table, "%.1f", (double)value_get_int(all, "cpuMillis", 0) / 1000);
	table_cellf(table, "%s / %s", human_bytes(cli, value_get_int(rest, "memoryBytes", 0)),
	            human_bytes(cli, value_get_int(all, "memoryBytes", 0)));
}

static void row(struct cli *cli, struct table *table, const struct value *worker)
{
	table_cell(table, value_get_str(worker, "name"));
	table_cell(table, value_get_str(worker, "pool"));
	table_cell(table, state_text(worker));
	capacity_cells(cli, table, worker);
	table_number(table, value_get_int(worker, "running", 0));
	table_cellf(table, "%.1f s", (double)value_get_int(worker, "heardAgoMs", 0) / 1000);
	table_cell(table, value_get_str(worker, "cage"));
	table_cell(table, value_get_str(worker, "version"));
	table_cell(table, labels_text(cli, value_get(worker, "labels")));
}

static int list(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"NAME",   "POOL",    "STATE", "SLOTS",
	                                     "CORES",  "MEMORY",  "TASKS", "HEARD",
	                                     "CAGE",   "VERSION", "LABELS", NULL};
	struct value *answer = NULL;
	struct call call = {.method = "GET", .path = "/v1/workers"};
	TRY(client_call(cli, &call, &answer, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	struct table *table = table_new(cli, titles);
	const struct value *items = value_get(answer, "items");
	for (size_t i = 0; i < value_len(items); i++)
		row(cli, table, value_at(items, i));
	table_print(table);
	return 0;
}

/* What was said of it before stays, but for these two. */
static int read_spec(struct cli *cli, const char *path, struct value *spec, struct err *err)
{
	struct value *before = NULL;
	struct call call = {.method = "GET", .path = path};
	int rc = client_call(cli, &call, &before, err);
	if (rc == E_NOT_FOUND)
		return 0;
	TRY(rc);
	value_set_str(spec, "description",
	              value_get_str(value_get(before, "spec"), "description"));
	return 0;
}

static int set(struct cli *cli, const char *name, bool cordoned, bool drain, struct err *err)
{
	struct value *manifest = value_map(cli->arena), *metadata = value_map(cli->arena);
	struct value *spec = value_map(cli->arena);
	TRY(name_check("NAME", name, err));
	const char *path = client_path(cli, "/v1/workers/%s", name);
	const char *why = cli_option(cli, "description");
	TRY(read_spec(cli, path, spec, err));
	if (why)
		value_set_str(spec, "description", why);
	value_set_bool(spec, "cordoned", cordoned);
	value_set_bool(spec, "drain", drain);
	value_set_str(metadata, "name", name);
	value_set_str(manifest, "apiVersion", API_VERSION);
	value_set_str(manifest, "kind", "Worker");
	value_set(manifest, "metadata", metadata);
	value_set(manifest, "spec", spec);
	struct call call = {.method = "PUT", .path = path, .body = manifest};
	TRY(client_call(cli, &call, NULL, err));
	return printf("worker %s: %s\n", name,
	              drain      ? "cordoned; what runs there is handed back"
	              : cordoned ? "cordoned; what runs there goes on"
	                         : "takes tasks") < 0
	               ? err_set(err, E_IO, "standard output cannot be written")
	               : 0;
}

static int workers(struct cli *cli, struct err *err)
{
	static const char *const actions[] = {"list", "cordon", "uncordon", "drain", NULL};
	const char *what = cli_word(cli, 0), *name = cli_word(cli, 1);
	if (!what || strcmp(what, "list") == 0)
		return list(cli, err);
	TRY(cli_action(cli, actions, "worker", err));
	bool cordon = strcmp(what, "cordon") == 0, drain = strcmp(what, "drain") == 0;
	return set(cli, name, cordon || drain, drain, err);
}

static const struct option_row options[] = {
	{"description", "TEXT", "why, for who asks later"},
	{NULL, NULL, NULL}};

const struct verb verb_workers = {
	.name = "workers",
	.words = "[list|cordon|uncordon|drain] [NAME]",
	.words_max = 2,
	.summary = "Who takes tasks; cordon or drain one (the operator's)",
	.options = options,
	.run = workers,
	.example = "freehold workers drain worker-2 --description 'new disks'",
};
