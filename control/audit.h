/* audit.h - audit events as journal records, OCSF field names. Never data values or secrets. */
#ifndef AUDIT_H
#define AUDIT_H

#include "control/journal.h"

struct audit_event {
	const char *tenant;          /* in whose log; "platform" for the operator's own */
	const char *actor;           /* "acme/alice"; "worker/w1"; "system" */
	const char *action;          /* "dataset:write", "task:outcome" */
	const char *resource;        /* path or task id */
	const char *result; /* "allowed", "denied", "refused", "succeeded", "failed", "cancelled" */
	const char *rule;            /* what decided; NULL: none */
	const char *code;            /* error name; NULL: none */
	const char *request, *task;  /* ids; NULL: none */
	int64_t at_ms;
};
/* Adds the event's record to change: it becomes durable together with what it tells of. */
MUST_USE int audit_add(struct change *change, const struct audit_event *event, struct err *err);

#endif
