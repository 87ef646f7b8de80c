/* system.h - a whole Freehold for a test: etcd, freehold-control and workers as real processes on
 * ports of their own, in one folder that lies as `freehold dev` lays it, and the ways to ask it
 * something. Each part can be killed, stopped and started alone. Functions fail the test when they
 * cannot do what they say. The folder of a failed test is kept, below $FREEHOLD_BUILD/system. */
#ifndef TESTS_SUPPORT_SYSTEM_H
#define TESTS_SUPPORT_SYSTEM_H

#include "common/value.h"
#include "tests/support/process.h"

struct system;

enum part {
	PART_ETCD, PART_CONTROL, PART_CONTROL_2, PART_WORKER, PART_WORKER_2, PART_COUNT_
};
enum {
	PORT_API, PORT_SERVING, PORT_LINK, PORT_ETCD, PORT_PEER, PORT_SERVING_2, PORT_API_2,
	PORT_LINK_2, PORT_COUNT_
};

struct system_options {
	const char *const *control;  /* further arguments, NULL-terminated; NULL: none */
	const char *const *worker;
	const char *const *worker_2; /* of the second, after those; NULL: none */
	bool replicas;               /* workers know of control's second replica */
	bool tls;                    /* the APIs speak it, with the certificate keys/control.pem */
	bool strangers;              /* then: replicas are not told whom to trust */
};

/* A folder, ports and nothing that runs. */
struct system *system_new(void);
/* etcd, control and one worker, ready for tasks. */
struct system *system_start(const struct system_options *options);
void system_stop(struct system *system);              /* kills all of it, removes the folder */

struct arena *system_arena(struct system *system);    /* for as long as the system */
/* Below its folder, in the arena. */
const char *system_path(struct system *system, const char *fmt, ...) PRINTF(2, 3);
int system_port(const struct system *system, int port);
const char *system_url(struct system *system, int port);

void system_run(struct system *system, enum part part);      /* starts it, waits until it answers */
void system_kill(struct system *system, enum part part);     /* SIGKILL, and waits for its death */
/* Waits for one that was told to end: as process_wait, and it runs no more. */
int system_wait(struct system *system, enum part part, int ms);
void system_pause(struct system *system, enum part part);    /* SIGSTOP, its children too */
void system_resume(struct system *system, enum part part);
pid_t system_pid(const struct system *system, enum part part);
void system_await_ready(struct system *system);              /* /readyz says 200 */

/* --- HTTP --- */
struct answer {
	int status;                  /* 0: nobody answered */
	const char *text;
	struct value *body;          /* NULL: no JSON */
	const char *headers;
};
/* key: of `system_key`, NULL: no credential. body: JSON text; NULL: none. */
struct answer system_call(struct system *system, const char *key, const char *method,
                          const char *path, const char *body);
/* The same with one more header line, and to another port than the API's. */
struct answer system_call_with(struct system *system, int port, const char *key,
                               const char *header, const char *method, const char *path,
                               const char *body);
/* Must answer 2xx; its body. */
struct value *system_ask(struct system *system, const char *key, const char *method,
                         const char *path, const char *body);
/* A header's value, in the arena; NULL: it is not there. */
const char *answer_header(struct system *system, const struct answer *answer, const char *name);

/* --- the command line --- */
struct ran {
	int code;
	const char *out;             /* both kinds of output, as they came */
};
/* freehold ARGS...; the last is NULL. */
struct ran system_cli(struct system *system, ...) __attribute__((sentinel));
struct ran system_cli_args(struct system *system, const char *const *args);
pid_t system_cli_start(struct system *system, const char *out, const char *const *args);
/* Must end with exit code 0. */
const char *system_cli_ok(struct system *system, ...) __attribute__((sentinel));

#endif
