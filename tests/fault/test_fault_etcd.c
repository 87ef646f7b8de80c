/* test_fault_etcd.c - a real etcd that is full, compacted, forgets its tokens, loses members one
 * by one or all at once, or stalls, while a journal is written, checkpointed and followed: what
 * was acknowledged is there once and in order, what was refused is not there, and it goes on by
 * itself. */
#include "common/defs.h"
#include "common/store_etcd.h"

#include "control/follow.h"
#include "tests/support/etcd.h"
#include "tests/support/follow.h"
#include "tests/support/logbook.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NUMBERS_MAX = 100000, PATIENCE_MS = 60000, STEP_MS = 20, SETTLE = 40 };

static struct store *open_conf(const struct store_etcd_conf *conf)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_etcd_new(conf, clock_system(), &store, &err), 0, "%s", err.text);
	return store;
}

static struct store *open_at(const char *urls)
{
	return open_conf(&(struct store_etcd_conf){ .endpoints = urls, .prefix = "/freehold/" });
}

/* --- somebody who commits, whatever happens --- */

struct steady {
	struct logbook *book;
	pthread_t thread;
	atomic_bool stop;
	atomic_int done;             /* acknowledged */
	int next;                    /* the next number; its own until it is joined */
	int8_t *fate;                /* by number: 1 acknowledged, 0 refused, -1 unknown */
	bool checkpoints;
};

static void lead_again(struct steady *steady)
{
	struct logbook *book = steady->book;
	while (journal_epoch(book->journal) == 0 && !atomic_load(&steady->stop)) {
		if (logbook_replay(book) < 0)
			wait_ms(STEP_MS);
	}
}

static void *commit_on(void *context)
{
	struct steady *steady = context;
	while (!atomic_load(&steady->stop) && steady->next < NUMBERS_MAX) {
		int n = steady->next++;
		int rc = logbook_commit(steady->book, n);
		steady->fate[n] = rc == 0 ? 1 : rc == E_UNKNOWN_OUTCOME ? -1 : 0;
		atomic_fetch_add(&steady->done, rc == 0);
		if (rc < 0) {
			lead_again(steady);
			wait_ms(STEP_MS);
		}
		if (steady->checkpoints && n % 50 == 49)
			journal_checkpoint(steady->book->journal);
	}
	return NULL;
}

static void steady_start(struct steady *steady, struct store *store, bool checkpoints)
{
	*steady = (struct steady){
		.book = logbook_open(store, 0), .checkpoints = checkpoints,
		.fate = calloc(NUMBERS_MAX, 1),
	};
	cr_assert_not_null(steady->fate);
	cr_assert_eq(pthread_create(&steady->thread, NULL, commit_on, steady), 0);
}

/* Until so many more are acknowledged. */
static void steady_await(struct steady *steady, int more)
{
	int until = atomic_load(&steady->done) + more;
	for (int waited = 0; atomic_load(&steady->done) < until; waited += STEP_MS) {
		cr_assert_lt(waited, PATIENCE_MS, "commits do not go on");
		wait_ms(STEP_MS);
	}
}

/* From the store alone, as a new process finds it. */
static void check_numbers(struct steady *steady, struct logbook *found)
{
	size_t at = 0;
	for (int n = 0; n < steady->next; n++) {
		bool there = at < found->count && found->seen[at] == n;
		at += there;
		if (steady->fate[n] == 1)
			cr_assert(there, "%d was acknowledged and is lost", n);
		if (steady->fate[n] == 0)
			cr_assert_not(there, "%d was refused and is there", n);
	}
	cr_assert_eq(at, found->count, "something is there twice, or out of order");
}

static void steady_end(struct steady *steady)
{
	struct logbook *book = steady->book;
	atomic_store(&steady->stop, true);
	pthread_join(steady->thread, NULL);
	book->epoch = logbook_depose(book->store);
	cr_assert_eq(logbook_replay(book), 0, "%s", book->err.text);
	check_numbers(steady, book);
	logbook_survives(book);
	logbook_close(book);
	free(steady->fate);
}

/* --- full --- */

enum { QUOTA = 16 * 1024 * 1024, FILL_MAX = 100 };

static int64_t newest_revision(struct store *store)
{
	return put_key(store, "probe", "1");
}

static int fill_one(struct store *store)
{
	static char junk[MIB];
	struct err err = { 0 };
	AUTO(store_txn) *txn = NULL;
	random_bytes(junk, sizeof junk);
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	cr_assert_eq(store_txn_put(txn, "junk", junk, sizeof junk, &err), 0);
	return store_commit(store, txn, NULL, &err);
}

