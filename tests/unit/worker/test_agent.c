/* The agent against a leader that this test plays, over a real link: every grant runs once,
 * every outcome is told until it is acknowledged. */
#include "common/defs.h"
#include "worker/agent.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TOKENS_MAX = 64, WAIT_MS = 60000, GRACE_MS = 200 };
#define START_MS INT64_C(1000000000000)

struct leader {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct arena *arena;
	struct grant_signer *signer;
	uint8_t box_public[BOX_PUBLIC_BYTES], box_secret[BOX_SECRET_BYTES];
	struct link_server *server;
	struct link_call *held;
	bool leads, acks;
	int ignore;                  /* polls that are never answered */
	int64_t next;                /* counter of the next token to hand out */
	int64_t wanted;              /* hands out up to it */
	struct token cancel;
	const char *drop;
	struct token done[TOKENS_MAX];
	int outcome[TOKENS_MAX];
	int done_count, polls, tellings;
	int backs;                   /* attempts that were handed back */
	struct token back;           /* is to be handed back */
	bool saw_draining;
	int64_t reads, last_meter;
};

struct rig {                     /* agent, and what it runs */
	struct clock *clock;
	struct leader leader;
	struct peer *peer;
	struct agent *agent;
	struct meter *meter;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int runs[TOKENS_MAX];        /* by counter */
	bool block;                  /* attempts wait until cancelled */
	char dropped[64];
	char meter_path[40];
};

/* ---- the leader ---- */

static void answer_with(struct leader *leader, struct link_call *call,
                        const struct poll_answer *answer)
{
	AUTO_BUF out;
	struct value *body;
	buf_init(&out, MIB);
	cr_assert_eq(poll_answer_value(leader->arena, answer, &body, NULL), 0);
	struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = "poll", .worker = "control-1",
		.incarnation = 1, .seq = 1, .body = body,
	};
	cr_assert_eq(envelope_write(&envelope, &out, NULL), 0);
	link_answer(call, out.data, out.len);
}

static void make_grant(struct leader *leader, int64_t counter, struct buf *out)
{
	char prefix[GRANT_PREFIX_MAX];
	struct token token = { 5, counter };
	grant_prefix("acme", "flights", token, prefix);
	struct grant grant = {
		.task = "01task", .token = token, .attempt = 1, .worker = "w-1", .tenant = "acme",
		.domain = "flights", .type = TASK_PROBE, .work = value_map(leader->arena),
		.limits = { 1000, MIB, 1, 1000, 1 }, .expires_ms = INT64_MAX,
		.output_prefix = prefix,
	};
	struct err err = { 0 };
	cr_assert_eq(grant_sign(leader->signer, &grant, leader->box_public, out, &err), 0, "%s",
	             err.text);
}

static void note_done(struct leader *leader, const struct poll *poll)
{
	for (size_t i = 0; i < poll->done_count; i++) {
		leader->tellings++;
		bool known = false;
		for (int k = 0; k < leader->done_count; k++)
			known = known || leader->done[k].counter == poll->done[i].token.counter;
		if (known)
			continue;
		leader->outcome[leader->done_count] = poll->done[i].outcome;
		leader->backs += poll->done[i].handed_back;
		leader->done[leader->done_count++] = poll->done[i].token;
	}
	if (poll->meter_seq > leader->last_meter) {
		leader->last_meter = poll->meter_seq;
		for (size_t i = 0; i < poll->reads_count; i++)
			leader->reads += poll->reads[i].count;
	}
}

