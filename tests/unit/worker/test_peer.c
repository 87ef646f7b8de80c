/* test_peer.c - which replica the worker asks: each shard's at present, the next one, and another
 * shard's where control says whose leader could answer. */
#include "common/defs.h"
#include "worker/peer.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <string.h>

enum { PATIENCE_MS = 60000, NOBODYS = -1 };

struct replica {                 /* of control, played by this test */
	struct link_server *server;
	int refuse;                  /* with this code; 0: answers */
	int shard;                   /* whose leader could, it says; NOBODYS: it does not say */
	atomic_int asked;
};

static void on_ask(void *context, struct link_call *call, const uint8_t *data, size_t len)
{
	struct replica *replica = context;
	AUTO(arena) *arena = NULL;
	AUTO_BUF out;
	struct envelope asked, answer = {
		.version = ENVELOPE_VERSION, .kind = "access", .worker = "control",
		.incarnation = 1, .seq = 1,
	};
	struct err problem;
	buf_init(&out, MIB);
	cr_assert_eq(arena_new(4 * MIB, &arena, NULL), 0);
	cr_assert_eq(envelope_read(arena, data, len, &asked, NULL), 0);
	struct value *body = value_map(arena);
	atomic_fetch_add(&replica->asked, 1);
	if (replica->refuse) {
		answer.kind = "problem";
		err_set(&problem, replica->refuse, "said by control");
		body = link_problem_value(arena, &problem);
	}
	if (replica->refuse && replica->shard != NOBODYS)
		value_set_int(body, "shard", replica->shard);
	answer.body = body;
	cr_assert_eq(envelope_write(&answer, &out, NULL), 0);
	link_answer(call, out.data, out.len);
}

struct rig {
	struct replica replicas[2];
	struct peer *peer;
	struct arena *arena;
	struct err err;
};

/* A question waits for a connection no longer than a second, and goes elsewhere then. */
static void await_connections(struct rig *rig)
{
	enum { SPARE = POLL_SHARDS_MAX - 1 };    /* a shard that no test asks for */
	const struct value *said = NULL;
	int replica = 0;
	for (int i = 0; i < 2; i++) {
		while (peer_ask(rig->peer, SPARE, "access", value_map(rig->arena), PATIENCE_MS,
		                rig->arena, &said, &replica, &rig->err) < 0)
			cr_assert_eq(rig->err.code, E_UNAVAILABLE, "%s", rig->err.text);
		peer_switch(rig->peer, SPARE, replica);
		atomic_store(&rig->replicas[i].asked, 0);
	}
}

