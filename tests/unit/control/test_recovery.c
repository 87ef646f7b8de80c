/* restore and verify-backup, as an operator sees them: what is refused, and that nothing was
 * written then. */
#include "common/defs.h"
#include "control/recovery.h"

#include "common/store_mem.h"
#include "control/backup.h"
#include "control/restore.h"
#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
	char root_key[64], other_key[64], archive[64];
	struct keyring *keyring, *other;
	struct store *store;
	struct conf conf;
};

static void key_file(char path[64], const char *bytes, struct keyring **ret_keyring)
{
	struct err err = { 0 };
	strcpy(path, "/tmp/freehold-root-XXXXXX");
	int fd = mkstemp(path);
	cr_assert_eq(write(fd, bytes, 32), 32);
	close(fd);
	cr_assert_eq(keyring_new(path, false, ret_keyring, &err), 0, "%s", err.text);
}

static int to_file(void *context, const void *data, size_t len, struct err *err)
{
	(void)err;
	return write(*(int *)context, data, len) == (ssize_t)len ? 0 : E_IO;
}

static void place_begin(struct place *place)
{
	struct err err = { 0 };
	*place = (struct place){ .conf = { .shards = 2 } };
	cr_assert_eq(crypto_start(&err), 0);
	key_file(place->root_key, "0123456789abcdef0123456789abcdef", &place->keyring);
	key_file(place->other_key, "0123456789abcdef0123456789abcdeX", &place->other);
	cr_assert_eq(store_mem_new(clock_system(), &place->store, &err), 0);
	strcpy(place->archive, "/tmp/freehold-archive-XXXXXX");
	int fd = mkstemp(place->archive);
	AUTO(backup_writer) *writer = NULL;
	cr_assert_eq(backup_writer_new(keyring_state_key(place->keyring), 2, 1000, to_file, &fd,
	                               &writer, &err), 0);
	const struct store_item item = { .key = "r/x/1", .value = (const uint8_t *)"v",
		                         .value_len = 1 };
	cr_assert_eq(backup_add(writer, &item, &err), 0);
	cr_assert_eq(backup_end(writer, 9, &err), 0);
	close(fd);
	place->conf.archive_file = place->archive;
}

static void place_end(struct place *place)
{
	keyring_free(place->keyring);
	keyring_free(place->other);
	store_free(place->store);
	unlink(place->root_key);
	unlink(place->other_key);
	unlink(place->archive);
}

static int count(void *context, const struct store_item *item, struct err *err)
{
	(void)item;
	(void)err;
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

static void refused(struct place *place, const struct keyring *keyring, const char *why)
{
	struct err err = { 0 };
	cr_expect_lt(recovery(&place->conf, keyring, place->store, clock_system(), &err), 0);
	cr_expect_not_null(strstr(err.text, why), "%s, not %s", err.text, why);
	cr_expect_eq(keys_in(place->store), 0, "nothing was written");
}

Test(recovery, restores_into_an_empty_store_and_only_verifies_without_one)
{
	struct place place;
	struct err err = { 0 };
	place_begin(&place);
	cr_assert_eq(recovery(&place.conf, place.keyring, NULL, clock_system(), &err), 0, "%s",
	             err.text);
	cr_expect_eq(keys_in(place.store), 0);
	cr_assert_eq(recovery(&place.conf, place.keyring, place.store, clock_system(), &err), 0,
	             "%s", err.text);
	cr_expect_eq(keys_in(place.store), 2);
	place_end(&place);
}

Test(recovery, refuses_another_root_key_other_shards_a_missing_file_and_missing_objects)
{
	struct place place;
	place_begin(&place);
	refused(&place, place.other, "another root key");
	place.conf.shards = 1;
	refused(&place, place.keyring, "--shards 2");
	place.conf.shards = 2;
	place.conf.archive_objects = "/nowhere/at/all";
	refused(&place, place.keyring, "/nowhere/at/all");
	place.conf.archive_objects = NULL;
	place.conf.archive_file = "/nowhere/archive";
	refused(&place, place.keyring, "/nowhere/archive");
	place.conf.archive_file = NULL;
	refused(&place, place.keyring, "--archive-file");
	place.conf.archive_file = place.root_key;
	refused(&place, place.keyring, "no backup");
	place_end(&place);
}
