/* desk.c - see desk.h. */
#include "common/defs.h"
#include "tests/support/desk.h"

#include "api/envelope.h"
#include "common/json.h"
#include "common/store_mem.h"
#include "common/text.h"
#include "control/dispatch.h"
#include "control/keys.h"
#include "control/record.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	AWAIT_MS = 60000, POLL_MS = 60000, POLL_AGAIN_US = 5000, TASK_POLLS = 10000,
	MOVE_MS = 200, MOVE_REAL_US = 50000
};

static const int64_t noon = 1795348800000;       /* 2026-11-22T12:00:00Z */

#define MUST(call) cr_assert_geq((call), 0, "%s", err.text)
#define OK(desk, call) cr_assert_geq((call), 0, "%s", (desk)->err.text)

static void on_record(void *context, const struct value *record)
{
	struct desk *desk = context;
	shard_record(desk->part.shard, record);
}

static void on_resource(void *context, const char *key, const struct value *value, int64_t revision)
{
	struct desk *desk = context;
	catalog_apply(desk->control.catalog, key, value, revision);
}

static void take_key(struct desk *desk, const char *holder, int64_t *ret_revision)
{
	struct store *store = desk->control.store;
	struct store_txn *txn = NULL;
	store_mem_depose(store, "leader/0");
	OK(desk, store_txn_new(&txn, &desk->err));
	OK(desk, store_txn_put(txn, "leader/0", holder, strlen(holder), &desk->err));
	OK(desk, store_commit(store, txn, ret_revision, &desk->err));
	store_txn_free(txn);
}

void desk_depose(struct desk *desk)
{
	int64_t revision = 0;
	take_key(desk, "another", &revision);
}

void desk_lead(struct desk *desk)
{
	int64_t epoch = 0;
	atomic_store(&desk->part.led, 0);
	OK(desk, journal_lead(desk->part.journal, 0, &desk->err));
	take_key(desk, "desk", &epoch);
	shard_clear(desk->part.shard);
	OK(desk, journal_lead(desk->part.journal, epoch, &desk->err));
	shard_ready(desk->part.shard);
	atomic_store(&desk->part.led, epoch);
	if (desk->part.dispatch)
		dispatch_wake(desk->part.dispatch);
}

static void make_journal(struct desk *desk)
{
	struct journal_conf conf = {
		.store = desk->control.store, .clock = desk->clock,
		.state_key = keyring_state_key(desk->control.keyring),
		.leader_key = desk->part.leader_key,
		.prefix = desk->part.journal_prefix,
		.ops = { .record = on_record, .resource = on_resource, .context = desk },
	};
	OK(desk, journal_new(&conf, &desk->part.journal, &desk->err));
}

static void make_dispatch(struct desk *desk)
{
	OK(desk, dispatch_new(&desk->part, &desk->part.dispatch, &desk->err));
	snprintf(desk->url, sizeof desk->url, "inproc://%s", desk->dir + 1);
	struct link_server_conf conf = {
		.url = desk->url, .contexts = 32, .call = dispatch_call,
		.gone = dispatch_gone,
		.context = &desk->control,
	};
	OK(desk, link_server_new(&conf, &desk->link, &desk->err));
}

struct desk *desk_new(bool dispatch)
{
	struct desk *desk = calloc(1, sizeof *desk);
	cr_assert_not_null(desk);
	struct control *control = &desk->control;
	uint8_t secret[SIGN_SECRET_BYTES];
	OK(desk, crypto_start(&desk->err));
	snprintf(desk->dir, sizeof desk->dir, "/tmp/desk-XXXXXX");
	cr_assert_not_null(mkdtemp(desk->dir));
	snprintf(desk->root_key, sizeof desk->root_key, "%s/root.key", desk->dir);
	OK(desk, arena_new(512 * MIB, &desk->arena, &desk->err));
	OK(desk, clock_new_simulated(noon, &desk->clock, &desk->err));
	part_init(&desk->part, control, 0);
	control->parts = &desk->part;
	control->part_count = 1;
	control->clock = desk->clock;
	control->replica = "desk";
	control->nameless = true;
	OK(desk, keyring_new(desk->root_key, true, &control->keyring, &desk->err));
	OK(desk, store_mem_new(desk->clock, &control->store, &desk->err));
	OK(desk, catalog_new(desk->clock, keyring_state_key(control->keyring), &control->catalog,
	                     &desk->err));
	OK(desk, shard_new(desk->clock, &desk->part.shard, &desk->err));
	make_journal(desk);
	keyring_signing_pair(control->keyring, control->signer_public, secret);
	OK(desk, grant_signer_new(secret, &control->signer, &desk->err));
	if (dispatch)
		make_dispatch(desk);
	desk_lead(desk);
	return desk;
}

