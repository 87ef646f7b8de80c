/* v_offers.c - freehold offers: what the tenant's domains give to others and take of them. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MOST = 100000 };

struct listing {
	struct cli *cli;
	const char *tenant;
	struct value *items;
};

/* --- one row each --- */

static const char *join(struct cli *cli, const char *text, const struct value *list)
{
	for (size_t i = 0; text && i < value_len(list); i++)
		text = arena_printf(cli->arena, "%s%s%s", text, *text ? " " : "",
		                    value_as_str(value_at(list, i)));
	return text;
}

static const char *place(struct cli *cli, const char *tenant, const char *domain)
{
	if (tenant && domain)
		return arena_printf(cli->arena, "%s/%s", tenant, domain);
	return tenant ? arena_printf(cli->arena, "%s/*", tenant) : domain;
}

static const char *state_of(struct cli *cli, const struct value *item)
{
	const struct value *status = value_get(item, "status");
	const char *state = value_get_str(status, "state");
	size_t accepted = value_len(value_get(status, "acceptedBy"));
	bool agreed = value_get_str(value_get(value_get(item, "spec"), "to"), "tenant") != NULL;
	if (!state || !agreed || strcmp(state, "active") != 0)
		return state;
	return accepted ? arena_printf(cli->arena, "active, accepted by %zu", accepted)
	                : "not accepted";
}

static void print_row(struct cli *cli, struct table *table, const struct value *item)
{
	const struct value *spec = value_get(item, "spec"), *metadata = value_get(item, "metadata");
	const struct value *to = value_get(spec, "to"), *from = value_get(spec, "from");
	const struct value *other = to ? to : from;
	table_cell(table, to ? "given" : "taken");
	table_cellf(table, "%s.%s", value_get_str(metadata, "domain"),
	            value_get_str(metadata, "name"));
	table_cell(table, place(cli, value_get_str(other, "tenant"),
	                        value_get_str(other, "domain")));
	table_cell(table, to ? join(cli, join(cli, "", value_get(spec, "datasets")),
	                            value_get(spec, "featureViews"))
	                     : value_get_str(from, "offer"));
	table_cell(table, state_of(cli, item));
	table_cell(table, value_get_str(spec, "expiresAt"));
}

/* --- the lists --- */

static int add_list(struct listing *listing, const char *domain, const char *plural,
                    struct err *err)
{
	struct value *found = NULL;
	TRY(client_list(listing->cli,
	                client_path(listing->cli, "/v1/tenants/%s/domains/%s/%s", listing->tenant,
	                            domain, plural),
	                LIST_MOST, &found, err));
	for (size_t i = 0; i < value_len(found); i++)
		value_add(listing->items, value_copy(listing->cli->arena, value_at(found, i)));
	return value_check(listing->items, err);
}

/* A domain that one may not read offers of is left out of a list of all. */
static int add_domain(struct listing *listing, const char *domain, bool all, struct err *err)
{
	static const char *const plurals[] = {"offers", "acceptances"};
	for (size_t i = 0; i < ARRAY_LEN(plurals); i++) {
		int code = add_list(listing, domain, plurals[i], err);
		if (code < 0 && !(all && code == E_DENIED))
			return code;
	}
	return 0;
}

static int add_all(struct listing *listing, struct err *err)
{
	struct value *domains = NULL;
	TRY(client_list(listing->cli,
	                client_path(listing->cli, "/v1/tenants/%s/domains", listing->tenant),
	                LIST_MOST, &domains, err));
	for (size_t i = 0; i < value_len(domains); i++) {
		const struct value *metadata = value_get(value_at(domains, i), "metadata");
		TRY(add_domain(listing, value_get_str(metadata, "name"), true, err));
	}
	return 0;
}

static int offers(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"SIDE",  "NAME",  "WITH", "WHAT",
	                                     "STATE", "UNTIL", NULL};
	struct listing listing = {.cli = cli, .items = value_list(cli->arena)};
	const char *domain = cli_option(cli, "domain");
	TRY(cli_tenant(cli, &listing.tenant, err));
	if (domain)
		TRY(add_domain(&listing, domain, false, err));
	else
		TRY(add_all(&listing, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, listing.items, err);
	if (!value_len(listing.items)) {
		printf("nothing is offered or accepted\n");
		return 0;
	}
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(listing.items); i++)
		print_row(cli, table, value_at(listing.items, i));
	table_print(table);
	return 0;
}

const struct verb verb_offers = {
	.name = "offers",
	.words = "",
	.summary = "What domains give to others and take of them, and whether that holds",
	.run = offers,
	.example = "freehold offers --tenant acme",
};
