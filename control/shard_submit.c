/* shard_submit.c - admission: idempotency keys, quota, the accepted record. A submitted task
 * holds its quota and its key at once, and is seen by nobody until its record is durable;
 * shard_withdraw undoes it. Keys are kept for 24 hours, the newest KEYS_MAX of them. */
#include "common/defs.h"
#include "control/runs_impl.h"
#include "control/sched_ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ESTIMATE_CPU_MS = 1000 };

/* --- idempotency keys --- */

static void idem_drop_oldest(struct shard *shard)
{
	struct idem *idem = shard->idem_oldest;
	shard->idem_oldest = idem->newer;
	if (!shard->idem_oldest)
		shard->idem_newest = NULL;
	if (!idem->withdrawn)
		hashmap_remove(&shard->idems, &idem->by_key);
	free(idem);
}

/* A tenant's; one that is being submitted now stays until that is over. */
void idems_forget(struct shard *shard, const char *tenant)
{
	size_t len = strlen(tenant);
	struct idem *last = NULL;
	for (struct idem **at = &shard->idem_oldest; *at;) {
		struct idem *idem = *at;
		bool its = strncmp(idem->key, tenant, len) == 0 && idem->key[len] == '/';
		if (!its || !(idem->durable || idem->withdrawn)) {
			last = idem;
			at = &idem->newer;
			continue;
		}
		*at = idem->newer;
		if (!idem->withdrawn)
			hashmap_remove(&shard->idems, &idem->by_key);
		free(idem);
	}
	shard->idem_newest = last;
}

void idems_clear(struct shard *shard)
{
	while (shard->idem_oldest)
		idem_drop_oldest(shard);
}

/* One that is not durable yet is its task's too, and stays. */
static void idems_expire(struct shard *shard, int64_t now_ms)
{
	size_t count = shard->idems.len;
	for (struct idem *at = shard->idem_oldest; at && (at->durable || at->withdrawn);
	     at = shard->idem_oldest) {
		if (!at->withdrawn && at->at_ms + KEY_KEPT_MS > now_ms && count < KEYS_MAX)
			break;
		idem_drop_oldest(shard);
		count = shard->idems.len;
	}
}

static struct idem *idem_find(const struct shard *shard, const char *tenant, const char *key)
{
	char full[64 + 1 + KEY_LEN_MAX + 1];
	snprintf(full, sizeof full, "%s/%s", tenant, key);
	struct hash_node *node = hashmap_find(&shard->idems, full);
	return node ? HASH_OWNER(node, struct idem, by_key) : NULL;
}

struct idem_new {
	const char *tenant, *key, *id;
	const uint8_t *hash;
	int64_t at_ms;
};

static int idem_add(struct shard *shard, const struct idem_new *made, struct idem **ret_idem,
                    struct err *err)
{
	size_t len = strlen(made->tenant) + 1 + strlen(made->key) + 1;
	struct idem *idem = calloc(1, sizeof *idem + len);
	if (!idem)
		return err_set(err, E_NOMEM, "no memory for an idempotency key");
	snprintf(idem->key, len, "%s/%s", made->tenant, made->key);
	snprintf(idem->id, sizeof idem->id, "%s", made->id);
	memcpy(idem->hash, made->hash, DIGEST_BYTES);
	idem->at_ms = made->at_ms;
	if (!hashmap_add(&shard->idems, &idem->by_key, idem->key)) {
		free(idem);
		return err_set(err, E_NOMEM, "no memory for an idempotency key");
	}
	if (shard->idem_newest)
		shard->idem_newest->newer = idem;
	else
		shard->idem_oldest = idem;
	shard->idem_newest = idem;
	*ret_idem = idem;
	return 0;
}

int idem_restore(struct shard *shard, const struct value *accepted, struct err *err)
{
	size_t len = 0;
	struct idem_new made = {
		.tenant = value_get_str(accepted, "tenant"), .key = value_get_str(accepted, "key"),
		.id = value_get_str(accepted, "id"), .at_ms = value_get_int(accepted, "at", 0),
		.hash = value_get_bin(accepted, "key_hash", &len),
	};
	struct idem *idem = NULL;
	if (!made.key || !made.hash || len != DIGEST_BYTES || strlen(made.key) > KEY_LEN_MAX ||
	    made.at_ms + KEY_KEPT_MS <= clock_unix_ms(shard->clock))
		return 0;
	idem = idem_find(shard, made.tenant, made.key);
	if (idem) {                          /* the key had expired and was used again */
		hashmap_remove(&shard->idems, &idem->by_key);
		idem->withdrawn = true;
	}
	TRY(idem_add(shard, &made, &idem, err));
	idem->durable = true;
	return 0;
}

