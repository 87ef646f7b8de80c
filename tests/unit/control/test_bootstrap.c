/* test_bootstrap.c - the first start: once, with a key that works, through every way it can break
 * off. */
#include "common/defs.h"
#include "control/bootstrap.h"

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
