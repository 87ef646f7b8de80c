/* strangers.h - two tenants for isolation tests: globex asks, acme has things of every kind, all of
 * them named so that they are found in any answer; beside them, names of the same form that are
 * nobody's. Samples of kinds and tasks are made out of the tables, so that a new row is covered, or
 * fails for the lack of a sample. */
#ifndef TESTS_SUPPORT_STRANGERS_H
#define TESTS_SUPPORT_STRANGERS_H

#include "tests/support/plane.h"

#include "api/kinds.h"

struct names {
	const char *tenant, *domain, *name, *task, *key, *run, *etag;
};

struct strangers {
	struct plane *plane;
	const char *acme, *globex; /* their administrators' keys */
	struct names theirs, none;
};

/* globex has the domain own and the principal someone. */
void strangers_open(struct strangers *w);
void strangers_close(struct strangers *w);

const char *strangers_text(struct strangers *w, const char *fmt, const char *a, const char *b);
/* A route's path with its {segments} filled in; fails for a segment that names has nothing for. */
const char *strangers_path(struct strangers *w, const char *path, const struct names *names);
/* A spec of the kind, with ' for "; all it refers to is "acmething" (an output: "acmeout"). */
const char *strangers_spec(struct strangers *w, enum kind kind);
/* Likewise of a table's required members, and of all its references. */
const char *strangers_sample(struct strangers *w, const struct field *table);
/* A whole manifest. */
const char *strangers_manifest(struct strangers *w, enum kind kind, const char *name,
                               const char *spec);
/* A body that the route would take from who may; NULL: it takes none. */
const char *strangers_body(struct strangers *w, const struct route *route,
                           const struct names *names);
/* text with every `from` replaced. */
const char *strangers_swap(struct strangers *w, const char *text, const char *from, const char *to);

/* The answers differ in nothing but the names that were asked for and the request's id. */
void strangers_same(struct strangers *w, const char *what, struct answer theirs,
                    struct answer none);
/* Nothing of acme's that was not asked for is in it. */
void strangers_silent(const char *what, struct answer answer);

#endif
