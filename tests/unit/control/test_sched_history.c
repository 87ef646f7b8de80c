/* test_sched_history.c - random histories of the scheduler: at every step what it has in use
 * is what runs, no limit is passed, and what waits has a reason; at the end all that can run
 * has run. */
#include "common/defs.h"
#include "control/sched.h"

#include "control/sched_impl.h"
#include "control/sched_parts.h"
#include "tests/support/turns.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 3000, TENANTS = 6, WORKERS = 5, SEEDS = 12 };

struct history {
	struct turns turns;
	uint64_t seed;
	bool there[WORKERS];
	int most[TENANTS];           /* cores; -1: no limit */
};

static uint32_t draw(struct history *history, uint32_t below)
{
	history->seed = history->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(history->seed >> 33) % below;
}

static const char *name(char out[16], char kind, uint32_t number)
{
	snprintf(out, 16, "%c%u", kind, number);
	return out;
}

static struct job_of *any_job(struct history *history, bool runs)
{
	size_t count = history->turns.count, from = count ? draw(history, (uint32_t)count) : 0;
	for (size_t i = 0; i < count; i++) {
		struct job_of *job = &history->turns.jobs[(from + i) % count];
		if (runs ? job->runs : job->waits)
			return job;
	}
	return NULL;
}

static void do_add(struct history *history)
{
	char tenant[16], domain[16], key[16], near[16];
	struct label zone = { "zone", draw(history, 2) ? "a" : "b" };
	bool keyed = draw(history, 4) == 0;
	struct sched_spec spec = {
		.tenant = name(tenant, 't', draw(history, TENANTS)),
		.domain = name(domain, 'd', draw(history, 2)),
		.pool = draw(history, 8) ? NULL : "other",
		.selector = &zone, .selector_count = draw(history, 5) == 0,
		.demand = turns_size(1 + draw(history, 4)),
		.serves = draw(history, 10) == 0, .priority = draw(history, PRIORITY_COUNT_),
		.key = keyed ? name(key, 'k', draw(history, 2)) : NULL, .key_most = 2,
		.near = draw(history, 5) ? NULL : name(near, 'n', draw(history, 3)),
	};
	spec.demand.v[RES_SLOTS] = 1;
	turns_add_spec(&history->turns, &spec,
	               draw(history, 6) ? 0 : history->turns.now_ms + draw(history, 5000));
}

static void do_pick(struct history *history)
{
	turns_pick(&history->turns, (int)draw(history, WORKERS));
}

static void do_end(struct history *history)
{
	struct job_of *job = any_job(history, draw(history, 6) > 0);
	if (!job)
		return;
	turns_end(&history->turns, job);
	sched_kick(history->turns.sched, job->tenant);
}

static void do_again(struct history *history)
{
	struct job_of *job = any_job(history, true);
	if (!job)
		return;
	sched_again(history->turns.sched, &job->entry, history->turns.now_ms +
	            draw(history, 2) * 1000, draw(history, 2) == 0);
	job->runs = false;
	job->waits = true;
	history->turns.running--;
}

static void do_adopt(struct history *history)
{
	char worker[16];
	struct job_of *job = any_job(history, false);
	if (!job || draw(history, 8) > 0)
		return;
	sched_adopt(history->turns.sched, &job->entry, name(worker, 'w', draw(history, WORKERS)),
	            history->turns.now_ms);
	job->runs = true;
	job->waits = false;
	history->turns.running++;
}

static void do_worker(struct history *history)
{
	uint32_t worker = draw(history, WORKERS);
	char text[16];
	if (draw(history, 4) == 0) {
		sched_worker_gone(history->turns.sched, name(text, 'w', worker));
		history->there[worker] = false;
		return;
	}
	turns_worker(&history->turns, (int)worker, draw(history, 6) ? NULL : "other",
	             2 + (int)draw(history, 8), 1 + (int)draw(history, 8));
	history->there[worker] = true;
}

static void do_share(struct history *history)
{
	uint32_t tenant = draw(history, TENANTS);
	char text[16], cohort[16], label[16];
	struct err err = { 0 };
	struct share share = {
		.tenant = name(text, 't', tenant), .cohort = name(cohort, 'c', draw(history, 2)),
		.weight = 1 + draw(history, 4), .guaranteed = turns_size(draw(history, 5)),
		.most = { { -1, -1, -1 } }, .borrow_most = { { -1, -1, -1 } },
		.lend_most = { { -1, -1, -1 } }, .starts_per_minute = draw(history, 3) ? -1 : 600,
	};
	if (draw(history, 4) == 0) {
		sched_share_drop(history->turns.sched, share.tenant, name(label, 's', tenant));
		return;
	}
	if (draw(history, 3) == 0)
		share.most = turns_size(4 + draw(history, 6));
	if (draw(history, 3) == 0)
		share.lend_most = turns_size(draw(history, 3));
	if (draw(history, 3) == 0)
		share.borrow_most = turns_size(4 + draw(history, 3));
	cr_assert_eq(sched_share_set(history->turns.sched, name(label, 's', tenant), &share, &err),
	             0, "%s", err.text);
}

