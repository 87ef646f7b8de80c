/* dispatch_assign.c - tasks to workers with free slots: the shard says which task is next, the
 * plan what its attempt may do, the signed grant tells the worker. One task a worker, then the next
 * worker's turn; who was tried in vain is tried again when something has changed. */
#include "common/defs.h"
#include "control/dispatch_impl.h"

#include "common/log.h"
#include "control/audit.h"
#include "control/plan.h"

#include <stdio.h>
#include <string.h>

enum { SEAL_PROTOCOL = 2, INPUTS_AN_EVENT = 32, RESOURCE_TEXT_MAX = 250 };

/* Each grant has a box of its own where the worker knows the first protocol only, and where no
 * locked memory is left for a seal. */
static int sign(const struct grant_signer *signer, const struct grant *grant,
                struct worker *worker, struct buf *out, struct err *err)
{
	struct err why;
	if (worker->self.protocol >= SEAL_PROTOCOL && !worker->seal &&
	    grant_seal_new(worker->box_public, &worker->seal, &why) < 0)
		worker->seal = NULL;
	if (worker->seal)
		return grant_sign_with(signer, grant, worker->seal, out, err);
	return grant_sign(signer, grant, worker->box_public, out, err);
}

static void note_lender(struct lenders *lenders, const char *tenant)
{
	if (lenders->count < LENDERS_MAX)
		snprintf(lenders->names[lenders->count], sizeof lenders->names[0], "%s", tenant);
	lenders->count++;
}

/* What one event tells of: as many inputs as its resource can name (api/datapath.h). */
struct noting {
	const struct work *work;
	const struct grant *grant;
	size_t next;                 /* the first that no event tells of yet */
	char resource[RESOURCE_TEXT_MAX];
	struct value *inputs;
};

/* Another tenant's has an event of its own, with its path. False: it is for the next event. */
static bool name_input(struct noting *noting, const struct grant_table *table)
{
	size_t len = strlen(noting->resource);
	if (table->tenant)
		return true;
	int more = snprintf(noting->resource + len, sizeof noting->resource - len,
	                    "%sdatasets/%s.%s", len ? " " : "", table->domain, table->name);
	if (more > 0 && (size_t)more < sizeof noting->resource - len)
		return true;
	noting->resource[len] = 0;
	return len == 0;
}

static void take_inputs(struct noting *noting, struct arena *arena)
{
	const struct grant *grant = noting->grant;
	size_t end = noting->next + INPUTS_AN_EVENT;
	noting->resource[0] = 0;
	noting->inputs = value_list(arena);
	for (; noting->next < grant->input_count && noting->next < end; noting->next++) {
		const struct grant_table *table = &grant->inputs[noting->next];
		struct value *input = value_map(arena);
		if (!name_input(noting, table))
			break;
		value_set_str(input, "tenant", table->tenant);
		value_set_str(input, "domain", table->domain);
		value_set_str(input, "dataset", table->name);
		value_set_str(input, "uid", table->uid);
		value_set_int(input, "snapshot", table->snapshot);
		value_add(noting->inputs, input);
	}
	if (!noting->resource[0])
		snprintf(noting->resource, sizeof noting->resource, "%s", noting->work->id);
}

/* What an attempt may read now, and which snapshots: an event, of many inputs several. */
static int note_inputs(struct dispatch *dispatch, struct arena *arena, const struct work *work,
                       const struct grant *grant, struct given *given, struct err *err)
{
	struct noting noting = { .work = work, .grant = grant };
	while (noting.next < grant->input_count) {
		struct value *detail = value_map(arena);
		take_inputs(&noting, arena);
		value_set_int(detail, "attempt", work->attempt);
		value_set_str(detail, "type", task_info[work->type].name);
		value_set(detail, "inputs", noting.inputs);
		TRY(value_check(detail, err));
		const struct audit_event event = {
			.tenant = work->tenant, .actor = "system/dispatch",
			.on_behalf = work->principal, .action = "dataset:read",
			.verb = VERB_READ_DATA, .operation = "grant",
			.resource = noting.resource, .task = work->id, .result = "allowed",
			.purpose = work->purpose, .detail = detail,
			.at_ms = clock_unix_ms(dispatch->control->clock),
		};
		if (!job_event(dispatch, given, &event))
			return err_set(err, E_NOMEM, "no memory for the event of what an attempt "
			               "reads");
	}
	return 0;
}

