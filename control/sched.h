/* sched.h - who goes next, and where. Pure: no I/O, no locks, no clock; times are monotonic ms
 * and given. The shard calls it with what happens, and so does the simulation (tests/sim).
 *
 * Method: event-driven hierarchical weighted dominant-resource fairness (Ghodsi et al. 2011,
 * Bhattacharya et al. 2013) over cohort -> tenant -> domain within a pool; who is below its
 * guaranteed share goes before who borrows, as a cohort's nominal quota in Kueue. Within a
 * domain: priority, then acceptance. Tasks of one shape (demand, pool, selector) are one class:
 * what fits a worker is decided once a class. What only time or another's end can unblock is
 * parked and costs nothing until then.
 *
 * Bounds, each with its test: AGING (a queue head that waited longer than aging_ms gets one
 * start in four, in order of acceptance; where it fits no worker's rest, one worker that could
 * hold it is kept free for it); preemption only of who uses more than its guaranteed, either
 * by one that stays within its own, or for PRIORITY_URGENT where the preemptor's share will
 * not exceed the victim's (or is the same tenant's, of lower priority); never of what ran less
 * than min_run_ms, and at most preempt_per_minute a tenant. No cycle: control/sched_preempt.c.
 * sched_check REQUIREs that amounts in use are the sums of what runs. Not thread-safe. */
#ifndef SCHED_H
#define SCHED_H

#include "api/tasks.h"
#include "control/heap.h"

enum resource { RES_CPU, RES_MEMORY, RES_SLOTS, RES_COUNT_ };    /* millicores, bytes, slots */
struct capacity { int64_t v[RES_COUNT_]; };

struct label { const char *key, *value; };
enum { CLASSES_MAX = 4096, SCHED_HELD = -1 };

struct sched;
struct sched_conf {
	int64_t aging_ms;            /* 0: 10 minutes */
	int64_t min_run_ms;          /* before it may be preempted; 0: 60 s */
	int preempt_per_minute;      /* of one tenant's tasks; 0: 6 */
	/* Whether a tenant's domain may start one more, by its quotas; false parks its tasks until
	 * sched_kick. ret_why (may be NULL) gets a sentence with the numbers. */
	bool (*may_start)(void *context, const char *tenant, const char *domain,
	                  struct err *ret_why);
	void *context;
	uint64_t seed;               /* of its hash tables */
};
MUST_USE int sched_new(const struct sched_conf *conf, struct sched **ret_sched, struct err *err);
void sched_free(struct sched *sched);            /* entries are their owners' */
DEFINE_AUTO(sched)

/* --- what there is --- */

/* A worker's whole capacity. Set again when it changes; what runs there stays. */
struct sched_worker {
	const char *name, *pool;     /* pool NULL: "default" */
	const struct label *labels;
	size_t label_count;
	struct capacity total;
	bool serves;                 /* takes tasks that need the online store */
	bool closed;                 /* cordoned or draining: nothing more starts there */
};
MUST_USE int sched_worker_set(struct sched *sched, const struct sched_worker *worker,
                              struct err *err);
void sched_worker_gone(struct sched *sched, const char *name);   /* what runs is nowhere then */

/* What a tenant (domain NULL) or one of its domains is due in a pool (a resource Share); absent:
 * weight 1, guaranteed nothing, no limits (-1), the cohort "default". */
struct share {
	const char *tenant, *domain, *pool, *cohort;
	int64_t weight;              /* 1..1000000 */
	/* Of a tenant: promised, and kept from other cohorts; of a domain: its turn comes
	 * first up to there. A 0 beside others: none of that resource, and it decides nothing. */
	struct capacity guaranteed;
	struct capacity most;        /* used at one time */
	struct capacity borrow_most; /* beyond guaranteed */
	struct capacity lend_most;   /* of the guaranteed, to others of the cohort */
	int64_t starts_per_minute;   /* token bucket of that size; -1: no limit */
};
MUST_USE int sched_share_set(struct sched *sched, const char *name, const struct share *share,
                             struct err *err);   /* name: of the resource, unique in a tenant */
void sched_share_drop(struct sched *sched, const char *tenant, const char *name);

/* --- tasks --- */

