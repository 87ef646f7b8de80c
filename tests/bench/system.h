/* system.h - a whole Freehold for benchmarks: `freehold dev` in a folder of this run, with one
 * tenant, one domain and a view of five features. Started by the first benchmark that asks for it.
 */
#ifndef TESTS_BENCH_SYSTEM_H
#define TESTS_BENCH_SYSTEM_H

#include "common/fetch.h"
#include "common/value.h"
#include "tests/bench/bench.h"

#define SYSTEM_VIEW "readings"
#define SYSTEM_ENTITIES 1000 /* S0 to S999 */

struct bench_system {
	int pid;	       /* of freehold dev */
	const char *url;       /* of the API */
	const char *serve_url; /* of the worker's door */
	const char *etcd_url;
	const char *tasks_path; /* of the domain */
	const char *owner;	/* "Authorization: Bearer ...", runs tasks */
	const char *reader;	/* the same, may read features */
	const char *cli_env;	/* FREEHOLD_CONFIG=... */
	struct fetch *fetch;
};

MUST_USE int system_get(struct bench *bench, struct bench_system **ret_system, struct err *err);
void system_stop(struct bench *bench); /* when it runs */

/* `freehold WORDS...` with a profile (NULL: none). */
MUST_USE int system_cli(struct bench *bench, const char *profile, const char *const *words,
			struct err *err);
/* JSON over HTTP; a status other than 2xx is a failure. body: NULL for GET. */
MUST_USE int system_call(struct bench_system *system, struct arena *arena, const char *url,
			 const char *authorization, const char *body, struct value **ret_answer,
			 struct err *err);
/* The process of a name below freehold dev; 0: none. */
int system_process(const struct bench_system *system, const char *name);

#endif
