/* logverbs.c - freehold audit key, verify, prove, export --tiles: the audit log as a third party
 * keeps and checks it. verify asks nobody but where the files are; what it believes is the key. */
#include "common/defs.h"
#include "api/cli/logverbs.h"

#include "api/cli/file.h"
#include "api/cli/logdir.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEY_FILE_MAX = 4096 };

static bool is_word(const struct cli *cli, const char *word)
{
	const char *first = cli_word(cli, 0);
	return first && strcmp(first, word) == 0;
}

bool logverbs_asked(const struct cli *cli)
{
	return is_word(cli, "key") || is_word(cli, "verify") || is_word(cli, "prove") ||
	       (is_word(cli, "export") && cli_option(cli, "tiles"));
}

static int print_line(const char *text, struct err *err)
{
	return printf("%s\n", text) < 0 ? err_set(err, E_IO, "standard output cannot be written")
	                                : 0;
}

/* --- the log as a server has it --- */

/* Files below a URL. */
struct remote {
	struct cli *cli;
	const char *base;
};

static int read_remote(void *context, const char *path, size_t most, struct buf *out,
                       struct err *err)
{
	const struct remote *remote = context;
	const char *url = arena_printf(remote->cli->arena, "%s/%s", remote->base, path);
	if (!url)
		return err_set(err, E_NOMEM, "no memory for a URL");
	return url_read(remote->cli, url, most, out, err);
}

static int remote_of_tenant(struct cli *cli, struct remote *ret_remote, struct err *err)
{
	const char *tenant = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	const char *path = client_path(cli, "/v1/tenants/%s/audit", tenant);
	*ret_remote = (struct remote){ cli, arena_printf(cli->arena, "%s%s", cli->url, path) };
	return ret_remote->base ? 0 : err_set(err, E_NOMEM, "no memory for a URL");
}

/* The key as the server says it. */
static int ask_key(struct cli *cli, struct value **ret_log, const char **ret_key, struct err *err)
{
	const char *tenant = NULL;
	TRY(cli_tenant(cli, &tenant, err));
	const struct call call = { .method = "GET",
		                   .path = client_path(cli, "/v1/tenants/%s/audit/log", tenant) };
	TRY(client_call(cli, &call, ret_log, err));
	*ret_key = value_get_str(*ret_log, "key");
	return *ret_key ? 0 : err_set(err, E_INTERNAL, "the server's answer holds no key");
}

/* --public-key: the key itself, or a file that holds it. NULL: not given. */
static int given_key(struct cli *cli, struct note_verifier *ret_verifier, bool *ret_given,
                     struct err *err)
{
	const char *key = cli_option(cli, "public-key");
	AUTO_BUF text;
	buf_init(&text, KEY_FILE_MAX);
	*ret_given = key != NULL;
	if (!key || note_verifier_read(key, ret_verifier, NULL) == 0)
		return 0;
	TRY(file_read(key, KEY_FILE_MAX, &text, err));
	char *line = text.data ? (char *)text.data : NULL;
	if (line)
		line[strcspn(line, "\n")] = 0;
	if (note_verifier_read(line ? line : "", ret_verifier, err) < 0)
		return err_prefix(err, "--public-key");
	return 0;
}

static bool same_key(const struct note_verifier *a, const struct note_verifier *b)
{
	return strcmp(a->name, b->name) == 0 && bytes_equal(a->key, b->key, SIGN_PUBLIC_BYTES);
}

/* --- key --- */

static int show_key(struct cli *cli, struct err *err)
{
	struct value *log = NULL;
	const char *key = NULL;
	TRY(profile_load(cli, err));
	TRY(ask_key(cli, &log, &key, err));
	return cli->format == FORMAT_TABLE ? print_line(key, err) : print_value(cli, log, err);
}

/* --- verify --- */

