/* shard.c - the leader's memory: its parts, from empty through replay to ready. Invariants: an
 * unfinished task stands in exactly one line or runs; an account's reserved amounts are the sum
 * of what its unfinished tasks hold (shard_ready asserts it). */
#include "common/defs.h"
#include "control/runs_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int shard_new(struct clock *clock, struct shard **ret_shard, struct err *err)
{
	struct shard *shard = calloc(1, sizeof *shard);
	uint64_t seed = 0;
	if (!shard)
		return err_set(err, E_NOMEM, "no memory for a shard");
	random_bytes(&seed, sizeof seed);
	if (book_new(seed, &shard->book, err) < 0) {
		free(shard);
		return E_NOMEM;
	}
	hashmap_init(&shard->tasks, seed);
	hashmap_init(&shard->accounts, seed);
	hashmap_init(&shard->idems, seed);
	hashmap_init(&shard->runs, seed);
	names_init(&shard->names, seed);
	shard->clock = clock;
	shard->sound = true;
	if (shard_sched_new(shard, seed, err) < 0) {
		free(shard);
		return err->code;
	}
	pthread_mutex_init(&shard->mutex, NULL);
	clock_cond_init(&shard->changed);
	*ret_shard = shard;
	return 0;
}

void shard_lock(struct shard *shard)
{
	pthread_mutex_lock(&shard->mutex);
}

void shard_unlock(struct shard *shard)
{
	pthread_mutex_unlock(&shard->mutex);
}

static void account_clear(struct shard *shard, struct account *account)
{
	while (account->newest)
		task_drop(shard, account->newest);
	while (account->newest_run)
		run_free(shard, account->newest_run);
	audit_clear(shard, &account->audit);
}

/* Quotas' limits come from the catalog, not from the journal: they stay, what was spent goes. */
static int account_renew(struct account *account, struct err *err)
{
	struct quota *fresh = NULL;
	TRY(quota_new(account->name, &fresh, err));
	int rc = quota_limits_copy(fresh, account->quota, err);
	if (rc < 0) {
		quota_free(fresh);
		return rc;
	}
	quota_free(account->quota);
	account->quota = fresh;
	return 0;
}

int account_empty(struct shard *shard, struct account *account, struct err *err)
{
	account_clear(shard, account);
	memset(&account->ripe, 0, sizeof account->ripe);
	return account_renew(account, err);
}

void shard_clear(struct shard *shard)
{
	struct err err;
	shard_lock(shard);
	shard->sound = true;
	shard->replaying = true;
	shard->replays++;
	for (struct account *at = shard->account_list; at; at = at->next) {
		account_clear(shard, at);
		if (account_renew(at, &err) < 0)
			shard->sound = false;
	}
	idems_clear(shard);
	book_clear(shard->book);
	shard->meter_count = 0;
	pthread_cond_broadcast(&shard->changed);
	shard_unlock(shard);
}

void shard_free(struct shard *shard)
{
	if (!shard)
		return;
	for (struct account *at = shard->account_list, *next = NULL; at; at = next) {
		next = at->next;
		account_clear(shard, at);
		quota_free(at->quota);
		free(at->audit.entries);
		free(at);
	}
	idems_clear(shard);
	book_free(shard->book);
	sched_free(shard->sched);
	hashmap_release(&shard->tasks);
	hashmap_release(&shard->accounts);
	hashmap_release(&shard->idems);
	hashmap_release(&shard->runs);
	names_release(&shard->names);
	free(shard->meters);
	free(shard->expiries);
	arena_free(shard->rates_arena);
	pthread_cond_destroy(&shard->changed);
	pthread_mutex_destroy(&shard->mutex);
	free(shard);
}

/* --- accounts --- */

struct account *account_find(const struct shard *shard, const char *name)
{
	struct hash_node *node = hashmap_find(&shard->accounts, name);
	return node ? HASH_OWNER(node, struct account, by_name) : NULL;
}

