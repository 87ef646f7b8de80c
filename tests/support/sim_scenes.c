/* sim_scenes.c - what the scheduler promises, each as a scene that breaks when it does not hold. */
#include "common/defs.h"
#include "tests/support/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB INT64_C(1073741824)
#define MINUTE_MS INT64_C(60000)

static const struct capacity big_worker = {{16000, 64 * GIB, 16}};

/* {cores, GiB}, one slot each. */
static struct capacity demand(int64_t cores, int64_t gib)
{
	return (struct capacity){{cores * 1000, gib * GIB, 1}};
}

static double dominant(const struct capacity *used, const struct capacity *total)
{
	double most = 0;
	for (int r = 0; r < RES_COUNT_; r++) {
		double share = total->v[r] ? (double)used->v[r] / (double)total->v[r] : 0;
		most = share > most ? share : most;
	}
	return most;
}

static bool over(struct sim *sim, char out[SIM_TEXT_MAX])
{
	snprintf(out, SIM_TEXT_MAX, "%s", sim_broken(sim));
	bool holds = !sim_broken(sim)[0];
	sim_free(sim);
	return holds;
}

/* --- everybody always asks: shares follow the weights --- */

enum { SHARERS = 24, SHARE_WORKERS = 40, BACKLOG = 60, SAMPLE_MS = 500 };
#define SHARES_WARM_MS (2 * MINUTE_MS)
#define SHARES_END_MS (12 * MINUTE_MS)

struct shares {
	int64_t weight[SHARERS];
	struct capacity demand[SHARERS];
	double sum[SHARERS], domain_sum[SHARERS][SIM_DOMAINS];
	int samples;
};

static void ask_again(void *context, struct sim *sim, const struct sim_ask *ask)
{
	struct sim_ask next = *ask;
	(void)context;
	next.duration_ms = 2000 + (int64_t)sim_draw(sim, 18000);
	sim_submit(sim, sim_now(sim), &next);
}

static void sample_shares(void *context, struct sim *sim, int64_t now_ms)
{
	struct shares *shares = context;
	struct capacity total = sim_total(sim);
	if (now_ms < SHARES_WARM_MS)
		return;
	shares->samples++;
	for (int i = 0; i < SHARERS; i++) {
		struct capacity used = sim_used(sim, i, -1);
		shares->sum[i] += dominant(&used, &total);
		for (int d = 0; d < SIM_DOMAINS; d++) {
			used = sim_used(sim, i, d);
			shares->domain_sum[i][d] += dominant(&used, &total);
		}
	}
}

/* One task more or less than due, and two parts in a hundred. */
static void compare_shares(struct sim *sim, const struct shares *shares)
{
	struct capacity total = sim_total(sim);
	double sum = 0;
	int64_t weights = 0;
	for (int i = 0; i < SHARERS; i++) {
		sum += shares->sum[i] / shares->samples;
		weights += shares->weight[i];
	}
	for (int i = 0; i < SHARERS; i++) {
		double due = sum * (double)shares->weight[i] / (double)weights;
		double had = shares->sum[i] / shares->samples;
		double one = dominant(&shares->demand[i], &total);
		double off = had > due ? had - due : due - had;
		if (off > one + 0.02 * due)
			sim_break(sim,
			          "tenant %d of weight %" PRId64 " has a share of %.4f and is "
			          "due %.4f, which is more off than its task of %.4f",
			          i, shares->weight[i], had, due, one);
		double live = shares->domain_sum[i][1] / shares->samples;
		off = live > 0.75 * had ? live - 0.75 * had : 0.75 * had - live;
		if (off > one + 0.02 * due)
			sim_break(sim,
			          "the domain of weight 3 of tenant %d has %.4f of its "
			          "tenant's %.4f, and the other weighs 1",
			          i, live, had);
	}
}