static int read_since(struct cli *cli, const char **ret_note, struct err *err)
{
	const char *path = cli_option(cli, "since");
	AUTO_BUF note;
	buf_init(&note, LOGCHECK_NOTE_MAX);
	*ret_note = NULL;
	if (!path)
		return 0;
	TRY(file_read(path, LOGCHECK_NOTE_MAX, &note, err));
	*ret_note = arena_strndup(cli->arena, (const char *)note.data, note.len);
	if (*ret_note && strlen(*ret_note) == note.len)
		return 0;
	return err_set(err, E_CORRUPT, "--since: %s is no checkpoint", path);
}

static int verify_folder(struct cli *cli, const char *path, const struct note_verifier *verifier,
                         const char *since, struct logchecked *ret_checked, struct err *err)
{
	AUTO(logdir) *dir = NULL;
	TRY(logdir_open(path, false, &dir, err));
	return logdir_check(dir, verifier, since, cli->arena, ret_checked, err);
}

/* A mirror needs no profile. */
static int open_web(struct cli *cli, struct err *err)
{
	const struct fetch_conf conf = { .ca_file = NULL };
	if (profile_load(cli, NULL) == 0 || cli->fetch)
		return 0;
	return fetch_new(&conf, &cli->fetch, err);
}

static int verify_url(struct cli *cli, const char *url, const struct note_verifier *verifier,
                      const char *since, struct logchecked *ret_checked, struct err *err)
{
	struct remote remote = { cli, url };
	const struct log_files files = { read_remote, &remote };
	const struct logcheck check = { .verifier = *verifier, .files = &files, .older = &since,
		                        .older_count = since ? 1 : 0 };
	TRY(open_web(cli, err));
	return logcheck(&check, cli->arena, ret_checked, err);
}

static int print_checked(struct cli *cli, const struct note_verifier *verifier,
                         const struct logchecked *checked, struct err *err)
{
	char root[2 * MERKLE_BYTES + 1];
	struct value *map = value_map(cli->arena);
	hex_print(checked->root, MERKLE_BYTES, root);
	value_set_str(map, "origin", verifier->name);
	value_set_int(map, "size", (int64_t)checked->size);
	value_set_str(map, "root", root);
	value_set_int(map, "checkpoints", (int64_t)checked->older);
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, map, err);
	printf("verified: %" PRIu64 " events of %s, root %s\n", checked->size, verifier->name,
	       root);
	printf("  every entry was hashed again, every tile compared, the signature checked; it "
	       "goes on from %zu %s\n", checked->older,
	       checked->older == 1 ? "checkpoint that was kept" : "checkpoints that were kept");
	return 0;
}

static int verify(struct cli *cli, struct err *err)
{
	const char *where = cli_word(cli, 1), *since = NULL;
	struct note_verifier verifier;
	struct logchecked checked;
	bool given = false;
	if (!where)
		return err_set(err, E_INVALID, "verify: which log? freehold audit verify DIR|URL "
		               "--public-key FILE");
	bool web = strncmp(where, "http://", 7) == 0 || strncmp(where, "https://", 8) == 0;
	TRY(given_key(cli, &verifier, &given, err));
	if (!given)
		return err_set(err, E_INVALID, "verify: by which key? give --public-key FILE with "
		               "what `freehold audit key` printed when you could trust it");
	TRY(read_since(cli, &since, err));
	cli->exit_code = EXIT_FAILED;
	TRY((web ? verify_url : verify_folder)(cli, where, &verifier, since, &checked, err));
	cli->exit_code = EXIT_OK;
	return print_checked(cli, &verifier, &checked, err);
}

/* --- prove --- */

static int write_proof(const char *path, const struct buf *text, struct err *err)
{
	bool out = strcmp(path, "-") == 0;
	int fd = out ? dup(STDOUT_FILENO)
	             : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return err_errno(err, errno, "cannot write %s", path);
	size_t at = 0;
	ssize_t n = 0;
	while (at < text->len && (n = write(fd, text->data + at, text->len - at)) >= 0)
		at += (size_t)n;
	int why = errno;
	if (close(fd) < 0 && n >= 0) {
		n = -1;
		why = errno;
	}
	return n < 0 ? err_errno(err, why, "cannot write %s", path) : 0;
}

