/* h_batch.c - many tasks in one request and one change: all of them are accepted, or none is. */
#include "common/defs.h"
#include "control/admit.h"

#include "common/crypto.h"
#include "common/pack.h"
#include "control/dispatch.h"
#include "control/intake.h"
#include "control/rules.h"
#include "control/tenancy.h"

#include <string.h>

handler_fn h_task_batch;

enum { ITEMS_MAX = 1000, ERRORS_MAX = 20, ITEM_BYTES_MAX = 256 * 1024 };
#define KEY_FIELD "idempotencyKey"

struct batch {
	const struct value *items;
	size_t count;
	struct submitted *done;      /* of each */
	size_t done_count;
	const char *principal;
};

/* --- checking --- */

static int read_items(const struct request *request, const struct value **ret_items,
                      struct err *err)
{
	const struct value *items = value_get(request->body, "items");
	size_t count = value_len(items);
	if (value_kind(items) != VALUE_LIST || value_len(request->body) != 1)
		return err_set(err, E_INVALID, "the body must hold {\"items\": [{\"type\": ..., "
		               "\"spec\": {...}}, ...]} and nothing else");
	if (count < 1 || count > ITEMS_MAX)
		return err_set(err, E_TOO_LARGE, "items has %zu tasks; a request takes 1 to %d",
		               count, ITEMS_MAX);
	*ret_items = items;
	return 0;
}

static int check_item(struct control *control, struct request *request, const struct value *item,
                      struct err *err)
{
	struct task_request asked;
	if (submit_is_run(item))
		return err_set(err, E_INVALID, "this is a run; submit it by itself");
	TRY(task_request_read(item, &asked, err));
	TRY(rules_task(control, request, task_info[asked.type].fields, asked.spec, err));
	return shard_fits(request->part->shard, request->arena, &asked, err);
}

static void add_error(struct request *request, size_t index, const struct err *err)
{
	struct value *error = value_map(request->arena);
	if (!request->errors)
		request->errors = value_list(request->arena);
	value_set_int(error, "index", (int64_t)index);
	value_set_str(error, "code", err_name(err->code));
	value_set_str(error, "detail", err->text);
	value_add(request->errors, error);
}

/* The item's key, and the item as it would be submitted alone. */
static int split_item(struct request *request, const struct value *item, const char **ret_key,
                      const struct value **ret_body, struct err *err)
{
	const struct value *key = value_get(item, KEY_FIELD);
	*ret_key = NULL;
	*ret_body = item;
	if (!key)
		return 0;
	struct value *body = value_copy(request->arena, item);
	TRY(intake_key(request, value_as_str(key), KEY_FIELD, ret_key, err));
	value_remove(body, KEY_FIELD);
	*ret_body = body;
	return value_check(body, err);
}

/* Every item is looked at before anything is reserved: one answer names all that is wrong. */
static int check_items(struct control *control, struct request *request, struct batch *batch,
                       struct err *err)
{
	struct err first = { 0 }, one = { 0 };
	size_t wrong = 0;
	for (size_t i = 0; i < batch->count && wrong < ERRORS_MAX; i++) {
		const struct value *body = NULL;
		const char *key = NULL;
		int code = split_item(request, value_at(batch->items, i), &key, &body, &one);
		if (code == 0)
			code = check_item(control, request, body, &one);
		if (code == 0)
			continue;
		err_prefix(&one, "items[%zu]", i);
		add_error(request, i, &one);
		first = wrong++ ? first : one;
	}
	if (wrong)
		*err = first;
	return first.code;
}

/* --- submitting --- */

static void undo(struct request *request)
{
	const struct batch *batch = request->state;
	for (size_t i = 0; i < batch->done_count; i++)
		submit_withdraw(request->part, &batch->done[i]);
}

static int hash_of(const struct value *body, uint8_t out[DIGEST_BYTES], struct err *err)
{
	AUTO_BUF packed;
	buf_init(&packed, ITEM_BYTES_MAX);
	TRY(pack_write(body, &packed, err));
	TRY(buf_check(&packed, err));
	digest(packed.data, packed.len, out);
	return 0;
}

static int add_item(struct request *request, struct batch *batch, const struct value *item,
                    struct err *err)
{
	uint8_t hash[DIGEST_BYTES];
	struct submit submit = {
		.tenant = request->tenant, .domain = request->domain,
		.principal = batch->principal, .body_hash = hash, .now_ms = request->now_ms,
	};
	TRY(behalf_of(request, false, &submit.behalf, err));
	TRY(split_item(request, item, &submit.key, &submit.body, err));
	if (submit.key)
		TRY(hash_of(submit.body, hash, err));
	TRY(submit_add(request->part, &submit, request->change, request->arena,
	               &batch->done[batch->done_count], err));
	batch->done_count++;
	return 0;
}

static int add_items(struct request *request, struct batch *batch, struct err *err)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (add_item(request, batch, value_at(batch->items, i), err) == 0)
			continue;
		int after_s = err->after_s;
		err_prefix(err, "items[%zu], and so none of the %zu", i, batch->count);
		add_error(request, i, err);
		return err_after(err, err->code, after_s);
	}
	return 0;
}

static int reply_batch(struct request *request, int status, struct err *err)
{
	const struct batch *batch = request->state;
	struct value *body = value_map(request->arena), *items = value_list(request->arena);
	for (size_t i = 0; i < batch->done_count; i++) {
		struct value *item = value_map(request->arena);
		if (!request->dry_run)
			value_set_str(item, "id", batch->done[i].id);
		value_set_bool(item, "existing", batch->done[i].existing);
		value_add(items, item);
	}
	value_set(body, "items", items);
	if (request->dry_run)
		value_set_bool(body, "dryRun", true);
	return request_reply(request, status, body, err);
}

static int accepted(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	dispatch_wake(request->part->dispatch);
	return reply_batch(request, 202, err);
}

static int submit_all(struct request *request, struct batch *batch, struct err *err)
{
	request->state = batch;
	request->undo = undo;
	TRY(request_change(request, &request->change, err));
	TRY(add_items(request, batch, err));
	if (!request->dry_run) {
		request->finish = accepted;
		return 0;
	}
	undo(request);
	request->undo = NULL;
	change_free(MOVE(request->change));
	return reply_batch(request, 200, err);
}

int h_task_batch(struct control *control, struct request *request, struct err *err)
{
	struct batch *batch = arena_alloc(request->arena, sizeof *batch);
	TRY(intake_domain(control, request, err));
	TRY(tenancy_needs(control, request->tenant, TENANCY_RUN, err));
	if (!batch)
		return err_set(err, E_NOMEM, "no memory to submit tasks");
	TRY(read_items(request, &batch->items, err));
	batch->count = value_len(batch->items);
	batch->done = arena_alloc(request->arena, batch->count * sizeof *batch->done);
	batch->principal = intake_principal(request);
	if (!batch->done || !batch->principal)
		return err_set(err, E_NOMEM, "no memory to submit %zu tasks", batch->count);
	TRY(check_items(control, request, batch, err));
	return submit_all(request, batch, err);
}
