/* overdue.c - see overdue.h. The list changes when a connection begins or ends; deadlines are set
 * without it. A deadline that is moved while it is looked at comes too late: it had passed. */
#include "common/defs.h"
#include "api/overdue.h"

#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

struct overdue {
	int look_ms;
	pthread_mutex_t mutex;
	pthread_cond_t ending;
	struct overdue_entry *entries;       /* by mutex */
	bool ended;                          /* by mutex */
	int64_t shut;                        /* by mutex */
	pthread_t thread;
	bool started;
};

static void look(struct overdue *overdue, int64_t now_ms)
{
	for (struct overdue_entry *entry = overdue->entries; entry; entry = entry->next) {
		int64_t deadline = atomic_load_explicit(&entry->deadline_mono_ms,
		                                        memory_order_relaxed);
		if (deadline == 0 || deadline > now_ms)
			continue;
		atomic_store_explicit(&entry->deadline_mono_ms, 0, memory_order_relaxed);
		shutdown(entry->fd, SHUT_RDWR);
		overdue->shut++;
	}
}

static void *watch(void *context)
{
	struct overdue *overdue = context;
	struct clock *clock = clock_system();
	pthread_mutex_lock(&overdue->mutex);
	while (!overdue->ended) {
		int64_t now_ms = clock_mono_ms(clock);
		look(overdue, now_ms);
		while (!overdue->ended && clock_wait(clock, &overdue->ending, &overdue->mutex,
		                                     now_ms + overdue->look_ms))
			;
	}
	pthread_mutex_unlock(&overdue->mutex);
	return NULL;
}

int overdue_new(int look_ms, struct overdue **ret_overdue, struct err *err)
{
	struct overdue *made = calloc(1, sizeof *made);
	if (!made)
		return err_set(err, E_NOMEM, "no memory for connections' deadlines");
	made->look_ms = look_ms;
	pthread_mutex_init(&made->mutex, NULL);
	clock_cond_init(&made->ending);
	AUTO(overdue) *overdue = made;
	if (pthread_create(&overdue->thread, NULL, watch, overdue) != 0)
		return err_set(err, E_NOMEM, "no thread for connections' deadlines");
	overdue->started = true;
	*ret_overdue = MOVE(overdue);
	return 0;
}

void overdue_free(struct overdue *overdue)
{
	if (!overdue)
		return;
	pthread_mutex_lock(&overdue->mutex);
	overdue->ended = true;
	pthread_cond_signal(&overdue->ending);
	pthread_mutex_unlock(&overdue->mutex);
	if (overdue->started)
		pthread_join(overdue->thread, NULL);
	REQUIRE(!overdue->entries);
	pthread_cond_destroy(&overdue->ending);
	pthread_mutex_destroy(&overdue->mutex);
	free(overdue);
}

void overdue_enter(struct overdue *overdue, struct overdue_entry *entry, int fd)
{
	entry->fd = fd;
	pthread_mutex_lock(&overdue->mutex);
	entry->prev = NULL;
	entry->next = overdue->entries;
	if (entry->next)
		entry->next->prev = entry;
	overdue->entries = entry;
	pthread_mutex_unlock(&overdue->mutex);
}

void overdue_leave(struct overdue *overdue, struct overdue_entry *entry)
{
	pthread_mutex_lock(&overdue->mutex);
	*(entry->prev ? &entry->prev->next : &overdue->entries) = entry->next;
	if (entry->next)
		entry->next->prev = entry->prev;
	pthread_mutex_unlock(&overdue->mutex);
}

void overdue_in(struct overdue_entry *entry, int64_t ms)
{
	int64_t deadline = ms ? clock_mono_ms(clock_system()) + ms : 0;
	atomic_store_explicit(&entry->deadline_mono_ms, deadline, memory_order_relaxed);
}

int64_t overdue_shut(struct overdue *overdue)
{
	pthread_mutex_lock(&overdue->mutex);
	int64_t shut = overdue->shut;
	pthread_mutex_unlock(&overdue->mutex);
	return shut;
}
