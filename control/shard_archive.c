/* shard_archive.c - see shard_archive.h. */
#include "common/defs.h"
#include "control/shard_archive.h"

#include "common/pack.h"
#include "control/runs_impl.h"

#include <stdio.h>
#include <string.h>

enum {
	LOOK_MAX = 262144,           /* ended tasks looked at in one go */
	ROW_BYTES = 1500,            /* of a row beside what the task brings */
	BATCH_BYTES_MAX = 1300 * 1024,
	RESULT_MAX = 2 * 1024 * 1024, FAILED_WAIT_MS = 60000
};

/* --- which leave --- */

/* While its run goes on, what a task came to is still asked for; and one that is being started
 * anew has not ended. */
static bool is_needed(const struct task *task)
{
	return task->hold.open || (task->node && task->node->run->open > 0);
}

static bool may_leave(const struct leave_rules *rules, const struct task *task, int64_t now_ms)
{
	int64_t stays_ms = task->state == STATE_DEAD ? rules->dead_ms : rules->young_ms;
	return task->ended_ms + stays_ms <= now_ms && !is_needed(task);
}

/* An account's own notes of this look; those of an earlier one are void. */
static struct ripe *ripe_of(struct shard *shard, struct account *account)
{
	struct ripe *ripe = &account->ripe;
	if (ripe->look != shard->looks) {
		ripe->look = shard->looks;
		ripe->count = 0;
		ripe->old = false;
		ripe->taken = NULL;
	}
	return ripe;
}

static bool is_due(const struct shard *shard, const struct leave_rules *rules,
                   const struct account *account)
{
	const struct ripe *ripe = &account->ripe;
	return !account->archive && (ripe->count >= rules->enough || ripe->old) &&
		clock_mono_ms(shard->clock) >= ripe->after_mono_ms;
}

struct batch {
	struct account *account;
	struct buf ids;
	size_t count, bytes;
	bool full;
};

/* What nothing but its row would need is in its spec and outputs; twice, as JSON escapes it. */
static size_t row_bytes(const struct task *task)
{
	return ROW_BYTES + 2 * (task->spec.len + task->also.len + task->outputs.len);
}

static size_t most_of(const struct account *account)
{
	return account->ripe.most ? account->ripe.most : ARCHIVE_ROWS_MAX;
}

static void batch_add(struct batch *batch, const struct task *task)
{
	bool platform = task_info[task->type].platform;
	size_t bytes = platform ? 0 : row_bytes(task);
	if (batch->full)
		return;
	if (batch->count > 0 && (batch->bytes + bytes > BATCH_BYTES_MAX ||
	                         batch->count >= most_of(batch->account))) {
		batch->full = true;
		return;
	}
	buf_printf(&batch->ids, "%s%s", batch->count ? " " : "", task->id);
	batch->count++;
	batch->bytes += bytes;
}

/* Ended tasks stand in the order in which they ended. */
static void count_ripe(struct shard *shard, const struct leave_rules *rules, int64_t now_ms)
{
	const struct task *task = shard->finished.first;
	shard->looks++;
	for (int i = 0; task && i < LOOK_MAX; i++, task = task->next) {
		if (task->ended_ms + rules->young_ms > now_ms)
			break;
		if (task_info[task->type].platform || !may_leave(rules, task, now_ms))
			continue;
		struct ripe *ripe = ripe_of(shard, task->account);
		ripe->count++;
		ripe->old |= task->ended_ms + rules->old_ms <= now_ms;
	}
}

static void take_ripe(struct shard *shard, const struct leave_rules *rules, int64_t now_ms,
                      struct batch *batches, size_t *count)
{
	const struct task *task = shard->finished.first;
	for (int i = 0; task && i < LOOK_MAX; i++, task = task->next) {
		struct account *account = task->account;
		if (task->ended_ms + rules->young_ms > now_ms)
			break;
		if (!may_leave(rules, task, now_ms))
			continue;
		struct ripe *ripe = ripe_of(shard, account);
		if (!ripe->taken && *count < LEAVING_MAX && is_due(shard, rules, account)) {
			ripe->taken = &batches[(*count)++];
			ripe->taken->account = account;
		}
		if (ripe->taken)
			batch_add(ripe->taken, task);
	}
}

