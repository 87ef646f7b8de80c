/* envelope.h - what every message on the link is wrapped in: version, kind, who, in which life,
 * number. Bytes: compress.h frame around canonical msgpack {v, kind, worker, incarnation, seq,
 * body}. */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "api/node.h"
#include "common/value.h"

/* What is written, and what is read: the next version's too, which may only add to this one, so
 * that workers and controls one version apart work together, whichever is upgraded first. */
enum { ENVELOPE_VERSION = 1, ENVELOPE_VERSION_MIN = 1, ENVELOPE_VERSION_MAX = 2 };

struct envelope {
	int version;
	const char *kind;            /* "poll", "access"; answers: the same, or "problem" */
	const char *worker;          /* name; in answers the replica's */
	int64_t incarnation;         /* start time of the process, ms; grows with every restart */
	int64_t seq;                 /* grows with every message; a repeat has the same */
	const struct value *body;
	/* Not sent: of a message that was received, how its answer is to be proven. */
	struct node_proof proof;
};

MUST_USE int envelope_write(const struct envelope *envelope, struct buf *out, struct err *err);
/* E_INVALID: malformed, or a version outside [ENVELOPE_VERSION_MIN, ENVELOPE_VERSION_MAX], which
 * is named. */
MUST_USE int envelope_read(struct arena *arena, const void *data, size_t len,
                           struct envelope *ret_envelope, struct err *err);

#endif
