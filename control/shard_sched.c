/* shard_sched.c - the scheduler over the shard's tasks: what it may start by the quotas, which
 * workers there are, what tenants are due, and its answers. */
#include "common/defs.h"
#include "control/runs_impl.h"
#include "control/sched_ask.h"

#include "control/shard_archive.h"

#include <string.h>

static bool may_start(void *context, const char *tenant, const char *domain, struct err *ret_why)
{
	const struct shard *shard = context;
	const struct account *account = account_find(shard, tenant);
	struct amounts asked = { { 0 } };
	asked.v[DIM_RUNNING] = 1;
	bool platform = strcmp(domain, PLATFORM_DOMAIN) == 0;
	if (account && account_holds(account, platform)) {
		err_set(ret_why, E_CONFLICT, "%s", account->held_why);
		return false;
	}
	if (!account || platform)
		return true;
	return quota_check(account->quota, domain, &asked, clock_unix_ms(shard->clock),
	                   ret_why) == 0;
}

int shard_sched_new(struct shard *shard, uint64_t seed, struct err *err)
{
	const struct sched_conf conf = { .may_start = may_start, .context = shard, .seed = seed };
	return sched_new(&conf, &shard->sched, err);
}

/* --- workers --- */

int shard_worker_set(struct shard *shard, const struct sched_worker *worker, struct err *err)
{
	shard_lock(shard);
	int rc = sched_worker_set(shard->sched, worker, err);
	shard_unlock(shard);
	return rc;
}

void shard_worker_gone(struct shard *shard, const char *name)
{
	shard_lock(shard);
	sched_worker_gone(shard->sched, name);
	shard_unlock(shard);
}

void shard_worker_near(struct shard *shard, const char *name, const char *dataset)
{
	shard_lock(shard);
	sched_near(shard->sched, name, dataset);
	shard_unlock(shard);
}

size_t shard_preempt(struct shard *shard, uint64_t replay, struct preempted *ret_attempts,
                     size_t most)
{
	struct sched_entry *victims[64];
	size_t count = 0;
	most = most < ARRAY_LEN(victims) ? most : ARRAY_LEN(victims);
	shard_lock(shard);
	if (shard->sound && !shard->replaying && shard->replays == replay)
		count = sched_preempt(shard->sched, clock_mono_ms(shard->clock), victims, most);
	for (size_t i = 0; i < count; i++) {
		struct task *task = HEAP_OWNER(victims[i], struct task, entry);
		task->preempted = true;
		memcpy(ret_attempts[i].id, task->id, sizeof ret_attempts[i].id);
		ret_attempts[i].token = task->token;
	}
	shard_unlock(shard);
	return count;
}

/* --- shares --- */

static struct capacity capacity_read(const struct value *spec, const char *const names[RES_COUNT_],
                                     int64_t fallback)
{
	struct capacity capacity;
	for (int r = 0; r < RES_COUNT_; r++)
		capacity.v[r] = value_get_int(spec, names[r], fallback);
	return capacity;
}

static void share_read(const struct value *spec, struct share *ret_share)
{
	static const char *const guaranteed[] = {
		"guaranteedCpuMillis", "guaranteedMemoryBytes", "guaranteedSlots",
	};
	static const char *const most[] = { "mostCpuMillis", "mostMemoryBytes", "mostSlots" };
	static const char *const borrow[] = {
		"borrowCpuMillis", "borrowMemoryBytes", "borrowSlots",
	};
	static const char *const lend[] = { "lendCpuMillis", "lendMemoryBytes", "lendSlots" };
	ret_share->domain = value_get_str(spec, "domain");
	ret_share->pool = value_get_str(spec, "pool");
	ret_share->cohort = value_get_str(spec, "cohort");
	ret_share->weight = value_get_int(spec, "weight", 1);
	ret_share->guaranteed = capacity_read(spec, guaranteed, 0);
	ret_share->most = capacity_read(spec, most, -1);
	ret_share->borrow_most = capacity_read(spec, borrow, -1);
	ret_share->lend_most = capacity_read(spec, lend, -1);
	ret_share->starts_per_minute = value_get_int(spec, "startsPerMinute", -1);
}

