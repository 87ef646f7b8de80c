/* v_verify.c - freehold verify: whether a certificate of erasure is what an installation signed.
 * Asks nobody: the certificate and the public key are all it takes. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/certificate.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEYS_FILE_MAX = 64 * 1024 };

/* "-": standard input. */
static int read_file(const char *path, size_t most, struct buf *out, struct err *err)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, errno, "cannot open %s", path);
	uint8_t part[4096];
	ssize_t n;
	buf_init(out, most);
	while ((n = read(fd, part, sizeof part)) > 0 && out->len + (size_t)n <= most)
		buf_put(out, part, (size_t)n);
	int why = errno;
	close(fd);
	if (n < 0)
		return err_errno(err, why, "cannot read %s", path);
	if (n > 0)
		return err_set(err, E_TOO_LARGE, "%s has over %zu bytes", path, most);
	return buf_check(out, err);
}

/* With the first of the keys, a line each, that it is signed by. */
static int open_with(struct cli *cli, char *keys, const struct buf *note,
                     struct value **ret_certificate, struct err *err)
{
	int rc = err_set(err, E_INVALID, "--public-key: the file holds no key; `freehold signers` "
	                 "prints what it must hold");
	char *rest = keys;
	for (char *line; (line = strsep(&rest, "\n"));) {
		struct note_verifier verifier;
		if (!*line)
			continue;
		rc = note_verifier_read(line, &verifier, err);
		if (rc == 0)
			rc = certificate_open(cli->arena, &verifier, (const char *)note->data,
			                      note->len, ret_certificate, err);
		if (rc == 0)
			return 0;
	}
	return rc;
}

/* --- what it says --- */

static const struct value *step_of(const struct value *certificate, const char *step)
{
	const struct value *steps = value_get(certificate, "performed");
	for (size_t i = 0; i < value_len(steps); i++) {
		const struct value *one = value_member(steps, i, NULL);
		const char *name = value_get_str(one, "step");
		if (name && strcmp(name, step) == 0)
			return one;
	}
	return NULL;
}

static void print_workers(const struct value *workers)
{
	const char *name = NULL;
	for (size_t i = 0; i < value_len(workers); i++) {
		const struct value *worker = value_member(workers, i, &name);
		const char *at = value_get_str(worker, "confirmedAt");
		printf("  worker %s: %s%s\n", name,
		       at ? "online data deleted, confirmed at "
		          : "not heard of; what it may hold does not open, its key is destroyed",
		       at ? at : "");
	}
}

static void print_found(const struct value *certificate)
{
	const struct value *tenant = value_get(certificate, "tenant");
	const struct value *objects = step_of(certificate, "objects");
	const struct value *online = step_of(certificate, "online");
	printf("verified: the tenant %s (uid %s) was erased, complete at %s\n",
	       value_get_str(tenant, "name"), value_get_str(tenant, "uid"),
	       value_get_str(certificate, "completedAt"));
	printf("  asked for by %s at %s: %s\n", value_get_str(certificate, "requestedBy"),
	       value_get_str(certificate, "requestedAt"), value_get_str(certificate, "reason"));
	printf("  %" PRId64 " keys destroyed, %" PRId64 " objects (%" PRId64 " bytes) and %" PRId64
	       " online rows deleted\n", value_get_int(value_get(certificate, "keys"), "count", 0),
	       value_get_int(objects, "objects", 0), value_get_int(objects, "bytes", 0),
	       value_get_int(online, "rows", 0));
	print_workers(value_get(certificate, "workers"));
	printf("  its audit log had %" PRId64 " events; their checkpoint is signed as well\n",
	       value_get_int(step_of(certificate, "forget"), "auditEvents", 0));
}

static int verify(struct cli *cli, struct err *err)
{
	const char *keys_file = cli_option(cli, "public-key");
	struct value *certificate = NULL;
	AUTO_BUF note, keys;
	buf_init(&note, NOTE_BYTES_MAX);
	buf_init(&keys, KEYS_FILE_MAX);
	if (!keys_file)
		return err_set(err, E_INVALID, "verify: whose signature? give --public-key FILE "
		               "with what `freehold signers` printed when you could trust it");
	TRY(read_file(keys_file, KEYS_FILE_MAX, &keys, err));
	TRY(read_file(cli_word(cli, 0), NOTE_BYTES_MAX, &note, err));
	cli->exit_code = EXIT_FAILED;
	TRY(open_with(cli, (char *)keys.data, &note, &certificate, err));
	cli->exit_code = EXIT_OK;
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, certificate, err);
	print_found(certificate);
	return 0;
}

static const struct option_row options[] = {
	{"public-key", "FILE", "what `freehold signers` printed"},
	{NULL, NULL, NULL}};

const struct verb verb_verify = {
	.name = "verify",
	.words = "FILE",
	.words_min = 1,
	.words_max = 1,
	.summary = "Check a certificate of erasure, without asking anybody",
	.options = options,
	.offline = true,
	.run = verify,
	.example = "freehold verify acme.erased --public-key freehold.pub",
};
