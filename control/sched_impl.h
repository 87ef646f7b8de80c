/* sched_impl.h - the scheduler's structures. Private to control/sched*.c.
 *
 * NODES are pool, cohort, tenant and domain: what each is due and uses. CLASSES are shapes of
 * tasks. A BRANCH is one class's ready tasks under one node, a heap of the branches below it; the
 * lowest, the QUEUE of a domain, holds tasks. So a class's next task is on top of each heap, and a
 * start or an end touches one path. What cannot start stands in none of them. */
#ifndef SCHED_IMPL_H
#define SCHED_IMPL_H

#include "control/hashmap.h"
#include "control/sched.h"

#include <string.h>

enum { NEAR_MS = 300, NEAR_MAX = 32, NEAR_SITES = 4, AGED_EVERY = 4 };
enum where { NOWHERE, DUE_LATER, NEAR_FIRST, READY, KEYED, RUNNING };
enum level { LEVEL_POOL, LEVEL_COHORT, LEVEL_TENANT, LEVEL_DOMAIN };

struct sched_node {
	struct hash_node by_name;    /* POOL, POOL\n\nCOHORT, POOL\nTENANT, POOL\nTENANT\nDOMAIN */
	struct sched_pool *pool;
	struct sched_node *parent, *first, *next, *prev;     /* first of its kids; siblings */
	struct sched_branch *branches, *parked;      /* one a class; those that are parked */
	struct share share;          /* texts NULL */
	struct capacity used, ending;        /* ending: tenant: of that, what was named to end */
	struct capacity idle, kept;  /* tenant: guaranteed and unused, and not lent; above: sums */
	double weight;               /* cohort: of its tenants that have tasks */
	double dominant, pass, clock;        /* weighted share; stride; the kids' virtual time */
	double tokens, pardons;      /* starts; preemptions */
	int64_t tokens_ms, pardons_ms;
	struct heap_node timer;      /* tokens: in sched->rates */
	uint32_t waiting, running, named, active, pins;      /* active: branches in heaps */
	uint32_t number;             /* by creation: breaks ties */
	enum level level;
	bool quota_held;             /* domain: until a kick */
	const char *name;            /* the last part of text */
	char text[];
};

struct sched_branch {
	struct sched_class *class;
	struct sched_node *node;
	struct sched_branch *parent; /* NULL: a cohort's, which stands in its class's heap */
	struct sched_branch *next, *prev;    /* of the node's */
	struct sched_branch *park_next, *park_prev;
	struct heap kids;            /* ready ones below, the next first */
	struct heap ages;            /* tenant: queues, the longest wait first */
	struct heap_node in_kids, in_ages;
	uint64_t set_aside;          /* its key, while a choice passes it over */
	uint32_t count;              /* branches below, or entries of a queue */
	bool due, parked;            /* due: within what is guaranteed */
};

struct sched_queue {
	struct sched_branch branch;  /* first */
	struct heap levels[PRIORITY_COUNT_];
	uint32_t members[PRIORITY_COUNT_];   /* that may ever stand in that heap */
	uint32_t kept;               /* places kept free for it */
	struct sched_lane *lanes;
	struct sched_queue *urgent_next, *urgent_prev;
};

struct sched_key {                   /* TENANT\nKEY */
	struct hash_node by_name;
	struct sched_lane *lanes;
	int most, running;
	char text[];
};
struct sched_lane {                  /* a key's tasks in one queue; waiting: beyond its limit */
	struct sched_key *key;
	struct sched_queue *queue;
	struct sched_lane *next, *prev;      /* of the key's */
	struct sched_lane *queue_next;
	struct heap waiting;
	uint32_t members, ready;
};

struct sched_cache {                 /* a dataset that workers of a pool may hold */
	struct hash_node by_name;
	struct sched_entry *first, *last;    /* that wait for such a worker for a moment */
	struct sched_site *sites[NEAR_SITES];        /* some of the holders */
	uint32_t holders, members;
	char text[];
};

struct sched_class {
	struct hash_node by_shape;
	struct sched_class *next, *prev;     /* of the pool's */
	struct sched_pool *pool;
	struct capacity demand;
	struct label *selector;
	size_t selector_count;
	struct heap cohorts, ages;   /* branches: of cohorts, the next first; of tenants, by age */
	uint32_t members, waiting, cohort_count, tenant_count, sites, active;
	double rate;                 /* starts a second, decaying */
	int64_t rate_ms;
	uint16_t id;
	bool serves;
	char shape[];
};

struct sched_site {                  /* a worker */
	struct hash_node by_name;
	struct sched_site *next, *prev;      /* of the pool's */
	struct sched_pool *pool;
	struct label *labels;
	size_t label_count;
	struct capacity total, used;
	struct sched_entry *running;
	struct sched_queue *kept;    /* kept free for its next; NULL: nothing */
	uint32_t kept_count;         /* so many of them */
	struct sched_cache *caches[NEAR_MAX];        /* newest last */
	size_t cache_count;
	uint64_t fits[CLASSES_MAX / 64];  /* classes that it could hold when empty */
	bool serves, closed, kept_aged;
	char text[];
};

struct sched_pool {
	struct sched_node *root;
	struct sched_pool *next;
	struct sched_site *sites;
	struct sched_class *classes;
	struct sched_queue *urgent;  /* queues with ready urgent tasks */
	struct sched_site *aged;     /* kept free for a large one that waited long */
	struct capacity total, rest; /* of all workers; of the open ones */
	struct capacity basis;       /* the total that shares are computed by */
	uint32_t site_count, class_count;
	uint64_t starts;
	int64_t basis_ms, aged_ms;   /* of the basis; of the last look for one to keep free */
	struct sched_class *active[CLASSES_MAX];     /* with something ready */
	uint32_t active_count;
	double rate;                 /* starts a second, decaying, as of rate_ms */
	int64_t rate_ms;
};

struct sched {
	struct sched_conf conf;
	struct hashmap nodes, classes, sites, keys, caches, shares;
	struct sched_pool *pools;
	struct sched_class *by_id[CLASSES_MAX];
	struct heap due, rates;      /* entries, nodes: by time */
	uint32_t entries, rated, numbers, next_class;
	uint32_t order;              /* of acceptance in one ms */
	struct capacity nowhere;     /* of what runs at no known worker */
	int64_t now_ms, preempt_ms;
};
#include "control/sched_parts.h"

#endif
