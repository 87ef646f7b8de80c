/* admit.h - ADMIT: a client's request, from its credential to its answer. One step table, one thread.
 * identify -> read -> authorize -> reserve -> handle -> record -> answer */
#ifndef ADMIT_H
#define ADMIT_H

#include "api/kinds.h"
#include "api/manifest.h"
#include "control/control.h"
#include "common/text.h"
#include "policy/policy.h"

struct route;

enum { SEGMENTS_MAX = 4 };

/* A client's request, apart from the door it came through (http.c in life, a plain struct in tests).
 * All borrowed for the call. */
struct ask {
	const char *method;
	const char *path;
	const char *(*query)(const void *source, const char *name);
	const char *(*header)(const void *source, const char *name);
	const void *source;
	const uint8_t *body;
	size_t body_len;
};

/* What goes back. */
struct reply {
	int status;
	const char *content_type;
	struct buf body;
	const char *etag;            /* NULL: none; in request->arena */
	const char *location;        /* NULL: none */
	int retry_after_s;           /* 0: none */
	const char *allow;           /* for 405 */
};

/* One request on its way through the steps. */
struct request {
	struct arena *arena;
	const struct ask *ask;
	char id[ID_LEN + 1];         /* X-Request-Id of the answer */
	int64_t now_ms;
	const struct route *route;
	struct asker asker;          /* after identify */
	const char *tenant, *domain, *name, *task, *key;   /* from the path; NULL: not in it */
	struct value *body;          /* after read; NULL: none */
	bool dry_run;
	struct change *change;       /* what record commits; handle adds to it */
	const char *submitted;       /* task id reserved by handle; withdrawn if record fails */
	struct reply *reply;
};

typedef int handler_fn(struct control *control, struct request *request, struct err *err);

struct route {
	const char *method, *path;
	handler_fn *handler;
	enum kind kind;
	enum action action;
	bool audit_always;
	const char *summary;
};
extern const struct route routes[];
extern const size_t route_count;

/* Runs all steps; reply is always filled (a problem document on failure). */
void admit(struct control *control, struct arena *arena, const struct ask *ask,
           struct reply *ret_reply);

#endif
