/* shard_run.h - runs: tasks that are accepted together, some of which wait for others. What blocks
 * and unblocks follows from the tasks' own records, in a replay as in life: there is no record that
 * says it.
 *
 * A task whose condition holds is queued; one whose condition can hold no longer is cancelled at
 * once with the reason, and so are those after it that wanted anything else than its end. A run has
 * ended when its tasks have: failed when one failed or is dead, cancelled when one was cancelled
 * for another reason than its condition, succeeded otherwise. */
#ifndef SHARD_RUN_H
#define SHARD_RUN_H

#include "api/graph.h"
#include "control/shard.h"

struct run_submission {
	const char *id, *tenant, *domain, *principal;
	const struct graph *graph;
	const char *name, *pipeline;         /* NULL: none */
	const char *key;                     /* as of struct submission, all below */
	const uint8_t *body_hash;
	const struct value *also;
	int64_t now_ms;
};
/* Reserves for all its tasks or for none, and adds their records. As shard_submit. */
MUST_USE int shard_submit_run(struct shard *shard, const struct run_submission *submission,
                              struct change *change, struct arena *arena,
                              const char **ret_existing, struct err *err);
void shard_withdraw_run(struct shard *shard, const char *id);

/* --- reading; everything in arena --- */

/* With its tasks; NULL: no such run. */
struct value *shard_run(struct shard *shard, struct arena *arena, const char *tenant,
                        const char *domain, const char *id);
/* The same without them. */
struct value *shard_run_brief(struct shard *shard, struct arena *arena, const char *tenant,
                              const char *domain, const char *id);
/* Waits until the run's version passes `after` or the deadline. */
void shard_run_wait(struct shard *shard, const char *id, int64_t after, int64_t deadline_mono_ms);
/* Newest first, without their tasks; as shard_list. */
MUST_USE int shard_runs(struct shard *shard, struct arena *arena, const char *tenant,
                        const char *domain, const char *state, const char *before, size_t limit,
                        struct value **ret_list, bool *ret_more, struct err *err);
/* Ids of its tasks that run and were asked to end; E_NOT_FOUND. */
MUST_USE int shard_run_ending(struct shard *shard, struct arena *arena, const char *id,
                              struct value **ret_ids, struct err *err);

/* --- starting anew --- */

struct again {
	const char *tenant, *domain, *principal;
	const char *task;            /* its id; or */
	const char *run;             /* all of its tasks that ended without success */
	int64_t now_ms;
};
/* Reserves for all that starts anew or for none, and adds the record. E_NOT_FOUND (or no more in
 * memory), E_CONFLICT (it has not ended, or it succeeded), E_QUOTA, E_BUSY. If the change is not
 * committed afterwards: shard_again_withdraw. */
MUST_USE int shard_again(struct shard *shard, const struct again *again, struct change *change,
                         struct err *err);
void shard_again_withdraw(struct shard *shard, const struct again *again);

#endif
