/* The store on an etcd that dies, stalls, forgets its tokens and loses answers: nothing that was
 * reported as done is lost, nothing that was reported as not done happened. */
#include "common/defs.h"
#include "common/store.h"

#include "common/store_etcd.h"
#include "tests/support/etcd.h"
#include "tests/support/folder.h"
#include "tests/support/follow.h"
#include "tests/support/pems.h"
#include "tests/support/process.h"
#include "tests/support/relay.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* SLACK: a call that minds no deadline takes longer, one on a busy machine does not. */
enum { LONG_MS = 60000, WRITERS = 6, WRITES_MAX = 20000, SHORT_MS = 1200, SLACK_MS = 15000,
       LEASE_S = 6 };

static struct store *open_conf(const struct store_etcd_conf *conf)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_etcd_new(conf, clock_system(), &store, &err), 0, "%s", err.text);
	return store;
}

static struct store *open_at(const char *url, int timeout_ms)
{
	return open_conf(&(struct store_etcd_conf){
		.endpoints = url, .prefix = "/freehold/", .timeout_ms = timeout_ms,
	});
}

static int ignore_item(void *context, const struct store_item *item, struct err *err)
{
	(void)item;
	(void)err;
	++*(int *)context;
	return 0;
}

static int put_rc(struct store *store, const char *key, const char *value)
{
	struct err err = { 0 };
	AUTO(store_txn) *txn = NULL;
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	cr_assert_eq(store_txn_put(txn, key, value, strlen(value), &err), 0);
	return store_commit(store, txn, NULL, &err);
}

/* --- death --- */

struct writer {
	struct store *store;
	int id;
	const int *stop;
	int made;                  /* keys tried: ID/0 .. ID/made-1 */
	int *codes;                /* of each */
};

/* Each write creates a key that must not exist, so that a repetition would be noticed as a refusal
 * of a write that happened. */
