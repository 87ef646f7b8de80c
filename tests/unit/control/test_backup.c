/* The archive of a backup: what is written is read again; what is damaged, cut off, reordered or
 * another root key's is refused, and nothing of it is handed out. */
#include "common/defs.h"
#include "control/backup.h"

#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 40, AT_MS = 1000 };

static const uint8_t state_key[KEY_BYTES] = "a state key of thirty-two bytes";

static int collect(void *context, const void *data, size_t len, struct err *err)
{
	(void)err;
	return buf_put(context, data, len);
}

static void add(struct backup_writer *writer, int i)
{
	char key[32];
	uint8_t value[3000];
	struct err err = { 0 };
	memset(value, i, sizeof value);
	snprintf(key, sizeof key, "r/tenant/t%03d", i);
	const struct store_item item = { .key = key, .value = value,
		                         .value_len = (size_t)i * 70 };
	cr_assert_eq(backup_add(writer, &item, &err), 0, "%s", err.text);
}

/* again: a first reading that was broken off comes before. */
static void archive(struct buf *out, bool again)
{
	struct err err = { 0 };
	AUTO(backup_writer) *writer = NULL;
	cr_assert_eq(crypto_start(&err), 0);
	buf_init(out, 16 * MIB);
	cr_assert_eq(backup_writer_new(state_key, 2, AT_MS, collect, out, &writer, &err), 0, "%s",
	             err.text);
	if (again) {
		for (int i = 50; i < 60; i++)
			add(writer, i % 42);
		cr_assert_eq(backup_again(writer, &err), 0);
	}
	for (int i = 0; i < KEYS; i++)
		add(writer, i);
	cr_assert_eq(backup_end(writer, 77, &err), 0, "%s", err.text);
}

static int file_of(const void *data, size_t len)
{
	char path[] = "/tmp/freehold-archive-XXXXXX";
	int fd = mkstemp(path);
	cr_assert(fd >= 0);
	unlink(path);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	return fd;
}

static int try(const void *data, size_t len, const uint8_t *key, struct err *err)
{
	AUTO(backup) *backup = NULL;
	int fd = file_of(data, len), rc = backup_open(fd, key, &backup, err);
	close(fd);
	cr_expect_eq(rc == 0, backup != NULL);
	return rc;
}

static int see(void *context, const struct store_item *item, struct err *err)
{
	char key[32];
	int *seen = context;
	(void)err;
	snprintf(key, sizeof key, "r/tenant/t%03d", *seen);
	cr_expect_str_eq(item->key, key);
	cr_expect_eq(item->value_len, (size_t)*seen * 70);
	cr_expect(item->value_len == 0 || item->value[0] == *seen);
	++*seen;
	return 0;
}

static void read_back(bool again)
{
	struct buf bytes;
	struct err err = { 0 };
	AUTO(backup) *backup = NULL;
	int seen = 0;
	archive(&bytes, again);
	int fd = file_of(bytes.data, bytes.len);
	cr_assert_eq(backup_open(fd, state_key, &backup, &err), 0, "%s", err.text);
	const struct backup_info *info = backup_info(backup);
	cr_expect_eq(info->keys, KEYS);
	cr_expect_eq(info->revision, 77);
	cr_expect_eq(info->shards, 2);
	cr_expect_eq(info->at_ms, AT_MS);
	cr_expect_str_eq(info->product, FREEHOLD_VERSION);
	for (int i = 0; i < 2; i++) {
		seen = 0;
		cr_assert_eq(backup_each(backup, see, &seen, &err), 0, "%s", err.text);
		cr_expect_eq(seen, KEYS, "%d", seen);
	}
	close(fd);
	buf_release(&bytes);
}

Test(backup, what_was_written_is_read_again_in_order)
{
	read_back(false);
}

Test(backup, what_came_before_a_new_beginning_is_not_in_it)
{
	struct buf bytes;
	struct err err = { 0 };
	archive(&bytes, false);
	buf_release(&bytes);
	/* Keys of a void reading may be in any order to those after it. */
	read_back(false);
	AUTO(backup_writer) *writer = NULL;
	buf_init(&bytes, MIB);
	cr_assert_eq(backup_writer_new(state_key, 1, AT_MS, collect, &bytes, &writer, &err), 0);
	add(writer, 30);
	cr_assert_eq(backup_again(writer, &err), 0);
	add(writer, 0);
	cr_assert_eq(backup_end(writer, 1, &err), 0);
	AUTO(backup) *backup = NULL;
	int fd = file_of(bytes.data, bytes.len), seen = 0;
	cr_assert_eq(backup_open(fd, state_key, &backup, &err), 0, "%s", err.text);
	cr_assert_eq(backup_each(backup, see, &seen, &err), 0);
	cr_expect_eq(seen, 1);
	close(fd);
	buf_release(&bytes);
}

Test(backup, another_root_key_opens_nothing_and_is_named_as_the_reason)
{
	struct buf bytes;
	struct err err = { 0 };
	uint8_t other[KEY_BYTES] = "another key";
	archive(&bytes, false);
	cr_expect_eq(try(bytes.data, bytes.len, other, &err), E_DENIED);
	cr_expect(strstr(err.text, "root key"), "%s", err.text);
	/* The fingerprint forged: the seal does not open either. */
	char own[BACKUP_ID_LEN + 1], theirs[BACKUP_ID_LEN + 1];
	backup_installation(state_key, own);
	backup_installation(other, theirs);
	uint8_t *at = memmem(bytes.data, bytes.len, own, BACKUP_ID_LEN);
	cr_assert_not_null(at);
	memcpy(at, theirs, BACKUP_ID_LEN);
	cr_expect_eq(try(bytes.data, bytes.len, other, &err), E_CORRUPT, "%s", err.text);
	buf_release(&bytes);
}

