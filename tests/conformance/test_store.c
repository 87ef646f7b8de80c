/* One suite, two backings: whatever store.h promises holds on etcd and in memory alike. What only
 * etcd can do (die, stall, lose answers) is in test_store_etcd.c. */
#include "common/defs.h"
#include "common/store.h"

#include "common/store_etcd.h"
#include "common/store_mem.h"
#include "common/store_shift.h"
#include "tests/support/etcd.h"
#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_MS = 60000, LIST_KEYS = 2500, KEYS_PER_TXN = 125, THREADS = 8, INCREMENTS = 25 };

typedef void body_fn(struct store *store);

static void run_on_mem(body_fn *body)
{
	struct err err = { 0 };
	AUTO(store) *store = NULL;
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0, "%s", err.text);
	body(store);
}

static void run_on_etcd(body_fn *body)
{
	struct err err = { 0 };
	struct etcd *etcd = etcd_start();
	struct store_etcd_conf conf = { .endpoints = etcd_url(etcd), .prefix = "/freehold/" };
	struct store *store = NULL;
	cr_assert_eq(store_etcd_new(&conf, clock_system(), &store, &err), 0, "%s", err.text);
	body(store);
	store_free(store);
	etcd_stop(etcd);
}

/* Whatever was restored is on a store like this. */
static void run_on_shift(body_fn *body)
{
	struct err err = { 0 };
	struct store *inner = NULL;
	AUTO(store) *store = NULL;
	cr_assert_eq(store_mem_new(clock_system(), &inner, &err), 0, "%s", err.text);
	cr_assert_eq(store_shift_new(inner, INT64_C(1) << 50, &store, &err), 0, "%s", err.text);
	body(store);
}

#define ON_BOTH(sentence) \
	static void sentence(struct store *store); \
	Test(store_mem, sentence) { run_on_mem(sentence); } \
	Test(store_etcd, sentence) { run_on_etcd(sentence); } \
	Test(store_shift, sentence) { run_on_shift(sentence); } \
	static void sentence(struct store *store)

static struct store_txn *txn_new(void)
{
	struct err err = { 0 };
	struct store_txn *txn = NULL;
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	return txn;
}

/* --- keys and revisions --- */

ON_BOTH(an_absent_key_has_revision_0_and_a_put_one_its_revisions)
{
	struct kept none = get_key(store, "a/b");
	cr_assert_eq(none.mod_revision, 0);
	cr_assert_str_eq(none.key, "a/b");
	int64_t first = put_key(store, "a/b", "one");
	int64_t second = put_key(store, "a/b", "two");
	struct kept item = get_key(store, "a/b");
	cr_assert_str_eq(item.value, "two");
	cr_assert_eq(item.create_revision, first);
	cr_assert_eq(item.mod_revision, second);
	cr_assert_gt(second, first);
}

static int check_bytes(void *context, const struct store_item *item, struct err *err)
{
	(void)err;
	const uint8_t *bytes = context;
	cr_assert_eq(item->value_len, 256);
	cr_assert_arr_eq(item->value, bytes, 256);
	return 0;
}

ON_BOTH(values_are_any_bytes_and_may_be_empty)
{
	struct err err = { 0 };
	uint8_t bytes[256];
	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	AUTO(store_txn) *txn = txn_new();
	cr_assert_eq(store_txn_put(txn, "bytes", bytes, sizeof bytes, &err), 0);
	cr_assert_eq(store_txn_put(txn, "empty", NULL, 0, &err), 0);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(store_get(store, "bytes", check_bytes, bytes, &err), 0);
	struct kept empty = get_key(store, "empty");
	cr_assert_gt(empty.mod_revision, 0);
	cr_assert_eq(empty.value_len, 0);
}

static int refuse(void *context, const struct store_item *item, struct err *err)
{
	(void)item;
	++*(int *)context;
	return err_set(err, E_CANCELLED, "enough");
}

ON_BOTH(a_negative_answer_of_visit_stops_the_read_and_is_returned)
{
	struct err err = { 0 };
	int visits = 0;
	put_key(store, "l/1", "x");
	put_key(store, "l/2", "x");
	cr_assert_eq(store_get(store, "l/1", refuse, &visits, &err), E_CANCELLED);
	cr_assert_eq(store_list(store, "l/", refuse, &visits, NULL, &err), E_CANCELLED);
	cr_assert_eq(visits, 2);
}