static void *write_on(void *context)
{
	struct writer *writer = context;
	while (!__atomic_load_n(writer->stop, __ATOMIC_ACQUIRE) && writer->made < WRITES_MAX) {
		char key[64];
		snprintf(key, sizeof key, "k/%d/%d", writer->id, writer->made);
		writer->codes[writer->made] = put_if_mod(writer->store, key, key, 0, NULL);
		__atomic_add_fetch(&writer->made, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

struct progress {
	const struct writer *writers;
	int made;
};

static bool have_written(void *context)
{
	const struct progress *progress = context;
	int made = 0;
	for (int i = 0; i < WRITERS; i++)
		made += __atomic_load_n(&progress->writers[i].made, __ATOMIC_ACQUIRE);
	return made >= progress->made;
}

static void check_writer(struct store *store, const struct writer *writer, int counts[3])
{
	for (int i = 0; i < writer->made; i++) {
		char key[64];
		snprintf(key, sizeof key, "k/%d/%d", writer->id, i);
		struct kept item = get_key(store, key);
		bool there = item.mod_revision != 0;
		int code = writer->codes[i];
		if (code == 0)
			cr_assert(there && item.mod_revision == item.create_revision,
				  "an acknowledged write is lost or was done twice");
		else if (code != E_UNKNOWN_OUTCOME)
			cr_assert_not(there, "a write reported as %s happened", err_name(code));
		cr_assert_neq(code, E_PRECONDITION, "a first write was refused");
		counts[code == 0 ? 0 : code == E_UNKNOWN_OUTCOME ? 1 : 2]++;
	}
}

Test(store_etcd_faults, sigkill_in_the_middle_of_commits_loses_and_repeats_nothing)
{
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	struct writer writers[WRITERS] = { 0 };
	struct progress progress = { writers, 0 };
	pthread_t threads[WRITERS];
	int stop = 0, counts[3] = { 0 };
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){
			.store = store, .id = i, .stop = &stop,
			.codes = calloc(WRITES_MAX, sizeof(int)),
		};
		cr_assert_not_null(writers[i].codes);
		cr_assert_eq(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
	}
	for (int kills = 0; kills < 4; kills++) {
		progress.made += 60 + 30 * kills;
		cr_assert(wait_until(have_written, &progress, LONG_MS), "nobody writes");
		etcd_restart(etcd);
	}
	progress.made += 60;
	cr_assert(wait_until(have_written, &progress, LONG_MS), "nobody writes again");
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < WRITERS; i++) {
		check_writer(store, &writers[i], counts);
		free(writers[i].codes);
	}
	cr_log_info("done %d, unknown %d, failed %d", counts[0], counts[1], counts[2]);
	cr_assert_gt(counts[0], 200);
	cr_assert_eq(counts[1], 0, "a restart within the timeout leaves no outcome unknown");
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, with_etcd_gone_calls_are_unavailable_by_the_deadline_and_did_not_happen)
{
	struct err err = { 0 };
	int visits = 0;
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), SHORT_MS);
	put_key(store, "before", "1");
	etcd_kill(etcd);
	int64_t begin = mono_ms();
	cr_assert_eq(store_get(store, "before", ignore_item, &visits, &err), E_UNAVAILABLE);
	cr_assert_leq(mono_ms() - begin, SHORT_MS + SLACK_MS);
	cr_assert_eq(visits, 0);
	cr_assert_not_null(strstr(err.text, "127.0.0.1"), "no address in: %s", err.text);
	begin = mono_ms();
	cr_assert_eq(put_rc(store, "never", "1"), E_UNAVAILABLE);
	cr_assert_leq(mono_ms() - begin, SHORT_MS + SLACK_MS);
	etcd_restart(etcd);
	cr_assert_eq(get_key(store, "never").mod_revision, 0);
	cr_assert_str_eq(get_key(store, "before").value, "1");
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, with_etcd_stalled_reads_are_unavailable_and_writes_unknown_by_the_deadline)
{
	struct err err = { 0 };
	int visits = 0;
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), SHORT_MS);
	put_key(store, "before", "1");
	etcd_pause(etcd);
	int64_t begin = mono_ms();
	cr_assert_eq(store_get(store, "before", ignore_item, &visits, &err), E_UNAVAILABLE);
	cr_assert_leq(mono_ms() - begin, SHORT_MS + SLACK_MS);
	begin = mono_ms();
	int rc = put_rc(store, "maybe", "1");
	cr_assert_eq(rc, E_UNKNOWN_OUTCOME, "%s", err_name(rc));
	cr_assert_leq(mono_ms() - begin, SHORT_MS + SLACK_MS);
	etcd_resume(etcd);
	put_key(store, "after", "1");
	cr_assert_str_eq(get_key(store, "after").value, "1");
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, a_stall_shorter_than_the_timeout_is_sat_out)
{
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	put_key(store, "before", "1");
	etcd_pause(etcd);
	pthread_t thread;
	int stop = 0;
	struct writer writer = { .store = store, .stop = &stop, .codes = calloc(WRITES_MAX, 4) };
	cr_assert_not_null(writer.codes);
	cr_assert_eq(pthread_create(&thread, NULL, write_on, &writer), 0);
	wait_ms(3000);
	etcd_resume(etcd);
	wait_ms(500);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	int counts[3] = { 0 };
	check_writer(store, &writer, counts);
	cr_assert_eq(counts[1] + counts[2], 0);
	cr_assert_gt(counts[0], 0);
	free(writer.codes);
	store_free(store);
	etcd_stop(etcd);
}

/* --- lost answers, one at a time --- */

struct lossy {
	struct etcd *etcd;
	struct relay *relay;
	struct store *direct, *store;      /* store: through the relay */
};

static void lossy_start(struct lossy *lossy)
{
	lossy->etcd = etcd_start();
	lossy->relay = relay_start(etcd_url(lossy->etcd));
	lossy->direct = open_at(etcd_url(lossy->etcd), 0);
	lossy->store = open_at(relay_url(lossy->relay), 2000);
	put_key(lossy->store, "warm", "1");
}

static void lossy_stop(struct lossy *lossy)
{
	store_free(lossy->store);
	store_free(lossy->direct);
	relay_stop(lossy->relay);
	etcd_stop(lossy->etcd);
}

Test(store_etcd_faults, a_write_that_happened_is_done_although_its_answer_was_lost)
{
	struct lossy lossy;
	lossy_start(&lossy);
	int64_t revision = 0;
	relay_lose(lossy.relay, RELAY_LOSE_ANSWER, "/kv/txn", 1, NULL, NULL);
	cr_assert_eq(put_if_mod(lossy.store, "fenced", "v", 0, &revision), 0);
	struct kept item = get_key(lossy.direct, "fenced");
	cr_assert_eq(item.mod_revision, revision);
	cr_assert_eq(item.create_revision, revision);
	relay_lose(lossy.relay, RELAY_LOSE_ANSWER, "/kv/txn", 1, NULL, NULL);
	revision = put_key(lossy.store, "blind", "v");
	item = get_key(lossy.direct, "blind");
	cr_assert_eq(item.mod_revision, revision);
	cr_assert_eq(item.create_revision, revision, "a write that happened was sent again");
	lossy_stop(&lossy);
}