static int check_proof(struct cli *cli, const struct buf *text, struct err *err)
{
	struct logproof proof;
	struct note_checkpoint checkpoint;
	struct note_verifier verifier;
	struct value *log = NULL;
	const char *key = NULL;
	bool given = false;
	TRY(given_key(cli, &verifier, &given, err));
	if (!given) {
		TRY(ask_key(cli, &log, &key, err));
		TRY(note_verifier_read(key, &verifier, err));
	}
	TRY(logproof_read(cli->arena, (const char *)text->data, text->len, &proof, err));
	return logproof_verify(&verifier, &proof, &checkpoint, err);
}

static int prove(struct cli *cli, struct err *err)
{
	const char *event = cli_word(cli, 1), *file = cli_option(cli, "out");
	struct remote remote;
	AUTO_BUF text;
	buf_init(&text, LOGPROOF_BYTES_MAX);
	if (!event || strspn(event, "0123456789") != strlen(event))
		return err_set(err, E_INVALID, "prove: which event? freehold audit prove NUMBER, "
		               "as `freehold audit -o json` shows it in seq");
	TRY(profile_load(cli, err));
	TRY(remote_of_tenant(cli, &remote, err));
	const char *path = arena_printf(cli->arena, "proof?event=%s", event);
	TRY(read_remote(&remote, path ? path : "proof", LOGPROOF_BYTES_MAX, &text, err));
	TRY(check_proof(cli, &text, err));
	if (!file)
		file = arena_printf(cli->arena, "%s.tlog-proof", event);
	TRY(write_proof(file ? file : "-", &text, err));
	if (!file || strcmp(file, "-") == 0)
		return 0;
	printf("%s: proves event %s; check it with: freehold verify %s --public-key KEYFILE\n",
	       file, event, file);
	return 0;
}

/* --- export --tiles --- */

/* The folder's own key, else the one given, else the server's, which is then the folder's. */
static int key_of_folder(struct cli *cli, struct logdir *dir, struct note_verifier *ret_verifier,
                         struct err *err)
{
	struct note_verifier verifier, kept;
	struct value *log = NULL;
	const char *key = NULL;
	bool given = false;
	TRY(given_key(cli, &verifier, &given, err));
	int rc = logdir_key(dir, &kept, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	if (rc == 0 && given && !same_key(&verifier, &kept))
		return err_set(err, E_CONFLICT, "--public-key: the folder is a copy of the log of "
		               "another key; give an empty folder for this one");
	if (rc == 0) {
		*ret_verifier = kept;
		return 0;
	}
	if (!given) {
		TRY(ask_key(cli, &log, &key, err));
		TRY(note_verifier_read(key, &verifier, err));
	}
	*ret_verifier = verifier;
	return logdir_set_key(dir, &verifier, err);
}

static int export_tiles(struct cli *cli, struct err *err)
{
	AUTO(logdir) *dir = NULL;
	struct note_verifier verifier;
	struct logdir_updated updated;
	struct remote remote;
	TRY(profile_load(cli, err));
	TRY(remote_of_tenant(cli, &remote, err));
	TRY(logdir_open(cli_option(cli, "tiles"), true, &dir, err));
	TRY(key_of_folder(cli, dir, &verifier, err));
	const struct log_files from = { read_remote, &remote };
	TRY(logdir_update(dir, &verifier, &from, cli->arena, &updated, err));
	printf("%s: %" PRIu64 " events of %s, %" PRIu64 " of them new\n",
	       cli_option(cli, "tiles"), updated.size, verifier.name,
	       updated.size - updated.before);
	return 0;
}

int logverbs_run(struct cli *cli, struct err *err)
{
	if (is_word(cli, "key"))
		return show_key(cli, err);
	if (is_word(cli, "verify"))
		return verify(cli, err);
	return is_word(cli, "prove") ? prove(cli, err) : export_tiles(cli, err);
}
