/* verified.c - a table of sets of four; in a full set the one that expires first gives way.
 * Invariant, under the mutex: an entry with data has at most VERIFIED_BYTES_MAX of it. */
#include "common/defs.h"
#include "tenant/verified.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, SETS = VERIFIED_MOST / WAYS };

struct entry {
	uint8_t name[DIGEST_BYTES];
	uint64_t stamp;
	int64_t expires_ms;
	uint8_t *data;               /* NULL: free */
	size_t len;
};

struct verified {
	struct secret *key;
	pthread_mutex_t mutex;       /* guards all below */
	struct entry entries[SETS][WAYS];
};

int verified_new(struct verified **ret_verified, struct err *err)
{
	AUTO(verified) *verified = calloc(1, sizeof *verified);
	if (!verified)
		return err_set(err, E_NOMEM, "no memory for verified credentials");
	pthread_mutex_init(&verified->mutex, NULL);
	TRY(secret_random(KEY_BYTES, &verified->key, err));
	*ret_verified = MOVE(verified);
	return 0;
}

void verified_free(struct verified *verified)
{
	if (!verified)
		return;
	for (size_t i = 0; i < SETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			free(verified->entries[i][k].data);
	secret_free(verified->key);
	pthread_mutex_destroy(&verified->mutex);
	free(verified);
}

void verified_name(const struct verified *verified, const char *text, uint8_t out[DIGEST_BYTES])
{
	digest_keyed(secret_bytes(verified->key), text, strlen(text), out);
}

static struct entry *set_of(struct verified *verified, const uint8_t name[DIGEST_BYTES])
{
	return verified->entries[((size_t)name[0] | (size_t)name[1] << 8) % SETS];
}

bool verified_get(struct verified *verified, const uint8_t name[DIGEST_BYTES], uint64_t stamp,
                  int64_t now_ms, struct buf *out)
{
	bool found = false;
	pthread_mutex_lock(&verified->mutex);
	struct entry *set = set_of(verified, name);
	for (size_t i = 0; i < WAYS && !found; i++) {
		const struct entry *entry = &set[i];
		found = entry->data && entry->stamp == stamp && now_ms < entry->expires_ms &&
			bytes_equal(entry->name, name, DIGEST_BYTES);
		if (found)
			buf_put(out, entry->data, entry->len);
	}
	pthread_mutex_unlock(&verified->mutex);
	return found && buf_check(out, NULL) == 0;
}

/* The place for it: its own, a free one, or that of who goes first. */
static struct entry *place(struct entry *set, const uint8_t name[DIGEST_BYTES])
{
	struct entry *best = &set[0];
	for (size_t i = 0; i < WAYS; i++) {
		struct entry *entry = &set[i];
		if (entry->data && bytes_equal(entry->name, name, DIGEST_BYTES))
			return entry;
		if (best->data && (!entry->data || entry->expires_ms < best->expires_ms))
			best = entry;
	}
	return best;
}

void verified_put(struct verified *verified, const uint8_t name[DIGEST_BYTES], uint64_t stamp,
                  int64_t expires_ms, const void *data, size_t len)
{
	uint8_t *copy = len && len <= VERIFIED_BYTES_MAX ? malloc(len) : NULL;
	if (!copy)
		return;
	memcpy(copy, data, len);
	pthread_mutex_lock(&verified->mutex);
	struct entry *entry = place(set_of(verified, name), name);
	uint8_t *old = entry->data;
	*entry = (struct entry){ .stamp = stamp, .expires_ms = expires_ms, .data = copy,
	                         .len = len };
	memcpy(entry->name, name, DIGEST_BYTES);
	pthread_mutex_unlock(&verified->mutex);
	free(old);
}