Test(store_etcd_faults, a_write_that_was_lost_is_sent_again)
{
	struct lossy lossy;
	lossy_start(&lossy);
	relay_lose(lossy.relay, RELAY_LOSE_REQUEST, "/kv/txn", 2, NULL, NULL);
	cr_assert_eq(put_if_mod(lossy.store, "fenced", "v", 0, NULL), 0);
	cr_assert_str_eq(get_key(lossy.direct, "fenced").value, "v");
	relay_lose(lossy.relay, RELAY_LOSE_REQUEST, "/kv/txn", 2, NULL, NULL);
	put_key(lossy.store, "blind", "v");
	cr_assert_str_eq(get_key(lossy.direct, "blind").value, "v");
	lossy_stop(&lossy);
}

Test(store_etcd_faults, a_refused_write_is_refused_although_its_answer_was_lost)
{
	struct lossy lossy;
	lossy_start(&lossy);
	put_key(lossy.direct, "taken", "theirs");
	get_key(lossy.store, "taken");
	relay_lose(lossy.relay, RELAY_LOSE_ANSWER, "/kv/txn", 1, NULL, NULL);
	cr_assert_eq(put_if_mod(lossy.store, "taken", "ours", 0, NULL), E_PRECONDITION);
	cr_assert_str_eq(get_key(lossy.direct, "taken").value, "theirs");
	lossy_stop(&lossy);
}

static void overwrite(void *context)
{
	put_key(context, "key", "theirs, later");
	put_key(context, "key", "theirs, later still");
}

Test(store_etcd_faults, a_write_that_happened_is_found_under_later_ones)
{
	struct lossy lossy;
	lossy_start(&lossy);
	int64_t before = put_key(lossy.store, "key", "old"), revision = 0;
	relay_lose(lossy.relay, RELAY_LOSE_ANSWER, "/kv/txn", 1, overwrite, lossy.direct);
	cr_assert_eq(put_if_mod(lossy.store, "key", "ours", before, &revision), 0);
	cr_assert_eq(revision, before + 1);
	cr_assert_str_eq(get_key(lossy.direct, "key").value, "theirs, later still");
	relay_lose(lossy.relay, RELAY_LOSE_ANSWER, "/kv/txn", 1, overwrite, lossy.direct);
	revision = put_key(lossy.store, "key", "ours, blind");
	cr_assert_str_eq(get_key(lossy.direct, "key").value, "theirs, later still",
			 "a write that happened was done again over a later one");
	lossy_stop(&lossy);
}

static void overtake(void *context)
{
	put_key(context, "key", "theirs");
}

Test(store_etcd_faults, a_lost_write_that_another_overtook_is_refused)
{
	struct lossy lossy;
	lossy_start(&lossy);
	int64_t before = put_key(lossy.store, "key", "old");
	/* The answer of a read is lost, and another writes; then our write is lost too. */
	overtake(lossy.direct);
	relay_lose(lossy.relay, RELAY_LOSE_REQUEST, "/kv/txn", 1, NULL, NULL);
	cr_assert_eq(put_if_mod(lossy.store, "key", "ours", before, NULL), E_PRECONDITION);
	cr_assert_str_eq(get_key(lossy.direct, "key").value, "theirs");
	lossy_stop(&lossy);
}

static void consume(void *context)
{
	cr_assert_eq(delete_key(context, "key"), 0);
	put_key(context, "key", "theirs");
}

Test(store_etcd_faults, what_cannot_be_known_is_never_reported_as_refused)
{
	struct lossy lossy;
	lossy_start(&lossy);
	relay_lose(lossy.relay, RELAY_LOSE_ANSWER, "/kv/txn", 1, consume, lossy.direct);
	cr_assert_eq(put_if_mod(lossy.store, "key", "ours", 0, NULL), E_UNKNOWN_OUTCOME);
	lossy_stop(&lossy);
}

Test(store_etcd_faults, a_read_whose_answer_is_lost_is_read_again)
{
	struct lossy lossy;
	lossy_start(&lossy);
	put_key(lossy.store, "key", "v");
	relay_lose(lossy.relay, RELAY_LOSE_ANSWER, "/kv/range", 3, NULL, NULL);
	cr_assert_str_eq(get_key(lossy.store, "key").value, "v");
	lossy_stop(&lossy);
}

/* --- watches --- */

