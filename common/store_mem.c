/* store_mem.c - the reference of store.h: a sorted array of keys and the history since compaction.
 * A commit allocates everything first and then cannot fail, so it happens whole or not at all. */
#include "common/defs.h"
#include "common/store_mem.h"

#include "common/store_mem_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HISTORY_MAX = 100000 };   /* versions; past it the older half is compacted away */

void mem_unref(struct version *version)
{
	if (version && --version->refs == 0)
		free(version);
}

/* A version with one reference; NULL when out of memory. */
static struct version *version_new(const char *key, const struct store_op *put)
{
	size_t key_size = strlen(key) + 1, value_len = put ? put->value_len : 0;
	struct version *version = malloc(sizeof *version + key_size + value_len);
	if (!version)
		return NULL;
	char *bytes = (char *)(version + 1);
	*version = (struct version){
		.refs = 1, .deleted = !put, .key = bytes, .value = (uint8_t *)bytes + key_size,
		.value_len = value_len,
	};
	memcpy(version->key, key, key_size);
	if (value_len)
		memcpy(version->value, put->value, value_len);
	return version;
}

struct store_item mem_item(const struct version *version)
{
	return (struct store_item){
		.key = version->key,
		.value = version->deleted ? NULL : version->value,
		.value_len = version->value_len,
		.mod_revision = version->mod_revision,
		.create_revision = version->create_revision,
	};
}

