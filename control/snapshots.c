/* snapshots.c - the head of a dataset's chain of snapshots, read and written. */
#include "common/defs.h"
#include "control/snapshots.h"

#include <stdio.h>

enum { HEAD_BYTES_MAX = 4 * 1024 * 1024 };

const char *snapshots_key(char out[STORE_KEY_MAX], const struct dataset_at *at)
{
	snprintf(out, STORE_KEY_MAX, "r/head/%s/%s/%s", at->tenant, at->domain, at->name);
	return out;
}

int snapshots_current(struct catalog *catalog, struct arena *arena, const struct dataset_at *at,
                      struct snapshot **ret_snapshot, const struct value **ret_history,
                      int64_t *ret_revision, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *head = NULL;
	struct snapshot *snapshot = NULL;
	int64_t revision = 0;
	size_t len = 0;
	int rc = catalog_get(catalog, arena, snapshots_key(key, at), &head, &revision, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	if (rc == 0) {
		const void *bytes = value_get_bin(head, "snapshot", &len);
		TRY(snapshot_decode(arena, bytes, len, &snapshot, err));
	}
	*ret_snapshot = snapshot;
	*ret_revision = rc == 0 ? revision : 0;
	if (ret_history)
		*ret_history = rc == 0 ? value_get(head, "history") : NULL;
	return 0;
}

int snapshots_put(struct change *change, const struct dataset_at *at, const struct snapshot *next,
                  const struct value *history, int64_t revision, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct arena *arena = change_arena(change);
	AUTO_BUF bytes;
	buf_init(&bytes, HEAD_BYTES_MAX);
	TRY(snapshot_encode(next, &bytes, err));
	TRY(buf_check(&bytes, err));
	struct value *head = value_map(arena), *kept = value_list(arena);
	TRY(value_check(head, err));
	TRY(value_check(kept, err));
	value_add(kept, snapshot_summary(arena, next));
	for (size_t i = 0; i < value_len(history) && i + 1 < SNAPSHOTS_KEPT; i++)
		value_add(kept, value_copy(arena, value_at(history, i)));
	value_set_bin(head, "snapshot", bytes.data, bytes.len);
	value_set(head, "history", kept);
	TRY(value_check(head, err));
	return change_put(change, snapshots_key(key, at), head, revision, err);
}