bool sim_scene_shares(uint64_t seed, char out[SIM_TEXT_MAX])
{
	struct shares shares = {0};
	const struct sim_conf conf = {
		.seed = seed,
		.check_every = 64,
		.ended = ask_again,
		.sample = sample_shares,
		.sample_ms = SAMPLE_MS,
		.context = &shares,
	};
	struct sim *sim = sim_new(&conf);
	for (int i = 0; i < SHARE_WORKERS; i++)
		sim_worker(sim, &big_worker);
	for (int i = 0; i < SHARERS; i++) {
		shares.weight[i] = 1 + (int64_t)sim_draw(sim, 4);
		shares.demand[i] = i % 3 == 0   ? demand(1, 4)
		                   : i % 3 == 1 ? demand(1, 1)
		                                : demand(2, 4);
		const struct sim_share share = {.weight = shares.weight[i]};
		sim_tenant(sim, &share);
		sim_domain(sim, i, 0, 1);
		sim_domain(sim, i, 1, 3);
		for (int n = 0; n < BACKLOG * SIM_DOMAINS; n++) {
			const struct sim_ask ask = {
				.tenant = i,
				.domain = n % SIM_DOMAINS,
				.demand = shares.demand[i],
				.priority = PRIORITY_NORMAL,
				.duration_ms = 2000 + (int64_t)sim_draw(sim, 18000),
			};
			sim_submit(sim, (int64_t)sim_draw(sim, 1000), &ask);
		}
	}
	if (sim_run(sim, SHARES_END_MS))
		compare_shares(sim, &shares);
	return over(sim, out);
}

/* --- one that asks for a whole worker among many small ones that never cease --- */

#define AGING_MS (5 * MINUTE_MS)

struct lonely {
	int64_t started_ms;
	bool done;
};

static void small_ones_go_on(void *context, struct sim *sim, const struct sim_ask *ask)
{
	struct lonely *lonely = context;
	if (ask->tenant == 0) {
		lonely->done = true;
		lonely->started_ms = sim_now(sim) - ask->duration_ms;
	} else if (!lonely->done) {
		ask_again(NULL, sim, ask);
	}
}

/* It starts within the aging bound and the longest task that must end before it, and a minute. */
bool sim_scene_starvation(uint64_t seed, char out[SIM_TEXT_MAX])
{
	struct lonely lonely = {0};
	const struct sim_conf conf = {
		.seed = seed,
		.check_every = 64,
		.sched = {.aging_ms = AGING_MS},
		.ended = small_ones_go_on,
		.context = &lonely,
	};
	struct sim *sim = sim_new(&conf);
	const struct sim_share light = {.weight = 1}, heavy = {.weight = 1000};
	for (int i = 0; i < 8; i++)
		sim_worker(sim, &big_worker);
	sim_tenant(sim, &light);
	for (int i = 1; i <= 4; i++) {
		sim_tenant(sim, &heavy);
		for (int n = 0; n < 100; n++) {
			const struct sim_ask ask = {
				.tenant = i,
				.demand = demand(1, 1),
				.priority = PRIORITY_HIGH,
				.duration_ms = 1000 + (int64_t)sim_draw(sim, 20000),
			};
			sim_submit(sim, 0, &ask);
		}
	}
	const struct sim_ask whole = {.tenant = 0,
	                              .demand = {{16000, 60 * GIB, 1}},
	                              .priority = PRIORITY_LOW,
	                              .duration_ms = 1000};
	sim_submit(sim, 1000, &whole);
	if (sim_run(sim, 60 * MINUTE_MS) && !lonely.done)
		sim_break(sim, "the task that needs a whole worker has not run in an hour");
	if (lonely.started_ms > 1000 + AGING_MS + 21000 + MINUTE_MS)
		sim_break(sim, "it started after %" PRId64 " s", lonely.started_ms / 1000);
	return over(sim, out);
}

/* --- what was lent comes back --- */

#define LENT_AT_MS (5 * MINUTE_MS)
#define MIN_RUN_MS MINUTE_MS
enum { LEND_WORKERS = 10, PREEMPT_RATE = 60 };

struct lending {
	int64_t whole_ms;
	int64_t guaranteed;
};

static void watch_lender(void *context, struct sim *sim, int64_t now_ms)
{
	struct lending *lending = context;
	struct capacity used = sim_used(sim, 0, -1);
	if (!lending->whole_ms && now_ms >= LENT_AT_MS && used.v[RES_CPU] >= lending->guaranteed)
		lending->whole_ms = now_ms;
}

static void borrower_goes_on(void *context, struct sim *sim, const struct sim_ask *ask)
{
	(void)context;
	if (sim_now(sim) < 30 * MINUTE_MS)
		sim_submit(sim, sim_now(sim), ask);
}