static void do_near(struct history *history)
{
	char worker[16], near[16];
	sched_near(history->turns.sched, name(worker, 'w', draw(history, WORKERS)),
	           name(near, 'n', draw(history, 3)));
}

static void do_quota(struct history *history)
{
	char *closed = history->turns.closed_tenant;
	if (draw(history, 2))
		snprintf(closed, 16, "t%u", draw(history, TENANTS));
	else
		closed[0] = '\0';
	sched_kick(history->turns.sched, NULL);
}

static void do_preempt(struct history *history)
{
	struct sched_entry *victims[8];
	size_t count = sched_preempt(history->turns.sched, history->turns.now_ms, victims, 8);
	for (size_t i = 0; i < count; i++) {
		struct job_of *job = (struct job_of *)(void *)victims[i];
		cr_assert(job->runs);
		sched_again(history->turns.sched, &job->entry, 0, true);
		job->runs = false;
		job->waits = true;
		history->turns.running--;
	}
}

static void do_time(struct history *history)
{
	history->turns.now_ms += draw(history, 2000);
}

static void (*const steps[])(struct history *history) = {
	do_add, do_add, do_add, do_pick, do_pick, do_pick, do_pick, do_end, do_end, do_again,
	do_adopt, do_worker, do_share, do_near, do_quota, do_preempt, do_time,
};

static int running_of_key(const struct turns *turns, const char *tenant, const char *key)
{
	int count = 0;
	for (size_t i = 0; i < turns->count; i++)
		count += turns->jobs[i].runs && turns->jobs[i].spec.key &&
			strcmp(turns->jobs[i].tenant, tenant) == 0 &&
			strcmp(turns->jobs[i].key, key) == 0;
	return count;
}

/* All that waits is let run to its end: nothing that fits a worker is left behind. */
static void drain(struct history *history)
{
	struct turns *turns = &history->turns;
	turns->closed_tenant[0] = '\0';
	for (int tenant = 0; tenant < TENANTS; tenant++) {
		char text[16], label[16];
		sched_share_drop(turns->sched, name(text, 't', (uint32_t)tenant),
		                 name(label, 's', (uint32_t)tenant));
	}
	for (int worker = 0; worker < WORKERS * 2; worker++)
		turns_worker(turns, worker, worker < WORKERS ? NULL : "other", 8, 8);
	sched_kick(turns->sched, NULL);
	for (int round = 0; round < 3000; round++) {
		bool any = false;
		turns->now_ms += 500;
		for (int worker = 0; worker < WORKERS * 2; worker++)
			while (turns_pick(turns, worker))
				any = true;
		sched_check(turns->sched);
		for (struct job_of *job; (job = any_job(history, true)); any = true)
			turns_end(turns, job);
		if (!any && sched_next_ms(turns->sched) == INT64_MAX)
			break;
	}
	const struct job_of *left = any_job(history, false);
	char reason[64];
	cr_assert_null(left, "a task of %s was left behind: %s", left ? left->tenant : "",
	               left ? turns_reason(turns, left, reason) : "");
	sched_check(turns->sched);
}

static void run_history(uint64_t seed)
{
	struct history history = { .seed = seed * 77 + 1 };
	struct sched_conf conf = { .aging_ms = 20000, .min_run_ms = 500, .seed = seed };
	turns_init(&history.turns, &conf);
	for (int step = 0; step < STEPS; step++) {
		steps[draw(&history, ARRAY_LEN(steps))](&history);
		sched_check(history.turns.sched);
		struct job_of *job = any_job(&history, false);
		char rule[64];
		if (job)
			cr_assert_neq(turns_reason(&history.turns, job, rule)[0], '\0');
	}
	drain(&history);
	turns_release(&history.turns);
}

ParameterizedTestParameters(sched_history, holds_every_bound_and_leaves_nothing_behind)
{
	static int seeds[SEEDS];
	for (int i = 0; i < SEEDS; i++)
		seeds[i] = i + 1;
	return cr_make_param_array(int, seeds, SEEDS);
}

ParameterizedTest(int *seed, sched_history, holds_every_bound_and_leaves_nothing_behind)
{
	run_history((uint64_t)*seed);
}

Test(sched_history, lets_no_more_of_a_key_run_than_may)
{
	struct history history = { .seed = 99 };
	turns_init(&history.turns, NULL);
	for (int worker = 0; worker < WORKERS; worker++)
		turns_worker(&history.turns, worker, NULL, 8, 8);
	for (int step = 0; step < STEPS; step++) {
		steps[draw(&history, 10)](&history);    /* adds, picks, ends, agains */
		for (uint32_t t = 0; t < TENANTS; t++)
			for (uint32_t k = 0; k < 2; k++) {
				char tenant[16], key[16];
				cr_assert_leq(running_of_key(&history.turns, name(tenant, 't', t),
				                             name(key, 'k', k)), 2);
			}
	}
	turns_release(&history.turns);
}
