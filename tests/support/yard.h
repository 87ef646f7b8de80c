/* yard.h - a whole worker in the test's process beside a stage: agent, slots, objects, online store
 * and serving door, put together as worker/main.c does it; only executors are processes of their
 * own
 * ($FREEHOLD_BUILD/freehold-worker). All of it in one temporary folder. */
#ifndef TESTS_SUPPORT_YARD_H
#define TESTS_SUPPORT_YARD_H

#include "tests/support/stage.h"
#include "worker/access_link.h"
#include "worker/agent.h"
#include "worker/query.h"
#include "worker/serve.h"

struct fetch;

struct yard {
	struct stage *stage;
	char dir[64], files[96], serve_url[64], program[512];
	const char *name;
	char url[64];
	const char *urls[2];
	int64_t incarnation;
	int submissions;
	_Atomic bool withhold;   /* what attempts came to is not told: they run on, to be seen */
	struct secret *box_secret;
	struct runner runner;
	struct meter *meter;
	struct peer *peer;
	struct access_link access;
	struct access_cache *cache;
	struct queries *queries;
	struct serve *serve;
	struct agent *agent;
	struct fetch *fetch;
};

/* A stage, and a worker that polls it. */
struct yard *yard_open(void);
void yard_close(struct yard *yard);
void yard_end_worker(struct yard *yard); /* for good */
/* The worker's process ends without a word, as by SIGKILL, and another one begins on its folder. */
void yard_kill(struct yard *yard);
/* Until the worker has so many tasks: control calls a task running before it arrives there. */
void yard_await_taken(struct yard *yard, int count);
/* Below the tenant's folder of files. */
void yard_file(struct yard *yard, const char *tenant, const char *name, const char *text);

/* While it is answered with 503 - nobody leads, no worker has come back - it is asked again. */
struct answer yard_ask(struct yard *yard, const struct asked *asked);
/* The same of what a worker has to tell: time passes while the request is held. */
struct answer yard_ask_held(struct yard *yard, const struct asked *asked);
struct answer yard_ask_held_once(struct yard *yard, const struct asked *asked);
/* What it does between: waits until somebody leads, and for a moment of both times. */
void yard_pause(struct yard *yard);
/* Submits, as often as it takes; its id in the plane's arena. spec: single quotes for double ones.
 */
const char *yard_submit(struct yard *yard, const struct company *company, const char *type,
                        const char *spec);
const struct value *yard_task(struct yard *yard, const struct company *company, const char *id);
/* Lets time pass until the task has ended (or is in that state); what it is then. */
const struct value *yard_await(struct yard *yard, const struct company *company, const char *id,
                               const char *state);
/* POST /get-online-features, as often as it takes; the answer lies in the plane's arena. status 0:
 * the connection was closed. */
struct answer yard_read(struct yard *yard, const char *key, const char *body);
struct answer yard_read_once(struct yard *yard, const char *key, const char *body);
/* POST /query, likewise. purpose NULL: none is said. */
struct answer yard_query(struct yard *yard, const char *key, const char *purpose,
                         const char *body);
/* The bytes that occur in some file of the worker's folder, its sources apart. */
bool yard_stores(const struct yard *yard, const char *text);

#endif
