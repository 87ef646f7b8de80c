/* watch.c - see watch.h. Invariants: a watch is in the bucket of its id; it is in the line of those
 * with news while `news` is set; used <= WATCH_KEPT. */
#include "common/defs.h"
#include "control/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

struct watch {
	struct watch *next, **at;    /* in its bucket */
	struct watch *next_news;
	struct board *board;
	void *owner;
	char id[ID_LEN + 1];
	bool news;
	int first, used;             /* of the ring */
	struct sighting kept[WATCH_KEPT];
};

struct board {
	struct clock *clock;
	_Atomic int count;           /* watches */
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t changed;
	bool woken;
	struct watch *buckets[BUCKETS];
	struct watch *news, **last_news;
};

int board_new(struct clock *clock, struct board **ret_board, struct err *err)
{
	struct board *board = calloc(1, sizeof *board);
	if (!board)
		return err_set(err, E_NOMEM, "no memory for those who follow tasks");
	board->clock = clock;
	board->last_news = &board->news;
	pthread_mutex_init(&board->mutex, NULL);
	clock_cond_init(&board->changed);
	*ret_board = board;
	return 0;
}

void board_free(struct board *board)
{
	if (!board)
		return;
	REQUIRE(atomic_load(&board->count) == 0);
	pthread_cond_destroy(&board->changed);
	pthread_mutex_destroy(&board->mutex);
	free(board);
}

/* Ids are random in their last characters, and nobody chooses them. */
static struct watch **bucket_of(struct board *board, const char *id)
{
	uint32_t hash = 0;
	for (; *id; id++)
		hash = hash * 31 + (uint8_t)*id;
	return &board->buckets[hash % BUCKETS];
}

static void add_news(struct watch *watch)
{
	struct board *board = watch->board;
	if (watch->news)
		return;
	watch->news = true;
	watch->next_news = NULL;
	*board->last_news = watch;
	board->last_news = &watch->next_news;
	pthread_cond_signal(&board->changed);
}

static struct watch *take_news(struct board *board)
{
	struct watch *watch = board->news;
	if (!watch)
		return NULL;
	board->news = watch->next_news;
	if (!board->news)
		board->last_news = &board->news;
	watch->news = false;
	return watch;
}

static void keep(struct watch *watch, const struct sighting *sighting)
{
	if (watch->used < WATCH_KEPT)
		watch->used++;
	watch->kept[(watch->first + watch->used - 1) % WATCH_KEPT] = *sighting;
	add_news(watch);
}

bool board_watched(const struct board *board)
{
	return atomic_load_explicit(&board->count, memory_order_acquire) > 0;
}

void board_note(struct board *board, const char *id, const struct sighting *sighting)
{
	if (!board_watched(board))
		return;
	pthread_mutex_lock(&board->mutex);
	for (struct watch *watch = *bucket_of(board, id); watch; watch = watch->next)
		if (strcmp(watch->id, id) == 0)
			keep(watch, sighting);
	pthread_mutex_unlock(&board->mutex);
}

int watch_new(struct board *board, const char *id, void *owner, struct watch **ret_watch,
              struct err *err)
{
	struct watch *watch = calloc(1, sizeof *watch);
	if (!watch)
		return err_set(err, E_NOMEM, "no memory to follow a task");
	watch->board = board;
	watch->owner = owner;
	strncpy(watch->id, id, sizeof watch->id - 1);
	pthread_mutex_lock(&board->mutex);
	watch->at = bucket_of(board, watch->id);
	watch->next = *watch->at;
	if (watch->next)
		watch->next->at = &watch->next;
	*watch->at = watch;
	pthread_mutex_unlock(&board->mutex);
	atomic_fetch_add(&board->count, 1);
	*ret_watch = watch;
	return 0;
}

static void drop_news(struct watch *watch)
{
	struct board *board = watch->board;
	struct watch **at = &board->news;
	while (*at != watch)
		at = &(*at)->next_news;
	*at = watch->next_news;
	if (!*at)
		board->last_news = at;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	struct board *board = watch->board;
	pthread_mutex_lock(&board->mutex);
	*watch->at = watch->next;
	if (watch->next)
		watch->next->at = watch->at;
	if (watch->news)
		drop_news(watch);
	pthread_mutex_unlock(&board->mutex);
	atomic_fetch_sub(&board->count, 1);
	free(watch);
}

void watch_poke(struct watch *watch)
{
	pthread_mutex_lock(&watch->board->mutex);
	add_news(watch);
	pthread_mutex_unlock(&watch->board->mutex);
}

bool watch_next(struct watch *watch, struct sighting *ret_sighting)
{
	pthread_mutex_lock(&watch->board->mutex);
	bool found = watch->used > 0;
	if (found) {
		*ret_sighting = watch->kept[watch->first];
		watch->first = (watch->first + 1) % WATCH_KEPT;
		watch->used--;
	}
	pthread_mutex_unlock(&watch->board->mutex);
	return found;
}

void *board_take(struct board *board, int64_t deadline_mono_ms)
{
	struct watch *watch = NULL;
	pthread_mutex_lock(&board->mutex);
	while (!(watch = take_news(board)) && !board->woken)
		if (!clock_wait(board->clock, &board->changed, &board->mutex, deadline_mono_ms))
			break;
	board->woken = false;
	void *owner = watch ? watch->owner : NULL;
	pthread_mutex_unlock(&board->mutex);
	return owner;
}

void board_wake(struct board *board)
{
	pthread_mutex_lock(&board->mutex);
	board->woken = true;
	pthread_cond_signal(&board->changed);
	pthread_mutex_unlock(&board->mutex);
}
