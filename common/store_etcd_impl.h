/* store_etcd_impl.h - what the parts of the etcd backing share. Private to common/store_etcd*.c. */
#ifndef STORE_ETCD_IMPL_H
#define STORE_ETCD_IMPL_H

#include "common/clock.h"
#include "common/fetch.h"
#include "common/store_etcd.h"
#include "common/store_impl.h"
#include "common/value.h"

enum {
	ETCD_ENDPOINTS_MAX = 16, ETCD_PREFIX_MAX = 256, ETCD_TOKEN_MAX = 4096,
	ETCD_FULL_KEY_MAX = ETCD_PREFIX_MAX + STORE_KEY_MAX,
	ETCD_ANSWER_MAX = 32 * 1024 * 1024,   /* bytes; past it a listing asks for less */
	ETCD_LINE_MAX = 64 * 1024 * 1024      /* bytes of one watch line; past it: list anew */
};

struct store_etcd {
	struct store base;
	struct clock *clock;
	struct fetch *fetch;
	char *endpoints[ETCD_ENDPOINTS_MAX];     /* without a slash at the end */
	int endpoint_count;
	char *prefix;
	char *user, *password_file;              /* NULL: no authentication */
	int timeout_ms;
	pthread_mutex_t mutex;     /* guards what follows; never held across a call */
	pthread_cond_t changed;    /* the token changed; also what retries wait on */
	int current;               /* the endpoint to ask first */
	char *token;               /* NULL: none yet */
	uint64_t token_serial;
	bool authenticating;       /* one thread does, the others wait for it */
	int64_t seen_revision;     /* the highest in any answer */
	int followers;             /* watches and campaigns not yet freed */
};

/* --- store_etcd_lines.c: what etcd says --- */

struct etcd_item {             /* decoded; its memory is reused by the next decoding */
	struct buf key, value;
	struct store_item item;    /* points into the above */
	int64_t version, lease;
};
void etcd_item_init(struct etcd_item *item);
void etcd_item_release(struct etcd_item *item);
static inline void etcd_item_cleanup(struct etcd_item *item) { etcd_item_release(item); }
#define AUTO_ETCD_ITEM __attribute__((cleanup(etcd_item_cleanup))) struct etcd_item

MUST_USE int etcd_parse(struct arena *arena, const char *text, size_t len,
			const struct value **ret_root, struct err *err);
/* A number, as JSON number or decimal text; 0 when left out. E_CORRUPT for anything else. */
MUST_USE int etcd_int(const struct value *map, const char *name, int64_t *ret_int, struct err *err);
/* A KeyValue whose key begins with prefix, which is taken off. */
MUST_USE int etcd_item_decode(const struct value *kv, const char *prefix,
			      struct etcd_item *ret_item, struct err *err);

struct etcd_line {
	bool canceled;             /* by etcd, or an error line: the stream is of no more use */
	int64_t compact_revision;  /* canceled for that reason; else 0 */
	const struct value *events;
};
MUST_USE int etcd_line_decode(struct arena *arena, const char *text, size_t len,
			      struct etcd_line *ret_line, struct err *err);
MUST_USE int etcd_event_decode(const struct value *event, const char *prefix,
			       struct etcd_item *ret_item, bool *ret_deleted, struct err *err);
/* The code for an answer other than 200: E_UNAVAILABLE and every code but E_UNKNOWN_OUTCOME mean
 * that nothing happened; E_UNAUTHENTICATED that a new token may help. */
int etcd_refusal(int status, const char *text, size_t len, struct err *err);

/* --- store_etcd_call.c: one request, on whichever endpoint answers --- */

struct etcd_answer {
	struct arena *arena;
	const struct value *root;
	int64_t revision;          /* of the header */
};
void etcd_answer_release(struct etcd_answer *answer);
static inline void etcd_answer_cleanup(struct etcd_answer *answer) { etcd_answer_release(answer); }
#define AUTO_ETCD_ANSWER __attribute__((cleanup(etcd_answer_cleanup))) struct etcd_answer

struct etcd_call {
	const char *path;
	const struct buf *body;
	int64_t deadline_mono_ms;
	bool repeatable;           /* an unknown outcome is tried again; else it is returned */
};
MUST_USE int etcd_call(struct store_etcd *etcd, const struct etcd_call *call,
		       struct etcd_answer *ret_answer, struct err *err);
int64_t etcd_deadline(struct store_etcd *etcd);
void etcd_wait(struct store_etcd *etcd, int64_t until_mono_ms);
/* The Authorization header to send, empty when there is no user. */
MUST_USE int etcd_authorization(struct store_etcd *etcd, int64_t deadline_mono_ms,
				struct buf *ret_header, uint64_t *ret_serial, struct err *err);
void etcd_token_drop(struct store_etcd *etcd, uint64_t serial);
const char *etcd_endpoint(struct store_etcd *etcd);
void etcd_endpoint_next(struct store_etcd *etcd, const char *failed);

/* --- store_etcd.c --- */

/* Append "name":"base64 of prefix and key". The second gives the end of the range key begins. */
void etcd_print_key(struct buf *out, const struct store_etcd *etcd, const char *name,
		    const char *key);
void etcd_print_end(struct buf *out, const struct store_etcd *etcd, const char *prefix);
/* The key at a revision (0: now). *ret_found false: no such key. */
MUST_USE int etcd_read(struct store_etcd *etcd, const char *key, int64_t revision,
		       int64_t deadline_mono_ms, struct etcd_item *ret_item, bool *ret_found,
		       struct err *err);
/* *revision is 0, and the listing's from before the first visit on, even if it fails later.
 * after NULL: from the first key on. */
MUST_USE int etcd_list_pages(struct store_etcd *etcd, const char *prefix, const char *after,
			     store_visit_fn *visit, void *context, int64_t *revision,
			     struct err *err);
/* Counts a watch or campaign in (+1) or out (-1). */
void etcd_follow(struct store_etcd *etcd, int by);

/* --- the rest of the table --- */

int etcd_commit(struct store *store, const struct store_txn *txn, int64_t *ret_revision,
		struct err *err);
int etcd_watch_new(struct store *store, const char *prefix, const struct store_watch_ops *ops,
		   int64_t relist_ms, struct store_watch **ret_watch, struct err *err);
void etcd_watch_free(struct store_watch *watch);
int etcd_lead_new(struct store *store, const char *key, const char *id, int ttl_s,
		  store_lead_fn *change, void *context, struct store_lead **ret_lead,
		  struct err *err);
void etcd_lead_free(struct store_lead *lead);

#endif
