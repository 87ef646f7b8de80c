/* workers.h - the workers that poll this leader, what each was given and is to be told. Used by the
 * dispatcher's thread alone; lost with it and found out anew from the next polls. */
#ifndef WORKERS_H
#define WORKERS_H

#include "api/link.h"
#include "api/poll.h"
#include "common/buf.h"
#include "common/text.h"

enum { WORKERS_MOST = 4096, ACKS_MAX = 256, CANCELS_MAX = 256, DROPS_MAX = 256 };

/* An attempt that was given to a worker. */
struct given {
	struct given *next;
	char task[ID_LEN + 1];
	struct token token;
	struct buf grant;            /* until it is sent */
	int64_t sent_seq;            /* of the poll whose answer carried it; 0: not sent yet */
	bool confirmed;              /* the worker has named it */
	bool listed;                 /* in the poll that is being read */
	bool settling;               /* its end is on its way to the journal */
	bool cancel;
	int cancel_said;
};

/* An answer may be lost when its worker polls anew: what nothing confirms is said more than
 * once. */
enum { SAID_TIMES = 2 };
struct drop { char tenant[64]; int said; };

struct worker {
	struct worker *next;
	char name[128];
	int64_t incarnation, seq;    /* of the last poll */
	struct link_call *call;      /* held; NULL: answered */
	int64_t held_until_ms, heard_ms;     /* monotonic */
	struct buf answer;           /* to the poll `seq`, for when it is repeated */
	bool prompt;                 /* there is something to say: answer at once */
	int slots, slots_max;
	uint64_t memory_bytes;
	uint8_t box_public[BOX_PUBLIC_BYTES];
	char serve_url[256];         /* empty: serves nothing */
	bool draining;
	struct given *given;
	struct token acks[ACKS_MAX], cancels[CANCELS_MAX];
	size_t ack_count, cancel_count;
	struct token told[CANCELS_MAX];      /* zombies that were told to end, in a ring */
	size_t told_count;
	struct drop drops[DROPS_MAX];
	size_t drop_count;
	int64_t meter_ack, meter_settling;
};

struct workers { struct worker *first; size_t count; };

struct worker *workers_find(const struct workers *workers, const char *name);
MUST_USE int workers_add(struct workers *workers, const char *name, struct worker **ret_worker,
                         struct err *err);
void workers_remove(struct workers *workers, struct worker *worker);   /* its call is dropped */
void workers_clear(struct workers *workers);

MUST_USE int worker_give(struct worker *worker, const char *task, const struct token *token,
                         struct given **ret_given, struct err *err);
struct given *worker_given(const struct worker *worker, const struct token *token);
struct given *workers_given(const struct workers *workers, const char *task,
                            struct worker **ret_worker);
void worker_take_back(struct worker *worker, struct given *given);     /* and frees it */
void worker_ack(struct worker *worker, const struct token *token);
/* A zombie's attempt is to end; true when it was not told before. */
bool worker_end_zombie(struct worker *worker, const struct token *token);
void worker_drop_access(struct worker *worker, const char *tenant);

#endif
