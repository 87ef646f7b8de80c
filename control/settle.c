/* settle.c - SETTLE, see settle.h. The step table is at the end. Invariants: a report whose
 * token is not its task's current one changes nothing; result, usage and audit of an attempt are
 * in one change; a usage record's id is TASK/ATTEMPT and is counted once. */
#include "common/defs.h"
#include "control/settle.h"

#include "common/log.h"
#include "control/audit.h"
#include "control/late.h"
#include "control/publish.h"
#include "control/record.h"
#include "control/shard_archive.h"
#include "control/sharing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_MAX = 256 * 1024 * 1024, BATCH_MAX = 256 };

struct settlement {
	struct part *part;
	struct control *control;     /* the part's */
	struct arena *arena;
	struct change *change;
	struct settle_item *item;
	const struct err *refused;   /* the change it made cannot be committed; NULL: it can */
	int64_t now_ms;
	bool done;                   /* nothing more to do for this item */
	bool answered;               /* it was a question's */
	struct work work;
	enum task_event event;       /* what becomes of the task */
	int code;
	const char *text;
	struct value *outputs;       /* NULL: none */
	struct amounts amounts;      /* to be charged */
	int64_t cost;
};

typedef int step_fn(struct settlement *settlement, struct err *err);

static bool is_task(const struct settlement *settlement)
{
	return settlement->item->kind != SETTLE_READS &&
		settlement->item->kind != SETTLE_SHARED;
}

/* The task waits again. */
static bool goes_on(const struct settlement *settlement)
{
	return settlement->event == EVENT_RETRY || settlement->event == EVENT_PREEMPTED;
}

/* --- match: is this about the task's current attempt? --- */

static int ignore(struct settlement *settlement)
{
	settlement->done = true;
	settlement->item->ignored = true;
	return 0;
}

/* A question is in no journal, so neither is its answer. */
static int answer(struct settlement *settlement)
{
	const struct report *report = settlement->item->report;
	int code = report->outcome == OUTCOME_SUCCEEDED ? 0 :
		report->code < 0 ? report->code : E_CANCELLED;
	shard_question_answer(settlement->part->shard, settlement->work.id, &report->token, code,
	                      report->text, report->result);
	settlement->answered = true;
	return ignore(settlement);
}

static int match_waiting(struct settlement *settlement, struct err *err)
{
	int found = shard_find(settlement->part->shard, settlement->arena, NULL,
	                       settlement->item->report->task, &settlement->work, err);
	TRY(found);
	enum task_state state = settlement->work.state;
	bool waits = found && settlement->work.cancel &&
		(state == STATE_QUEUED || state == STATE_BLOCKED);
	return waits ? 0 : ignore(settlement);
}

/* A worker tells every shard all of its reads: each takes its own tenants'. */
static bool is_ours(const struct settlement *settlement, const struct reads *reads)
{
	return part_of(settlement->control, reads->tenant) == settlement->part;
}

static int match_reads(struct settlement *settlement)
{
	const struct settle_item *item = settlement->item;
	bool any = false;
	for (size_t i = 0; i < item->reads_count; i++)
		any |= is_ours(settlement, &item->reads[i]);
	any = any && shard_meter_is_new(settlement->part->shard, item->worker, item->meter_seq);
	return any ? 0 : ignore(settlement);
}

/* Nothing is told any more of a tenant that is being erased meanwhile. */
static int add_read(struct settlement *settlement, const struct audit_event *event,
                    struct err *err)
{
	if (!late_keeps(settlement->control, settlement->arena, event->tenant))
		return ignore(settlement);
	return audit_add(settlement->change, event, err);
}

static int match(struct settlement *settlement, struct err *err)
{
	const struct settle_item *item = settlement->item;
	struct shard *shard = settlement->part->shard;
	if (item->kind == SETTLE_READS)
		return match_reads(settlement);
	if (item->kind == SETTLE_CANCEL)
		return match_waiting(settlement, err);
	if (item->kind == SETTLE_SHARED) {
		settlement->done = true;
		if (item->event)
			return add_read(settlement, item->event, err);
		return sharing_audit_read(settlement->control, settlement->part,
		                          settlement->change, item->shared, err);
	}
	int current = shard_match(shard, settlement->arena, item->report->task,
	                          &item->report->token, &settlement->work, err);
	TRY(current);
	if (current && task_is_question(settlement->work.type))
		return answer(settlement);
	return current ? 0 : ignore(settlement);
}