static int idem_known(const struct idem *idem, const struct submission *submission,
                      struct arena *arena, const char **ret_existing, struct err *err)
{
	if (!bytes_equal(idem->hash, submission->body_hash, DIGEST_BYTES))
		return err_set(err, E_CONFLICT, "this Idempotency-Key was used for %s with "
		               "another body; use a new key for a new request", idem->id);
	if (!idem->durable)
		return err_set(err, E_CONFLICT, "a request with this Idempotency-Key is being "
		               "worked on; repeat it in a second for its answer");
	const char *id = arena_strdup(arena, idem->id);
	if (!id)
		return err_set(err, E_NOMEM, "no memory for a task's id");
	*ret_existing = id;
	return 0;
}

/* --- quota --- */

static bool writes_data(enum task_type type)
{
	return type == TASK_INGEST || type == TASK_TRANSFORM;
}

/* What a task surely takes: a cpu estimate (what the user allows, at most a second), one of
 * everything it will spend, and what that costs. Settlement charges what was measured. */
struct amounts admit_reserve(const struct shard *shard, const struct task_request *request)
{
	struct amounts reserve = { { 0 } };
	int64_t cpu_ms = request->limits.cpu_ms;
	reserve.v[DIM_TASKS] = 1;
	reserve.v[DIM_CPU_MS] = cpu_ms > 0 && cpu_ms < ESTIMATE_CPU_MS ? cpu_ms : ESTIMATE_CPU_MS;
	if (request->type != TASK_PROBE)
		reserve.v[DIM_BYTES_READ] = 1;
	if (writes_data(request->type)) {
		reserve.v[DIM_BYTES_WRITTEN] = 1;
		reserve.v[DIM_BYTES_STORED] = 1;
	}
	int64_t cost = rate_cost(shard->rates, &reserve);
	reserve.v[DIM_COST_MICROS] = cost > 0 ? cost : 1;
	return reserve;
}

static int check_room(const struct shard *shard, const struct account *account, size_t count,
                      struct err *err)
{
	size_t waiting = account->waiting + account->blocked;
	if (waiting + count > WAITING_MAX)
		return err_after(err, err_set(err, E_BUSY, "%zu tasks of tenant %s wait and %zu "
		                              "more would be over the %d that may; submit "
		                              "more when some have started", waiting,
		                              account->name, count, WAITING_MAX),
		                 sched_soon_s(shard->sched, count, clock_mono_ms(shard->clock)));
	if (shard->finished.len >= FINISHED_MAX)
		return err_set(err, E_BUSY, "%zu ended tasks wait to be written to their tenants' "
		               "histories, which is the most that may; an operator sees to it that "
		               "workers run", shard->finished.len);
	return 0;
}

int admit_quota(struct shard *shard, const struct submission *submission,
                const struct amounts *reserve, size_t count, struct err *err)
{
	struct account *account = NULL;
	struct amounts asked = *reserve;
	TRY(account_get(shard, submission->tenant, &account, err));
	TRY(check_room(shard, account, count, err));
	asked.v[DIM_QUEUED] = (int64_t)count;
	return quota_check(account->quota, submission->domain, &asked, submission->now_ms, err);
}

/* --- the record --- */

static struct value *spec_of(const struct submission *submission, struct arena *arena)
{
	const struct value *spec = submission->request->spec;
	return spec ? value_copy(arena, spec) : value_map(arena);
}