static int make_grant(struct dispatch *dispatch, struct worker *worker, struct arena *arena,
                      const struct work *work, struct given *given, struct err *err)
{
	struct grant *grant = NULL;
	struct plan_reads reads;
	TRY(plan_grant_reads(dispatch->control, arena, work, worker->name, &grant, &reads, err));
	int rc = sign(dispatch->control->signer, grant, worker, &given->grant, err);
	if (rc == 0 && grant->input_count && work->type != TASK_AUDIT)
		rc = note_inputs(dispatch, arena, work, grant, given, err);
	grant_wipe(grant);
	for (size_t i = 0; rc == 0 && i < reads.count; i++) {
		note_lender(&given->lenders, reads.items[i].shared.tenant);
		if (!job_shared(dispatch, given, &reads.items[i]))
			rc = err_set(err, E_NOMEM, "no memory for the event of a shared read");
	}
	return rc;
}

/* What cannot be planned ends as a failed attempt, with the user's sentence; what memory is missing
 * for is tried again before. False: it waits again. */
static bool refuse(struct dispatch *dispatch, const struct work *work, const struct err *err)
{
	struct shard *shard = dispatch->part->shard;
	log_info(&(struct log_context){ .tenant = work->tenant, .task = work->id },
	         "attempt_not_planned", "code=%s reason=\"%s\"", err_name(err->code), err->text);
	if (err->code == E_NOMEM && shard_unassign(shard, work->id, &work->token))
		return false;
	if (job_lost(dispatch, NULL, work->id, &work->token, err->code, err->text))
		return true;
	shard_put_back(shard, work->id, &work->token);
	return false;
}

static int give(struct dispatch *dispatch, struct worker *worker, struct arena *arena,
                const struct work *work, struct err *err)
{
	struct given *given = NULL;
	TRY(worker_give(worker, work->id, &work->token, &given, err));
	int rc = make_grant(dispatch, worker, arena, work, given, err);
	if (rc == 0)
		rc = buf_check(&given->grant, err);
	if (rc < 0) {
		worker_take_back(worker, given);
		return rc;
	}
	given->cancel = work->cancel;
	given->memory_bytes = work->limits.memory_bytes;
	worker->slots--;
	worker->memory_bytes -= work->limits.memory_bytes < worker->memory_bytes ?
		work->limits.memory_bytes : worker->memory_bytes;
	if (given_ready(given))      /* else when what it reads is written down */
		worker_prompt(worker);
	return 0;
}

/* One task for a worker; false: there is none for it now. */
static bool assign_one(struct dispatch *dispatch, struct worker *worker)
{
	struct arena *arena = dispatch->scratch;
	struct control *control = dispatch->control;
	struct work work;
	struct err err;
	struct pick pick = {
		.worker = worker->name, .token = { dispatch->epoch, dispatch->counter + 1 },
		.memory_bytes = worker->memory_bytes, .replay = dispatch->replay,
		.inherited = clock_mono_ms(control->clock) >= dispatch->adopt_until_ms,
	};
	arena_reset(arena);
	if (shard_pick(dispatch->part->shard, &pick, arena, &work, &err) != 1)
		return false;
	dispatch->counter++;
	return give(dispatch, worker, arena, &work, &err) == 0 || refuse(dispatch, &work, &err);
}

static bool work_waits(struct dispatch *dispatch)
{
	struct shard_counts counts;
	shard_counts(dispatch->part->shard, &counts);
	return counts.waiting > 0;
}

void assign(struct dispatch *dispatch)
{
	struct worker *worker;
	while ((worker = workers_fresh(&dispatch->workers)) && work_waits(dispatch)) {
		if (assign_one(dispatch, worker))
			worker_update(worker);
		else
			worker_set_tried(worker);
	}
}
