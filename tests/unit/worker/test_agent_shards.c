/* The agent with two shards, whose leaders this test plays over one link: both are offered all that
 * is free, and what no longer fits is not taken. */
#include "common/defs.h"
#include "worker/agent.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SHARDS = 2, WAIT_MS = 60000 };

struct side {                        /* one shard's leader */
	struct link_call *held;
	int polls, slots, running;   /* as the last poll said */
	int64_t reads_seq;           /* of the reads it was told */
};

struct rig {
	pthread_mutex_t mutex;       /* guards all but the agent's parts */
	struct arena *arena;
	struct grant_signer *signer;
	uint8_t box_public[BOX_PUBLIC_BYTES], box_secret[BOX_SECRET_BYTES];
	struct link_server *server;
	struct side sides[SHARDS];
	bool acks[SHARDS];           /* of reads */
	int runs;
	struct peer *peer;
	struct meter *meter;
	struct agent *agent;
	char meter_path[40];
};

static void answer(struct rig *rig, struct link_call *call, struct poll_answer *said)
{
	AUTO_BUF out;
	struct value *body;
	buf_init(&out, MIB);
	said->leader = true;
	said->shards = SHARDS;
	cr_assert_eq(poll_answer_value(rig->arena, said, &body, NULL), 0);
	struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = "poll", .worker = "control-1",
		.incarnation = 1, .seq = 1, .body = body,
	};
	cr_assert_eq(envelope_write(&envelope, &out, NULL), 0);
	link_answer(call, out.data, out.len);
}

static void on_poll(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	struct rig *rig = context;
	struct envelope envelope;
	struct poll poll;
	pthread_mutex_lock(&rig->mutex);
	cr_assert_eq(envelope_read(rig->arena, data, len, &envelope, NULL), 0);
	cr_assert_eq(poll_read(rig->arena, envelope.body, &poll, NULL), 0);
	struct side *side = &rig->sides[poll.shard];
	bool first = side->polls++ == 0;
	side->slots = poll.slots;
	side->running = (int)poll.running_count;
	if (poll.reads_count > 0)
		side->reads_seq = poll.meter_seq;
	bool acked = poll.reads_count > 0 && rig->acks[poll.shard];
	if (side->held)
		answer(rig, side->held, &(struct poll_answer){ .task_count = 0 });
	side->held = NULL;
	if (first || acked)
		answer(rig, call, &(struct poll_answer){ .meter_ack = acked ? poll.meter_seq : 0 });
	else
		side->held = call;
	pthread_mutex_unlock(&rig->mutex);
}

static int run(struct runner *runner, struct attempt *attempt, struct arena *arena,
               const uint8_t *grant, size_t len, struct report *ret_report, struct err *err)
{
	struct rig *rig = (struct rig *)(void *)runner;
	struct grant_hint hint;
	TRY(grant_peek(arena, grant, len, &hint, err));
	pthread_mutex_lock(&rig->mutex);
	rig->runs++;
	pthread_mutex_unlock(&rig->mutex);
	for (bool ended = false; !ended; usleep(1000)) {
		pthread_mutex_lock(&attempt->mutex);
		ended = attempt->cancelled;
		pthread_mutex_unlock(&attempt->mutex);
	}
	*ret_report = (struct report){ .task = hint.task, .token = hint.token,
	                               .outcome = OUTCOME_CANCELLED };
	return 0;
}

static void start(struct rig *rig, const char *url)
{
	const char *const urls[] = { url, NULL };
	uint8_t sign_public[SIGN_PUBLIC_BYTES], sign_secret[SIGN_SECRET_BYTES];
	struct err err = { 0 };
	memset(rig, 0, sizeof *rig);
	pthread_mutex_init(&rig->mutex, NULL);
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(64 * MIB, &rig->arena, NULL), 0);
	sign_keypair(sign_public, sign_secret);
	box_keypair(rig->box_public, rig->box_secret);
	cr_assert_eq(grant_signer_new(sign_secret, &rig->signer, NULL), 0);
	snprintf(rig->meter_path, sizeof rig->meter_path, "/tmp/agent-shards-XXXXXX");
	close(mkstemp(rig->meter_path));
	cr_assert_eq(meter_new(rig->meter_path, &rig->meter, NULL), 0);
	const struct link_server_conf link = { .url = url, .contexts = 16, .call = on_poll,
	                                       .context = rig };
	cr_assert_eq(link_server_new(&link, &rig->server, &err), 0, "%s", err.text);
	const struct peer_conf peer = { .link = { .urls = urls }, .worker = "w-1",
	                                .incarnation = 1 };
	cr_assert_eq(peer_new(&peer, &rig->peer, &err), 0, "%s", err.text);
	const struct agent_conf conf = {
		.clock = clock_system(), .peer = rig->peer, .run = run,
		.runner = (struct runner *)(void *)rig, .meter = rig->meter,
		.box_public = rig->box_public, .slots = 1, .memory_bytes = 1 << 30,
	};
	cr_assert_eq(agent_new(&conf, &rig->agent, &err), 0, "%s", err.text);
}

