/* store: the transaction under construction, seen from inside: what a failed call leaves behind,
 * and that no failed allocation is missed. Its promises are in tests/conformance/test_store.c. */
#include "common/defs.h"
#include "common/store_impl.h"

#include "common/store_mem_impl.h"
#include "tests/support/alloc.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(store, copies_what_it_is_given)
{
	AUTO(store_txn) *txn = NULL;
	char key[] = "key", value[] = "value";
	cr_assert_eq(store_txn_new(&txn, NULL), 0);
	cr_assert_eq(store_txn_put(txn, key, value, 5, NULL), 0);
	memset(key, '?', 3);
	memset(value, '?', 5);
	cr_assert_str_eq(txn->ops[0].key, "key");
	cr_assert_arr_eq(txn->ops[0].value, "value", 5);
}

Test(store, a_prefix_is_one_of_whole_bytes)
{
	cr_assert(store_has_prefix("a/b", "a/"));
	cr_assert(store_has_prefix("a/b", ""));
	cr_assert(!store_has_prefix("a", "a/"));
	cr_assert(!store_has_prefix("b/a", "a/"));
}

static int build(struct store_txn *into, const struct store_txn *from, struct err *err)
{
	TRY(store_txn_if_mod(into, "a", 1, err));
	TRY(store_txn_put(into, "a", "1", 1, err));
	return store_txn_merge(into, from, err);
}

Test(store, a_failed_allocation_leaves_a_transaction_that_can_be_gone_on_with)
{
	AUTO(store_txn) *from = NULL;
	cr_assert_eq(store_txn_new(&from, NULL), 0);
	char key[3] = "b0";
	for (; key[1] <= '9'; key[1]++)
		cr_assert_eq(store_txn_put(from, key, "x", 1, NULL), 0);
	long n = 0;
	for (bool fired = true; fired; n++) {
		struct err err = {0};
		AUTO(store_txn) *txn = NULL;
		cr_assert_eq(store_txn_new(&txn, &err), 0);
		alloc_fail_after(n);
		int rc = build(txn, from, &err);
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert_eq(rc, fired ? E_NOMEM : 0);
		cr_assert(fired ? txn->count <= 2 : txn->count == 12, "a merge was done by half");
		cr_assert_eq(txn->bytes, txn->count <= 1 ? txn->count : txn->count == 2 ? 3 : 33);
	}
	cr_assert_gt(n, 12);
}

/* The history is bounded: a watch that is far behind lists instead. */
Test(store, the_memory_backing_forgets_old_history_in_whole_transactions)
{
	struct err err = {0};
	struct store_op ops[100];
	char keys[100][8];
	for (int i = 0; i < 100; i++) {
		keys[i][0] = 'k';
		keys[i][1] = (char)('0' + i / 10);
		keys[i][2] = (char)('0' + i % 10);
		keys[i][3] = 0;
		ops[i] = (struct store_op){.kind = STORE_PUT, .key = keys[i]};
	}
	struct store_mem mem = {.revision = 1};
	pthread_cond_init(&mem.changed, NULL);
	struct store_txn txn = {.ops = ops, .count = ARRAY_LEN(ops)};
	for (int i = 0; i < 1500; i++)
		cr_assert_eq(mem_commit(&mem, &txn, &err), 0, "%s", err.text);
	cr_assert_leq(mem.history_count, 100100);
	cr_assert_eq(mem.history_count % 100, 0, "half a transaction was forgotten");
	cr_assert_eq(mem.history[0]->mod_revision, mem.compacted + 1);
	cr_assert_eq(mem.history_base + mem.history_count, 150000);
	cr_assert_eq(mem.live_count, 100);
	for (size_t i = 0; i < mem.history_count; i++)
		mem_unref(mem.history[i]);
	for (size_t i = 0; i < mem.live_count; i++)
		mem_unref(mem.live[i]);
	free(mem.history);
	free(mem.live);
	pthread_cond_destroy(&mem.changed);
}