void desk_end(struct desk *desk)
{
	struct control *control = &desk->control;
	if (desk->part.dispatch)
		dispatch_stop(desk->part.dispatch);
	link_server_free(desk->link);
	dispatch_free(desk->part.dispatch);
	grant_signer_free(control->signer);
	journal_free(desk->part.journal);
	shard_free(desk->part.shard);
	catalog_free(control->catalog);
	store_free(control->store);
	keyring_free(control->keyring);
	clock_free(desk->clock);
	arena_free(desk->arena);
	for (size_t i = 0; i < desk->hand_count; i++)
		arena_free(desk->hands[i]);
	unlink(desk->root_key);
	rmdir(desk->dir);
	free(desk);
}

/* --- resources --- */

struct value *desk_json(struct desk *desk, const char *text)
{
	struct value *value = NULL;
	char *copy = arena_strdup(desk->arena, text);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	OK(desk, json_parse(desk->arena, copy, strlen(copy), &value, &desk->err));
	return value;
}

static void commit(struct desk *desk, struct change *change)
{
	OK(desk, journal_commit(desk->part.journal, change, &desk->err));
	change_free(change);
}

void desk_tenant(struct desk *desk, const char *tenant)
{
	char key[STORE_KEY_MAX];
	struct change *change = NULL;
	struct value *value = NULL;
	OK(desk, change_new(&change, &desk->err));
	OK(desk, keys_make_tenant(desk->control.keyring, desk->arena, tenant, &value, &desk->err));
	OK(desk, change_put(change, keys_tenant_key(key, tenant), value, 0, &desk->err));
	commit(desk, change);
}

static void next_id(struct desk *desk, char id[ID_LEN + 1])
{
	uint8_t random[10] = { 0 };
	uint64_t n = ++desk->ids;
	for (int i = 9; n; i--, n >>= 8)
		random[i] = (uint8_t)n;
	id_make(clock_unix_ms(desk->clock), random, id);
}

void desk_put(struct desk *desk, enum kind kind, const char *tenant, const char *domain,
              const char *name, const char *spec)
{
	char key[STORE_KEY_MAX], at[STORE_KEY_MAX], uid[ID_LEN + 1];
	struct value *before = NULL, *tenant_key = NULL, *own = NULL;
	struct change *change = NULL;
	catalog_key(key, kind, tenant, domain, name);
	struct value *value = value_map(desk->arena), *metadata = value_map(desk->arena);
	next_id(desk, uid);
	const char *kept = uid;
	if (catalog_get(desk->control.catalog, desk->arena, key, &before, NULL, &desk->err) == 0)
		kept = value_get_str(value_get(before, "metadata"), "uid");
	value_set_str(metadata, "name", name);
	value_set_str(metadata, "uid", kept);
	value_set(value, "metadata", metadata);
	value_set(value, "spec", desk_json(desk, spec));
	if (before && value_get(before, "key")) {
		value_set(value, "key", value_copy(desk->arena, value_get(before, "key")));
	} else if (kind == KIND_DATASET || kind == KIND_FEATUREVIEW) {
		OK(desk, catalog_get(desk->control.catalog, desk->arena, keys_tenant_key(at,
		                                                                         tenant),
		                     &tenant_key, NULL, &desk->err));
		OK(desk, keys_make_resource(desk->control.keyring, desk->arena, tenant, tenant_key,
		                            kept, &own, &desk->err));
		value_set(value, "key", own);
	}
	OK(desk, change_new(&change, &desk->err));
	OK(desk, change_put(change, key, value, -1, &desk->err));
	commit(desk, change);
}

void desk_delete(struct desk *desk, enum kind kind, const char *tenant, const char *domain,
                 const char *name)
{
	char key[STORE_KEY_MAX];
	struct change *change = NULL;
	OK(desk, change_new(&change, &desk->err));
	OK(desk, change_delete(change, catalog_key(key, kind, tenant, domain, name), -1,
	                       &desk->err));
	commit(desk, change);
}

const char *desk_uid(struct desk *desk, enum kind kind, const char *tenant, const char *domain,
                     const char *name)
{
	char key[STORE_KEY_MAX];
	struct value *value = NULL;
	OK(desk, catalog_get(desk->control.catalog, desk->arena,
	                     catalog_key(key, kind, tenant, domain, name), &value, NULL,
	                     &desk->err));
	return value_get_str(value_get(value, "metadata"), "uid");
}

