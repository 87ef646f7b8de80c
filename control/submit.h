/* submit.h - a task or a run on its way in, whoever asks: a client, a schedule, a backfill, a
 * replay, control itself. Checks references, reserves quota, and adds the accepted records to a
 * change; what is added becomes true with the change's commit, all of it or nothing. */
#ifndef SUBMIT_H
#define SUBMIT_H

#include "control/behalf.h"

struct graph;

/* The stretch of data time a run is for: [from, to), unix ms. */
struct interval { int64_t from_ms, to_ms; };

struct submit {
	const char *tenant, *domain;
	const char *principal;       /* "TENANT/NAME", or "system/schedule/NAME" */
	struct behalf behalf;        /* for whom and what for it reads */
	/* {type, spec, limits, placement}: one task; {tasks: [{name, type, spec, limits, placement,
	 * dependsOn: [{task, on: success|failure|always}]}], ...}: a run; {pipeline: NAME}: a run
	 * of that resource. */
	const struct value *body;
	const char *key;             /* Idempotency-Key with its domain; NULL: none */
	const uint8_t *body_hash;    /* DIGEST_BYTES; with a key */
	const struct interval *interval;     /* NULL: none */
	const char *schedule;        /* NULL: none; "NAME" */
	const char *backfill;        /* NULL: none */
	int64_t now_ms;
};
struct submitted {
	const char *id;              /* of the task or the run, in the arena */
	bool is_run;
	bool existing;               /* the idempotency key was known: nothing was added */
};
/* E_INVALID (names the member), E_NOT_FOUND (a reference), E_QUOTA, E_BUSY, E_CONFLICT (the key
 * with another body). If the change is not committed afterwards: submit_withdraw. */
MUST_USE int submit_add(struct part *part, const struct submit *submit, struct change *change,
                        struct arena *arena, struct submitted *ret_submitted, struct err *err);
void submit_withdraw(struct part *part, const struct submitted *submitted);

bool submit_is_run(const struct value *body);
/* A run's tasks, its pipeline's looked up; nothing is asked of what they refer to. In arena. */
MUST_USE int submit_graph(struct part *part, const struct submit *submit, struct arena *arena,
                          struct graph *ret_graph, struct err *err);

#endif
