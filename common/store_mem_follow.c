/* store_mem_follow.c - watches and campaigns on the in-memory store, one thread each.
 *
 * A watch walks the history by sequence number; when what it wants was compacted away it lists. It
 * allocates only to list. A lease never runs out by itself here: store_mem_depose ends it. */
#include "common/defs.h"
#include "common/store_mem_impl.h"

#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 5, NEVER_MS = 3600 * 1000 };

struct mem_watch {
	struct store_watch base;
	struct store_watch_ops ops;
	char *prefix;
	int64_t relist_ms;
	pthread_t thread;
	bool stopping;             /* by the store's mutex */
	bool listed;               /* what follows belongs to the watch's thread */
	uint64_t next;             /* sequence number in the history */
	int64_t relist_mono_ms;
};

struct mem_lead {
	struct store_lead base;
	char *key, *id;
	store_lead_fn *change;
	void *context;
	pthread_t thread;
	bool stopping;             /* by the store's mutex */
	int64_t leading;           /* the thread's: the create revision, 0 when it does not lead */
};

/* Real time, so that a test whose clock stands still gets on after a failed allocation. */
static void wait_for_memory(struct store_mem *mem)
{
	clock_wait(clock_system(), &mem->changed, &mem->mutex,
		   clock_mono_ms(clock_system()) + RETRY_MS);
}

/* --- watch --- */

/* Mutex held; let go of around the callbacks. False when out of memory: nothing was called. */
static bool sync_all(struct store_mem *mem, struct mem_watch *watch)
{
	bool found = false;
	size_t first = mem_find(mem, watch->prefix, &found), count = 0;
	while (first + count < mem->live_count &&
	       store_has_prefix(mem->live[first + count]->key, watch->prefix))
		count++;
	struct version **versions = calloc(count + 1, sizeof *versions);
	if (!versions)
		return false;
	for (size_t i = 0; i < count; i++) {
		versions[i] = mem->live[first + i];
		versions[i]->refs++;
	}
	int64_t revision = mem->revision;
	watch->next = mem->history_base + mem->history_count;
	pthread_mutex_unlock(&mem->mutex);
	for (size_t i = 0; i < count; i++) {
		struct store_item item = mem_item(versions[i]);
		watch->ops.sync(watch->ops.context, &item, revision);
	}
	watch->ops.sync(watch->ops.context, NULL, revision);
	pthread_mutex_lock(&mem->mutex);
	for (size_t i = 0; i < count; i++)
		mem_unref(versions[i]);
	free(versions);
	return true;
}

/* The next version under the prefix, or NULL; moves the watch past it. */
static struct version *next_version(struct store_mem *mem, struct mem_watch *watch)
{
	while (watch->next < mem->history_base + mem->history_count) {
		struct version *version = mem->history[watch->next++ - mem->history_base];
		if (store_has_prefix(version->key, watch->prefix))
			return version;
	}
	return NULL;
}

static bool is_last(const struct store_mem *mem, const struct mem_watch *watch, int64_t revision)
{
	for (uint64_t i = watch->next - mem->history_base; i < mem->history_count; i++) {
		if (mem->history[i]->mod_revision != revision)
			return true;
		if (store_has_prefix(mem->history[i]->key, watch->prefix))
			return false;
	}
	return true;
}

/* Mutex held; let go of around the callback. */
static void deliver(struct store_mem *mem, struct mem_watch *watch, struct version *version)
{
	struct store_event event = {
		.item = mem_item(version),
		.deleted = version->deleted,
		.last_of_txn = is_last(mem, watch, version->mod_revision),
		.revision = version->mod_revision,
	};
	version->refs++;
	pthread_mutex_unlock(&mem->mutex);
	watch->ops.event(watch->ops.context, &event);
	pthread_mutex_lock(&mem->mutex);
	mem_unref(version);
}

static void watch_step(struct store_mem *mem, struct mem_watch *watch)
{
	int64_t now_ms = clock_mono_ms(mem->clock);
	if (!watch->listed || watch->next < mem->history_base || now_ms >= watch->relist_mono_ms) {
		watch->listed = sync_all(mem, watch);
		watch->relist_mono_ms = now_ms + watch->relist_ms;
		if (!watch->listed)
			wait_for_memory(mem);
		return;
	}
	struct version *version = next_version(mem, watch);
	if (version)
		deliver(mem, watch, version);
	else
		clock_wait(mem->clock, &mem->changed, &mem->mutex, watch->relist_mono_ms);
}

static void *watch_main(void *context)
{
	struct mem_watch *watch = context;
	struct store_mem *mem = (struct store_mem *)watch->base.store;
	pthread_mutex_lock(&mem->mutex);
	while (!watch->stopping)
		watch_step(mem, watch);
	pthread_mutex_unlock(&mem->mutex);
	return NULL;
}

static void watch_release(struct mem_watch *watch)
{
	free(watch->prefix);
	free(watch);
}

/* Counts a follower in (+1) or out (-1). */
static void follow(struct store_mem *mem, int by)
{
	pthread_mutex_lock(&mem->mutex);
	mem->followers += by;
	pthread_mutex_unlock(&mem->mutex);
}