static int give_out(struct batch *batches, size_t count, struct arena *arena,
                    struct leaving *ret_leaving, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		TRY(buf_check(&batches[i].ids, err));
		ret_leaving[i] = (struct leaving){
			.tenant = arena_strdup(arena, batches[i].account->name),
			.ids = arena_strdup(arena, (const char *)batches[i].ids.data),
			.count = batches[i].count,
		};
		if (!ret_leaving[i].tenant || !ret_leaving[i].ids)
			return err_set(err, E_NOMEM, "no memory for what is to be archived");
	}
	return 0;
}

int shard_leaving(struct shard *shard, const struct leave_rules *rules, int64_t now_ms,
                  struct arena *arena, struct leaving *ret_leaving, size_t *ret_count,
                  struct err *err)
{
	struct batch batches[LEAVING_MAX];
	size_t count = 0;
	for (size_t i = 0; i < LEAVING_MAX; i++) {
		batches[i] = (struct batch){ 0 };
		buf_init(&batches[i].ids, ARCHIVE_ROWS_MAX * (ID_LEN + 1) + 1);
	}
	shard_lock(shard);
	if (shard->sound && !shard->replaying) {
		count_ripe(shard, rules, now_ms);
		take_ripe(shard, rules, now_ms, batches, &count);
	}
	int rc = give_out(batches, count, arena, ret_leaving, err);
	shard_unlock(shard);
	for (size_t i = 0; i < LEAVING_MAX; i++)
		buf_release(&batches[i].ids);
	*ret_count = rc == 0 ? count : 0;
	return rc;
}

/* --- an archive task's end --- */

typedef void named_fn(struct shard *shard, struct task *task);

/* The ended tasks that it names; what is not there any more, or runs again, is passed over. */
static int each_named(struct shard *shard, const struct task *archive, named_fn *visit,
                      struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *spec = NULL;
	char id[ID_LEN + 1];
	TRY(arena_new(MIB, &arena, err));
	TRY(pack_read(arena, archive->spec.data, archive->spec.len, &spec, err));
	const char *at = value_get_str(spec, "tasks");
	for (; at && strlen(at) >= ID_LEN; at += ID_LEN + (at[ID_LEN] == ' ')) {
		snprintf(id, sizeof id, "%.*s", ID_LEN, at);
		struct task *task = task_find(shard, id);
		if (task && task->account == archive->account && task->line == &shard->finished)
			visit(shard, task);
	}
	return 0;
}

int archive_ended(struct shard *shard, struct task *task, struct err *err)
{
	struct account *account = task->account;
	struct ripe *ripe = &account->ripe;
	account->archive = NULL;
	size_t most = most_of(account);
	if (task->state != STATE_SUCCEEDED) {
		ripe->most = most > 1 ? most / 2 : 1;
		ripe->after_mono_ms = clock_mono_ms(shard->clock) + FAILED_WAIT_MS;
		return 0;
	}
	ripe->most = most * 2 < ARCHIVE_ROWS_MAX ? most * 2 : ARCHIVE_ROWS_MAX;
	TRY(each_named(shard, task, task_drop, err));
	task_drop(shard, task);
	return 0;
}

/* The key that their history would be sealed with is gone too. */
int apply_gone(struct shard *shard, const struct value *record, struct err *err)
{
	const char *tenant = value_get_str(record, "tenant");
	struct account *account = tenant ? account_find(shard, tenant) : NULL;
	(void)err;
	for (struct task *task = account ? account->newest : NULL, *older = NULL; task;
	     task = older) {
		older = task->older;
		if (task->line == &shard->finished && !task->hold.open)
			task_drop(shard, task);
	}
	return 0;
}

