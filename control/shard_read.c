/* shard_read.c - what clients may see of the shard: tasks, their waiting, usage. Everything is
 * copied into the caller's arena while the lock is held. */
#include "common/defs.h"
#include "control/runs_impl.h"

#include "common/pack.h"

#include <inttypes.h>
#include <string.h>

enum { PAGE_MAX = 1000 };

static void set_time(struct value *map, const char *name, int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	if (unix_ms > 0)
		value_set_str(map, name, time_print_ms(unix_ms, text));
}

/* Why it does not run yet, with the numbers. */
static const char *waiting_reason(const struct shard *shard, struct arena *arena,
                                  const struct task *task)
{
	int64_t now_ms = clock_mono_ms(shard->clock), wait_ms = task->due_mono_ms - now_ms;
	if (task->cancel)
		return "it is being cancelled";
	if (wait_ms > 0)
		return arena_printf(arena, "attempt %d starts in %" PRId64 " ms",
		                    task->attempts + 1, wait_ms);
	return sched_why(shard->sched, &task->entry, now_ms, arena);
}

static struct value *progress_value(struct arena *arena, const struct task *task)
{
	struct value *map = value_map(arena);
	if (!map)
		return NULL;
	value_set_str(map, "phase", task->phase);
	value_set_int(map, "rows", task->progress.rows);
	value_set_int(map, "bytes", task->progress.bytes);
	if (task->progress.percent >= 0)
		value_set_int(map, "percent", task->progress.percent);
	return map;
}

static struct value *usage_map(struct arena *arena, const struct task *task)
{
	struct value *map = task->used ? amounts_value(arena, task->used) : value_map(arena);
	if (map && task->wall_ms > 0)
		value_set_int(map, "wallMs", task->wall_ms);
	if (map && task->memory_peak_bytes > 0)
		value_set_int(map, "memoryPeakBytes", task->memory_peak_bytes);
	return map;
}

static void set_packed(struct value *map, const char *name, struct arena *arena,
                       const struct buf *packed)
{
	struct value *value = NULL;
	struct err err;
	if (packed->len > 0 && pack_read(arena, packed->data, packed->len, &value, &err) < 0)
		value = NULL;                /* the map is marked as failed by the NULL member */
	if (packed->len > 0)
		value_set(map, name, value);
}

/* Why it is in its state. */
const char *task_reason(const struct shard *shard, struct arena *arena, const struct task *task)
{
	const struct trail_step *last = trail_last(&task->trail);
	const struct trail_step running = {
		.event = EVENT_ASSIGNED, .attempt = task->attempts + 1,
	};
	if (task->state == STATE_QUEUED)
		return waiting_reason(shard, arena, task);
	if (task->state == STATE_BLOCKED)
		return task->cancel ? "it is being cancelled" : run_blocked_by(arena, task);
	if (task->state == STATE_RUNNING)
		return trail_reason(arena, &running);
	if (task->state == STATE_CANCELLED && task->text)
		return task->text;
	return last ? trail_reason(arena, last) : NULL;
}

/* Its last transitions; the attempt that runs is in no record yet. */
static struct value *transitions(struct arena *arena, const struct task *task)
{
	const char *text = task->state == STATE_CANCELLED ? task->text : NULL;
	bool was_blocked = task->node && task->node->dep_count > 0;
	struct value *list = trail_value(arena, &task->trail, task->accepted_ms, was_blocked,
	                                 text);
	const struct trail_step running = {
		.event = EVENT_ASSIGNED, .state = STATE_RUNNING, .attempt = task->attempts + 1,
		.at_ms = task->started_ms,
	};
	if (list && task->state == STATE_RUNNING)
		value_add(list, trail_step_value(arena, &running));
	return list;
}

static void set_all(struct value *map, struct arena *arena, const struct value *members)
{
	const char *name = NULL;
	for (size_t i = 0; i < value_len(members); i++) {
		const struct value *member = value_member(members, i, &name);
		if (strcmp(name, "reader") != 0)
			value_set(map, name, value_copy(arena, member));
	}
}