size_t mem_find(const struct store_mem *mem, const char *key, bool *ret_found)
{
	size_t low = 0, high = mem->live_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(mem->live[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < mem->live_count && strcmp(mem->live[low]->key, key) == 0;
	return low;
}

int mem_fault(struct store_mem *mem, bool *ret_happens, struct err *err)
{
	pthread_mutex_lock(&mem->mutex);
	mem->calls++;
	int code = mem->fail_at && mem->calls == mem->fail_at ? mem->fail_code : 0;
	pthread_mutex_unlock(&mem->mutex);
	*ret_happens = code == 0 || code == E_UNKNOWN_OUTCOME;
	if (code == 0)
		return 0;
	return err_set(err, code, "injected failure of the in-memory store");
}

/* --- commit --- */

struct versions {
	struct version **at;
	size_t count, cap;
};

static bool grow(void *array, size_t *cap, size_t need)
{
	struct version ***at = array;
	if (need <= *cap)
		return true;
	size_t larger = *cap ? *cap * 2 : 64;
	if (larger < need)
		larger = need;
	struct version **moved = realloc(*at, larger * sizeof *moved);
	if (!moved)
		return false;
	*at = moved;
	*cap = larger;
	return true;
}

static bool versions_add(struct versions *versions, const char *key, const struct store_op *put)
{
	if (!grow(&versions->at, &versions->cap, versions->count + 1))
		return false;
	struct version *version = version_new(key, put);
	if (!version)
		return false;
	versions->at[versions->count++] = version;
	return true;
}

/* The version an operation makes; several for a deleted prefix, none for an absent key. */
static bool versions_of(struct store_mem *mem, const struct store_op *op, struct versions *versions)
{
	if (op->kind == STORE_PUT)
		return versions_add(versions, op->key, op);
	bool found = false;
	size_t i = mem_find(mem, op->key, &found);
	for (; i < mem->live_count && store_op_covers(op, mem->live[i]->key); i++)
		if (!versions_add(versions, mem->live[i]->key, NULL))
			return false;
	return true;
}

static bool compare_holds(const struct store_mem *mem, const struct store_op *op)
{
	bool found = false;
	size_t i = mem_find(mem, op->key, &found);
	if (!found)
		return op->revision == 0;
	const struct version *version = mem->live[i];
	return op->revision == (op->kind == STORE_IF_MOD ? version->mod_revision
							 : version->create_revision);
}

static void live_remove(struct store_mem *mem, size_t i)
{
	mem_unref(mem->live[i]);
	mem->live_count--;
	memmove(mem->live + i, mem->live + i + 1, (mem->live_count - i) * sizeof *mem->live);
}

static void live_insert(struct store_mem *mem, size_t i, struct version *version)
{
	memmove(mem->live + i + 1, mem->live + i, (mem->live_count - i) * sizeof *mem->live);
	mem->live[i] = version;
	mem->live_count++;
	version->refs++;
}

/* Room was made before; takes the caller's reference. */
static void apply(struct store_mem *mem, struct version *version)
{
	bool found = false;
	size_t i = mem_find(mem, version->key, &found);
	version->mod_revision = mem->revision;
	version->create_revision = found ? mem->live[i]->create_revision : mem->revision;
	if (found)
		live_remove(mem, i);
	if (version->deleted)
		version->create_revision = 0;
	else
		live_insert(mem, i, version);
	mem->history[mem->history_count++] = version;
}

static void history_drop(struct store_mem *mem, int64_t revision)
{
	size_t count = 0;
	while (count < mem->history_count && mem->history[count]->mod_revision <= revision)
		mem_unref(mem->history[count++]);
	mem->history_count -= count;
	memmove(mem->history, mem->history + count, mem->history_count * sizeof *mem->history);
	mem->history_base += count;
	mem->compacted = revision;
}

static bool prepare(struct store_mem *mem, const struct store_txn *txn, struct versions *versions)
{
	for (size_t i = 0; i < txn->count; i++)
		if (store_op_writes(&txn->ops[i]) && !versions_of(mem, &txn->ops[i], versions))
			return false;
	return grow(&mem->live, &mem->live_cap, mem->live_count + versions->count) &&
		grow(&mem->history, &mem->history_cap, mem->history_count + versions->count);
}

int mem_commit(struct store_mem *mem, const struct store_txn *txn, struct err *err)
{
	for (size_t i = 0; i < txn->count; i++)
		if (!store_op_writes(&txn->ops[i]) && !compare_holds(mem, &txn->ops[i]))
			return err_set(err, E_PRECONDITION,
				       "a compared key was changed in between; "
				       "read it again and retry");
	if (mem->history_count > HISTORY_MAX)
		history_drop(mem, mem->history[mem->history_count / 2]->mod_revision);
	struct versions versions = { 0 };
	bool ready = prepare(mem, txn, &versions);
	if (ready && versions.count > 0)
		mem->revision++;
	for (size_t i = 0; i < versions.count; i++) {
		if (ready)
			apply(mem, versions.at[i]);
		else
			mem_unref(versions.at[i]);
	}
	free(versions.at);
	if (!ready)
		return err_set(err, E_NOMEM, "no memory for the in-memory store");
	pthread_cond_broadcast(&mem->changed);
	return 0;
}

static int commit(struct store *store, const struct store_txn *txn, int64_t *ret_revision,
		  struct err *err)
{
	struct store_mem *mem = (struct store_mem *)store;
	bool happens = false;
	struct err lost = { 0 };
	int fault = mem_fault(mem, &happens, &lost);
	int rc = 0;
	if (happens) {
		pthread_mutex_lock(&mem->mutex);
		rc = mem_commit(mem, txn, err);
		if (rc == 0 && fault == 0 && ret_revision)
			*ret_revision = mem->revision;
		pthread_mutex_unlock(&mem->mutex);
	}
	return fault < 0 ? err_set(err, fault, "%s", lost.text) : rc;
}

/* --- reads --- */

static int get(struct store *store, const char *key, store_visit_fn *visit, void *context,
	       struct err *err)
{
	struct store_mem *mem = (struct store_mem *)store;
	bool happens = false, found = false;
	TRY(mem_fault(mem, &happens, err));
	pthread_mutex_lock(&mem->mutex);
	size_t i = mem_find(mem, key, &found);
	struct version *version = found ? mem->live[i] : NULL;
	if (version)
		version->refs++;
	pthread_mutex_unlock(&mem->mutex);
	struct store_item item = version ? mem_item(version) : (struct store_item){ .key = key };
	int rc = visit(context, &item, err);
	pthread_mutex_lock(&mem->mutex);
	mem_unref(version);
	pthread_mutex_unlock(&mem->mutex);
	return rc < 0 ? rc : 0;
}

/* Every live version under prefix and after a key, each with a reference more. */
static int snapshot(struct store_mem *mem, const char *prefix, const char *after,
		    struct version ***ret_versions, size_t *ret_count, int64_t *ret_revision,
		    struct err *err)
{
	bool found = false;
	pthread_mutex_lock(&mem->mutex);
	size_t first = mem_find(mem, after ? after : prefix, &found);
	if (after && found)
		first++;
	size_t end = first;
	while (end < mem->live_count && store_has_prefix(mem->live[end]->key, prefix))
		end++;
	size_t count = end - first;
	struct version **versions = calloc(count + 1, sizeof *versions);
	for (size_t i = 0; versions && i < count; i++) {
		versions[i] = mem->live[first + i];
		versions[i]->refs++;
	}
	int64_t revision = mem->revision;
	pthread_mutex_unlock(&mem->mutex);
	if (!versions)
		return err_set(err, E_NOMEM, "no memory for a list of %zu keys", count);
	*ret_versions = versions;
	*ret_count = count;
	*ret_revision = revision;
	return 0;
}

static int list(struct store *store, const char *prefix, const char *after, store_visit_fn *visit,
		void *context, int64_t *ret_revision, struct err *err)
{
	struct store_mem *mem = (struct store_mem *)store;
	struct version **versions = NULL;
	size_t count = 0;
	int64_t revision = 0;
	bool happens = false;
	TRY(mem_fault(mem, &happens, err));
	TRY(snapshot(mem, prefix, after, &versions, &count, &revision, err));
	int rc = 0;
	for (size_t i = 0; i < count && rc >= 0; i++) {
		struct store_item item = mem_item(versions[i]);
		rc = visit(context, &item, err);
	}
	pthread_mutex_lock(&mem->mutex);
	for (size_t i = 0; i < count; i++)
		mem_unref(versions[i]);
	pthread_mutex_unlock(&mem->mutex);
	free(versions);
	if (rc < 0)
		return rc;
	if (ret_revision)
		*ret_revision = revision;
	return 0;
}

static int compact_to(struct store_mem *mem, int64_t revision, struct err *err)
{
	if (revision > mem->revision)
		return err_set(err, E_INVALID,
			       "cannot compact to revision %" PRId64 "; the store is at "
			       "%" PRId64, revision, mem->revision);
	if (revision > mem->compacted)
		history_drop(mem, revision);
	pthread_cond_broadcast(&mem->changed);
	return 0;
}

static int compact(struct store *store, int64_t revision, struct err *err)
{
	struct store_mem *mem = (struct store_mem *)store;
	bool happens = false;
	struct err lost = { 0 };
	int fault = mem_fault(mem, &happens, &lost), rc = 0;
	if (happens) {
		pthread_mutex_lock(&mem->mutex);
		rc = compact_to(mem, revision, err);
		pthread_mutex_unlock(&mem->mutex);
	}
	return fault < 0 ? err_set(err, fault, "%s", lost.text) : rc;
}

static int size(struct store *store, int64_t *ret_bytes, struct err *err)
{
	struct store_mem *mem = (struct store_mem *)store;
	int64_t bytes = 0;
	bool happens = false;
	TRY(mem_fault(mem, &happens, err));
	pthread_mutex_lock(&mem->mutex);
	for (size_t i = 0; i < mem->live_count; i++)
		bytes += (int64_t)(strlen(mem->live[i]->key) + mem->live[i]->value_len);
	for (size_t i = 0; i < mem->history_count; i++)
		bytes += (int64_t)(strlen(mem->history[i]->key) + mem->history[i]->value_len);
	pthread_mutex_unlock(&mem->mutex);
	*ret_bytes = bytes;
	return 0;
}

/* --- life, and the tests' handles --- */

static void mem_free(struct store *store)
{
	struct store_mem *mem = (struct store_mem *)store;
	REQUIRE(mem->followers == 0);
	for (size_t i = 0; i < mem->live_count; i++)
		mem_unref(mem->live[i]);
	for (size_t i = 0; i < mem->history_count; i++)
		mem_unref(mem->history[i]);
	free(mem->live);
	free(mem->history);
	pthread_cond_destroy(&mem->changed);
	pthread_mutex_destroy(&mem->mutex);
	free(mem);
}

static const struct store_ops mem_ops = {
	.get = get, .list = list, .commit = commit, .compact = compact, .size = size,
	.free = mem_free,
	.watch_new = mem_watch_new, .watch_free = mem_watch_free,
	.lead_new = mem_lead_new, .lead_free = mem_lead_free,
};

int store_mem_new(struct clock *clock, struct store **ret_store, struct err *err)
{
	struct store_mem *mem = calloc(1, sizeof *mem);
	if (!mem)
		return err_set(err, E_NOMEM, "no memory for the in-memory store");
	mem->base.ops = &mem_ops;
	mem->clock = clock;
	mem->revision = 1;         /* as a fresh etcd */
	pthread_mutex_init(&mem->mutex, NULL);
	clock_cond_init(&mem->changed);
	*ret_store = &mem->base;
	return 0;
}

void store_mem_fail(struct store *store, uint64_t n, int code)
{
	struct store_mem *mem = (struct store_mem *)store;
	REQUIRE(store->ops == &mem_ops);
	pthread_mutex_lock(&mem->mutex);
	mem->calls = 0;
	mem->fail_at = n;
	mem->fail_code = code;
	pthread_mutex_unlock(&mem->mutex);
}

uint64_t store_mem_calls(struct store *store)
{
	struct store_mem *mem = (struct store_mem *)store;
	REQUIRE(store->ops == &mem_ops);
	pthread_mutex_lock(&mem->mutex);
	uint64_t calls = mem->calls;
	pthread_mutex_unlock(&mem->mutex);
	return calls;
}

void store_mem_depose(struct store *store, const char *key)
{
	struct store_mem *mem = (struct store_mem *)store;
	REQUIRE(store->ops == &mem_ops);
	struct store_op ops[] = { { .kind = STORE_DELETE, .key = (char *)key } };
	struct store_txn txn = { .ops = ops, .count = ARRAY_LEN(ops) };
	struct err err = { 0 };
	pthread_mutex_lock(&mem->mutex);
	int rc = mem_commit(mem, &txn, &err);
	pthread_mutex_unlock(&mem->mutex);
	REQUIRE(rc == 0);
}
