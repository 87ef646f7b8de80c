/* v_datakeys.c - freehold datakeys: the keys that a tenant's data is under: how they stand, new
 * versions, destruction; and freehold keys status, which is the first of these. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *versions(struct cli *cli, const struct value *of)
{
	int64_t old = value_get_int(of, "oldVersion", 0);
	const char *text =
		old ? arena_printf(cli->arena, "%" PRId64 " (and %" PRId64 ")",
	                           value_get_int(of, "version", 0), old)
		    : arena_printf(cli->arena, "%" PRId64, value_get_int(of, "version", 0));
	return text ? text : "";
}

static void say_tenant(struct cli *cli, const struct value *status)
{
	const char *destroyed = value_get_str(status, "destroyedAt");
	const char *oldest = value_get_str(status, "oldestAt");
	const struct value *task = value_get(status, "task");
	if (destroyed)
		printf("tenant key: destroyed at %s\n", destroyed);
	else
		printf("tenant key: version %s; keys under the newest: %" PRId64
		       ", under the one before: %" PRId64 "\n",
		       versions(cli, status), value_get_int(status, "boxes", 0),
		       value_get_int(status, "oldBoxes", 0));
	printf("datasets: %" PRId64 ", feature views: %" PRId64 "; with two versions: %" PRId64
	       ", destroyed: %" PRId64 "; the oldest key is of %s\n",
	       value_get_int(status, "datasets", 0), value_get_int(status, "featureViews", 0),
	       value_get_int(status, "rotating", 0), value_get_int(status, "destroyed", 0),
	       oldest ? oldest : "no date");
	if (task)
		printf("task %s is %s: %" PRId64 " objects so far\n", value_get_str(task, "id"),
		       value_get_str(task, "state"),
		       value_get_int(value_get(task, "progress"), "rows", 0));
}

int datakeys_status(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"KIND", "NAME", "VERSION", "OBJECTS", "STATE", NULL};
	const char *tenant = NULL;
	struct value *status = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	struct call call = {.method = "GET",
	                    .path = client_path(cli, "/v1/tenants/%s/keys", tenant)};
	TRY(client_call(cli, &call, &status, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, status, err);
	say_tenant(cli, status);
	const struct value *items = value_get(status, "items");
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *item = value_at(items, i);
		table_cell(table, value_get_str(item, "kind"));
		table_cell(table, arena_printf(cli->arena, "%s.%s", value_get_str(item, "domain"),
		                               value_get_str(item, "name")));
		table_cell(table, versions(cli, item));
		table_cell(table, arena_printf(cli->arena, "%" PRId64,
		                               value_get_int(item, "objects", 0)));
		table_cell(table, value_get_str(item, "state"));
	}
	table_print(table);
	return 0;
}

/* /v1/tenants/T/domains/D/datasets/NAME */
static int resource(struct cli *cli, const char **ret_path, struct err *err)
{
	const char *tenant = NULL, *domain = NULL, *name = cli_word(cli, 1);
	TRY(cli_tenant(cli, &tenant, err));
	TRY(cli_domain(cli, &domain, err));
	TRY(name_check("NAME", name, err));
	*ret_path = client_path(cli, "/v1/tenants/%s/domains/%s/%s/%s", tenant, domain,
	                        cli_switch(cli, "view") ? "featureviews" : "datasets", name);
	return 0;
}

static int rotate(struct cli *cli, struct err *err)
{
	const char *path = NULL, *tenant = NULL;
	struct value *answer = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	if (cli_word(cli, 1))
		TRY(resource(cli, &path, err));
	struct call call = {
		.method = "POST",
		.path = path ? client_path(cli, "%s/keys/rotate", path)
	                     : client_path(cli, "/v1/tenants/%s/keys/rotate%s", tenant,
	                                   cli_switch(cli, "all") ? "?datasets=true" : "")};
	TRY(client_call(cli, &call, &answer, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	printf("version %" PRId64 " is in force; version %" PRId64 " goes when nothing is under it "
	       "(freehold datakeys status)\n",
	       value_get_int(answer, "version", 0), value_get_int(answer, "oldVersion", 0));
	return 0;
}

static int destroy(struct cli *cli, struct err *err)
{
	const char *path = NULL, *confirm = cli_option(cli, "confirm");
	struct value *answer = NULL;
	TRY(resource(cli, &path, err));
	if (!confirm || strcmp(confirm, cli_word(cli, 1)) != 0)
		return err_set(err, E_INVALID, "--confirm: must be the name again, %s: what is "
		               "stored of it can then be read by nobody, ever", cli_word(cli, 1));
	struct call call = {.method = "DELETE",
	                    .path = client_path(cli, "%s/keys?confirm=%s", path, confirm)};
	TRY(client_call(cli, &call, &answer, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	printf("%zu keys destroyed\n", value_len(value_get(answer, "keys")));
	return 0;
}

static int rewrap(struct cli *cli, struct err *err)
{
	struct call call = {.method = "POST", .path = "/v1/root/rewrap"};
	TRY(client_call(cli, &call, NULL, err));
	printf("the root key is wrapped by the key service's newest key\n");
	return 0;
}

static int datakeys(struct cli *cli, struct err *err)
{
	const char *what = cli_word(cli, 0);
	if (strcmp(what, "status") == 0)
		return datakeys_status(cli, err);
	if (strcmp(what, "rotate") == 0)
		return rotate(cli, err);
	if (strcmp(what, "destroy") == 0)
		return destroy(cli, err);
	if (strcmp(what, "rewrap-root") == 0)
		return rewrap(cli, err);
	return err_set(err, E_INVALID, "%s: must be status, rotate, destroy or rewrap-root", what);
}

static const struct option_row options[] = {
	{"view", NULL, "NAME is a feature view's, not a dataset's"},
	{"all", NULL, "with rotate and no NAME: also each dataset's and view's key"},
	{"confirm", "NAME", "with destroy: the name again"},
	{NULL, NULL, NULL}};

const struct verb verb_datakeys = {
	.name = "datakeys",
	.words = "status|rotate|destroy|rewrap-root [NAME]",
	.words_min = 1,
	.words_max = 2,
	.summary = "Keys that data is under: versions, new ones, destruction",
	.options = options,
	.run = datakeys,
	.example = "freehold datakeys rotate orders --tenant acme --domain sales",
};