/* The members that only some have. */
static void set_more(const struct submission *submission, struct arena *arena,
                     struct value *record)
{
	const char *name = NULL;
	if (submission->request->place)
		value_set(record, "placement", value_copy(arena, submission->request->place));
	for (size_t i = 0; i < value_len(submission->also); i++) {
		const struct value *member = value_member(submission->also, i, &name);
		value_set(record, name, value_copy(arena, member));
	}
	if (submission->run) {
		value_set_str(record, "run", submission->run);
		value_set_int(record, "node", (int64_t)submission->node);
	}
	if (submission->key) {
		value_set_str(record, "key", submission->key);
		value_set_bin(record, "key_hash", submission->body_hash, DIGEST_BYTES);
	}
}

static int accepted_record(const struct submission *submission, const struct amounts *reserve,
                           struct change *change, struct value **ret_record, struct err *err)
{
	struct arena *arena = change_arena(change);
	const struct task_request *request = submission->request;
	struct value *record = record_new(arena, RECORD_ACCEPTED, submission->now_ms);
	TRY(value_check(record, err));
	value_set_str(record, "id", submission->id);
	value_set_str(record, "tenant", submission->tenant);
	value_set_str(record, "domain", submission->domain);
	value_set_str(record, "principal", submission->principal);
	value_set_str(record, "type", task_info[request->type].name);
	value_set(record, "spec", spec_of(submission, arena));
	value_set(record, "limits", record_limits(arena, &request->limits));
	value_set(record, "reserve", amounts_value(arena, reserve));
	set_more(submission, arena, record);
	*ret_record = record;
	return change_record(change, record, err);
}

int admit_task(struct shard *shard, const struct submission *submission,
               const struct amounts *reserve, struct change *change, struct task **ret_task,
               struct err *err)
{
	struct value *record = NULL;
	TRY(accepted_record(submission, reserve, change, &record, err));
	return task_from_record(shard, record, ret_task, err);
}

int admit_idem(struct shard *shard, const struct submission *submission, struct idem **ret_idem,
               struct err *err)
{
	struct idem_new key = {
		submission->tenant, submission->key, submission->id, submission->body_hash,
		submission->now_ms,
	};
	return submission->key ? idem_add(shard, &key, ret_idem, err) : 0;
}

void admit_forget(struct shard *shard, struct idem *idem)
{
	if (!idem)
		return;
	hashmap_remove(&shard->idems, &idem->by_key);
	idem->withdrawn = true;
}

int admit_key(struct shard *shard, const struct submission *submission, struct arena *arena,
              const char **ret_existing, struct err *err)
{
	size_t len = submission->key ? strlen(submission->key) : 1;
	if (len < 1 || len > KEY_LEN_MAX)
		return err_set(err, E_INVALID, "Idempotency-Key has %zu characters; it may have 1 "
		               "to %d", len, KEY_LEN_MAX);
	if (!shard->sound || shard->replaying)
		return err_set(err, E_UNAVAILABLE, "the leader is reading its journal again; try "
		               "again in a second");
	idems_expire(shard, submission->now_ms);
	const struct idem *known = submission->key ?
		idem_find(shard, submission->tenant, submission->key) : NULL;
	return known ? idem_known(known, submission, arena, ret_existing, err) : 0;
}

static int submit(struct shard *shard, const struct submission *submission, struct change *change,
                  struct arena *arena, const char **ret_existing, struct err *err)
{
	struct task *task = NULL;
	TRY(admit_key(shard, submission, arena, ret_existing, err));
	if (*ret_existing)
		return 0;
	struct amounts reserve = admit_reserve(shard, submission->request);
	TRY(admit_quota(shard, submission, &reserve, 1, err));
	TRY(admit_task(shard, submission, &reserve, change, &task, err));
	int rc = admit_idem(shard, submission, &task->idem, err);
	if (rc < 0)
		task_drop(shard, task);
	return rc;
}

int shard_submit(struct shard *shard, const struct submission *submission, struct change *change,
                 struct arena *arena, const char **ret_existing, struct err *err)
{
	*ret_existing = NULL;
	shard_lock(shard);
	int rc = submit(shard, submission, change, arena, ret_existing, err);
	shard_unlock(shard);
	return rc;
}

void shard_withdraw(struct shard *shard, const char *id)
{
	shard_lock(shard);
	struct task *task = task_find(shard, id);
	if (task && !task->durable) {
		admit_forget(shard, task->idem);
		task_drop(shard, task);
	}
	shard_unlock(shard);
}
