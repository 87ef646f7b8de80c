/* b_tasks.c - the task plane: how many tasks a second it takes in and sees through with how many
 * queued, what one costs in memory, how soon a task starts, whether one tenant's flood delays the
 * others, and how long nobody leads after the leader's death. Workers are puppets, so that the
 * figures are control's and etcd's. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "tests/bench/rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	TENANTS = 128,
	PUPPETS = 8,
	SLOTS = 64,
	DRAIN_MOST = 20000,
	FLOOR_PUTS = 400,
	FLOOR_BYTES = 16384,
	FLOOR_RECORDS = 64,
	CALL_ARENA = 8 * 1024 * 1024,
	WAIT_S = 120,
	SENDERS = 8,
	SECONDS = 5,
	RATE = 1000,
	QUIET_RATE = 300,
	FLOODER = 100, FLOODER_SLOTS = 32,
	FLOOD = 9000,
	TABLE = 1 << 15,
	ID_TEXT = 40
};

/* --- the floor: journal values of 16 KiB into the same etcd --- */

static int floor_rate(const struct rig *rig, double *ret_rate, struct err *err)
{
	static const size_t text_len = (FLOOR_BYTES + 2) / 3 * 4;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(CALL_ARENA, &arena, err));
	char *text = arena_alloc(arena, text_len + 1);
	if (!text)
		return err_set(err, E_NOMEM, "no memory for a put");
	memset(text, 'A', text_len);
	text[text_len] = 0;
	const char *body = arena_printf(arena, "{\"key\":\"YmVuY2g=\",\"value\":\"%s\"}", text);
	struct rig etcd = *rig;
	etcd.url = rig->etcd_url;
	double began = now_s();
	for (int i = 0; i < FLOOR_PUTS; i++)
		TRY(rig_call(&etcd, "Accept: */*", "POST", "/v3/kv/put", body, arena, NULL, err));
	*ret_rate = FLOOR_PUTS / (now_s() - began) * FLOOR_RECORDS / 2;
	return 0;
}

/* --- the rate with so many queued --- */

static int await_done(const struct rig_puppets *puppets, size_t count, double *ret_s,
                      struct err *err)
{
	const struct timespec pause = {0, 1000000};
	double began = now_s();
	while (rig_puppets_done(puppets) < count) {
		if (now_s() - began > WAIT_S)
			return err_set(err, E_TIMEOUT, "%zu of %zu tasks were done in %d s",
			               rig_puppets_done(puppets), count, WAIT_S);
		nanosleep(&pause, NULL);
	}
	*ret_s = now_s() - began;
	return 0;
}

struct depth {
	size_t queued;
	enum figure_id figure;
};

struct depths {
	size_t waiting;              /* now */
	size_t filled;               /* by the last filling, */
	double filled_mb;            /* and what control grew by */
};

/* Afterwards depth->queued less what was drained wait. */
static int at_depth(struct rig *rig, const struct depth *depth, struct depths *depths,
                    double *ret_rate, struct err *err)
{
	size_t drained = depth->queued < DRAIN_MOST ? depth->queued : DRAIN_MOST;
	double fill_s = 0, last_s = 0, drain_s = 0;
	AUTO(rig_puppets) *puppets = NULL;
	double before_mb = rig_memory_mb(rig);
	depths->filled = depth->queued > depths->waiting + drained ?
		depth->queued - depths->waiting - drained : 0;
	if (depths->filled > 0)
		TRY(rig_fill(rig, 0, TENANTS, depths->filled, &fill_s, err));
	depths->filled_mb = rig_memory_mb(rig) - before_mb;
	TRY(rig_fill(rig, 0, TENANTS, drained, &last_s, err));
	TRY(rig_puppets_new(rig, PUPPETS, SLOTS, NULL, NULL, &puppets, err));
	TRY(await_done(puppets, drained, &drain_s, err));
	depths->waiting = depth->queued > drained ? depth->queued - drained : 0;
	*ret_rate = (double)drained / (last_s + drain_s);
	return 0;
}

