/* test_logproof.c - the proof of an event: whatever is another than it was made is found. */
#include "common/defs.h"
#include "api/logproof.h"

#include "tests/support/paperlog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORIGIN "example.com/audit/one"

static int check(const struct paperlog *log, const void *text, size_t len,
                 struct logproof *ret_proof)
{
	AUTO(arena) *arena = NULL;
	struct logproof proof;
	struct note_checkpoint checkpoint;
	struct err err = {0};
	cr_assert_eq(arena_new(8 * MIB, &arena, NULL), 0);
	int rc = logproof_read(arena, text, len, &proof, &err);
	if (rc == 0)
		rc = logproof_verify(&log->verifier, &proof, &checkpoint, &err);
	cr_assert(rc == 0 || err.text[0]);
	if (rc == 0 && ret_proof)
		ret_proof->index = proof.index;
	return rc;
}

static void print(const struct paperlog *log, uint64_t index, uint64_t size, struct buf *out)
{
	struct logproof proof;
	buf_init(out, MIB);
	paperlog_prove(log, index, size, &proof);
	cr_assert_eq(logproof_print(&proof, out, NULL), 0);
}

Test(logproof, proves_every_entry_in_every_size)
{
	struct paperlog log;
	struct logproof read = {0};
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 40, "a");
	for (uint64_t size = 1; size <= 40; size += 3)
		for (uint64_t index = 0; index < size; index++) {
			AUTO_BUF text;
			print(&log, index, size, &text);
			cr_assert_eq(check(&log, text.data, text.len, &read), 0);
			cr_assert_eq(read.index, index);
		}
	paperlog_close(&log);
}

Test(logproof, no_bit_of_it_can_be_another_and_no_end_be_missing_or_added)
{
	struct paperlog log;
	AUTO_BUF text;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 13, "a");
	print(&log, 9, 13, &text);
	for (size_t i = 0; i < text.len; i++) {
		cr_assert_lt(check(&log, text.data, i, NULL), 0, "its first %zu bytes", i);
		for (int bit = 0; bit < 8; bit++) {
			text.data[i] ^= (uint8_t)(1 << bit);
			cr_assert_lt(check(&log, text.data, text.len, NULL), 0, "bit %d of byte "
			             "%zu", bit, i);
			text.data[i] ^= (uint8_t)(1 << bit);
		}
	}
	buf_putc(&text, '\n');
	cr_assert_lt(check(&log, text.data, text.len, NULL), 0);
	paperlog_close(&log);
}

Test(logproof, of_another_log_key_or_entry_proves_nothing)
{
	struct paperlog log, other, forger;
	struct logproof proof, mixed;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_open(&other, "example.com/audit/two", 1);       /* another tenant's, same key */
	paperlog_open(&forger, ORIGIN, 2);
	paperlog_grow(&log, 13, "a");
	paperlog_grow(&other, 13, "a");
	paperlog_grow(&forger, 13, "a");
	AUTO_BUF two, forged;
	print(&other, 9, 13, &two);
	print(&forger, 9, 13, &forged);
	cr_expect_eq(check(&log, two.data, two.len, NULL), E_CORRUPT);
	cr_expect_eq(check(&log, forged.data, forged.len, NULL), E_CORRUPT);
	paperlog_prove(&log, 9, 13, &proof);
	for (int way = 0; way < 3; way++) {
		struct note_checkpoint checkpoint;
		mixed = proof;
		mixed.index = way == 0 ? 8 : 9;
		mixed.line = way == 1 ? log.lines[8] : mixed.line;
		if (way == 2)
			mixed.note = paperlog_checkpoint(&log, 12);
		mixed.line_len = strlen(mixed.line);
		mixed.note_len = strlen(mixed.note);
		cr_expect_eq(logproof_verify(&log.verifier, &mixed, &checkpoint, NULL), E_CORRUPT);
	}
	paperlog_close(&log);
	paperlog_close(&other);
	paperlog_close(&forger);
}

/* The text of C2SP's own example, but for its checkpoint. */
Test(logproof, is_the_form_of_the_specification)
{
	struct paperlog log;
	struct logproof proof;
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 2, "a");
	AUTO_BUF text;
	print(&log, 1, 2, &text);
	const char *expected = arena_printf(log.arena, "c2sp.org/tlog-proof@v1\n"
	                                    "extra eyJuIjoxLCJhIjoxfQ==\nindex 1\n");
	cr_assert_eq(strncmp((char *)text.data, expected, strlen(expected)), 0, "%s", text.data);
	cr_assert_eq(logproof_read(log.arena, (char *)text.data, text.len, &proof, NULL), 0);
	cr_assert_eq(proof.hashes.count, 1);
	cr_assert_eq(strncmp(proof.note, ORIGIN "\n2\n", strlen(ORIGIN) + 3), 0);
	paperlog_close(&log);
}

/* --- a program that shares nothing with this one --- */

static void write_text(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_eq(fwrite(data, 1, len, file), len);
	fclose(file);
}

static int check_apart(const char *folder, const struct buf *text, const char *key)
{
	char proof[128], keys[128], command[512];
	snprintf(proof, sizeof proof, "%s/proof", folder);
	snprintf(keys, sizeof keys, "%s/key", folder);
	write_text(proof, text->data, text->len);
	write_text(keys, key, strlen(key));
	snprintf(command, sizeof command, "command -v python3 >/dev/null || exit 77; exec python3 "
	         "tests/conformance/check_proof.py %s %s >/dev/null 2>&1", proof, keys);
	int status = system(command);
	unlink(proof);
	unlink(keys);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(logproof, an_independent_program_finds_the_same)
{
	char folder[] = "/tmp/logproof-XXXXXX";
	struct paperlog log;
	static const uint64_t sizes[] = {300, 7};
	paperlog_open(&log, ORIGIN, 1);
	paperlog_grow(&log, 300, "a");
	cr_assert_not_null(mkdtemp(folder));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_BUF text;
		print(&log, sizes[i] * 2 / 3, sizes[i], &text);
		int code = check_apart(folder, &text, log.verifier_text);
		if (code == 77) {
			rmdir(folder);
			cr_skip_test("there is no python3");
		}
		cr_expect_eq(code, 0, "%d entries", (int)sizes[i]);
		text.data[35] ^= 1;          /* in the event */
		if (i == 0)
			cr_expect_eq(check_apart(folder, &text, log.verifier_text), 1);
	}
	rmdir(folder);
	paperlog_close(&log);
}
