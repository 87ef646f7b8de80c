/* peer.c - every exchange has a number of its own, so that control can tell a repeat. */
#include "common/defs.h"
#include "worker/peer.h"

#include "api/poll.h"
#include "common/clock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct peer {
	struct link_client *link;
	const char *worker;
	int64_t incarnation;
	_Atomic int64_t seq;
	atomic_int replica;          /* asked at present */
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

void peer_switch(struct peer *peer, int replica)
{
	int next = (replica + 1) % link_client_count(peer->link);
	atomic_compare_exchange_strong(&peer->replica, &replica, next);
}

int peer_count(const struct peer *peer)
{
	return link_client_count(peer->link);
}

void peer_interrupt(struct peer *peer)
{
	link_client_interrupt(peer->link);
}

static int read_answer(const struct buf *bytes, const char *kind, struct arena *arena,
                       const struct value **ret_body, struct err *err)
{
	struct envelope answer;
	TRY(envelope_read(arena, bytes->data, bytes->len, &answer, err));
	if (strcmp(answer.kind, "problem") == 0) {
		struct err said;
		link_problem_read(answer.body, &said);
		return err_set(err, said.code, "%s", said.text);
	}
	if (strcmp(answer.kind, kind) != 0)
		return err_set(err, E_INVALID, "link: the answer to a \"%s\" is of another kind",
		               kind);
	*ret_body = answer.body;
	return 0;
}

int peer_ask(struct peer *peer, const char *kind, const struct value *body, int timeout_ms,
             struct arena *arena, const struct value **ret_body, int *ret_replica,
             struct err *err)
{
	AUTO_BUF sent, bytes;
	buf_init(&sent, LINK_MESSAGE_MAX);
	buf_init(&bytes, LINK_MESSAGE_MAX + 1);
	struct envelope envelope = {
		.version = ENVELOPE_VERSION, .kind = kind, .worker = peer->worker,
		.incarnation = peer->incarnation, .seq = atomic_fetch_add(&peer->seq, 1) + 1,
		.body = body,
	};
	*ret_replica = atomic_load(&peer->replica);
	TRY(envelope_write(&envelope, &sent, err));
	TRY(link_client_call(peer->link, *ret_replica, sent.data, sent.len, timeout_ms, &bytes,
	                     err));
	return read_answer(&bytes, kind, arena, ret_body, err);
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
	for (int i = 0; ; i++) {
		int replica;
		int64_t left = until - clock_mono_ms(clock);
		if (left <= 0)
			return err_set(err, E_UNAVAILABLE, "no control replica answered within %d "
			               "ms; try again", timeout_ms);
		int rc = peer_ask(peer, kind, body, (int)left, arena, ret_body, &replica, err);
		if (!ask_another(rc) || i + 1 >= peer_count(peer))
			return rc;
		peer_switch(peer, replica);
	}
}
