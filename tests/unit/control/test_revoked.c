/* test_revoked.c - what was revoked is refused by every replica at once. */
#include "common/defs.h"
#include "control/revoked.h"

#include "common/store_mem.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 20000, ROUNDS = 25, READERS = 6 };

#define ACME "/v1/tenants/acme"

static int64_t mark(struct store *store, const uint8_t *key)
{
	AUTO(change) *change = NULL;
	AUTO(store_txn) *txn = NULL;
	struct err err = { 0 };
	int64_t revision = 0;
	cr_assert_eq(change_new(&change, &err), 0);
	cr_assert_eq(revoked_mark(change, 1, &err), 0, "%s", err.text);
	cr_assert_eq(change_store(change, store, key, &err), 0, "%s", err.text);
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	cr_assert_eq(store_txn_put(txn, "other", "x", 1, &err), 0);
	cr_assert_eq(store_commit(store, txn, &revision, &err), 0, "%s", err.text);
	return revision - 1;
}

Test(revoked, memory_that_is_older_than_the_mark_does_not_decide)
{
	static const uint8_t key[KEY_BYTES] = { 3 };
	struct store *store = NULL;
	struct revoked *revoked = NULL;
	struct err err = { 0 };
	cr_assert_eq(crypto_start(&err), 0);
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0);
	cr_assert_eq(revoked_new(store, &revoked, &err), 0);
	cr_expect_eq(revoked_check(revoked, 0, &err), 0, "nothing was revoked yet: %s", err.text);
	int64_t first = mark(store, key), second = mark(store, key);
	cr_assert_lt(first, second);
	cr_expect_eq(revoked_check(revoked, first, &err), E_NOT_LEADER);
	cr_expect_eq(revoked_check(revoked, second, &err), 0, "%s", err.text);
	revoked_free(revoked);
	store_free(store);
}

struct reader { struct revoked *revoked; int64_t followed; int wrong; };

static void *read_often(void *context)
{
	struct reader *reader = context;
	for (int i = 0; i < 200; i++)
		reader->wrong += revoked_check(reader->revoked, reader->followed, NULL) != 0;
	return NULL;
}

Test(revoked, many_ask_at_once_and_each_is_answered)
{
	static const uint8_t key[KEY_BYTES] = { 3 };
	struct store *store = NULL;
	struct revoked *revoked = NULL;
	pthread_t threads[READERS];
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(store_mem_new(clock_system(), &store, NULL), 0);
	cr_assert_eq(revoked_new(store, &revoked, NULL), 0);
	struct reader reader[READERS];
	int64_t revision = mark(store, key);
	for (int i = 0; i < READERS; i++) {
		reader[i] = (struct reader){ revoked, revision, 0 };
		cr_assert_eq(pthread_create(&threads[i], NULL, read_often, &reader[i]), 0);
	}
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_eq(reader[i].wrong, 0);
	}
	revoked_free(revoked);
	store_free(store);
}

/* --- two replicas --- */

static void start_two(struct plane *planes[2])
{
	planes[0] = plane_start_with(&(struct plane_options){ .replica = "a", .shards = 1 });
	planes[1] = plane_start_with(&(struct plane_options){ .replica = "b", .shards = 1,
	                                                      .beside = planes[0] });
}

static void until_reads(struct plane *plane, const char *key)
{
	for (int ms = 0; plane_call(plane, key, "GET", ACME, NULL).status != 200; ms++) {
		cr_assert_lt(ms, WAIT_MS, "the key is not taken");
		usleep(1000);
	}
}

Test(revoked, a_follower_refuses_a_key_right_after_its_revocation_was_acknowledged)
{
	struct plane *planes[2];
	start_two(planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	for (int i = 0; i < ROUNDS; i++) {
		struct answer made = plane_call(planes[0], admin, "POST",
		                                ACME "/principals/admin/keys", NULL);
		cr_assert_eq(made.status, 201, "%s", made.text);
		const char *key = value_get_str(made.body, "key");
		const char *path = arena_printf(planes[0]->arena, ACME "/principals/admin/keys/%s",
		                                value_get_str(made.body, "id"));
		until_reads(planes[1], key);
		struct answer gone = plane_call(planes[0], admin, "DELETE", path, NULL);
		cr_assert_eq(gone.status, 200, "%s", gone.text);
		struct answer read = plane_call(planes[1], key, "GET", ACME, NULL);
		cr_assert_eq(read.status, 401, "round %d: %s", i, read.text);
	}
	plane_stop(planes[1]);
	plane_stop(planes[0]);
}

Test(revoked, a_role_that_was_taken_away_is_gone_on_a_follower_too)
{
	struct plane *planes[2];
	start_two(planes);
	const char *admin = plane_tenant(planes[0], "acme", "flights");
	const char *carol = plane_principal(planes[0], "acme", "carol", "'tenant-admin'", NULL);
	for (int i = 0; i < ROUNDS; i++) {
		plane_put(planes[0], admin, "Principal", ACME "/principals/carol",
		          "{'roles':['tenant-admin']}");
		for (int ms = 0; plane_call(planes[1], carol, "GET", ACME "/principals",
		                            NULL).status != 200; ms++) {
			cr_assert_lt(ms, WAIT_MS);
			usleep(1000);
		}
		plane_put(planes[0], admin, "Principal", ACME "/principals/carol",
		          "{'roles':['consumer']}");
		struct answer read = plane_call(planes[1], carol, "GET", ACME "/principals", NULL);
		cr_assert_eq(read.status, 403, "round %d: %s", i, read.text);
	}
	plane_stop(planes[1]);
	plane_stop(planes[0]);
}
