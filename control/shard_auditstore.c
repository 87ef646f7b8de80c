/* shard_auditstore.c - see shard_auditstore.h. */
#include "common/defs.h"
#include "control/shard_auditstore.h"

#include "common/pack.h"
#include "control/shard_impl.h"

#include <stdio.h>
#include <string.h>

enum {
	BATCH_BYTES_MAX = 1300 * 1024, ROW_BYTES = 500, FAILED_WAIT_MS = 30000
};

static bool is_due(const struct shard *shard, const struct store_rules *rules,
                   const struct account *account, int64_t now_ms)
{
	const struct audit_ring *ring = &account->audit;
	size_t first = audit_stored_count(ring);
	if (first >= ring->len || account->storing ||
	    clock_mono_ms(shard->clock) < ring->store_after_mono_ms)
		return false;
	return ring->len - first >= rules->enough ||
		audit_entry_at(ring, first)->at_ms + rules->old_ms <= now_ms;
}

/* As many as one grant has room for, printed as JSON within JSON. */
static void take(const struct account *account, struct store_batch *batch)
{
	const struct audit_ring *ring = &account->audit;
	size_t at = audit_stored_count(ring), bytes = 0;
	snprintf(batch->tenant, sizeof batch->tenant, "%s", account->name);
	batch->from = audit_entry_at(ring, at)->seq;
	for (; at < ring->len; at++) {
		const struct audit_entry *entry = audit_entry_at(ring, at);
		bytes += ROW_BYTES + 4 * entry->len;
		if (entry->seq > batch->from && bytes > BATCH_BYTES_MAX)
			break;
		batch->to = entry->seq;
	}
}

size_t shard_store_due(struct shard *shard, const struct store_rules *rules, int64_t now_ms,
                       struct store_batch batches[STORE_MOST])
{
	size_t count = 0;
	shard_lock(shard);
	bool known = shard->sound && !shard->replaying;
	for (const struct account *at = known ? shard->account_list : NULL;
	     at && count < STORE_MOST; at = at->next)
		if (!account_holds(at, true) && is_due(shard, rules, at, now_ms))
			take(at, &batches[count++]);
	shard_unlock(shard);
	return count;
}

static int read_events(const struct audit_ring *ring, struct arena *arena, int64_t from,
                       int64_t to, struct value *list, struct err *err)
{
	int64_t oldest = ring->len ? audit_entry_at(ring, 0)->seq : INT64_MAX;
	if (from < oldest || to > ring->seq)
		return err_set(err, E_CONFLICT, "some of these audit events are not in memory");
	for (int64_t seq = from; seq <= to; seq++) {
		const struct audit_entry *entry = audit_entry_at(ring, (size_t)(seq - oldest));
		struct value *event = NULL;
		TRY(pack_read(arena, entry->packed, entry->len, &event, err));
		value_add(list, event);
	}
	return value_check(list, err);
}

int shard_store_events(struct shard *shard, struct arena *arena, const char *tenant, int64_t from,
                       int64_t to, struct value **ret_list, struct err *err)
{
	struct value *list = value_list(arena);
	int rc = E_CONFLICT;
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	if (account)
		rc = read_events(&account->audit, arena, from, to, list, err);
	shard_unlock(shard);
	if (!account)
		return err_set(err, E_CONFLICT, "some of these audit events are not in memory");
	*ret_list = list;
	return rc;
}

void shard_store_state(struct shard *shard, const char *tenant, struct store_state *ret_state)
{
	*ret_state = (struct store_state){ 0 };
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	const struct audit_ring *ring = account ? &account->audit : NULL;
	if (ring && ring->len)
		*ret_state = (struct store_state){
			.waiting = ring->len - audit_stored_count(ring),
			.oldest = audit_entry_at(ring, 0)->seq, .stored = ring->stored,
		};
	shard_unlock(shard);
}

/* --- an audit task's end --- */

static int read_spec(const struct task *task, int64_t *ret_from, int64_t *ret_to, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *spec = NULL;
	TRY(arena_new(64 * 1024, &arena, err));
	TRY(pack_read(arena, task->spec.data, task->spec.len, &spec, err));
	*ret_from = value_get_int(spec, "from", 0);
	*ret_to = value_get_int(spec, "to", 0);
	return 0;
}

int audit_stored(struct shard *shard, struct task *task, struct err *err)
{
	struct account *account = task->account;
	struct audit_ring *ring = &account->audit;
	int64_t from = 0, to = 0;
	account->storing = NULL;
	if (task->state != STATE_SUCCEEDED) {
		ring->store_after_mono_ms = clock_mono_ms(shard->clock) + FAILED_WAIT_MS;
		return 0;
	}
	TRY(read_spec(task, &from, &to, err));
	if (to > ring->stored)
		ring->stored = to;
	while (ring->len > STORE_KEEP && audit_entry_at(ring, 0)->seq <= ring->stored)
		audit_drop_oldest(shard, ring);
	task_drop(shard, task);
	return 0;
}
