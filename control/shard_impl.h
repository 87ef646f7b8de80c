/* shard_impl.h - the shard's structures. Private to control/shard*.c; all guarded by
 * shard->mutex. */
#ifndef SHARD_IMPL_H
#define SHARD_IMPL_H

#include "control/hashmap.h"
#include "control/record.h"
#include "control/shard_work.h"

#include "common/crypto.h"
#include "common/text.h"

enum {
	PRINCIPAL_MAX = 132, FINISHED_MAX = 100000, WAITING_MAX = 10000, KEYS_MAX = 100000,
	AUDIT_MAX = 100000, WORKERS_MAX = 4096, KEY_LEN_MAX = 255
};
#define KEY_KEPT_MS ((int64_t)24 * 3600 * 1000)

struct task {
	struct hash_node by_id;
	struct account *account;     /* of its tenant */
	struct task *older, *newer;  /* all of the account's, by acceptance */
	struct task *next, *prev;    /* in the one line it stands in */
	struct line *line;           /* NULL: in none */
	char id[ID_LEN + 1], domain[64], principal[PRINCIPAL_MAX], worker[64];
	enum task_type type;
	enum task_state state;
	bool durable;                /* accepted is; until then nobody sees it */
	bool cancel, inherited;
	struct limits limits;
	struct amounts reserve;      /* what it holds in any state */
	struct hold hold;
	struct amounts used;         /* of all its attempts, cost included */
	int attempts;                /* that have ended */
	int unassigned;              /* attempts that never reached a worker */
	int billed;                  /* the last attempt whose usage is counted */
	struct token token;          /* of the running attempt */
	struct token dead;           /* of the last attempt that ended */
	int64_t accepted_ms, started_ms, ended_ms;
	int64_t due_mono_ms;         /* not before that */
	int64_t shown_mono_ms;       /* when progress last moved the version */
	char phase[32];
	struct progress progress;
	int code;
	int64_t version;
	int64_t memory_peak_bytes, wall_ms;  /* of the last attempt */
	struct buf spec;             /* msgpack */
	struct buf outputs;          /* msgpack list */
	char *text;                  /* of the last failure */
	struct idem *idem;           /* while it is not durable */
};

struct line { struct task *first, *last; size_t len; };

struct audit_entry {
	int64_t seq;
	uint64_t actor, action, result;      /* hashes, to pass over most without unpacking */
	uint8_t *packed;
	size_t len;
};
struct audit_ring {
	struct audit_entry *entries;
	size_t cap, first, len;
	int64_t seq;                 /* of the newest */
};

struct account {                     /* of one tenant */
	struct hash_node by_name;
	struct account *next;
	char name[64];
	struct quota *quota;
	struct line waiting;
	struct task *newest;
	size_t running;
	struct audit_ring audit;
};

struct idem {                        /* an idempotency key */
	struct hash_node by_key;
	struct idem *newer;
	char id[ID_LEN + 1];
	uint8_t hash[DIGEST_BYTES];
	int64_t at_ms;
	bool durable, withdrawn;
	char key[];                  /* TENANT/KEY */
};

struct meter { char worker[64]; int64_t incarnation, seq; };

struct shard {
	struct clock *clock;
	pthread_mutex_t mutex;
	pthread_cond_t changed;      /* some task's version moved */
	struct hashmap tasks, accounts, idems;
	struct account *account_list;
	struct idem *idem_oldest, *idem_newest;
	struct line finished;        /* oldest first */
	struct line cancelled;       /* waiting, asked to end */
	struct meter *meters;
	size_t meter_count;
	struct value *rates;         /* the rate card's spec */
	struct arena *rates_arena;
	size_t running;
	bool sound;
	uint64_t replays;            /* how often it was emptied */
	bool replaying;              /* between shard_clear and shard_ready: nothing is admitted */
};

/* shard.c */
int account_get(struct shard *shard, const char *name, struct account **ret_account,
                struct err *err);
struct account *account_find(const struct shard *shard, const char *name);
struct task *task_find(const struct shard *shard, const char *id);
void shard_lock(struct shard *shard);
void shard_unlock(struct shard *shard);

/* shard_task.c: a task in memory; what it stands in and what it holds */
struct new_task {
	const char *id, *tenant, *domain, *principal;
	enum task_type type;
	const struct value *spec;
	struct limits limits;
	struct amounts reserve;
	int64_t at_ms;
};
int task_make(struct shard *shard, const struct new_task *made, struct task **ret_task,
              struct err *err);
void task_drop(struct shard *shard, struct task *task);      /* out of everything, and freed */
void line_append(struct line *line, struct task *task);
void line_prepend(struct line *line, struct task *task);
void line_remove(struct task *task);
void task_moved(struct shard *shard, struct task *task);     /* its version, its waiters */
void task_wait_in_line(struct shard *shard, struct task *task, bool first);
void task_start(struct shard *shard, struct task *task, const struct token *token,
                const char *worker);
void task_stop(struct shard *shard, struct task *task);      /* no longer running */
struct amounts task_holds(const struct task *task);          /* by its state */
int task_set_text(struct task *task, const char *text, struct err *err);

/* shard_record.c, shard_submit.c */
int record_apply(struct shard *shard, const struct value *record, struct err *err);
int idem_restore(struct shard *shard, const struct value *accepted, struct err *err);
void idems_clear(struct shard *shard);

/* shard_audit.c */
int audit_append(struct account *account, const struct value *record, struct err *err);
void audit_clear(struct audit_ring *ring);

#endif
