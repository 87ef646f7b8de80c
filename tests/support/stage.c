/* stage.c - see stage.h; the puppets are in puppet.c. */
#include "common/defs.h"
#include "tests/support/stage.h"

#include "control/dispatch.h"
#include "control/shard_work.h"
#include "tests/support/process.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	STEP_MS = 20, STEP_REAL_US = 300, REAL_MS = 60000,
	REST_EVERY_MS = 400,         /* of the clock */
	REST_LOOK_US = 1500,         /* a look at every thread takes a while */
	REST_MOST_MS = 2000,         /* of real time, at once: something may work for long */
	JUMP_REST_MOST_MS = 20000    /* a deadline is soon missed by who works across a jump */
};
#define BEGIN_MS INT64_C(1000000000000)

static void listen_on(struct stage *stage)
{
	struct err err = {0};
	const struct link_server_conf conf = {
		.url = stage->url,
		.contexts = 32,
		.call = dispatch_call,
		.gone = dispatch_gone,
		.context = stage->plane->control,
	};
	cr_assert_eq(link_server_new(&conf, &stage->server, &err), 0, "%s", err.text);
}

struct stage *stage_open(void)
{
	struct err err = {0};
	struct stage *stage = calloc(1, sizeof *stage);
	cr_assert_not_null(stage);
	cr_assert_eq(clock_new_simulated(BEGIN_MS, &stage->clock, &err), 0);
	pthread_mutex_init(&stage->mutex, NULL);
	stage->plane = plane_start_at(stage->clock);
	stage->cpu_ms = 1;
	stage->step_ms = STEP_MS;
	stage->step_real_us = STEP_REAL_US;
	snprintf(stage->url, sizeof stage->url, "inproc://stage-%p", (void *)stage);
	memcpy(stage->poll_url, stage->url, sizeof stage->url);
	listen_on(stage);
	return stage;
}

static void end_link(struct stage *stage)
{
	control_stop(stage->plane->control);
	link_server_free(stage->server);
	stage->server = NULL;
}

void stage_restart(struct stage *stage)
{
	end_link(stage);
	plane_restart(stage->plane);
	listen_on(stage);
}

void stage_close(struct stage *stage)
{
	end_link(stage);
	plane_stop(stage->plane);
	for (struct act *act = stage->acts, *next = NULL; act; act = next) {
		next = act->next;
		free(act);
	}
	pthread_mutex_destroy(&stage->mutex);
	clock_free(stage->clock);
	free(stage);
}

bool stage_leads(struct stage *stage)
{
	struct control *control = stage->plane->control;
	struct part *part = stage->plane->part;
	return atomic_load(&part->led) != 0 && shard_sound(part->shard) &&
	       catalog_whole(control->catalog);
}

static void rest(int most_ms)
{
	int64_t until_ms = clock_mono_ms(clock_system()) + most_ms;
	while (process_busy(getpid()) && clock_mono_ms(clock_system()) < until_ms)
		usleep(REST_LOOK_US);
}

void stage_rest(void)
{
	rest(REST_MOST_MS);
}

void stage_jump(struct stage *stage, int64_t ms)
{
	rest(JUMP_REST_MOST_MS);
	clock_advance(stage->clock, ms);
	rest(JUMP_REST_MOST_MS);
}

bool stage_pass(struct stage *stage, stage_ready_fn *ready, void *context, int64_t sim_ms)
{
	for (int64_t passed = 0; passed <= sim_ms; passed += stage->step_ms) {
		if (ready(context))
			return true;
		clock_advance(stage->clock, stage->step_ms);
		usleep((useconds_t)stage->step_real_us);
		if (passed / REST_EVERY_MS != (passed + stage->step_ms) / REST_EVERY_MS)
			stage_rest();
	}
	return ready(context);
}

bool stage_await(struct stage *stage, stage_ready_fn *ready, void *context, int64_t sim_ms)
{
	int64_t until_ms = clock_mono_ms(clock_system()) + REAL_MS;
	bool came = stage_pass(stage, ready, context, sim_ms);
	while (!came && clock_mono_ms(clock_system()) < until_ms) {
		usleep((useconds_t)stage->step_real_us);
		came = ready(context);
	}
	return came;
}