static int rates(struct bench *bench, struct rig *rig, struct err *err)
{
	static const struct depth depths[] = {
		{2000, FIGURE_tasks_2k},     {16000, FIGURE_tasks_16k},  {64000, FIGURE_tasks_64k},
		{256000, FIGURE_tasks_256k}, {1000000, FIGURE_tasks_1m},
	};
	double floor = 0, first = 0, rate = 0;
	struct depths done = {0};
	TRY(floor_rate(rig, &floor, err));
	for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
		const struct depth depth = {bench_scaled(bench, depths[i].queued, 500),
		                            depths[i].figure};
		TRY(at_depth(rig, &depth, &done, &rate, err));
		bench_figure(bench, depths[i].figure, rate, floor);
		first = i == 0 ? rate : first;
		if (depths[i].figure == FIGURE_tasks_256k)
			bench_figure(bench, FIGURE_tasks_even, rate, first);
	}
	bench_figure(bench, FIGURE_tasks_memory,
	             done.filled_mb * 1024 * 1024 / (double)done.filled, 0);
	return 0;
}

/* --- from the request to the worker --- */

struct start {
	char id[ID_TEXT];
	double asked_s, taken_s;
};

struct starts {
	pthread_mutex_t mutex;
	struct start *table;
	const struct rig *rig;
	int first, tenants; /* whose tasks */
	int rate;           /* a second, of all senders */
	double until_s;
	int failures;
};

/* mutex held */
static struct start *start_of(struct starts *starts, const char *id)
{
	uint32_t hash = 2166136261u;
	for (const char *at = id; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	struct start *start = &starts->table[hash % TABLE];
	while (start->id[0] && strcmp(start->id, id) != 0)
		start = start + 1 < starts->table + TABLE ? start + 1 : starts->table;
	snprintf(start->id, sizeof start->id, "%s", id);
	return start;
}

static void on_taken(void *context, const char *task, double at_s)
{
	struct starts *starts = context;
	pthread_mutex_lock(&starts->mutex);
	start_of(starts, task)->taken_s = at_s;
	pthread_mutex_unlock(&starts->mutex);
}

static int send_one(struct starts *starts, int turn, struct arena *arena, struct err *err)
{
	const struct rig_tenant *to = &starts->rig->tenants[starts->first + turn % starts->tenants];
	struct value *task = NULL;
	const char *path = arena_printf(arena, "%s/tasks", to->path);
	double asked_s = now_s();
	TRY(rig_call(starts->rig, to->authorization, "POST", path,
	             "{\"type\":\"probe\",\"spec\":{}}", arena, &task, err));
	pthread_mutex_lock(&starts->mutex);
	start_of(starts, value_get_str(task, "id"))->asked_s = asked_s;
	pthread_mutex_unlock(&starts->mutex);
	return 0;
}

static void *sender_run(void *context)
{
	struct starts *starts = context;
	struct err err = {0};
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(CALL_ARENA, &arena, &err) == 0);
	double step_s = (double)SENDERS / starts->rate, next_s = now_s();
	for (int turn = 0; now_s() < starts->until_s; turn++) {
		double wait_s = next_s - now_s();
		struct timespec pause = {(time_t)wait_s, (long)((wait_s - (time_t)wait_s) * 1e9)};
		if (wait_s > 0)
			nanosleep(&pause, NULL);
		next_s += step_s;
		if (send_one(starts, turn, arena, &err) < 0) {
			fprintf(stderr, "bench: %s\n", err.text);
			starts->failures++;
		}
		arena_reset(arena);
	}
	return NULL;
}

static int collect(const struct starts *starts, double *ret_p50, double *ret_p99, struct err *err)
{
	double *waits = calloc(TABLE, sizeof *waits);
	size_t count = 0;
	if (!waits)
		return err_set(err, E_NOMEM, "no memory for the waits");
	for (int i = 0; i < TABLE; i++) {
		const struct start *start = &starts->table[i];
		if (start->asked_s > 0 && start->taken_s > 0)
			waits[count++] = (start->taken_s - start->asked_s) * 1000;
	}
	if (count > 0) {
		*ret_p50 = quantile(waits, count, 0.5);
		*ret_p99 = quantile(waits, count, 0.99);
	}
	free(waits);
	return count > 0 ? 0 : err_set(err, E_INTERNAL, "no task reached a worker");
}

struct stretch {
	int first, tenants, rate;
	bool flood;
};