/* --- apply: what becomes of the task --- */

static void end_as(struct settlement *settlement, enum task_event event, int code,
                   const char *text)
{
	settlement->event = event;
	settlement->code = code;
	settlement->text = text;
}

static void expire(struct settlement *settlement)
{
	end_as(settlement, EVENT_FAILED, E_TIMEOUT,
	       "it expired: placement.expires has passed since it was accepted");
}

static void fail(struct settlement *settlement, int code, const char *text)
{
	const struct work *work = &settlement->work;
	if (work->expired)
		expire(settlement);
	else if (work->cancel)
		end_as(settlement, EVENT_CANCELLED, 0, "it was cancelled");
	else
		end_as(settlement, task_after(code, work->attempt - work->forgiven,
		                              work->limits.attempts_max), code, text);
}

/* Ended by its worker though nobody asked for its end: another takes it. */
static void handed_back(struct settlement *settlement)
{
	const struct work *work = &settlement->work;
	if (work->preempted)
		end_as(settlement, EVENT_PREEMPTED, 0, "it gave its place to another task");
	else if (settlement->item->report->handed_back)
		end_as(settlement, EVENT_PREEMPTED, 0, "its worker was told to end, and handed it "
		       "back");
	else
		fail(settlement, E_DEAD_WORKER, "its worker gave it back");
}

static int apply(struct settlement *settlement, struct err *err)
{
	const struct settle_item *item = settlement->item;
	const struct work *work = &settlement->work;
	enum task_state next;
	if (!is_task(settlement))
		return 0;
	if (item->kind == SETTLE_CANCEL)
		fail(settlement, E_CANCELLED, NULL);
	else if (settlement->refused)
		fail(settlement, settlement->refused->code, settlement->refused->text);
	else if (item->report->outcome == OUTCOME_SUCCEEDED)
		end_as(settlement, EVENT_SUCCEEDED, 0, NULL);
	else if (item->report->outcome == OUTCOME_FAILED)
		fail(settlement, item->report->code < 0 ? item->report->code : E_INTERNAL,
		     item->report->text);
	else if (work->cancel)
		fail(settlement, E_CANCELLED, NULL);
	else
		handed_back(settlement);
	return task_apply(work->state, settlement->event, &next, err);
}

/* --- publish: the output becomes the dataset's current snapshot --- */

static int publish_output(struct settlement *settlement, struct err *err)
{
	struct published published;
	struct err why;
	int rc = publish(settlement->control, settlement->arena, settlement->change,
	                 &settlement->work, settlement->item->report, &published, &why);
	if (rc == 0) {
		settlement->outputs = published.outputs;
		settlement->amounts.v[DIM_BYTES_STORED] = published.stored_delta;
		return 0;
	}
	if (rc == E_NOMEM || rc == E_BUSY)   /* not the report's fault: later */
		return err_set(err, rc, "%s", why.text);
	char *text = arena_strdup(settlement->arena, why.text);
	if (!text)
		return err_set(err, E_NOMEM, "no memory to settle a report");
	fail(settlement, rc, text);
	return 0;
}

/* What a sweep, an erasure or a rekey tells of itself: whole numbers. */
static int told_outputs(struct settlement *settlement, const char *const *names, size_t count,
                        struct err *err)
{
	const struct value *result = settlement->item->report->result;
	struct value *list = value_list(settlement->arena), *told = value_map(settlement->arena);
	for (size_t i = 0; i < count; i++)
		value_set_int(told, names[i], value_get_int(result, names[i], 0));
	value_add(list, told);
	settlement->outputs = list;
	return value_check(list, err);
}


