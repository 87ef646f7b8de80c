/* poll.h - the two exchanges on the link, as structs and as envelope bodies.
 *
 * poll    worker -> control: what it can take, what runs, what has ended, what was read online.
 *         control -> worker: grants, cancels, acknowledgements, revocations. Held up to hold_ms.
 *         A worker may have two polls under way: while one is held, news (a report, a freed slot)
 *         make it send the next, with a higher seq. That one is then the held one, and the leader
 *         answers the older at once: with what it has just given it, or with nothing. Both answers
 *         count. A grant that neither `running` nor `done` of a later poll names did not arrive.
 * access  worker -> control: a caller's credential and the views or datasets it asks for; the
 *         answer is a grant, or a problem {code, text} that the caller is told. */
#ifndef POLL_H
#define POLL_H

#include "api/access_ask.h"
#include "api/grant.h"
#include "api/table.h"
#include "api/usage.h"

enum {
	POLL_HOLD_MS = 10000, POLL_RUNNING_MAX = 256, POLL_DONE_MAX = 64, POLL_LABELS_MAX = 16,
	POLL_CACHES_MAX = 64, POLL_ERASED_MAX = 64, POLL_SLOTS_MAX = 4096,
	/* Grows with every addition within an ENVELOPE_VERSION. 1: the first; 2: pool, labels,
	 * cpu, caches, hand-back; 3: shards; 4: erasures; 5: lineage; 6: queries. Unknown members
	 * are passed over, missing ones 0. */
	POLL_PROTOCOL = 6, POLL_SHARDS_MAX = 64
};

enum outcome { OUTCOME_SUCCEEDED, OUTCOME_FAILED, OUTCOME_CANCELLED };

struct progress {
	const char *phase;           /* "reading", "writing", "sealing" ... */
	int64_t rows, bytes;
	int percent;                 /* 0-100; -1: not known */
};

struct running {
	const char *task;
	struct token token;
	struct progress progress;
};

/* One dataset written by an attempt, not yet visible. */
struct output {
	const char *uid;
	bool replace;                /* false: append */
	int64_t base_snapshot;       /* what a replace was built on, as in the grant */
	const struct table_file *files;
	size_t file_count;
	const struct value *schema;  /* list of {name, type} */
	int64_t rejected_rows;
	const char *rejects_path;    /* sealed object with the rows kept aside; NULL: none */
	/* Of a transformation: {sql: hex of its SHA-256, from: the grant's inputs in order, a list
	 * of {tenant?, domain, name, uid, snapshot}, exact, inputs, columns, influence (as
	 * worker/sql_lineage.h says)}; NULL: not known. */
	const struct value *lineage;
};

struct report {
	const char *task;
	struct token token;
	enum outcome outcome;
	int code;                    /* an E_ code when failed */
	bool handed_back;            /* cancelled by its worker, unasked: it costs no attempt */
	const char *text;            /* one sentence for the user; no data values */
	struct usage usage;
	const struct output *outputs;
	size_t output_count;
	const struct value *result;  /* map: what a history or sweep task tells; NULL: nothing */
};

struct reads {                   /* what its serving door did since the last acknowledged poll */
	const char *tenant, *domain;
	int64_t count;
	const char *dimension;       /* of tenant/dims.def, in its unit; NULL: onlineReads */
};

/* A tenant that is erased: its online data is to go from every worker. */
struct erasure { const char *tenant, *uid; };
struct erased { const char *tenant, *uid; int64_t rows; };       /* rows: that it had here */

struct poll_label { const char *key, *value; };

struct poll {
	int shard;                   /* whose leader is asked */
	int slots;                   /* attempts it can take now */
	int slots_max;
	uint64_t memory_bytes;       /* free for attempts */
	uint64_t memory_bytes_max;   /* for all attempts together; 0: not said */
	int64_t cpu_millis;          /* free for attempts, in thousandths of a core */
	int64_t cpu_millis_max;      /* 0: not said */
	const char *pool;            /* NULL: "default" */
	const struct poll_label *labels;
	size_t label_count;
	const char *const *caches;   /* TENANT/DOMAIN/NAME of what it holds, newest first */
	size_t cache_count;
	int protocol;                /* POLL_PROTOCOL; 0: the first */
	const uint8_t *box_public;   /* BOX_PUBLIC_BYTES */
	const char *serve_url;       /* where online reads are answered; NULL: not here */
	const char *version, *cage;  /* layers that its executors have; NULL: not said */
	bool draining;
	const struct running *running;
	size_t running_count;
	const struct report *done;
	size_t done_count;
	int64_t meter_seq;           /* of `reads`; counted once by control however often sent */
	const struct reads *reads;
	size_t reads_count;
	const struct erased *erased; /* said again until an answer does not ask for it any more */
	size_t erased_count;
};

struct poll_task { const uint8_t *grant; size_t grant_len; };

struct poll_answer {
	bool leader;                 /* of that shard; false: ask the next replica */
	int shards;                  /* that there are; 0: not said, 1. Each has a leader to ask */
	int64_t era;                 /* tokens of an epoch up to that are of before a restore */
	const struct poll_task *tasks;
	size_t task_count;
	const struct token *cancels;
	size_t cancel_count;
	const struct token *backs;   /* attempts to be ended and handed back */
	size_t back_count;
	const struct token *acks;    /* reports that are durable */
	size_t ack_count;
	int64_t meter_ack;           /* the meter_seq that is durable */
	const char *const *drop;     /* tenants whose access grants are to be forgotten */
	size_t drop_count;
	const struct erasure *erase;
	size_t erase_count;
};

MUST_USE int poll_value(struct arena *arena, const struct poll *poll, struct value **ret_value,
                        struct err *err);
MUST_USE int poll_read(struct arena *arena, const struct value *body, struct poll *ret_poll,
                       struct err *err);
MUST_USE int poll_answer_value(struct arena *arena, const struct poll_answer *answer,
                               struct value **ret_value, struct err *err);
MUST_USE int poll_answer_read(struct arena *arena, const struct value *body,
                              struct poll_answer *ret_answer, struct err *err);

/* Either exchange may be answered with a failure, in an envelope of kind "problem": {code, text},
 * and with E_NOT_LEADER {shard}: whose leader could answer, where that is known. */
struct value *link_problem_value(struct arena *arena, const struct err *problem);
/* Fills ret_problem with what the other side said; E_INTERNAL when the body is no problem. */
void link_problem_read(const struct value *body, struct err *ret_problem);

#endif