/* What the runbook says: compact, defragment, disarm. */
static void operator_makes_room(struct etcd *etcd, int64_t revision)
{
	char json[128], answer[1024];
	snprintf(json, sizeof json, "{\"revision\":\"%" PRId64 "\",\"physical\":true}", revision);
	cr_assert_eq(etcd_post(etcd, "/v3/kv/compaction", json, NULL, 0), 200);
	cr_assert_eq(etcd_post(etcd, "/v3/maintenance/defragment", "{}", NULL, 0), 200);
	cr_assert_eq(etcd_post(etcd, "/v3/maintenance/alarm", "{\"action\":\"GET\"}", answer,
	                       sizeof answer), 200);
	const char *member = strstr(answer, "\"memberID\":\"");
	cr_assert_not_null(member, "%s", answer);
	member += strlen("\"memberID\":\"");
	snprintf(json, sizeof json, "{\"action\":\"DEACTIVATE\",\"memberID\":\"%.*s\","
	         "\"alarm\":\"NOSPACE\"}", (int)strspn(member, "0123456789"), member);
	cr_assert_eq(etcd_post(etcd, "/v3/maintenance/alarm", json, NULL, 0), 200);
}

Test(fault_etcd, at_its_space_quota_it_refuses_by_name_reads_on_and_goes_on_after_room_is_made)
{
	struct etcd *etcd = etcd_start_with(&(struct etcd_options){ .quota_bytes = QUOTA });
	struct store *store = open_at(etcd_url(etcd));
	struct logbook *book = logbook_open(store, 0);
	logbook_fill(book, 0, 100);
	int64_t revision = newest_revision(store);
	for (int i = 0; fill_one(store) == 0; i++)   /* history, as nobody compacts */
		cr_assert_lt(i, FILL_MAX, "it is never full");
	cr_assert_eq(logbook_commit(book, 999), E_NO_SPACE, "%s", book->err.text);
	cr_assert_not_null(strstr(book->err.text, "etcd is full"), "%s", book->err.text);
	cr_assert_not_null(strstr(book->err.text, "compact"), "what to do: %s", book->err.text);
	cr_assert_not(logbook_checkpoint(book), "nor can a checkpoint be written");
	cr_assert_neq(journal_epoch(book->journal), 0, "that is no reason to stop leading");
	logbook_survives(book);
	revision = get_key(store, "junk").mod_revision > revision ?
		get_key(store, "junk").mod_revision : revision;
	operator_makes_room(etcd, revision);
	logbook_fill(book, 100, 100);
	logbook_survives(book);
	cr_assert(logbook_checkpoint(book), "%s", book->err.text);
	logbook_survives(book);
	cr_assert_eq(logbook_count(book), 200);
	logbook_close(book);
	store_free(store);
	etcd_stop(etcd);
}

/* --- a follower whose history is gone --- */

static struct follow *follow_it(struct logbook *mirror)
{
	struct follow *follow = NULL;
	const struct follow_conf conf = {
		.store = mirror->store, .clock = mirror->clock, .state_key = mirror->key,
		.prefix = "journal/0/", .checkpoint_prefix = "checkpoint/0/",
		.ops = { logbook_clear, logbook_record, logbook_whole, mirror },
	};
	cr_assert_eq(follow_new(&conf, &follow, &mirror->err), 0, "%s", mirror->err.text);
	return follow;
}

static void catches_up(struct follow *follow, struct logbook *mirror, struct logbook *book)
{
	logbook_fill(book, LOGBOOK_MAX + (int64_t)logbook_count(book), 1);
	for (int waited = 0; logbook_count(mirror) != logbook_count(book) ||
	     follow_revision(follow) == 0; waited += STEP_MS) {
		cr_assert_lt(waited, PATIENCE_MS, "it stays behind");
		wait_ms(STEP_MS);
	}
	logbook_same(book, mirror);
}

Test(fault_etcd, compacted_under_a_watch_a_follower_begins_again_and_is_the_same)
{
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd)), *other = open_at(etcd_url(etcd));
	struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(other);
	logbook_fill(book, 0, 50);
	struct follow *follow = follow_it(mirror);
	catches_up(follow, mirror, book);
	for (int round = 0; round < 3; round++) {
		int clears = mirror->clears;
		/* It does not read on while this is held; its watch ends; history goes. */
		pthread_mutex_lock(&mirror->mutex);
		logbook_fill(book, 1000 * (round + 1), 10);
		etcd_restart(etcd);
		logbook_fill(book, 1000 * (round + 1) + 10, 50);
		cr_assert(logbook_checkpoint(book), "%s", book->err.text);
		cr_assert_eq(store_compact(store, newest_revision(store), &book->err), 0, "%s",
		             book->err.text);
		pthread_mutex_unlock(&mirror->mutex);
		catches_up(follow, mirror, book);
		cr_assert_gt(mirror->clears, clears, "it did not notice what it missed");
	}
	follow_free(follow);
	logbook_close(mirror);
	logbook_close(book);
	store_free(other);
	store_free(store);
	etcd_stop(etcd);
}