void desk_story(struct desk *desk)
{
	desk_tenant(desk, "acme");
	desk_put(desk, KIND_DATASET, "acme", "ops", "raw",
	         "{'schema':[{'name':'airport','type':'string','required':true,'description':'x'},"
	         "{'name':'delay','type':'int64'},{'name':'at','type':'timestamp'}]}");
	desk_put(desk, KIND_DATASET, "acme", "ops", "hourly", "{}");
	desk_put(desk, KIND_SOURCE, "acme", "ops", "raw",
	         "{'connector':'file','path':'raw.csv','dataset':'raw','format':'csv',"
	         "'rejectLimit':5}");
	desk_put(desk, KIND_TRANSFORMATION, "acme", "ops", "hourly",
	         "{'sql':'SELECT * FROM raw','inputs':['raw'],'output':'hourly'}");
	desk_put(desk, KIND_ENTITY, "acme", "ops", "airport", "{'joinKey':'airport'}");
	desk_put(desk, KIND_FEATUREVIEW, "acme", "ops", "delays",
	         "{'entities':['airport'],'dataset':'raw','timestampField':'at',"
	         "'features':[{'name':'delay','type':'int64'}]}");
}

/* --- tasks --- */

const char *desk_submit(struct desk *desk, const char *tenant, enum task_type type,
                        const char *spec)
{
	struct task_request request = { .type = type, .spec = desk_json(desk, spec) };
	char id[ID_LEN + 1];
	const char *existing = NULL;
	struct change *change = NULL;
	next_id(desk, id);
	limits_default(&request.limits);
	struct submission submission = {
		.id = id, .tenant = tenant, .domain = "ops", .principal = "acme/alice",
		.request = &request, .now_ms = clock_unix_ms(desk->clock),
	};
	OK(desk, change_new(&change, &desk->err));
	OK(desk, shard_submit(desk->part.shard, &submission, change, desk->arena, &existing,
	                      &desk->err));
	commit(desk, change);
	if (desk->part.dispatch)
		dispatch_wake(desk->part.dispatch);
	return arena_strdup(desk->arena, id);
}

void desk_cancel(struct desk *desk, const char *id)
{
	struct change *change = NULL;
	OK(desk, change_new(&change, &desk->err));
	struct value *record = record_new(change_arena(change), RECORD_CANCEL, noon);
	value_set_str(record, "id", id);
	OK(desk, change_record(change, record, &desk->err));
	commit(desk, change);
	if (!desk->part.dispatch)
		return;
	/* E_CONFLICT: a turn of the dispatcher came before this call, and it has ended. */
	int rc = dispatch_cancel(desk->part.dispatch, "acme", id, &desk->err);
	cr_assert(rc == 0 || rc == E_CONFLICT, "%s", desk->err.text);
}

struct work desk_pick(struct desk *desk)
{
	struct work work;
	struct pick pick = {
		.worker = "w1", .token = { journal_epoch(desk->part.journal), ++desk->counter },
		.memory_bytes = UINT64_MAX, .inherited = true,
		.replay = shard_replays(desk->part.shard),
	};
	const struct sched_worker worker = {
		.name = "w1", .total = { { 1000000, (int64_t)1 << 50, 1000 } }, .serves = true,
	};
	OK(desk, shard_worker_set(desk->part.shard, &worker, &desk->err));
	cr_assert_eq(shard_pick(desk->part.shard, &pick, desk->arena, &work, &desk->err), 1);
	return work;
}

struct value *desk_task(struct desk *desk, const char *tenant, const char *id)
{
	return shard_task(desk->part.shard, desk->arena, tenant, NULL, id);
}

const char *desk_state(struct desk *desk, const char *tenant, const char *id)
{
	const char *state = value_get_str(desk_task(desk, tenant, id), "state");
	return state ? state : "none";
}

void desk_await(struct desk *desk, const char *tenant, const char *id, const char *state)
{
	for (int ms = 0; strcmp(desk_state(desk, tenant, id), state) != 0; ms++) {
		cr_assert_lt(ms, AWAIT_MS, "the task is %s, not %s", desk_state(desk, tenant, id),
		             state);
		usleep(1000);
	}
}

int64_t desk_used(struct desk *desk, const char *tenant, const char *amount)
{
	return value_get_int(value_get(shard_usage(desk->part.shard, desk->arena, tenant),
	                               "total"), amount, 0);
}

int64_t desk_reserved(struct desk *desk, const char *tenant, const char *amount)
{
	return value_get_int(value_get(shard_usage(desk->part.shard, desk->arena, tenant),
	                               "reserved"), amount, 0);
}

size_t desk_events(struct desk *desk, const char *tenant, const char *action, const char *result)
{
	struct value *list = NULL;
	bool more = false;
	struct audit_query query = { .tenant = tenant, .action = action, .result = result };
	OK(desk, shard_audit(desk->part.shard, desk->arena, &query, &list, &more, &desk->err));
	return value_len(list);
}

/* --- a worker --- */

