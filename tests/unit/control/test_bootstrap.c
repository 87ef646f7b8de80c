/* test_bootstrap.c - the first start: once, with a key that works, through every way it can break
 * off. */
#include "common/defs.h"
#include "control/bootstrap.h"

#include "common/store_mem.h"
#include "control/apikeys.h"
#include "control/lead.h"
#include "control/resource.h"
#include "control/rules.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Test(bootstrap, writes_its_key_for_its_owner_only_and_not_again)
{
	struct plane *plane = plane_start();
	struct stat before, after;
	struct err err = { 0 };
	cr_assert_eq(stat(plane->bootstrap_key, &before), 0);
	cr_expect_eq(before.st_mode & 0777, 0600);
	cr_expect_eq(bootstrap(plane->control, plane->bootstrap_key, &err), 0, "%s", err.text);
	cr_assert_eq(stat(plane->bootstrap_key, &after), 0);
	cr_expect_eq(before.st_ino, after.st_ino);
	cr_expect_eq(unlink(plane->bootstrap_key), 0);
	cr_expect_eq(bootstrap(plane->control, plane->bootstrap_key, &err), 0);
	cr_expect_neq(access(plane->bootstrap_key, F_OK), 0, "a second start makes no second key");
	plane_stop(plane);
}

static int count(void *context, const char *id, const struct value *key, int64_t revision,
                 struct err *err)
{
	(void)id;
	(void)key;
	(void)revision;
	(void)err;
	++*(int *)context;
	return 0;
}

Test(bootstrap, takes_the_key_of_a_start_that_broke_off_before_its_commit)
{
	struct plane *plane = plane_start();
	struct err err = { 0 };
	int keys = 0;
	char first[128];
	snprintf(first, sizeof first, "%s", plane->operator_key);
	/* A store without a platform, and the file that the broken start left. */
	static const char *const all[] = { "r/tenant/platform", "r/principal/platform/operator",
	                                   "r/key/platform" };
	AUTO(change) *change = NULL;
	cr_assert_eq(change_new(&change, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		cr_assert_eq(change_delete(change, all[i], -1, &err), 0);
	cr_assert_eq(apikeys_delete_all(plane->control, "platform", "operator", change, &err), 0);
	cr_assert_eq(journal_commit(plane->part->journal, change, &err), 0, "%s", err.text);
	cr_expect_eq(plane_call(plane, first, "GET", "/v1/whoami", NULL).status, 401);
	cr_assert_eq(bootstrap(plane->control, plane->bootstrap_key, &err), 0, "%s", err.text);
	cr_expect_eq(plane_call(plane, first, "GET", "/v1/whoami", NULL).status, 200);
	cr_expect_eq(apikeys_visit(plane->control, "platform", "operator", count, &keys, &err), 0);
	cr_expect_eq(keys, 1);
	plane_stop(plane);
}

/* --- several replicas --- */

enum { REPLICAS = 3, START_MS = 30000 };

struct replica {
	struct control *control;
	char name[16], key_file[160];
};

static void begin(struct plane *plane, struct replica *replica, int i)
{
	struct err err = { 0 };
	snprintf(replica->name, sizeof replica->name, "r-%d", i);
	snprintf(replica->key_file, sizeof replica->key_file, "%s/first-%d.key", plane->dir, i);
	const struct start_conf conf = {
		.clock = clock_system(), .store = plane->store, .keyring = plane->keyring,
		.replica = replica->name, .held_max = 4, .nameless = true,
		.lead = { .ttl_s = 2, .bootstrap_key_file = replica->key_file },
	};
	cr_assert_eq(control_new(&conf, &replica->control, &err), 0, "%s", err.text);
}

static bool is_up(struct replica *replicas)
{
	bool led = false, all = true;
	for (int i = 0; i < REPLICAS; i++) {
		led |= part_leads(&replicas[i].control->parts[0]);
		all &= catalog_has(replicas[i].control->catalog, "r/tenant/platform");
	}
	return led && all;
}

static void until_up(struct replica *replicas)
{
	for (int ms = 0; !is_up(replicas); ms++) {
		cr_assert_lt(ms, START_MS, "nobody leads, or not all know of the platform");
		usleep(1000);
	}
}

static void end(struct replica *replicas)
{
	for (int i = 0; i < REPLICAS; i++) {
		control_stop(replicas[i].control);
		control_free(replicas[i].control);
	}
}

static int count_item(void *context, const struct store_item *item, struct err *err)
{
	(void)item;
	(void)err;
	++*(int *)context;
	return 0;
}

static int keys_stored(struct plane *plane)
{
	int keys = 0;
	cr_assert_eq(store_list(plane->store, "r/apikey/", count_item, &keys, NULL, NULL), 0);
	return keys;
}

static int files_written(struct replica *replicas)
{
	int files = 0;
	for (int i = 0; i < REPLICAS; i++)
		files += access(replicas[i].key_file, F_OK) == 0;
	return files;
}

static void remove_files(struct replica *replicas)
{
	for (int i = 0; i < REPLICAS; i++)
		unlink(replicas[i].key_file);
}

Test(bootstrap, replicas_that_start_at_once_make_one_operator_with_one_key)
{
	struct plane *plane = plane_start();     /* for its folder and keys */
	struct store *own = plane->store;
	struct replica replicas[REPLICAS];
	cr_assert_eq(store_mem_new(clock_system(), &plane->store, NULL), 0);
	for (int i = 0; i < REPLICAS; i++)
		begin(plane, &replicas[i], i);
	until_up(replicas);
	cr_expect_eq(keys_stored(plane), 1);
	cr_expect_eq(files_written(replicas), 1, "only who led wrote a key");
	end(replicas);
	/* The file is gone, and every replica starts anew: nobody gets a second key. */
	remove_files(replicas);
	for (int i = 0; i < REPLICAS; i++)
		begin(plane, &replicas[i], i);
	until_up(replicas);
	cr_expect_eq(keys_stored(plane), 1);
	cr_expect_eq(files_written(replicas), 0);
	end(replicas);
	store_free(plane->store);
	plane->store = own;
	plane_stop(plane);
}
