/* b_workers.c - what a thousand workers that have nothing to do cost the leader and etcd. They poll
 * as workers do: each has one poll held, which is answered after ten seconds. */
#include "common/defs.h"
#include "common/json.h"
#include "tests/bench/rig.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum { WORKERS = 1000, SETTLE_S = 12, WATCH_S = 20, ARENA_MAX = 1024 * 1024, COME_S = 60 };

static void rest(size_t seconds)
{
	struct timespec pause = {(time_t)seconds, 0};
	nanosleep(&pause, NULL);
}

/* The store's revision grows with every write, and with nothing else. */
static int store_revision(const struct rig *rig, int64_t *ret_revision, struct err *err)
{
	static const char body[] = "{\"key\":\"AA==\"}";
	AUTO(arena) *arena = NULL;
	struct value *answer = NULL;
	struct buf said;
	int status = 0;
	TRY(arena_new(ARENA_MAX, &arena, err));
	buf_init(&said, ARENA_MAX);
	struct fetch_call call = {
		.method = "POST",
		.url = arena_printf(arena, "%s/v3/kv/range", rig->etcd_url),
		.body = (const uint8_t *)body,
		.body_len = sizeof body - 1,
		.timeout_ms = 10000,
	};
	int rc = fetch_call(rig->fetch, &call, &status, &said, NULL, err);
	if (rc == 0)
		rc = json_parse(arena, (const char *)said.data, said.len, &answer, err);
	buf_release(&said);
	TRY(rc);
	const char *revision = value_get_str(value_get(answer, "header"), "revision");
	if (status != 200 || !revision)
		return err_set(err, E_UNAVAILABLE, "etcd did not say its revision");
	*ret_revision = strtoll(revision, NULL, 10);
	return 0;
}

/* All of them are known to the leader. */
static int await_workers(const struct rig *rig, struct err *err)
{
	for (double until_s = now_s() + COME_S; now_s() < until_s; rest(1)) {
		AUTO(arena) *arena = NULL;
		struct value *answer = NULL;
		TRY(arena_new((size_t)64 * ARENA_MAX, &arena, err));
		TRY(rig_call(rig, rig->operator_header, "GET", "/v1/workers", NULL, arena, &answer,
		             err));
		if (value_len(value_get(answer, "items")) == WORKERS)
			return 0;
	}
	return err_set(err, E_TIMEOUT, "%d workers did not come within %d s", WORKERS, COME_S);
}

static int watch(struct bench *bench, const struct rig *rig, struct err *err)
{
	int64_t before = 0, after = 0;
	double without_mb = rig_memory_mb(rig);
	AUTO(rig_puppets) *puppets = NULL;
	TRY(rig_puppets_new(rig, WORKERS, 2, NULL, NULL, &puppets, err));
	TRY(await_workers(rig, err));
	rest(bench_scaled(bench, SETTLE_S, 2));
	TRY(store_revision(rig, &before, err));
	double cpu_s = rig_cpu_s(rig), began_s = now_s();
	rest(bench_scaled(bench, WATCH_S, 2));
	cpu_s = rig_cpu_s(rig) - cpu_s;
	double took_s = now_s() - began_s;
	TRY(store_revision(rig, &after, err));
	bench_figure(bench, FIGURE_workers_cpu, cpu_s / took_s * 100, 0);
	bench_figure(bench, FIGURE_workers_writes, (double)(after - before) / took_s, 0);
	double more_kib = (rig_memory_mb(rig) - without_mb) * 1024;
	bench_figure(bench, FIGURE_workers_memory, more_kib / WORKERS, 0);
	return 0;
}

int bench_workers(struct bench *bench, struct err *err)
{
	AUTO(rig) *rig = NULL;
	TRY(rig_new(bench, 1, NULL, &rig, err));
	return watch(bench, rig, err);
}
