/* snapshots.c - the head of a dataset's chain of snapshots, read and written. */
#include "common/defs.h"
#include "control/snapshots.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

/* --- folders --- */

static bool read_number(const char **at, int64_t *ret)
{
	const char *first = *at;
	int64_t n = 0;
	for (; **at >= '0' && **at <= '9'; ++*at)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **at - '0', &n))
			return false;
	*ret = n;
	return *at > first;
}

static bool read_token(const char **at, struct token *ret)
{
	return read_number(at, &ret->epoch) && *(*at)++ == '-' && read_number(at, &ret->counter);
}

bool snapshots_token(const char *path, struct token *ret_token)
{
	for (int i = 0; path && i < 2; i++) {
		path = strchr(path, '/');
		path += path != NULL;
	}
	return path && read_token(&path, ret_token) && *path == '/';
}

static int visit_file(const char *path, snapshots_token_fn *visit, void *context, struct err *err)
{
	struct token token;
	return snapshots_token(path, &token) ? visit(context, &token, err) : 0;
}

static int visit_retired(const struct value *retired, snapshots_token_fn *visit, void *context,
                         struct err *err)
{
	struct token token;
	for (size_t i = 0; i < value_len(retired); i++) {
		const char *at = value_get_str(value_at(retired, i), "folders");
		for (; at && *at; at += *at == ' ') {
			if (!read_token(&at, &token) || (*at && *at != ' '))
				return err_set(err, E_CORRUPT, "a dataset's head names a folder "
				               "that is none");
			TRY(visit(context, &token, err));
		}
	}
	return 0;
}

int snapshots_kept(struct arena *arena, const struct value *head, snapshots_token_fn *visit,
                   void *context, struct err *err)
{
	struct snapshot *snapshot = NULL;
	size_t len = 0;
	const void *bytes = value_get_bin(head, "snapshot", &len);
	TRY(snapshot_decode(arena, bytes, len, &snapshot, err));
	for (size_t i = 0; i < snapshot->file_count; i++)
		TRY(visit_file(snapshot->files[i].path, visit, context, err));
	TRY(visit_file(snapshot->rejects_path, visit, context, err));
	return visit_retired(value_get(head, "retired"), visit, context, err);
}

/* --- the next head --- */

static int add_folder(void *context, const struct token *token, struct err *err)
{
	struct buf *folders = context;
	(void)err;
	buf_printf(folders, "%s%" PRId64 "-%" PRId64, folders->len ? " " : "", token->epoch,
	           token->counter);
	return 0;
}

/* What next replaces; NULL: nothing. */
static int retire(struct arena *arena, const struct snapshot *current, int64_t now_ms,
                  struct value **ret_entry, struct err *err)
{
	AUTO_BUF folders;
	buf_init(&folders, HEAD_BYTES_MAX);
	for (size_t i = 0; i < current->file_count; i++)
		TRY(visit_file(current->files[i].path, add_folder, &folders, err));
	TRY(visit_file(current->rejects_path, add_folder, &folders, err));
	TRY(buf_check(&folders, err));
	struct value *entry = value_map(arena);
	value_set_int(entry, "id", current->id);
	value_set_int(entry, "until", now_ms);
	value_set_str(entry, "folders", (const char *)folders.data);
	TRY(value_check(entry, err));
	*ret_entry = entry;
	return 0;
}

static int next_retired(struct arena *arena, const struct value *before,
                        const struct snapshot *current, const struct snapshot *next,
                        struct value **ret_list, struct err *err)
{
	struct value *list = value_list(arena), *entry = NULL;
	bool replaces = current && strcmp(next->operation, "replace") == 0;
	if (replaces)
		TRY(retire(arena, current, next->at_ms, &entry, err));
	if (replaces)
		value_add(list, entry);
	for (size_t i = 0; i < value_len(before) && value_len(list) < RETIRED_MAX; i++) {
		const struct value *old = value_at(before, i);
		if (value_len(list) < SNAPSHOTS_READABLE ||
		    value_get_int(old, "until", 0) + RETIRED_MS > next->at_ms)
			value_add(list, value_copy(arena, old));
	}
	TRY(value_check(list, err));
	*ret_list = list;
	return 0;
}

static int next_history(struct arena *arena, const struct value *before,
                        const struct snapshot *next, struct value **ret_list, struct err *err)
{
	struct value *kept = value_list(arena);
	value_add(kept, snapshot_summary(arena, next));
	for (size_t i = 0; i < value_len(before) && i + 1 < SNAPSHOTS_KEPT; i++)
		value_add(kept, value_copy(arena, value_at(before, i)));
	TRY(value_check(kept, err));
	*ret_list = kept;
	return 0;
}

int snapshots_put(struct catalog *catalog, struct change *change, const struct dataset_at *at,
                  const struct snapshot *next, int64_t revision, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct arena *arena = change_arena(change);
	struct snapshot *current = NULL;
	struct value *head = NULL, *history = NULL, *retired = NULL;
	AUTO_BUF bytes;
	size_t len = 0;
	buf_init(&bytes, HEAD_BYTES_MAX);
	/* The head of another revision is refused when the change is committed. */
	int rc = catalog_get(catalog, arena, snapshots_key(key, at), &head, NULL, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	const void *before = value_get_bin(head, "snapshot", &len);
	if (before)
		TRY(snapshot_decode(arena, before, len, &current, err));
	TRY(snapshot_encode(next, &bytes, err));
	TRY(buf_check(&bytes, err));
	TRY(next_history(arena, value_get(head, "history"), next, &history, err));
	TRY(next_retired(arena, value_get(head, "retired"), current, next, &retired, err));
	struct value *put = value_map(arena);
	value_set_bin(put, "snapshot", bytes.data, bytes.len);
	value_set(put, "history", history);
	value_set(put, "retired", retired);
	TRY(value_check(put, err));
	return change_put(change, key, put, revision, err);
}