/* Somebody fills his queue to the brim, all the time. */
static void flood(struct starts *starts)
{
	struct err err = {0};
	double took_s = 0;
	const struct timespec pause = {0, 20000000};
	while (now_s() < starts->until_s)
		if (rig_fill(starts->rig, FLOODER, 1, RIG_BATCH, &took_s, &err) < 0)
			nanosleep(&pause, NULL);
}

static int measure_starts(struct bench *bench, const struct rig *rig, const struct stretch *stretch,
                          double *ret_p50, double *ret_p99, struct err *err)
{
	pthread_t senders[SENDERS];
	AUTO(rig_puppets) *puppets = NULL;
	struct starts starts = {
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.rig = rig,
		.first = stretch->first,
		.tenants = stretch->tenants,
		.rate = stretch->rate,
		.table = calloc(TABLE, sizeof *starts.table),
	};
	if (!starts.table)
		return err_set(err, E_NOMEM, "no memory for the starts");
	int rc = rig_puppets_new(rig, PUPPETS, SLOTS, on_taken, &starts, &puppets, err);
	starts.until_s = now_s() + (double)bench_scaled(bench, SECONDS, 1);
	for (int i = 0; rc == 0 && i < SENDERS; i++)
		REQUIRE(pthread_create(&senders[i], NULL, sender_run, &starts) == 0);
	if (rc == 0 && stretch->flood)
		flood(&starts);
	for (int i = 0; rc == 0 && i < SENDERS; i++)
		pthread_join(senders[i], NULL);
	rig_puppets_free(MOVE(puppets));
	if (rc == 0)
		rc = collect(&starts, ret_p50, ret_p99, err);
	free(starts.table);
	return rc;
}

static int start_times(struct bench *bench, struct rig *rig, struct err *err)
{
	const struct stretch all = {0, TENANTS, RATE, false};
	const struct stretch alone = {0, FLOODER, QUIET_RATE, false};
	const struct stretch beside = {0, FLOODER, QUIET_RATE, true};
	double p50 = 0, p99 = 0, quiet = 0, loud = 0, filled_s = 0;
	TRY(measure_starts(bench, rig, &all, &p50, &p99, err));
	bench_figure(bench, FIGURE_tasks_start_p50, p50, 0);
	bench_figure(bench, FIGURE_tasks_start_p99, p99, 0);
	TRY(measure_starts(bench, rig, &alone, &p50, &quiet, err));
	TRY(rig_fill(rig, FLOODER, 1, bench_scaled(bench, FLOOD, 500), &filled_s, err));
	TRY(measure_starts(bench, rig, &beside, &p50, &loud, err));
	bench_figure(bench, FIGURE_tasks_unbounded, loud, quiet);
	TRY(rig_limit(rig, FLOODER, FLOODER_SLOTS, err));
	TRY(measure_starts(bench, rig, &beside, &p50, &loud, err));
	bench_figure(bench, FIGURE_tasks_neighbour, loud, quiet);
	return 0;
}

/* --- nobody leads --- */

static int failover(struct bench *bench, struct rig *rig, struct err *err)
{
	struct timespec pause = {0, 20000000};
	AUTO(arena) *arena = NULL;
	TRY(arena_new(CALL_ARENA, &arena, err));
	TRY(rig_second(rig, err));
	double began = now_s();
	TRY(process_stop(rig->control, SIGKILL, err));
	rig->control = rig->second;
	rig->second = 0;
	rig->url = rig->second_url;
	const char *path = arena_printf(arena, "%s/tasks", rig->tenants[0].path);
	while (rig_call(rig, rig->tenants[0].authorization, "POST", path,
	                "{\"type\":\"probe\",\"spec\":{}}", arena, NULL, err) < 0) {
		if (now_s() - began > WAIT_S)
			return E_TIMEOUT;
		nanosleep(&pause, NULL);
	}
	bench_figure(bench, FIGURE_tasks_failover, now_s() - began, 0);
	return 0;
}

int bench_tasks(struct bench *bench, struct err *err)
{
	AUTO(rig) *rig = NULL;
	AUTO(rig) *fresh = NULL;
	TRY(rig_new(bench, TENANTS, NULL, &rig, err));
	TRY(rates(bench, rig, err));
	rig_free(MOVE(rig));
	TRY(rig_new(bench, TENANTS, NULL, &fresh, err));
	TRY(start_times(bench, fresh, err));
	return failover(bench, fresh, err);
}
