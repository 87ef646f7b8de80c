/* relay.h - an HTTP relay in front of a server on this machine that loses requests or answers on
 * demand. One request at a time, one connection a request. */
#ifndef TESTS_SUPPORT_RELAY_H
#define TESTS_SUPPORT_RELAY_H

#include "common/defs.h"

struct relay;

enum relay_loss {
	RELAY_LOSE_NOTHING,
	RELAY_LOSE_REQUEST,        /* read from the client and dropped */
	RELAY_LOSE_ANSWER          /* the server acted; its answer is dropped */
};

/* Called when the server has answered and the client has not heard of it. */
typedef void relay_hook_fn(void *context);

struct relay *relay_start(const char *server_url);   /* "http://127.0.0.1:PORT" */
const char *relay_url(const struct relay *relay);
/* The next count requests whose path contains part are lost that way. */
void relay_lose(struct relay *relay, enum relay_loss loss, const char *part, int count,
		relay_hook_fn *hook, void *context);
int relay_seen(struct relay *relay, const char *part);   /* requests so far with that path part */
void relay_stop(struct relay *relay);

#endif
