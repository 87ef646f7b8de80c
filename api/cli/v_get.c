/* v_get.c - freehold get, describe, delete: resources of any kind. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/kinds.h"
#include "api/manifest.h"
#include "common/text.h"
#include "common/yaml.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LIST_MOST = 100000 };

/* "dataset", "datasets" or "Dataset". */
static int kind_of_word(const char *word, enum kind *ret_kind, struct err *err)
{
	enum kind kind = kind_by_name(word);
	if (kind == KIND_NONE)
		kind = kind_by_plural(word);
	if (kind != KIND_NONE) {
		*ret_kind = kind;
		return 0;
	}
	const char *names[KIND_COUNT_];
	for (int i = 0; i < KIND_COUNT_; i++)
		names[i] = kind_info[i].plural;
	const char *nearest = name_nearest(word, names, KIND_COUNT_);
	return err_set(err, E_INVALID, "%s: no such kind%s%s%s", word,
	               nearest ? "; did you mean " : "", nearest ? nearest : "",
	               nearest ? "?" : "");
}

static int collection_path(struct cli *cli, enum kind kind, const char **ret_path, struct err *err)
{
	const struct kind_info *info = &kind_info[kind];
	const char *tenant = NULL, *domain = NULL;
	if (info->scope != SCOPE_PLATFORM)
		TRY(cli_tenant(cli, &tenant, err));
	if (info->scope == SCOPE_DOMAIN)
		TRY(cli_domain(cli, &domain, err));
	if (info->scope == SCOPE_DOMAIN)
		*ret_path = client_path(cli, "/v1/tenants/%s/domains/%s/%s", tenant, domain,
		                        info->plural);
	else if (info->scope == SCOPE_TENANT)
		*ret_path = client_path(cli, "/v1/tenants/%s/%s", tenant, info->plural);
	else
		*ret_path = client_path(cli, "/v1/%s", info->plural);
	return 0;
}

static int resource_path(struct cli *cli, enum kind *ret_kind, const char **ret_path,
                         struct err *err)
{
	const char *collection = NULL;
	const char *name = cli_word(cli, 1);
	TRY(kind_of_word(cli_word(cli, 0), ret_kind, err));
	TRY(collection_path(cli, *ret_kind, &collection, err));
	TRY(name_check("NAME", name, err));
	*ret_path = client_path(cli, "%s/%s", collection, name);
	return 0;
}

static int get_one(struct cli *cli, struct value **ret_resource, struct err *err)
{
	enum kind kind;
	const char *path = NULL;
	TRY(resource_path(cli, &kind, &path, err));
	struct call call = {.method = "GET", .path = path};
	return client_call(cli, &call, ret_resource, err);
}

static const char *roles_text(struct cli *cli, const struct value *roles)
{
	const char *text = NULL;
	for (size_t i = 0; i < value_len(roles); i++)
		text = arena_printf(cli->arena, "%s%s%s", text ? text : "", text ? " " : "",
		                    value_as_str(value_at(roles, i)));
	return text;
}

static void print_principals(struct cli *cli, const struct value *items)
{
	static const char *const titles[] = {"NAME",  "TYPE", "ROLES", "DOMAIN",
	                                     "STATE", "AGE",  NULL};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *metadata = value_get(value_at(items, i), "metadata");
		const struct value *spec = value_get(value_at(items, i), "spec");
		const char *type = value_get_str(spec, "type");
		table_cell(table, value_get_str(metadata, "name"));
		table_cell(table, type ? type : "user");
		table_cell(table, roles_text(cli, value_get(spec, "roles")));
		table_cell(table, value_get_str(spec, "domain"));
		table_cell(table, value_get_bool(spec, "disabled", false) ? "disabled" : "enabled");
		table_cell(table, human_age(cli, value_get_str(metadata, "createdAt")));
	}
	table_print(table);
}

static void print_tenants(struct cli *cli, const struct value *items)
{
	static const char *const titles[] = {"NAME", "STATE", "SINCE", "REASON", "AGE", NULL};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *metadata = value_get(value_at(items, i), "metadata");
		const struct value *status = value_get(value_at(items, i), "status");
		table_cell(table, value_get_str(metadata, "name"));
		table_cell(table, value_get_str(status, "state"));
		table_cell(table, value_get_str(status, "since"));
		table_cell(table, value_get_str(status, "reason"));
		table_cell(table, human_age(cli, value_get_str(metadata, "createdAt")));
	}
	table_print(table);
}