/* With the mutex held: answers when there is something to say, and holds otherwise. */
static void consider(struct leader *leader, struct link_call *call, const struct poll *poll)
{
	struct poll_answer answer = { .leader = true, .meter_ack = poll ? poll->meter_seq : 0 };
	struct token acks[TOKENS_MAX];
	AUTO_BUF grant;
	buf_init(&grant, MIB);
	struct poll_task task;
	if (poll && leader->acks) {
		for (size_t i = 0; i < poll->done_count; i++)
			acks[answer.ack_count++] = poll->done[i].token;
		answer.acks = acks;
	}
	if (leader->next <= leader->wanted) {
		make_grant(leader, leader->next++, &grant);
		task = (struct poll_task) { grant.data, grant.len };
		answer.tasks = &task;
		answer.task_count = 1;
	}
	if (leader->cancel.counter) {
		answer.cancels = &leader->cancel;
		answer.cancel_count = 1;
	}
	if (leader->back.counter) {
		answer.backs = &leader->back;
		answer.back_count = 1;
	}
	if (leader->drop) {
		answer.drop = &leader->drop;
		answer.drop_count = 1;
	}
	bool says = answer.ack_count || answer.task_count || answer.cancel_count ||
		answer.drop_count || answer.back_count ||
		(poll && poll->meter_seq);
	if (!says) {
		leader->held = call;
		return;
	}
	answer_with(leader, call, &answer);
	leader->cancel.counter = 0;
	leader->back.counter = 0;
	leader->drop = NULL;
}

static void on_poll(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	struct leader *leader = context;
	struct envelope envelope;
	struct poll poll;
	pthread_mutex_lock(&leader->mutex);
	cr_assert_eq(envelope_read(leader->arena, data, len, &envelope, NULL), 0);
	cr_assert_eq(poll_read(leader->arena, envelope.body, &poll, NULL), 0);
	leader->polls++;
	leader->saw_draining = leader->saw_draining || poll.draining;
	if (!leader->leads) {
		answer_with(leader, call, &(struct poll_answer) { .leader = false });
	} else if (leader->ignore > 0) {
		leader->ignore--;
	} else {
		if (leader->held)
			answer_with(leader, leader->held, &(struct poll_answer) { .leader = true });
		leader->held = NULL;
		note_done(leader, &poll);
		consider(leader, call, &poll);
	}
	pthread_cond_broadcast(&leader->changed);
	pthread_mutex_unlock(&leader->mutex);
}

/* Something is to be said: to the held poll, at once. */
static void leader_speak(struct leader *leader)
{
	struct link_call *call = leader->held;
	leader->held = NULL;
	if (call)
		consider(leader, call, NULL);
}

static void leader_start(struct leader *leader, const char *url)
{
	uint8_t sign_public[SIGN_PUBLIC_BYTES], sign_secret[SIGN_SECRET_BYTES];
	memset(leader, 0, sizeof *leader);
	pthread_mutex_init(&leader->mutex, NULL);
	pthread_cond_init(&leader->changed, NULL);
	leader->leads = leader->acks = true;
	leader->next = 1;
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(64 * MIB, &leader->arena, NULL), 0);
	sign_keypair(sign_public, sign_secret);
	box_keypair(leader->box_public, leader->box_secret);
	cr_assert_eq(grant_signer_new(sign_secret, &leader->signer, NULL), 0);
	struct link_server_conf conf = { .url = url, .contexts = 8, .call = on_poll,
		.context = leader };
	cr_assert_eq(link_server_new(&conf, &leader->server, NULL), 0);
}

static void leader_stop(struct leader *leader)
{
	link_server_free(leader->server);
	grant_signer_free(leader->signer);
	arena_free(leader->arena);
}

static void leader_want(struct leader *leader, int64_t count)
{
	pthread_mutex_lock(&leader->mutex);
	leader->wanted = count;
	leader_speak(leader);
	pthread_mutex_unlock(&leader->mutex);
}

/* Waits until *number reaches least. */
static void await(struct leader *leader, const int *number, int least)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MS / 1000;
	int rc = 0;
	pthread_mutex_lock(&leader->mutex);
	while (*number < least && rc == 0)
		rc = pthread_cond_timedwait(&leader->changed, &leader->mutex, &until);
	int got = *number;
	pthread_mutex_unlock(&leader->mutex);
	cr_assert_geq(got, least);
}