static void rig_start(struct rig *rig, const char *const urls[3])
{
	memset(rig, 0, sizeof *rig);
	cr_assert_eq(arena_new(4 * MIB, &rig->arena, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct link_server_conf conf = { .url = urls[i], .contexts = 4, .call = on_ask,
			                         .context = &rig->replicas[i] };
		rig->replicas[i].shard = NOBODYS;
		cr_assert_eq(link_server_new(&conf, &rig->replicas[i].server, NULL), 0);
	}
	struct peer_conf conf = { .link = { .urls = urls }, .worker = "w-1", .incarnation = 1 };
	cr_assert_eq(peer_new(&conf, &rig->peer, NULL), 0);
	await_connections(rig);
}

static void rig_stop(struct rig *rig)
{
	peer_free(rig->peer);
	for (int i = 0; i < 2; i++)
		link_server_free(rig->replicas[i].server);
	arena_free(rig->arena);
}

static int ask(struct rig *rig)
{
	const struct value *said = NULL;
	return peer_ask_leader(rig->peer, "access", value_map(rig->arena), PATIENCE_MS, rig->arena,
	                       &said, &rig->err);
}

/* How often each was asked since the last time. */
static void expect_asked(struct rig *rig, int first, int second)
{
	cr_expect_eq(atomic_exchange(&rig->replicas[0].asked, 0), first);
	cr_expect_eq(atomic_exchange(&rig->replicas[1].asked, 0), second);
}

Test(peer, one_that_names_another_shard_sends_the_question_to_that_shards_replica)
{
	static const char *const urls[] = { "inproc://peer-a1", "inproc://peer-a2", NULL };
	struct rig rig;
	rig_start(&rig, urls);
	peer_switch(rig.peer, 1, 0);         /* the second leads shard 1, the polls found */
	rig.replicas[0].refuse = E_NOT_LEADER;
	rig.replicas[0].shard = 1;
	cr_assert_eq(ask(&rig), 0, "%s", rig.err.text);
	expect_asked(&rig, 1, 1);
	cr_assert_eq(ask(&rig), 0, "%s", rig.err.text);
	expect_asked(&rig, 0, 1);            /* who decided last is asked first */
	rig_stop(&rig);
}

/* Its own replica for the other shard is the same, and is asked for that one before the next is. */
Test(peer, a_shard_that_is_named_is_asked_for_at_its_replicas_in_turn)
{
	static const char *const urls[] = { "inproc://peer-b1", "inproc://peer-b2", NULL };
	struct rig rig;
	rig_start(&rig, urls);
	rig.replicas[0].refuse = E_NOT_LEADER;
	rig.replicas[0].shard = 1;
	cr_assert_eq(ask(&rig), 0, "%s", rig.err.text);
	expect_asked(&rig, 2, 1);
	int replica = NOBODYS;
	const struct value *said = NULL;
	cr_assert_eq(peer_ask(rig.peer, 1, "access", value_map(rig.arena), PATIENCE_MS, rig.arena,
	                      &said, &replica, &rig.err), 0);
	cr_expect_eq(replica, 1, "shard 1's replica is the second from now on");
	expect_asked(&rig, 0, 1);
	cr_assert_lt(peer_ask(rig.peer, 0, "access", value_map(rig.arena), PATIENCE_MS, rig.arena,
	                      &said, &replica, &rig.err), 0);
	cr_expect_eq(replica, 0, "shard 0's is the first still");
	rig_stop(&rig);
}

Test(peer, replicas_that_send_it_to_and_fro_are_not_asked_without_end)
{
	static const char *const urls[] = { "inproc://peer-c1", "inproc://peer-c2", NULL };
	struct rig rig;
	rig_start(&rig, urls);
	for (int i = 0; i < 2; i++) {
		rig.replicas[i].refuse = E_NOT_LEADER;
		rig.replicas[i].shard = 1 - i;
	}
	peer_switch(rig.peer, 1, 0);
	cr_expect_eq(ask(&rig), E_NOT_LEADER);
	cr_expect_str_eq(rig.err.text, "said by control");
	expect_asked(&rig, 2, 1);
	rig_stop(&rig);
}

/* A number that no worker has a place for is as if none had been said. */
Test(peer, a_shard_beyond_all_bounds_is_not_followed)
{
	static const char *const urls[] = { "inproc://peer-d1", "inproc://peer-d2", NULL };
	struct rig rig;
	rig_start(&rig, urls);
	rig.replicas[0].refuse = E_NOT_LEADER;
	rig.replicas[0].shard = POLL_SHARDS_MAX;
	cr_assert_eq(ask(&rig), 0, "%s", rig.err.text);
	expect_asked(&rig, 1, 1);
	rig_stop(&rig);
}

Test(peer, a_decision_is_not_asked_for_again_elsewhere)
{
	static const char *const urls[] = { "inproc://peer-e1", "inproc://peer-e2", NULL };
	struct rig rig;
	rig_start(&rig, urls);
	rig.replicas[0].refuse = E_QUOTA;
	rig.replicas[0].shard = 1;
	cr_expect_eq(ask(&rig), E_QUOTA);
	expect_asked(&rig, 1, 0);
	rig_stop(&rig);
}
