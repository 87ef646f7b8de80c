/* outflow.c - a buffer between two threads. Invariants: taken <= kept.len; while parked the reader
 * waits for wake, which is called once for each park. */
#include "common/defs.h"
#include "api/outflow.h"

#include "common/buf.h"
#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct outflow {
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t taken_all;    /* or nothing more will be */
	struct outflow_reader reader;
	struct buf kept;
	size_t taken;
	bool parked;
	bool ended;                  /* by the writer */
	bool dropped;                /* too slow, or its server ends */
	bool left;                   /* by the reader */
};

int outflow_new(size_t kept_max, const struct outflow_reader *reader,
                struct outflow **ret_outflow, struct err *err)
{
	struct outflow *outflow = calloc(1, sizeof *outflow);
	if (!outflow)
		return err_set(err, E_NOMEM, "no memory for a stream; ask again later");
	pthread_mutex_init(&outflow->mutex, NULL);
	clock_cond_init(&outflow->taken_all);
	buf_init(&outflow->kept, kept_max);
	outflow->reader = *reader;
	*ret_outflow = outflow;
	return 0;
}

static void outflow_free(struct outflow *outflow)
{
	pthread_cond_destroy(&outflow->taken_all);
	pthread_mutex_destroy(&outflow->mutex);
	buf_release(&outflow->kept);
	free(outflow);
}

static void wake(struct outflow *outflow)
{
	if (!outflow->parked)
		return;
	outflow->parked = false;
	outflow->reader.wake(outflow->reader.context);
}

static void drop(struct outflow *outflow)
{
	outflow->dropped = true;
	outflow->taken = 0;
	buf_release(&outflow->kept);
	pthread_cond_signal(&outflow->taken_all);
	wake(outflow);
}

bool outflow_put(struct outflow *outflow, const void *data, size_t len)
{
	pthread_mutex_lock(&outflow->mutex);
	bool open = !outflow->left && !outflow->dropped;
	if (open && buf_put(&outflow->kept, data, len) < 0) {
		drop(outflow);
		open = false;
	}
	if (open)
		wake(outflow);
	pthread_mutex_unlock(&outflow->mutex);
	return open;
}

bool outflow_wait(struct outflow *outflow)
{
	pthread_mutex_lock(&outflow->mutex);
	while (!outflow->left && !outflow->dropped && outflow->kept.len > 0)
		pthread_cond_wait(&outflow->taken_all, &outflow->mutex);
	bool open = !outflow->left && !outflow->dropped;
	pthread_mutex_unlock(&outflow->mutex);
	return open;
}

bool outflow_room(struct outflow *outflow, int wait_ms)
{
	int64_t until = clock_mono_ms(clock_system()) + wait_ms;
	pthread_mutex_lock(&outflow->mutex);
	while (!outflow->left && !outflow->dropped && outflow->kept.len > 0 &&
	       clock_wait(clock_system(), &outflow->taken_all, &outflow->mutex, until))
		;
	bool room = outflow->left || outflow->dropped || outflow->kept.len == 0;
	pthread_mutex_unlock(&outflow->mutex);
	return room;
}

bool outflow_idle(struct outflow *outflow, int wait_ms)
{
	int64_t until = clock_mono_ms(clock_system()) + wait_ms;
	pthread_mutex_lock(&outflow->mutex);
	while (!outflow->left && !outflow->dropped && !outflow->parked &&
	       clock_wait(clock_system(), &outflow->taken_all, &outflow->mutex, until))
		;
	bool idle = outflow->left || outflow->dropped || outflow->parked;
	pthread_mutex_unlock(&outflow->mutex);
	return idle;
}

void outflow_end(struct outflow *outflow)
{
	pthread_mutex_lock(&outflow->mutex);
	REQUIRE(!outflow->ended);
	outflow->ended = true;
	bool last = outflow->left;
	if (!last)
		wake(outflow);
	pthread_mutex_unlock(&outflow->mutex);
	if (last)
		outflow_free(outflow);
}

static int take(struct outflow *outflow, char *out, size_t most)
{
	size_t len = outflow->kept.len - outflow->taken;
	if (outflow->dropped)
		return OUTFLOW_BROKEN;
	if (len == 0 && outflow->ended)
		return OUTFLOW_OVER;
	if (len == 0) {
		outflow->parked = true;
		outflow->reader.park(outflow->reader.context);
		pthread_cond_signal(&outflow->taken_all);
		return 0;
	}
	len = len < most ? len : most;
	memcpy(out, outflow->kept.data + outflow->taken, len);
	outflow->taken += len;
	if (outflow->taken == outflow->kept.len) {
		buf_clear(&outflow->kept);
		outflow->taken = 0;
		pthread_cond_signal(&outflow->taken_all);
	}
	return (int)len;
}

int outflow_take(struct outflow *outflow, char *out, size_t most)
{
	pthread_mutex_lock(&outflow->mutex);
	int len = take(outflow, out, most);
	pthread_mutex_unlock(&outflow->mutex);
	return len;
}

void outflow_drop(struct outflow *outflow)
{
	pthread_mutex_lock(&outflow->mutex);
	drop(outflow);
	pthread_mutex_unlock(&outflow->mutex);
}

void outflow_leave(struct outflow *outflow)
{
	pthread_mutex_lock(&outflow->mutex);
	REQUIRE(!outflow->left);
	outflow->left = true;
	outflow->parked = false;
	pthread_cond_signal(&outflow->taken_all);
	bool last = outflow->ended;
	pthread_mutex_unlock(&outflow->mutex);
	if (last)
		outflow_free(outflow);
}
