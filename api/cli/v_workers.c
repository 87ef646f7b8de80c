/* v_workers.c - freehold workers: who takes tasks, and who is to take none (the operator's). */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/manifest.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
	if (value_get_bool(worker, "removed", false))
		return "removed";
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
	table_cell(table, value_get_str(worker, "certificateExpiresAt"));
	table_cell(table, value_get_str(worker, "version"));
	table_cell(table, labels_text(cli, value_get(worker, "labels")));
}

static int list(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"NAME",   "POOL",    "STATE", "SLOTS",
	                                     "CORES",  "MEMORY",  "TASKS", "HEARD",
	                                     "CAGE",   "CERTIFICATE UNTIL", "VERSION", "LABELS",
	                                     NULL};
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

/* What is said of a worker holds for one that is yet to come, too: a misspelt name shows here
 * only. */
static int is_connected(struct cli *cli, const char *name, bool *ret_here, struct err *err)
{
	struct value *answer = NULL;
	struct call call = {.method = "GET", .path = "/v1/workers"};
	TRY(client_call(cli, &call, &answer, err));
	const struct value *items = value_get(answer, "items");
	for (size_t i = 0; i < value_len(items); i++) {
		const char *other = value_get_str(value_at(items, i), "name");
		if (other && strcmp(other, name) == 0)
			*ret_here = value_get_bool(value_at(items, i), "connected", false);
	}
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
	bool here = false;
	TRY(client_call(cli, &call, NULL, err));
	TRY(is_connected(cli, name, &here, err));
	return printf("worker %s: %s%s\n", name,
	              drain      ? "cordoned; what runs there is handed back"
	              : cordoned ? "cordoned; what runs there goes on"
	                         : "takes tasks",
	              here ? "" : " (no worker of that name is connected; this waits for one)") < 0
	               ? err_set(err, E_IO, "standard output cannot be written")
	               : 0;
}

/* --- who may be one --- */

static int write_token(const char *path, const char *token, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "--out: %s", path);
	bool written = dprintf(fd, "%s\n", token) > 0;
	int reason = errno;
	if (close(fd) < 0 || !written)
		return err_errno(err, reason, "--out: %s", path);
	return 0;
}

static int show_token(struct cli *cli, const struct value *answer, struct err *err)
{
	const char *token = value_get_str(answer, "token"), *out = cli_option(cli, "out");
	if (!token)
		return err_set(err, E_INTERNAL, "the server's answer holds no token");
	if (out)
		TRY(write_token(out, token, err));
	if (cli->format != FORMAT_TABLE && !out)
		return print_value(cli, answer, err);
	printf("%s%s\nvalid until %s, for one worker; start it with: freehold-worker --name %s "
	       "--identity FOLDER --join-token-file %s --api %s --api-ca-file CA.pem\n",
	       out ? "written to " : "", out ? out : token, value_get_str(answer, "expiresAt"),
	       value_get_str(answer, "name") ? value_get_str(answer, "name") : "NAME",
	       out ? out : "FILE", cli->url);
	return 0;
}

static int make_token(struct cli *cli, struct err *err)
{
	static const char *const members[] = {"name", "pool", "ttl", "addresses"};
	struct value *body = value_map(cli->arena), *answer = NULL;
	const char *out = cli_option(cli, "out");
	if (out && access(out, F_OK) == 0)
		return err_set(err, E_CONFLICT, "--out: %s exists; it is not overwritten", out);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		value_set_str(body, members[i], cli_option(cli, members[i]));
	struct call call = {.method = "POST", .path = "/v1/workers/tokens", .body = body};
	TRY(client_call(cli, &call, &answer, err));
	return show_token(cli, answer, err);
}

static int list_tokens(struct cli *cli, struct err *err)
{
	static const char *const titles[] = {"ID",      "NAME",    "POOL", "CREATED BY",
	                                     "EXPIRES", "USED BY", NULL};
	static const char *const members[] = {"id",        "name",      "pool",
	                                      "createdBy", "expiresAt", "usedBy"};
	struct value *answer = NULL;
	struct call call = {.method = "GET", .path = "/v1/workers/tokens"};
	TRY(client_call(cli, &call, &answer, err));
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, answer, err);
	struct table *table = table_new(cli, titles);
	const struct value *items = value_get(answer, "items");
	for (size_t i = 0; i < value_len(items); i++)
		for (size_t k = 0; k < ARRAY_LEN(members); k++)
			table_cell(table, value_get_str(value_at(items, i), members[k]));
	table_print(table);
	return 0;
}

