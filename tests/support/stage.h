/* stage.h - a control plane on a simulated clock with its link (inproc), and puppets: workers
 * without executors, which poll the leader over the link as an agent does and end their attempts as
 * the test says. Everything a puppet reported is kept as an act, to be compared with what became of
 * it. */
#ifndef TESTS_SUPPORT_STAGE_H
#define TESTS_SUPPORT_STAGE_H

#include "api/link.h"
#include "api/poll.h"
#include "common/text.h"
#include "tests/support/plane.h"

#include <pthread.h>

/* A tenant, its one domain, and the key of somebody who may read its data. */
struct company {
	const char *tenant, *domain, *key;
};

/* One attempt that reached a puppet. */
struct act {
	struct act *next;
	char task[ID_LEN + 1], tenant[64], domain[64], uid[64], prefix[GRANT_PREFIX_MAX];
	struct token token;
	enum task_type type;
	bool replace, writes;
	int64_t base;   /* snapshot that a replace was built on */
	bool cancelled; /* control asks for its end, */
	bool back;      /* to be handed back */
	bool ended;     /* all below are set */
	bool acked;
	enum outcome outcome;
	int code;
	struct usage usage;     /* cpu_ms is another for each act: it tells them apart */
	bool billed, published; /* for who compares */
};

struct stage {
	struct clock *clock;
	int step_ms, step_real_us; /* of the clock and of real time, in stage_await */
	struct plane *plane;
	struct link_server *server;
	char url[64];
	char poll_url[64];     /* where workers that begin now ask; the same, or a detour */
	pthread_mutex_t mutex; /* guards the acts and faults */
	struct act *acts;      /* newest first */
	int64_t cpu_ms;        /* of the next act's usage */
	uint64_t store_calls;  /* until all was compared; faults of the store end there */
	char fault[480];       /* what a puppet was told and should not have been; "": nothing */
};

struct stage *stage_open(void);
void stage_close(struct stage *stage); /* after its puppets */
/* Control and its link end and begin anew on the same store. */
void stage_restart(struct stage *stage);
/* It leads, and nothing is missing from its memory. */
bool stage_leads(struct stage *stage);
/* Waits until no other thread of this process has anything to do, so that whatever was due has been
 * done: on a busy machine the clock would run away from threads that wait for a core. */
void stage_rest(void);
/* A long time passes at once, which finds all at rest, and leaves them so. */
void stage_jump(struct stage *stage, int64_t ms);
/* Advances the clock in small steps, real time passing between them, until ready says true or
 * sim_ms have passed; whether it is ready. For what may also not come, or must not. Now and then
 * all are let come to rest. */
typedef bool stage_ready_fn(void *context);
bool stage_pass(struct stage *stage, stage_ready_fn *ready, void *context, int64_t sim_ms);
/* The same for what is to come: sim_ms are the most that the product may take. Then the clock
 * stands, and on a machine that is busy what is on its way has real time to arrive. */
bool stage_await(struct stage *stage, stage_ready_fn *ready, void *context, int64_t sim_ms);

struct puppet;
struct puppet *puppet_new(struct stage *stage, const char *name, int slots, int64_t incarnation);
void puppet_free(struct puppet *puppet); /* dies: nothing more is said */
/* Deaf puppets neither poll nor hear; their attempts go on. */
void puppet_deaf(struct puppet *puppet, bool deaf);
/* Attempts that are not ended. */
int puppet_running(struct puppet *puppet);
struct ending {
	enum outcome outcome;
	int code;
	int64_t rows; /* of the output, or put online */
};
/* Ends its i-th running attempt (modulo); nothing without one. A cancelled one ends so. */
void puppet_end(struct puppet *puppet, int i, const struct ending *ending);
/* Says again what it has reported already, with its next poll. */
void puppet_repeat(struct puppet *puppet);
/* Nothing of it waits for an acknowledgement. */
bool puppet_settled(struct puppet *puppet);

#endif
