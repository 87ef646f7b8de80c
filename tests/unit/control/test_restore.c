/* A backup's archive into a store: all of it or marked as unfinished, never over something else. */
#include "common/defs.h"
#include "control/restore.h"

#include "common/clock.h"
#include "common/store_mem.h"
#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 250 };
#define NOW_MS INT64_C(1800000000000)

static const uint8_t state_key[KEY_BYTES] = "a state key of thirty-two bytes";

static struct store *memory(void)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0, "%s", err.text);
	return store;
}

static int to_file(void *context, const void *data, size_t len, struct err *err)
{
	(void)err;
	return write(*(int *)context, data, len) == (ssize_t)len ? 0 : E_IO;
}

static int open_file(void)
{
	char path[] = "/tmp/freehold-archive-XXXXXX";
	int fd = mkstemp(path);
	cr_assert(fd >= 0);
	unlink(path);
	return fd;
}

/* `named` tells archives apart. */
static struct backup *archive(int *ret_fd, const char *named, int64_t at_ms)
{
	struct err err = { 0 };
	struct backup *backup = NULL;
	AUTO(backup_writer) *writer = NULL;
	char key[64];
	cr_assert_eq(crypto_start(&err), 0);
	*ret_fd = open_file();
	cr_assert_eq(backup_writer_new(state_key, 1, at_ms, to_file, ret_fd, &writer, &err), 0);
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "r/%s/%04d", named, i);
		const struct store_item item = { .key = key, .value = (const uint8_t *)key,
			                         .value_len = strlen(key) };
		cr_assert_eq(backup_add(writer, &item, &err), 0);
	}
	cr_assert_eq(backup_end(writer, 1000, &err), 0);
	cr_assert_eq(backup_open(*ret_fd, state_key, &backup, &err), 0, "%s", err.text);
	return backup;
}

static int count(void *context, const struct store_item *item, struct err *err)
{
	(void)err;
	if (item->key[0] == 'r')
		cr_expect(item->value_len == strlen(item->key));
	++*(int *)context;
	return 0;
}

static int keys_in(struct store *store)
{
	struct err err = { 0 };
	int keys = 0;
	cr_assert_eq(store_list(store, "", count, &keys, NULL, &err), 0);
	return keys;
}

Test(restore, all_keys_come_back_and_a_new_era_begins)
{
	int fd = -1;
	struct err err = { 0 };
	struct era era = { 0 }, loaded = { 0 };
	struct store *store = memory();
	struct backup *backup = archive(&fd, "x", NOW_MS - 1000);
	cr_assert_eq(restore(store, state_key, backup, NOW_MS, &era, &err), 0, "%s", err.text);
	cr_expect_eq(keys_in(store), KEYS + 1);
	cr_assert_eq(era_load(store, state_key, &loaded, &err), 0, "%s", err.text);
	cr_expect_eq(loaded.base, era.base);
	cr_expect_gt(loaded.base, 1000, "beyond all revisions of before");
	backup_free(backup);
	store_free(store);
	close(fd);
}

Test(restore, a_store_that_holds_anything_is_refused_and_stays_as_it_is)
{
	int fd = -1;
	struct err err = { 0 };
	struct era era = { 0 };
	struct store *store = memory();
	struct backup *backup = archive(&fd, "x", NOW_MS - 1000);
	put_key(store, "r/tenant/other", "1");
	cr_expect_eq(restore(store, state_key, backup, NOW_MS, &era, &err), E_CONFLICT);
	cr_expect(strstr(err.text, "not empty"), "%s", err.text);
	cr_expect_eq(get_key(store, ERA_UNFINISHED_KEY).mod_revision, 0);
	cr_expect_eq(delete_key(store, "r/tenant/other"), 0);
	cr_assert_eq(restore(store, state_key, backup, NOW_MS, &era, &err), 0);
	cr_expect_eq(restore(store, state_key, backup, NOW_MS, &era, &err), E_CONFLICT,
	             "a restored store is not empty either");
	backup_free(backup);
	store_free(store);
	close(fd);
}

/* As a crash in the middle leaves it: the mark and some of the keys. */
static void break_off(struct store *store, struct backup *backup)
{
	struct err err = { 0 };
	struct era era;
	uint8_t mark[STORE_KEY_MAX];
	const char *key = ERA_UNFINISHED_KEY;
	AUTO(store_txn) *txn = NULL;
	lockbox_seal(state_key, key, strlen(key), backup_info(backup)->digest, DIGEST_BYTES, mark);
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	cr_assert_eq(store_txn_put(txn, key, mark, DIGEST_BYTES + LOCKBOX_OVERHEAD, &err), 0);
	cr_assert_eq(store_txn_put(txn, "r/x/0003", "r/x/0003", 8, &err), 0);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0);
	cr_expect_eq(era_load(store, state_key, &era, &err), E_CONFLICT);
	cr_expect(strstr(err.text, "again"), "%s", err.text);
}

Test(restore, one_that_was_broken_off_keeps_control_from_starting_and_goes_on)
{
	int fd = -1, other_fd = -1;
	struct err err = { 0 };
	struct era era = { 0 }, loaded = { 0 };
	struct store *store = memory();
	struct backup *backup = archive(&fd, "x", NOW_MS - 1000);
	struct backup *other = archive(&other_fd, "y", NOW_MS - 900);
	break_off(store, backup);
	cr_expect_eq(restore(store, state_key, other, NOW_MS, &era, &err), E_CONFLICT);
	cr_expect(strstr(err.text, "another archive"), "%s", err.text);
	cr_expect_eq(keys_in(store), 2);
	cr_assert_eq(restore(store, state_key, backup, NOW_MS, &era, &err), 0, "%s", err.text);
	cr_expect_eq(keys_in(store), KEYS + 1);
	cr_expect_eq(era_load(store, state_key, &loaded, &err), 0, "%s", err.text);
	backup_free(backup);
	backup_free(other);
	store_free(store);
	close(fd);
	close(other_fd);
}

Test(restore, a_clock_that_is_behind_the_archive_is_refused)
{
	int fd = -1;
	struct err err = { 0 };
	struct era era = { 0 };
	struct store *store = memory();
	struct backup *backup = archive(&fd, "x", NOW_MS + 1);
	cr_expect_eq(restore(store, state_key, backup, NOW_MS, &era, &err), E_PRECONDITION);
	cr_expect(strstr(err.text, "clock"), "%s", err.text);
	cr_expect_eq(keys_in(store), 0);
	backup_free(backup);
	store_free(store);
	close(fd);
}
