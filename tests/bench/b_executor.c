/* b_executor.c - how long a job waits for its executor: a probe's job through the pool, with and
 * without executors waiting, beside a process that opens DuckDB and ends. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "tests/bench/local.h"

#include <time.h>

enum { POOL_RUNS = 60, COLD_RUNS = 15, READY = 2, ARENA_MAX = 16 * 1024 * 1024, WAIT_S = 10 };

static int run_probe(struct local *local, double *ret_ms, struct err *err)
{
	struct usage usage = {0};
	struct limits limits;
	struct attempt attempt;
	struct value *result;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	limits_default(&limits);
	struct value *message = value_map(arena);
	value_set_str(message, "type", "probe");
	value_set_str(message, "domain", LOCAL_DOMAIN);
	value_set_int(message, "threads", limits.threads);
	value_set_int(message, "memory", (int64_t)limits.memory_bytes);
	value_set(message, "work", value_map(arena));
	TRY(value_check(message, err));
	struct pool_job job = {.message = message, .limits = &limits};
	attempt_init(&attempt);
	double began = now_s();
	int rc = pool_run(local->pool, &job, &attempt, arena, &result, &usage, err);
	*ret_ms = (now_s() - began) * 1000;
	attempt_release(&attempt);
	return rc;
}

/* Jobs do not come faster than executors are made; the pool's own figure is about those that wait.
 */
static int await_ready(struct local *local, struct err *err)
{
	struct timespec pause = {0, 5000000};
	double began = now_s();
	while (pool_ready(local->pool) < READY) {
		if (now_s() - began > WAIT_S)
			return err_set(err, E_TIMEOUT, "no executor is ready after %d s", WAIT_S);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int open_alone(struct bench *bench, double *ret_ms, struct err *err)
{
	const char *const argv[] = {bench->program, "--floor", "open", NULL};
	char said[512];
	double began = now_s();
	TRY(process_run(argv, NULL, said, sizeof said, err));
	*ret_ms = (now_s() - began) * 1000;
	return 0;
}

int bench_executor(struct bench *bench, struct err *err)
{
	double warm[POOL_RUNS], cold[COLD_RUNS], floor[COLD_RUNS];
	size_t warm_runs = bench_scaled(bench, POOL_RUNS, 5),
	       cold_runs = bench_scaled(bench, COLD_RUNS, 5);
	AUTO(local) *waiting = NULL;
	AUTO(local) *none = NULL;
	TRY(local_new(bench, 0, &none, err));
	for (size_t i = 0; i < cold_runs; i++) {
		TRY(open_alone(bench, &floor[i], err));
		TRY(run_probe(none, &cold[i], err));
	}
	TRY(local_new(bench, READY, &waiting, err));
	for (size_t i = 0; i < warm_runs; i++) {
		TRY(await_ready(waiting, err));
		TRY(run_probe(waiting, &warm[i], err));
	}
	double floor_ms = quantile(floor, cold_runs, 0.5);
	bench_figure(bench, FIGURE_executor_pool, quantile(warm, warm_runs, 0.5), floor_ms);
	bench_figure(bench, FIGURE_executor_cold, quantile(cold, cold_runs, 0.5), floor_ms);
	return 0;
}
