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
	struct node_key *key;        /* a reference; NULL: it has not joined */
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
	peer->key = node_key_ref(conf->key);
	TRY(link_client_new(&conf->link, &peer->link, err));
	*ret_peer = MOVE(peer);
	return 0;
}

void peer_free(struct peer *peer)
{
	if (!peer)
		return;
	link_client_free(peer->link);
	node_key_free(peer->key);
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

int peer_set_tls(struct peer *peer, const struct cert_set *set, struct err *err)
{
	return link_client_set_tls(peer->link, set, err);
}

void peer_interrupt(struct peer *peer)
{
	link_client_interrupt(peer->link);
}

bool peer_proves(const struct peer *peer)
{
	return peer->key != NULL;
}

/* What does not prove that it is control's is no answer; what it says is passed on as hearsay. */
static int not_control(const struct buf *bytes, struct arena *arena, struct err *err)
{
	struct envelope answer;
	struct err said = { .text = "" };
	if (envelope_read(arena, bytes->data, bytes->len, &answer, NULL) == 0 &&
	    strcmp(answer.kind, "problem") == 0)
		link_problem_read(answer.body, &said);
	return err_set(err, E_UNAVAILABLE, "link: the answer is not proven to be control's%s%s",
	               said.text[0] ? ": " : "", said.text);
}

/* The envelope in an answer; inside it if it is proven, as it has to be to one that has joined. */
static int open_answer(const struct peer *peer, const struct buf *bytes, const uint8_t *mac,
                       struct arena *arena, struct envelope *answer, struct err *err)
{
	const uint8_t *inner = bytes->data;
	size_t len = bytes->len;
	if (peer->key && !node_is_answer(inner, len))
		return not_control(bytes, arena, err);
	if (peer->key && node_answer_open(peer->key, mac, inner, len, &inner, &len, NULL) < 0)
		return err_set(err, E_UNAVAILABLE, "link: the answer is not proven to be "
		               "control's");
	return envelope_read(arena, inner, len, answer, err);
}

/* ret_shard: of a problem, whose leader could answer; -1: it does not say. */
static int read_answer(const struct envelope *answer, const char *kind,
                       const struct value **ret_body, int *ret_shard, struct err *err)
{
	*ret_shard = -1;
	if (strcmp(answer->kind, "problem") == 0) {
		struct err said;
		int64_t shard = value_get_int(answer->body, "shard", -1);
		link_problem_read(answer->body, &said);
		if (shard >= 0 && shard < POLL_SHARDS_MAX)
			*ret_shard = (int)shard;
		return err_set(err, said.code, "%s", said.text);
	}
	if (strcmp(answer->kind, kind) != 0)
		return err_set(err, E_INVALID, "link: the answer to a \"%s\" is of another kind",
		               kind);
	*ret_body = answer->body;
	return 0;
}

struct question {
	const char *kind;
	const struct value *body;
	int64_t seq;
	int replica, timeout_ms;
};

static int write_message(struct peer *peer, const struct envelope *envelope, struct buf *out,
                         uint8_t ret_mac[NODE_MAC_BYTES], struct err *err)
{
	AUTO_BUF bare;
	buf_init(&bare, LINK_MESSAGE_MAX - NODE_OVERHEAD_MAX);
	if (!peer->key)
		return envelope_write(envelope, out, err);
	TRY(envelope_write(envelope, &bare, err));
	TRY(buf_check(&bare, err));
	return node_write(peer->key, peer->worker, bare.data, bare.len, out, ret_mac, err);
}

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
	struct envelope answer;
	uint8_t mac[NODE_MAC_BYTES];
	*ret_shard = -1;
	TRY(write_message(peer, &envelope, &sent, mac, err));
	TRY(link_client_call(peer->link, question->replica, sent.data, sent.len,
	                     question->timeout_ms, &bytes, err));
	TRY(open_answer(peer, &bytes, mac, arena, &answer, err));
	return read_answer(&answer, question->kind, ret_body, ret_shard, err);
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
