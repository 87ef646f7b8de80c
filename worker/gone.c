/* gone.c - see gone.h. */
#include "common/defs.h"
#include "worker/gone.h"

#include <stdio.h>
#include <string.h>

bool gone_has(const struct gone *gone, int shard, const char *uid)
{
	for (size_t i = 0; i < gone->count; i++)
		if (gone->entries[i].shard == shard && strcmp(gone->entries[i].uid, uid) == 0)
			return true;
	return false;
}

bool gone_add(struct gone *gone, int shard, const struct erasure *erasure, int64_t rows)
{
	if (gone->count == POLL_ERASED_MAX || gone_has(gone, shard, erasure->uid))
		return false;
	struct gone_entry *entry = &gone->entries[gone->count++];
	*entry = (struct gone_entry){ .shard = shard, .rows = rows };
	snprintf(entry->tenant, sizeof entry->tenant, "%s", erasure->tenant);
	snprintf(entry->uid, sizeof entry->uid, "%s", erasure->uid);
	return true;
}

static bool is_asked(const struct poll_answer *answer, const char *uid)
{
	for (size_t i = 0; i < answer->erase_count; i++)
		if (strcmp(answer->erase[i].uid, uid) == 0)
			return true;
	return false;
}

void gone_heard(struct gone *gone, int shard, const struct poll_answer *answer)
{
	size_t count = 0;
	for (size_t i = 0; i < gone->count; i++)
		if (gone->entries[i].shard != shard || is_asked(answer, gone->entries[i].uid))
			gone->entries[count++] = gone->entries[i];
	gone->count = count;
}

int gone_fill(const struct gone *gone, int shard, struct arena *arena, struct poll *poll,
              struct err *err)
{
	struct erased *erased = arena_alloc(arena, POLL_ERASED_MAX * sizeof *erased);
	if (!erased)
		return err_set(err, E_NOMEM, "no memory for a poll");
	poll->erased = erased;
	for (size_t i = 0; i < gone->count; i++) {
		const struct gone_entry *entry = &gone->entries[i];
		const char *tenant = arena_strdup(arena, entry->tenant);
		const char *uid = arena_strdup(arena, entry->uid);
		if (!tenant || !uid)
			return err_set(err, E_NOMEM, "no memory for a poll");
		if (entry->shard == shard)
			erased[poll->erased_count++] = (struct erased){ tenant, uid, entry->rows };
	}
	return 0;
}
