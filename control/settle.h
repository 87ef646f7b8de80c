/* settle.h - SETTLE: from a worker's report to what is true. One step table, one function a row:
 * match -> apply -> publish -> charge -> meter -> audit -> record Steps only add to one change;
 * only the journal's commit makes it true, all of it or nothing. Reports that arrive together
 * share a change. Every step may run twice. */
#ifndef SETTLE_H
#define SETTLE_H

#include "api/poll.h"
#include "control/control.h"

struct audit_event;
enum settle_kind {
	SETTLE_REPORT,       /* an attempt has ended, says its worker, or control for a lost one */
	SETTLE_CANCEL,       /* a waiting task was asked to end, or has expired */
	SETTLE_READS,        /* online reads since the last batch */
	SETTLE_SHARED        /* an attempt was granted data, maybe another tenant's: an event */
};

/* All borrowed until the item is settled. */
struct settle_item {
	enum settle_kind kind;
	const char *worker;          /* NULL: control itself */
	int64_t incarnation;
	const struct report *report; /* SETTLE_REPORT; SETTLE_CANCEL: only its task */
	int64_t meter_seq;           /* SETTLE_READS, as all below */
	const struct reads *reads;
	size_t reads_count;
	const struct shared_read *shared;    /* SETTLE_SHARED: of this, */
	const struct audit_event *event;     /* or this; the other is NULL */
	bool ignored;                /* set: it told of nothing current, and changed nothing */
};

/* Settles the first items in one commit; ret_count says how many (at least one). 0: they are
 * durable, or changed nothing. E_UNAVAILABLE, E_BUSY, E_NOMEM, E_PRECONDITION: nothing happened,
 * try again later. E_NOT_LEADER, E_UNKNOWN_OUTCOME: this replica leads no more; the workers will
 * tell who does. */
MUST_USE int settle(struct part *part, struct settle_item *const *items, size_t count,
                    size_t *ret_count, struct err *err);

#endif
