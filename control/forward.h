/* forward.h - requests that only a leader can answer, on their way to it: who leads which part, by
 * the leader keys of the store, and one HTTP call to that replica. A request is passed on once:
 * what comes with the header Freehold-Forwarded is answered where it arrives. Any thread. */
#ifndef FORWARD_H
#define FORWARD_H

#include "control/admit.h"

#define FORWARDED_HEADER "Freehold-Forwarded"
#define REVISION_HEADER "Freehold-Revision"

struct forward;
struct forward_conf {
	struct store *store;         /* outlives it */
	const char *replica;         /* this one's name; outlives it */
	const char *ca_file;         /* PEM, what the others' certificates are checked with; NULL:
	                              * the system's */
	int most;                    /* requests under way at one time; 0: 16 */
	int timeout_ms;              /* 0: 10 s; what a held request waits comes on top */
};
/* Follows the leader keys from now on. */
MUST_USE int forward_new(const struct forward_conf *conf, struct forward **ret_forward,
                         struct err *err);
void forward_free(struct forward *forward);
DEFINE_AUTO(forward)

/* A leader key's value: {"replica": ..., "url": ...}; url NULL: nobody passes requests on to it. */
MUST_USE int leader_print(const char *replica, const char *url, struct buf *out, struct err *err);
struct leader { char replica[128], url[256]; };
/* Who holds a part's leader key; false: nobody, as far as is known here. */
bool forward_leader(struct forward *forward, int part, struct leader *ret_leader);

/* Has the part's leader answer the request; its status, headers and body are the reply. Fails
 * without an answer: E_NOT_LEADER (it was passed on already, or this replica is about to lead),
 * E_UNAVAILABLE (nobody leads, or it does not answer), E_UNKNOWN_OUTCOME (a write may have
 * happened). */
MUST_USE int forward_request(struct forward *forward, const struct part *part,
                             struct request *request, struct err *err);
/* The same where an answer goes on and on: the asker is sent there (307). */
MUST_USE int forward_refer(struct forward *forward, const struct part *part,
                           struct request *request, struct err *err);
/* What the part's leader answers with 200 to GET target ("/v1/..?..", encoded already) under the
 * request's credential. E_UNAVAILABLE for any other answer. */
MUST_USE int forward_get(struct forward *forward, const struct part *part,
                         const struct request *request, const char *target,
                         struct value **ret_body, struct err *err);

#endif
