/* b_journal.c - the journal against a real etcd: records a second, what a queued task takes in it,
 * how long commits wait for a checkpoint of many queued tasks and how long that takes, and how
 * soon a new leader has them all: from the journal, from a checkpoint, and having followed. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "common/crypto.h"
#include "common/text.h"
#include "control/follow.h"
#include "control/journal.h"
#include "control/shard_work.h"
#include "tests/bench/replica.h"
#include "tests/bench/system.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	COMMITTERS = 200, RECORDS_EACH = 8, COMMIT_S = 4,
	TASKS = 100000, TASKS_A_CHANGE = 100, TENANTS = 128, WAIT_S = 120
};

/* ---- records a second ---- */

struct load {
	struct replica *replica;
	atomic_bool stop;
	atomic_int failed;
};

static int commit_some(struct replica *replica, uint64_t seed, struct err *err)
{
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	struct arena *arena = change_arena(change);
	for (uint64_t i = 0; i < RECORDS_EACH; i++) {
		char id[ID_LEN + 1];
		uint8_t random[10];
		random_bytes(random, sizeof random);
		id_make(1764000000000 + (int64_t)seed, random, id);
		struct value *record = value_map(arena), *spec = value_map(arena);
		TRY(value_check(spec, err));
		value_set_str(record, "t", "accepted");
		value_set_str(record, "id", id);
		value_set_str(record, "tenant", "tenant-of-some-length");
		value_set_str(record, "domain", "sales");
		value_set_str(record, "principal", "tenant-of-some-length/someone");
		value_set_str(record, "type", "probe");
		value_set_int(spec, "n", (int64_t)(seed * RECORDS_EACH + i));
		value_set(record, "spec", spec);
		TRY(change_record(change, record, err));
	}
	return journal_commit(replica->journal, change, err);
}

static void *commit_on(void *context)
{
	struct load *load = context;
	struct err err;
	for (uint64_t n = 0; !atomic_load(&load->stop); n++)
		if (commit_some(load->replica, n, &err) < 0)
			atomic_fetch_add(&load->failed, 1);
	return NULL;
}

static void pause_ms(int ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
	nanosleep(&time, NULL);
}

static int load_for(struct replica *replica, int seconds, struct err *err)
{
	struct load load = {.replica = replica};
	pthread_t threads[COMMITTERS];
	int started = 0;
	while (started < COMMITTERS &&
	       pthread_create(&threads[started], NULL, commit_on, &load) == 0)
		started++;
	pause_ms(seconds * 1000);
	atomic_store(&load.stop, true);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (started < COMMITTERS || atomic_load(&load.failed))
		return err_set(err, E_INTERNAL, "%d commits failed", atomic_load(&load.failed));
	return 0;
}

static int measure_records(struct bench *bench, struct bench_system *system, struct err *err)
{
	struct replica replica;
	struct journal_stats stats;
	double floor = 0, again = 0;
	int rc = replica_open(&replica, system, "/bench-records/", false, err);
	if (rc == 0)
		rc = replica_take_key(&replica, err);
	if (rc == 0)
		rc = journal_lead(replica.journal, replica.epoch, err);
	if (rc == 0)
		rc = replica_floor(&replica, &floor, err);
	if (rc == 0)
		rc = load_for(&replica, COMMIT_S, err);
	if (rc == 0)
		rc = replica_floor(&replica, &again, err);
	if (rc == 0) {
		journal_stats(replica.journal, &stats);
		double each = (double)stats.bytes / (double)stats.records;
		bench_figure(bench, FIGURE_journal_records, (double)stats.records / COMMIT_S,
			     (floor + again) / 2 / each);
	}
	replica_close(&replica);
	return rc;
}

/* ---- many queued tasks ---- */

static int submit_some(struct replica *replica, struct arena *arena, struct err *err)
{
	AUTO(change) *change = NULL;
	struct task_request request = {.type = TASK_PROBE};
	TRY(change_new(&change, err));
	limits_default(&request.limits);
	placement_default(&request.placement);
	for (int i = 0; i < TASKS_A_CHANGE; i++) {
		char id[ID_LEN + 1], tenant[32];
		const char *existing = NULL;
		uint8_t random[10];
		uint64_t n = replica->ids++;
		random_bytes(random, sizeof random);
		id_make(1764000000000 + (int64_t)n, random, id);
		snprintf(tenant, sizeof tenant, "tenant-%d", (int)(n % TENANTS));
		const struct submission submission = {
			.id = id, .tenant = tenant, .domain = "sales", .principal = "acme/someone",
			.request = &request, .now_ms = clock_unix_ms(clock_system()),
		};
		TRY(shard_submit(replica->shard, &submission, change, arena, &existing, err));
	}
	return journal_commit(replica->journal, change, err);
}

