/* shard_tenant.c - see shard_tenant.h. A hold comes from the catalog, as quotas do, not from the
 * journal: it stays through a replay, and so do limits when a tenant is forgotten. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { RUNNING_LIST_MAX = 1000 };

/* --- holds --- */

int shard_tenant_hold(struct shard *shard, const char *tenant, enum tenant_hold hold,
                      const char *why, struct err *err)
{
	struct account *account = NULL;
	int rc = 0;
	shard_lock(shard);
	account = account_find(shard, tenant);
	if (!account && hold != HOLD_NONE)
		rc = account_get(shard, tenant, &account, err);
	if (account) {
		rc = account->held != hold;
		account->held = hold;
		snprintf(account->held_why, sizeof account->held_why, "%s", why ? why : "");
	}
	sched_kick(shard->sched, tenant);
	shard_unlock(shard);
	return rc;
}

bool account_holds(const struct account *account, bool platform)
{
	switch (account->held) {
	case HOLD_NONE: return false;
	case HOLD_OWN:
	case HOLD_ERASE: return !platform;
	default: return true;
	}
}

static bool ends_all(const struct account *account)
{
	return account->held >= HOLD_ALL;
}

size_t shard_tenants_running(struct shard *shard, char names[][NAME_MAX_LEN + 1], size_t most)
{
	size_t count = 0;
	shard_lock(shard);
	for (const struct account *at = shard->account_list; at && count < most; at = at->next)
		if (at->held == HOLD_ALL && at->running > 0)
			snprintf(names[count++], NAME_MAX_LEN + 1, "%s", at->name);
	shard_unlock(shard);
	return count;
}

bool shard_task_held(struct shard *shard, const char *id, const char *tenant)
{
	shard_lock(shard);
	const struct task *task = task_find(shard, id);
	bool held = task && strcmp(task->account->name, tenant) == 0 && ends_all(task->account) &&
		account_holds(task->account, task_info[task->type].platform);
	shard_unlock(shard);
	return held;
}

/* --- what there is of it --- */

int shard_tenant_unfinished(struct shard *shard, const char *tenant, struct arena *arena,
                            size_t *ret_count, struct value **ret_running, struct err *err)
{
	struct value *running = value_list(arena);
	size_t count = 0;
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	bool known = shard->sound && !shard->replaying;
	for (const struct task *task = account ? account->newest : NULL; task; task = task->older) {
		if (task_state_final(task->state))
			continue;
		count++;
		if (task->state == STATE_RUNNING && value_len(running) < RUNNING_LIST_MAX)
			value_add_str(running, task->id);
	}
	shard_unlock(shard);
	if (!known)
		return err_set(err, E_UNAVAILABLE, "the leader is reading its journal again");
	*ret_count = count;
	*ret_running = running;
	return value_check(running, err);
}

/* "TENANT/DOMAIN/KEY" of that tenant. */
static bool is_its(const struct idem *idem, const char *tenant)
{
	size_t len = strlen(tenant);
	return strncmp(idem->key, tenant, len) == 0 && idem->key[len] == '/';
}

static int64_t count_keys(const struct shard *shard, const char *tenant)
{
	int64_t count = 0;
	for (const struct idem *at = shard->idem_oldest; at; at = at->newer)
		count += is_its(at, tenant);
	return count;
}

struct value *shard_tenant_census(struct shard *shard, struct arena *arena, const char *tenant)
{
	struct value *census = value_map(arena);
	int64_t tasks = 0, runs = 0;
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	for (const struct task *at = account ? account->newest : NULL; at; at = at->older)
		tasks++;
	for (const struct run *at = account ? account->newest_run : NULL; at; at = at->older)
		runs++;
	value_set_int(census, "tasks", tasks);
	value_set_int(census, "runs", runs);
	value_set_int(census, "auditEvents", account ? account->audit.seq : 0);
	value_set_int(census, "idempotencyKeys", count_keys(shard, tenant));
	shard_unlock(shard);
	return census;
}

int shard_meter_names(struct shard *shard, struct value *list, struct err *err)
{
	shard_lock(shard);
	for (size_t i = 0; i < shard->meter_count; i++)
		value_add_str(list, shard->meters[i].worker);
	shard_unlock(shard);
	return value_check(list, err);
}

bool shard_tenant_forgot(struct shard *shard)
{
	return atomic_exchange(&shard->forgot, false);
}

/* --- records --- */

/* All that has not ended is asked to. */
int apply_stop(struct shard *shard, const struct value *record, struct err *err)
{
	const char *tenant = value_get_str(record, "tenant");
	struct account *account = tenant ? account_find(shard, tenant) : NULL;
	(void)err;
	for (struct run *run = account ? account->newest_run : NULL; run; run = run->older)
		run->cancel |= run->durable && !run->ended_ms;
	for (struct task *task = account ? account->newest : NULL; task; task = task->older)
		task_cancel(shard, task);
	return 0;
}

int apply_erased(struct shard *shard, const struct value *record, struct err *err)
{
	const char *tenant = value_get_str(record, "tenant");
	struct account *account = tenant ? account_find(shard, tenant) : NULL;
	atomic_store(&shard->forgot, true);
	if (!account)
		return 0;
	idems_forget(shard, tenant);
	book_forget(shard->book, tenant);
	return account_empty(shard, account, err);
}
