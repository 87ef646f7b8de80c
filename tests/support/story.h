/* story.h - what system tests begin with: two tenants and their people, data written by the engine
 * itself, and the usual steps. Tenant acme has the domain sales, with ada (domain-owner), eve
 * (consumer) and abe (tenant-admin); globex has trips, with gus (domain-owner). Each has a profile
 * of that name, as has the operator. */
#ifndef TESTS_SUPPORT_STORY_H
#define TESTS_SUPPORT_STORY_H

#include "tests/support/system.h"

#define SALES "/v1/tenants/acme/domains/sales"
#define TRIPS "/v1/tenants/globex/domains/trips"

void story_tenants(struct system *system);
/* The two together: a system that runs, with its tenants. */
struct system *story_start(const struct system_options *options);
/* The key of "operator", "ada", ... */
const char *story_key(struct system *system, const char *who);

/* One engine, to write files with: COPY (sql) TO path (options). */
void data_write(const char *path, const char *select, const char *options);
/* SELECT of rows {customer, seen, amount, note}; the notes and customers are easy to search for. */
const char *data_orders(struct system *system, int64_t first, int64_t rows);
/* Writes files/acme/NAME with that many orders, as CSV. */
void data_csv(struct system *system, const char *name, int64_t rows);

/* freehold apply -f of that text, in that profile; its output. */
const char *story_apply(struct system *system, const char *profile, const char *yaml);
struct ran story_try_apply(struct system *system, const char *profile, const char *yaml);
/* A Dataset `orders` with a schema and a Source `orders` for a file in files/acme. more: further
 * members of the source's spec, such as ", mode: replace". */
void story_orders(struct system *system, const char *path, const char *format, const char *more);
/* Transformation and view `spending` over orders, entity customer. */
void story_spending(struct system *system);

/* POST of a task; its id. spec: JSON. */
const char *story_submit(struct system *system, const char *type, const char *spec);
/* Waits for the task's end; the task. */
struct value *story_await(struct system *system, const char *id, int ms);
/* Until it runs; one that ended unseen fails the test: it must take longer. */
void story_await_running(struct system *system, const char *id);
struct value *story_task(struct system *system, const char *id);
/* Submits, waits, and must succeed / fail; the task. */
struct value *story_run(struct system *system, const char *type, const char *spec);
struct value *story_fail(struct system *system, const char *type, const char *spec);
/* The error's text and code of a failed task. */
const char *task_text(const struct value *task);
const char *task_code(const struct value *task);

/* Rows of a dataset's current snapshot; -1: it has none. */
int64_t story_rows(struct system *system, const char *dataset);
/* A member of the tenant's usage total. */
int64_t story_usage(struct system *system, const char *name);
/* POST /get-online-features at a worker. */
struct answer story_features(struct system *system, const char *who, const char *body);

#endif