/* What few tasks have: a placement; a schedule's interval, of its own or its run's. */
static void set_also(struct value *map, struct arena *arena, const struct task *task)
{
	struct value *also = NULL;
	struct err err;
	if (task->also.len > 0 &&
	    pack_read(arena, task->also.data, task->also.len, &also, &err) < 0)
		value_set(map, "placement", NULL);       /* the map is marked as failed */
	set_all(map, arena, also);
	if (!task->node)
		return;
	set_all(map, arena, task->node->run->also);
	value_set_str(map, "run", task->node->run->id);
	value_set_str(map, "name", task->node->name);
}

static void set_state(const struct shard *shard, struct value *map, struct arena *arena,
                      const struct task *task)
{
	bool final = task_state_final(task->state);
	value_set_str(map, "state", task_state_name(task->state));
	value_set_int(map, "attempt", task->attempts - task->forgiven +
	              (task->state == STATE_RUNNING));
	value_set_str(map, "reason", task_reason(shard, arena, task));
	if (task->state == STATE_RUNNING) {
		value_set_str(map, "worker", task->worker);
		value_set(map, "progress", progress_value(arena, task));
	}
	if (task->cancel && !final)
		value_set_bool(map, "cancelRequested", true);
	if (task->code != 0 && task->state != STATE_SUCCEEDED) {
		struct value *error = value_map(arena);
		if (error) {
			value_set_str(error, "code", err_name(task->code));
			value_set_str(error, "text", task->text);
		}
		value_set(map, "error", error);
	}
}

static struct value *task_value(const struct shard *shard, struct arena *arena,
                                const struct task *task)
{
	struct value *map = value_map(arena);
	if (!map)
		return NULL;
	value_set_str(map, "id", task->id);
	value_set_str(map, "tenant", task->account->name);
	value_set_str(map, "domain", task->domain);
	value_set_str(map, "type", task_info[task->type].name);
	set_packed(map, "spec", arena, &task->spec);
	value_set(map, "limits", record_limits(arena, &task->limits));
	value_set_str(map, "principal", task->principal);
	set_state(shard, map, arena, task);
	set_time(map, "acceptedAt", task->accepted_ms);
	set_time(map, "startedAt", task->started_ms);
	set_time(map, "endedAt", task->ended_ms);
	set_time(map, "expiresAt", task->expires_ms);
	set_also(map, arena, task);
	value_set(map, "transitions", transitions(arena, task));
	value_set(map, "usage", usage_map(arena, task));
	set_packed(map, "outputs", arena, &task->outputs);
	value_set_int(map, "version", task->version);
	return map;
}

static bool belongs(const struct task *task, const char *tenant, const char *domain)
{
	return task->durable && strcmp(task->account->name, tenant) == 0 &&
		(!domain || strcmp(task->domain, domain) == 0);
}

struct value *shard_task(struct shard *shard, struct arena *arena, const char *tenant,
                         const char *domain, const char *id)
{
	struct value *map = NULL;
	shard_lock(shard);
	const struct task *task = task_find(shard, id);
	if (task && belongs(task, tenant, domain))
		map = task_value(shard, arena, task);
	shard_unlock(shard);
	return map;
}

void shard_wait(struct shard *shard, const char *id, int64_t after, int64_t deadline_mono_ms)
{
	shard_lock(shard);
	for (;;) {
		const struct task *task = task_find(shard, id);
		if (!task || task->version > after || task_state_final(task->state))
			break;
		if (!clock_wait(shard->clock, &shard->changed, &shard->mutex, deadline_mono_ms))
			break;
	}
	shard_unlock(shard);
}

/* --- lists --- */

static const struct task *list_start(const struct shard *shard, const struct account *account,
                                     const char *before)
{
	const struct task *task = before ? task_find(shard, before) : NULL;
	if (task && task->account == account)
		return task->older;
	/* It has left for the history: those accepted before it follow. What is another tenant's
	 * says no more than what is nobody's. */
	task = account->newest;
	while (before && task && strcmp(task->id, before) >= 0)
		task = task->older;
	return task;
}

static int list_add(const struct shard *shard, struct arena *arena, const struct task *task,
                    struct value *list, struct err *err)
{
	value_add(list, task_value(shard, arena, task));
	return value_check(list, err);
}