/* ---- what the agent runs ---- */

static bool cancelled(struct attempt *attempt)
{
	pthread_mutex_lock(&attempt->mutex);
	bool is = attempt->cancelled;
	pthread_mutex_unlock(&attempt->mutex);
	return is;
}

static int fake_run(struct runner *runner, struct attempt *attempt, struct arena *arena,
                    const uint8_t *grant, size_t len, struct report *ret_report, struct err *err)
{
	struct rig *rig = (struct rig *)(void *)runner;
	struct grant_hint hint;
	TRY(grant_peek(arena, grant, len, &hint, err));
	pthread_mutex_lock(&rig->mutex);
	rig->runs[hint.token.counter]++;
	bool block = rig->block;
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->mutex);
	while (block && !cancelled(attempt))
		usleep(1000);
	*ret_report = (struct report) {
		.task = hint.task, .token = hint.token,
		.outcome = cancelled(attempt) ? OUTCOME_CANCELLED : OUTCOME_SUCCEEDED,
	};
	return 0;
}

static void on_drop(void *context, const char *tenant)
{
	struct rig *rig = context;
	pthread_mutex_lock(&rig->mutex);
	snprintf(rig->dropped, sizeof rig->dropped, "%s", tenant);
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->mutex);
}

static void agent_start(struct rig *rig, const char *const *urls, int slots)
{
	struct peer_conf peer_conf = { .link = { .urls = urls }, .worker = "w-1",
		.incarnation = 1 };
	struct err err = { 0 };
	cr_assert_eq(peer_new(&peer_conf, &rig->peer, &err), 0, "%s", err.text);
	struct agent_conf conf = {
		.clock = rig->clock ? rig->clock : clock_system(), .peer = rig->peer,
		.run = fake_run,
		.runner = (struct runner *)(void *)rig, .meter = rig->meter, .drop = on_drop,
		.drop_context = rig, .box_public = rig->leader.box_public, .slots = slots,
		.memory_bytes = 1 << 30,
	};
	cr_assert_eq(agent_new(&conf, &rig->agent, &err), 0, "%s", err.text);
}

/* clock NULL: the system's. */
static void rig_start_at(struct rig *rig, const char *url, int slots, struct clock *clock)
{
	const char *const urls[] = { url, NULL };
	memset(rig, 0, sizeof *rig);
	rig->clock = clock;
	pthread_mutex_init(&rig->mutex, NULL);
	pthread_cond_init(&rig->changed, NULL);
	leader_start(&rig->leader, url);
	snprintf(rig->meter_path, sizeof rig->meter_path, "/tmp/agent-meter-XXXXXX");
	close(mkstemp(rig->meter_path));
	cr_assert_eq(meter_new(rig->meter_path, &rig->meter, NULL), 0);
	agent_start(rig, urls, slots);
}

static void rig_start(struct rig *rig, const char *url, int slots)
{
	rig_start_at(rig, url, slots, NULL);
}

static void rig_stop(struct rig *rig)
{
	agent_free(rig->agent);
	peer_free(rig->peer);
	meter_free(rig->meter);
	unlink(rig->meter_path);
	leader_stop(&rig->leader);
}

static void await_drop(struct rig *rig, const char *tenant)
{
	pthread_mutex_lock(&rig->mutex);
	while (strcmp(rig->dropped, tenant) != 0)
		pthread_cond_wait(&rig->changed, &rig->mutex);
	pthread_mutex_unlock(&rig->mutex);
}

Test(agent, every_grant_runs_once_and_its_outcome_is_told)
{
	static struct rig rig;
	rig_start(&rig, "inproc://agent-all", 20);      /* this leader does not count slots */
	leader_want(&rig.leader, 20);
	await(&rig.leader, &rig.leader.done_count, 20);
	for (int i = 1; i <= 20; i++)
		cr_expect_eq(rig.runs[i], 1, "task %d ran %d times", i, rig.runs[i]);
	rig_stop(&rig);
}