ON_BOTH(keys_that_are_not_printable_are_refused)
{
	struct err err = { 0 };
	int visits = 0;
	char too_long[STORE_KEY_MAX + 2];
	memset(too_long, 'k', sizeof too_long);
	too_long[STORE_KEY_MAX + 1] = 0;
	const char *bad[] = { "", "a b", "a\nb", "\x7f", "\xc3\xa4", too_long };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(store_txn) *txn = txn_new();
		cr_assert_eq(store_get(store, bad[i], refuse, &visits, &err), E_INVALID);
		cr_assert_eq(store_txn_put(txn, bad[i], "x", 1, &err), E_INVALID);
		cr_assert_eq(store_txn_if_mod(txn, bad[i], 1, &err), E_INVALID);
		cr_assert_eq(store_txn_ops(txn), 0);
	}
	too_long[STORE_KEY_MAX] = 0;
	put_key(store, too_long, "the longest key");
	cr_assert_str_eq(get_key(store, too_long).value, "the longest key");
}

/* --- transactions --- */

ON_BOTH(a_compare_that_fails_changes_nothing)
{
	struct err err = { 0 };
	int64_t revision = put_key(store, "a", "1");
	AUTO(store_txn) *txn = txn_new();
	cr_assert_eq(store_txn_if_mod(txn, "a", revision + 1, &err), 0);
	cr_assert_eq(store_txn_put(txn, "a", "2", 1, &err), 0);
	cr_assert_eq(store_txn_put(txn, "b", "2", 1, &err), 0);
	int64_t untouched = -7;
	cr_assert_eq(store_commit(store, txn, &untouched, &err), E_PRECONDITION);
	cr_assert_eq(untouched, -7);
	cr_assert_str_eq(get_key(store, "a").value, "1");
	cr_assert_eq(get_key(store, "b").mod_revision, 0);
	cr_assert_eq(put_key(store, "c", "1"), revision + 1, "a failed compare made a revision");
}

ON_BOTH(compares_hold_for_the_right_revision_and_for_absence)
{
	int64_t first = 0, second = 0;
	cr_assert_eq(put_if_mod(store, "a", "1", 0, &first), 0);
	cr_assert_eq(put_if_mod(store, "a", "1", 0, &second), E_PRECONDITION);
	cr_assert_eq(put_if_mod(store, "a", "2", first, &second), 0);
	cr_assert_eq(put_if_mod(store, "a", "3", first, NULL), E_PRECONDITION);
	struct err err = { 0 };
	AUTO(store_txn) *txn = txn_new();
	cr_assert_eq(store_txn_if_create(txn, "a", first, &err), 0);
	cr_assert_eq(store_txn_if_create(txn, "nothing", 0, &err), 0);
	cr_assert_eq(store_txn_put(txn, "b", "x", 1, &err), 0);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(delete_key(store, "a"), 0);
	cr_assert_eq(store_commit(store, txn, NULL, &err), E_PRECONDITION);
}

ON_BOTH(deleting_makes_a_key_absent_and_its_next_life_a_new_one)
{
	struct err err = { 0 };
	int64_t first = put_key(store, "p/1", "x");
	put_key(store, "p/2", "x");
	put_key(store, "p0", "x");
	put_key(store, "p", "x");
	AUTO(store_txn) *txn = txn_new();
	cr_assert_eq(store_txn_delete_prefix(txn, "p/", &err), 0);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(get_key(store, "p/1").mod_revision, 0);
	cr_assert_eq(get_key(store, "p/2").mod_revision, 0);
	cr_assert_gt(get_key(store, "p0").mod_revision, 0);
	cr_assert_gt(get_key(store, "p").mod_revision, 0);
	int64_t again = put_key(store, "p/1", "y");
	cr_assert_eq(get_key(store, "p/1").create_revision, again);
	cr_assert_gt(again, first);
}

struct names { char text[256]; };

static int add_name(void *context, const struct store_item *item, struct err *err)
{
	struct names *names = context;
	size_t len = strlen(names->text);
	(void)err;
	snprintf(names->text + len, sizeof names->text - len, "%s ", item->key);
	return 0;
}

static void put_all(struct store *store, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_key(store, keys[i], "x");
}