static int fill(struct replica *replica, size_t count, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(64 * MIB, &arena, err));
	for (size_t made = 0; made < count; made += TASKS_A_CHANGE) {
		TRY(submit_some(replica, arena, err));
		arena_reset(arena);
	}
	return 0;
}

static int lead(struct replica *replica, double *ret_s, struct err *err)
{
	TRY(replica_take_key(replica, err));
	double began = now_s();
	shard_clear(replica->shard);
	TRY(journal_lead(replica->journal, replica->epoch, err));
	shard_ready(replica->shard);
	*ret_s = now_s() - began;
	return 0;
}

static int checkpoint(struct replica *replica, struct journal_stats *ret_stats, struct err *err)
{
	double began = now_s();
	journal_checkpoint(replica->journal);
	for (;;) {
		journal_stats(replica->journal, ret_stats);
		if (ret_stats->checkpoints > 0)
			return 0;
		if (ret_stats->checkpoints_failed > 0 || now_s() - began > WAIT_S)
			return err_set(err, E_INTERNAL, "no checkpoint was made");
		pause_ms(1);
	}
}

/* A replica that follows is up to date when the leader's key goes. */
static int take_over(struct replica *leader, struct replica *next, double *ret_s, struct err *err)
{
	struct position position;
	struct follow *follow = NULL;
	const struct follow_conf conf = {
		.store = next->store, .clock = clock_system(), .state_key = next->key,
		.prefix = "journal/0/", .checkpoint_prefix = "checkpoint/0/",
		.ops = {.clear = replica_clear, .record = replica_record, .context = next},
	};
	TRY(follow_new(&conf, &follow, err));
	while (follow_revision(follow) == 0)
		pause_ms(5);
	int rc = fill(leader, TASKS_A_CHANGE, err);
	if (rc == 0)
		rc = replica_take_key(next, err);
	double began = now_s();
	bool whole = follow_stop(follow, &position);
	follow_free(follow);
	if (rc < 0 || !whole)
		return rc < 0 ? rc : err_set(err, E_INTERNAL, "the follower is not whole");
	TRY(journal_lead_from(next->journal, next->epoch, &position, err));
	shard_ready(next->shard);
	*ret_s = now_s() - began;
	return 0;
}

struct both {
	struct bench *bench;
	struct bench_system *system;
	struct replica one, two;
	size_t tasks;
};

static int measure_first(struct both *both, struct err *err)
{
	struct journal_stats stats;
	double s = 0;
	TRY(lead(&both->one, &s, err));
	TRY(fill(&both->one, both->tasks, err));
	journal_stats(both->one.journal, &stats);
	bench_figure(both->bench, FIGURE_journal_task_bytes,
		     (double)stats.bytes / (double)both->tasks, 0);
	TRY(lead(&both->two, &s, err));
	bench_figure(both->bench, FIGURE_journal_replay, s, 0);
	TRY(checkpoint(&both->two, &stats, err));
	bench_figure(both->bench, FIGURE_journal_pause, (double)stats.pause_us / 1000, 0);
	bench_figure(both->bench, FIGURE_journal_checkpoint, (double)stats.checkpoint_us / 1e6, 0);
	bench_figure(both->bench, FIGURE_journal_checkpoint_bytes,
		     (double)stats.checkpoint_bytes / (double)both->tasks, 0);
	return 0;
}

static int measure_second(struct both *both, struct err *err)
{
	double s = 0;
	TRY(lead(&both->one, &s, err));
	bench_figure(both->bench, FIGURE_journal_replay_checkpoint, s, 0);
	both->one.ids = 10 * TASKS;
	TRY(take_over(&both->one, &both->two, &s, err));
	bench_figure(both->bench, FIGURE_journal_takeover, s * 1000, 0);
	return 0;
}

int bench_journal(struct bench *bench, struct err *err)
{
	struct both both = {.bench = bench, .tasks = bench_scaled(bench, TASKS, 1000)};
	TRY(system_get(bench, &both.system, err));
	TRY(measure_records(bench, both.system, err));
	int rc = replica_open(&both.one, both.system, "/bench-tasks/", true, err);
	if (rc == 0)
		rc = replica_open(&both.two, both.system, "/bench-tasks/", true, err);
	if (rc == 0)
		rc = measure_first(&both, err);
	if (rc == 0)
		rc = measure_second(&both, err);
	replica_close(&both.two);
	replica_close(&both.one);
	return rc;
}