Test(fault_etcd, compacted_while_it_is_watched_a_follower_that_keeps_up_does_not_begin_again)
{
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd)), *other = open_at(etcd_url(etcd));
	struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(other);
	struct follow *follow = follow_it(mirror);
	for (int round = 0; round < 5; round++) {
		logbook_fill(book, 1000 * round, 50);
		catches_up(follow, mirror, book);
		cr_assert(logbook_checkpoint(book), "%s", book->err.text);
		cr_assert_eq(store_compact(store, newest_revision(store), &book->err), 0, "%s",
		             book->err.text);
	}
	logbook_fill(book, 9000, 5);
	catches_up(follow, mirror, book);
	cr_assert_eq(mirror->clears, 1);
	follow_free(follow);
	logbook_close(mirror);
	logbook_close(book);
	store_free(other);
	store_free(store);
	etcd_stop(etcd);
}

/* --- tokens --- */

enum { TTL_S = 1, IDLE_MS = 3200 };

Test(fault_etcd, tokens_that_expire_are_renewed_under_commits_checkpoints_and_watches)
{
	struct etcd *etcd = etcd_start_with(&(struct etcd_options){ .token_ttl_s = TTL_S });
	char path[128];
	snprintf(path, sizeof path, "%s/password", etcd_dir(etcd));
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	cr_assert(fd >= 0 && write(fd, "open sesame", 11) == 11);
	close(fd);
	etcd_enable_auth(etcd, "open sesame");
	const struct store_etcd_conf conf = {
		.endpoints = etcd_url(etcd), .prefix = "/freehold/", .user = "root",
		.password_file = path,
	};
	struct store *store = open_conf(&conf), *other = open_conf(&conf);
	struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(other);
	struct follow *follow = follow_it(mirror);
	for (int round = 0; round < 3; round++) {
		logbook_fill(book, 100 * round, 20);
		cr_assert(logbook_checkpoint(book), "%s", book->err.text);
		catches_up(follow, mirror, book);
		wait_ms(IDLE_MS);            /* nobody uses the token: etcd forgets it */
	}
	logbook_fill(book, 1000, 20);
	catches_up(follow, mirror, book);
	logbook_survives(book);
	follow_free(follow);
	logbook_close(mirror);
	logbook_close(book);
	store_free(other);
	store_free(store);
	etcd_stop(etcd);
}

/* --- three members --- */

struct three {
	struct etcd *members[ETCD_MEMBERS];
	struct store *store;
	struct steady steady;
};

static void three_start(struct three *three)
{
	char urls[256];
	etcd_start_three(three->members);
	etcd_urls(three->members, urls);
	three->store = open_at(urls);
	steady_start(&three->steady, three->store, true);
	steady_await(&three->steady, SETTLE);
}

static void three_end(struct three *three)
{
	steady_await(&three->steady, SETTLE);
	steady_end(&three->steady);
	store_free(three->store);
	etcd_stop_three(three->members);
}

Test(fault_etcd, the_leading_member_killed_again_and_again_costs_nothing_acknowledged)
{
	struct three three;
	three_start(&three);
	for (int round = 0; round < 3; round++) {
		struct etcd *member = three.members[etcd_leader(three.members)];
		etcd_kill(member);
		steady_await(&three.steady, SETTLE);
		etcd_launch(member);
		etcd_await(member);
	}
	three_end(&three);
}

Test(fault_etcd, a_following_member_killed_is_hardly_noticed)
{
	struct three three;
	three_start(&three);
	for (int i = 0; i < ETCD_MEMBERS; i++) {
		if (i == etcd_leader(three.members))
			continue;
		etcd_kill(three.members[i]);
		steady_await(&three.steady, SETTLE);
		etcd_launch(three.members[i]);
		etcd_await(three.members[i]);
	}
	three_end(&three);
}

Test(fault_etcd, all_members_killed_and_back_lose_nothing_acknowledged)
{
	struct three three;
	three_start(&three);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < ETCD_MEMBERS; i++)
			etcd_kill(three.members[i]);
		wait_ms(300);
		for (int i = 0; i < ETCD_MEMBERS; i++)
			etcd_launch(three.members[i]);
		for (int i = 0; i < ETCD_MEMBERS; i++)
			etcd_await(three.members[i]);
		steady_await(&three.steady, SETTLE);
	}
	three_end(&three);
}

Test(fault_etcd, a_member_that_stalls_is_gone_round_and_taken_back)
{
	struct three three;
	three_start(&three);
	for (int round = 0; round < 2; round++) {
		struct etcd *member = three.members[etcd_leader(three.members)];
		etcd_pause(member);
		steady_await(&three.steady, SETTLE);
		etcd_resume(member);
		steady_await(&three.steady, SETTLE);
	}
	three_end(&three);
}
