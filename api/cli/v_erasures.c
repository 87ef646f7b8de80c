/* v_erasures.c - freehold erasures, signers: certificates of erased tenants, and the keys that they
 * are verified with. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <stdio.h>

enum { LIST_MOST = 100000 };

static int show_one(struct cli *cli, const char *uid, struct err *err)
{
	struct value *erasure = NULL;
	struct call call = {.method = "GET", .path = client_path(cli, "/v1/erasures/%s", uid)};
	TRY(client_call(cli, &call, &erasure, err));
	const char *certificate = value_get_str(erasure, "certificate");
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, erasure, err);
	if (!certificate)
		return err_set(err, E_INTERNAL, "the server's answer holds no certificate");
	return printf("%s", certificate) < 0
		? err_set(err, E_IO, "standard output cannot be written") : 0;
}

static int erasures(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"UID", "TENANT", "ERASED", "BY", "REASON", NULL};
	struct value *items = NULL;
	if (cli_word(cli, 0))
		return show_one(cli, cli_word(cli, 0), err);
	TRY(client_list(cli, "/v1/erasures", LIST_MOST, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *item = value_at(items, i);
		table_cell(table, value_get_str(item, "uid"));
		table_cell(table, value_get_str(item, "tenant"));
		table_cell(table, value_get_str(item, "completedAt"));
		table_cell(table, value_get_str(item, "requestedBy"));
		table_cell(table, value_get_str(item, "reason"));
	}
	table_print(table);
	return 0;
}

/* As text a line is a key, for a file that `freehold verify --public-key` reads. */
static int signers(struct cli *cli, struct err *err)
{
	struct value *items = NULL;
	TRY(client_list(cli, "/v1/signers", LIST_MOST, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	for (size_t i = 0; i < value_len(items); i++) {
		const char *key = value_get_str(value_at(items, i), "key");
		if (key && printf("%s\n", key) < 0)
			return err_set(err, E_IO, "standard output cannot be written");
	}
	return 0;
}

const struct verb verb_erasures = {
	.name = "erasures",
	.words = "[UID]",
	.words_max = 1,
	.summary = "Tenants that were erased; with UID, that one's signed certificate",
	.run = erasures,
	.example = "freehold erasures 01hqzx3vxw5n2k8r9d4m6t7b0c > acme.erased",
};

const struct verb verb_signers = {
	.name = "signers",
	.words = "",
	.summary = "The public keys that certificates are verified with",
	.run = signers,
	.example = "freehold signers > freehold.pub",
};