static void stop(struct rig *rig)
{
	agent_free(rig->agent);
	peer_free(rig->peer);
	link_server_free(rig->server);
	meter_free(rig->meter);
	grant_signer_free(rig->signer);
	arena_free(rig->arena);
	unlink(rig->meter_path);
}

/* To the held poll of a shard; false: there is none. */
static bool give(struct rig *rig, int shard, int64_t epoch)
{
	char prefix[GRANT_PREFIX_MAX];
	AUTO_BUF out;
	struct err err = { 0 };
	struct token token = { epoch, 1 };
	buf_init(&out, MIB);
	grant_prefix("acme", "flights", token, prefix);
	struct grant grant = {
		.task = "01task", .token = token, .attempt = 1, .worker = "w-1", .tenant = "acme",
		.domain = "flights", .type = TASK_PROBE, .limits = { 1000, MIB, 1, 1000, 1 },
		.expires_ms = INT64_MAX, .output_prefix = prefix,
	};
	pthread_mutex_lock(&rig->mutex);
	struct link_call *call = rig->sides[shard].held;
	rig->sides[shard].held = NULL;
	if (call) {
		grant.work = value_map(rig->arena);
		cr_assert_eq(grant_sign(rig->signer, &grant, rig->box_public, &out, &err), 0, "%s",
		             err.text);
		const struct poll_task task = { out.data, out.len };
		answer(rig, call, &(struct poll_answer){ .tasks = &task, .task_count = 1 });
	}
	pthread_mutex_unlock(&rig->mutex);
	return call != NULL;
}

static int see(struct rig *rig, const int *number)
{
	pthread_mutex_lock(&rig->mutex);
	int seen = *number;
	pthread_mutex_unlock(&rig->mutex);
	return seen;
}

/* The reads that are still to be told; 0: none. */
static int64_t untold(struct rig *rig)
{
	const struct reads *reads = NULL;
	int64_t seq = 0;
	size_t count = 0;
	pthread_mutex_lock(&rig->mutex);
	cr_assert_eq(meter_report(rig->meter, clock_unix_ms(clock_system()), rig->arena, &seq,
	                          &reads, &count, NULL), 0);
	pthread_mutex_unlock(&rig->mutex);
	return seq;
}

static bool both_were_told(struct rig *rig)
{
	pthread_mutex_lock(&rig->mutex);
	bool both = rig->sides[0].reads_seq != 0 &&
		rig->sides[0].reads_seq == rig->sides[1].reads_seq;
	pthread_mutex_unlock(&rig->mutex);
	return both;
}

#define AWAIT(condition) \
	for (int ms_ = 0; !(condition); ms_++) { \
		cr_assert_lt(ms_, WAIT_MS, #condition); \
		usleep(1000); \
	}

Test(agent_shards, every_shard_is_offered_what_is_free_and_hears_at_once_when_it_is_not)
{
	static struct rig rig;
	start(&rig, "inproc://agent-shards-free");
	AWAIT(see(&rig, &rig.sides[0].slots) == 1 && see(&rig, &rig.sides[1].slots) == 1);
	AWAIT(give(&rig, 0, 5));
	AWAIT(see(&rig, &rig.runs) == 1);
	AWAIT(see(&rig, &rig.sides[1].slots) == 0);
	AWAIT(see(&rig, &rig.sides[0].running) == 1);
	cr_expect_eq(see(&rig, &rig.sides[1].running), 0, "it is the other shard's");
	stop(&rig);
}

Test(agent_shards, a_grant_that_no_longer_fits_is_not_taken_and_two_more_polls_tell)
{
	static struct rig rig;
	start(&rig, "inproc://agent-shards-full");
	AWAIT(give(&rig, 0, 5));
	AWAIT(see(&rig, &rig.runs) == 1 && see(&rig, &rig.sides[1].slots) == 0);
	int polls = see(&rig, &rig.sides[1].polls);
	AWAIT(give(&rig, 1, 6));
	AWAIT(see(&rig, &rig.sides[1].polls) >= polls + 2);
	cr_expect_eq(see(&rig, &rig.sides[1].running), 0);
	cr_expect_eq(see(&rig, &rig.runs), 1);
	stop(&rig);
}

Test(agent_shards, reads_are_told_until_every_shards_leader_has_them)
{
	static struct rig rig;
	size_t slot = 0;
	start(&rig, "inproc://agent-shards-reads");
	AWAIT(see(&rig, &rig.sides[1].polls) > 0);
	pthread_mutex_lock(&rig.mutex);
	rig.acks[0] = true;
	pthread_mutex_unlock(&rig.mutex);
	cr_assert_eq(meter_slot(rig.meter, "acme", "flights", &slot, NULL), 0);
	meter_add(rig.meter, slot, 3);
	AWAIT(give(&rig, 0, 5));             /* news, so that all poll */
	AWAIT(both_were_told(&rig));
	cr_expect_neq(untold(&rig), 0, "one leader has not got them yet");
	pthread_mutex_lock(&rig.mutex);
	rig.acks[1] = true;
	pthread_mutex_unlock(&rig.mutex);
	AWAIT(give(&rig, 1, 6));             /* it does not fit: two polls follow */
	AWAIT(untold(&rig) == 0);
	stop(&rig);
}
