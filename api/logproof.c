/* logproof.c - see logproof.h. There is one text of a proof: what was read is printed again and
 * compared, so that no byte of a file can be another. */
#include "common/defs.h"
#include "api/logproof.h"

#include "common/text.h"
#include "common/tile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int logproof_print(const struct logproof *proof, struct buf *out, struct err *err)
{
	buf_puts(out, LOGPROOF_FIRST_LINE "\nextra ");
	base64_print(proof->line, proof->line_len, out);
	buf_printf(out, "\nindex %" PRIu64 "\n", proof->index);
	for (size_t i = 0; i < proof->hashes.count; i++) {
		base64_print(proof->hashes.hashes[i], MERKLE_BYTES, out);
		buf_putc(out, '\n');
	}
	buf_putc(out, '\n');
	buf_put(out, proof->note, proof->note_len);
	return buf_check(out, err);
}

static int no_proof(const char *why, struct err *err)
{
	return err_set(err, E_CORRUPT, "it is no proof of an event: %s", why);
}

/* The next line without its newline; false: there is none. */
static bool next_line(const char **at, const char *end, const char **ret_line, size_t *ret_len)
{
	const char *stop = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
	if (!stop)
		return false;
	*ret_line = *at;
	*ret_len = (size_t)(stop - *at);
	*at = stop + 1;
	return true;
}

/* What follows a word and a space, up to the line's end. */
static const char *after(const char *word, const char **at, const char *end, size_t *ret_len)
{
	const char *line = NULL;
	size_t len = 0, skip = strlen(word);
	if (!next_line(at, end, &line, &len) || len < skip || memcmp(line, word, skip) != 0)
		return NULL;
	*ret_len = len - skip;
	return line + skip;
}

static int read_line(struct arena *arena, const char *text, size_t len, struct logproof *proof,
                     struct err *err)
{
	AUTO_BUF line;
	buf_init(&line, TILE_ENTRY_MAX);
	if (!text || base64_parse(text, len, &line, NULL) < 0 || buf_check(&line, NULL) < 0)
		return no_proof("its second line is not the event", err);
	proof->line = arena_strndup(arena, (const char *)line.data, line.len);
	proof->line_len = line.len;
	return proof->line ? 0 : err_set(err, E_NOMEM, "no memory for a proof");
}

static int read_index(const char *text, size_t len, struct logproof *proof, struct err *err)
{
	if (!text || len == 0 || len > 18 || strspn(text, "0123456789") != len)
		return no_proof("its third line is not the event's index", err);
	proof->index = strtoull(text, NULL, 10);
	return 0;
}

static int read_hashes(const char **at, const char *end, struct logproof *proof, struct err *err)
{
	const char *line = NULL;
	size_t len = 0;
	while (next_line(at, end, &line, &len) && len > 0) {
		AUTO_BUF hash;
		buf_init(&hash, MERKLE_BYTES);
		if (proof->hashes.count == MERKLE_PROOF_MAX ||
		    base64_parse(line, len, &hash, NULL) < 0 || hash.len != MERKLE_BYTES)
			return no_proof("a line of it is not a hash", err);
		memcpy(proof->hashes.hashes[proof->hashes.count++], hash.data, MERKLE_BYTES);
		line = NULL;
	}
	return line && len == 0 ? 0 : no_proof("it ends before its checkpoint", err);
}

static int check_same(const struct logproof *proof, const char *text, size_t len, struct err *err)
{
	AUTO_BUF made;
	buf_init(&made, LOGPROOF_BYTES_MAX);
	TRY(logproof_print(proof, &made, err));
	if (made.len == len && memcmp(made.data, text, len) == 0)
		return 0;
	return no_proof("it is not in the one form there is", err);
}

int logproof_read(struct arena *arena, const char *text, size_t len, struct logproof *ret_proof,
                  struct err *err)
{
	struct logproof proof = { .index = 0 };
	const char *at = text, *end = text + len, *line = NULL;
	size_t part = 0;
	if (len > LOGPROOF_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "a proof has at most %d bytes",
		               LOGPROOF_BYTES_MAX);
	line = after(LOGPROOF_FIRST_LINE, &at, end, &part);
	if (!line || part != 0)
		return no_proof("it does not begin with " LOGPROOF_FIRST_LINE, err);
	line = after("extra ", &at, end, &part);
	TRY(read_line(arena, line, part, &proof, err));
	line = after("index ", &at, end, &part);
	TRY(read_index(line, part, &proof, err));
	TRY(read_hashes(&at, end, &proof, err));
	proof.note = arena_strndup(arena, at, (size_t)(end - at));
	proof.note_len = (size_t)(end - at);
	if (!proof.note)
		return err_set(err, E_NOMEM, "no memory for a proof");
	TRY(check_same(&proof, text, len, err));
	*ret_proof = proof;
	return 0;
}

int logproof_checkpoint(const struct note_verifier *verifier, const char *note, size_t len,
                        struct note_checkpoint *ret_checkpoint, struct err *err)
{
	struct note_checkpoint checkpoint;
	size_t text = 0;
	TRY(note_open(verifier, note, len, &text, err));
	TRY(note_checkpoint_read(note, text, &checkpoint, err));
	if (checkpoint.origin_len != strlen(verifier->name) ||
	    memcmp(checkpoint.origin, verifier->name, checkpoint.origin_len) != 0)
		return err_set(err, E_CORRUPT, "the checkpoint is of another log than %s",
		               verifier->name);
	*ret_checkpoint = checkpoint;
	return 0;
}

int logproof_verify(const struct note_verifier *verifier, const struct logproof *proof,
                    struct note_checkpoint *ret_checkpoint, struct err *err)
{
	struct note_checkpoint checkpoint;
	uint8_t leaf[MERKLE_BYTES];
	TRY(logproof_checkpoint(verifier, proof->note, proof->note_len, &checkpoint, err));
	merkle_leaf(proof->line, proof->line_len, leaf);
	if (!merkle_is_included(&proof->hashes, proof->index, checkpoint.size, leaf,
	                        checkpoint.root))
		return err_set(err, E_CORRUPT, "the event is not entry %" PRIu64 " of the log that "
		               "was signed: the event, its index or a hash was changed",
		               proof->index);
	*ret_checkpoint = checkpoint;
	return 0;
}
