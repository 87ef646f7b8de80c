/* v_queue.c - freehold queue and freehold pools: who waits for what, and what pools lack. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

static void cores(struct table *table, const struct value *room)
{
	table_cellf(table, "%.1f", (double)value_get_int(room, "cpuMillis", 0) / 1000);
}

static void memory(struct cli *cli, struct table *table, const struct value *room)
{
	table_cell(table, human_bytes(cli, value_get_int(room, "memoryBytes", 0)));
}

static void seconds(struct table *table, int64_t ms)
{
	table_cellf(table, ms ? "%.1f s" : "-", (double)ms / 1000);
}

static int queue(struct cli *cli, struct err *err)
{
	static const char *const titles[] = { "TENANT", "POOL", "COHORT", "WEIGHT", "WAITING",
		                              "RUNNING", "CORES", "MEMORY", "GUARANTEED",
		                              "BORROWED", "SHARE", "OLDEST", NULL };
	struct value *items = NULL;
	TRY(client_list(cli, "/v1/queue", 100000, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *row = value_at(items, i);
		table_cell(table, value_get_str(row, "tenant"));
		table_cell(table, value_get_str(row, "pool"));
		table_cell(table, value_get_str(row, "cohort"));
		table_number(table, value_get_int(row, "weight", 1));
		table_number(table, value_get_int(row, "waiting", 0));
		table_number(table, value_get_int(row, "running", 0));
		cores(table, value_get(row, "used"));
		memory(cli, table, value_get(row, "used"));
		cores(table, value_get(row, "guaranteed"));
		cores(table, value_get(row, "borrowed"));
		table_cellf(table, "%.1f %%", (double)value_get_int(row, "share", 0) / 10000);
		seconds(table, value_get_int(row, "oldestWaitMs", 0));
	}
	table_print(table);
	return 0;
}

static int pools(struct cli *cli, struct err *err)
{
	static const char *const titles[] = { "POOL", "WORKERS", "CORES", "CORES USED", "MEMORY",
		                              "MEMORY USED", "WAITING", "CORES WANTED",
		                              "MEMORY WANTED", "NEVER FIT", "OLDEST", NULL };
	struct value *items = NULL;
	TRY(client_list(cli, "/v1/pools", 100000, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *row = value_at(items, i);
		table_cell(table, value_get_str(row, "pool"));
		table_number(table, value_get_int(row, "workers", 0));
		cores(table, value_get(row, "total"));
		cores(table, value_get(row, "used"));
		memory(cli, table, value_get(row, "total"));
		memory(cli, table, value_get(row, "used"));
		table_number(table, value_get_int(value_get(row, "waiting"), "tasks", 0));
		cores(table, value_get(row, "waiting"));
		memory(cli, table, value_get(row, "waiting"));
		table_number(table, value_get_int(row, "neverFits", 0));
		seconds(table, value_get_int(row, "oldestWaitMs", 0));
	}
	table_print(table);
	return 0;
}

const struct verb verb_queue = {
	.name = "queue",
	.words = "",
	.summary = "Who waits for what, by tenant and pool (the operator's)",
	.run = queue,
	.example = "freehold queue",
};

const struct verb verb_pools = {
	.name = "pools",
	.words = "",
	.summary = "What worker pools have, use and lack (the operator's)",
	.run = pools,
	.example = "freehold pools -o json",
};
