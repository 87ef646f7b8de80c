/* Revisions that go on where another store's ended. What every store promises is tested on it by
 * tests/conformance/test_store.c. */
#include "common/defs.h"
#include "common/store_shift.h"

#include "common/store_mem.h"
#include "tests/support/alloc.h"
#include "tests/support/follow.h"

#include <criterion/criterion.h>

#define BASE (INT64_C(1) << 50)

static struct store *over(struct store *inner)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_shift_new(inner, BASE, &store, &err), 0, "%s", err.text);
	return store;
}

static struct store *memory(void)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0, "%s", err.text);
	return store;
}

Test(store_shift, every_revision_is_the_inner_stores_and_its_base)
{
	struct store *inner = memory();
	int64_t first = put_key(inner, "a", "1");
	struct store *store = over(inner);
	struct kept item = get_key(store, "a");
	cr_expect_eq(item.mod_revision, BASE + first);
	cr_expect_eq(item.create_revision, BASE + first);
	cr_expect_eq(get_key(store, "b").mod_revision, 0, "no key is still no key");
	int64_t second = put_key(store, "a", "2");
	cr_expect_eq(second, BASE + get_key(inner, "a").mod_revision);
	cr_expect_gt(second, BASE + first);
	store_free(store);
}

Test(store_shift, what_was_read_before_the_restore_changes_nothing)
{
	int64_t revision = 0;
	struct store *inner = memory(), *store = over(inner);
	int64_t now = put_key(store, "a", "1");
	cr_expect_eq(put_if_mod(store, "a", "old", now - BASE, &revision), E_PRECONDITION);
	cr_expect_eq(put_if_mod(store, "a", "old", 12345678, &revision), E_PRECONDITION);
	cr_expect_str_eq(get_key(store, "a").value, "1");
	cr_expect_eq(put_if_mod(store, "a", "new", now, &revision), 0);
	cr_expect_eq(put_if_mod(store, "b", "new", 0, &revision), 0, "absence is compared as ever");
	store_free(store);
}

Test(store_shift, a_leader_of_before_the_restore_leads_no_more)
{
	struct campaign campaign;
	struct store *inner = memory(), *store = over(inner);
	campaign_start(&campaign, store, "leader/0", "one", 2);
	int64_t epoch = campaign_await(&campaign, true, 0, 20000);
	cr_expect_gt(epoch, BASE);
	cr_expect_eq(epoch, get_key(store, "leader/0").create_revision);
	campaign_stop(&campaign);
	store_free(store);
}

Test(store_shift, a_compaction_of_before_the_restore_is_none)
{
	struct err err = { 0 };
	struct store *store = over(memory());
	int64_t now = put_key(store, "a", "1");
	cr_expect_eq(store_compact(store, 1000, &err), 0, "%s", err.text);
	cr_expect_eq(store_compact(store, now, &err), 0, "%s", err.text);
	cr_expect_str_eq(get_key(store, "a").value, "1");
	store_free(store);
}

Test(store_shift, a_base_below_0_is_refused_and_missing_memory_is_said)
{
	struct err err = { 0 };
	struct store *inner = memory(), *store = NULL;
	cr_expect_eq(store_shift_new(inner, -1, &store, &err), E_INVALID);
	alloc_fail_after(0);
	int rc = store_shift_new(inner, 1, &store, &err);
	alloc_fail_after(-1);
	cr_expect_eq(rc, E_NOMEM);
	cr_expect_null(store);
	store_free(inner);
}
