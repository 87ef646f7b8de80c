/* v_keys.c - freehold keys: API keys of a principal. The secret is shown once, or written to a
 * file. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_key(const char *path, const char *key, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "--out: %s", path);
	bool written = dprintf(fd, "%s\n", key) > 0;
	int reason = errno;
	if (close(fd) < 0 || !written)
		return err_errno(err, reason, "--out: %s", path);
	return 0;
}

/* Asks for a new key, and shows it or writes it to a file. */
static int make(struct cli *cli, const char *path, struct value *body, struct err *err)
{
	struct value *answer = NULL;
	const char *out = cli_option(cli, "out");
	if (out && access(out, F_OK) == 0)
		return err_set(err, E_CONFLICT, "--out: %s exists; it is not overwritten", out);
	value_set_str(body, "expiresIn", cli_option(cli, "expires-in"));
	struct call call = {.method = "POST", .path = path, .body = body};
	TRY(client_call(cli, &call, &answer, err));
	const char *key = value_get_str(answer, "key");
	if (!key)
		return err_set(err, E_INTERNAL, "the server's answer holds no key");
	if (cli->format != FORMAT_TABLE && !out)
		return print_value(cli, answer, err);
	if (out)
		TRY(write_key(out, key, err));
	if (out)
		printf("key %s written to %s\n", value_get_str(answer, "id"), out);
	else
		printf("%s\n", key);
	return 0;
}

static int key_id(struct cli *cli, const char **ret_id, struct err *err)
{
	const char *id = cli_word(cli, 2);
	if (!id || !id_valid(id))
		return err_set(err, E_INVALID, "KEY-ID: must be the 26 characters of a key's id; "
		               "`freehold keys list %s` shows them", cli_word(cli, 1));
	*ret_id = id;
	return 0;
}

static int rotate(struct cli *cli, const char *path, struct err *err)
{
	struct value *body = value_map(cli->arena);
	const char *id = NULL, *overlap = cli_option(cli, "overlap");
	TRY(key_id(cli, &id, err));
	value_set_str(body, "overlap", overlap ? overlap : "24h");
	return make(cli, client_path(cli, "%s/%s/rotate", path, id), body, err);
}

static int list(struct cli *cli, const char *path, struct err *err)
{
	static const char *const titles[] = {"ID", "CREATED", "EXPIRES", "LAST USED", NULL};
	struct value *items = NULL;
	TRY(client_list(cli, path, 1000, &items, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, items, err);
	struct table *table = table_new(cli, titles);
	for (size_t i = 0; i < value_len(items); i++) {
		const struct value *key = value_at(items, i);
		table_cell(table, value_get_str(key, "id"));
		table_cell(table, value_get_str(key, "createdAt"));
		table_cell(table, value_get_str(key, "expiresAt"));
		table_cell(table, value_get_str(key, "lastUsedAt"));
	}
	table_print(table);
	return 0;
}

static int revoke_key(struct cli *cli, const char *path, struct err *err)
{
	const char *id = NULL;
	TRY(key_id(cli, &id, err));
	struct call call = {.method = "DELETE", .path = client_path(cli, "%s/%s", path, id)};
	TRY(client_call(cli, &call, NULL, err));
	printf("key %s revoked\n", id);
	return 0;
}

static int create(struct cli *cli, const char *path, struct err *err)
{
	return make(cli, path, value_map(cli->arena), err);
}

static const struct {
	const char *name;
	int (*run)(struct cli *cli, const char *path, struct err *err);
} actions[] = {{"create", create}, {"list", list}, {"rotate", rotate}, {"revoke", revoke_key}};

static int keys(struct cli *cli, struct err *err)
{
	const char *what = cli_word(cli, 0), *principal = cli_word(cli, 1), *tenant = NULL;
	size_t i = 0;
	if (strcmp(what, "status") == 0)
		return datakeys_status(cli, err);
	while (i < ARRAY_LEN(actions) && strcmp(actions[i].name, what) != 0)
		i++;
	if (i == ARRAY_LEN(actions))
		return err_set(err, E_INVALID, "%s: must be create, list, rotate or revoke; or "
		               "status, of the keys that data is under", what);
	if (!principal)
		return err_set(err, E_INVALID, "%s: whose? freehold keys %s PRINCIPAL; `freehold "
		               "get principals` lists them", what, what);
	TRY(cli_tenant(cli, &tenant, err));
	TRY(name_check("PRINCIPAL", principal, err));
	return actions[i].run(cli, client_path(cli, "/v1/tenants/%s/principals/%s/keys", tenant,
	                                       principal), err);
}

static const struct option_row options[] = {
	{"out", "FILE", "write the new key there (0600) instead of showing it"},
	{"expires-in", "DURATION", "how long the new key is valid; default without end"},
	{"overlap", "DURATION", "how long the old key still does after rotate; default 24h"},
	{NULL, NULL, NULL}};

const struct verb verb_keys = {
	.name = "keys",
	.words = "create|list|rotate|revoke PRINCIPAL [KEY-ID] | status",
	.words_min = 1,
	.words_max = 3,
	.summary = "API keys of a principal; status: the keys that data is under",
	.options = options,
	.run = keys,
	.example = "freehold keys create alice --tenant acme --out alice.key",
};
