/* test_logproof.c - the proof of an event: whatever is another than it was made is found. */
#include "common/defs.h"
#include "api/logproof.h"

#include "tests/support/paperlog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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