Test(store_etcd_faults, a_watch_survives_a_restart_with_a_compaction)
{
	struct err err = { 0 };
	struct follower follower;
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	put_key(store, "w/stays", "1");
	put_key(store, "w/goes", "1");
	follower_start(&follower, store, "w/", LONG_MS);
	follower_await(&follower, "w/goes", "1");
	etcd_restart(etcd);
	cr_assert_eq(delete_key(store, "w/goes"), 0);
	int64_t revision = put_key(store, "w/new", "2");
	cr_assert_eq(store_compact(store, revision, &err), 0, "%s", err.text);
	follower_await(&follower, "w/new", "2");
	follower_await(&follower, "w/goes", NULL);
	follower_await(&follower, "w/stays", "1");
	put_key(store, "w/stays", "3");
	follower_await(&follower, "w/stays", "3");
	cr_assert_geq(follower.syncs, 2);
	follower_stop(&follower);
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, a_watch_on_a_stalled_etcd_is_stopped_soon)
{
	struct follower follower;
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), SHORT_MS);
	follower_start(&follower, store, "w/", LONG_MS);
	follower_await_syncs(&follower, 1);
	etcd_pause(etcd);
	int64_t begin = mono_ms();
	follower_stop(&follower);
	cr_assert_leq(mono_ms() - begin, SLACK_MS);
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, a_transaction_of_a_megabyte_is_one_run_of_events)
{
	enum { VALUE = 8000, KEYS = 120 };
	struct err err = { 0 };
	struct follower follower;
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	char value[VALUE + 1], key[32];
	follower_start(&follower, store, "big/", LONG_MS);
	follower_await_syncs(&follower, 1);
	for (int round = 0; round < 5; round++) {
		AUTO(store_txn) *txn = NULL;
		cr_assert_eq(store_txn_new(&txn, &err), 0);
		memset(value, 'a' + round, VALUE);
		memcpy(value, "r=", 2);
		value[2] = (char)('0' + round);
		value[3] = 0;
		for (int i = 0; i < KEYS; i++) {
			snprintf(key, sizeof key, "big/%03d", i);
			cr_assert_eq(store_txn_put(txn, key, value, VALUE, &err), 0);
		}
		cr_assert_eq(store_commit(store, txn, NULL, &err), 0, "%s", err.text);
	}
	follower_await(&follower, "big/119", "r=4");
	cr_assert_eq(follower.events, 5 * KEYS);
	cr_assert_eq(follower.txns, 5);
	cr_assert_eq(follower.syncs, 1);
	follower_stop(&follower);
	store_free(store);
	etcd_stop(etcd);
}

/* --- leadership --- */

/* The lease that holds the leader key, as JSON text. */
static void lease_of(struct etcd *etcd, char *ret_lease, size_t len)
{
	char answer[4096];
	/* base64 of "/freehold/lead" */
	cr_assert_eq(etcd_post(etcd, "/v3/kv/range", "{\"key\":\"L2ZyZWVob2xkL2xlYWQ=\"}", answer,
			       sizeof answer), 200);
	const char *at = strstr(answer, "\"lease\":\"");
	cr_assert_not_null(at, "the leader key has no lease");
	snprintf(ret_lease, len, "%.*s", (int)strspn(at + 9, "0123456789-"), at + 9);
}