ON_BOTH(a_deleted_range_takes_its_first_key_and_leaves_its_end)
{
	static const char *const keys[] = { "q", "r/1", "r/2", "r/2!", "r/20", "r/3", "s" };
	struct err err = { 0 };
	struct names names = { "" };
	put_all(store, keys, ARRAY_LEN(keys));
	AUTO(store_txn) *txn = txn_new();
	cr_assert_eq(store_txn_delete_range(txn, "r/2", "r/1", &err), E_INVALID);
	cr_assert_eq(store_txn_delete_range(txn, "r/1", "r/2!", &err), 0, "%s", err.text);
	cr_assert_eq(store_txn_put(txn, "r/2", "y", 1, &err), E_CONFLICT);
	cr_assert_eq(store_txn_delete_prefix(txn, "r", &err), E_CONFLICT);
	cr_assert_eq(store_txn_put(txn, "r/2!", "y", 1, &err), 0, "%s", err.text);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(store_list(store, "", add_name, &names, NULL, &err), 0);
	cr_assert_str_eq(names.text, "q r/2! r/20 r/3 s ");
	cr_assert_str_eq(get_key(store, "r/2!").value, "y");
}

ON_BOTH(a_listing_after_a_key_leaves_it_and_those_before_it_out)
{
	static const char *const keys[] = { "q", "r/1", "r/2", "r/20", "r/3", "s" };
	struct err err = { 0 };
	struct names names = { "" }, none = { "" }, absent = { "" };
	int64_t revision = 0;
	put_all(store, keys, ARRAY_LEN(keys));
	cr_assert_eq(store_list_after(store, "r/", "r/2", add_name, &names, &revision, &err), 0,
		     "%s", err.text);
	cr_assert_str_eq(names.text, "r/20 r/3 ");
	cr_assert_eq(revision, get_key(store, "s").mod_revision);
	cr_assert_eq(store_list_after(store, "r/", "r/3", add_name, &none, NULL, &err), 0);
	cr_assert_str_eq(none.text, "");
	cr_assert_eq(store_list_after(store, "r/", "r/15", add_name, &absent, NULL, &err), 0);
	cr_assert_str_eq(absent.text, "r/2 r/20 r/3 ");
	cr_assert_eq(store_list_after(store, "r/", "s", add_name, &none, NULL, &err), E_INVALID);
}

ON_BOTH(its_size_is_told)
{
	struct err err = { 0 };
	int64_t bytes = 0;
	put_key(store, "a", "1");
	cr_assert_eq(store_size(store, &bytes, &err), 0, "%s", err.text);
	cr_assert_gt(bytes, 1);
}

ON_BOTH(a_transaction_is_one_revision_and_one_that_changes_nothing_is_none)
{
	struct err err = { 0 };
	int64_t before = put_key(store, "a", "x"), revision = 0;
	AUTO(store_txn) *txn = txn_new();
	cr_assert_eq(store_txn_put(txn, "b", "x", 1, &err), 0);
	cr_assert_eq(store_txn_put(txn, "c", "x", 1, &err), 0);
	cr_assert_eq(store_txn_delete(txn, "a", &err), 0);
	cr_assert_eq(store_commit(store, txn, &revision, &err), 0);
	cr_assert_eq(revision, before + 1);
	cr_assert_eq(get_key(store, "b").mod_revision, revision);
	cr_assert_eq(get_key(store, "c").mod_revision, revision);
	cr_assert_eq(delete_key(store, "never-there"), 0);
	AUTO(store_txn) *empty = txn_new();
	cr_assert_eq(store_commit(store, empty, &revision, &err), 0, "%s", err.text);
	cr_assert_eq(revision, before + 1);
}

