/* interval_impl.h - a schedule's ledger in memory. Private to control/interval*.c. */
#ifndef INTERVAL_IMPL_H
#define INTERVAL_IMPL_H

#include "control/hashmap.h"
#include "control/interval.h"

struct entry {                       /* an interval that runs */
	struct hash_node by_id;
	struct ledger *ledger;
	struct entry *next, *prev;
	int64_t from_ms, to_ms;
	char id[ID_LEN + 1];
	char backfill[ID_LEN + 1];   /* uid; "": none */
	bool is_run, credited;
	bool durable;                /* false: a claim */
};

struct ledger {                      /* of a schedule, or what a backfill has fired of it */
	struct hash_node by_uid;
	struct ledger *next, *next_moved;
	char uid[ID_LEN + 1], tenant[64], domain[64], schedule[64];
	bool is_backfill;
	bool moved;
	struct stretches stretches;          /* what has ended */
	struct entry *running;       /* a schedule's only */
	size_t running_count;
	int64_t first_ms, last_ms;   /* first fired, last ended; 0: never */
	int64_t until_ms;            /* the end of the last that was fired */
	struct buf seen;             /* msgpack; empty: nothing */
};

struct book {
	struct hashmap ledgers, running;
	struct ledger *first, *moved;
};

/* interval.c */
struct ledger *ledger_find(const struct book *book, const char *uid);
int ledger_get(struct book *book, const char *uid, struct ledger **ret_ledger, struct err *err);
int ledger_restore_running(struct book *book, struct ledger *ledger, const struct value *map,
                           struct err *err);
void ledger_restore_name(struct ledger *ledger, const struct value *record);

/* interval_emit.c */
int ledger_restore(struct book *book, const struct value *record, struct err *err);

#endif
