/* crew.c - a ring of items and the threads that take them. Invariant: count <= cap. */
#include "common/defs.h"
#include "api/crew.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct crew {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	crew_fn *work;
	void *context;
	void **ring;          /* cap slots; guarded by mutex, as are the next three */
	size_t first, count;
	bool ending;
	size_t cap;
	int threads;          /* started */
	pthread_t *ids;
};

static void *take(struct crew *crew)
{
	pthread_mutex_lock(&crew->mutex);
	while (crew->count == 0 && !crew->ending)
		pthread_cond_wait(&crew->wake, &crew->mutex);
	void *item = NULL;
	if (crew->count > 0) {
		item = crew->ring[crew->first];
		crew->first = (crew->first + 1) % crew->cap;
		crew->count--;
	}
	pthread_mutex_unlock(&crew->mutex);
	return item;
}

static void *work_off(void *context)
{
	struct crew *crew = context;
	for (void *item = take(crew); item; item = take(crew))
		crew->work(crew->context, item);
	return NULL;
}

static int start(struct crew *crew, int threads, struct err *err)
{
	while (crew->threads < threads) {
		int failed = pthread_create(&crew->ids[crew->threads], NULL, work_off, crew);
		if (failed)
			return err_errno(err, failed, "cannot start handler thread %d of %d",
			                 crew->threads + 1, threads);
		crew->threads++;
	}
	return 0;
}

int crew_new(int threads, int queue_max, crew_fn *work, void *context, struct crew **ret_crew,
             struct err *err)
{
	REQUIRE(threads > 0 && queue_max > 0);
	struct crew *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory for %d handler threads", threads);
	pthread_mutex_init(&made->mutex, NULL);
	pthread_cond_init(&made->wake, NULL);
	AUTO(crew) *crew = made;
	crew->work = work;
	crew->context = context;
	crew->cap = (size_t)queue_max;
	crew->ring = calloc(crew->cap, sizeof *crew->ring);
	crew->ids = calloc((size_t)threads, sizeof *crew->ids);
	if (!crew->ring || !crew->ids)
		return err_set(err, E_NOMEM, "no memory for a queue of %d requests", queue_max);
	TRY(start(crew, threads, err));
	*ret_crew = MOVE(crew);
	return 0;
}

bool crew_push(struct crew *crew, void *item)
{
	REQUIRE(item);
	pthread_mutex_lock(&crew->mutex);
	bool room = crew->count < crew->cap;
	if (room)
		crew->ring[(crew->first + crew->count++) % crew->cap] = item;
	pthread_mutex_unlock(&crew->mutex);
	if (room)
		pthread_cond_signal(&crew->wake);
	return room;
}

void crew_free(struct crew *crew)
{
	if (!crew)
		return;
	pthread_mutex_lock(&crew->mutex);
	crew->ending = true;
	pthread_mutex_unlock(&crew->mutex);
	pthread_cond_broadcast(&crew->wake);
	for (int i = 0; i < crew->threads; i++)
		pthread_join(crew->ids[i], NULL);
	pthread_cond_destroy(&crew->wake);
	pthread_mutex_destroy(&crew->mutex);
	free(crew->ring);
	free(crew->ids);
	free(crew);
}