struct sched_spec {
	const char *tenant, *domain, *pool;  /* pool NULL: "default" */
	const struct label *selector;        /* all must be among a worker's labels */
	size_t selector_count;
	struct capacity demand;
	bool serves;
	enum priority priority;
	const char *key;             /* concurrency key, within the tenant; NULL: none */
	int key_most;                /* tasks of that key that run at one time */
	const char *near;            /* dataset whose cache helps; NULL: none */
	int64_t since_ms;            /* when it was accepted */
};

/* Embedded in its owner's struct, zeroed; all private to sched*.c. */
struct sched_entry {
	struct sched_entry *next, *prev;     /* in the one list it stands in */
	struct sched_queue *queue;   /* of its class and domain; NULL: it is nowhere */
	struct sched_lane *lane;     /* of its concurrency key there */
	struct sched_site *site;     /* the worker it runs on */
	struct sched_cache *near;
	uint64_t order;              /* by acceptance */
	int64_t at_ms;               /* due or started */
	struct heap_node place;      /* in the one heap it stands in */
	uint8_t priority, where;
	bool ending;                 /* was named for preemption */
};

/* Waits from now on; not before due_ms, or with SCHED_HELD not before sched_due says when. E_BUSY:
 * over CLASSES_MAX shapes at one time. */
MUST_USE int sched_add(struct sched *sched, struct sched_entry *entry,
                       const struct sched_spec *spec, int64_t due_ms, struct err *err);
/* The next one for a worker, which runs there then; NULL: none. */
struct sched_entry *sched_pick(struct sched *sched, const char *worker, int64_t now_ms);
/* A waiting one that was found running. */
void sched_adopt(struct sched *sched, struct sched_entry *entry, const char *worker,
                 int64_t now_ms);
/* A running one waits again; front: before all of its priority. */
void sched_again(struct sched *sched, struct sched_entry *entry, int64_t due_ms, bool front);
/* A waiting one's due time is another. */
void sched_due(struct sched *sched, struct sched_entry *entry, int64_t due_ms, bool front);
void sched_remove(struct sched *sched, struct sched_entry *entry);      /* from wherever it is */
/* A tenant's quotas may have changed, or an end gave something back. NULL: anyone's. */
void sched_kick(struct sched *sched, const char *tenant);
int64_t sched_next_ms(const struct sched *sched);        /* when time alone unblocks; INT64_MAX */
/* A worker holds a dataset's cache (bounded memory, newest kept). */
void sched_near(struct sched *sched, const char *worker, const char *dataset);
/* Running ones that are to end so that others get what they are due; each is named once. */
size_t sched_preempt(struct sched *sched, int64_t now_ms, struct sched_entry **ret_victims,
                     size_t most);

/* --- answers --- */

/* Why it waits: {"state": "waiting|parked|running", "position": n, "ahead": n, "estimateSeconds":
 * n|null, "reasons": [{"rule", "whose", "need", "have", "limit", "detail"}]}, one at least while it
 * waits; "rule": "never-fits" where no worker of the pool could ever hold it. */
struct value *sched_explain(struct sched *sched, const struct sched_entry *entry, int64_t now_ms,
                            struct arena *arena);
/* The first of its reasons, in a sentence, without counting who is before it; for lists. */
const char *sched_why(struct sched *sched, const struct sched_entry *entry, int64_t now_ms,
                      struct arena *arena);
struct value *sched_explain_spec(struct sched *sched, const struct sched_spec *spec,
                                 int64_t now_ms, struct arena *arena);
/* Rows by tenant and pool: {tenant, pool, cohort, weight, waiting, running, used, guaranteed,
 * borrowed, share (of the dominant resource, in millionths), oldestWaitMs, parked}. */
struct value *sched_table(struct sched *sched, int64_t now_ms, struct arena *arena);
/* By pool, for an autoscaler: {pool, workers, total, used, waiting: {tasks, cpuMillis,
 * memoryBytes}, neverFits, oldestWaitMs}. No tenants in it. */
struct value *sched_pools(struct sched *sched, int64_t now_ms, struct arena *arena);
void sched_check(const struct sched *sched);     /* REQUIREs the invariants */

#endif