ON_BOTH(a_transaction_may_be_as_large_as_it_says_and_no_larger)
{
	struct err err = { 0 };
	AUTO(store_txn) *txn = txn_new();
	char key[32];
	for (int i = 0; i < STORE_OPS_MAX / 2; i++) {
		snprintf(key, sizeof key, "full/%d", i);
		cr_assert_eq(store_txn_if_mod(txn, key, 0, &err), 0);
		cr_assert_eq(store_txn_put(txn, key, "x", 1, &err), 0);
	}
	cr_assert_eq(store_txn_ops(txn), STORE_OPS_MAX);
	cr_assert_eq(store_txn_put(txn, "one-more", "x", 1, &err), E_TOO_LARGE);
	cr_assert_eq(store_txn_ops(txn), STORE_OPS_MAX);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);

	char *large = malloc(STORE_VALUE_MAX + 1);
	cr_assert_not_null(large);
	memset(large, 'v', STORE_VALUE_MAX + 1);
	AUTO(store_txn) *heavy = txn_new();
	cr_assert_eq(store_txn_put(heavy, "v1", large, STORE_VALUE_MAX + 1, &err), E_TOO_LARGE);
	cr_assert_eq(store_txn_put(heavy, "v1", large, STORE_VALUE_MAX, &err), 0);
	size_t rest = STORE_TXN_BYTES_MAX - STORE_VALUE_MAX - strlen("v1") - strlen("v2");
	cr_assert_eq(store_txn_put(heavy, "v2", large, rest + 1, &err), E_TOO_LARGE);
	cr_assert_eq(store_txn_put(heavy, "v2", large, rest, &err), 0);
	cr_assert_eq(store_txn_bytes(heavy), STORE_TXN_BYTES_MAX);
	cr_assert_eq(store_commit(store, heavy, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(get_key(store, "v1").value_len, STORE_VALUE_MAX);
	cr_assert_eq(get_key(store, "v2").value_len, rest);
	free(large);
}

ON_BOTH(two_writes_of_one_key_do_not_fit_into_one_transaction)
{
	struct err err = { 0 };
	AUTO(store_txn) *txn = txn_new();
	cr_assert_eq(store_txn_put(txn, "k/1", "x", 1, &err), 0);
	cr_assert_eq(store_txn_put(txn, "k/1", "y", 1, &err), E_CONFLICT);
	cr_assert_eq(store_txn_delete(txn, "k/1", &err), E_CONFLICT);
	cr_assert_eq(store_txn_delete_prefix(txn, "k/", &err), E_CONFLICT);
	cr_assert_eq(store_txn_delete_prefix(txn, "j/", &err), 0);
	cr_assert_eq(store_txn_put(txn, "j/9", "x", 1, &err), E_CONFLICT);
	cr_assert_eq(store_txn_if_mod(txn, "k/1", 0, &err), 0);
	cr_assert_eq(store_txn_if_mod(txn, "k/1", 0, &err), 0);
	cr_assert_eq(store_txn_ops(txn), 3, "an equal compare was counted twice");
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
}

ON_BOTH(merging_adds_all_or_nothing)
{
	struct err err = { 0 };
	AUTO(store_txn) *into = txn_new();
	AUTO(store_txn) *good = txn_new();
	AUTO(store_txn) *bad = txn_new();
	cr_assert_eq(store_txn_if_mod(into, "lead", 0, &err), 0);
	cr_assert_eq(store_txn_put(into, "a", "1", 1, &err), 0);
	cr_assert_eq(store_txn_if_mod(good, "lead", 0, &err), 0);
	cr_assert_eq(store_txn_put(good, "b", "2", 1, &err), 0);
	cr_assert_eq(store_txn_put(bad, "c", "3", 1, &err), 0);
	cr_assert_eq(store_txn_delete(bad, "a", &err), 0);
	cr_assert_eq(store_txn_merge(into, good, &err), 0);
	size_t ops = store_txn_ops(into), bytes = store_txn_bytes(into);
	cr_assert_eq(ops, 3);
	cr_assert_eq(store_txn_merge(into, bad, &err), E_CONFLICT);
	cr_assert_eq(store_txn_ops(into), ops);
	cr_assert_eq(store_txn_bytes(into), bytes);
	cr_assert_eq(store_commit(store, into, NULL, &err), 0, "%s", err.text);
	cr_assert_str_eq(get_key(store, "b").value, "2");
	cr_assert_eq(get_key(store, "c").mod_revision, 0);
}

static void *increment(void *context)
{
	struct store *store = context;
	for (int done = 0; done < INCREMENTS;) {
		struct kept now = get_key(store, "counter");
		char next[32];
		snprintf(next, sizeof next, "%d", atoi(now.value) + 1);
		int rc = put_if_mod(store, "counter", next, now.mod_revision, NULL);
		REQUIRE(rc == 0 || rc == E_PRECONDITION);
		done += rc == 0;
	}
	return NULL;
}

ON_BOTH(compare_and_swap_from_many_threads_loses_no_increment)
{
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, increment, store), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(atoi(get_key(store, "counter").value), THREADS * INCREMENTS);
}

/* --- lists --- */

