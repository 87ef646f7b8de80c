/* shard_impl.h - the shard's structures. Private to control/shard*.c; all guarded by
 * shard->mutex. */
#ifndef SHARD_IMPL_H
#define SHARD_IMPL_H

#include "control/hashmap.h"
#include "control/interval.h"
#include "control/names.h"
#include "control/record.h"
#include "control/shard_audit.h"
#include "control/shard_tenant.h"
#include "control/shard_work.h"
#include "control/task_impl.h"

#include "common/crypto.h"

enum {
	FINISHED_MAX = 1000000, WAITING_MAX = 10000, KEYS_MAX = 100000,
	AUDIT_MAX = 100000, AUDIT_ALL_MAX = 300000, WORKERS_MAX = 4096, KEY_LEN_MAX = 255
};
#define KEY_KEPT_MS ((int64_t)24 * 3600 * 1000)

struct account {                     /* of one tenant */
	struct hash_node by_name;
	struct account *next;
	char name[64];
	struct quota *quota;
	size_t waiting;
	struct task *newest;
	struct run *newest_run;
	size_t running, blocked;
	struct audit_ring audit;
	enum tenant_hold held;       /* what the tenant's state forbids */
	char held_why[HELD_WHY_MAX];
	struct task *archive, *storing;      /* under way; NULL: none */
	struct ripe {                /* notes of shard_leaving */
		uint64_t look;
		size_t count, most;  /* ended long enough ago; rows of a batch, 0: not set yet */
		bool old;
		struct batch *taken;
		int64_t after_mono_ms;       /* the last one failed: not before that */
	} ripe;
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

struct run;

struct meter { char worker[64]; int64_t incarnation, seq; };

struct shard {
	struct clock *clock;
	pthread_mutex_t mutex;
	pthread_cond_t changed;      /* some task's version moved */
	struct board *board;         /* may be NULL */
	struct hashmap tasks, accounts, idems, runs;
	struct names names;          /* domains, principals, workers */
	struct account *account_list;
	struct idem *idem_oldest, *idem_newest;
	struct line finished;        /* oldest first; they leave by archive tasks */
	uint64_t looks;              /* of shard_leaving */
	struct line cancelled;       /* waiting, asked to end */
	struct task **expiries;      /* a heap, the soonest first */
	size_t expiry_len, expiry_cap;
	struct meter *meters;
	size_t meter_count;
	struct book *book;           /* the schedules' ledgers of intervals */
	_Atomic bool intervals_moved;        /* one has ended since that was asked */
	_Atomic bool forgot;         /* a tenant, since that was asked */
	struct value *rates;         /* the rate card's spec */
	struct arena *rates_arena;
	size_t running, waiting;
	struct sched *sched;         /* who goes next */
	struct line inherited;       /* may still run under an earlier leader's token */
	bool sound;
	uint64_t replays;            /* how often it was emptied */
	bool replaying;              /* between shard_clear and shard_ready: nothing is admitted */
	size_t audit_len;            /* events of all accounts; AUDIT_ALL_MAX at most */
	int64_t held_unix_ms, held_mono_ms;  /* when shard_hold was called */
};

/* shard.c */
int account_get(struct shard *shard, const char *name, struct account **ret_account,
                struct err *err);
struct account *account_find(const struct shard *shard, const char *name);
struct task *task_find(const struct shard *shard, const char *id);
void shard_lock(struct shard *shard);
void shard_unlock(struct shard *shard);
int account_empty(struct shard *shard, struct account *account, struct err *err); /* not limits */

/* shard_sched.c: the scheduler over the shard's tasks */
int shard_sched_new(struct shard *shard, uint64_t seed, struct err *err);

/* shard_note.c: for who follows it, as it is now */
void shard_note(struct shard *shard, const struct task *task);

/* shard_record.c, shard_submit.c */
int record_apply(struct shard *shard, const struct value *record, struct err *err);
/* It is durable, or is never to be: others see it from now on. */
int task_enter(struct shard *shard, struct task *task, int64_t at_ms, struct err *err);
int idem_restore(struct shard *shard, const struct value *accepted, struct err *err);
void idems_clear(struct shard *shard);
void idems_forget(struct shard *shard, const char *tenant);

/* shard_expiry.c: those that end at a time whatever they do */
int expiry_add(struct shard *shard, struct task *task, struct err *err);
void expiry_remove(struct shard *shard, struct task *task);

/* shard_archive.c */
/* Of an archive task that has just ended: drops what it has archived, and itself. */
int archive_ended(struct shard *shard, struct task *task, struct err *err);
int audit_stored(struct shard *shard, struct task *task, struct err *err);
int apply_gone(struct shard *shard, const struct value *record, struct err *err);
/* An archive task under way names it. */
bool task_leaves(const struct task *task);

/* shard_interval.c: a task or run that ends may end an interval of a schedule */
void interval_ended(struct shard *shard, const char *id, bool succeeded, int64_t at_ms);
/* It, or its run, is to start anew: E_CONFLICT when its interval has been run by another since.
 * Until that is durable, book_withdraw takes it back. */
int interval_again(struct shard *shard, const struct task *task, const struct run *run,
                   bool durable, struct err *err);

/* shard_restore.c: a checkpoint's records */
int restore_task(struct shard *shard, const struct value *record, struct err *err);
int restore_ended(struct shard *shard, const struct value *record, struct err *err);
int restore_key(struct shard *shard, const struct value *record, struct err *err);
int restore_tally(struct shard *shard, const struct value *record, struct err *err);

/* shard_tenant.c */
bool account_holds(const struct account *account, bool platform);
int apply_stop(struct shard *shard, const struct value *record, struct err *err);
int apply_erased(struct shard *shard, const struct value *record, struct err *err);

#endif
