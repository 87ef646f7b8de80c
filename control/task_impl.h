/* task_impl.h - a task in the leader's memory. Private to control/shard*.c, as shard_impl.h. */
#ifndef TASK_IMPL_H
#define TASK_IMPL_H

#include "control/hashmap.h"
#include "control/sched.h"
#include "control/shard_work.h"
#include "control/trail.h"

struct account;
struct idem;
struct line;
struct run_node;

struct task {
	struct hash_node by_id;
	struct account *account;     /* of its tenant */
	struct task *older, *newer;  /* all of the account's, by acceptance */
	struct task *next, *prev;    /* in the one line it stands in */
	struct line *line;           /* NULL: in none */
	struct sched_entry entry;    /* until it has ended; held while it is not queued */
	bool waits;                  /* counted among those that do */
	char id[ID_LEN + 1];
	const char *domain, *principal;      /* of shard->names, as worker */
	const char *worker;          /* of the last attempt; NULL: none */
	enum task_type type;
	enum task_state state;
	bool durable;                /* accepted is; until then nobody sees it */
	bool cancel, inherited;
	bool expired;                /* cancel stands, because its time is over */
	bool preempted;              /* it is to give its place to another, and costs no attempt */
	struct limits limits;
	struct amounts reserve;      /* what it holds in any state */
	struct hold hold;
	struct amounts *used;        /* of all its attempts, cost included; NULL: nothing yet */
	int attempts;                /* that have ended */
	int forgiven;                /* of those; they do not count against limits.attempts_max */
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
	int64_t expires_ms;          /* unix; 0: never */
	uint32_t expiry_place;       /* in the shard's heap, from 1; 0: not in it */
	int64_t version;
	int64_t memory_peak_bytes, wall_ms;  /* of the last attempt */
	struct buf spec;             /* msgpack */
	struct buf outputs;          /* msgpack list */
	struct buf also;             /* msgpack map of what few have; see new_task */
	char *text;                  /* of the last failure, or why it was cancelled */
	struct trail trail;
	struct run_node *node;       /* its place in a run's graph; NULL: it is in none */
	struct idem *idem;           /* while it is not durable */
};

struct line { struct task *first, *last; size_t len; };

/* shard_task.c: a task in memory; what it stands in and what it holds */
struct new_task {
	const char *id, *tenant, *domain, *principal;
	enum task_type type;
	const struct value *spec;
	struct limits limits;
	struct placement placement;
	const struct value *also;    /* {placement, interval, schedule, backfill, purpose,
	                              * reader}; NULL: nothing */
	struct amounts reserve;
	int64_t at_ms;
};
/* What the scheduler is to know; whose and since when is left out. */
void task_spec(enum task_type type, const struct limits *limits, const struct placement *placement,
               struct label labels[LABELS_MAX], struct sched_spec *ret_spec);
/* What it reads or writes, as far as its spec says: "TENANT/DOMAIN/NAME". NULL: it does not say. */
enum { NEAR_TEXT_MAX = 256 };
const char *task_near(const struct task *task, const struct value *spec,
                      char out[NEAR_TEXT_MAX]);
int task_make(struct shard *shard, const struct new_task *made, struct task **ret_task,
              struct err *err);
/* What its attempts used, to add to; NULL: no memory. */
struct amounts *task_used(struct task *task);
void task_drop(struct shard *shard, struct task *task);      /* out of everything, and freed */
void line_append(struct line *line, struct task *task);
void line_prepend(struct line *line, struct task *task);
void line_remove(struct task *task);
void task_moved(struct shard *shard, struct task *task);     /* its version, its waiters */
/* It may go from now on, or when it is due; one that is to end is named so instead. */
void task_wait_in_line(struct shard *shard, struct task *task, bool first);
void task_leave(struct shard *shard, struct task *task);     /* it waits and runs no more */
void task_start(struct shard *shard, struct task *task, const struct token *token,
                const char *worker);
void task_stop(struct shard *shard, struct task *task);      /* no longer running */
struct amounts task_holds(const struct task *task);          /* by its state */
int task_set_text(struct task *task, const char *text, struct err *err);

#endif
