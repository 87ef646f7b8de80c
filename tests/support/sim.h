/* sim.h - the real scheduler (control/sched.h), the real task states (control/task.h) and the real
 * ledger (tenant/quota.h) in virtual time: a discrete-event simulation with workers that come, go
 * and die, tasks that fail, and checks at every event. Nothing in it depends on real time; a seed
 * names a run. Whoever finds `broken` not empty has found a fault of the scheduler. */
#ifndef TESTS_SUPPORT_SIM_H
#define TESTS_SUPPORT_SIM_H

#include "control/sched.h"
#include "control/task.h"
#include "tenant/quota.h"

enum { SIM_TENANTS_MAX = 16384, SIM_WORKERS_MAX = 4096, SIM_DOMAINS = 2 };

struct sim_ask {
	int tenant, domain; /* domain: 0 or 1 */
	struct capacity demand;
	int64_t duration_ms;
	enum priority priority;
	int key; /* concurrency key; 0: none */
	int key_most;
	int failures; /* attempts of it that fail */
};

struct sim_task { /* while it is not over */
	struct sched_entry entry;
	struct sim_task *next, *prev; /* on its worker */
	struct hold hold;
	struct sim_ask ask;
	enum task_state state;
	int attempt, preempted, worker;
	uint32_t stamp; /* of what is under way; older events are void */
	int64_t accepted_ms, queued_ms, started_ms;
};

struct sim_counts {
	uint64_t submitted, started, succeeded, dead, retried, lost, preempted, events, picks;
	int64_t longest_wait_ms; /* from queued to started */
	int most_preempted;      /* of one task */
};

struct sim;
typedef void sim_ended_fn(void *context, struct sim *sim, const struct sim_ask *ask);
typedef void sim_sample_fn(void *context, struct sim *sim, int64_t now_ms);
struct sim_conf {
	uint64_t seed;
	struct sched_conf sched; /* zero: the defaults */
	uint64_t check_every;    /* events between whole checks; 0: 1 */
	sim_ended_fn *ended;     /* a task is over; may submit */
	sim_sample_fn *sample;   /* every sample_ms of virtual time */
	int64_t sample_ms;
	void *context;
};
struct sim *sim_new(const struct sim_conf *conf);
void sim_free(struct sim *sim);
uint64_t sim_draw(struct sim *sim, uint64_t below); /* splitmix64 */

struct sim_share {
	int64_t weight;
	const char *cohort;
	struct capacity guaranteed;
};
int sim_tenant(struct sim *sim, const struct sim_share *share);
void sim_domain(struct sim *sim, int tenant, int domain, int64_t weight);
int sim_worker(struct sim *sim, const struct capacity *total);
void sim_worker_later(struct sim *sim, int64_t at_ms, const struct capacity *total);
void sim_worker_dies(struct sim *sim, int64_t at_ms, int worker);
void sim_submit(struct sim *sim, int64_t at_ms, const struct sim_ask *ask);
/* To the end of what is due, or until a virtual time. False: something is broken. */
bool sim_run(struct sim *sim, int64_t until_ms);

int64_t sim_now(const struct sim *sim);
const char *sim_broken(const struct sim *sim); /* "": nothing */
void sim_break(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
const struct sim_counts *sim_counts(const struct sim *sim);
struct sched *sim_sched(struct sim *sim);
size_t sim_unfinished(const struct sim *sim);
struct capacity sim_total(const struct sim *sim);                        /* of living workers */
struct capacity sim_used(const struct sim *sim, int tenant, int domain); /* domain -1: both */

/* --- scenes: NULL when all holds, else what broke; in the caller's buffer --- */
enum { SIM_TEXT_MAX = 320 };
bool sim_scene_shares(uint64_t seed, char out[SIM_TEXT_MAX]);
bool sim_scene_starvation(uint64_t seed, char out[SIM_TEXT_MAX]);
bool sim_scene_lending(uint64_t seed, char out[SIM_TEXT_MAX]);
bool sim_scene_preemption_ends(uint64_t seed, char out[SIM_TEXT_MAX]);
struct sim_mixed {
	uint64_t seed;
	int tenants, workers;
	uint64_t tasks;
	const char *svg; /* path of a picture; NULL: none */
	bool loud;       /* prints progress and figures */
};
bool sim_scene_mixed(const struct sim_mixed *mixed, char out[SIM_TEXT_MAX]);

#endif
