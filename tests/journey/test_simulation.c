/* test_simulation.c - the scheduler's promises in virtual time, short; `make simulate` is the long
 * run. A failure names its seed. */
#include "common/defs.h"
#include "tests/support/sim.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SEEDS = 1, TASKS = 2000 };
#else
enum { SEEDS = 4, TASKS = 20000 };
#endif

typedef bool scene_fn(uint64_t seed, char out[SIM_TEXT_MAX]);

static void hold(scene_fn *scene)
{
	char broken[SIM_TEXT_MAX];
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert(scene(seed, broken), "%s", broken);
}

Test(simulation, shares_follow_the_weights)
{
	hold(sim_scene_shares);
}

Test(simulation, a_task_that_needs_a_whole_worker_does_not_starve)
{
	hold(sim_scene_starvation);
}

Test(simulation, what_was_lent_comes_back_within_its_bound)
{
	hold(sim_scene_lending);
}

Test(simulation, giving_way_ends)
{
	hold(sim_scene_preemption_ends);
}

Test(simulation, every_task_ends_and_every_reservation_is_given_back)
{
	char broken[SIM_TEXT_MAX];
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		const struct sim_mixed mixed = {
			.seed = seed, .tenants = 200, .workers = 40, .tasks = TASKS};
		cr_assert(sim_scene_mixed(&mixed, broken), "%s", broken);
	}
}
