/* b_task.c - a task that does nothing, from the request that submits it to the answer that shows
 * its outcome, beside what it cannot do without: two etcd puts (accepted, outcome) and one nng
 * round trip. Tasks come with pauses, so that each finds an executor waiting: latency, no rate. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "tests/bench/floors.h"
#include "tests/bench/system.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	RUNS = 200,
	WARM_RUNS = 5,
	ARENA_MAX = 4 * 1024 * 1024,
	VALUE_TEXT = 344,
	PAUSE_NS = 60000000
};

static bool ended(const char *state)
{
	return state && strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

static int run_task(struct bench_system *system, struct arena *arena, double *ret_ms,
		    struct err *err)
{
	struct value *task = NULL;
	const char *url = arena_printf(arena, "%s%s", system->url, system->tasks_path);
	double began = now_s();
	TRY(system_call(system, arena, url, system->owner, "{\"type\": \"probe\", \"spec\": {}}",
			&task, err));
	const char *id = value_get_str(task, "id");
	while (id && !ended(value_get_str(task, "state"))) {
		const char *wait = arena_printf(arena, "%s/%s?waitMs=20000&afterVersion=%" PRId64,
						url, id, value_get_int(task, "version", 0));
		TRY(system_call(system, arena, wait, system->owner, NULL, &task, err));
	}
	*ret_ms = (now_s() - began) * 1000;
	const char *state = value_get_str(task, "state");
	if (!state || strcmp(state, "succeeded") != 0)
		return err_set(err, E_INTERNAL, "a task ended as %s",
			       state ? state : "nothing known");
	return 0;
}

/* 256 bytes, as etcd's gateway wants them: base64. */
static int put(struct bench_system *system, struct arena *arena, struct err *err)
{
	char text[VALUE_TEXT + 1];
	struct value *answer;
	memset(text, 'A', VALUE_TEXT);
	text[VALUE_TEXT] = 0;
	const char *url = arena_printf(arena, "%s/v3/kv/put", system->etcd_url);
	const char *body = arena_printf(arena, "{\"key\": \"YmVuY2g=\", \"value\": \"%s\"}", text);
	return system_call(system, arena, url, "Accept: application/json", body, &answer, err);
}

static int run_floor(struct bench_system *system, struct echo *echo, struct arena *arena,
		     double *ret_ms, struct err *err)
{
	double began = now_s();
	TRY(put(system, arena, err));
	TRY(echo_once(echo, err));
	TRY(put(system, arena, err));
	*ret_ms = (now_s() - began) * 1000;
	return 0;
}

int bench_task(struct bench *bench, struct err *err)
{
	double values[RUNS], floors[RUNS], warm;
	size_t runs = bench_scaled(bench, RUNS, 20);
	struct timespec pause = {0, PAUSE_NS};
	struct bench_system *system;
	AUTO(echo) *echo = NULL;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(system_get(bench, &system, err));
	TRY(echo_new(&echo, err));
	for (size_t i = 0; i < WARM_RUNS; i++) {
		TRY(run_floor(system, echo, arena, &warm, err));
		TRY(run_task(system, arena, &warm, err));
	}
	for (size_t i = 0; i < runs; i++) {
		arena_reset(arena);
		nanosleep(&pause, NULL);
		TRY(run_floor(system, echo, arena, &floors[i], err));
		TRY(run_task(system, arena, &values[i], err));
	}
	bench_figure(bench, FIGURE_task_p50, quantile(values, runs, 0.5),
		     quantile(floors, runs, 0.5));
	bench_figure(bench, FIGURE_task_p99, quantile(values, runs, 0.99),
		     quantile(floors, runs, 0.99));
	return 0;
}
