/* sim_mixed.c - the whole at once: thousands of tenants of six groups in one cohort, tasks of many
 * sizes, failures, workers that join and die; every task ends, and a picture shows who used what
 * over time. */
#include "common/defs.h"
#include "tests/support/sim.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GIB INT64_C(1073741824)
enum { GROUPS = 6, POINTS_MAX = 600, LATE_MS = 7 * 24 * 3600 * 1000, CHART_W = 960, CHART_H = 420 };

static const char *const group_names[GROUPS] = {"ads", "fraud", "maps", "search", "risk", "labs"};
/* In percent of the installation; the rest is nobody's. */
static const int group_guaranteed[GROUPS] = {30, 20, 15, 10, 5, 0};
static const char *const colours[GROUPS] = {"#31588a", "#4c8c6b", "#b9893a",
                                            "#a0503c", "#7a5a94", "#8a8f98"};

struct mixed {
	const struct sim_mixed *asked;
	int *group_of;
	double used[POINTS_MAX][GROUPS];
	int64_t at_ms[POINTS_MAX];
	int points;
	int64_t span_ms;
	double began_s;
};

static double now_real_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sample(void *context, struct sim *sim, int64_t now_ms)
{
	struct mixed *mixed = context;
	struct capacity total = sim_total(sim);
	const struct sim_counts *counts = sim_counts(sim);
	if (mixed->points < POINTS_MAX) {
		double *used = mixed->used[mixed->points];
		for (int i = 0; i < mixed->asked->tenants; i++)
			used[mixed->group_of[i]] += (double)sim_used(sim, i, -1).v[RES_CPU];
		for (int c = 0; c < GROUPS; c++)
			used[c] /= total.v[RES_CPU] ? (double)total.v[RES_CPU] : 1;
		mixed->at_ms[mixed->points++] = now_ms;
	}
	if (mixed->asked->loud && isatty(2) && mixed->points % 20 == 0)
		fprintf(stderr,
		        "\r  %5" PRId64 " min  %9" PRIu64 " of %" PRIu64
		        " tasks over, %9zu wait or "
		        "run  ",
		        now_ms / 60000, counts->succeeded + counts->dead, mixed->asked->tasks,
		        sim_unfinished(sim));
}

/* --- the load --- */

/* Heavy-tailed: most are short, some are long. */
static int64_t duration(struct sim *sim)
{
	double u = ((double)sim_draw(sim, 1000000) + 1) / 1000001;
	double ms = 4000 * pow(u, -0.6);
	return ms > 3600000 ? 3600000 : (int64_t)ms;
}

static struct sim_ask draw_ask(struct sim *sim, int tenants)
{
	static const struct capacity sizes[] = {
		{{1000, 1 * GIB, 1}},  {{1000, 2 * GIB, 1}},  {{2000, 4 * GIB, 1}},
		{{4000, 16 * GIB, 1}}, {{8000, 32 * GIB, 1}},
	};
	uint64_t size = sim_draw(sim, 100);
	struct sim_ask ask = {
		.tenant = (int)sim_draw(sim, (uint64_t)tenants),
		.domain = (int)sim_draw(sim, SIM_DOMAINS),
		.demand = sizes[size < 45   ? 0
	                        : size < 75 ? 1
	                        : size < 92 ? 2
	                        : size < 98 ? 3
	                                    : 4],
		.duration_ms = duration(sim),
		.priority = PRIORITY_NORMAL,
	};
	uint64_t priority = sim_draw(sim, 100);
	if (priority < 20)
		ask.priority = PRIORITY_LOW;
	else if (priority >= 90)
		ask.priority = priority == 99 ? PRIORITY_URGENT : PRIORITY_HIGH;
	if (sim_draw(sim, 50) == 0) {
		ask.key = 1 + (int)sim_draw(sim, 3);
		ask.key_most = 1 + (int)sim_draw(sim, 4);
	}
	if (sim_draw(sim, 20) == 0)
		ask.failures = 1 + (int)sim_draw(sim, 6);
	return ask;
}