/* What few tasks have is unpacked to be compared. */
static bool has_also(struct arena *arena, const struct task *task, const char *name,
                     const char *text)
{
	struct value *also = NULL;
	if (!task->also.len ||
	    pack_read(arena, task->also.data, task->also.len, &also, NULL) < 0)
		return false;
	const char *has = value_get_str(also, name);
	return has && strcmp(has, text) == 0;
}

static bool of_run(const struct task *task, const char *run)
{
	return task->node && strcmp(task->node->run->id, run) == 0;
}

/* Of an acceptance in the filter's time, which is said by ids. */
static bool in_time(const struct task *task, const struct task_filter *filter)
{
	return (!filter->from_id || strcmp(task->id, filter->from_id) >= 0) &&
		(!filter->before_id || strcmp(task->id, filter->before_id) < 0);
}

static bool is_wanted(struct arena *arena, const struct task *task,
                      const struct task_filter *filter)
{
	if (!task->durable || !in_time(task, filter) ||
	    (filter->states && !(filter->states & 1u << task->state)))
		return false;
	if (filter->domain && strcmp(task->domain, filter->domain) != 0)
		return false;
	if (filter->type && strcmp(task_info[task->type].name, filter->type) != 0)
		return false;
	return (!filter->run || of_run(task, filter->run)) &&
		(!filter->schedule || has_also(arena, task, "schedule", filter->schedule));
}

static int list_tasks(const struct shard *shard, struct arena *arena, const struct task *task,
                      const struct task_filter *filter, size_t limit, struct value *list,
                      bool *ret_more, struct err *err)
{
	for (; task; task = task->older) {
		if (!is_wanted(arena, task, filter))
			continue;
		if (value_len(list) == limit) {
			*ret_more = true;
			return 0;
		}
		TRY(list_add(shard, arena, task, list, err));
	}
	return 0;
}

int shard_list(struct shard *shard, struct arena *arena, const char *tenant,
               const struct task_filter *filter, size_t limit, struct value **ret_list,
               bool *ret_more, struct err *err)
{
	struct value *list = value_list(arena);
	bool more = false;
	int rc = value_check(list, err);
	TRY(rc);
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	if (account)
		rc = list_tasks(shard, arena, list_start(shard, account, filter->before_id), filter,
		                limit > 0 && limit < PAGE_MAX ? limit : PAGE_MAX, list, &more, err);
	shard_unlock(shard);
	TRY(rc);
	*ret_list = list;
	*ret_more = more;
	return 0;
}

/* --- usage --- */

static struct value *domain_usage(const struct account *account, struct arena *arena,
                                  const char *domain, int64_t now_ms)
{
	struct amounts used;
	quota_used(account->quota, domain, now_ms, "total", &used);
	struct value *map = amounts_value(arena, &used);
	if (map && domain)
		value_set_str(map, "domain", domain);
	return map;
}

static void set_usage(const struct shard *shard, const struct account *account, struct arena *arena,
                      struct value *map, struct value *domains)
{
	int64_t now_ms = clock_unix_ms(shard->clock);
	struct amounts reserved;
	const char *domain = NULL;
	for (size_t i = 0; domains && (domain = quota_domain(account->quota, i)); i++) {
		struct value *used = domain_usage(account, arena, domain, now_ms);
		if (value_len(used) > 1) /* the quota also knows domains of refused tasks */
			value_add(domains, used);
	}
	quota_reserved(account->quota, &reserved);
	value_set(map, "total", domain_usage(account, arena, NULL, now_ms));
	value_set(map, "reserved", amounts_value(arena, &reserved));
}

struct value *shard_usage(struct shard *shard, struct arena *arena, const char *tenant)
{
	struct value *map = value_map(arena), *domains = value_list(arena);
	if (!map || !domains)
		return NULL;
	value_set_str(map, "tenant", tenant);
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	if (account)
		set_usage(shard, account, arena, map, domains);
	shard_unlock(shard);
	if (!account) {
		value_set(map, "total", value_map(arena));
		value_set(map, "reserved", value_map(arena));
	}
	value_set(map, "domains", domains);
	return map;
}
