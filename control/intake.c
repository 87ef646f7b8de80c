/* intake.c - see intake.h. */
#include "common/defs.h"
#include "control/intake.h"

#include "api/graph.h"
#include "common/crypto.h"
#include "common/pack.h"
#include "control/rules.h"
#include "control/tenancy.h"

#include <stdatomic.h>
#include <string.h>

enum { BODY_MAX = 1024 * 1024 };

int intake_domain(struct control *control, const struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	TRY(request_needs_lead(request, err));
	catalog_key(key, KIND_DOMAIN, request->tenant, NULL, request->domain);
	if (catalog_has(control->catalog, key))
		return 0;
	return err_set(err, E_NOT_FOUND, "the domain %s does not exist", request->domain);
}

const char *intake_principal(const struct request *request)
{
	return arena_printf(request->arena, "%s/%s", request->asker.tenant,
	                    request->asker.principal);
}

static bool printable(const char *text)
{
	for (; *text; text++)
		if (*text < 0x21 || *text > 0x7e)
			return false;
	return true;
}

int intake_key(const struct request *request, const char *key, const char *field,
               const char **ret_key, struct err *err)
{
	if (!key || !*key || strlen(key) > IDEMPOTENCY_KEY_MAX || !printable(key))
		return err_set(err, E_INVALID, "%s has 1 to %d printable characters without "
		               "spaces", field, IDEMPOTENCY_KEY_MAX);
	*ret_key = arena_printf(request->arena, "%s/%s", request->domain, key);
	return *ret_key ? 0 : err_set(err, E_NOMEM, "no memory for an Idempotency-Key");
}

/* Of what the body means, not how it is written. */
static int hash_body(const struct request *request, uint8_t out[DIGEST_BYTES], struct err *err)
{
	AUTO_BUF packed;
	buf_init(&packed, BODY_MAX);
	TRY(pack_write(request->body, &packed, err));
	TRY(buf_check(&packed, err));
	digest(packed.data, packed.len, out);
	return 0;
}

static int read_key(struct request *request, const char **ret_key, struct err *err)
{
	const char *key = request_header(request, "Idempotency-Key");
	*ret_key = NULL;
	return key ? intake_key(request, key, "Idempotency-Key", ret_key, err) : 0;
}

static int task_rules(struct control *control, struct request *request, struct err *err)
{
	struct task_request asked;
	TRY(task_request_read(request->body, &asked, err));
	TRY(rules_task(control, request, task_info[asked.type].fields, asked.spec, err));
	return shard_fits(request->part->shard, request->arena, &asked, err);
}

/* A pipeline's tasks are looked at as its author's were, for who asks now. */
static int run_rules(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *pipeline = NULL;
	const struct value *tasks = value_get(request->body, "tasks");
	const char *name = value_get_str(request->body, "pipeline");
	TRY(fields_check(run_request_fields, request->body, "", err));
	if (!name && !tasks)
		return err_set(err, E_INVALID, "a run names its pipeline or its tasks; this names "
		               "neither");
	if (!tasks) {
		catalog_key(key, KIND_PIPELINE, request->tenant, request->domain, name);
		if (!catalog_has(control->catalog, key))
			return 0;                    /* control/submit.c says so */
		TRY(catalog_get(control->catalog, request->arena, key, &pipeline, NULL, err));
		tasks = value_get(value_get(pipeline, "spec"), "tasks");
	}
	return rules_graph(control, request, tasks, "tasks", true, err);
}

static int check(struct control *control, struct request *request, bool run, struct err *err)
{
	TRY(tenancy_needs(control, request->tenant, TENANCY_RUN, err));
	if (!request->body)
		return err_set(err, E_INVALID, "the body is empty; it must hold %s",
		               run ? "{\"pipeline\": NAME} or {\"tasks\": [...]}" :
		               "{\"type\": ..., \"spec\": {...}}");
	return run ? run_rules(control, request, err) : task_rules(control, request, err);
}

static void undo(struct request *request)
{
	const struct submitted *submitted = request->state;
	submit_withdraw(request->part, submitted);
}

/* Every task of a run, before any is reserved. */
static int run_fits(struct request *request, const struct submit *submit, struct err *err)
{
	struct graph graph;
	TRY(submit_graph(request->part, submit, request->arena, &graph, err));
	for (size_t i = 0; i < graph.count; i++)
		if (shard_fits(request->part->shard, request->arena, &graph.tasks[i].request,
		               err) < 0)
			return err_prefix(err, "tasks[%zu]", i);
	return 0;
}

static int add(struct request *request, struct submit *submit, struct submitted *submitted,
               struct err *err)
{
	AUTO(change) *change = NULL;
	if (request->dry_run)
		submit->key = NULL;
	/* Its own until it is known that there is something to commit. */
	TRY(change_new(&change, err));
	TRY(submit_add(request->part, submit, change, request->arena, submitted, err));
	if (request->dry_run)
		submit_withdraw(request->part, submitted);
	if (request->dry_run || submitted->existing)
		return 0;
	request->change = MOVE(change);
	request->submitted = submitted->id;
	request->undo = undo;
	return 0;
}

int intake_submit(struct control *control, struct request *request, bool run,
                  const struct submitted **ret_submitted, struct err *err)
{
	uint8_t hash[DIGEST_BYTES];
	struct submitted *submitted = arena_alloc(request->arena, sizeof *submitted);
	struct submit submit = {
		.tenant = request->tenant, .domain = request->domain, .body = request->body,
		.principal = intake_principal(request), .body_hash = hash,
		.now_ms = request->now_ms,
	};
	TRY(intake_domain(control, request, err));
	TRY(check(control, request, run, err));
	TRY(read_key(request, &submit.key, err));
	TRY(behalf_of(request, false, &submit.behalf, err));
	TRY(hash_body(request, hash, err));
	if (!submitted || !submit.principal)
		return err_set(err, E_NOMEM, "no memory to submit a task");
	if (run)
		TRY(run_fits(request, &submit, err));
	request->state = submitted;
	TRY(add(request, &submit, submitted, err));
	*ret_submitted = submitted;
	return 0;
}

void intake_hold(struct control *control, const struct request *request, int64_t after,
                 int64_t wait_ms)
{
	if (atomic_fetch_add(&control->held, 1) < control->held_max)
		shard_wait(request->part->shard, request->task, after,
		           clock_mono_ms(control->clock) + wait_ms);
	atomic_fetch_sub(&control->held, 1);
}

bool intake_is_own(const struct request *request, const struct value *shown)
{
	const char *owner = value_get_str(shown, "principal");
	const char *asker = intake_principal(request);
	return owner && asker && strcmp(owner, asker) == 0;
}
