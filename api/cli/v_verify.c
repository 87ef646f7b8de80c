/* v_verify.c - freehold verify: whether a certificate of erasure is what an installation signed,
 * or an event is in a log that it signed. Asks nobody: the file and the public key are all it
 * takes. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "api/certificate.h"
#include "api/cli/file.h"
#include "api/logproof.h"
#include "common/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KEYS_FILE_MAX = 64 * 1024 };

/* What the file is of: one of these gets it. */
struct opened {
	struct value *certificate;
	struct logproof proof;
	struct note_checkpoint checkpoint;
	struct note_verifier verifier;
};

static bool is_proof(const struct buf *file)
{
	size_t len = strlen(LOGPROOF_FIRST_LINE);
	return file->len > len && memcmp(file->data, LOGPROOF_FIRST_LINE, len) == 0;
}

static int open_one(struct cli *cli, const struct buf *file, struct opened *opened,
                    struct err *err)
{
	const char *text = (const char *)file->data;
	if (!is_proof(file))
		return certificate_open(cli->arena, &opened->verifier, text, file->len,
		                        &opened->certificate, err);
	TRY(logproof_read(cli->arena, text, file->len, &opened->proof, err));
	return logproof_verify(&opened->verifier, &opened->proof, &opened->checkpoint, err);
}

/* With the first of the keys, a line each, that it is signed by. */
static int open_with(struct cli *cli, char *keys, const struct buf *file,
                     struct opened *opened, struct err *err)
{
	int rc = err_set(err, E_INVALID, "--public-key: the file holds no key; `freehold signers` "
	                 "and `freehold audit key` print what it must hold");
	char *rest = keys;
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (!*line)
			continue;
		rc = note_verifier_read(line, &opened->verifier, err);
		if (rc == 0)
			rc = open_one(cli, file, opened, err);
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

static int print_proof(struct cli *cli, const struct opened *opened, struct err *err)
{
	struct value *event = NULL;
	if (cli->format != FORMAT_TABLE) {
		TRY(json_parse(cli->arena, opened->proof.line, opened->proof.line_len, &event,
		               err));
		return print_value(cli, event, err);
	}
	printf("verified: the event below is number %" PRIu64 " (entry %" PRIu64 ") of %s, of "
	       "which %" PRIu64 " were signed\n", opened->proof.index + 1, opened->proof.index,
	       opened->verifier.name, opened->checkpoint.size);
	fwrite(opened->proof.line, 1, opened->proof.line_len, stdout);
	return putchar('\n') < 0 ? err_set(err, E_IO, "standard output cannot be written") : 0;
}

static int verify(struct cli *cli, struct err *err)
{
	const char *keys_file = cli_option(cli, "public-key");
	struct opened opened = { .certificate = NULL };
	AUTO_BUF file, keys;
	buf_init(&file, NOTE_BYTES_MAX);
	buf_init(&keys, KEYS_FILE_MAX);
	if (!keys_file)
		return err_set(err, E_INVALID, "verify: whose signature? give --public-key FILE "
		               "with what `freehold signers` (for a certificate) or `freehold "
		               "audit key` (for an event) printed when you could trust it");
	TRY(file_read(keys_file, KEYS_FILE_MAX, &keys, err));
	TRY(file_read(cli_word(cli, 0), NOTE_BYTES_MAX, &file, err));
	cli->exit_code = EXIT_FAILED;
	TRY(open_with(cli, (char *)keys.data, &file, &opened, err));
	cli->exit_code = EXIT_OK;
	if (!opened.certificate)
		return print_proof(cli, &opened, err);
	if (cli->format != FORMAT_TABLE)
		return print_value(cli, opened.certificate, err);
	print_found(opened.certificate);
	return 0;
}

static const struct option_row options[] = {
	{"public-key", "FILE", "what `freehold signers` or `freehold audit key` printed"},
	{NULL, NULL, NULL}};

const struct verb verb_verify = {
	.name = "verify",
	.words = "FILE",
	.words_min = 1,
	.words_max = 1,
	.summary = "Check a certificate of erasure or an event's proof, without asking anybody",
	.options = options,
	.offline = true,
	.run = verify,
	.example = "freehold verify acme.erased --public-key freehold.pub",
};