Test(store_etcd_faults, a_revoked_lease_ends_the_lead)
{
	struct campaign a;
	char lease[32], json[64];
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	campaign_start(&a, store, "lead", "a", 3);
	int64_t first = campaign_await(&a, true, 0, LONG_MS);
	cr_assert_gt(first, 0);
	lease_of(etcd, lease, sizeof lease);
	snprintf(json, sizeof json, "{\"ID\":\"%s\"}", lease);
	cr_assert_eq(etcd_post(etcd, "/v3/lease/revoke", json, NULL, 0), 200);
	cr_assert_gt(campaign_await(&a, true, first, LONG_MS), first);
	cr_assert_eq(a.told[1], 0);
	campaign_stop(&a);
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, a_lead_is_kept_alive_for_longer_than_its_lease)
{
	struct campaign a;
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	campaign_start(&a, store, "lead", "a", 5);
	int64_t first = campaign_await(&a, true, 0, LONG_MS);
	wait_ms(7500);
	cr_assert_eq(campaign_now(&a), first);
	cr_assert_eq(get_key(store, "lead").create_revision, first);
	campaign_stop(&a);
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, a_leader_that_cannot_reach_etcd_steps_down_before_its_lease_ends)
{
	struct campaign a;
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	campaign_start(&a, store, "lead", "a", LEASE_S);
	int64_t first = campaign_await(&a, true, 0, LONG_MS);
	cr_assert_gt(first, 0);
	int64_t begin = mono_ms();
	etcd_pause(etcd);
	cr_assert_eq(campaign_await(&a, false, 0, LONG_MS), 0);
	cr_assert_leq(mono_ms() - begin, LEASE_S * 1000,
		      "it led for longer than its lease could last");
	etcd_resume(etcd);
	cr_assert_gt(campaign_await(&a, true, first, LONG_MS), first);
	campaign_stop(&a);
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, a_lead_survives_a_quick_restart_of_etcd)
{
	struct campaign a;
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	campaign_start(&a, store, "lead", "a", 30);
	int64_t first = campaign_await(&a, true, 0, LONG_MS);
	etcd_restart(etcd);
	wait_ms(1500);
	cr_assert_eq(campaign_now(&a), first);
	campaign_stop(&a);
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, an_earlier_process_of_the_same_id_is_waited_out)
{
	struct campaign a;
	char answer[1024], json[256], lease[32];
	struct etcd *etcd = etcd_start();
	struct store *store = open_at(etcd_url(etcd), LONG_MS);
	cr_assert_eq(etcd_post(etcd, "/v3/lease/grant", "{\"TTL\":\"6\"}", answer, sizeof answer),
		     200);
	const char *id = strstr(answer, "\"ID\":\"");
	cr_assert_not_null(id);
	snprintf(lease, sizeof lease, "%.*s", (int)strspn(id + 6, "0123456789"), id + 6);
	/* "/freehold/lead" held by "a", as a process that was killed left it */
	snprintf(json, sizeof json, "{\"key\":\"L2ZyZWVob2xkL2xlYWQ=\",\"value\":\"YQ==\","
		 "\"lease\":\"%s\"}", lease);
	cr_assert_eq(etcd_post(etcd, "/v3/kv/put", json, NULL, 0), 200);
	int64_t old = get_key(store, "lead").create_revision;
	campaign_start(&a, store, "lead", "a", 2);
	wait_ms(1000);
	cr_assert_eq(campaign_now(&a), 0, "it took over another process's lease");
	cr_assert_gt(campaign_await(&a, true, 0, LONG_MS), old);
	campaign_stop(&a);
	store_free(store);
	etcd_stop(etcd);
}

/* --- who may ask, and where --- */

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

Test(store_etcd_faults, a_user_logs_in_and_again_when_etcd_has_forgotten_the_token)
{
	struct err err = { 0 };
	struct follower follower;
	struct etcd *etcd = etcd_start();
	char path[128];
	int visits = 0;
	snprintf(path, sizeof path, "%s/password", etcd_dir(etcd));
	write_file(path, "open sesame\n", 0600);
	etcd_enable_auth(etcd, "open sesame");
	struct store_etcd_conf conf = {
		.endpoints = etcd_url(etcd), .prefix = "/freehold/", .user = "root",
		.password_file = path, .timeout_ms = 5000,
	};
	struct store *store = open_conf(&conf);
	put_key(store, "w/a", "1");
	follower_start(&follower, store, "w/", LONG_MS);
	follower_await(&follower, "w/a", "1");
	etcd_restart(etcd);                        /* its tokens live in memory */
	put_key(store, "w/a", "2");
	cr_assert_str_eq(get_key(store, "w/a").value, "2");
	follower_await(&follower, "w/a", "2");
	follower_stop(&follower);
	store_free(store);

	write_file(path, "open barley\n", 0600);
	store = open_conf(&conf);
	cr_assert_eq(store_get(store, "w/a", ignore_item, &visits, &err), E_DENIED, "%s", err.text);
	cr_assert_null(strstr(err.text, "barley"));
	write_file(path, "open sesame\n", 0644);
	cr_assert_eq(store_get(store, "w/a", ignore_item, &visits, &err), E_INVALID);
	cr_assert_not_null(strstr(err.text, "0600"), "%s", err.text);
	store_free(store);
	conf.user = NULL;
	store = open_conf(&conf);
	cr_assert_eq(store_get(store, "w/a", ignore_item, &visits, &err), E_UNAUTHENTICATED, "%s",
		     err.text);
	store_free(store);
	etcd_stop(etcd);
}