static void add_tenants(struct sim *sim, struct mixed *mixed)
{
	int tenants = mixed->asked->tenants;
	struct capacity total = sim_total(sim);
	for (int i = 0; i < tenants; i++) {
		int group = (int)sim_draw(sim, GROUPS);
		struct sim_share share = {.weight = 1 + (int64_t)sim_draw(sim, 4)};
		mixed->group_of[i] = group;
		for (int r = 0; r < RES_COUNT_; r++) /* of a sixth of the tenants each */
			share.guaranteed.v[r] =
				total.v[r] * group_guaranteed[group] * GROUPS / (100 * tenants);
		sim_tenant(sim, &share);
	}
}

static void add_load(struct sim *sim, struct mixed *mixed)
{
	const struct sim_mixed *asked = mixed->asked;
	struct sim_ask ask;
	for (uint64_t n = 0; n < asked->tasks; n++) {
		ask = draw_ask(sim, asked->tenants);
		/* The first group sleeps through the first third. */
		int64_t from = mixed->group_of[ask.tenant] == 0 ? mixed->span_ms / 3 : 0;
		sim_submit(sim, from + (int64_t)sim_draw(sim, (uint64_t)(mixed->span_ms - from)),
		           &ask);
	}
}

static void add_workers(struct sim *sim, const struct mixed *mixed)
{
	static const struct capacity kinds[] = {
		{{8000, 32 * GIB, 8}},
		{{16000, 64 * GIB, 16}},
		{{32000, 256 * GIB, 32}},
	};
	int workers = mixed->asked->workers;
	for (int i = 0; i < workers; i++) {
		int at = sim_worker(sim, &kinds[sim_draw(sim, 3)]);
		if (sim_draw(sim, 5) > 0)
			continue;
		int64_t dies_ms = (int64_t)sim_draw(sim, (uint64_t)mixed->span_ms);
		sim_worker_dies(sim, dies_ms, at);
		sim_worker_later(sim, dies_ms + 60000 + (int64_t)sim_draw(sim, 600000),
		                 &kinds[sim_draw(sim, 3)]);
	}
}

/* --- the picture --- */

static void draw_area(FILE *out, const struct mixed *mixed, int group)
{
	int64_t last = mixed->at_ms[mixed->points - 1];
	fprintf(out, "<polygon fill='%s' points='", colours[group]);
	for (int side = 0; side < 2; side++)
		for (int i = 0; i < mixed->points; i++) {
			int at = side ? mixed->points - 1 - i : i;
			double level = 0;
			for (int c = 0; c < group + !side; c++)
				level += mixed->used[at][c];
			fprintf(out, "%.1f,%.1f ",
			        60 + (double)mixed->at_ms[at] * CHART_W / (double)last,
			        40 + CHART_H * (1 - level));
		}
	fprintf(out, "'/>\n");
}

static void draw_legend(FILE *out)
{
	for (int c = 0; c < GROUPS; c++)
		fprintf(out,
		        "<rect x='%d' y='%d' width='14' height='14' fill='%s'/>"
		        "<text x='%d' y='%d'>%s, guaranteed %d %%</text>\n",
		        1040, 60 + 26 * c, colours[c], 1062, 72 + 26 * c, group_names[c],
		        group_guaranteed[c]);
}

static bool draw(const struct mixed *mixed)
{
	FILE *out = fopen(mixed->asked->svg, "w");
	if (!out || mixed->points < 2)
		return out && fclose(out) == 0;
	fprintf(out,
	        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1260 520' "
	        "font-family='sans-serif' font-size='14' fill='#222'>\n"
	        "<rect width='1260' height='520' fill='#fff'/>\n"
	        "<text x='60' y='24' font-size='17'>Share of all cores by group: %d tenants, "
	        "%" PRIu64 " tasks, %d workers</text>\n",
	        mixed->asked->tenants, mixed->asked->tasks, mixed->asked->workers);
	for (int c = 0; c < GROUPS; c++)
		draw_area(out, mixed, c);
	for (int percent = 0; percent <= 100; percent += 25)
		fprintf(out,
		        "<line x1='60' x2='1020' y1='%.0f' y2='%.0f' stroke='#000' "
		        "stroke-opacity='0.15'/><text x='52' y='%.0f' text-anchor='end'>%d "
		        "%%</text>\n",
		        40 + CHART_H * (1 - percent / 100.0), 40 + CHART_H * (1 - percent / 100.0),
		        45 + CHART_H * (1 - percent / 100.0), percent);
	int64_t last = mixed->at_ms[mixed->points - 1];
	for (int i = 0; i <= 4; i++)
		fprintf(out, "<text x='%d' y='484' text-anchor='middle'>%" PRId64 " min</text>\n",
		        60 + CHART_W * i / 4, last * i / 4 / 60000);
	draw_legend(out);
	fprintf(out, "<text x='60' y='508' fill='#555'>The group ads asks for nothing in the first "
	             "third of the load: its share is lent, and comes back when it "
	             "asks.</text>\n</svg>\n");
	return fclose(out) == 0;
}