/* Half of all is tenant 0's by right; tenant 1 has borrowed it with tasks of two hours. */
bool sim_scene_lending(uint64_t seed, char out[SIM_TEXT_MAX])
{
	struct lending lending = {.guaranteed = LEND_WORKERS * 8000};
	const struct sim_conf conf = {
		.seed = seed,
		.check_every = 16,
		.ended = borrower_goes_on,
		.sample = watch_lender,
		.sched = {.min_run_ms = MIN_RUN_MS, .preempt_per_minute = PREEMPT_RATE},
		.sample_ms = SAMPLE_MS,
		.context = &lending,
	};
	struct sim *sim = sim_new(&conf);
	const struct sim_share lender =
				       {
					       .weight = 1,
					       .cohort = "lab",
					       .guaranteed = {{LEND_WORKERS * 8000,
	                                                       LEND_WORKERS * 32 * GIB,
	                                                       LEND_WORKERS * 8}},
				       },
			       borrower = {.weight = 1, .cohort = "lab"};
	for (int i = 0; i < LEND_WORKERS; i++)
		sim_worker(sim, &big_worker);
	sim_tenant(sim, &lender);
	sim_tenant(sim, &borrower);
	for (int n = 0; n < LEND_WORKERS * 20; n++) {
		const struct sim_ask ask = {.tenant = 1,
		                            .demand = demand(1, 2),
		                            .priority = PRIORITY_NORMAL,
		                            .duration_ms = 120 * MINUTE_MS};
		sim_submit(sim, (int64_t)sim_draw(sim, 1000), &ask);
	}
	for (int n = 0; n < LEND_WORKERS * 8; n++) {
		const struct sim_ask ask = {.tenant = 0,
		                            .demand = demand(1, 2),
		                            .priority = PRIORITY_NORMAL,
		                            .duration_ms = 60 * MINUTE_MS};
		sim_submit(sim, LENT_AT_MS, &ask);
	}
	bool ran = sim_run(sim, 40 * MINUTE_MS);
	int64_t bound = MIN_RUN_MS + LEND_WORKERS * 8 * MINUTE_MS / PREEMPT_RATE + MINUTE_MS;
	if (ran && !lending.whole_ms)
		sim_break(sim, "what was lent has not come back in 35 minutes");
	else if (ran && lending.whole_ms - LENT_AT_MS > bound)
		sim_break(sim,
		          "what was lent came back after %" PRId64 " s, over the bound of %" PRId64
		          " s",
		          (lending.whole_ms - LENT_AT_MS) / 1000, bound / 1000);
	return over(sim, out);
}

/* --- giving way ends: nobody takes from whom has taken --- */

bool sim_scene_preemption_ends(uint64_t seed, char out[SIM_TEXT_MAX])
{
	const struct sim_conf conf = {
		.seed = seed,
		.check_every = 16,
		.sched = {.min_run_ms = 1000, .preempt_per_minute = 100000},
	};
	struct sim *sim = sim_new(&conf);
	for (int i = 0; i < 4; i++)
		sim_worker(sim, &big_worker);
	for (int i = 0; i < 8; i++) {
		const struct sim_share share = {
			.weight = 1 + (int64_t)sim_draw(sim, 5),
			.cohort = i % 2 ? "odd" : "even",
			.guaranteed = {{(int64_t)sim_draw(sim, 8) * 1000, 0, 0}},
		};
		int tenant = sim_tenant(sim, &share);
		for (int n = 0; n < 40; n++) {
			const struct sim_ask ask = {
				.tenant = tenant,
				.demand = demand(1 + (int64_t)sim_draw(sim, 3), 2),
				.priority = sim_draw(sim, 10) ? PRIORITY_NORMAL : PRIORITY_URGENT,
				.duration_ms = 300 * MINUTE_MS,
			};
			sim_submit(sim, (int64_t)sim_draw(sim, 5000), &ask);
		}
	}
	uint64_t before = 0;
	if (sim_run(sim, 30 * MINUTE_MS))
		before = sim_counts(sim)->preempted;
	if (sim_run(sim, 120 * MINUTE_MS) && sim_counts(sim)->preempted != before)
		sim_break(sim,
		          "%" PRIu64 " tasks gave way in half an hour, and %" PRIu64 " more in "
		          "the next hours, though nothing came and nothing ended",
		          before, sim_counts(sim)->preempted - before);
	return over(sim, out);
}
