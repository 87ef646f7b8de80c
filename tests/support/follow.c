/* follow.c - see follow.h. */
#include "common/defs.h"
#include "tests/support/follow.h"

#include "common/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_MS = 30000 };

int64_t mono_ms(void)
{
	return clock_mono_ms(clock_system());
}

void wait_ms(int ms)
{
	struct timespec step = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	nanosleep(&step, NULL);
}

static void keep(struct kept *kept, const struct store_item *item)
{
	size_t len = item->value_len < sizeof kept->value - 1 ? item->value_len
		: sizeof kept->value - 1;
	snprintf(kept->key, sizeof kept->key, "%s", item->key);
	if (len)
		memcpy(kept->value, item->value, len);
	kept->value[len] = 0;
	kept->value_len = item->value_len;
	kept->mod_revision = item->mod_revision;
	kept->create_revision = item->create_revision;
}

static int keep_one(void *context, const struct store_item *item, struct err *err)
{
	(void)err;
	keep(context, item);
	return 0;
}

struct kept get_key(struct store *store, const char *key)
{
	struct err err = { 0 };
	struct kept kept = { 0 };
	cr_assert_eq(store_get(store, key, keep_one, &kept, &err), 0, "%s", err.text);
	return kept;
}

static int put(struct store *store, const char *key, const char *value, const int64_t *mod_revision,
	       int64_t *ret_revision, struct err *err)
{
	AUTO(store_txn) *txn = NULL;
	TRY(store_txn_new(&txn, err));
	if (mod_revision)
		TRY(store_txn_if_mod(txn, key, *mod_revision, err));
	TRY(store_txn_put(txn, key, value, strlen(value), err));
	return store_commit(store, txn, ret_revision, err);
}

int64_t put_key(struct store *store, const char *key, const char *value)
{
	struct err err = { 0 };
	int64_t revision = 0;
	cr_assert_eq(put(store, key, value, NULL, &revision, &err), 0, "%s", err.text);
	return revision;
}

int put_if_mod(struct store *store, const char *key, const char *value, int64_t mod_revision,
	       int64_t *ret_revision)
{
	struct err err = { 0 };
	return put(store, key, value, &mod_revision, ret_revision, &err);
}

int delete_key(struct store *store, const char *key)
{
	struct err err = { 0 };
	AUTO(store_txn) *txn = NULL;
	TRY(store_txn_new(&txn, &err));
	TRY(store_txn_delete(txn, key, &err));
	return store_commit(store, txn, NULL, &err);
}

/* --- a follower; each with the mutex held --- */

static struct kept *find(struct follower *follower, const char *key)
{
	for (int i = 0; i < follower->count; i++)
		if (strcmp(follower->keys[i].key, key) == 0)
			return &follower->keys[i];
	return NULL;
}

static void set(struct follower *follower, const struct store_item *item, int64_t listing)
{
	struct kept *kept = find(follower, item->key);
	if (!kept) {
		REQUIRE(follower->count < FOLLOW_KEYS_MAX);
		kept = &follower->keys[follower->count++];
	}
	keep(kept, item);
	kept->listing = listing;
}

static void drop_unlisted(struct follower *follower, int64_t listing)
{
	int kept = 0;
	for (int i = 0; i < follower->count; i++)
		if (follower->keys[i].listing == listing)
			follower->keys[kept++] = follower->keys[i];
	follower->count = kept;
}

static void on_event(void *context, const struct store_event *event)
{
	struct follower *follower = context;
	pthread_mutex_lock(&follower->mutex);
	bool same = follower->open_revision != 0;
	if (same ? event->revision != follower->open_revision
		 : event->revision <= follower->revision)
		follower->faults++;
	struct kept *kept = find(follower, event->item.key);
	if (!event->deleted)
		set(follower, &event->item, event->revision);
	else if (kept)
		*kept = follower->keys[--follower->count];
	if (event->deleted && (event->item.value || event->item.value_len))
		follower->faults++;
	follower->events++;
	follower->txns += event->last_of_txn;
	follower->open_revision = event->last_of_txn ? 0 : event->revision;
	follower->revision = event->revision;
	pthread_cond_broadcast(&follower->changed);
	pthread_mutex_unlock(&follower->mutex);
}

static void on_sync(void *context, const struct store_item *item, int64_t revision)
{
	struct follower *follower = context;
	pthread_mutex_lock(&follower->mutex);
	if (revision < follower->revision || revision == 0)
		follower->faults++;
	follower->open_revision = 0;
	follower->revision = revision;
	if (item) {
		set(follower, item, revision);
	} else {
		drop_unlisted(follower, revision);
		follower->syncs++;
	}
	pthread_cond_broadcast(&follower->changed);
	pthread_mutex_unlock(&follower->mutex);
}