int shard_share(struct shard *shard, const char *tenant, const char *name,
                const struct value *spec, struct err *err)
{
	struct share share = { .tenant = tenant };
	int rc = 0;
	share_read(spec, &share);
	shard_lock(shard);
	if (spec)
		rc = sched_share_set(shard->sched, name, &share, err);
	else
		sched_share_drop(shard->sched, tenant, name);
	shard_unlock(shard);
	return rc;
}

/* --- answers --- */

static struct value *state_only(const struct task *task, struct arena *arena)
{
	struct value *map = value_map(arena);
	struct err err;
	if (!map)
		return NULL;
	value_set_str(map, "state", task_state_name(task->state));
	value_set(map, "reasons", value_list(arena));
	return value_check(map, &err) == 0 ? map : NULL;
}

static struct value *one_reason(struct arena *arena, const char *rule, const char *detail)
{
	struct value *map = value_map(arena), *list = value_list(arena);
	struct value *reason = value_map(arena);
	struct err err;
	if (!map || !list || !reason)
		return NULL;
	value_set_str(reason, "rule", rule);
	value_set_str(reason, "detail", detail);
	value_add(list, reason);
	value_set_str(map, "state", "parked");
	value_set(map, "reasons", list);
	return value_check(map, &err) == 0 ? map : NULL;
}

static struct value *explain(struct shard *shard, struct arena *arena, const struct task *task)
{
	if (task->cancel && task->state != STATE_RUNNING && !task_state_final(task->state))
		return one_reason(arena, "cancelled", "it is being cancelled");
	if (task->state == STATE_BLOCKED)
		return one_reason(arena, "depends-on", run_blocked_by(arena, task));
	if (task->state != STATE_QUEUED && task->state != STATE_RUNNING)
		return state_only(task, arena);
	return sched_explain(shard->sched, &task->entry, clock_mono_ms(shard->clock), arena);
}

struct value *shard_explain(struct shard *shard, struct arena *arena, const char *tenant,
                            const char *domain, const char *id)
{
	struct value *map = NULL;
	shard_lock(shard);
	const struct task *task = task_find(shard, id);
	if (task && task->durable && strcmp(task->account->name, tenant) == 0 &&
	    (!domain || strcmp(task->domain, domain) == 0))
		map = explain(shard, arena, task);
	shard_unlock(shard);
	return map;
}

struct value *shard_explain_request(struct shard *shard, struct arena *arena, const char *tenant,
                                    const char *domain, const struct task_request *request)
{
	struct label labels[LABELS_MAX];
	struct sched_spec spec;
	shard_lock(shard);
	int64_t now_ms = clock_mono_ms(shard->clock);
	task_spec(request->type, &request->limits, &request->placement, labels, &spec);
	spec.tenant = tenant;
	spec.domain = domain;
	spec.since_ms = now_ms;
	struct value *map = sched_explain_spec(shard->sched, &spec, now_ms, arena);
	shard_unlock(shard);
	return map;
}

int shard_fits(struct shard *shard, struct arena *arena, const struct task_request *request,
               struct err *err)
{
	struct label labels[LABELS_MAX];
	struct sched_spec spec;
	shard_lock(shard);
	task_spec(request->type, &request->limits, &request->placement, labels, &spec);
	const char *never = sched_never(shard->sched, &spec, arena);
	shard_unlock(shard);
	return never ? err_set(err, E_RESOURCES, "it could never start: %s; ask for less, or have "
	                       "a larger worker started first", never) : 0;
}

struct value *shard_queue_table(struct shard *shard, struct arena *arena)
{
	shard_lock(shard);
	struct value *list = sched_table(shard->sched, clock_mono_ms(shard->clock), arena);
	shard_unlock(shard);
	return list;
}

struct value *shard_pools(struct shard *shard, struct arena *arena)
{
	shard_lock(shard);
	struct value *list = sched_pools(shard->sched, clock_mono_ms(shard->clock), arena);
	shard_unlock(shard);
	return list;
}