static int publish_step(struct settlement *settlement, struct err *err)
{
	bool wrote = is_task(settlement) && settlement->event == EVENT_SUCCEEDED;
	static const char *const swept[] = { "objectsSeen", "objectsDeleted", "bytesDeleted" };
	static const char *const rekeyed[] = { "objectsSeen", "objectsRewritten", "bytesWritten" };
	if (wrote && (settlement->work.type == TASK_SWEEP ||
	              settlement->work.type == TASK_ERASE))
		return told_outputs(settlement, swept, ARRAY_LEN(swept), err);
	if (wrote && settlement->work.type == TASK_REKEY)
		return told_outputs(settlement, rekeyed, ARRAY_LEN(rekeyed), err);
	return wrote ? publish_output(settlement, err) : 0;
}

/* --- charge: what is to be paid for, and what it costs --- */

/* A task counts once, with the attempt that ends it; each attempt costs what it was measured. */
static int charge(struct settlement *settlement, struct err *err)
{
	struct amounts *amounts = &settlement->amounts;
	(void)err;
	if (!is_task(settlement))
		return 0;
	if (task_info[settlement->work.type].platform) {
		*amounts = (struct amounts){ { 0 } };        /* nobody asked for it */
		return 0;
	}
	if (settlement->item->kind == SETTLE_REPORT) {
		const struct usage *usage = &settlement->item->report->usage;
		amounts->v[DIM_CPU_MS] = usage->cpu_ms;
		amounts->v[DIM_BYTES_READ] = usage->bytes_read;
		amounts->v[DIM_BYTES_WRITTEN] = usage->bytes_written;
		amounts->v[DIM_ROWS] = usage->rows;
	}
	if (!goes_on(settlement))
		amounts->v[DIM_TASKS] = 1;
	settlement->cost = shard_cost(settlement->part->shard, amounts);
	return 0;
}

/* --- meter: the usage records --- */

struct bill {
	const char *id, *tenant, *domain, *source;
	const struct amounts *amounts;
	int64_t cost;
};

static int add_usage(struct settlement *settlement, const struct bill *bill, struct err *err)
{
	struct arena *arena = change_arena(settlement->change);
	struct value *record = record_new(arena, RECORD_USAGE, settlement->now_ms);
	TRY(value_check(record, err));
	value_set_str(record, "id", bill->id);
	value_set_str(record, "tenant", bill->tenant);
	value_set_str(record, "domain", bill->domain);
	value_set(record, "amounts", amounts_value(arena, bill->amounts));
	value_set_int(record, "cost", bill->cost);
	value_set_str(record, "source", bill->source);
	return change_record(settlement->change, record, err);
}

/* Of what is measured at serving doors; -1: of none. */
static int metered_dim(const struct reads *reads)
{
	static const enum dim dims[] = {
		DIM_ONLINE_READS, DIM_QUERIES, DIM_CPU_MS, DIM_BYTES_READ,
	};
	if (!reads->dimension)
		return DIM_ONLINE_READS;
	for (size_t i = 0; i < ARRAY_LEN(dims); i++)
		if (strcmp(dim_info[dims[i]].name, reads->dimension) == 0)
			return (int)dims[i];
	return -1;
}

static int meter_reads(struct settlement *settlement, struct err *err)
{
	const struct settle_item *item = settlement->item;
	struct arena *arena = change_arena(settlement->change);
	for (size_t i = 0; i < item->reads_count; i++) {
		const struct reads *reads = &item->reads[i];
		struct amounts amounts = { { 0 } };
		int dim = metered_dim(reads);
		if (!is_ours(settlement, reads) || dim < 0)
			continue;
		amounts.v[dim] = reads->count;
		const char *id = arena_printf(arena, "%s/%" PRId64 "/%" PRId64, item->worker,
		                              item->incarnation, item->meter_seq);
		struct bill bill = {
			id, reads->tenant, reads->domain, reads->dimension ? "query" : "online",
			&amounts,
			shard_cost(settlement->part->shard, &amounts),
		};
		TRY(add_usage(settlement, &bill, err));
	}
	struct value *record = record_new(arena, RECORD_METER, settlement->now_ms);
	TRY(value_check(record, err));
	value_set_str(record, "worker", item->worker);
	value_set_int(record, "incarnation", item->incarnation);
	value_set_int(record, "seq", item->meter_seq);
	return change_record(settlement->change, record, err);
}