Test(backup, nothing_but_the_preamble_is_readable)
{
	struct buf bytes;
	archive(&bytes, false);
	cr_expect_null(memmem(bytes.data, bytes.len, "r/tenant", 8));
	cr_expect_not_null(memmem(bytes.data, bytes.len, FREEHOLD_VERSION,
	                          strlen(FREEHOLD_VERSION)));
	buf_release(&bytes);
}

Test(backup, a_changed_byte_anywhere_is_found)
{
	struct buf bytes;
	struct err err = { 0 };
	archive(&bytes, false);
	size_t step = 1;
	for (size_t at = 0; at < bytes.len; at += step) {
		bool edge = at < 400 || at > bytes.len - 200;
		step = edge ? 1 : 211;
		bytes.data[at] ^= 0x20;
		cr_expect_lt(try(bytes.data, bytes.len, state_key, &err), 0, "byte %zu of %zu", at,
		             bytes.len);
		bytes.data[at] ^= 0x20;
	}
	cr_expect_eq(try(bytes.data, bytes.len, state_key, &err), 0, "%s", err.text);
	buf_release(&bytes);
}

Test(backup, a_file_that_is_cut_off_or_longer_is_found)
{
	struct buf bytes;
	struct err err = { 0 };
	archive(&bytes, false);
	for (size_t len = 0; len < bytes.len; len += len < 300 ? 1 : 977)
		cr_expect_lt(try(bytes.data, len, state_key, &err), 0, "%zu", len);
	buf_puts(&bytes, "x");
	cr_expect_eq(try(bytes.data, bytes.len, state_key, &err), E_CORRUPT);
	buf_release(&bytes);
}

Test(backup, two_archives_of_one_installation_cannot_be_mixed)
{
	struct buf one, two;
	struct err err = { 0 };
	archive(&one, false);
	archive(&two, false);
	cr_assert_eq(one.len, two.len);
	for (size_t at = 0; at < one.len; at += 4096) {
		AUTO_BUF mixed;
		buf_init(&mixed, 16 * MIB);
		buf_put(&mixed, one.data, at);
		buf_put(&mixed, two.data + at, two.len - at);
		if (at > 200)                /* the preambles are equal */
			cr_expect_eq(try(mixed.data, mixed.len, state_key, &err), E_CORRUPT);
	}
	buf_release(&one);
	buf_release(&two);
}

Test(backup, a_newer_format_is_told_from_damage)
{
	struct buf bytes;
	struct err err = { 0 };
	archive(&bytes, false);
	bytes.data[3] = '2';
	cr_expect_eq(try(bytes.data, bytes.len, state_key, &err), E_INVALID);
	cr_expect_eq(try("PK", 2, state_key, &err), E_CORRUPT);
	buf_release(&bytes);
}

Test(backup, records_out_of_order_twice_or_without_an_end_are_refused)
{
	static const struct { const char *bytes; size_t len; } bad[] = {
		{ "\1\1\0\0\0\0\0b\1\1\0\0\0\0\0a", 16 },
		{ "\1\1\0\0\0\0\0a\1\1\0\0\0\0\0a", 16 },
		{ "\1\1\0\0\0\0\0\n", 8 },
		{ "\1\0\0\0\0\0\0", 7 },
		{ "\1\377\377\0\0\0\0", 7 },
		{ "\1\1\0\377\377\377\377", 7 },
		{ "\4", 1 },
		{ "\1\1\0\0\0\0\0a", 8 },
		{ "\1\1\0\0\0", 5 },
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = { 0 };
		struct backup_info info;
		struct backup_records records;
		backup_records_init(&records, &info);
		int rc = backup_records_take(&records, bad[i].bytes, bad[i].len, &err);
		if (rc == 0)
			rc = backup_records_check(&records, &err);
		cr_expect_eq(rc, E_CORRUPT, "case %zu", i);
		backup_records_release(&records);
	}
}

Test(backup, leases_and_what_a_restore_leaves_are_not_kept)
{
	cr_expect_not(backup_keeps("leader/0"));
	cr_expect_not(backup_keeps("era"));
	cr_expect_not(backup_keeps("era-unfinished"));
	cr_expect(backup_keeps("r/tenant/era"));
	cr_expect(backup_keeps("journal/0/1"));
	cr_expect(backup_keeps("checkpoint/0/head"));
}

Test(backup, missing_memory_is_said_and_leaks_nothing)
{
	struct buf bytes;
	archive(&bytes, false);
	int fd = file_of(bytes.data, bytes.len), rc = E_NOMEM;
	for (long n = 0; rc < 0 && n < 200; n++) {
		struct err err = { 0 };
		struct backup *backup = NULL;
		alloc_fail_after(n);
		rc = backup_open(fd, state_key, &backup, &err);
		alloc_fail_after(-1);
		cr_expect(rc == 0 || rc == E_NOMEM || rc == E_CORRUPT, "%d %s", rc, err.text);
		backup_free(backup);
	}
	cr_expect_eq(rc, 0);
	close(fd);
	buf_release(&bytes);
}
