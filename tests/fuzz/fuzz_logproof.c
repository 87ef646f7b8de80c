/* fuzz_logproof.c - what `freehold verify` and `freehold audit verify` are given of a log: a proof,
 * a tile's path, and a folder whose every file is these bytes, under a good signature. */
#include "common/defs.h"
#include "api/logcheck.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
	const uint8_t *data;
	size_t len;
	const struct buf *note;
};

static int read_file(void *context, const char *path, size_t most, struct buf *out,
                     struct err *err)
{
	const struct input *input = context;
	if (strcmp(path, "checkpoint") == 0)
		return buf_put(out, input->note->data, input->note->len);
	if (input->len == 0)
		return err_set(err, E_NOT_FOUND, "%s is not there", path);
	return buf_put(out, input->data, input->len < most ? input->len : most);
}

static void read_folder(struct arena *arena, struct input *input, uint64_t size)
{
	struct note_verifier verifier = {.name = "example.com/log"};
	struct merkle_range range = {.size = size};
	struct logchecked checked;
	struct err err = {0};
	uint8_t secret[SIGN_SECRET_BYTES];
	const struct log_files files = {read_file, input};
	AUTO_BUF text, note;
	buf_init(&text, KIB);
	buf_init(&note, 4 * KIB);
	sign_keypair(verifier.key, secret);
	note_checkpoint_print(verifier.name, &range, &text);
	REQUIRE(note_sign(verifier.name, verifier.key, secret, (const char *)text.data, text.len,
	                  &note, NULL) == 0);
	input->note = &note;
	const char *older = arena_strndup(arena, (const char *)input->data, input->len);
	const struct logcheck check = {.verifier = verifier, .files = &files, .older = &older,
	                               .older_count = input->len % 2};
	int rc = logcheck(&check, arena, &checked, &err);
	REQUIRE(size ? rc < 0 && err.text[0] : rc == 0 || err.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	struct note_verifier verifier = {.name = "example.com/log"};
	struct note_checkpoint checkpoint;
	struct logproof proof;
	struct tile tile;
	char path[TILE_PATH_MAX];
	struct err err = {0};
	REQUIRE(crypto_start(NULL) == 0 && arena_new(32 * MIB, &arena, NULL) == 0);
	const char *text = arena_strndup(arena, (const char *)data, len);
	struct input input = {data, len, NULL};
	REQUIRE(text);
	if (logproof_read(arena, text, len, &proof, &err) == 0)
		REQUIRE(logproof_verify(&verifier, &proof, &checkpoint, &err) < 0);
	REQUIRE(err.text[0]);
	if (tile_path_read(text, &tile, NULL) == 0) {
		tile_path(&tile, path);
		REQUIRE(strcmp(path, text) == 0);
	}
	read_folder(arena, &input, len ? data[0] % 40 : 0);
	return 0;
}
