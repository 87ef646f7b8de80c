/* gone.c - see gone.h. Nothing is called under the mutex. */
#include "common/defs.h"
#include "worker/gone.h"

#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void gone_init(struct gone *gone, gone_drop_fn *drop, gone_erase_fn *erase, void *context)
{
	*gone = (struct gone){ .drop = drop, .erase = erase, .context = context };
	pthread_mutex_init(&gone->mutex, NULL);
}

void gone_release(struct gone *gone)
{
	pthread_mutex_destroy(&gone->mutex);
}

/* mutex held */
static bool has(const struct gone *gone, int shard, const char *uid)
{
	for (size_t i = 0; i < gone->count; i++)
		if (gone->entries[i].shard == shard && strcmp(gone->entries[i].uid, uid) == 0)
			return true;
	return false;
}

static bool is_known(struct gone *gone, int shard, const char *uid)
{
	pthread_mutex_lock(&gone->mutex);
	bool known = has(gone, shard, uid);
	pthread_mutex_unlock(&gone->mutex);
	return known;
}

/* False: there is no room; it is asked for again. */
static bool add(struct gone *gone, int shard, const struct erasure *erasure, int64_t rows)
{
	pthread_mutex_lock(&gone->mutex);
	bool room = gone->count < POLL_ERASED_MAX && !has(gone, shard, erasure->uid);
	if (room) {
		struct gone_entry *entry = &gone->entries[gone->count++];
		*entry = (struct gone_entry){ .shard = shard, .rows = rows };
		snprintf(entry->tenant, sizeof entry->tenant, "%s", erasure->tenant);
		snprintf(entry->uid, sizeof entry->uid, "%s", erasure->uid);
	}
	pthread_mutex_unlock(&gone->mutex);
	return room;
}

static bool erase(struct gone *gone, int shard, const struct erasure *erasure)
{
	const struct log_context context = { .tenant = erasure->tenant };
	int64_t rows = 0;
	struct err err = { 0 };
	if (gone->drop)
		gone->drop(gone->context, erasure->tenant);
	if (gone->erase && gone->erase(gone->context, erasure->tenant, &rows, &err) < 0) {
		log_info(&context, "online_data_not_erased", "code=%s reason=\"%s\"",
		         err_name(err.code), err.text);
		return false;
	}
	log_info(&context, "online_data_erased", "rows=%" PRId64, rows);
	return add(gone, shard, erasure, rows);
}

bool gone_take(struct gone *gone, int shard, const struct poll_answer *answer)
{
	bool any = false;
	for (size_t i = 0; i < answer->erase_count; i++)
		if (!is_known(gone, shard, answer->erase[i].uid))
			any |= erase(gone, shard, &answer->erase[i]);
	return any;
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
	pthread_mutex_lock(&gone->mutex);
	for (size_t i = 0; i < gone->count; i++) {
		const struct gone_entry *entry = &gone->entries[i];
		if (entry->shard != shard || !entry->told || is_asked(answer, entry->uid))
			gone->entries[count++] = *entry;
	}
	gone->count = count;
	pthread_mutex_unlock(&gone->mutex);
}

/* mutex held */
static bool fill(struct gone *gone, int shard, struct arena *arena, struct erased *erased,
                 size_t *ret_count)
{
	bool whole = true;
	for (size_t i = 0; i < gone->count; i++) {
		struct gone_entry *entry = &gone->entries[i];
		struct erased one = { arena_strdup(arena, entry->tenant),
		                      arena_strdup(arena, entry->uid), entry->rows };
		whole &= one.tenant && one.uid;
		if (entry->shard != shard)
			continue;
		entry->told = true;
		erased[(*ret_count)++] = one;
	}
	return whole;
}

int gone_fill(struct gone *gone, int shard, struct arena *arena, struct poll *poll,
              struct err *err)
{
	struct erased *erased = arena_alloc(arena, POLL_ERASED_MAX * sizeof *erased);
	size_t count = 0;
	pthread_mutex_lock(&gone->mutex);
	bool whole = erased && fill(gone, shard, arena, erased, &count);
	pthread_mutex_unlock(&gone->mutex);
	if (!whole)
		return err_set(err, E_NOMEM, "no memory for a poll");
	poll->erased = erased;
	poll->erased_count = count;
	return 0;
}
