/* restore_objects.c - whether the objects that a backup's snapshots name are in a folder. */
#include "common/defs.h"
#include "control/restore.h"

#include "api/table.h"
#include "control/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { ARENA_MAX = 64 * 1024 * 1024 };

struct looking {
	const uint8_t *state_key;
	const char *folder;
	struct arena *arena;         /* one head's */
	struct restore_objects found;
};

static void look_for(struct looking *looking, const char *path, int64_t bytes)
{
	char full[4096];
	struct stat st;
	snprintf(full, sizeof full, "%s/%s", looking->folder, path);
	looking->found.named++;
	looking->found.bytes += bytes > 0 ? (uint64_t)bytes : 0;
	if (stat(full, &st) == 0 && S_ISREG(st.st_mode) && (bytes < 0 || st.st_size == bytes))
		return;
	if (looking->found.missing++ == 0)
		snprintf(looking->found.example, sizeof looking->found.example, "%s", path);
}

static int look_at_head(struct looking *looking, const struct store_item *item, struct err *err)
{
	struct value *head = NULL;
	struct snapshot *snapshot = NULL;
	size_t len = 0;
	arena_reset(looking->arena);
	TRY(journal_open_value(looking->state_key, item->key, item->value, item->value_len,
	                       looking->arena, &head, err));
	const void *bytes = value_get_bin(head, "snapshot", &len);
	TRY(snapshot_decode(looking->arena, bytes, len, &snapshot, err));
	for (size_t i = 0; i < snapshot->file_count; i++)
		look_for(looking, snapshot->files[i].path, snapshot->files[i].bytes);
	if (snapshot->rejects_path)
		look_for(looking, snapshot->rejects_path, -1);
	return 0;
}

static int visit(void *context, const struct store_item *item, struct err *err)
{
	struct looking *looking = context;
	if (strncmp(item->key, "r/head/", 7) != 0)
		return 0;
	return look_at_head(looking, item, err);
}

int restore_objects(struct backup *backup, const uint8_t state_key[KEY_BYTES], const char *folder,
                    struct restore_objects *ret_objects, struct err *err)
{
	struct looking looking = { .state_key = state_key, .folder = folder };
	struct stat st;
	if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, E_INVALID, "%s is no folder", folder);
	TRY(arena_new(ARENA_MAX, &looking.arena, err));
	int rc = backup_each(backup, visit, &looking, err);
	arena_free(looking.arena);
	TRY(rc);
	*ret_objects = looking.found;
	return 0;
}
