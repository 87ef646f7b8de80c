/* test_journal.c - what is acknowledged is durable, in order, once, through every failure. */
#include "common/defs.h"
#include "control/journal.h"

#include "common/crypto.h"
#include "common/store_mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 4096 };

/* A journal over the store in memory, and what it told of. */
struct bench {
	struct store *store;
	struct journal *journal;
	struct err err;
	uint8_t key[KEY_BYTES];
	int64_t epoch;
	pthread_mutex_t mutex;       /* guards what follows */
	int64_t seen[SEEN_MAX];
	size_t seen_count;
	size_t resources;
	int lost;
};

static void on_record(void *context, const struct value *record)
{
	struct bench *bench = context;
	pthread_mutex_lock(&bench->mutex);
	cr_assert_lt(bench->seen_count, SEEN_MAX);
	bench->seen[bench->seen_count++] = value_get_int(record, "n", -1);
	pthread_mutex_unlock(&bench->mutex);
}

static void on_resource(void *context, const char *key, const struct value *value, int64_t revision)
{
	struct bench *bench = context;
	(void)key, (void)value;
	cr_assert_gt(revision, 0);
	bench->resources++;
}

static void on_lost(void *context)
{
	((struct bench *)context)->lost++;
}

/* Takes the leader key as a new replica would. */
static int64_t become_leader(struct bench *bench)
{
	struct store_txn *txn = NULL;
	int64_t revision = 0;
	cr_assert_eq(store_txn_new(&txn, &bench->err), 0);
	cr_assert_eq(store_txn_delete(txn, "leader/0", &bench->err), 0);
	cr_assert_eq(store_commit(bench->store, txn, &revision, &bench->err), 0);
	store_txn_free(txn);
	cr_assert_eq(store_txn_new(&txn, &bench->err), 0);
	cr_assert_eq(store_txn_put(txn, "leader/0", "me", 2, &bench->err), 0);
	cr_assert_eq(store_commit(bench->store, txn, &revision, &bench->err), 0);
	store_txn_free(txn);
	return revision;
}

static struct journal *journal_open(struct bench *bench)
{
	struct journal *journal = NULL;
	struct journal_conf conf = {
		.store = bench->store, .clock = clock_system(), .state_key = bench->key,
		.leader_key = "leader/0", .prefix = "journal/0/",
		.ops = { on_record, on_resource, on_lost, bench },
	};
	cr_assert_eq(journal_new(&conf, &journal, &bench->err), 0, "%s", bench->err.text);
	return journal;
}

static struct bench *bench_new(void)
{
	struct bench *bench = calloc(1, sizeof *bench);
	cr_assert(bench);
	cr_assert_eq(crypto_start(&bench->err), 0);
	pthread_mutex_init(&bench->mutex, NULL);
	memset(bench->key, 7, sizeof bench->key);
	cr_assert_eq(store_mem_new(clock_system(), &bench->store, &bench->err), 0);
	bench->journal = journal_open(bench);
	bench->epoch = become_leader(bench);
	cr_assert_eq(journal_lead(bench->journal, bench->epoch, &bench->err), 0, "%s",
	             bench->err.text);
	return bench;
}

static void bench_end(struct bench *bench)
{
	journal_free(bench->journal);
	store_free(bench->store);
	pthread_mutex_destroy(&bench->mutex);
	free(bench);
}

static struct change *numbered(int64_t n)
{
	struct err err;
	struct change *change = NULL;
	cr_assert_eq(change_new(&change, &err), 0);
	struct value *record = value_map(change_arena(change));
	value_set_int(record, "n", n);
	cr_assert_eq(change_record(change, record, &err), 0);
	return change;
}

static int commit(struct bench *bench, int64_t n)
{
	struct change *change = numbered(n);
	int rc = journal_commit(bench->journal, change, &bench->err);
	change_free(change);
	return rc;
}

static int commit_put(struct bench *bench, int64_t n, const char *key, int64_t expect)
{
	struct change *change = numbered(n);
	struct value *value = value_map(change_arena(change));
	value_set_int(value, "n", n);
	cr_assert_eq(change_put(change, key, value, expect, &bench->err), 0);
	int rc = journal_commit(bench->journal, change, &bench->err);
	change_free(change);
	return rc;
}

static void replay(struct bench *bench)
{
	bench->seen_count = 0;
	cr_assert_eq(journal_lead(bench->journal, 0, &bench->err), 0);
	cr_assert_eq(journal_lead(bench->journal, bench->epoch, &bench->err), 0, "%s",
	             bench->err.text);
}

Test(journal, replay_tells_the_same_in_the_same_order)
{
	struct bench *bench = bench_new();
	int64_t live[SEEN_MAX];
	for (int64_t n = 0; n < 300; n++)
		cr_assert_eq(commit(bench, n), 0, "%s", bench->err.text);
	size_t count = bench->seen_count;
	memcpy(live, bench->seen, sizeof live);
	cr_assert_eq(count, 300);
	replay(bench);
	cr_assert_eq(bench->seen_count, count);
	cr_assert_eq(memcmp(live, bench->seen, count * sizeof live[0]), 0);
	cr_assert_eq(commit(bench, 300), 0, "goes on after a replay: %s", bench->err.text);
	bench->epoch = become_leader(bench);
	replay(bench);
	cr_assert_eq(bench->seen_count, 301);
	bench_end(bench);
}

struct committer { struct bench *bench; int64_t first; };

static void *commit_many(void *context)
{
	struct committer *committer = context;
	struct err err;
	for (int64_t n = 0; n < 100; n++) {
		struct change *change = numbered(committer->first + n);
		cr_assert_eq(journal_commit(committer->bench->journal, change, &err), 0);
		change_free(change);
	}
	return NULL;
}