static int revoke_token(struct cli *cli, const char *id, struct err *err)
{
	if (!id || !id_valid(id))
		return err_set(err, E_INVALID, "usage: freehold workers revoke TOKEN-ID; `freehold "
		               "workers tokens` lists them");
	struct call call = {.method = "DELETE",
	                    .path = client_path(cli, "/v1/workers/tokens/%s", id)};
	TRY(client_call(cli, &call, NULL, err));
	printf("token %s revoked\n", id);
	return 0;
}

static int remove_worker(struct cli *cli, const char *name, struct err *err)
{
	struct call call = {.method = "DELETE",
	                    .path = client_path(cli, "/v1/workers/%s/identity", name)};
	TRY(client_call(cli, &call, NULL, err));
	printf("worker %s removed: it is refused from now on, and what it ran runs elsewhere\n",
	       name);
	return 0;
}

/* The operator brings the public half of its key: node.pub in the worker's folder. */
static int register_worker(struct cli *cli, const char *name, struct err *err)
{
	struct value *body = value_map(cli->arena), *answer = NULL;
	const char *key = cli_option(cli, "public-key");
	if (!key)
		return err_set(err, E_INVALID, "usage: freehold workers register NAME --public-key "
		               "HEX (node.pub in its --identity folder)");
	value_set_str(body, "publicKey", key);
	value_set_str(body, "pool", cli_option(cli, "pool"));
	struct call call = {.method = "PUT",
	                    .path = client_path(cli, "/v1/workers/%s/identity", name),
	                    .body = body};
	TRY(client_call(cli, &call, &answer, err));
	printf("worker %s registered\n", name);
	return 0;
}

static int show_identity(struct cli *cli, const char *name, struct err *err)
{
	struct value *answer = NULL;
	struct call call = {.method = "GET",
	                    .path = client_path(cli, "/v1/workers/%s/identity", name)};
	TRY(client_call(cli, &call, &answer, err));
	return print_value(cli, answer, err);
}

static int set_policy(struct cli *cli, const char *name, struct err *err)
{
	const char *what = cli_word(cli, 0);
	bool cordon = strcmp(what, "cordon") == 0, drain = strcmp(what, "drain") == 0;
	return set(cli, name, cordon || drain, drain, err);
}

static int workers(struct cli *cli, struct err *err)
{
	static const char *const actions[] = {"list",     "cordon",   "uncordon", "drain",
	                                      "token",    "tokens",   "revoke",   "remove",
	                                      "register", "identity", NULL};
	const char *what = cli_word(cli, 0), *name = cli_word(cli, 1);
	if (!what || strcmp(what, "list") == 0)
		return list(cli, err);
	if (strcmp(what, "token") == 0)
		return make_token(cli, err);
	if (strcmp(what, "tokens") == 0)
		return list_tokens(cli, err);
	if (strcmp(what, "revoke") == 0)
		return revoke_token(cli, name, err);
	TRY(cli_action(cli, actions, "worker", err));
	if (strcmp(what, "remove") == 0)
		return remove_worker(cli, name, err);
	if (strcmp(what, "register") == 0)
		return register_worker(cli, name, err);
	if (strcmp(what, "identity") == 0)
		return show_identity(cli, name, err);
	return set_policy(cli, name, err);
}

static const struct option_row options[] = {
	{"description", "TEXT", "cordon, drain: why, for who asks later"},
	{"name", "NAME", "token: the only worker that may join with it"},
	{"pool", "POOL", "token, register: the only pool it may be in"},
	{"ttl", "DURATION", "token: how long it is valid; default 15m"},
	{"addresses", "LIST", "token: DNS names and IP addresses its certificate may serve under"},
	{"out", "FILE", "token: written there, with mode 0600, and not shown"},
	{"public-key", "HEX", "register: what is in node.pub of its --identity folder"},
	{NULL, NULL, NULL}};

const struct verb verb_workers = {
	.name = "workers",
	.words = "[list|cordon|uncordon|drain|token|tokens|revoke|remove|register|identity] "
	         "[NAME]",
	.words_max = 2,
	.summary = "Who takes tasks; let one join, cordon, drain or remove one (the operator's)",
	.options = options,
	.run = workers,
	.example = "freehold workers drain worker-2 --description 'new disks'",
};
