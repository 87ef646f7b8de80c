/* store_impl.h - what a backing of store.h provides. Private to common/store*.c. */
#ifndef STORE_IMPL_H
#define STORE_IMPL_H

#include "common/store.h"

/* Arguments are checked by store.c; a backing's own struct begins with the struct below. */
struct store_ops {
	int (*get)(struct store *store, const char *key, store_visit_fn *visit, void *context,
		   struct err *err);
	int (*list)(struct store *store, const char *prefix, const char *after,
		    store_visit_fn *visit, void *context, int64_t *ret_revision,
		    struct err *err);      /* after NULL: from the first key on */
	int (*commit)(struct store *store, const struct store_txn *txn, int64_t *ret_revision,
		      struct err *err);
	int (*watch_new)(struct store *store, const char *prefix, const struct store_watch_ops *ops,
			 int64_t relist_ms, struct store_watch **ret_watch, struct err *err);
	void (*watch_free)(struct store_watch *watch);
	int (*lead_new)(struct store *store, const char *key, const char *id, int ttl_s,
			store_lead_fn *change, void *context, struct store_lead **ret_lead,
			struct err *err);
	void (*lead_free)(struct store_lead *lead);
	int (*compact)(struct store *store, int64_t revision, struct err *err);
	int (*size)(struct store *store, int64_t *ret_bytes, struct err *err);
	void (*free)(struct store *store);
};

struct store { const struct store_ops *ops; };
struct store_watch { struct store *store; };
struct store_lead { struct store *store; };

enum store_op_kind {
	STORE_IF_MOD, STORE_IF_CREATE, STORE_PUT, STORE_DELETE, STORE_DELETE_PREFIX,
	STORE_DELETE_RANGE
};

struct store_op {
	enum store_op_kind kind;
	char *key;                 /* owned; for STORE_DELETE_PREFIX the prefix */
	/* In the key's allocation. STORE_PUT; for STORE_DELETE_RANGE the end, with its NUL. */
	uint8_t *value;
	size_t value_len;
	int64_t revision;          /* compares only */
};

/* Invariants: no two writes touch one key; count <= STORE_OPS_MAX; bytes <= STORE_TXN_BYTES_MAX. */
struct store_txn {
	struct store_op *ops;
	size_t count, cap;
	size_t bytes;
};

static inline bool store_op_writes(const struct store_op *op)
{
	return op->kind >= STORE_PUT;
}

bool store_has_prefix(const char *key, const char *prefix);
/* Whether a write touches a key. */
bool store_op_covers(const struct store_op *write, const char *key);

#endif
