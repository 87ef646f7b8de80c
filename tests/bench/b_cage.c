/* b_cage.c - what the cage costs a task: a process that does nothing, the same in every layer of
 * the cage that this host gives, and a probe's job through the pool, whose executors are in
 * theirs before the job comes; and what a task feels of a neighbour that takes all it can. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "tests/bench/local.h"
#include "worker/cage.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	RUNS = 60, ARENA_MAX = 64 * 1024 * 1024, WAIT_S = 10, CHANNEL = 3,
	BOMB_CPU_MS = 4000, BOMB_MEMORY = 256 * 1024 * 1024
};

/* One process, from its fork until it has been waited for. cage: NULL: none. */
static int one_process(struct cage *cage, double *ret_ms)
{
	double began = now_s();
	int parent = getpid(), status = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(cage ? cage_enter(cage, parent, NULL) != 0 : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return -1;
	*ret_ms = (now_s() - began) * 1000;
	return 0;
}

struct costs { double bare_ms, caged_ms; };

/* In a process of its own, since nothing of a cage can be taken back. */
static void measure_processes(size_t runs, int fd)
{
	double bare[RUNS], caged[RUNS];
	struct cage cage;
	struct costs costs;
	for (size_t i = 0; i < runs; i++)
		if (one_process(NULL, &bare[i]) < 0)
			_exit(1);
	if (cage_prepare(&cage, CHANNEL, NULL) < 0)
		_exit(1);
	for (size_t i = 0; i < runs; i++)
		if (one_process(&cage, &caged[i]) < 0)
			_exit(1);
	costs = (struct costs){quantile(bare, runs, 0.5), quantile(caged, runs, 0.5)};
	_exit(write(fd, &costs, sizeof costs) != (ssize_t)sizeof costs);
}

static int process_costs(size_t runs, struct costs *ret_costs, struct err *err)
{
	int pair[2];
	if (pipe(pair) != 0)
		return err_set(err, E_RESOURCES, "no pipe");
	pid_t pid = fork();
	if (pid == 0)
		measure_processes(runs, pair[1]);
	close(pair[1]);
	ssize_t len = pid > 0 ? read(pair[0], ret_costs, sizeof *ret_costs) : -1;
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return len == (ssize_t)sizeof *ret_costs ? 0
	       : err_set(err, E_INTERNAL, "no process could be caged here");
}

static int drop(void *context, const void *data, size_t len, struct err *err)
{
	(void)context;
	(void)data;
	(void)len;
	(void)err;
	return 0;
}

/* A job of a type; out: the write end of a pipe for what it makes, -1: it makes nothing. */
static int run_job(struct local *local, struct value *message, const struct limits *limits,
                   int pair[2], struct err *err)
{
	struct usage usage = {0};
	struct attempt attempt;
	struct value *result;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(value_check(message, err));
	struct pool_job job = {.message = message, .limits = limits};
	if (pair) {
		job.fds = &pair[1];
		job.fd_count = 1;
		job.drains[job.drain_count++] = (struct pool_drain){.fd = pair[0], .sink = drop};
	}
	attempt_init(&attempt);
	int rc = pool_run(local->pool, &job, &attempt, arena, &result, &usage, err);
	attempt_release(&attempt);
	return rc;
}

static struct value *job_message(struct arena *arena, const char *type, struct limits *limits)
{
	struct value *message = value_map(arena);
	value_set_str(message, "type", type);
	value_set_str(message, "domain", LOCAL_DOMAIN);
	value_set_int(message, "threads", limits->threads);
	value_set_int(message, "memory", (int64_t)limits->memory_bytes);
	return message;
}

static int run_probe(struct local *local, double *ret_ms, struct err *err)
{
	struct limits limits;
	AUTO(arena) *arena = NULL;
	struct timespec pause = {0, 2000000};
	double began = now_s();
	TRY(arena_new(ARENA_MAX, &arena, err));
	while (pool_ready(local->pool) < 1 && now_s() - began < WAIT_S)
		nanosleep(&pause, NULL);
	limits_default(&limits);
	struct value *message = job_message(arena, "probe", &limits);
	value_set(message, "work", value_map(arena));
	began = now_s();
	int rc = run_job(local, message, &limits, NULL, err);
	*ret_ms = (now_s() - began) * 1000;
	return rc;
}

struct bomber { struct local *local; bool done; };

/* One after another, until the measuring is over; each ends at its own limit. */
static void *bomb(void *context)
{
	struct bomber *bomber = context;
	struct err err;
	struct arena *arena = NULL;
	struct limits limits;
	limits_default(&limits);
	limits.cpu_ms = BOMB_CPU_MS;
	limits.memory_bytes = BOMB_MEMORY;
	for (int i = 0; !__atomic_load_n(&bomber->done, __ATOMIC_ACQUIRE); i++) {
		int pair[2];
		if (pipe(pair) != 0 || arena_new(ARENA_MAX, &arena, &err) < 0)
			break;
		struct value *message = job_message(arena, "transform", &limits);
		struct value *work = value_map(arena);
		value_set_str(work, "sql", i % 2 ? "SELECT list(repeat('x', 100000) || i) AS a "
		                                   "FROM range(100000) t(i)"
		                                 : "SELECT max(md5(i::VARCHAR)) AS a FROM "
		                                   "range(10000000000) t(i)");
		value_set(message, "work", work);
		value_set_int(message, "out", 0);
		(void)!run_job(bomber->local, message, &limits, pair, &err);
		close(pair[0]);
		arena_free(arena);
	}
	return NULL;
}

static int probes(struct local *local, size_t runs, double *ret_p50_ms, struct err *err)
{
	double took[RUNS];
	for (size_t i = 0; i < runs; i++)
		TRY(run_probe(local, &took[i], err));
	*ret_p50_ms = quantile(took, runs, 0.5);
	return 0;
}

int bench_cage(struct bench *bench, struct err *err)
{
	size_t runs = bench_scaled(bench, RUNS, 5);
	struct costs costs;
	double alone, beside = 0;
	pthread_t thread;
	AUTO(local) *own = NULL;
	AUTO(local) *other = NULL;
	TRY(process_costs(runs, &costs, err));
	bench_figure(bench, FIGURE_cage_layers, costs.caged_ms, costs.bare_ms);
	TRY(local_new(bench, 1, &own, err));
	TRY(local_new(bench, 1, &other, err));
	TRY(probes(own, runs, &alone, err));
	bench_figure(bench, FIGURE_cage_task, alone, costs.bare_ms);
	struct bomber bomber = {other, false};
	if (pthread_create(&thread, NULL, bomb, &bomber) != 0)
		return err_set(err, E_RESOURCES, "no thread");
	int rc = probes(own, runs, &beside, err);
	__atomic_store_n(&bomber.done, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TRY(rc);
	bench_figure(bench, FIGURE_cage_neighbour, beside, alone);
	return 0;
}