static int meter(struct settlement *settlement, struct err *err)
{
	const struct work *work = &settlement->work;
	char id[ID_LEN + 16];
	if (!is_task(settlement))
		return meter_reads(settlement, err);
	if (amounts_zero(&settlement->amounts))
		return 0;
	snprintf(id, sizeof id, "%s/%d", work->id, work->attempt);
	struct bill bill = {
		id, work->tenant, work->domain, "task", &settlement->amounts, settlement->cost
	};
	return add_usage(settlement, &bill, err);
}

/* --- audit --- */

static const char *result_name(enum task_event event)
{
	switch (event) {
	case EVENT_SUCCEEDED: return "succeeded";
	case EVENT_CANCELLED: return "cancelled";
	case EVENT_RETRY: return "retried";
	case EVENT_PREEMPTED: return "preempted";
	case EVENT_EXHAUSTED: return "dead";
	default: return "failed";
	}
}

static int audit(struct settlement *settlement, struct err *err)
{
	char actor[80] = "system";
	/* Storing events makes none, or each would for the next. */
	if (!is_task(settlement) || settlement->work.type == TASK_AUDIT)
		return 0;
	if (settlement->item->worker)
		snprintf(actor, sizeof actor, "worker/%s", settlement->item->worker);
	struct value *detail = value_map(settlement->arena);
	value_set_int(detail, "attempt", settlement->work.attempt);
	value_set_str(detail, "type", task_info[settlement->work.type].name);
	struct audit_event event = {
		.tenant = settlement->work.tenant, .actor = actor, .action = "task:outcome",
		.on_behalf = settlement->work.principal, .purpose = settlement->work.purpose,
		.operation = "settle", .detail = detail,
		.resource = settlement->work.id, .result = result_name(settlement->event),
		.code = settlement->code ? err_name(settlement->code) : NULL,
		.task = settlement->work.id, .at_ms = settlement->now_ms,
	};
	return audit_add(settlement->change, &event, err);
}

/* --- record: the attempt or the outcome itself --- */

static const char *state_of(enum task_event event)
{
	switch (event) {
	case EVENT_SUCCEEDED: return task_state_name(STATE_SUCCEEDED);
	case EVENT_CANCELLED: return task_state_name(STATE_CANCELLED);
	case EVENT_EXHAUSTED: return task_state_name(STATE_DEAD);
	default: return task_state_name(STATE_FAILED);
	}
}

static int record(struct settlement *settlement, struct err *err)
{
	struct arena *arena = change_arena(settlement->change);
	const struct work *work = &settlement->work;
	const struct report *report = settlement->item->report;
	bool again = goes_on(settlement);
	if (!is_task(settlement))
		return 0;
	struct value *map = record_new(arena, again ? RECORD_ATTEMPT : RECORD_OUTCOME,
	                               settlement->now_ms);
	TRY(value_check(map, err));
	bool ran = settlement->item->kind == SETTLE_REPORT;
	value_set_str(map, "id", work->id);
	value_set_str(map, "tenant", work->tenant);
	value_set_str(map, "domain", work->domain);
	value_set_int(map, "attempt", ran ? work->attempt : work->attempt - 1);
	if (again) {
		value_set_int(map, "epoch", report->token.epoch);
		value_set_int(map, "counter", report->token.counter);
		if (settlement->event == EVENT_PREEMPTED)
			value_set_bool(map, "free", true);
	} else {
		value_set_str(map, "state", state_of(settlement->event));
	}
	if (settlement->code)
		value_set_str(map, "code", err_name(settlement->code));
	value_set_str(map, "text", settlement->text);
	if (ran)
		value_set_int(map, "started", work->started_ms);
	if (ran)
		value_set(map, "usage", usage_value(arena, &report->usage));
	if (settlement->outputs)
		value_set(map, "outputs", value_copy(arena, settlement->outputs));
	return change_record(settlement->change, map, err);
}

