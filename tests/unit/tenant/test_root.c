/* test_root.c - where the installation's key comes from, and what a new root key changes. */
#include "common/defs.h"
#include "tenant/root.h"

#include "common/store_mem.h"
#include "tests/support/process.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], a[96], b[96], copy[96];
static struct store *store;

static void start(void)
{
	cr_assert_eq(crypto_start(NULL), 0);
	strcpy(dir, "/tmp/test-root-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(a, sizeof a, "%s/a.key", dir);
	snprintf(b, sizeof b, "%s/b.key", dir);
	snprintf(copy, sizeof copy, "%s/record", dir);
	cr_assert_eq(store_mem_new(clock_system(), &store, NULL), 0);
}

static void stop(void)
{
	char command[96];
	store_free(store);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(root, .init = start, .fini = stop);

static int open_with(const struct root_conf *conf, struct store *from, uint8_t out[KEY_BYTES],
                     struct err *err)
{
	AUTO(secret) *key = NULL;
	TRY(root_open(conf, from, &key, err));
	memcpy(out, secret_bytes(key), KEY_BYTES);
	return 0;
}

Test(root, a_file_gives_the_key_itself_and_must_be_ours_alone)
{
	uint8_t first[KEY_BYTES], second[KEY_BYTES];
	char link[96];
	struct err err = { 0 };
	struct root_conf conf = { .file = a, .make = true };
	cr_assert_eq(open_with(&conf, store, first, &err), 0, "%s", err.text);
	cr_assert_eq(open_with(&conf, NULL, second, &err), 0);
	cr_expect_eq(memcmp(first, second, KEY_BYTES), 0);
	cr_assert_eq(chmod(a, 0640), 0);
	cr_expect_eq(open_with(&conf, store, second, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "chmod 600"), "%s", err.text);
	cr_assert_eq(chmod(a, 0600), 0);
	snprintf(link, sizeof link, "%s/link", dir);
	cr_assert_eq(symlink(a, link), 0);
	conf.file = link;
	conf.make = false;
	cr_expect_eq(open_with(&conf, store, second, &err), E_INVALID);
	conf.file = a;
	if (geteuid() == 0) {
		cr_assert_eq(chown(a, 12345, 12345), 0);
		cr_expect_eq(open_with(&conf, store, second, &err), E_INVALID);
		cr_expect_not_null(strstr(err.text, "chown"), "%s", err.text);
	}
}

Test(root, a_variable_is_read_once_and_wiped_where_it_stood)
{
	static const char hex[] =
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
	uint8_t key[KEY_BYTES];
	struct err err = { 0 };
	const struct root_conf conf = { .env = "FH_TEST_ROOT" };
	cr_assert_eq(setenv("FH_TEST_ROOT", hex, 1), 0);
	const char *stood = getenv("FH_TEST_ROOT");
	cr_assert_eq(open_with(&conf, store, key, &err), 0, "%s", err.text);
	cr_expect_eq(key[31], 0x1f);
	cr_expect_null(getenv("FH_TEST_ROOT"));
	cr_expect_eq(stood[0], 0, "the bytes are gone, not only the name");
	cr_expect_eq(open_with(&conf, store, key, &err), E_NOT_FOUND);
	setenv("FH_TEST_ROOT", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", 1);
	cr_assert_eq(open_with(&conf, store, key, &err), 0, "%s", err.text);
	cr_expect_eq(key[31], 0x1f);
	setenv("FH_TEST_ROOT", "short", 1);
	cr_expect_eq(open_with(&conf, store, key, &err), E_INVALID);
	cr_expect_null(strstr(err.text, "short"));
}

Test(root, one_source_is_given_and_no_more)
{
	uint8_t key[KEY_BYTES];
	struct err err = { 0 };
	const struct root_conf both = { .file = a, .env = "X" }, none = { 0 };
	cr_expect_eq(open_with(&both, store, key, &err), E_INVALID);
	cr_expect_eq(open_with(&none, store, key, &err), E_INVALID);
}

Test(root, a_new_root_key_leaves_the_installations_key_as_it_was_and_ends_the_old_one)
{
	uint8_t before[KEY_BYTES], after[KEY_BYTES];
	struct err err = { 0 };
	struct root_conf old = { .file = a, .make = true };
	struct root_conf both = { .file = b, .make = true, .old_file = a, .record_file = copy };
	struct root_conf fresh = { .file = b };
	cr_assert_eq(open_with(&old, store, before, &err), 0);
	cr_assert_eq(open_with(&both, store, after, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(before, after, KEY_BYTES), 0);
	cr_assert_eq(open_with(&both, store, after, &err), 0, "again, as after a crash: %s",
	             err.text);
	cr_assert_eq(unlink(a), 0);
	cr_assert_eq(open_with(&fresh, store, after, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(before, after, KEY_BYTES), 0);
	old.make = true;                     /* another key in its place */
	cr_expect_eq(open_with(&old, store, after, &err), E_CORRUPT);
	fresh.record_file = copy;
	cr_assert_eq(open_with(&fresh, NULL, after, &err), 0, "offline: %s", err.text);
	cr_expect_eq(memcmp(before, after, KEY_BYTES), 0);
}

Test(root, a_root_key_is_replaced_a_second_time)
{
	uint8_t before[KEY_BYTES], after[KEY_BYTES];
	char c[96];
	struct err err = { 0 };
	snprintf(c, sizeof c, "%s/c.key", dir);
	const struct root_conf first = { .file = a, .make = true };
	const struct root_conf second = { .file = b, .make = true, .old_file = a };
	const struct root_conf third = { .file = c, .make = true, .old_file = b };
	cr_assert_eq(open_with(&first, store, before, &err), 0);
	cr_assert_eq(open_with(&second, store, after, &err), 0);
	cr_assert_eq(open_with(&third, store, after, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(before, after, KEY_BYTES), 0);
	cr_expect_eq(open_with(&(struct root_conf){ .file = b }, store, after, &err), E_CORRUPT);
}

Test(root, records_that_are_none_are_refused)
{
	AUTO(arena) *arena = NULL;
	struct root_record record;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_expect_eq(root_record_read(arena, "", 0, &record, NULL), E_CORRUPT);
	cr_expect_eq(root_record_read(arena, "\x81\xa6" "format\x01", 9, &record, NULL), E_CORRUPT);
	cr_expect_eq(root_record_read(arena, "\x80", 1, &record, NULL), E_CORRUPT);
}
