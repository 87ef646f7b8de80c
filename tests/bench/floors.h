/* floors.h - what the libraries alone do: the other half of every figure. */
#ifndef TESTS_BENCH_FLOORS_H
#define TESTS_BENCH_FLOORS_H

#include "common/err.h"

/* DuckDB with no part of ours: an in-memory database with that many threads, one statement at a
 * time. */
struct plain;
MUST_USE int plain_new(int threads, struct plain **ret_plain, struct err *err);
void plain_free(struct plain *plain);
DEFINE_AUTO(plain)
MUST_USE int plain_exec(struct plain *plain, const char *sql, struct err *err);

/* libmicrohttpd, with as many threads as the worker's door has, answering every POST with the same.
 */
struct constant;
MUST_USE int constant_new(int threads, const char *answer, struct constant **ret_constant,
			  int *ret_port, struct err *err);
void constant_free(struct constant *constant);
DEFINE_AUTO(constant)

/* nng REQ/REP over loopback TCP, 256 bytes each way. */
struct echo;
MUST_USE int echo_new(struct echo **ret_echo, struct err *err);
void echo_free(struct echo *echo);
DEFINE_AUTO(echo)
MUST_USE int echo_once(struct echo *echo, struct err *err);

/* This program as a child: `--floor NAME`. "open": opens DuckDB and ends. */
int floor_child(const char *name);

#endif
