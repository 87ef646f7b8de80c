/* dispatch_impl.h - the dispatcher's parts. Private to control/dispatch*.c. Threads: the link's
 * callback parses and posts; the dispatcher's thread owns everything about workers; the
 * settler's thread settles; the access thread answers online-read asks, which may block on an
 * audit commit. Only posts pass between them. */
#ifndef DISPATCH_IMPL_H
#define DISPATCH_IMPL_H

#include "api/envelope.h"
#include "control/dispatch.h"
#include "control/queue.h"
#include "control/settle.h"
#include "control/sharing.h"
#include "control/workers.h"

enum {
	SILENT_MS = 8000, SILENT_LEAST_MS = 1000, GONE_MS = 3000, CONTEND_MS = 5000,
	ADOPT_MS = 2000, JOBS_MAX = 256,
	MESSAGE_ARENA_MAX = 128 * 1024 * 1024
};

enum post_kind {
	POST_CALL, POST_JOB, POST_CANCEL, POST_DROP, POST_GONE, POST_POLICY, POST_NODE, POST_TABLE,
	POST_SEAL, POST_ERASE
};
struct post { struct queue_item item; enum post_kind kind; };

struct message {                     /* POST_CALL */
	struct post post;
	struct link_call *call;      /* NULL: given on */
	struct arena *arena;
	struct envelope envelope;
	struct poll poll;            /* kind "poll" */
	struct access_ask ask;       /* kind "access" */
	const char *request;         /* kind "renew": for a certificate, PEM */
	uint8_t public_key[BOX_PUBLIC_BYTES];        /* the sender has joined with; 0: it has not */
	int refs;                    /* of the dispatcher and of jobs; its thread alone counts */
};

struct job {                         /* POST_JOB: to the settler, and back with `settled` */
	struct post post;
	uint64_t replay;             /* of the shard, when it was sent */
	struct settle_item item;
	struct report report;        /* of control itself */
	struct message *message;     /* what item points into; NULL: nothing */
	char worker[128], task[ID_LEN + 1];
	char text[480];
	struct shared_read *shared;  /* SETTLE_SHARED: either, in: */
	struct audit_event *event;
	struct arena *arena;         /* NULL: none */
	bool settled;                /* durable, or it changed nothing */
};

struct note {                        /* POST_CANCEL: a task; POST_DROP, POST_SEAL: a tenant; */
	struct post post;            /* POST_POLICY, POST_NODE: a worker; POST_GONE: a connection */
	char name[NAME_MAX_LEN + ID_LEN + 2];        /* POST_ERASE: TENANT/UID */
	uint32_t pipe;
};

struct table {                       /* POST_TABLE: somebody waits for it */
	struct post post;
	struct arena *arena;         /* the asker's, lent */
	struct value *list;
	pthread_mutex_t mutex;
	pthread_cond_t answered;
	bool done;                   /* guarded by mutex */
};

struct dispatch {
	struct part *part;
	struct control *control;     /* the part's */
	struct queue *inbox;         /* to the dispatcher */
	struct queue *jobs;          /* to the settler */
	struct queue *asks;          /* to the access thread */
	pthread_t dispatcher, settler, access;
	int threads;                 /* that were started */
	_Atomic bool woken;          /* there may be work: all who are able are to be tried */

	struct workers workers;      /* the dispatcher's own, as all down to the mutex */
	struct arena *scratch;       /* of one pick or one look into the catalog */
	const struct worker *serving;        /* one that serves; NULL: none */
	int64_t epoch;               /* 0: leads not */
	uint64_t replay;             /* of the shard, that this is about */
	int64_t counter;             /* of tokens */
	int64_t adopt_until_ms;      /* inherited tasks are not given out before, */
	bool adopting;               /* while this is so */
	int64_t stirred_ms;          /* when all who are able were last to be tried */

	pthread_mutex_t mutex;       /* guards what follows */
	struct dispatch_status status;
	char serve_url[256];
	struct confirmations confirmations;
};

/* dispatch_post.c: posts, made and ended */
void message_new(struct control *control, struct link_call *call, const uint8_t *data, size_t len);
void message_unref(struct message *message);
/* Its sender may still speak; or it is told so, and the message is dealt with. */
bool message_allowed(struct dispatch *dispatch, struct message *message);
void post_drop(struct post *post);           /* without doing anything about it */
bool note_send(struct dispatch *dispatch, enum post_kind kind, const char *name, uint32_t pipe);
/* An attempt's end that control itself says. */
bool job_lost(struct dispatch *dispatch, const char *worker, const char *task,
              const struct token *token, int code, const char *text);
bool job_report(struct dispatch *dispatch, struct message *message, const struct report *report);
bool job_reads(struct dispatch *dispatch, struct message *message);
/* Of what a grant gives: an event, copied. The grant waits until it is durable (job_settled). */
bool job_shared(struct dispatch *dispatch, struct given *given, const struct shared_read *read);
bool job_event(struct dispatch *dispatch, struct given *given, const struct audit_event *event);
/* The next cancelled task that waits; false: there is none. */
bool job_cancelled(struct dispatch *dispatch);
/* dispatch_poll.c */
/* An envelope in the bytes that its asker can check. */
int answer_bytes(const struct envelope *envelope, const struct node_proof *proof, struct buf *out,
                 struct err *err);
void poll_take_in(struct dispatch *dispatch, struct message *message);
void job_settled(struct dispatch *dispatch, const struct job *job);
void worker_answer(struct dispatch *dispatch, struct worker *worker);
void answer_problem(const struct dispatch *dispatch, struct link_call *call,
                    const struct envelope *asked, const struct err *why);
/* The same with the shard whose leader could answer; -1: it is not known. */
void answer_elsewhere(const struct dispatch *dispatch, struct link_call *call,
                      const struct envelope *asked, const struct err *why, int shard);

/* dispatch_assign.c */
void assign(struct dispatch *dispatch);

/* dispatch_worker.c: a worker's coming, going and staying */
int64_t silent_ms(const struct dispatch *dispatch);
/* Finds it, or adds it; a life of a name that another one holds waits until that is settled. 1: the
 * message is to be read; 0: it was dealt with. */
int worker_meet(struct dispatch *dispatch, struct message *message, struct worker **ret_worker);
void worker_set_times(struct dispatch *dispatch, struct worker *worker);
/* Whether it could be given something, and what the scheduler knows of it. */
void worker_tell(struct dispatch *dispatch, struct worker *worker, const struct worker_self *self);
void worker_update(struct worker *worker);
void worker_forget(struct dispatch *dispatch, struct worker *worker);
void take_gone(struct dispatch *dispatch, uint32_t pipe);
void take_policy(struct dispatch *dispatch, const char *name);
void take_seal(struct dispatch *dispatch, const char *tenant);
void take_node(struct dispatch *dispatch, const char *name);
void take_erase(struct dispatch *dispatch, const char *name);
void take_erased(struct dispatch *dispatch, struct worker *worker, const struct poll *poll);
void workers_look(struct dispatch *dispatch);        /* whose time has come */
struct value *workers_table(struct dispatch *dispatch, struct arena *arena);

/* dispatch_settle.c, dispatch_access.c: threads */
void *settler_run(void *context);
void *access_run(void *context);

#endif
