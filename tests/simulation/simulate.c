/* simulate.c - `make simulate`: the scheduler's promises over many seeds, then 10,000 tenants with
 * 1,000,000 tasks on 2,000 workers in virtual time, with a picture of the shares. */
#include "common/defs.h"
#include "tests/support/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef bool scene_fn(uint64_t seed, char out[SIM_TEXT_MAX]);
struct scene_row { const char *name; scene_fn *run; };

static const struct scene_row rows[] = {
	{"shares follow the weights", sim_scene_shares},
	{"a whole worker's task does not starve", sim_scene_starvation},
	{"what was lent comes back in its bound", sim_scene_lending},
	{"giving way ends", sim_scene_preemption_ends},
};

static uint64_t number(const char *text, uint64_t fallback)
{
	return text ? strtoull(text, NULL, 10) : fallback;
}

int main(int argc, char **argv)
{
	char broken[SIM_TEXT_MAX];
	uint64_t seeds = number(getenv("SEEDS"), 20);
	int failed = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool holds = true;
		for (uint64_t seed = 1; holds && seed <= seeds; seed++)
			holds = rows[i].run(seed, broken);
		printf("%-5s %s%s%s\n", holds ? "ok" : "FAIL", rows[i].name, holds ? "" : ": ",
		       holds ? "" : broken);
		failed += !holds;
	}
	const struct sim_mixed mixed = {
		.seed = number(getenv("SEED"), 1),
		.tenants = (int)number(getenv("TENANTS"), 10000),
		.workers = (int)number(getenv("WORKERS"), 2000),
		.tasks = number(getenv("TASKS"), 1000000),
		.svg = argc > 1 ? argv[1] : NULL,
		.loud = true,
	};
	bool holds = sim_scene_mixed(&mixed, broken);
	printf("%-5s %d tenants, %llu tasks, %d workers%s%s\n", holds ? "ok" : "FAIL",
	       mixed.tenants, (unsigned long long)mixed.tasks, mixed.workers, holds ? "" : ": ",
	       holds ? "" : broken);
	if (mixed.svg)
		printf("picture: %s\n", mixed.svg);
	return failed || !holds;
}
