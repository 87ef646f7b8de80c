/* interval.h - the interval ledgers: which stretches of data time each schedule has run, and with
 * which task or run. Changed only by records that are durable, apart from claims, which keep a
 * stretch for a record that is on its way; so a stretch is never fired twice at one time, nor after
 * it was done unless that is asked for. Pure; the shard's mutex guards it.
 *
 *   interval {t, op: "fired", at, tenant, domain, schedule, uid, from, to, id, run?, backfill?,
 *             credited?, seen?}   in one change with the accepted records of task or run `id`
 *   interval {t, op: "forget", at, uid}         its schedule or backfill was deleted
 *   interval {t, op: "ledger", at, ...}         a checkpoint's; see book_emit
 *
 * uid: the schedule's metadata.uid, so that one made anew under an old name begins anew. backfill:
 * the uid of the Backfill that fired it, or (credited) in whose range the schedule did. seen:
 * {DOMAIN.NAME: snapshot}, what an onDatasets schedule has taken note of. How an interval ends
 * follows from the outcome of its task or run. */
#ifndef INTERVAL_H
#define INTERVAL_H

#include "common/text.h"
#include "common/value.h"
#include "control/journal.h"
#include "control/stretches.h"

enum { INTERVALS_RUNNING_MAX = 10000 };         /* of one schedule at one time */

struct book;
MUST_USE int book_new(uint64_t seed, struct book **ret_book, struct err *err);
void book_free(struct book *book);
void book_clear(struct book *book);
void book_forget(struct book *book, const char *tenant);         /* its ledgers */
DEFINE_AUTO(book)

/* A durable record of type RECORD_INTERVAL. E_NOMEM, E_CORRUPT. */
MUST_USE int book_apply(struct book *book, const struct value *record, struct err *err);
/* A task or run has ended; false: no interval is its. */
bool book_ended(struct book *book, const char *id, bool succeeded, int64_t at_ms);
/* The records that give the same on an empty book. Claims are in none. */
MUST_USE int book_emit(const struct book *book, emit_fn *emit, void *context, struct err *err);
/* The next schedule of which an interval has ended; each is named once. */
bool book_take_moved(struct book *book, char uid[ID_LEN + 1]);

/* --- claims --- */

enum redo { REDO_MISSING, REDO_FAILED, REDO_ALL };       /* each as well as those before it */
int redo_by_name(const char *name);              /* -1: none of them */

struct claim {
	const char *tenant, *domain, *schedule;
	const char *uid;
	int64_t from_ms, to_ms;
	const char *id;              /* of the task or run */
	bool is_run;
	const char *backfill;        /* uid; NULL: none */
	bool credited;               /* the schedule fires it, and the backfill counts it too */
	enum redo redo;              /* what may be there already */
	const struct value *seen;    /* NULL: nothing */
	int64_t now_ms;
};
/* Keeps the stretch and adds the "fired" record to change. E_CONFLICT says in which state it is. If
 * the change is not committed afterwards: book_withdraw. */
MUST_USE int book_claim(struct book *book, const struct claim *claim, struct change *change,
                        struct err *err);
void book_withdraw(struct book *book, const char *id);
/* The same for an ended task or run that is to start anew (a replay), by its schedule's names; no
 * record is added. E_CONFLICT: another has run the interval since, or runs it. durable: its record
 * is; 0 where the schedule is gone. */
MUST_USE int book_again(struct book *book, const struct claim *claim, bool durable,
                        struct err *err);

/* --- reading --- */

/* What is known of [from, to): stretches that touch it, running ones among them (they hide what
 * they redo). own: only what that backfill has fired. In arena. */
struct view {
	struct stretch *items;
	size_t len;
	int running;                 /* fired by the schedule itself, wherever; of own: by it */
	int64_t first_ms, last_ms;   /* when it was first fired and last ended; 0: never */
	int64_t until_ms;            /* the end of the last interval that was fired; INT64_MIN */
	const struct value *seen;    /* NULL: nothing */
};
MUST_USE int book_view(const struct book *book, struct arena *arena, const char *uid,
                       const char *own, int64_t from_ms, int64_t to_ms, struct view *ret_view,
                       struct err *err);
/* Those that run now: a list of {from, to (unix ms), id, run?, backfill?, credited?}. uid NULL: of
 * every schedule, with {uid, tenant, domain, schedule}; backfill NULL: any. */
struct value *book_running(const struct book *book, struct arena *arena, const char *uid,
                           const char *backfill);

#endif