bool task_leaves(const struct task *task)
{
	const struct task *archive = task->account->archive;
	return archive && memmem(archive->spec.data, archive->spec.len, task->id, ID_LEN) != NULL;
}

bool shard_leaves(struct shard *shard, const char *tenant, const char *id)
{
	shard_lock(shard);
	const struct task *task = task_find(shard, id);
	bool leaves = task && strcmp(task->account->name, tenant) == 0 && task_leaves(task);
	shard_unlock(shard);
	return leaves;
}

/* --- platform tasks --- */

static void platform_limits(enum task_type type, struct limits *limits)
{
	limits_default(limits);
	limits->memory_bytes = 512 * MIB;
	limits->threads = 1;
	limits->attempts_max = task_is_question(type) ? 1 : 10;
}

static int make_platform(struct shard *shard, const struct platform_task *made,
                         struct task **ret_task, struct err *err)
{
	struct new_task task = {
		.id = made->id, .tenant = made->tenant, .domain = PLATFORM_DOMAIN,
		.principal = PLATFORM_PRINCIPAL, .type = made->type, .spec = made->spec,
		.at_ms = made->now_ms,
	};
	REQUIRE(task_info[made->type].platform);
	if (!shard->sound || shard->replaying)
		return err_set(err, E_UNAVAILABLE, "the leader is reading its journal again; try "
		               "again in a second");
	platform_limits(made->type, &task.limits);
	placement_default(&task.placement);
	return task_make(shard, &task, ret_task, err);
}

static int add_accepted(const struct platform_task *made, struct change *change, struct err *err)
{
	struct arena *arena = change_arena(change);
	struct value *record = record_new(arena, RECORD_ACCEPTED, made->now_ms);
	struct limits limits;
	TRY(value_check(record, err));
	platform_limits(made->type, &limits);
	value_set_str(record, "id", made->id);
	value_set_str(record, "tenant", made->tenant);
	value_set_str(record, "domain", PLATFORM_DOMAIN);
	value_set_str(record, "principal", PLATFORM_PRINCIPAL);
	value_set_str(record, "type", task_info[made->type].name);
	value_set(record, "spec", value_copy(arena, made->spec));
	value_set(record, "limits", record_limits(arena, &limits));
	value_set(record, "reserve", value_map(arena));
	return change_record(change, record, err);
}

static int check_alone(const struct shard *shard, const struct platform_task *made,
                       struct err *err)
{
	const struct account *account = account_find(shard, made->tenant);
	const struct task *task = account ? account->newest : NULL;
	if (made->type == TASK_ARCHIVE)
		task = account ? account->archive : NULL;
	if (made->type == TASK_AUDIT)
		task = account ? account->storing : NULL;
	for (; task; task = task->older)
		if (task->type == made->type && !task_state_final(task->state))
			return err_set(err, E_CONFLICT, "a task %s of the tenant %s is under way",
			               task_info[made->type].name, made->tenant);
	return 0;
}

int shard_submit_platform(struct shard *shard, const struct platform_task *made,
                          struct change *change, struct err *err)
{
	struct task *task = NULL;
	TRY(add_accepted(made, change, err));
	shard_lock(shard);
	int rc = check_alone(shard, made, err);
	if (rc == 0)
		rc = make_platform(shard, made, &task, err);
	shard_unlock(shard);
	return rc;
}

/* --- questions --- */

bool task_is_question(enum task_type type)
{
	return type == TASK_HISTORY || type == TASK_EVENTS;
}

int shard_question(struct shard *shard, const struct platform_task *made, struct err *err)
{
	struct task *task = NULL;
	REQUIRE(task_is_question(made->type));
	shard_lock(shard);
	int rc = make_platform(shard, made, &task, err);
	if (rc == 0)
		rc = task_enter(shard, task, task->accepted_ms, err);
	if (rc < 0 && task)
		task_drop(shard, task);
	shard_unlock(shard);
	return rc;
}

