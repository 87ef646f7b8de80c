/* dispatch.h - what runs where: workers, their held polls, and which task goes next.
 * RUN is the worker's; SETTLE (control/settle.h) is called from here for each report. */
#ifndef DISPATCH_H
#define DISPATCH_H

#include "api/link.h"
#include "control/control.h"

struct dispatch;
MUST_USE int dispatch_new(struct part *part, struct dispatch **ret_dispatch, struct err *err);
void dispatch_free(struct dispatch *dispatch);         /* stops it first */
DEFINE_AUTO(dispatch)
/* Ends its threads and gives back every held call. Before the link's server is freed, whose the
 * calls are; afterwards dispatch_call drops what still comes. */
void dispatch_stop(struct dispatch *dispatch);

/* The link's link_call_fn; context is the control. Enqueues with the dispatcher of the shard that
 * is asked; polls are answered when there is work. */
void dispatch_call(void *context, struct link_call *call, const uint8_t *data, size_t len);
/* The link's link_gone_fn, with the same context. */
void dispatch_gone(void *context, uint32_t pipe);
/* There may be work: a task was accepted, a quota changed. Any thread. */
void dispatch_wake(struct dispatch *dispatch);
/* A tenant's access grants are to be forgotten (a principal, key, policy or view changed). */
void dispatch_drop_access(struct dispatch *dispatch, const char *tenant);
/* What the tenant's state forbids to run, and what other tenants' attempts read of it, is handed
 * back, and its access grants are to be forgotten. */
void dispatch_seal(struct dispatch *dispatch, const char *tenant);
/* A tenant is erased: every worker that serves is asked to delete its online data, each until it
 * says so. Ask again for those that come later. */
void dispatch_erase(struct dispatch *dispatch, const char *tenant, const char *uid);
void dispatch_erase_end(struct dispatch *dispatch, const char *uid);     /* nobody is asked more */
/* Who said so since the last time: a list in arena of {worker, rows}. */
MUST_USE int dispatch_erased(struct dispatch *dispatch, const char *uid, struct arena *arena,
                             struct value **ret_list, struct err *err);
/* A worker's policy (cordoned, drain) changed in the catalog. */
void dispatch_policy(struct dispatch *dispatch, const char *worker);
/* A worker's record as a node (control/nodes.h) changed: it joined, or was removed. */
void dispatch_node(struct dispatch *dispatch, const char *worker);
/* The workers that poll here, now: a list in arena of {name, pool, labels, version, protocol,
 * address, capacity, free, running, serves, cordoned, draining, connected, heardAgoMs, sinceMs}.
 * E_UNAVAILABLE when this part is not led here. */
MUST_USE int dispatch_workers(struct dispatch *dispatch, struct arena *arena,
                              struct value **ret_list, struct err *err);
/* A task whose cancel record is durable is to be stopped; its outcome comes as a report, or at
 * once if no worker has it. E_NOT_FOUND, E_CONFLICT (it has ended). */
MUST_USE int dispatch_cancel(struct dispatch *dispatch, const char *tenant, const char *task,
                             struct err *err);
/* A running attempt ends as failed, with that code and sentence, whatever its worker says. False:
 * out of memory. */
bool dispatch_end(struct dispatch *dispatch, const char *task, const struct token *token, int code,
                  const char *text);
/* For /readyz and /metrics: workers known alive, slots, running, and one serving URL (arena;
 * NULL: none). */
struct dispatch_status { int workers, slots, running; const char *serve_url; };
void dispatch_status(struct dispatch *dispatch, struct arena *arena, struct dispatch_status *ret);

#endif
