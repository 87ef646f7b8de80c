/* agent.h - the worker's poll loop: tells control what it can take, runs what it is given in
 * slots, and reports each outcome until control says that it is durable.
 *
 * One poll is held; news (an outcome, progress once a second) goes out at once in a second one.
 * A grant that is repeated starts nothing. Threads: one a slot, two that poll. */
#ifndef AGENT_H
#define AGENT_H

#include "worker/gone.h"
#include "worker/meter.h"
#include "worker/peer.h"
#include "worker/recent.h"
#include "worker/run.h"

typedef int agent_run_fn(struct runner *runner, struct attempt *attempt, struct arena *arena,
                         const uint8_t *grant, size_t len, struct report *ret_report,
                         struct err *err);
typedef void agent_drop_fn(void *context, const char *tenant);
typedef void agent_removed_fn(void *context, const char *text);

struct agent_conf {              /* all borrowed for the agent's life */
	struct clock *clock;
	struct peer *peer;
	agent_run_fn *run;           /* run_grant */
	struct runner *runner;
	_Atomic int64_t *era;        /* the runner's, raised by answers; NULL: nobody asks */
	struct meter *meter;         /* NULL: nothing is served here */
	agent_drop_fn *drop;         /* a tenant's access grants are revoked; NULL: nobody cares */
	gone_erase_fn *erase;        /* a tenant's online data is to go; NULL: there is none */
	void *drop_context;          /* of both */
	/* Control has removed this worker: it polls no more, and what ran is cancelled. Called once
	 * for each thread that hears it, and not under a lock; NULL: nobody cares. */
	agent_removed_fn *removed;
	void *removed_context;
	const uint8_t *box_public;
	const char *serve_url;       /* NULL: nothing is served here */
	const char *cage;            /* the layers of executors, in short; NULL: it does not say */
	const char *pool;            /* NULL: "default" */
	const struct poll_label *labels;
	size_t label_count;
	struct recent *recent;       /* the datasets in its caches; NULL: it tells of none */
	int slots;                   /* 1 to AGENT_SLOTS_MAX */
	uint64_t memory_bytes;       /* for all attempts together */
	int64_t cpu_millis;          /* likewise, thousandths of a core; 0: it does not say */
};
enum { AGENT_SLOTS_MAX = 256 };

struct agent;
MUST_USE int agent_new(const struct agent_conf *conf, struct agent **ret_agent, struct err *err);
/* Takes nothing new, and returns when all is done and acknowledged. After grace_ms what still
 * runs is ended and handed back, which costs it no attempt, and given a little more to be told. */
void agent_drain(struct agent *agent, int grace_ms);
/* cancels what runs; unacknowledged outcomes are forgotten */
void agent_free(struct agent *agent);
DEFINE_AUTO(agent)

struct agent_status {
	int slots, running, unacknowledged;
	bool connected;              /* the last poll was answered by a leader */
	int64_t polls, tasks;        /* since the start */
};
void agent_status(struct agent *agent, struct agent_status *ret_status);

#endif
