/* h_explain.c - why a task waits, for those who may read it; who waits for what and how much pools
 * lack, for those who run the platform. */
#include "common/defs.h"
#include "control/admit.h"

#include "control/explain.h"
#include "control/forward.h"

handler_fn h_task_explain, h_queue, h_pools;

int h_task_explain(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	TRY(part_needs_lead(request->part, err));
	struct value *explained = shard_explain(request->part->shard, request->arena,
	                                        request->tenant, request->domain, request->task);
	if (!explained)
		return err_set(err, E_NOT_FOUND, "the domain %s has no such task", request->domain);
	value_set_str(explained, "task", request->task);
	value_set_str(explained, "summary", explain_summary(request->arena, explained, false));
	return request_reply(request, 200, explained, err);
}

/* --- every shard's --- */

struct tables {
	const struct value *parts[PARTS_MAX];
	size_t count;
};

/* From memory where this replica leads, else from its leader. ?shard=N: of that one alone. */
static int collect(struct control *control, const struct request *request,
                   struct value *(*table)(struct shard *shard, struct arena *arena),
                   struct tables *ret_tables, struct err *err)
{
	bool one = request_query(request, "shard") != NULL;
	*ret_tables = (struct tables){ .count = 0 };
	for (int i = 0; i < control->part_count; i++) {
		struct part *part = &control->parts[i];
		struct value *rows = NULL, *told = NULL;
		if (one && part != request->part)
			continue;
		if (part_leads(part)) {
			rows = table(part->shard, request->arena);
			TRY(value_check(rows, err));
			ret_tables->parts[ret_tables->count++] = rows;
			continue;
		}
		if (one || !control->forward)
			return part_needs_lead(part, err);
		const char *target = arena_printf(request->arena, "%s?shard=%d",
		                                  request->ask->path, i);
		if (!target)
			return err_set(err, E_NOMEM, "no memory to ask the other shards");
		TRY(forward_get(control->forward, part, request, target, &told, err));
		ret_tables->parts[ret_tables->count++] = value_get(told, "items");
	}
	return 0;
}

/* A tenant's rows come from one shard. */
int h_queue(struct control *control, struct request *request, struct err *err)
{
	struct tables tables;
	struct value *items = value_list(request->arena);
	TRY(collect(control, request, shard_queue_table, &tables, err));
	for (size_t i = 0; i < tables.count; i++)
		for (size_t n = 0; n < value_len(tables.parts[i]); n++)
			value_add(items, value_copy(request->arena,
			                            value_at(tables.parts[i], n)));
	return request_reply_list(request, items, NULL, err);
}

int h_pools(struct control *control, struct request *request, struct err *err)
{
	struct tables tables;
	TRY(collect(control, request, shard_pools, &tables, err));
	return request_reply_list(request, explain_pools(request->arena, tables.parts,
	                                                 tables.count), NULL, err);
}
