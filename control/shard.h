/* shard.h - the leader's memory: tasks, queues, quotas, usage, audit. Changed only by records
 * that are durable (shard_record) and, for what need not be durable (assignment, progress), by
 * the dispatcher. One private mutex; never held across the store, the link or a callback. */
#ifndef SHARD_H
#define SHARD_H

#include "control/journal.h"
#include "control/task.h"
#include "tenant/quota.h"

struct shard;
MUST_USE int shard_new(struct clock *clock, struct shard **ret_shard, struct err *err);
void shard_free(struct shard *shard);
DEFINE_AUTO(shard)
void shard_clear(struct shard *shard);                 /* before a replay */
/* Applies a durable record; the journal's ops.record. */
void shard_record(struct shard *shard, const struct value *record);
/* Replay is over: asserts that reservations equal the unfinished tasks; queues those. */
void shard_ready(struct shard *shard);

/* --- admission --- */
struct submission {
	const char *id, *tenant, *domain, *principal;
	const struct task_request *request;
	const char *key;             /* Idempotency-Key; NULL: none */
	const uint8_t *body_hash;    /* DIGEST_BYTES; compared for a repeated key */
	const struct value *also;    /* {interval, schedule, backfill, purpose, reader}, any of
	                              * these; NULL: none */
	int64_t now_ms;
	const char *run;             /* of a run's task (control/shard_run.h); NULL: of none */
	size_t node;
};
/* Reserves quota and adds the accepted record to change. E_QUOTA, E_BUSY (queue full). A known
 * idempotency key: returns 0 with ret_existing set to that task's id (arena) and nothing
 * reserved; with another body: E_CONFLICT. If the change is not committed afterwards call
 * shard_withdraw. */
MUST_USE int shard_submit(struct shard *shard, const struct submission *submission,
                          struct change *change, struct arena *arena, const char **ret_existing,
                          struct err *err);
void shard_withdraw(struct shard *shard, const char *id);

/* --- reading; everything in arena --- */
struct value *shard_task(struct shard *shard, struct arena *arena, const char *tenant,
                         const char *domain, const char *id);      /* NULL: no such task */
/* Waits until the task's version passes `after` or the deadline. */
void shard_wait(struct shard *shard, const char *id, int64_t after, int64_t deadline_mono_ms);
/* Which tasks; NULL and 0: any. */
struct task_filter {
	const char *domain, *type, *run, *schedule;
	uint32_t states;             /* 1 << enum task_state of each; 0: any */
	const char *from_id, *before_id;     /* ids sort by the time of acceptance */
};
/* Newest first. */
MUST_USE int shard_list(struct shard *shard, struct arena *arena, const char *tenant,
                        const struct task_filter *filter, size_t limit,
                        struct value **ret_list, bool *ret_more, struct err *err);
/* {tenant, domains: [{domain, amounts...}], total: {...}, reserved: {...}} */
struct value *shard_usage(struct shard *shard, struct arena *arena, const char *tenant);
/* Every change of a task that can be seen is noted on that board from now on; NULL: none. */
struct board;
void shard_set_board(struct shard *shard, struct board *board);

/* --- why a task waits, and what the scheduler sees (control/sched.h); NULL: no memory --- */

/* Why a task waits, as sched_explain has it; NULL also where there is no such task. The state is
 * the task's when it does not wait: {"state": "running"|..., "reasons": []}. */
struct value *shard_explain(struct shard *shard, struct arena *arena, const char *tenant,
                            const char *domain, const char *id);
/* The same of a task that would be submitted now, quotas included. */
struct value *shard_explain_request(struct shard *shard, struct arena *arena, const char *tenant,
                                    const char *domain, const struct task_request *request);
/* E_RESOURCES: its pool has workers, and none of them could ever hold it. */
MUST_USE int shard_fits(struct shard *shard, struct arena *arena,
                        const struct task_request *request, struct err *err);
struct value *shard_queue_table(struct shard *shard, struct arena *arena);     /* sched_table */
struct value *shard_pools(struct shard *shard, struct arena *arena);           /* sched_pools */

/* Audit events in memory, newest first. All that is said must hold; NULL and 0: any. */
struct audit_query {
	const char *tenant;          /* required */
	const char *actor, *action, *result, *purpose, *request, *task;
	const char *resource;        /* its path, or one that it lies below */
	int class_uid;               /* control/ocsf.h */
	int64_t from_ms, to_ms;      /* [from, to) */
	int64_t before_seq;          /* 0: from the newest */
	size_t limit;
	/* NULL, or where the next page goes on: a page may end before its limit, so that nobody
	 * waits for long. Set when there is more. */
	int64_t *ret_before;
};
/* False: so many events wait to be stored (control/shard_auditstore.h) that memory would lose some;
 * what a client asks for is refused then. */
bool shard_audit_has_room(struct shard *shard, const char *tenant);
/* The oldest event of a tenant's that is in memory, and its time; 0: none is. */
int64_t shard_audit_oldest(struct shard *shard, const char *tenant, int64_t *ret_at_ms);
MUST_USE int shard_audit(struct shard *shard, struct arena *arena, const struct audit_query *query,
                         struct value **ret_list, bool *ret_more, struct err *err);

/* --- quotas and rates, from the catalog's changes --- */
MUST_USE int shard_quota(struct shard *shard, const char *tenant, const char *name,
                         const struct value *spec, struct err *err);
void shard_rates(struct shard *shard, const struct value *rate_card_spec);
/* A resource of kind Share; spec NULL: it is gone. */
MUST_USE int shard_share(struct shard *shard, const char *tenant, const char *name,
                         const struct value *spec, struct err *err);
/* An online-read grant's check and a request's: E_QUOTA when the tenant is over. */
MUST_USE int shard_check(struct shard *shard, const char *tenant, const char *domain,
                         const struct amounts *amounts, struct err *err);

/* --- for settlement (control/settle.h) and dispatch (control/dispatch.h): see
 * control/shard_work.h --- */

#endif
