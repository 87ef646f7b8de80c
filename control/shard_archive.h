/* shard_archive.h - how ended tasks leave the leader's memory, and the platform's own tasks: they
 * are in the tenant's domain PLATFORM_DOMAIN, hold no quota and cost nothing. Invariant: an ended
 * task leaves by the outcome of an archive task that names it, and by nothing else. */
#ifndef SHARD_ARCHIVE_H
#define SHARD_ARCHIVE_H

#include "control/journal.h"
#include "control/shard_work.h"

#define PLATFORM_DOMAIN "freehold"
#define PLATFORM_PRINCIPAL "system/platform"

enum { ARCHIVE_ROWS_MAX = 1000, LEAVING_MAX = 16 };

/* When a tenant's ended tasks leave: enough of them that ended young_ms ago, or any that ended
 * old_ms ago. Dead ones can be replayed, and stay for dead_ms. */
struct leave_rules { size_t enough; int64_t young_ms, old_ms, dead_ms; };
struct leaving {
	const char *tenant;
	const char *ids;             /* space between; the spec's "tasks" */
	size_t count;
};
/* What is due at now_ms: a batch of each of at most LEAVING_MAX tenants without an archive task
 * under way. */
MUST_USE int shard_leaving(struct shard *shard, const struct leave_rules *rules, int64_t now_ms,
                           struct arena *arena, struct leaving *ret_leaving, size_t *ret_count,
                           struct err *err);
/* Whether an archive task under way names it: it is not to be started anew. */
bool shard_leaves(struct shard *shard, const char *tenant, const char *id);

struct platform_task {
	const char *id, *tenant;
	enum task_type type;         /* task_info[].platform */
	const struct value *spec;
	int64_t now_ms;
};
/* Adds the accepted record to change; shard_withdraw if it is not committed. E_CONFLICT: one of
 * that type is under way in the tenant. */
MUST_USE int shard_submit_platform(struct shard *shard, const struct platform_task *made,
                                   struct change *change, struct err *err);

/* --- questions: platform tasks that are in no journal, answered in a report's result --- */

/* It waits in line when this returns. A replay ends it. */
MUST_USE int shard_question(struct shard *shard, const struct platform_task *made,
                            struct err *err);
/* Waits for its answer until the deadline, and takes it out of memory. E_UNAVAILABLE: it was not
 * answered in time, or failed; the sentence says how. */
MUST_USE int shard_question_wait(struct shard *shard, const char *id, int64_t deadline_mono_ms,
                                 struct arena *arena, struct value **ret_result, struct err *err);
/* For settlement, of the question's current attempt. code 0: answered. */
void shard_question_answer(struct shard *shard, const char *id, const struct token *token,
                           int code, const char *text, const struct value *result);
bool task_is_question(enum task_type type);

/* A token before which no attempt of the tenant can publish any more. False: a replay is under
 * way. */
bool shard_token_floor(struct shard *shard, const char *tenant, struct token *ret_floor);
/* The newest token of an attempt of the tenant that is under way; zeroes: none is. What is planned
 * from now on has a newer one. False likewise. */
bool shard_token_newest(struct shard *shard, const char *tenant, struct token *ret_newest);

#endif
