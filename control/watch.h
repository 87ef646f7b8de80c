/* watch.h - what is to be told to those who follow a task or a run: each change of it is noted once
 * for each of them, in a short ring; one thread takes the news. The board's mutex is the innermost:
 * it calls nothing. Any thread. */
#ifndef WATCH_H
#define WATCH_H

#include "common/clock.h"
#include "common/text.h"
#include "control/trail.h"

enum { WATCH_KEPT = 32, WATCH_PHASE_MAX = 32 };

/* One version of a task, as it was. */
struct sighting {
	char task[ID_LEN + 1];
	char name[NAME_MAX_LEN + 1]; /* in its run; "": of none */
	int64_t version;
	const char *state;           /* a constant */
	int attempt;
	char phase[WATCH_PHASE_MAX];
	int64_t rows, bytes;
	int percent;                 /* -1: not known */
	struct trail_step step;            /* that led to the state */
	bool stepped;                /* there was one that is kept */
};

struct board;
MUST_USE int board_new(struct clock *clock, struct board **ret_board, struct err *err);
void board_free(struct board *board);            /* its watches are ended */
DEFINE_AUTO(board)

/* Whether anybody follows anything: there is no need to note while nobody does. */
bool board_watched(const struct board *board);
/* Past WATCH_KEPT untaken ones the newest
 * takes the place of the one before it. */
void board_note(struct board *board, const char *id, const struct sighting *sighting);

struct watch;
MUST_USE int watch_new(struct board *board, const char *id, void *owner, struct watch **ret_watch,
                       struct err *err);
void watch_free(struct watch *watch);
void watch_poke(struct watch *watch);            /* as if there were news */
bool watch_next(struct watch *watch, struct sighting *ret_sighting);     /* false: none is left */

/* The owner of a watch with news, named once for any number of them. NULL: none by the deadline, or
 * board_wake. Its watch may be freed by now: the taker looks whether it still has that owner. */
void *board_take(struct board *board, int64_t deadline_mono_ms);
void board_wake(struct board *board);

#endif