struct hand hand_new(struct desk *desk, const char *name, int64_t incarnation)
{
	struct hand hand = { .desk = desk, .name = name, .incarnation = incarnation };
	REQUIRE(desk->hand_count < ARRAY_LEN(desk->hands));
	OK(desk, arena_new(64 * MIB, &hand.arena, &desk->err));
	desk->hands[desk->hand_count++] = hand.arena;
	const char *urls[] = { desk->url, NULL };
	uint8_t secret[BOX_SECRET_BYTES];
	struct link_client_conf conf = { .urls = urls, .reconnect_min_ms = 5,
	                                 .reconnect_max_ms = 5 };
	OK(desk, link_client_new(&conf, &hand.link, &desk->err));
	box_keypair(hand.box_public, secret);
	OK(desk, secret_copy(secret, sizeof secret, &hand.box_secret, &desk->err));
	hand.poll = (struct poll){
		.slots = 4, .slots_max = 4, .memory_bytes = (uint64_t)8 << 30,
		.serve_url = "http://127.0.0.1:1", .version = "test",
	};
	return hand;
}

void desk_await_workers(struct desk *desk, int count)
{
	struct dispatch_status status = { 0 };
	for (int ms = 0; status.workers != count; ms++) {
		cr_assert_lt(ms, AWAIT_MS, "%d workers, not %d", status.workers, count);
		usleep(1000);
		dispatch_status(desk->part.dispatch, desk->arena, &status);
	}
}

void hand_end(struct hand *hand)
{
	link_client_free(hand->link);
	secret_free(hand->box_secret);
}

static int call(struct hand *hand, int timeout_ms, struct poll_answer *ret_answer)
{
	struct err err;
	struct value *body = NULL;
	struct envelope answered;
	AUTO_BUF out, in;
	buf_init(&out, LINK_MESSAGE_MAX);
	buf_init(&in, LINK_MESSAGE_MAX);
	hand->poll.box_public = hand->box_public;
	MUST(poll_value(hand->arena, &hand->poll, &body, &err));
	struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = "poll", .worker = hand->name,
		.incarnation = hand->incarnation, .seq = hand->seq, .body = body,
	};
	MUST(envelope_write(&envelope, &out, &err));
	TRY(link_client_call(hand->link, 0, out.data, out.len, timeout_ms, &in, &err));
	MUST(envelope_read(hand->arena, in.data, in.len, &answered, &err));
	cr_assert_str_eq(answered.kind, "poll");
	cr_assert_eq(answered.seq, hand->seq);
	MUST(poll_answer_read(hand->arena, answered.body, ret_answer, &err));
	return 0;
}

int hand_try(struct hand *hand, int timeout_ms, struct poll_answer *ret_answer)
{
	hand->seq++;
	return call(hand, timeout_ms, ret_answer);
}

struct poll_answer hand_poll(struct hand *hand)
{
	struct poll_answer answer;
	cr_assert_eq(hand_try(hand, POLL_MS, &answer), 0, "no answer came");
	return answer;
}

struct poll_answer hand_repeat(struct hand *hand)
{
	struct poll_answer answer;
	cr_assert_eq(call(hand, POLL_MS, &answer), 0, "no answer came");
	return answer;
}

struct grant *hand_open(struct hand *hand, const struct poll_task *task)
{
	struct err err;
	struct grant *grant = NULL;
	struct grant_opener opener = { .worker = hand->name, .box_secret = hand->box_secret };
	memcpy(opener.control_key, hand->desk->control.signer_public, SIGN_PUBLIC_BYTES);
	memcpy(opener.box_public, hand->box_public, BOX_PUBLIC_BYTES);
	MUST(grant_open(&opener, clock_unix_ms(hand->desk->clock), hand->arena, task->grant,
	                task->grant_len, &grant, &err));
	return grant;
}

struct mover { struct clock *clock; atomic_bool over; };

static void *move_time(void *context)
{
	struct mover *mover = context;
	while (!atomic_load(&mover->over)) {
		usleep(MOVE_REAL_US);
		clock_advance(mover->clock, MOVE_MS);
	}
	return NULL;
}

/* A poll that is given up may lose a grant, and one that is lost often counts as an attempt: each
 * is waited for, and time goes on beside it. */
struct grant *hand_task(struct hand *hand)
{
	struct mover mover = { .clock = hand->desk->clock };
	struct poll_answer answer = { .task_count = 0 };
	pthread_t thread;
	cr_assert_eq(pthread_create(&thread, NULL, move_time, &mover), 0);
	for (int i = 0; i < TASK_POLLS && answer.task_count == 0; i++) {
		usleep(i > 0 ? POLL_AGAIN_US : 0);
		answer = hand_poll(hand);
	}
	atomic_store(&mover.over, true);
	pthread_join(thread, NULL);
	cr_assert_gt(answer.task_count, 0, "no task came");
	return hand_open(hand, &answer.tasks[0]);
}
