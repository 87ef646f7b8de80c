/* runs_impl.h - a run in the leader's memory. Private to control/shard*.c; guarded by
 * shard->mutex. */
#ifndef RUNS_IMPL_H
#define RUNS_IMPL_H

#include "control/shard_impl.h"
#include "control/shard_run.h"

struct run_dep { uint32_t node; uint8_t on; };           /* enum graph_on */

struct run_node {
	struct run *run;
	struct task *task;           /* NULL: its record is yet to come, or it has left */
	const char *name;
	char id[ID_LEN + 1];
	uint8_t state;               /* enum task_state, while task is NULL */
	bool skipped;                /* cancelled because its condition could hold no longer */
	const struct run_dep *deps;
	uint32_t dep_count;
	const uint32_t *outs;        /* nodes that depend on it */
	uint32_t out_count;
};

/* It lives as long as one of its tasks does. All that it points to lies in its arena. */
struct run {
	struct hash_node by_id;
	struct account *account;
	struct run *older, *newer;   /* all of the account's, by acceptance */
	struct arena *arena;
	const char *id, *domain, *principal;
	const char *name, *pipeline; /* NULL: none */
	const struct value *also;    /* {interval, schedule, backfill, purpose, reader} */
	bool durable, cancel;
	int64_t accepted_ms, ended_ms, version;
	struct idem *idem;           /* while it is not durable */
	struct run_node *nodes;
	uint32_t count;
	uint32_t kept;               /* nodes whose task is in memory */
	uint32_t open;               /* nodes that have not ended */
	uint32_t *ended;             /* nodes whose end is still to be told to others */
	uint32_t ended_count;
	bool telling;
};

/* shard_run.c */
struct run *run_find(const struct shard *shard, const char *id);
enum task_state run_node_state(const struct run_node *node);
/* "queued", "running", "succeeded", "failed", "cancelled" */
const char *run_state(const struct run *run);
/* The record's members: id, tenant, domain, principal, at, name, pipeline, interval, schedule,
 * backfill, tasks: [{name, id, deps: [[node, on]...], state?, skipped?}]. */
int run_make(struct shard *shard, const struct value *record, struct run **ret_run,
             struct err *err);
void run_free(struct shard *shard, struct run *run);
void run_attach(struct run *run, uint32_t node, struct task *task);
void run_forget(struct shard *shard, struct task *task);         /* task is about to be dropped */
bool run_blocks(const struct task *task);                /* something it waits for is still open */
/* It has just entered or ended: who waited for it, or need not wait, follows. */
int run_follow(struct shard *shard, struct task *task, int64_t at_ms, struct err *err);
/* "waits for extract, load and 3 more" */
const char *run_blocked_by(struct arena *arena, const struct task *task);
/* The record that makes it anew in a checkpoint. */
struct value *run_record(struct arena *arena, const struct run *run);

/* shard_record.c */
/* Not durable yet; live and in a replay alike. */
int task_from_record(struct shard *shard, const struct value *accepted, struct task **ret_task,
                     struct err *err);
void task_cancel(struct shard *shard, struct task *task);        /* NULL: nothing */
int apply_replay(struct shard *shard, const struct value *record, struct err *err);
int task_become(struct shard *shard, struct task *task, enum task_event event, int64_t at_ms,
                struct err *err);
int task_retire(struct shard *shard, struct task *task, int64_t at_ms, struct err *err);

/* shard_read.c: why it is in its state */
const char *task_reason(const struct shard *shard, struct arena *arena, const struct task *task);

/* shard_submit.c */
int admit_key(struct shard *shard, const struct submission *submission, struct arena *arena,
              const char **ret_existing, struct err *err);
int admit_quota(struct shard *shard, const struct submission *submission,
                const struct amounts *reserve, size_t count, struct err *err);
struct amounts admit_reserve(const struct shard *shard, const struct task_request *request);
int admit_task(struct shard *shard, const struct submission *submission,
               const struct amounts *reserve, struct change *change, struct task **ret_task,
               struct err *err);
int admit_idem(struct shard *shard, const struct submission *submission, struct idem **ret_idem,
               struct err *err);
void admit_forget(struct shard *shard, struct idem *idem);       /* NULL: none */

#endif
