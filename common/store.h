/* store.h - the one place where state is durable: ordered keys, revisions, transactions, a watch,
 * and leadership. Two backings with one behaviour: etcd (store_etcd.c) and memory (store_mem.c);
 * tests/conformance/test_store.c runs on both.
 *
 * Keys and values are bytes; keys are printable text. Every change has a revision, counted over the
 * whole store. Threads: every call may come from any thread at once.
 *
 * Unknown outcomes: when a write's answer is lost the backing finds out what happened before it
 * returns, by reading the transaction's first put key and comparing its value. Only when it cannot
 * (the store stays out of reach until the deadline) it returns E_UNKNOWN_OUTCOME. Plain failures to
 * reach the store are E_UNAVAILABLE. */
#ifndef STORE_H
#define STORE_H

#include "common/buf.h"

struct store;

enum {
	STORE_OPS_MAX = 128, STORE_VALUE_MAX = 1024 * 1024, STORE_KEY_MAX = 512,
	STORE_TXN_BYTES_MAX = 1400 * 1024,       /* keys and values of one transaction */
	STORE_TTL_MIN_S = 2, STORE_TTL_MAX_S = 3600
};

struct store_item {
	const char *key;            /* NUL-terminated */
	const uint8_t *value;
	size_t value_len;
	int64_t mod_revision;       /* 0: there is no such key */
	int64_t create_revision;
};

/* Reads. The items passed to visit are borrowed for the call; a negative answer of visit stops the
 * read and is returned. store_get calls visit once, with mod_revision 0 when there is no key. */
typedef int store_visit_fn(void *context, const struct store_item *item, struct err *err);
MUST_USE int store_get(struct store *store, const char *key, store_visit_fn *visit, void *context,
		       struct err *err);
/* All keys that begin with prefix, in key order, from one revision (paged underneath). */
MUST_USE int store_list(struct store *store, const char *prefix, store_visit_fn *visit,
			void *context, int64_t *ret_revision, struct err *err);
/* The same without the keys up to and with `after`, which begins with prefix. */
MUST_USE int store_list_after(struct store *store, const char *prefix, const char *after,
			      store_visit_fn *visit, void *context, int64_t *ret_revision,
			      struct err *err);

/* A transaction: all compares hold and all ops happen, or none. Built by one thread. No two of its
 * writes may touch one key (E_CONFLICT); a compare that is there already counts once. */
struct store_txn;
MUST_USE int store_txn_new(struct store_txn **ret_txn, struct err *err);
void store_txn_free(struct store_txn *txn);
DEFINE_AUTO(store_txn)
/* The key's mod revision is that (0: the key does not exist). */
MUST_USE int store_txn_if_mod(struct store_txn *txn, const char *key, int64_t mod_revision,
			      struct err *err);
MUST_USE int store_txn_if_create(struct store_txn *txn, const char *key, int64_t create_revision,
				 struct err *err);
MUST_USE int store_txn_put(struct store_txn *txn, const char *key, const void *value, size_t len,
			   struct err *err);
MUST_USE int store_txn_delete(struct store_txn *txn, const char *key, struct err *err);
MUST_USE int store_txn_delete_prefix(struct store_txn *txn, const char *prefix, struct err *err);
/* All keys from first on that sort before end. */
MUST_USE int store_txn_delete_range(struct store_txn *txn, const char *first, const char *end,
				    struct err *err);
size_t store_txn_ops(const struct store_txn *txn);     /* compares + ops so far */
size_t store_txn_bytes(const struct store_txn *txn);   /* sum of keys and values */
/* Adds all of from to into; E_TOO_LARGE past a limit, E_CONFLICT when both write one key (into is
 * unchanged then). */
MUST_USE int store_txn_merge(struct store_txn *into, const struct store_txn *from, struct err *err);

/* E_PRECONDITION when a compare does not hold; nothing happened then. ret_revision may be NULL. */
MUST_USE int store_commit(struct store *store, const struct store_txn *txn, int64_t *ret_revision,
			  struct err *err);

/* Watch: follows a prefix until stopped, in a thread of its own. Events of one transaction come in
 * one run, `last_of_txn` set on the last. First of all, after a compaction, after a lost stream and
 * every relist_ms the prefix is listed: `sync` is called with every key that exists and then with
 * item NULL; the follower drops what was not named. A listing that breaks off is begun again
 * without the NULL, so keep names by the revision `sync` was given, which is the listing's. Events
 * follow with higher revisions. A change that a listing covers may bring no event. */
struct store_event {
	struct store_item item;     /* value NULL and value_len 0 for a delete */
	bool deleted;
	bool last_of_txn;
	int64_t revision;
};
struct store_watch_ops {
	void (*event)(void *context, const struct store_event *event);
	void (*sync)(void *context, const struct store_item *item, int64_t revision);
	void *context;
};
struct store_watch;
MUST_USE int store_watch_new(struct store *store, const char *prefix,
			     const struct store_watch_ops *ops, int64_t relist_ms,
			     struct store_watch **ret_watch, struct err *err);
void store_watch_free(struct store_watch *watch);      /* returns when no call is under way */
DEFINE_AUTO(store_watch)

/* Leadership: campaigns for key in a thread of its own, with a lease of ttl_s (2 at least), kept
 * alive every third of it. `change` is told the key's create_revision when it leads, and 0 as soon
 * as it may not (the lease could have run out by the local monotonic clock, or the key is gone).
 * Safety never rests on this: every write compares create_revision. Freeing gives the lead up, so
 * that another leads at once, and tells `change` 0 before it returns if it led. */
typedef void store_lead_fn(void *context, int64_t create_revision);
struct store_lead;
MUST_USE int store_lead_new(struct store *store, const char *key, const char *id, int ttl_s,
			    store_lead_fn *change, void *context, struct store_lead **ret_lead,
			    struct err *err);
void store_lead_free(struct store_lead *lead);
DEFINE_AUTO(store_lead)

/* Compacts history up to a revision (not physical). */
MUST_USE int store_compact(struct store *store, int64_t revision, struct err *err);
/* What the store takes on its disk, history and what compaction freed included. */
MUST_USE int store_size(struct store *store, int64_t *ret_bytes, struct err *err);

void store_free(struct store *store);
DEFINE_AUTO(store)

#endif