/* --- the table --- */

struct step {
	const char *name;
	step_fn *run;
};

static const struct step steps[] = {
	{ "match",   match },        /* only the task's current attempt may change it */
	{ "apply",   apply },        /* succeeded, failed, to be retried, cancelled */
	{ "publish", publish_step }, /* the output becomes the current snapshot */
	{ "charge",  charge },       /* what was measured, and its price */
	{ "meter",   meter },        /* the usage record */
	{ "audit",   audit },        /* who did what */
	{ "record",  record },       /* the attempt or the outcome */
};

static int run_steps(struct settlement *settlement, struct err *err)
{
	for (size_t i = 0; !settlement->done && i < ARRAY_LEN(steps); i++) {
		int rc = steps[i].run(settlement, err);
		if (rc < 0)
			return err_prefix(err, "settle: %s", steps[i].name);
	}
	return 0;
}

/* Items whose changes can share a transaction; another attempt of the same dataset waits for the
 * next, so that it sees the snapshot that is being made. */
static int build(struct part *part, struct arena *arena, struct change *change,
                 struct settle_item *const *items, size_t count, const struct err *refused,
                 struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct settlement settlement = {
			.part = part, .control = part->control, .arena = arena, .change = change,
			.item = items[i], .refused = refused,
			.now_ms = clock_unix_ms(part->control->clock),
		};
		items[i]->ignored = false;
		TRY(run_steps(&settlement, err));
		if (items[i]->ignored && items[i]->kind == SETTLE_REPORT && !settlement.answered)
			log_info(&(struct log_context){ .task = items[i]->report->task },
			         "report_ignored", "worker=%s reason=\"not the current attempt\"",
			         items[i]->worker ? items[i]->worker : "none");
	}
	return 0;
}

static int settle_some(struct part *part, struct settle_item *const *items, size_t count,
                       const struct err *refused, struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO(change) *change = NULL;
	bool any = false;
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(change_new(&change, err));
	TRY(build(part, arena, change, items, count, refused, err));
	for (size_t i = 0; i < count; i++)
		any |= !items[i]->ignored;
	return any ? journal_commit(part->journal, change, err) : 0;
}

/* Of one task, or reads of one worker. */
static bool are_one(const struct settle_item *a, const struct settle_item *b)
{
	bool reads = a->kind == SETTLE_READS;
	if (a->kind == SETTLE_SHARED || b->kind == SETTLE_SHARED ||
	    reads != (b->kind == SETTLE_READS))
		return false;
	return reads ? strcmp(a->worker, b->worker) == 0 :
		strcmp(a->report->task, b->report->task) == 0;
}

/* How many of the first items may share a change: at most one that could publish, no task twice,
 * one batch of reads of a worker. */
static size_t sharers(struct settle_item *const *items, size_t count)
{
	bool publishes = false;
	for (size_t i = 0; i < count && i < BATCH_MAX; i++) {
		bool outputs = items[i]->kind == SETTLE_REPORT &&
			items[i]->report->output_count > 0;
		if (outputs && publishes)
			return i;
		publishes |= outputs;
		for (size_t j = 0; j < i; j++)
			if (are_one(items[i], items[j]))
				return i;
	}
	return count < BATCH_MAX ? count : BATCH_MAX;
}

int settle(struct part *part, struct settle_item *const *items, size_t count,
           size_t *ret_count, struct err *err)
{
	size_t together = sharers(items, count);
	int rc = settle_some(part, items, together, NULL, err);
	while (rc < 0 && together > 1 && rc != E_NOT_LEADER && rc != E_UNKNOWN_OUTCOME) {
		/* one's failure is its own; fewer may fit */
		together = rc == E_TOO_LARGE ? together / 2 : 1;
		rc = settle_some(part, items, together, NULL, err);
	}
	if (rc == E_TOO_LARGE && together == 1) {    /* it never will fit */
		struct err refused = *err;
		rc = settle_some(part, items, 1, &refused, err);
	}
	*ret_count = together;
	return rc;
}
