/* workers.h - the workers that poll this leader, what each was given and is to be told. Used by the
 * dispatcher's thread alone; lost with it and found out anew from the next polls. Nothing here
 * costs more for a thousand workers that rest than for one: they are found by name, their times lie
 * in a heap, and who is to be answered or may be given something stands in a list. */
#ifndef WORKERS_H
#define WORKERS_H

#include "api/link.h"
#include "api/node.h"
#include "api/poll.h"
#include "common/buf.h"
#include "common/text.h"
#include "control/erased.h"
#include "control/hashmap.h"

enum { NEAR_LEN = 256, WORKERS_MOST = 4096, ACKS_MAX = 256, CANCELS_MAX = 256, DROPS_MAX = 256 };

struct message;

/* An attempt that was given to a worker. */
struct given {
	struct given *next;
	struct hash_node by_task;
	struct worker *worker;       /* that has it */
	char task[ID_LEN + 1];
	struct token token;
	struct buf grant;            /* until it is sent */
	int64_t sent_seq;            /* of the poll whose answer carried it; 0: not sent yet */
	size_t noting;               /* events of what it reads that it waits for */
	uint64_t memory_bytes;       /* of its limits; 0: not known here */
	bool confirmed;              /* the worker has named it */
	bool listed;                 /* in the poll that is being read */
	bool settling;               /* its end is on its way to the journal */
	bool cancel, back;           /* it is to end; it is to be handed back */
	int cancel_said, back_said;
	struct lenders lenders;      /* tenants whose shared data it reads */
};

enum { SAID_TIMES = 2 };             /* an answer may be lost when its worker polls anew */
struct drop { char tenant[64]; int said; };

/* What a worker says of itself; compared as bytes, so made from zeroes. */
struct worker_self {
	char pool[64], version[72], serve_url[256];     /* serve_url "": serves nothing */
	char cage[161];              /* the layers of its executors' cage; "": not said */
	struct { char key[64], value[64]; } labels[POLL_LABELS_MAX];
	size_t label_count;
	int slots, protocol;
	uint64_t memory_bytes;
	int64_t cpu_millis;
	bool draining;
};

enum worker_line { LINE_NONE, LINE_FRESH, LINE_TRIED, LINE_COUNT_ };

struct worker {
	struct workers *all;
	struct worker *next, *prev, *line_next, *line_prev;  /* of all; in its line */
	enum worker_line line;       /* may be given something; see workers_stir */
	struct worker *prompt_next;
	bool prompt, prompt_queued;  /* there is something to say: answer at once */
	struct hash_node by_name;
	int64_t due_ms;              /* monotonic: when to look at it; INT64_MAX: never */
	size_t due_at;               /* its place in the heap */

	char name[128], address[64];
	int64_t incarnation, seq;    /* of the last poll */
	struct link_call *call;      /* held; NULL: answered */
	uint32_t pipe;               /* the connection that it polls over */
	int64_t held_until_ms, heard_ms, first_ms;   /* monotonic; heard: or answered */
	int64_t gone_ms;             /* its connection ended; 0: it stands */
	struct message *contender;   /* another life of that name asks to be taken in its place */
	int64_t contend_until_ms;    /* if this one says nothing until then */
	struct node_proof proof;     /* of the poll `seq`: how it is answered */
	uint8_t public_key[BOX_PUBLIC_BYTES];        /* it has joined with; 0: it has not */
	struct buf answer;           /* to the poll `seq`, for when it is repeated */
	struct worker_self self;
	bool cordoned, drained;      /* by the operator */
	char cached[NEAR_LEN];       /* the newest of its caches that it has told of */
	int slots;                   /* free now, as memory */
	uint64_t memory_bytes;
	uint8_t box_public[BOX_PUBLIC_BYTES];
	struct grant_seal *seal;     /* to that key; NULL: not yet, or it would not know it */
	struct given *given;
	size_t given_count;
	struct token acks[ACKS_MAX], cancels[CANCELS_MAX];
	size_t ack_count, cancel_count;
	struct token told[CANCELS_MAX];      /* zombies that were told to end, in a ring */
	size_t told_count;
	struct drop drops[DROPS_MAX];
	size_t drop_count;
	struct erase erases[ERASES_MAX];     /* tenants whose online data is to go from it */
	size_t erase_count;
	int64_t meter_ack, meter_settling;
};

struct worker_lineup { struct worker *first, *last; };

struct workers {
	struct worker *first;
	size_t count;
	struct hashmap by_name, by_task;
	struct worker **heap;        /* count of them, the soonest first */
	size_t heap_cap;
	struct worker_lineup lines[LINE_COUNT_];
	struct worker *prompt_first, *prompt_last;
	size_t slots, running;       /* of all together */
};

struct worker *workers_find(const struct workers *workers, const char *name);
MUST_USE int workers_add(struct workers *workers, const char *name, struct worker **ret_worker,
                         struct err *err);
void workers_remove(struct workers *workers, struct worker *worker);   /* its call is dropped */
void workers_clear(struct workers *workers);     /* and gives back its memory */

/* When to look at it next. */
void worker_set_due(struct worker *worker, int64_t due_ms);
struct worker *workers_soonest(const struct workers *workers);   /* NULL: there is none */

/* It is to be answered now, or when it polls. */
void worker_prompt(struct worker *worker);
/* The next one that is to be answered and has a call; NULL: none. */
struct worker *workers_take_prompt(struct workers *workers);

/* Whether it could take something; last in the line of those to be tried, or out of it. */
void worker_set_able(struct worker *worker, bool able);
/* There was nothing for it: it is not tried again before something changes. */
void worker_set_tried(struct worker *worker);
/* Something changed: all that are able are to be tried. */
void workers_stir(struct workers *workers);
struct worker *workers_fresh(const struct workers *workers);     /* the next to be tried */

void worker_set_self(struct worker *worker, const struct worker_self *self);

MUST_USE int worker_give(struct worker *worker, const char *task, const struct token *token,
                         struct given **ret_given, struct err *err);
bool given_ready(const struct given *given);     /* its grant may leave */
struct given *worker_given(const struct worker *worker, const struct token *token);
struct given *workers_given(const struct workers *workers, const char *task,
                            struct worker **ret_worker);
void worker_take_back(struct worker *worker, struct given *given);     /* and frees it */
void worker_ack(struct worker *worker, const struct token *token);
/* A zombie's attempt is to end; true when it was not told before. */
bool worker_end_zombie(struct worker *worker, const struct token *token);
void worker_drop_access(struct worker *worker, const char *tenant);
/* Until it says that it is done; once more than ERASES_MAX are, it is asked for the rest later. */
void worker_erase(struct worker *worker, const struct erase *erase);
void worker_erased(struct worker *worker, const char *uid);

#endif