struct list_check {
	int count;
	char last[STORE_KEY_MAX + 1];
	struct store *store;       /* written to in the middle, when set */
};

static int check_order(void *context, const struct store_item *item, struct err *err)
{
	(void)err;
	struct list_check *check = context;
	cr_assert_lt(strcmp(check->last, item->key), 0, "out of order");
	snprintf(check->last, sizeof check->last, "%s", item->key);
	cr_assert_eq(item->value[0], 'x', "a later write is seen");
	check->count++;
	if (check->store && check->count == 10) {
		put_key(check->store, "list/002400", "y");
		put_key(check->store, "list/zzzz", "y");
	}
	return 0;
}

ON_BOTH(a_list_has_every_key_in_order_and_from_one_revision)
{
	struct err err = { 0 };
	char key[32];
	put_key(store, "lisa", "y");
	put_key(store, "list0", "y");
	for (int i = 0; i < LIST_KEYS;) {
		AUTO(store_txn) *txn = txn_new();
		for (int end = i + KEYS_PER_TXN; i < end; i++) {
			snprintf(key, sizeof key, "list/%06d", i);
			cr_assert_eq(store_txn_put(txn, key, "x", 1, &err), 0);
		}
		cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
	}
	int64_t before = get_key(store, "list/002499").mod_revision, revision = 0;
	struct list_check check = { .store = store };
	cr_assert_eq(store_list(store, "list/", check_order, &check, &revision, &err), 0, "%s",
		     err.text);
	cr_assert_eq(check.count, LIST_KEYS);
	cr_assert_eq(revision, before);
	struct list_check none = { 0 };
	cr_assert_eq(store_list(store, "no-such/", check_order, &none, &revision, &err), 0);
	cr_assert_eq(none.count, 0);
	cr_assert_eq(revision, before + 2);
}

/* --- watches --- */

ON_BOTH(a_watch_begins_with_what_exists_and_goes_on_with_what_changes)
{
	struct follower follower;
	put_key(store, "w/old", "1");
	put_key(store, "other", "1");
	follower_start(&follower, store, "w/", LONG_MS);
	follower_await_syncs(&follower, 1);
	follower_await(&follower, "w/old", "1");
	put_key(store, "w/new", "2");
	put_key(store, "other", "2");
	put_key(store, "w/old", "3");
	follower_await(&follower, "w/old", "3");
	follower_await(&follower, "w/new", "2");
	cr_assert_eq(delete_key(store, "w/new"), 0);
	follower_await(&follower, "w/new", NULL);
	cr_assert_eq(follower_count(&follower), 1);
	cr_assert_eq(follower.syncs, 1, "it listed again without need");
	follower_stop(&follower);
}

ON_BOTH(the_events_of_a_transaction_come_in_one_run)
{
	struct err err = { 0 };
	struct follower follower;
	put_key(store, "t/gone", "1");
	follower_start(&follower, store, "t/", LONG_MS);
	follower_await_syncs(&follower, 1);
	for (int i = 0; i < 20; i++) {
		AUTO(store_txn) *txn = txn_new();
		char value[16];
		snprintf(value, sizeof value, "%d", i);
		cr_assert_eq(store_txn_put(txn, "t/a", value, strlen(value), &err), 0);
		cr_assert_eq(store_txn_put(txn, "elsewhere", value, strlen(value), &err), 0);
		cr_assert_eq(store_txn_put(txn, "t/b", value, strlen(value), &err), 0);
		if (i == 0)
			cr_assert_eq(store_txn_delete(txn, "t/gone", &err), 0);
		cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
	}
	follower_await(&follower, "t/b", "19");
	follower_await(&follower, "t/gone", NULL);
	cr_assert_eq(follower.events, 41);
	cr_assert_eq(follower.txns, 20);
	follower_stop(&follower);
}

ON_BOTH(a_watch_lists_anew_every_now_and_then_and_misses_nothing)
{
	struct follower follower;
	char value[16];
	follower_start(&follower, store, "r/", 50);
	for (int i = 0; i < 300; i++) {
		snprintf(value, sizeof value, "%d", i);
		put_key(store, i % 2 ? "r/odd" : "r/even", value);
	}
	follower_await(&follower, "r/odd", "299");
	follower_await(&follower, "r/even", "298");
	follower_await_syncs(&follower, 4);
	follower_stop(&follower);
}

