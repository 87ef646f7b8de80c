/* turns.h - a scheduler with tasks and workers, for tests: what is added, started and ended is kept
 * account of here too, by simpler means. */
#ifndef TESTS_TURNS_H
#define TESTS_TURNS_H

#include "control/sched.h"

struct job_of {                      /* a task */
	struct sched_entry entry;    /* first */
	struct sched_spec spec;
	char tenant[16], domain[16], pool[16], key[16], near[16];
	bool waits, runs;
	int worker;                  /* where it runs */
	int64_t started_ms;
};

enum { TURNS_JOBS = 4096, TURNS_WORKERS = 32 };
struct turns {
	struct sched *sched;
	struct job_of *jobs;         /* TURNS_JOBS of them */
	size_t count;
	int64_t now_ms;
	size_t running;
	char closed_tenant[16];      /* its quota is used up */
};

void turns_init(struct turns *turns, const struct sched_conf *conf);
void turns_release(struct turns *turns);
/* A worker "wN" of the pool with cpu cores, cpu GiB and slots. */
void turns_worker(struct turns *turns, int worker, const char *pool, int cpu, int slots);
/* One core, 1 GiB and one slot times size. */
struct job_of *turns_add(struct turns *turns, const char *tenant, const char *domain, int size);
struct job_of *turns_add_spec(struct turns *turns, const struct sched_spec *spec, int64_t due_ms);
/* What the worker gets; NULL: nothing. */
struct job_of *turns_pick(struct turns *turns, int worker);
void turns_end(struct turns *turns, struct job_of *job);     /* gone for good */
size_t turns_running_of(const struct turns *turns, const char *tenant);
/* A tenant's share: weight, guaranteed cores (GiB and slots alike), limits of cores; -1: none. */
void turns_share(struct turns *turns, const char *tenant, int weight, int guaranteed, int most);
struct capacity turns_size(int64_t size);
/* The rule of the first reason that a waiting one has; "" when it has none. */
const char *turns_reason(struct turns *turns, const struct job_of *job, char out[64]);

#endif