/* --- the run --- */

static void tell(const struct sim *sim, const struct mixed *mixed)
{
	const struct sim_counts *counts = sim_counts(sim);
	double took_s = now_real_s() - mixed->began_s;
	if (!mixed->asked->loud)
		return;
	if (isatty(2))
		fprintf(stderr, "\n");
	printf("virtual time   %.1f hours\nreal time      %.1f s (%.0f events/s, %.2f us a pick "
	       "and its event)\n",
	       (double)sim_now(sim) / 3600000, took_s, (double)counts->events / took_s,
	       took_s * 1e6 / (double)counts->picks);
	printf("tasks          %" PRIu64 " submitted, %" PRIu64 " succeeded, %" PRIu64 " dead\n"
	       "attempts       %" PRIu64 " started, %" PRIu64 " retried, %" PRIu64 " lost with a "
	       "worker, %" PRIu64 " gave way\nlongest wait   %.1f min\n",
	       counts->submitted, counts->succeeded, counts->dead, counts->started, counts->retried,
	       counts->lost, counts->preempted, (double)counts->longest_wait_ms / 60000);
}

static void check_end(struct sim *sim, const struct mixed *mixed)
{
	const struct sim_counts *counts = sim_counts(sim);
	if (sim_broken(sim)[0])
		return;
	if (counts->submitted != mixed->asked->tasks || sim_unfinished(sim) > 0 ||
	    counts->succeeded + counts->dead != counts->submitted)
		sim_break(sim,
		          "of %" PRIu64 " tasks %" PRIu64 " succeeded, %" PRIu64 " are dead, "
		          "%zu have not ended",
		          counts->submitted, counts->succeeded, counts->dead, sim_unfinished(sim));
	if (counts->started !=
	    counts->succeeded + counts->dead + counts->retried + counts->lost + counts->preempted)
		sim_break(sim, "attempts that started and attempts that ended differ");
	sched_check(sim_sched(sim));
}

bool sim_scene_mixed(const struct sim_mixed *asked, char out[SIM_TEXT_MAX])
{
	struct mixed *mixed = calloc(1, sizeof *mixed);
	REQUIRE(mixed);
	mixed->asked = asked;
	mixed->group_of = calloc((size_t)asked->tenants, sizeof *mixed->group_of);
	REQUIRE(mixed->group_of);
	/* About one and a half times what the workers can do in that time. */
	mixed->span_ms = (int64_t)(asked->tasks * 700 / (uint64_t)asked->workers);
	mixed->began_s = now_real_s();
	const struct sim_conf conf = {
		.seed = asked->seed,
		.check_every = asked->tasks > 20000 ? 65536 : 256,
		.sample = sample,
		.sample_ms = mixed->span_ms / 200 + 1000,
		.context = mixed,
	};
	struct sim *sim = sim_new(&conf);
	add_workers(sim, mixed);
	add_tenants(sim, mixed);
	add_load(sim, mixed);
	sim_run(sim, LATE_MS);
	check_end(sim, mixed);
	tell(sim, mixed);
	if (asked->svg && !draw(mixed))
		sim_break(sim, "cannot write %s", asked->svg);
	snprintf(out, SIM_TEXT_MAX, "%s", sim_broken(sim));
	sim_free(sim);
	free(mixed->group_of);
	free(mixed);
	return !out[0];
}
