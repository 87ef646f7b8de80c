/* schedule_impl.h - the schedules' thread and what it knows. Private to control/schedule*.c. */
#ifndef SCHEDULE_IMPL_H
#define SCHEDULE_IMPL_H

#include "control/backfill.h"
#include "control/firing.h"
#include "control/hashmap.h"
#include "control/heap.h"
#include "control/schedule.h"

enum { NOTES_MAX = 4096, VOLLEY_MAX = 32 };

/* A dataset that a schedule waits for. */
struct wanted {
	struct hash_node by_key;     /* of the first of its key only */
	struct wanted *same;         /* others wait for it too */
	struct item *item;
	const char *key;             /* of the catalog: its head */
	bool first;
};

/* A Schedule or Backfill, read. All texts and the resource lie in its arena. */
struct item {
	struct hash_node by_key, by_uid;
	struct heap_node due;
	struct item *next;           /* all of its kind */
	struct item *next_poked;
	bool poked;                  /* guarded by the mutex, as next_poked */
	struct arena *arena;
	enum kind kind;
	const char *key, *uid;
	const struct value *resource;
	int64_t revision;
	struct fired_schedule fired; /* of a Schedule, as timetable */
	struct timetable timetable;
	struct backfill backfill;    /* of a Backfill */
	struct wanted *wanted;
	size_t wanted_count;
	int tries;                   /* that failed, one after the other */
	int code;                    /* of the last; 0: it did not fail. Guarded by the mutex */
	char text[480];              /* likewise, as retry_ms */
	int64_t retry_ms;            /* unix */
};

struct note { struct note *next; char key[]; };

/* Intervals that become durable together: at midnight many are due. */
struct volley {
	struct arena *arena;         /* what submitted ids lie in */
	struct change *change;       /* NULL: it is empty */
	struct item *items[VOLLEY_MAX];
	struct submitted submitted[VOLLEY_MAX];
	int count;
	int most;                    /* 1 after one could not be committed, until all is done */
};

struct schedules {
	struct part *part;
	struct control *control;
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;       /* guards what is noted, and the maps while they change */
	pthread_cond_t noted;
	struct note *notes;
	size_t note_count;
	bool lost_notes;             /* too many, or no memory: everything is read again */
	bool woken, ending;
	struct item *poked;
	struct hashmap wanted;       /* heads of datasets */
	struct hashmap by_key, by_uid;
	struct item *items[2];       /* Schedules, Backfills; the thread's own, as all below */
	struct heap due;             /* by unix ms */
	int64_t epoch;               /* that the items were read under; 0: none are */
	uint64_t replay;
	struct volley volley;
};

/* schedule_items.c */
struct item **items_of(struct schedules *schedules, enum kind kind);
int items_read_all(struct schedules *schedules, struct err *err);
/* As the catalog has it now; what is gone there goes here. */
int item_read(struct schedules *schedules, const char *key, struct err *err);
void items_clear(struct schedules *schedules);
struct item *item_by_key(const struct schedules *schedules, const char *key);
struct item *item_by_uid(const struct schedules *schedules, const char *uid);
void item_due(struct schedules *schedules, struct item *item, int64_t unix_ms);
/* It and what depends on it (a schedule's backfills) are to be looked at now. */
void item_look(struct schedules *schedules, struct item *item);
bool is_schedule_key(const char *key, enum kind *ret_kind);

/* schedule_run.c: does what is to be done now; when to look again, unix ms; INT64_MAX: when
 * something changes. */
int64_t item_run(struct schedules *schedules, struct item *item);

/* schedule_volley.c: one more; it is durable after volley_commit. What cannot be committed is taken
 * back and looked at again, one by one. */
int volley_add(struct schedules *schedules, struct item *item, const struct firing *firing,
               struct err *err);
int volley_commit(struct schedules *schedules, struct err *err);
/* When to try again, unix ms; notes why. */
int64_t item_failed(struct schedules *schedules, struct item *item, int code,
                    const struct err *err);
/* Ends what deleted backfills had fired. */
void backfills_cancel_orphans(struct schedules *schedules);

#endif