Test(agent, an_outcome_is_told_again_until_it_is_acknowledged)
{
	static struct rig rig;
	rig_start(&rig, "inproc://agent-ack", 2);
	pthread_mutex_lock(&rig.leader.mutex);
	rig.leader.acks = false;
	pthread_mutex_unlock(&rig.leader.mutex);
	leader_want(&rig.leader, 1);
	await(&rig.leader, &rig.leader.done_count, 1);
	leader_want(&rig.leader, 2);
	await(&rig.leader, &rig.leader.tellings, 3);    /* 1, then 1 and 2 */
	struct agent_status status;
	agent_status(rig.agent, &status);
	cr_expect_eq(status.unacknowledged, 2);
	pthread_mutex_lock(&rig.leader.mutex);
	rig.leader.acks = true;
	pthread_mutex_unlock(&rig.leader.mutex);
	leader_want(&rig.leader, 3);
	await(&rig.leader, &rig.leader.done_count, 3);
	agent_drain(rig.agent, WAIT_MS);
	agent_status(rig.agent, &status);
	cr_expect_eq(status.unacknowledged, 0);
	cr_expect_eq(rig.runs[1], 1);
	rig_stop(&rig);
}

Test(agent, a_repeated_grant_starts_nothing)
{
	static struct rig rig;
	rig_start(&rig, "inproc://agent-twice", 2);
	leader_want(&rig.leader, 1);
	await(&rig.leader, &rig.leader.done_count, 1);
	pthread_mutex_lock(&rig.leader.mutex);
	rig.leader.next = 1;         /* gives token 1 again, and then 2 */
	rig.leader.wanted = 2;
	leader_speak(&rig.leader);
	pthread_mutex_unlock(&rig.leader.mutex);
	await(&rig.leader, &rig.leader.done_count, 2);
	cr_expect_eq(rig.runs[1], 1);
	cr_expect_eq(rig.runs[2], 1);
	rig_stop(&rig);
}

Test(agent, a_cancelled_attempt_ends_and_says_so)
{
	static struct rig rig;
	rig_start(&rig, "inproc://agent-cancel", 1);
	rig.block = true;
	leader_want(&rig.leader, 1);
	pthread_mutex_lock(&rig.mutex);
	while (!rig.runs[1])
		pthread_cond_wait(&rig.changed, &rig.mutex);
	pthread_mutex_unlock(&rig.mutex);
	pthread_mutex_lock(&rig.leader.mutex);
	rig.leader.cancel = (struct token) { 5, 1 };
	leader_speak(&rig.leader);
	pthread_mutex_unlock(&rig.leader.mutex);
	await(&rig.leader, &rig.leader.done_count, 1);
	cr_expect_eq(rig.leader.outcome[0], OUTCOME_CANCELLED);
	rig_stop(&rig);
}

static bool saw_draining(struct leader *leader)
{
	pthread_mutex_lock(&leader->mutex);
	bool saw = leader->saw_draining;
	pthread_mutex_unlock(&leader->mutex);
	return saw;
}

static bool has_run(struct rig *rig)
{
	pthread_mutex_lock(&rig->mutex);
	bool run = rig->runs[1] > 0;
	pthread_mutex_unlock(&rig->mutex);
	return run;
}

static void *drain(void *context)
{
	struct rig *rig = context;
	agent_drain(rig->agent, GRACE_MS);
	return NULL;
}

