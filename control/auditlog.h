/* auditlog.h - a tenant's audit log as others check it: tiles and entries (C2SP tlog-tiles),
 * checkpoints signed by the installation (C2SP tlog-checkpoint, signed-note), proofs. An entry is
 * an event's line (control/ocsf.h), its index the event's number less the first one's. The origin
 * is "freehold/audit/UID" with the tenant's uid, which no other tenant ever has.
 *
 * A checkpoint is durable, in the log's heads (control/shard_log.h), before anybody sees it, and is
 * signed by who leads only. */
#ifndef AUDITLOG_H
#define AUDITLOG_H

#include "api/logproof.h"
#include "control/control.h"
#include "control/shard_log.h"

/* Where events that left memory can be had: calls line for each of the entries [index, index +
 * count), in order. What it gives is compared with the tree. E_NOT_FOUND: it has not all. */
typedef int audit_line_fn(void *context, uint64_t index, const char *line, size_t len,
                          struct err *err);
struct audit_older {
	int (*lines)(void *context, const char *tenant, uint64_t index, size_t count,
	             audit_line_fn *line, void *line_context, struct err *err);
	void *context;
};

/* Calls line for each event of a list, the first of which is entry `index`. */
MUST_USE int auditlog_print(const struct value *list, uint64_t index, audit_line_fn *line,
                            void *context, struct err *err);

struct auditlog {
	struct control *control;
	struct part *part;
	struct arena *arena;
	const char *tenant, *origin;
	struct log_state state;      /* as it was opened */
};
/* E_NOT_FOUND: there is no such tenant. Borrows all. */
MUST_USE int auditlog_open(struct control *control, struct arena *arena, const char *tenant,
                           struct auditlog *ret_log, struct err *err);

/* Calls line for the entries [index, index + count), in order, in memory or older. */
MUST_USE int auditlog_lines(const struct auditlog *log, uint64_t index, size_t count,
                            audit_line_fn *line, void *context, struct err *err);
/* The note of the whole log: the newest head's, or a new one. log->state has it as its newest head
 * then. E_CORRUPT: it does not hold what was signed before; nothing is signed. */
MUST_USE int auditlog_sign(struct auditlog *log, struct err *err);
/* A tile's or bundle's bytes. E_NOT_FOUND. */
MUST_USE int auditlog_tile(const struct auditlog *log, const struct tile *tile, struct buf *out,
                           struct err *err);
/* What proves an entry in the log as its newest head has it; all in the arena. */
MUST_USE int auditlog_prove(const struct auditlog *log, uint64_t index, struct logproof *ret_proof,
                            struct err *err);
MUST_USE int auditlog_consistency(const struct auditlog *log, uint64_t old, uint64_t size,
                                  struct merkle_proof *ret_proof, struct err *err);

/* Signs every log of the part that has changed for a minute, or by 10,000 events. */
MUST_USE int auditlog_look(struct part *part, struct err *err);
/* Says which logs of the part are forked: after a replay. */
void auditlog_report(struct part *part);

#endif
