/* audit.h - audit events as journal records, which control/ocsf.h prints. Never data values or
 * secrets: names, ids, numbers. */
#ifndef AUDIT_H
#define AUDIT_H

#include "control/journal.h"

/* What was done, where the action does not say it by itself: "dataset:write" makes, changes and
 * deletes. The last three touched data, not what is said of it. */
enum audit_verb {
	VERB_NONE, VERB_CREATE, VERB_READ, VERB_UPDATE, VERB_DELETE, VERB_LIST,
	VERB_READ_DATA, VERB_QUERY_DATA, VERB_WRITE_DATA
};

/* Everything but tenant, actor, action, result and at_ms may be NULL. */
struct audit_event {
	const char *tenant;          /* in whose log; "platform" for the operator's own */
	const char *actor;           /* "acme/alice"; "worker/w1"; "system" */
	const char *on_behalf;       /* for whom: "acme/alice" */
	const char *credential;      /* the id of the key or token that proved the actor */
	const char *action;          /* "dataset:write", "task:outcome" */
	enum audit_verb verb;
	const char *operation;       /* of the API: "putDataset"; or what acted */
	const char *resource;        /* path or task id */
	/* "allowed", "denied", "refused", "succeeded", "failed", "cancelled", ... */
	const char *result;
	const char *rule;            /* what decided */
	const char *const *policies; /* the ids of those that decided, AUDIT_POLICIES_MAX at most */
	size_t policy_count;
	const char *digest;          /* of the set of policies that decided, hex */
	const char *purpose;         /* as the caller said it */
	const char *address;         /* where the request came from */
	const char *code;            /* error name */
	const char *request, *task;  /* ids */
	const struct value *detail;  /* a small map: names and numbers, no values of data */
	int64_t at_ms;
};

enum { AUDIT_POLICIES_MAX = 8, AUDIT_DETAIL_MAX = 8192 /* bytes, packed */ };

/* Adds the event's record to change: it becomes durable together with what it tells of. What is
 * long is cut, and marked so. */
MUST_USE int audit_add(struct change *change, const struct audit_event *event, struct err *err);
/* The record alone. */
MUST_USE int audit_record(struct arena *arena, const struct audit_event *event,
                          struct value **ret_record, struct err *err);

#endif