static void print_rows(struct cli *cli, const struct value *items)
{
	const char *kind = value_get_str(value_at(items, 0), "kind");
	if (kind && strcmp(kind, kind_info[KIND_PRINCIPAL].kind) == 0) {
		print_principals(cli, items);
		return;
	}
	if (kind && strcmp(kind, kind_info[KIND_TENANT].kind) == 0) {
		print_tenants(cli, items);
		return;
	}
	static const char *const titles[] = {"NAME",     "DOMAIN", "ROWS", "SIZE",
	                                     "SNAPSHOT", "AGE",    NULL};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *item = value_at(items, i);
		const struct value *metadata = value_get(item, "metadata");
		const struct value *current = value_get(value_get(item, "status"), "snapshot");
		table_cell(table, metadata ? value_get_str(metadata, "name")
		                           : value_get_str(item, "name"));
		table_cell(table, value_get_str(metadata, "domain"));
		if (current) {
			table_number(table, value_get_int(current, "rows", 0));
			table_cell(table, human_bytes(cli, value_get_int(current, "bytes", 0)));
			table_number(table, value_get_int(current, "id", 0));
		} else {
			table_cell(table, NULL);
			table_cell(table, NULL);
			table_cell(table, NULL);
		}
		table_cell(table, human_age(cli, value_get_str(metadata, "createdAt")));
	}
	table_print(table);
}

static int get(struct cli *cli, struct err *err)
{
	struct value *shown = NULL;
	if (cli_word(cli, 1)) {
		TRY(get_one(cli, &shown, err));
		if (cli->format != FORMAT_TABLE)
			return print_value(cli, shown, err);
		struct value *one = value_list(cli->arena);
		value_add(one, shown);
		print_rows(cli, one);
		return 0;
	}
	enum kind kind;
	const char *path = NULL;
	TRY(kind_of_word(cli_word(cli, 0), &kind, err));
	TRY(collection_path(cli, kind, &path, err));
	TRY(client_list(cli, path, LIST_MOST, &shown, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, shown, err);
	if (value_len(shown) == 0)
		printf("no %s\n", kind_info[kind].plural);
	else
		print_rows(cli, shown);
	return 0;
}

static void print_snapshots(struct cli *cli, const struct value *items)
{
	static const char *const titles[] = {"SNAPSHOT", "OPERATION", "ROWS", "SIZE",
	                                     "FILES",    "REJECTED",  "TASK", NULL};
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *item = value_at(items, i);
		table_number(table, value_get_int(item, "id", 0));
		table_cell(table, value_get_str(item, "operation"));
		table_number(table, value_get_int(item, "rows", 0));
		table_cell(table, human_bytes(cli, value_get_int(item, "bytes", 0)));
		table_number(table, value_get_int(item, "files", 0));
		table_number(table, value_get_int(item, "rejectedRows", 0));
		table_cell(table, value_get_str(item, "task"));
	}
	printf("\n");
	table_print(table);
}

static int describe(struct cli *cli, struct err *err)
{
	enum kind kind;
	const char *path = NULL;
	struct value *resource = NULL;
	TRY(resource_path(cli, &kind, &path, err));
	struct call call = {.method = "GET", .path = path};
	TRY(client_call(cli, &call, &resource, err));
	if (cli->format == FORMAT_TABLE)
		cli->format = FORMAT_YAML;
	TRY(print_value(cli, resource, err));
	if (kind != KIND_DATASET || cli_switch(cli, "output"))
		return 0;
	struct value *snapshots = NULL;
	TRY(client_list(cli, client_path(cli, "%s/snapshots", path), 20, &snapshots, err));
	if (value_len(snapshots) > 0)
		print_snapshots(cli, snapshots);
	return 0;
}

static int delete (struct cli *cli, struct err *err)
{
	enum kind kind;
	const char *path = NULL;
	TRY(resource_path(cli, &kind, &path, err));
	struct call call = {.method = "DELETE", .path = path};
	TRY(client_call(cli, &call, NULL, err));
	printf("%s/%s deleted\n", kind_info[kind].name, cli_word(cli, 1));
	return 0;
}

const struct verb verb_get = {
	.name = "get",
	.words = "KIND [NAME]",
	.words_min = 1,
	.words_max = 2,
	.summary = "List resources of a kind, or one of them",
	.run = get,
	.example = "freehold get datasets --domain flights",
};

const struct verb verb_describe = {
	.name = "describe",
	.words = "KIND NAME",
	.words_min = 2,
	.words_max = 2,
	.summary = "Show all of one resource; of a dataset its snapshots too",
	.run = describe,
	.example = "freehold describe dataset flights",
};

const struct verb verb_delete = {
	.name = "delete",
	.words = "KIND NAME",
	.words_min = 2,
	.words_max = 2,
	.summary = "Delete one resource",
	.run = delete,
	.example = "freehold delete featureview delays",
};
