/* store_mem_impl.h - the in-memory store's state. Private to common/store_mem*.c. */
#ifndef STORE_MEM_IMPL_H
#define STORE_MEM_IMPL_H

#include "common/clock.h"
#include "common/store_impl.h"

/* One state of one key, or its deletion. Immutable but for refs. */
struct version {
	int refs;                  /* by the store's mutex */
	char *key;                 /* this and the value are in the same allocation */
	uint8_t *value;
	size_t value_len;
	int64_t mod_revision, create_revision;
	bool deleted;
};

/* Invariants: live is sorted by key and holds no deletion; history holds every version with a
 * revision over compacted, in order, and history[0] has the sequence number history_base. */
struct store_mem {
	struct store base;
	struct clock *clock;
	pthread_mutex_t mutex;     /* guards all that follows; never held across a callback */
	pthread_cond_t changed;    /* a revision, a stop, a compaction */
	struct version **live;
	size_t live_count, live_cap;
	struct version **history;
	size_t history_count, history_cap;
	uint64_t history_base;
	int64_t revision, compacted;
	int followers;             /* watches and campaigns not yet freed */
	uint64_t calls, fail_at;
	int fail_code;
};

/* Each with the mutex held. */
size_t mem_find(const struct store_mem *mem, const char *key, bool *ret_found);
void mem_unref(struct version *version);
struct store_item mem_item(const struct version *version);
MUST_USE int mem_commit(struct store_mem *mem, const struct store_txn *txn, struct err *err);

/* Takes the mutex. 0, or the injected failure; *ret_happens: act, then report it all the same. */
MUST_USE int mem_fault(struct store_mem *mem, bool *ret_happens, struct err *err);

int mem_watch_new(struct store *store, const char *prefix, const struct store_watch_ops *ops,
		  int64_t relist_ms, struct store_watch **ret_watch, struct err *err);
void mem_watch_free(struct store_watch *watch);
int mem_lead_new(struct store *store, const char *key, const char *id, int ttl_s,
		 store_lead_fn *change, void *context, struct store_lead **ret_lead,
		 struct err *err);
void mem_lead_free(struct store_lead *lead);

#endif
