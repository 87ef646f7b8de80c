/* keyuse.c - invariants, under the mutex: a slot's `written` is not above its `last`. A slot is
 * written with a compare of its key's revision, so that a revoked key leaves nothing behind.
 * `writing` is taken before the mutex. */
#include "common/defs.h"
#include "control/keyuse.h"

#include "common/log.h"
#include "control/apikeys.h"
#include "control/identity.h"
#include "control/journal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBES = 8, ARENA_MAX = 64 * 1024 };

struct slot {
	char id[ID_LEN + 1];         /* empty: free */
	int64_t last, written;       /* unix ms */
};

struct keyuse {
	struct keyuse_conf conf;
	pthread_t thread;
	pthread_mutex_t writing;     /* held by whoever writes: what was due is stored then */
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t wake;
	bool ending;
	struct slot slots[KEYUSE_MOST];
};

const char *keyuse_key(char out[STORE_KEY_MAX], const char *id)
{
	snprintf(out, STORE_KEY_MAX, "r/keyuse/%s", id);
	return out;
}

/* The random part of an id spreads well: its last characters. The mutex is held. */
static struct slot *find(struct keyuse *keyuse, const char *id, bool make)
{
	uint64_t hash = 14695981039346656037u;
	for (const char *at = id; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 1099511628211u;
	for (size_t i = 0; i < PROBES; i++) {
		struct slot *slot = &keyuse->slots[(hash + i) % KEYUSE_MOST];
		if (strcmp(slot->id, id) == 0)
			return slot;
		if (slot->id[0] || !make)
			continue;
		snprintf(slot->id, sizeof slot->id, "%s", id);
		return slot;
	}
	return NULL;
}

void keyuse_note(struct keyuse *keyuse, const char *id, int64_t now_ms)
{
	pthread_mutex_lock(&keyuse->mutex);
	struct slot *slot = find(keyuse, id, true);
	if (slot && slot->last < now_ms)
		slot->last = now_ms;
	pthread_mutex_unlock(&keyuse->mutex);
}

static int64_t stored(struct keyuse *keyuse, struct arena *arena, const char *id)
{
	char at[STORE_KEY_MAX];
	struct value *value = NULL;
	if (catalog_get(keyuse->conf.catalog, arena, keyuse_key(at, id), &value, NULL, NULL) < 0)
		return 0;
	return value_get_int(value, "at", 0);
}

int64_t keyuse_last(struct keyuse *keyuse, struct arena *arena, const char *id)
{
	int64_t known = stored(keyuse, arena, id);
	pthread_mutex_lock(&keyuse->mutex);
	const struct slot *slot = find(keyuse, id, false);
	int64_t last = slot ? slot->last : 0;
	pthread_mutex_unlock(&keyuse->mutex);
	return last > known ? last : known;
}

/* --- writing --- */

static int write_one(struct keyuse *keyuse, const char *id, int64_t last, struct err *err)
{
	char at[STORE_KEY_MAX];
	struct value *key = NULL, *use = NULL;
	int64_t revision = 0;
	AUTO(arena) *arena = NULL;
	AUTO(change) *change = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	if (last - stored(keyuse, arena, id) < KEYUSE_WRITE_MS)
		return 0;                    /* another replica said so already */
	TRY(catalog_get(keyuse->conf.catalog, arena, identity_key(at, id), &key, &revision, err));
	TRY(change_new(&change, err));
	TRY(change_expect(change, at, revision, err));
	use = value_map(change_arena(change));
	value_set_int(use, "at", last);
	value_set_str(use, "tenant", value_get_str(key, "tenant"));
	TRY(value_check(use, err));
	TRY(change_put(change, keyuse_key(at, id), use, -1, err));
	return change_store(change, keyuse->conf.store, keyuse->conf.state_key, err);
}

/* The slot's use that is due, marked as written: one that cannot be is tried again with the next
 * use. Whoever's key is gone by now gives its slot back. */
static bool take_due(struct keyuse *keyuse, size_t at, char id[ID_LEN + 1], int64_t *ret_last)
{
	pthread_mutex_lock(&keyuse->mutex);
	struct slot *slot = &keyuse->slots[at];
	bool due = slot->id[0] && slot->last > slot->written &&
		slot->last - slot->written >= KEYUSE_WRITE_MS;
	if (due) {
		memcpy(id, slot->id, sizeof slot->id);
		*ret_last = slot->written = slot->last;
	}
	pthread_mutex_unlock(&keyuse->mutex);
	return due;
}

static void forget(struct keyuse *keyuse, const char *id)
{
	pthread_mutex_lock(&keyuse->mutex);
	struct slot *slot = find(keyuse, id, false);
	if (slot)
		*slot = (struct slot){ .last = 0 };
	pthread_mutex_unlock(&keyuse->mutex);
}

void keyuse_write(struct keyuse *keyuse)
{
	pthread_mutex_lock(&keyuse->writing);
	for (size_t i = 0; i < KEYUSE_MOST; i++) {
		char id[ID_LEN + 1];
		int64_t last = 0;
		struct err err = { 0 };
		if (!take_due(keyuse, i, id, &last))
			continue;
		int code = write_one(keyuse, id, last, &err);
		if (code == E_NOT_FOUND || code == E_PRECONDITION)
			forget(keyuse, id);
		else if (code < 0)
			log_warn(NULL, "key_use_not_written", "key=%s reason=\"%s\"", id, err.text);
	}
	pthread_mutex_unlock(&keyuse->writing);
}

static void *run(void *context)
{
	struct keyuse *keyuse = context;
	pthread_mutex_lock(&keyuse->mutex);
	int64_t next = clock_mono_ms(keyuse->conf.clock) + KEYUSE_LOOK_MS;
	while (!keyuse->ending) {
		if (clock_wait(keyuse->conf.clock, &keyuse->wake, &keyuse->mutex, next))
			continue;
		pthread_mutex_unlock(&keyuse->mutex);
		keyuse_write(keyuse);
		pthread_mutex_lock(&keyuse->mutex);
		next = clock_mono_ms(keyuse->conf.clock) + KEYUSE_LOOK_MS;
	}
	pthread_mutex_unlock(&keyuse->mutex);
	return NULL;
}

int keyuse_new(const struct keyuse_conf *conf, struct keyuse **ret_keyuse, struct err *err)
{
	struct keyuse *keyuse = calloc(1, sizeof *keyuse);
	if (!keyuse)
		return err_set(err, E_NOMEM, "no memory for the use of API keys");
	keyuse->conf = *conf;
	pthread_mutex_init(&keyuse->writing, NULL);
	pthread_mutex_init(&keyuse->mutex, NULL);
	clock_cond_init(&keyuse->wake);
	int code = pthread_create(&keyuse->thread, NULL, run, keyuse);
	if (code) {
		pthread_cond_destroy(&keyuse->wake);
		pthread_mutex_destroy(&keyuse->mutex);
		pthread_mutex_destroy(&keyuse->writing);
		free(keyuse);
		return err_errno(err, code, "no thread for the use of API keys");
	}
	*ret_keyuse = keyuse;
	return 0;
}

void keyuse_free(struct keyuse *keyuse)
{
	if (!keyuse)
		return;
	pthread_mutex_lock(&keyuse->mutex);
	keyuse->ending = true;
	pthread_cond_broadcast(&keyuse->wake);
	pthread_mutex_unlock(&keyuse->mutex);
	pthread_join(keyuse->thread, NULL);
	pthread_cond_destroy(&keyuse->wake);
	pthread_mutex_destroy(&keyuse->mutex);
	pthread_mutex_destroy(&keyuse->writing);
	free(keyuse);
}