static int read_answer(const struct task *task, struct arena *arena, struct value **ret_result,
                       struct err *err)
{
	if (task->state == STATE_SUCCEEDED && task->outputs.len > 0)
		return pack_read(arena, task->outputs.data, task->outputs.len, ret_result, err);
	return err_set(err, E_UNAVAILABLE, "the tenant's history could not be read: %s; try again "
	               "in a second", task->text ? task->text : "no worker answered");
}

int shard_question_wait(struct shard *shard, const char *id, int64_t deadline_mono_ms,
                        struct arena *arena, struct value **ret_result, struct err *err)
{
	struct task *task = NULL;
	int rc = 0;
	shard_lock(shard);
	for (;;) {
		task = task_find(shard, id);
		if (!task || task_state_final(task->state))
			break;
		if (!clock_wait(shard->clock, &shard->changed, &shard->mutex, deadline_mono_ms))
			break;
	}
	if (task)
		rc = read_answer(task, arena, ret_result, err);
	else
		rc = err_set(err, E_UNAVAILABLE, "the leader is another now; try again in a "
		             "second");
	/* Of an attempt that still runs nobody wants to hear any more. */
	if (task)
		task_drop(shard, task);
	shard_unlock(shard);
	return rc;
}

static int keep_answer(struct task *task, int code, const char *text, const struct value *result,
                       struct err *err)
{
	if (code == 0 && !result)
		code = err_set(err, E_INTERNAL, "the worker's report has no answer");
	if (code < 0) {
		TRY(task_set_text(task, text ? text : err->text, err));
		return code;
	}
	struct buf packed;
	buf_init(&packed, RESULT_MAX);
	int rc = pack_write(result, &packed, err);
	if (rc == 0)
		rc = buf_check(&packed, err);
	if (rc < 0) {
		buf_release(&packed);
		return rc;
	}
	buf_release(&task->outputs);
	task->outputs = packed;
	return 0;
}

void shard_question_answer(struct shard *shard, const char *id, const struct token *token,
                           int code, const char *text, const struct value *result)
{
	struct err err = { 0 };
	shard_lock(shard);
	struct task *task = task_find(shard, id);
	if (task && task_is_question(task->type) && task->state == STATE_RUNNING &&
	    task->token.epoch == token->epoch && task->token.counter == token->counter) {
		code = keep_answer(task, code, text, result, &err);
		task_stop(shard, task);
		task_leave(shard, task);
		task->state = code == 0 ? STATE_SUCCEEDED : STATE_FAILED;
		task->code = code;
		task_moved(shard, task);
	}
	shard_unlock(shard);
}

/* --- tokens --- */

static bool is_before(const struct token *a, const struct token *b)
{
	return a->epoch != b->epoch ? a->epoch < b->epoch : a->counter < b->counter;
}

/* The token that an attempt of the task may still act under; NULL: there is none. */
static const struct token *token_alive(const struct task *task)
{
	/* A worker may still tell of an attempt that an earlier leader began. */
	if (task->inherited && task->state == STATE_QUEUED)
		return &task->dead;
	return task->state == STATE_RUNNING ? &task->token : NULL;
}

bool shard_token_floor(struct shard *shard, const char *tenant, struct token *ret_floor)
{
	struct token floor = { INT64_MAX, INT64_MAX };
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	bool known = shard->sound && !shard->replaying;
	for (const struct task *task = account ? account->newest : NULL; task; task = task->older) {
		const struct token *alive = token_alive(task);
		if (alive && is_before(alive, &floor))
			floor = *alive;
	}
	shard_unlock(shard);
	*ret_floor = floor;
	return known;
}

bool shard_token_newest(struct shard *shard, const char *tenant, struct token *ret_newest)
{
	struct token newest = { 0, 0 };
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	bool known = shard->sound && !shard->replaying;
	for (const struct task *task = account ? account->newest : NULL; task; task = task->older) {
		const struct token *alive = token_alive(task);
		if (alive && is_before(&newest, alive))
			newest = *alive;
	}
	shard_unlock(shard);
	*ret_newest = newest;
	return known;
}
