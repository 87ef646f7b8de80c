/* plane.h - a whole control plane in one process for tests: the in-memory store, a root key of its
 * own, no doors. Requests go straight to admit(). Every helper fails the test when it cannot. */
#ifndef TESTS_SUPPORT_PLANE_H
#define TESTS_SUPPORT_PLANE_H

#include "control/admit.h"
#include "control/start.h"

struct http_server;

struct plane {
	struct plane *beside;        /* the one whose store and keys it shares; NULL: its own */
	const char *replica;
	int shards;
	struct http_server *door;    /* NULL: none */
	char url[64];                /* the door's */
	char dir[64];
	char root_key[96], bootstrap_key[96];
	struct clock *clock;         /* simulated; NULL: the system's */
	struct store *store;
	struct keyring *keyring;
	struct control *control;
	struct part *part;           /* its first */
	struct arena *arena;         /* what answers lie in; until plane_stop */
	char operator_key[128];
};

struct plane *plane_start(void);     /* leads and is bootstrapped when it returns */
/* The same on a simulated clock, which outlives it; advanced where it does not lead otherwise. */
struct plane *plane_start_at(struct clock *clock);
/* One of several replicas: with a door, so that the others can pass requests on to it. */
struct plane_options {
	const char *replica;
	int shards;
	struct plane *beside;        /* shares its store and keys, and ends before it; NULL: leads
	                              * every shard when this returns */
};
struct plane *plane_start_with(const struct plane_options *options);
/* The same store and keys under a new control plane, as after a restart. */
void plane_restart(struct plane *plane);
void plane_stop(struct plane *plane);

/* One answer; all in the plane's arena. */
struct answer {
	int status;
	const char *text;            /* with a NUL behind it */
	size_t text_len;
	const char *content_type, *etag, *location, *allow;
	int retry_after_s;
	int64_t revision;
	const char *request_id;
	const struct value *body;    /* NULL: no JSON */
	const char *code;            /* of a problem; NULL: none */
	const char *detail;          /* of a problem; "": none */
};

struct header { const char *name, *value; };
struct asked {
	const char *method;
	const char *path;            /* may end in ?name=value&... (no percent signs) */
	const char *key;             /* credential; NULL: none */
	const char *body;            /* NULL: none */
	const struct header
		*headers; /* ends with a NULL name; NULL: Content-Type by the body's look */
	const char *address;         /* of the caller; NULL: not known */
	struct feed **ret_feed;      /* gets an answer that goes on; NULL: it is ended at once */
};
struct answer plane_ask(struct plane *plane, const struct asked *asked);
/* The common case; the body's single quotes become double ones. */
struct answer plane_call(struct plane *plane, const char *key, const char *method,
                         const char *path, const char *body);
/* PUTs a manifest with that spec; fails the test unless it is 200 or 201. */
void plane_put(struct plane *plane, const char *key, const char *kind, const char *path,
               const char *spec);
/* A tenant, one domain and a tenant-admin; its key. */
const char *plane_tenant(struct plane *plane, const char *tenant, const char *domain);
/* A principal with roles ("'consumer'") and maybe a domain; its key. */
const char *plane_principal(struct plane *plane, const char *tenant, const char *name,
                            const char *roles, const char *domain);

#endif
