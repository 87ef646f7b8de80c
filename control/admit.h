/* admit.h - ADMIT: a client's request, from its credential to its answer. One step table, one
 * thread. identify -> read -> authorize -> reserve -> handle -> record -> answer */
#ifndef ADMIT_H
#define ADMIT_H

#include "api/kinds.h"
#include "api/manifest.h"
#include "common/text.h"
#include "control/audit.h"
#include "control/control.h"
#include "policy/policy.h"
#include "tenant/quota.h"

struct intent;
struct route;

enum { IDEMPOTENCY_KEY_MAX = 128, LIST_DEFAULT = 100, LIST_MOST = 500 };

/* A client's request, apart from the door it came through (http.c in life, a plain struct in
 * tests). All borrowed for the call. */
typedef void ask_query_fn(void *context, const char *name, const char *value);
struct ask {
	const char *method;
	const char *path;
	const char *(*query)(const void *source, const char *name);
	/* Every parameter, decoded, as often as it was sent; NULL: there are none. */
	int (*queries)(const void *source, ask_query_fn *visit, void *context, struct err *err);
	const char *(*header)(const void *source, const char *name);
	const void *source;
	const char *address;         /* of whoever sent it; NULL: not known */
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
	struct feed *feed;           /* it goes on as events; feed_attach or feed_free; NULL: no */
	bool backup;                 /* it goes on as one: backups_pour */
	const char *allow;           /* for 405 */
	int64_t revision;            /* Freehold-Revision: of what was read from; 0: none */
	char request_id[ID_LEN + 1]; /* X-Request-Id */
};

struct request;
typedef int handler_fn(struct control *control, struct request *request, struct err *err);

/* One request on its way through the steps. */
struct request {
	struct arena *arena;
	const struct ask *ask;
	const char *id;              /* the reply's request_id */
	int64_t now_ms;
	const struct route *route;
	struct part *part;           /* of the path's tenant; without one, of "platform" */
	struct asker asker;          /* after identify */
	const char *tenant, *domain, *name, *task, *key, *run;  /* of the path; NULL: not in it */
	struct value *body;          /* after read; NULL: none */
	bool dry_run;
	bool takes_admin;            /* somebody may be tenant-admin no more by it */
	int64_t admins_revision;     /* of r/admins/TENANT when that was found; 0: absent */
	struct value *via;           /* of a PUT: what only an offer of another domain allows */
	struct value *warnings;      /* of a PUT: texts, what is allowed and hardly meant */
	struct value *missing;       /* of a dry run's PUT: what it rests on and is not there yet */
	struct change *change;       /* what record commits; handle adds to it */
	const char *submitted;       /* task id reserved by handle; withdrawn if record fails */
	struct value *errors;        /* of a list's items, beside the failure; NULL: none */
	void (*undo)(struct request *request);   /* does so otherwise; NULL: as for a task */
	struct intent *intent;       /* what the write rests on; ended with the request */
	handler_fn *finish; /* set by handle: fills the reply after the commit; may be NULL */
	void *state;                 /* from handle to finish, in the arena */
	const char *rule;            /* what decided; NULL: nothing yet */
	struct decision decision;    /* after authorize: by which policies */
	enum audit_verb verb;        /* what a handler did; VERB_NONE: as its method says */
	struct value *detail;        /* of its event: names and numbers; NULL: none */
	bool throttled;              /* over what the asker's tenant may ask at all */
	bool own;                    /* it asks for a task or run of its own */
	bool hidden;                 /* the target is another tenant's */
	bool in_parts;               /* a list of what may be read one by one, not as a whole */
	bool passed;                 /* the reply is another replica's */
	int64_t followed;            /* no leader answers: read from memory that follows, at this
	                              * revision of the store; 0: no */
	uint64_t replays;            /* of that memory */
	int64_t known;               /* the store's revision that the asker was looked up at */
	struct err failure;          /* of the step that failed; code 0: none */
	struct reply *reply;
};

enum route_unit { UNIT_NONE = -1, UNIT_REQUESTS = DIM_REQUESTS };
enum route_audit { AUDIT_NEVER, AUDIT_DENIALS, AUDIT_ONCE, AUDIT_ALWAYS }; /* api/routes.def */

struct route {
	const char *method, *path;
	handler_fn *handler;
	enum kind kind;
	enum action action;
	enum route_unit unit;
	enum route_audit audit;
	const char *summary;
};
extern const struct route routes[];
extern const size_t route_count;

/* The row of a method and a path; fills route and the path's names. E_NOT_FOUND; E_METHOD, and then
 * reply->allow says what the path has. */
MUST_USE int route_find(struct request *request, struct err *err);

/* Runs all steps; reply is always filled (a problem document on failure). Release reply->body. */
void admit(struct control *control, struct arena *arena, const struct ask *ask,
           struct reply *ret_reply);

/* For handlers. */
const char *request_query(const struct request *request, const char *name);    /* NULL: absent */
const char *request_header(const struct request *request, const char *name);
/* A whole number in [least, most], or fallback when absent. E_INVALID names the parameter. */
MUST_USE int request_number(const struct request *request, const char *name, int64_t least,
                            int64_t most, int64_t fallback, int64_t *ret_number, struct err *err);
/* The change that record will commit; made at the first call. */
MUST_USE int request_change(struct request *request, struct change **ret_change, struct err *err);
MUST_USE int request_reply(struct request *request, int status, const struct value *body,
                           struct err *err);
/* 200 {"result": ...}: of what leaves nothing else to tell. */
MUST_USE int request_reply_result(struct request *request, const char *result, struct err *err);
/* {"items": [...], "continue": ...}; resume NULL: there is no more. */
MUST_USE int request_reply_list(struct request *request, struct value *items, const char *resume,
                                struct err *err);
/* A list of catalog keys goes on after the last name that was listed; the token holds that name, so
 * it cannot point outside of the list's own prefix. ret_after: a key, NULL at the start. */
MUST_USE int request_after(struct request *request, const char *prefix, const char **ret_after,
                           struct err *err);
MUST_USE int request_resume(struct request *request, const char *prefix, const char *last,
                            const char **ret_token, struct err *err);
/* E_NOT_LEADER unless this replica leads the request's part, or may read what it follows: only the
 * leader knows tasks, usage and audit. */
MUST_USE int request_needs_lead(const struct request *request, struct err *err);

#endif