Test(journal, commits_of_many_threads_share_transactions)
{
	struct bench *bench = bench_new();
	pthread_t threads[8];
	struct committer committers[8];
	for (size_t i = 0; i < 8; i++) {
		committers[i] = (struct committer){ bench, (int64_t)i * 1000 };
		pthread_create(&threads[i], NULL, commit_many, &committers[i]);
	}
	for (size_t i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	struct journal_stats stats;
	journal_stats(bench->journal, &stats);
	cr_assert_eq(bench->seen_count, 800);
	cr_assert_eq(stats.changes, 800);
	cr_assert_leq(stats.commits, 800);
	replay(bench);
	cr_assert_eq(bench->seen_count, 800);
	bench_end(bench);
}

Test(journal, a_failed_compare_refuses_that_change_alone)
{
	struct bench *bench = bench_new();
	cr_assert_eq(commit_put(bench, 1, "r/domain/acme/a", 0), 0, "%s", bench->err.text);
	cr_assert_eq(commit_put(bench, 2, "r/domain/acme/a", 0), E_PRECONDITION);
	cr_assert(strstr(bench->err.text, "ETag"), "%s", bench->err.text);
	cr_assert_eq(commit_put(bench, 3, "r/domain/acme/a", -1), 0);
	cr_assert_eq(bench->seen_count, 2);
	cr_assert_eq(bench->resources, 2);
	cr_assert_eq(journal_epoch(bench->journal), bench->epoch);
	bench_end(bench);
}

static int visit_sealed(void *context, const struct store_item *item, struct err *err)
{
	struct bench *bench = context;
	struct arena *arena = NULL;
	struct value *value = NULL;
	cr_assert_eq(arena_new(MIB, &arena, err), 0);
	cr_assert_eq(journal_open_value(bench->key, item->key, item->value, item->value_len, arena,
	                                &value, err), 0);
	cr_assert_eq(value_get_int(value, "n", 0), 1);
	cr_assert_eq(journal_open_value(bench->key, "r/domain/acme/b", item->value, item->value_len,
	                                arena, &value, err), E_CORRUPT);
	arena_free(arena);
	return 0;
}

Test(journal, a_stored_value_opens_only_under_its_own_key)
{
	struct bench *bench = bench_new();
	cr_assert_eq(commit_put(bench, 1, "r/domain/acme/a", 0), 0);
	cr_assert_eq(store_get(bench->store, "r/domain/acme/a", visit_sealed, bench, &bench->err),
	             0);
	bench_end(bench);
}

Test(journal, a_deposed_leader_commits_nothing)
{
	struct bench *bench = bench_new();
	cr_assert_eq(commit(bench, 1), 0);
	become_leader(bench);
	cr_assert_eq(commit_put(bench, 2, "r/domain/acme/a", 0), E_NOT_LEADER);
	cr_assert_eq(journal_epoch(bench->journal), 0);
	cr_assert_eq(bench->lost, 1);
	cr_assert_eq(commit(bench, 3), E_NOT_LEADER);
	cr_assert_eq(bench->seen_count, 1);
	cr_assert_eq(bench->resources, 0);
	bench_end(bench);
}

Test(journal, a_lost_answer_is_found_out_and_applied_once)
{
	struct bench *bench = bench_new();
	store_mem_fail(bench->store, 1, E_UNKNOWN_OUTCOME);
	cr_assert_eq(commit(bench, 1), 0, "%s", bench->err.text);
	store_mem_fail(bench->store, 0, 0);
	cr_assert_eq(commit(bench, 2), 0, "%s", bench->err.text);
	replay(bench);
	cr_assert_eq(bench->seen_count, 2);
	bench_end(bench);
}

Test(journal, any_store_call_may_fail_once_and_nothing_acknowledged_is_lost)
{
	static const int codes[] = { E_UNAVAILABLE, E_UNKNOWN_OUTCOME, E_PRECONDITION, E_NOMEM };
	for (uint64_t call = 1; call < 12; call++)
		for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
			struct bench *bench = bench_new();
			int64_t acknowledged[8];
			size_t count = 0;
			store_mem_fail(bench->store, call, codes[i]);
			for (int64_t n = 0; n < 8; n++) {
				if (commit_put(bench, n, n % 2 ? "r/a/odd" : "r/a/even", -1) == 0)
					acknowledged[count++] = n;
				else if (!journal_epoch(bench->journal))
					replay(bench);
			}
			store_mem_fail(bench->store, 0, 0);
			replay(bench);
			cr_assert_geq(bench->seen_count, count);
			for (size_t a = 0, s = 0; a < count; a++, s++) {
				while (s < bench->seen_count && bench->seen[s] != acknowledged[a])
					s++;
				cr_assert_lt(s, bench->seen_count, "%ld is lost",
				             (long)acknowledged[a]);
			}
			for (size_t s = 1; s < bench->seen_count; s++)
				cr_assert_gt(bench->seen[s], bench->seen[s - 1],
				             "nothing is there twice");
			bench_end(bench);
		}
}

Test(journal, a_change_over_the_limit_is_refused_with_the_numbers)
{
	struct bench *bench = bench_new();
	struct change *change = numbered(1);
	size_t len = 950 * KIB;
	uint8_t *noise = malloc(len);
	cr_assert(noise);
	random_bytes(noise, len);
	struct value *value = value_bin(change_arena(change), noise, len);
	struct value *map = value_map(change_arena(change));
	value_set(map, "x", value);
	cr_assert_eq(change_put(change, "r/a/b", map, -1, &bench->err), 0);
	cr_assert_eq(journal_commit(bench->journal, change, &bench->err), E_TOO_LARGE);
	cr_assert_eq(commit(bench, 2), 0);
	change_free(change);
	free(noise);
	bench_end(bench);
}