static void stop_thread(struct store_mem *mem, bool *stopping, pthread_t thread)
{
	pthread_mutex_lock(&mem->mutex);
	*stopping = true;
	pthread_cond_broadcast(&mem->changed);
	pthread_mutex_unlock(&mem->mutex);
	pthread_join(thread, NULL);
	follow(mem, -1);
}

int mem_watch_new(struct store *store, const char *prefix, const struct store_watch_ops *ops,
		  int64_t relist_ms, struct store_watch **ret_watch, struct err *err)
{
	struct store_mem *mem = (struct store_mem *)store;
	bool happens = false;
	TRY(mem_fault(mem, &happens, err));
	struct mem_watch *watch = calloc(1, sizeof *watch);
	if (!watch || !(watch->prefix = strdup(prefix))) {
		free(watch);
		return err_set(err, E_NOMEM, "no memory for a watch");
	}
	watch->base.store = store;
	watch->ops = *ops;
	watch->relist_ms = relist_ms;
	if (pthread_create(&watch->thread, NULL, watch_main, watch) != 0) {
		watch_release(watch);
		return err_set(err, E_NOMEM, "no thread for a watch");
	}
	follow(mem, 1);
	*ret_watch = &watch->base;
	return 0;
}

void mem_watch_free(struct store_watch *base)
{
	struct mem_watch *watch = (struct mem_watch *)base;
	stop_thread((struct store_mem *)base->store, &watch->stopping, watch->thread);
	watch_release(watch);
}

/* --- leadership --- */

static int64_t holder(const struct store_mem *mem, const char *key)
{
	bool found = false;
	size_t i = mem_find(mem, key, &found);
	return found ? mem->live[i]->create_revision : 0;
}

/* Mutex held; let go of around the callback. */
static void lead_tell(struct store_mem *mem, struct mem_lead *lead, int64_t create_revision)
{
	lead->leading = create_revision;
	pthread_mutex_unlock(&mem->mutex);
	lead->change(lead->context, create_revision);
	pthread_mutex_lock(&mem->mutex);
}

static void lead_try(struct store_mem *mem, struct mem_lead *lead)
{
	struct store_op ops[] = {
		{ .kind = STORE_IF_CREATE, .key = lead->key },
		{ .kind = STORE_PUT, .key = lead->key, .value = (uint8_t *)lead->id,
		  .value_len = strlen(lead->id) },
	};
	struct store_txn txn = { .ops = ops, .count = ARRAY_LEN(ops) };
	struct err err = { 0 };
	if (mem_commit(mem, &txn, &err) == 0)
		lead_tell(mem, lead, mem->revision);
	else
		wait_for_memory(mem);
}

static void lead_give_up(struct store_mem *mem, struct mem_lead *lead)
{
	struct store_op ops[] = {
		{ .kind = STORE_IF_CREATE, .key = lead->key, .revision = lead->leading },
		{ .kind = STORE_DELETE, .key = lead->key },
	};
	struct store_txn txn = { .ops = ops, .count = ARRAY_LEN(ops) };
	struct err err = { 0 };
	while (mem_commit(mem, &txn, &err) == E_NOMEM)
		wait_for_memory(mem);
	lead_tell(mem, lead, 0);
}

static void *lead_main(void *context)
{
	struct mem_lead *lead = context;
	struct store_mem *mem = (struct store_mem *)lead->base.store;
	pthread_mutex_lock(&mem->mutex);
	while (!lead->stopping) {
		int64_t held = holder(mem, lead->key);
		if (lead->leading && held != lead->leading)
			lead_tell(mem, lead, 0);
		else if (!held)
			lead_try(mem, lead);
		else
			clock_wait(mem->clock, &mem->changed, &mem->mutex,
				   clock_mono_ms(mem->clock) + NEVER_MS);
	}
	if (lead->leading)
		lead_give_up(mem, lead);
	pthread_mutex_unlock(&mem->mutex);
	return NULL;
}

static void lead_release(struct mem_lead *lead)
{
	free(lead->key);
	free(lead->id);
	free(lead);
}

int mem_lead_new(struct store *store, const char *key, const char *id, int ttl_s,
		 store_lead_fn *change, void *context, struct store_lead **ret_lead,
		 struct err *err)
{
	struct store_mem *mem = (struct store_mem *)store;
	(void)ttl_s;
	bool happens = false;
	TRY(mem_fault(mem, &happens, err));
	struct mem_lead *lead = calloc(1, sizeof *lead);
	if (!lead)
		return err_set(err, E_NOMEM, "no memory for a campaign");
	lead->base.store = store;
	lead->key = strdup(key);
	lead->id = strdup(id);
	lead->change = change;
	lead->context = context;
	if (!lead->key || !lead->id ||
	    pthread_create(&lead->thread, NULL, lead_main, lead) != 0) {
		lead_release(lead);
		return err_set(err, E_NOMEM, "no memory or thread for a campaign");
	}
	follow(mem, 1);
	*ret_lead = &lead->base;
	return 0;
}

void mem_lead_free(struct store_lead *base)
{
	struct mem_lead *lead = (struct mem_lead *)base;
	stop_thread((struct store_mem *)base->store, &lead->stopping, lead->thread);
	lead_release(lead);
}