Test(store_etcd_faults, the_other_endpoints_are_tried_when_one_is_dead_or_stalled)
{
	struct etcd *etcd = etcd_start(), *dead = etcd_start(), *stalled = etcd_start();
	char endpoints[256];
	etcd_kill(dead);
	etcd_pause(stalled);
	snprintf(endpoints, sizeof endpoints, "%s, %s/,%s", etcd_url(dead), etcd_url(stalled),
		 etcd_url(etcd));
	struct store *store = open_at(endpoints, 4000);
	put_key(store, "a", "1");
	int64_t begin = mono_ms();
	put_key(store, "a", "2");
	cr_assert_lt(mono_ms() - begin, 1000, "it did not stay with the endpoint that answers");
	store_free(store);
	etcd_stop(etcd);
	etcd_stop(dead);
	etcd_stop(stalled);
}

Test(store_etcd_faults, tls_with_client_certificates_works_and_without_them_does_not)
{
	struct err err = { 0 };
	char dir[] = "/tmp/freehold-test-tls-XXXXXX";
	int visits = 0;
	folder_make(dir);
	pems_authority(dir, "test");
	pems_add(dir, "etcd", "DNS:localhost,IP:127.0.0.1");
	const struct pem_paths files = pems_paths(dir, "etcd");
	struct etcd *etcd = etcd_start_with(&(struct etcd_options){
		.ca_file = files.ca, .cert_file = files.cert, .key_file = files.key,
	});
	struct store_etcd_conf conf = {
		.endpoints = etcd_url(etcd), .prefix = "/freehold/", .timeout_ms = 3000,
		.ca_file = files.ca, .cert_file = files.cert, .key_file = files.key,
	};
	struct store *store = open_conf(&conf);
	struct follower follower;
	put_key(store, "w/a", "1");
	follower_start(&follower, store, "w/", LONG_MS);
	put_key(store, "w/a", "2");
	follower_await(&follower, "w/a", "2");
	follower_stop(&follower);
	store_free(store);

	conf.timeout_ms = 500;
	conf.cert_file = conf.key_file = NULL;
	store = open_conf(&conf);
	cr_assert_neq(store_get(store, "w/a", ignore_item, &visits, &err), 0);
	store_free(store);
	conf.ca_file = NULL;
	store = open_conf(&conf);
	cr_assert_eq(store_get(store, "w/a", ignore_item, &visits, &err), E_UNAVAILABLE);
	cr_assert_eq(visits, 0);
	store_free(store);
	etcd_stop(etcd);
	folder_remove(dir);
}

Test(store_etcd_faults, a_wrong_configuration_is_refused_by_name)
{
	static const struct {
		struct store_etcd_conf conf;
		const char *names;
	} cases[] = {
		{ { .prefix = "/f/" }, "endpoints" },
		{ { .endpoints = " , ", .prefix = "/f/" }, "endpoints" },
		{ { .endpoints = "127.0.0.1:2379", .prefix = "/f/" }, "http://" },
		{ { .endpoints = "http://etcd.example.com:2379", .prefix = "/f/" }, "loopback" },
		{ { .endpoints = "http://0.0.0.0:2379", .prefix = "/f/" }, "loopback" },
		{ { .endpoints = "https://a", .prefix = "" }, "prefix" },
		{ { .endpoints = "https://a", .prefix = "/f /" }, "prefix" },
		{ { .endpoints = "https://a", .prefix = "/f/", .user = "u" }, "password" },
		{ { .endpoints = "https://a", .prefix = "/f/", .timeout_ms = -1 }, "timeout" },
		{ { .endpoints = "https://a", .prefix = "/f/", .connections_max = -1 },
		  "connections" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = { 0 };
		struct store *store = NULL;
		cr_assert_eq(store_etcd_new(&cases[i].conf, clock_system(), &store, &err),
			     E_INVALID);
		cr_assert_not_null(strstr(err.text, cases[i].names), "%s", err.text);
		cr_assert_null(store);
	}
}

Test(store_etcd_faults, what_is_no_etcd_is_told_apart_from_one_that_is_down)
{
	struct err err = { 0 };
	int visits = 0;
	struct etcd *etcd = etcd_start();
	char url[128];
	snprintf(url, sizeof url, "%s/no/such/path", etcd_url(etcd));
	struct store *store = open_at(url, SHORT_MS);
	cr_assert_eq(store_get(store, "a", ignore_item, &visits, &err), E_INTERNAL, "%s", err.text);
	cr_assert_not_null(strstr(err.text, "JSON gateway"), "%s", err.text);
	store_free(store);
	etcd_stop(etcd);
}
