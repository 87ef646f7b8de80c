/* peer.c - every exchange has a number of its own, so that control can tell a repeat. A shard's
 * polls are numbered without a gap: its leader tells by it which answers a poll may not know of. */
#include "common/defs.h"
#include "worker/peer.h"

#include "common/clock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct peer {
	struct link_client *link;
	const char *worker;
	int64_t incarnation;
	_Atomic int64_t seq[POLL_SHARDS_MAX];    /* of each shard's polls */
	_Atomic int64_t questions;   /* of the rest */
	atomic_int replica[POLL_SHARDS_MAX];     /* asked at present */
	atomic_int decider;          /* the shard whose leader decided last */
};

int peer_new(const struct peer_conf *conf, struct peer **ret_peer, struct err *err)
{
	AUTO(peer) *peer = calloc(1, sizeof *peer);
	if (!peer)
		return err_set(err, E_NOMEM, "no memory for the link to control");
	peer->worker = conf->worker;
	peer->incarnation = conf->incarnation;
	TRY(link_client_new(&conf->link, &peer->link, err));
	*ret_peer = MOVE(peer);
	return 0;
}

void peer_free(struct peer *peer)
{
	if (!peer)
		return;
	link_client_free(peer->link);
	free(peer);
}

void peer_switch(struct peer *peer, int shard, int replica)
{
	int next = (replica + 1) % link_client_count(peer->link);
	atomic_compare_exchange_strong(&peer->replica[shard], &replica, next);
}

int peer_count(const struct peer *peer)
{
	return link_client_count(peer->link);
}

void peer_interrupt(struct peer *peer)
{
	link_client_interrupt(peer->link);
}

/* ret_shard: of a problem, whose leader could answer; -1: it does not say. */
static int read_answer(const struct buf *bytes, const char *kind, struct arena *arena,
                       const struct value **ret_body, int *ret_shard, struct err *err)
{
	struct envelope answer;
	*ret_shard = -1;
	TRY(envelope_read(arena, bytes->data, bytes->len, &answer, err));
	if (strcmp(answer.kind, "problem") == 0) {
		struct err said;
		int64_t shard = value_get_int(answer.body, "shard", -1);
		link_problem_read(answer.body, &said);
		if (shard >= 0 && shard < POLL_SHARDS_MAX)
			*ret_shard = (int)shard;
		return err_set(err, said.code, "%s", said.text);
	}
	if (strcmp(answer.kind, kind) != 0)
		return err_set(err, E_INVALID, "link: the answer to a \"%s\" is of another kind",
		               kind);
	*ret_body = answer.body;
	return 0;
}

struct question {
	const char *kind;
	const struct value *body;
	int64_t seq;
	int replica, timeout_ms;
};

static int exchange(struct peer *peer, const struct question *question, struct arena *arena,
                    const struct value **ret_body, int *ret_shard, struct err *err)
{
	AUTO_BUF sent, bytes;
	buf_init(&sent, LINK_MESSAGE_MAX);
	buf_init(&bytes, LINK_MESSAGE_MAX + 1);
	struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = question->kind, .worker = peer->worker,
		.incarnation = peer->incarnation, .seq = question->seq, .body = question->body,
	};
	*ret_shard = -1;
	TRY(envelope_write(&envelope, &sent, err));
	TRY(link_client_call(peer->link, question->replica, sent.data, sent.len,
	                     question->timeout_ms, &bytes, err));
	return read_answer(&bytes, question->kind, arena, ret_body, ret_shard, err);
}

int peer_ask(struct peer *peer, int shard, const char *kind, const struct value *body,
             int timeout_ms, struct arena *arena, const struct value **ret_body,
             int *ret_replica, struct err *err)
{
	int said = -1;
	*ret_replica = atomic_load(&peer->replica[shard]);
	const struct question question = {
		.kind = kind, .body = body, .seq = atomic_fetch_add(&peer->seq[shard], 1) + 1,
		.replica = *ret_replica, .timeout_ms = timeout_ms,
	};
	return exchange(peer, &question, arena, ret_body, &said, err);
}

static bool ask_another(int code)
{
	return code == E_NOT_LEADER || code == E_UNAVAILABLE || code == E_TIMEOUT;
}

int peer_ask_leader(struct peer *peer, const char *kind, const struct value *body, int timeout_ms,
                    struct arena *arena, const struct value **ret_body, struct err *err)
{
	struct clock *clock = clock_system();
	int64_t until = clock_mono_ms(clock) + timeout_ms;
	int shard = atomic_load(&peer->decider), tries = peer_count(peer), said = -1;
	for (bool told = false; ;) {
		int64_t left = until - clock_mono_ms(clock);
		if (left <= 0)
			return err_set(err, E_UNAVAILABLE, "no control replica answered within %d "
			               "ms; try again", timeout_ms);
		const struct question question = {
			.kind = kind, .body = body,
			.seq = atomic_fetch_add(&peer->questions, 1) + 1,
			.replica = atomic_load(&peer->replica[shard]), .timeout_ms = (int)left,
		};
		int rc = exchange(peer, &question, arena, ret_body, &said, err);
		if (!ask_another(rc)) {
			atomic_store(&peer->decider, shard);
			return rc;
		}
		if (said >= 0 && said != shard && !told) {   /* another's: its replicas in turn */
			told = true;
			shard = said;
			tries = peer_count(peer);
			continue;
		}
		if (--tries == 0)
			return rc;
		peer_switch(peer, shard, question.replica);
	}
}