/* When the grace is over the clock stands: it is waited until what is handed back is told. */
Test(agent, draining_takes_nothing_new_and_hands_back_what_is_over_the_grace)
{
	static struct rig rig;
	AUTO(clock) *clock = NULL;
	pthread_t thread;
	cr_assert_eq(clock_new_simulated(START_MS, &clock, NULL), 0);
	rig_start_at(&rig, "inproc://agent-drain", 2, clock);
	rig.block = true;
	leader_want(&rig.leader, 1);
	for (; !has_run(&rig); usleep(1000))
		clock_advance(clock, 1);     /* a poll that found no connection is made again */
	cr_assert_eq(pthread_create(&thread, NULL, drain, &rig), 0);
	while (!saw_draining(&rig.leader))
		usleep(1000);
	pthread_mutex_lock(&rig.leader.mutex);
	cr_expect_eq(rig.leader.done_count, 0, "the grace is not over");
	pthread_mutex_unlock(&rig.leader.mutex);
	clock_advance(clock, GRACE_MS);
	pthread_join(thread, NULL);
	pthread_mutex_lock(&rig.leader.mutex);
	cr_expect_eq(rig.leader.done_count, 1);
	cr_expect_eq(rig.leader.outcome[0], OUTCOME_CANCELLED);
	cr_expect_eq(rig.leader.backs, 1);
	pthread_mutex_unlock(&rig.leader.mutex);
	rig_stop(&rig);
}

Test(agent, an_attempt_that_is_asked_for_is_handed_back)
{
	static struct rig rig;
	rig_start(&rig, "inproc://agent-back", 2);
	rig.block = true;
	leader_want(&rig.leader, 2);
	pthread_mutex_lock(&rig.mutex);
	while (!rig.runs[1] || !rig.runs[2])
		pthread_cond_wait(&rig.changed, &rig.mutex);
	pthread_mutex_unlock(&rig.mutex);
	pthread_mutex_lock(&rig.leader.mutex);
	rig.leader.back = (struct token) { 5, 2 };
	leader_speak(&rig.leader);
	pthread_mutex_unlock(&rig.leader.mutex);
	await(&rig.leader, &rig.leader.done_count, 1);
	cr_expect_eq(rig.leader.done[0].counter, 2);
	cr_expect_eq(rig.leader.outcome[0], OUTCOME_CANCELLED);
	cr_expect_eq(rig.leader.backs, 1);
	rig_stop(&rig);
}

Test(agent, it_goes_on_to_the_replica_that_leads)
{
	static struct rig rig;
	static struct leader other;
	const char *const urls[] = { "inproc://agent-first", "inproc://agent-second", NULL };
	memset(&rig, 0, sizeof rig);
	pthread_mutex_init(&rig.mutex, NULL);
	pthread_cond_init(&rig.changed, NULL);
	leader_start(&rig.leader, urls[0]);
	leader_start(&other, urls[1]);
	other.leads = false;
	other.wanted = 1;
	rig.leader.leads = false;
	agent_start(&rig, urls, 1);
	await(&rig.leader, &rig.leader.polls, 2);
	pthread_mutex_lock(&other.mutex);
	memcpy(other.box_public, rig.leader.box_public, BOX_PUBLIC_BYTES);
	other.leads = true;
	pthread_mutex_unlock(&other.mutex);
	await(&other, &other.done_count, 1);
	cr_expect_eq(rig.runs[1], 1);
	agent_free(rig.agent);
	peer_free(rig.peer);
	leader_stop(&rig.leader);
	leader_stop(&other);
}

Test(agent, revocations_and_online_reads_travel_with_the_polls)
{
	static struct rig rig;
	size_t slot;
	rig_start(&rig, "inproc://agent-meter", 1);
	await(&rig.leader, &rig.leader.polls, 1);
	cr_assert_eq(meter_slot(rig.meter, "acme", "flights", &slot, NULL), 0);
	meter_add(rig.meter, slot, 7);
	pthread_mutex_lock(&rig.leader.mutex);
	rig.leader.drop = "acme";
	leader_speak(&rig.leader);
	pthread_mutex_unlock(&rig.leader.mutex);
	await_drop(&rig, "acme");
	await(&rig.leader, &rig.leader.polls, 3);   /* told, acknowledged, polled again */
	cr_expect_eq(rig.leader.reads, 7);
	rig_stop(&rig);
}