void follower_start(struct follower *follower, struct store *store, const char *prefix,
		    int64_t relist_ms)
{
	struct err err = { 0 };
	*follower = (struct follower){ .keys = calloc(FOLLOW_KEYS_MAX, sizeof(struct kept)) };
	cr_assert_not_null(follower->keys);
	pthread_mutex_init(&follower->mutex, NULL);
	clock_cond_init(&follower->changed);
	struct store_watch_ops ops = { .event = on_event, .sync = on_sync, .context = follower };
	cr_assert_eq(store_watch_new(store, prefix, &ops, relist_ms, &follower->watch, &err), 0,
		     "%s", err.text);
}

void follower_stop(struct follower *follower)
{
	store_watch_free(follower->watch);
	cr_expect_eq(follower->faults, 0, "%d faults in what the watch told", follower->faults);
	free(follower->keys);
}

void follower_await_syncs(struct follower *follower, int syncs)
{
	int64_t deadline = mono_ms() + PATIENCE_MS;
	pthread_mutex_lock(&follower->mutex);
	while (follower->syncs < syncs &&
	       clock_wait(clock_system(), &follower->changed, &follower->mutex, deadline))
		;
	int seen = follower->syncs;
	pthread_mutex_unlock(&follower->mutex);
	cr_assert_geq(seen, syncs, "the watch never listed for the %d. time", syncs);
}

static bool is_so(struct follower *follower, const char *key, const char *value)
{
	struct kept *kept = find(follower, key);
	return value ? kept && strcmp(kept->value, value) == 0 : !kept;
}

void follower_await(struct follower *follower, const char *key, const char *value)
{
	int64_t deadline = mono_ms() + PATIENCE_MS;
	pthread_mutex_lock(&follower->mutex);
	while (!is_so(follower, key, value) &&
	       clock_wait(clock_system(), &follower->changed, &follower->mutex, deadline))
		;
	bool so = is_so(follower, key, value);
	pthread_mutex_unlock(&follower->mutex);
	cr_assert(so, "the watch never told that %s is %s", key, value ? value : "gone");
}

int follower_count(struct follower *follower)
{
	pthread_mutex_lock(&follower->mutex);
	int count = follower->count;
	pthread_mutex_unlock(&follower->mutex);
	return count;
}

/* --- a campaign --- */

static void on_change(void *context, int64_t create_revision)
{
	struct campaign *campaign = context;
	pthread_mutex_lock(&campaign->mutex);
	REQUIRE(campaign->count < FOLLOW_CHANGES_MAX);
	campaign->told[campaign->count++] = create_revision;
	pthread_cond_broadcast(&campaign->changed);
	pthread_mutex_unlock(&campaign->mutex);
}

void campaign_start(struct campaign *campaign, struct store *store, const char *key, const char *id,
		    int ttl_s)
{
	struct err err = { 0 };
	*campaign = (struct campaign){ 0 };
	pthread_mutex_init(&campaign->mutex, NULL);
	clock_cond_init(&campaign->changed);
	cr_assert_eq(store_lead_new(store, key, id, ttl_s, on_change, campaign, &campaign->lead,
				    &err), 0, "%s", err.text);
}

void campaign_stop(struct campaign *campaign)
{
	store_lead_free(campaign->lead);
	campaign->lead = NULL;
}

static int64_t last_told(const struct campaign *campaign)
{
	return campaign->count ? campaign->told[campaign->count - 1] : 0;
}

int64_t campaign_now(struct campaign *campaign)
{
	pthread_mutex_lock(&campaign->mutex);
	int64_t told = last_told(campaign);
	pthread_mutex_unlock(&campaign->mutex);
	return told;
}

int64_t campaign_await(struct campaign *campaign, bool leads, int64_t over, int patience_ms)
{
	int64_t deadline = mono_ms() + patience_ms, told = -1;
	bool in_time = true;
	pthread_mutex_lock(&campaign->mutex);
	for (;;) {
		told = last_told(campaign);
		if (leads ? told > over : told == 0)
			break;
		if (!in_time) {
			told = -1;
			break;
		}
		in_time = clock_wait(clock_system(), &campaign->changed, &campaign->mutex,
				     deadline);
	}
	pthread_mutex_unlock(&campaign->mutex);
	return told;
}
