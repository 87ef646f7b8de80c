/* v_sweep.c - freehold sweep: a tenant's orphaned objects are deleted now. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <stdio.h>

static int sweep(struct cli *cli, struct err *err)
{
	const char *tenant = NULL;
	struct value *task = NULL;
	bool dry_run = cli_switch(cli, "dry-run");
	TRY(cli_tenant(cli, &tenant, err));
	struct call call = {
		.method = "POST",
		.path = client_path(cli, "/v1/tenants/%s/sweep%s", tenant,
		                    dry_run ? "?dryRun=true" : ""),
	};
	TRY(client_call(cli, &call, &task, err));
	if (dry_run) {
		printf("would be accepted (dry run: nothing is swept)\n");
		return 0;
	}
	const char *id = value_get_str(task, "id");
	if (!id)
		return err_set(err, E_INTERNAL, "the server's answer names no task");
	if (!cli_switch(cli, "no-wait"))
		return progress_follow(cli, client_path(cli, "/v1/tenants/%s/sweep", tenant), id,
		                       err);
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, task, err);
	printf("%s\n", id);
	return 0;
}

static const struct option_row options[] = {
	{"no-wait", NULL, "print the task's id and return at once"},
	{"dry-run", NULL, "only ask whether it would be accepted"},
	{NULL, NULL, NULL}};

const struct verb verb_sweep = {
	.name = "sweep",
	.words = "",
	.summary = "Delete a tenant's objects that nothing names any more, now (the operator's)",
	.options = options,
	.run = sweep,
	.example = "freehold sweep --tenant acme",
};
