/* publish.c - from an attempt's output to a dataset's next snapshot. Invariants: every file lies
 * under the attempt's own prefix, so no report can make another's files visible; the dataset
 * still is the one the grant named (its uid, its revision), so nothing is published into one
 * that was deleted and made anew. */
#include "common/defs.h"
#include "control/publish.h"

#include "control/lineage.h"
#include "control/plan.h"
#include "control/snapshots.h"

#include <string.h>

static bool lies_under(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);
	return path && strncmp(path, prefix, len) == 0 && path[len] == '/' && !strstr(path, "..");
}

static int check_files(const struct output *output, const char *prefix, struct err *err)
{
	bool inside = !output->rejects_path || lies_under(output->rejects_path, prefix);
	for (size_t i = 0; inside && i < output->file_count; i++)
		inside = lies_under(output->files[i].path, prefix);
	return inside ? 0 : err_set(err, E_INVALID, "the report names a file outside of its "
	                            "attempt's folder; nothing of it was published");
}

static int check_output(const struct report *report, const struct plan_output *planned,
                        struct err *err)
{
	if (report->output_count != 1)
		return err_set(err, E_INVALID, "the report has %zu outputs; this task writes 1 "
		               "dataset", report->output_count);
	const struct output *output = &report->outputs[0];
	if (!output->uid || strcmp(output->uid, planned->uid) != 0)
		return err_set(err, E_CONFLICT, "the task writes another dataset now than when its "
		               "attempt began; it is tried again");
	if (output->replace != planned->replace)
		return err_set(err, E_CONFLICT, "the source's mode was changed while the attempt "
		               "ran; it is tried again");
	return 0;
}

static int summary(struct arena *arena, const struct plan_output *planned,
                   const struct snapshot *next, const struct output *output,
                   struct value **ret_list, struct err *err)
{
	struct value *list = value_list(arena), *map = value_map(arena);
	TRY(value_check(map, err));
	int64_t rows = 0;
	for (size_t i = 0; i < output->file_count; i++)
		rows += output->files[i].rows;
	const char *name = arena_printf(arena, "%s.%s", planned->domain, planned->name);
	value_set(map, "dataset", value_str(arena, name));
	value_set_int(map, "snapshot", next->id);
	value_set_int(map, "rows", rows);
	value_set_int(map, "rejectedRows", output->rejected_rows);
	TRY(value_check(list, err));
	value_add(list, map);
	TRY(value_check(list, err));
	*ret_list = list;
	return 0;
}

static int publish_one(struct control *control, struct arena *arena, struct change *change,
                       const struct work *work, const struct plan_output *planned,
                       const struct output *output, struct published *ret_published,
                       struct err *err)
{
	struct dataset_at at = { work->tenant, planned->domain, planned->name };
	struct snapshot *current = NULL, *next = NULL;
	struct published published = { 0 };
	int64_t revision = 0;
	struct snapshot added = {
		.at_ms = clock_unix_ms(control->clock), .task = work->id,
		.operation = output->replace ? "replace" : "append", .schema = output->schema,
		.files = output->files, .file_count = output->file_count,
		.rejected_rows = output->rejected_rows, .rejects_path = output->rejects_path,
	};
	for (size_t i = 0; i < output->file_count; i++) {
		added.rows += output->files[i].rows;
		added.bytes += output->files[i].bytes;
	}
	TRY(snapshots_current(control->catalog, arena, &at, &current, NULL, &revision, err));
	TRY(snapshot_next(arena, current, output->replace, output->base_snapshot, &added, &next,
	                  err));
	TRY(summary(arena, planned, next, output, &published.outputs, err));
	published.stored_delta = next->bytes - (current ? current->bytes : 0);
	TRY(change_expect(change, planned->key, planned->revision, err));
	TRY(snapshots_put(control->catalog, change, &at, next, revision, err));
	TRY(lineage_publish(control, arena, change, work, planned, output, next, err));
	*ret_published = published;
	return 0;
}

int publish(struct control *control, struct arena *arena, struct change *change,
            const struct work *work, const struct report *report, struct published *ret_published,
            struct err *err)
{
	struct plan_output planned;
	TRY(plan_output(control, arena, work, &planned, err));
	if (!planned.uid) {
		*ret_published = (struct published){ 0 };
		return 0;
	}
	TRY(check_output(report, &planned, err));
	char prefix[GRANT_PREFIX_MAX];
	grant_prefix(work->tenant, work->domain, report->token, prefix);
	TRY(check_files(&report->outputs[0], prefix, err));
	return publish_one(control, arena, change, work, &planned, &report->outputs[0],
	                   ret_published, err);
}
