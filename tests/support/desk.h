/* desk.h - a control plane without doors for unit tests: the store in memory, simulated time,
 * resources written straight through the journal. Every helper fails the test when it cannot. */
#ifndef TESTS_SUPPORT_DESK_H
#define TESTS_SUPPORT_DESK_H

#include "api/link.h"
#include "api/poll.h"
#include "control/control.h"
#include "control/shard_work.h"

struct desk {
	struct control control;
	struct part part;            /* its only one */
	struct clock *clock;         /* simulated; starts at 2026-11-22T12:00:00Z */
	struct arena *arena;
	struct err err;
	char dir[64], root_key[96];
	struct link_server *link;    /* with dispatch: "inproc://..." */
	char url[80];
	struct arena *hands[8];      /* of the workers below; they may be other threads */
	size_t hand_count;
	uint64_t ids;
	int64_t counter;             /* of tokens that the test gives out itself */
};

struct desk *desk_new(bool dispatch);
void desk_end(struct desk *desk);
/* Leads anew under a new epoch, as another replica would after a crash: memory comes from the
 * journal. */
void desk_lead(struct desk *desk);
/* Takes the leader key away: the journal does not know yet. */
void desk_depose(struct desk *desk);

/* A tenant with its key; a resource with its uid and, where it has one, its key. spec: JSON with
 * ' for ". */
void desk_tenant(struct desk *desk, const char *tenant);
void desk_put(struct desk *desk, enum kind kind, const char *tenant, const char *domain,
              const char *name, const char *spec);
void desk_delete(struct desk *desk, enum kind kind, const char *tenant, const char *domain,
                 const char *name);
const char *desk_uid(struct desk *desk, enum kind kind, const char *tenant, const char *domain,
                     const char *name);
struct value *desk_json(struct desk *desk, const char *text);

/* The story's: tenant acme, domain ops: datasets raw and hourly, source raw, transformation
 * hourly, entity airport, view delays. */
void desk_story(struct desk *desk);

/* Accepts a task; its id. */
const char *desk_submit(struct desk *desk, const char *tenant, enum task_type type,
                        const char *spec);
void desk_cancel(struct desk *desk, const char *id);
/* Picks the next task under a token of the desk's own. */
struct work desk_pick(struct desk *desk);
struct value *desk_task(struct desk *desk, const char *tenant, const char *id);
const char *desk_state(struct desk *desk, const char *tenant, const char *id);
/* Waits (in real time, at most a minute) until the task is in that state. */
void desk_await(struct desk *desk, const char *tenant, const char *id, const char *state);
int64_t desk_used(struct desk *desk, const char *tenant, const char *amount);
int64_t desk_reserved(struct desk *desk, const char *tenant, const char *amount);
/* Audit events of a tenant with that action and result. */
size_t desk_events(struct desk *desk, const char *tenant, const char *action, const char *result);

/* A worker at the other end of the link. */
struct hand {
	struct desk *desk;
	struct arena *arena;         /* what its answers lie in; until desk_end */
	struct link_client *link;
	const char *name;
	int64_t incarnation, seq;
	struct secret *box_secret;
	uint8_t box_public[BOX_PUBLIC_BYTES];
	struct poll poll;            /* what the next poll says */
};
struct hand hand_new(struct desk *desk, const char *name, int64_t incarnation);
/* Waits until so many have been heard of: a poll that is held has arrived then. */
void desk_await_workers(struct desk *desk, int count);
void hand_end(struct hand *hand);
/* One poll with the next number; the answer lasts until desk_end. timeout in real time. */
int hand_try(struct hand *hand, int timeout_ms, struct poll_answer *ret_answer);
struct poll_answer hand_poll(struct hand *hand);
/* The same poll as last time once more. */
struct poll_answer hand_repeat(struct hand *hand);
struct grant *hand_open(struct hand *hand, const struct poll_task *task);
/* Polls until the answer carries a task, and opens it; simulated time is moved on meanwhile. */
struct grant *hand_task(struct hand *hand);

#endif