int account_get(struct shard *shard, const char *name, struct account **ret_account,
                struct err *err)
{
	struct account *account = account_find(shard, name);
	if (!account) {
		account = calloc(1, sizeof *account);
		if (!account)
			return err_set(err, E_NOMEM, "no memory for a tenant's account");
		snprintf(account->name, sizeof account->name, "%s", name);
		int rc = quota_new(name, &account->quota, err);
		if (rc == 0 && !hashmap_add(&shard->accounts, &account->by_name, account->name))
			rc = err_set(err, E_NOMEM, "no memory for a tenant's account");
		if (rc < 0) {
			quota_free(account->quota);
			free(account);
			return rc;
		}
		account->next = shard->account_list;
		shard->account_list = account;
	}
	*ret_account = account;
	return 0;
}

/* --- replay --- */

void shard_record(struct shard *shard, const struct value *record)
{
	struct err err;
	shard_lock(shard);
	if (record_apply(shard, record, &err) < 0)
		shard->sound = false;
	shard_unlock(shard);
}

bool shard_sound(struct shard *shard)
{
	shard_lock(shard);
	bool sound = shard->sound;
	shard_unlock(shard);
	return sound;
}

static void account_ready(struct shard *shard, const struct account *account)
{
	struct amounts sum = { { 0 } }, reserved;
	for (struct task *task = account->newest; task; task = task->older) {
		if (task_state_final(task->state))
			continue;
		task->inherited = task->durable && task->state == STATE_QUEUED;
		if (task->inherited && !task->line)
			line_prepend(&shard->inherited, task);
		struct amounts holds = task_holds(task);
		amounts_add(&sum, &holds);
	}
	quota_reserved(account->quota, &reserved);
	REQUIRE(memcmp(&sum, &reserved, sizeof sum) == 0);
}

void shard_ready(struct shard *shard)
{
	shard_lock(shard);
	for (const struct account *at = shard->account_list; at; at = at->next)
		account_ready(shard, at);
	shard->replaying = false;
	shard_unlock(shard);
}

/* --- quotas and rates --- */

int shard_quota(struct shard *shard, const char *tenant, const char *name,
                const struct value *spec, struct err *err)
{
	struct account *account = NULL;
	shard_lock(shard);
	int rc = account_get(shard, tenant, &account, err);
	if (rc == 0)
		rc = quota_limit(account->quota, name, spec, err);
	sched_kick(shard->sched, tenant);
	shard_unlock(shard);
	return rc;
}

void shard_rates(struct shard *shard, const struct value *rate_card_spec)
{
	struct arena *arena = NULL;
	struct value *copy = NULL;
	struct err err;
	if (arena_new(MIB, &arena, &err) == 0 && rate_card_spec)
		copy = value_copy(arena, rate_card_spec);
	shard_lock(shard);
	struct arena *old = shard->rates_arena;
	shard->rates_arena = arena;
	shard->rates = copy;
	shard_unlock(shard);
	arena_free(old);
}

int64_t shard_cost(struct shard *shard, const struct amounts *amounts)
{
	shard_lock(shard);
	int64_t cost = rate_cost(shard->rates, amounts);
	shard_unlock(shard);
	return cost;
}

/* Reads ask for at least one micro-unit of money too: who has spent it all reads nothing more. */
int shard_check(struct shard *shard, const char *tenant, const char *domain,
                const struct amounts *amounts, struct err *err)
{
	struct amounts asked = *amounts;
	shard_lock(shard);
	int64_t cost = rate_cost(shard->rates, amounts);
	bool reads = asked.v[DIM_ONLINE_READS] > 0 || asked.v[DIM_QUERIES] > 0;
	asked.v[DIM_COST_MICROS] = cost > 0 ? cost : reads;
	const struct account *account = account_find(shard, tenant);
	int rc = account ? quota_check(account->quota, domain, &asked, clock_unix_ms(shard->clock),
	                               err) : 0;
	shard_unlock(shard);
	return rc;
}

/* A worker keeps the number of a report that is not acknowledged through its restarts, so a new
 * life does not make it a new report. */
bool shard_meter_is_new(struct shard *shard, const char *worker, int64_t seq)
{
	bool is_new = true;
	shard_lock(shard);
	for (size_t i = 0; i < shard->meter_count; i++) {
		const struct meter *meter = &shard->meters[i];
		if (strcmp(meter->worker, worker) == 0)
			is_new = seq > meter->seq;
	}
	shard_unlock(shard);
	return is_new;
}