ON_BOTH(a_watch_survives_a_compaction)
{
	struct err err = { 0 };
	struct follower follower;
	follower_start(&follower, store, "c/", LONG_MS);
	follower_await_syncs(&follower, 1);
	int64_t revision = put_key(store, "c/1", "1");
	cr_assert_eq(store_compact(store, revision, &err), 0, "%s", err.text);
	put_key(store, "c/1", "2");
	follower_await(&follower, "c/1", "2");
	follower_stop(&follower);
}

ON_BOTH(compacting_twice_is_fine_and_into_the_future_is_refused)
{
	struct err err = { 0 };
	int64_t revision = put_key(store, "a", "1");
	put_key(store, "a", "2");
	cr_assert_eq(store_compact(store, revision, &err), 0, "%s", err.text);
	cr_assert_eq(store_compact(store, revision, &err), 0, "%s", err.text);
	cr_assert_eq(store_compact(store, revision + 1000, &err), E_INVALID);
	cr_assert_eq(store_compact(store, 0, &err), E_INVALID);
	cr_assert_str_eq(get_key(store, "a").value, "2");
}

/* --- leadership --- */

ON_BOTH(of_two_campaigners_one_leads_and_the_other_follows_at_once_when_it_stops)
{
	struct campaign a, b;
	campaign_start(&a, store, "lead", "a", 60);
	int64_t first = campaign_await(&a, true, 0, LONG_MS);
	cr_assert_gt(first, 0);
	cr_assert_eq(get_key(store, "lead").create_revision, first);
	cr_assert_str_eq(get_key(store, "lead").value, "a");
	campaign_start(&b, store, "lead", "b", 60);
	wait_ms(600);
	cr_assert_eq(campaign_now(&b), 0);
	cr_assert_eq(campaign_now(&a), first);
	campaign_stop(&a);
	cr_assert_eq(campaign_now(&a), 0, "it was not told that its lead has ended");
	int64_t second = campaign_await(&b, true, first, 30000);
	cr_assert_gt(second, first, "the lead did not pass on at once");
	cr_assert_str_eq(get_key(store, "lead").value, "b");
	campaign_stop(&b);
	cr_assert_eq(get_key(store, "lead").mod_revision, 0);
}

ON_BOTH(a_leader_whose_key_is_deleted_is_told_0_and_campaigns_again)
{
	struct campaign a;
	campaign_start(&a, store, "lead", "a", 60);
	int64_t first = campaign_await(&a, true, 0, LONG_MS);
	cr_assert_gt(first, 0);
	cr_assert_eq(delete_key(store, "lead"), 0);
	int64_t second = campaign_await(&a, true, first, LONG_MS);
	cr_assert_gt(second, first);
	pthread_mutex_lock(&a.mutex);
	cr_assert_eq(a.count, 3);
	cr_assert_eq(a.told[1], 0, "it led twice without a 0 in between");
	pthread_mutex_unlock(&a.mutex);
	campaign_stop(&a);
}

ON_BOTH(a_deposed_leader_can_write_nothing)
{
	struct err err = { 0 };
	struct campaign a;
	campaign_start(&a, store, "lead", "a", 60);
	int64_t lead = campaign_await(&a, true, 0, LONG_MS);
	AUTO(store_txn) *txn = txn_new();
	cr_assert_eq(store_txn_if_create(txn, "lead", lead, &err), 0);
	cr_assert_eq(store_txn_put(txn, "journal/1", "x", 1, &err), 0);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(delete_key(store, "lead"), 0);
	cr_assert_gt(campaign_await(&a, true, lead, LONG_MS), lead);
	cr_assert_eq(store_commit(store, txn, NULL, &err), E_PRECONDITION);
	campaign_stop(&a);
}

ON_BOTH(a_lease_or_relist_out_of_range_is_refused)
{
	struct err err = { 0 };
	struct store_lead *lead = NULL;
	struct store_watch *watch = NULL;
	struct store_watch_ops ops = { 0 };
	cr_assert_eq(store_lead_new(store, "lead", "a", 1, NULL, NULL, &lead, &err), E_INVALID);
	cr_assert_eq(store_lead_new(store, "lead", "", 5, NULL, NULL, &lead, &err), E_INVALID);
	cr_assert_eq(store_watch_new(store, "w/", &ops, 0, &watch, &err), E_INVALID);
	cr_assert_null(lead);
	cr_assert_null(watch);
}
