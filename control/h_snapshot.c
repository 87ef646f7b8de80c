/* h_snapshot.c - a dataset's snapshots, newest first, without the paths of their files. */
#include "common/defs.h"
#include "control/admit.h"

#include "control/snapshots.h"

#include <inttypes.h>

handler_fn h_snapshot_list;

int h_snapshot_list(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct dataset_at at = { request->tenant, request->domain, request->name };
	struct value *dataset = NULL, *items = value_list(request->arena);
	struct snapshot *snapshot = NULL;
	const struct value *history = NULL;
	const char *resume = NULL;
	int64_t revision = 0, limit = 0, before = 0;
	catalog_key(key, KIND_DATASET, request->tenant, request->domain, request->name);
	TRY(catalog_get(control->catalog, request->arena, key, &dataset, NULL, err));
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	TRY(request_number(request, "continue", 1, INT64_MAX, INT64_MAX, &before, err));
	TRY(snapshots_current(control->catalog, request->arena, &at, &snapshot, &history, &revision,
	                      err));
	for (size_t i = 0; i < value_len(history) && !resume; i++) {
		const struct value *item = value_at(history, i);
		if (value_get_int(item, "id", 0) >= before)
			continue;
		if (value_len(items) == (size_t)limit)
			resume = arena_printf(
				request->arena, "%" PRId64,
				value_get_int(value_at(items, value_len(items) - 1), "id", 0));
		else
			value_add(items, value_copy(request->arena, item));
	}
	return request_reply_list(request, items, resume, err);
}
