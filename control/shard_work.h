/* shard_work.h - the shard as dispatch, planning and settlement use it: which task goes next, which
 * attempt is the current one. None of this is durable; after a replay it is found out anew. */
#ifndef SHARD_WORK_H
#define SHARD_WORK_H

#include "common/text.h"
#include "control/sched.h"
#include "control/shard.h"

struct asker;

/* A task, copied into an arena. */
struct work {
	const char *id, *tenant, *domain, *principal;
	enum task_type type;
	const struct value *spec;
	struct limits limits;
	enum task_state state;
	int attempt;                 /* the current one's number, or the next's; from 1 */
	struct token token;          /* while running */
	const char *worker;          /* while running */
	bool cancel;                 /* it was asked to end */
	bool expired;                /* cancel stands, because its time is over */
	bool preempted;              /* it was asked to give its place to another */
	int forgiven;                /* earlier attempts that do not count */
	int64_t accepted_ms, started_ms;
	const struct value *interval;        /* {from, to}, RFC 3339, of its schedule; NULL: none */
	const struct asker *asker;   /* of a query: who asks; NULL: to be looked up by `reader` */
	const struct value *reader;  /* for whom it reads (control/behalf.h); NULL: its principal */
	const char *purpose;         /* what for; NULL: none was given */
};

/* What a worker could take. */
struct pick {
	const char *worker;
	struct token token;          /* for the attempt */
	uint64_t memory_bytes;       /* free for attempts, as the worker says */
	bool inherited;              /* also what may still run under an earlier token */
	uint64_t replay;             /* shard_replays() that the token is of */
};
/* Takes the next task for a worker that shard_worker_set told of, as control/sched.h says. 1: it is
 * RUNNING now under pick->token (worker: as in pick); 0: nothing that this worker may take. */
MUST_USE int shard_pick(struct shard *shard, const struct pick *pick, struct arena *arena,
                        struct work *ret_work, struct err *err);
/* The workers there are (control/sched.h). What ran on one that is gone is still to be settled. */
MUST_USE int shard_worker_set(struct shard *shard, const struct sched_worker *worker,
                              struct err *err);
void shard_worker_gone(struct shard *shard, const char *name);
/* It holds that in its caches: "TENANT/DOMAIN/NAME" of a dataset, view or what made it. */
void shard_worker_near(struct shard *shard, const char *name, const char *dataset);
/* Attempts that are to end so that others get what they are due: each is named once, is to be told
 * to end, and is settled as preempted whatever it reports then. */
struct preempted { char id[ID_LEN + 1]; struct token token; };
size_t shard_preempt(struct shard *shard, uint64_t replay, struct preempted *ret_attempts,
                     size_t most);
/* When a waiting task's delay ends; INT64_MAX: none waits for time alone. */
int64_t shard_next_due(struct shard *shard);
/* An attempt that runs under an earlier leader's token goes on. False: it is not to. */
bool shard_adopt(struct shard *shard, uint64_t replay, const char *id, const struct token *token,
                 const char *worker, bool *ret_cancel);
/* The attempt never reached its worker: the task waits again, first in its line. False: that
 * happened too often, and the attempt is to be counted as lost. */
bool shard_unassign(struct shard *shard, const char *id, const struct token *token);
/* The same however often, for who could not even note that it is lost. */
void shard_put_back(struct shard *shard, const char *id, const struct token *token);
void shard_progress(struct shard *shard, const char *id, const struct token *token,
                    const struct progress *progress);
/* 1: the task is running and this is its current token; ret_work may be NULL. 0: no. */
MUST_USE int shard_match(struct shard *shard, struct arena *arena, const char *id,
                         const struct token *token, struct work *ret_work, struct err *err);
/* A task by id, in whatever state; tenant NULL: any. 1 or 0. */
MUST_USE int shard_find(struct shard *shard, struct arena *arena, const char *tenant,
                        const char *id, struct work *ret_work, struct err *err);
/* The tenant's running tasks, in no order; question tasks among them. */
MUST_USE int shard_running(struct shard *shard, const char *tenant, struct arena *arena,
                           struct work **ret_works, size_t *ret_count, struct err *err);
/* Whether a task of that type, whose spec has that text as member, succeeded under a token after
 * `since`. Known while the task is in memory. */
bool shard_succeeded(struct shard *shard, const char *tenant, enum task_type type,
                     const struct token *since, const char *member, const char *text);
/* The next waiting task that was asked to end; each is named once. inherited: as in a pick. */
bool shard_take_cancelled(struct shard *shard, bool inherited, char id[ID_LEN + 1]);
/* Tasks whose time is over (placement.expires): one that waits is named by shard_take_cancelled
 * from now on; one that runs is named here, once. False: there are no more. */
bool shard_take_expired(struct shard *shard, char id[ID_LEN + 1]);
int64_t shard_next_expiry(struct shard *shard);        /* unix ms; INT64_MAX: none will */
/* Whether a worker's batch of online reads is yet to be counted. */
bool shard_meter_is_new(struct shard *shard, const char *worker, int64_t seq);
int64_t shard_cost(struct shard *shard, const struct amounts *amounts);
/* False: memory ran out while a durable record was applied; the journal is to be replayed. */
bool shard_sound(struct shard *shard);
/* How often the shard was emptied for a replay: what was known of running attempts before is
 * void. */
uint64_t shard_replays(struct shard *shard);
struct shard_counts { size_t tasks, waiting, running; };
void shard_counts(struct shard *shard, struct shard_counts *ret_counts);

#endif
