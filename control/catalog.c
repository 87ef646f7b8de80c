/* catalog.c - the resources in memory: a sorted array of keys, each with its value packed, which is
 * a tenth of what a tree of values takes.
 * Invariants: keys are unique and sorted; an entry's revision never goes back; what is said of an
 * absent key up to `followed`, to where the watch has told everything, is known already. A deleted
 * key stays as an entry without bytes until the watch has told of it too, so that a late event does
 * not bring it back. */
#include "common/defs.h"
#include "control/catalog.h"

#include "common/log.h"
#include "common/pack.h"
#include "common/text.h"
#include "control/journal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RELIST_MS = 60000, VALUE_ARENA = 16 * 1024 * 1024, ENTRIES_MAX = 4 * 1000 * 1000 };

struct entry {
	int64_t revision;
	int64_t listed[2];     /* the listing that named it last: the watch's, and ours */
	uint8_t *packed;       /* NULL: deleted */
	size_t len;
	char key[];
};

struct catalog {
	struct clock *clock;
	const uint8_t *state_key;
	catalog_change_fn *change;
	void *change_context;
	struct store_watch *watch;
	pthread_mutex_t listing; /* held through a listing of our own, before the others: an entry
	                          * knows only one such that named it */
	pthread_mutex_t order; /* held while a change is taken in and told, so that all are told of
	                        * in the order they were taken in; nothing is read under it */
	pthread_mutex_t mutex; /* guards all below */
	struct entry **entries;
	size_t count, cap;
	int64_t followed;      /* the watch has told of everything up to here */
	int64_t revision;      /* highest seen */
	int64_t own_listings;  /* counts down */
	uint64_t losses;       /* changes that memory was missing for */
	int64_t hole;          /* from this revision on an absent key may be lost; 0: none is */
	int64_t sync_revision; /* of the watch's listing, */
	uint64_t sync_losses;  /* and the losses before it */
};

int catalog_new(struct clock *clock, const uint8_t *state_key, struct catalog **ret_catalog,
                struct err *err)
{
	struct catalog *catalog = calloc(1, sizeof *catalog);
	if (!catalog)
		return err_set(err, E_NOMEM, "no memory for the catalog");
	catalog->clock = clock;
	catalog->state_key = state_key;
	pthread_mutex_init(&catalog->listing, NULL);
	pthread_mutex_init(&catalog->order, NULL);
	pthread_mutex_init(&catalog->mutex, NULL);
	*ret_catalog = catalog;
	return 0;
}

static void entry_free(struct entry *entry)
{
	free(entry->packed);
	free(entry);
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	store_watch_free(catalog->watch);
	for (size_t i = 0; i < catalog->count; i++)
		entry_free(catalog->entries[i]);
	free(catalog->entries);
	pthread_mutex_destroy(&catalog->order);
	pthread_mutex_destroy(&catalog->listing);
	pthread_mutex_destroy(&catalog->mutex);
	free(catalog);
}

void catalog_on_change(struct catalog *catalog, catalog_change_fn *change, void *context)
{
	catalog->change = change;
	catalog->change_context = context;
}

int64_t catalog_revision(struct catalog *catalog)
{
	pthread_mutex_lock(&catalog->mutex);
	int64_t revision = catalog->revision;
	pthread_mutex_unlock(&catalog->mutex);
	return revision;
}

int64_t catalog_followed(struct catalog *catalog)
{
	pthread_mutex_lock(&catalog->mutex);
	int64_t followed = catalog->followed;
	pthread_mutex_unlock(&catalog->mutex);
	return followed;
}

/* --- the array; the mutex is held --- */

/* The first entry that is not before key. */
static size_t lower_bound(const struct catalog *catalog, const char *key)
{
	size_t low = 0, high = catalog->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(catalog->entries[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct entry *entry_find(const struct catalog *catalog, const char *key)
{
	size_t at = lower_bound(catalog, key);
	if (at < catalog->count && strcmp(catalog->entries[at]->key, key) == 0)
		return catalog->entries[at];
	return NULL;
}

static bool entries_room(struct catalog *catalog)
{
	if (catalog->count < catalog->cap)
		return true;
	size_t cap = catalog->cap ? catalog->cap * 2 : 64;
	if (cap > ENTRIES_MAX)
		return false;
	struct entry **entries = realloc(catalog->entries, cap * sizeof *entries);
	if (!entries)
		return false;
	catalog->entries = entries;
	catalog->cap = cap;
	return true;
}

static struct entry *entry_add(struct catalog *catalog, const char *key)
{
	struct entry *entry = calloc(1, sizeof *entry + strlen(key) + 1);
	if (!entry || !entries_room(catalog)) {
		free(entry);
		return NULL;
	}
	memcpy(entry->key, key, strlen(key) + 1);
	size_t at = lower_bound(catalog, key);
	memmove(catalog->entries + at + 1, catalog->entries + at,
	        (catalog->count - at) * sizeof *catalog->entries);
	catalog->entries[at] = entry;
	catalog->count++;
	return entry;
}

static void entry_remove(struct catalog *catalog, const char *key)
{
	size_t at = lower_bound(catalog, key);
	if (at >= catalog->count || strcmp(catalog->entries[at]->key, key) != 0)
		return;
	entry_free(catalog->entries[at]);
	catalog->count--;
	memmove(catalog->entries + at, catalog->entries + at + 1,
	        (catalog->count - at) * sizeof *catalog->entries);
}

/* --- taking a change in --- */

enum told { TOLD_NEWS, TOLD_KNOWN, TOLD_NOMEM };

static void lose_locked(struct catalog *catalog, int64_t revision)
{
	catalog->losses++;
	if (!catalog->hole || revision < catalog->hole)
		catalog->hole = revision;
}

static void lose(struct catalog *catalog, int64_t revision)
{
	pthread_mutex_lock(&catalog->mutex);
	lose_locked(catalog, revision);
	pthread_mutex_unlock(&catalog->mutex);
}

/* What is said of a key that is not there, whether it was deleted since. */
static bool is_past(const struct catalog *catalog, int64_t revision)
{
	bool lost = catalog->hole && revision >= catalog->hole;
	return revision <= catalog->followed && !lost;
}

/* packed is taken over when it is news. */
static enum told set_locked(struct catalog *catalog, const char *key, uint8_t *packed, size_t len,
                            int64_t revision)
{
	struct entry *entry = entry_find(catalog, key);
	if (entry ? revision <= entry->revision : is_past(catalog, revision))
		return TOLD_KNOWN;
	if (!entry)
		entry = entry_add(catalog, key);
	if (!entry) {
		lose_locked(catalog, revision);
		return TOLD_NOMEM;
	}
	free(entry->packed);
	entry->packed = packed;
	entry->len = len;
	entry->revision = revision;
	if (revision > catalog->revision)
		catalog->revision = revision;
	return TOLD_NEWS;
}

/* Packs value (NULL: deleted), stores it and tells of it. The order mutex is held. */
static void take(struct catalog *catalog, const char *key, const struct value *value,
                 int64_t revision)
{
	AUTO_BUF packed;
	buf_init(&packed, STORE_VALUE_MAX * 2);
	struct err err = { 0 };
	if (value && pack_write(value, &packed, &err) < 0) {
		if (err.code == E_NOMEM)
			lose(catalog, revision);
		log_error(NULL, "resource_unusable", "key=%s reason=\"%s\"", key, err.text);
		return;
	}
	pthread_mutex_lock(&catalog->mutex);
	enum told told = set_locked(catalog, key, packed.data, packed.len, revision);
	pthread_mutex_unlock(&catalog->mutex);
	if (told == TOLD_NEWS)
		packed.data = NULL;
	if (told == TOLD_NOMEM)
		log_error(NULL, "resource_dropped",
		          "key=%s reason=\"no memory; the next listing brings "
		          "it again\"",
		          key);
	if (told == TOLD_NEWS && catalog->change)
		catalog->change(catalog->change_context, key, value);
}

void catalog_apply(struct catalog *catalog, const char *key, const struct value *value,
                   int64_t revision)
{
	pthread_mutex_lock(&catalog->order);
	take(catalog, key, value, revision);
	pthread_mutex_unlock(&catalog->order);
}

static bool known(struct catalog *catalog, const char *key, int64_t revision, int64_t listed)
{
	pthread_mutex_lock(&catalog->mutex);
	struct entry *entry = entry_find(catalog, key);
	if (entry && listed)
		entry->listed[listed < 0] = listed;
	bool is = entry && entry->revision >= revision;
	pthread_mutex_unlock(&catalog->mutex);
	return is;
}

/* A value as it lies in the store: opened, then taken in. The order mutex is held. */
static void take_sealed(struct catalog *catalog, const struct store_item *item)
{
	AUTO(arena) *arena = NULL;
	struct value *value = NULL;
	struct err err = { 0 };
	if (arena_new(VALUE_ARENA, &arena, &err) < 0 ||
	    journal_open_value(catalog->state_key, item->key, item->value, item->value_len, arena,
	                       &value, &err) < 0) {
		if (err.code == E_NOMEM)
			lose(catalog, item->mod_revision);
		log_error(NULL, "resource_unreadable", "key=%s reason=\"%s\"", item->key, err.text);
		return;
	}
	take(catalog, item->key, value, item->mod_revision);
}

/* --- following the store --- */

static void followed_to(struct catalog *catalog, int64_t revision)
{
	pthread_mutex_lock(&catalog->mutex);
	if (revision > catalog->followed)
		catalog->followed = revision;
	if (revision > catalog->revision)
		catalog->revision = revision;
	pthread_mutex_unlock(&catalog->mutex);
}

static void on_event(void *context, const struct store_event *event)
{
	struct catalog *catalog = context;
	pthread_mutex_lock(&catalog->order);
	if (event->deleted) {
		take(catalog, event->item.key, NULL, event->revision);
		pthread_mutex_lock(&catalog->mutex);
		struct entry *entry = entry_find(catalog, event->item.key);
		if (entry && !entry->packed && entry->revision <= event->revision)
			entry_remove(catalog, event->item.key);
		pthread_mutex_unlock(&catalog->mutex);
	} else if (!known(catalog, event->item.key, event->item.mod_revision, 0)) {
		take_sealed(catalog, &event->item);
	}
	if (event->last_of_txn)
		followed_to(catalog, event->revision);
	pthread_mutex_unlock(&catalog->order);
}

/* Ends a listing: what it did not name is gone, unless it came later. The order mutex is held. */
static void sweep(struct catalog *catalog, int64_t listing, int64_t revision)
{
	for (size_t i = 0;; i++) {
		char key[STORE_KEY_MAX + 1] = "";
		bool gone = false, was_live = false;
		pthread_mutex_lock(&catalog->mutex);
		if (i < catalog->count) {
			struct entry *entry = catalog->entries[i];
			snprintf(key, sizeof key, "%s", entry->key);
			gone = entry->listed[listing < 0] != listing &&
			       entry->revision <= revision;
			was_live = entry->packed != NULL;
		}
		if (gone)
			entry_remove(catalog, key);
		pthread_mutex_unlock(&catalog->mutex);
		if (!key[0])
			return;
		if (gone && was_live && catalog->change)
			catalog->change(catalog->change_context, key, NULL);
		i -= gone;
	}
}

/* An item of a listing. The order mutex is held. */
static void list_item(struct catalog *catalog, const struct store_item *item, int64_t listing)
{
	if (known(catalog, item->key, item->mod_revision, listing))
		return;
	take_sealed(catalog, item);
	known(catalog, item->key, item->mod_revision, listing);
}

static uint64_t losses_now(struct catalog *catalog)
{
	pthread_mutex_lock(&catalog->mutex);
	uint64_t losses = catalog->losses;
	pthread_mutex_unlock(&catalog->mutex);
	return losses;
}

/* A listing is over: when it lost nothing itself, nothing is lost. */
static bool listed_all(struct catalog *catalog, uint64_t losses_before)
{
	pthread_mutex_lock(&catalog->mutex);
	bool all = catalog->losses == losses_before;
	if (all)
		catalog->hole = 0;
	pthread_mutex_unlock(&catalog->mutex);
	return all;
}

bool catalog_whole(struct catalog *catalog)
{
	pthread_mutex_lock(&catalog->mutex);
	bool whole = catalog->hole == 0;
	pthread_mutex_unlock(&catalog->mutex);
	return whole;
}

/* sync_revision and sync_losses are the watch's thread's alone. */
static void on_sync(void *context, const struct store_item *item, int64_t revision)
{
	struct catalog *catalog = context;
	pthread_mutex_lock(&catalog->order);
	if (catalog->sync_revision != revision)
		catalog->sync_losses = losses_now(catalog);
	catalog->sync_revision = revision;
	if (item) {
		list_item(catalog, item, revision);
	} else {
		sweep(catalog, revision, revision);
		followed_to(catalog, revision);
		listed_all(catalog, catalog->sync_losses);
	}
	pthread_mutex_unlock(&catalog->order);
}

/* A listing of our own is numbered below zero: the watch's go by their revisions. The two may run
 * at one time, and neither ends what only the other has named. */
struct own_listing {
	struct catalog *catalog;
	int64_t number;
};

static int on_listed(void *context, const struct store_item *item, struct err *err)
{
	struct own_listing *own = context;
	(void)err;
	pthread_mutex_lock(&own->catalog->order);
	list_item(own->catalog, item, own->number);
	pthread_mutex_unlock(&own->catalog->order);
	return 0;
}

static int refresh(struct catalog *catalog, struct store *store, struct err *err)
{
	struct own_listing own = { .catalog = catalog };
	int64_t revision = 0;
	pthread_mutex_lock(&catalog->mutex);
	own.number = --catalog->own_listings;
	uint64_t losses = catalog->losses;
	pthread_mutex_unlock(&catalog->mutex);
	TRY(store_list(store, "r/", on_listed, &own, &revision, err));
	pthread_mutex_lock(&catalog->order);
	sweep(catalog, own.number, revision);
	followed_to(catalog, revision);
	bool all = listed_all(catalog, losses);
	pthread_mutex_unlock(&catalog->order);
	return all ? 0 : err_set(err, E_NOMEM, "no memory for all of the catalog");
}

int catalog_refresh(struct catalog *catalog, struct store *store, struct err *err)
{
	pthread_mutex_lock(&catalog->listing);
	int rc = refresh(catalog, store, err);
	pthread_mutex_unlock(&catalog->listing);
	return rc;
}

int catalog_follow(struct catalog *catalog, struct store *store, struct err *err)
{
	TRY(catalog_refresh(catalog, store, err));
	const struct store_watch_ops ops = { .event = on_event,
		                             .sync = on_sync,
		                             .context = catalog };
	return store_watch_new(store, "r/", &ops, RELIST_MS, &catalog->watch, err);
}

void catalog_unfollow(struct catalog *catalog)
{
	store_watch_free(catalog->watch);
	catalog->watch = NULL;
}

/* --- reading --- */

struct copied {
	const char *key;
	const uint8_t *packed;
	size_t len;
	int64_t revision;
};

/* Copies the bytes under the mutex; they are unpacked outside of it. */
static bool copy_entry(struct arena *arena, const struct entry *entry, struct copied *ret_copied)
{
	uint8_t *packed = arena_alloc(arena, entry->len);
	char *key = arena_strdup(arena, entry->key);
	if (!packed || !key)
		return false;
	memcpy(packed, entry->packed, entry->len);
	*ret_copied = (struct copied){ key, packed, entry->len, entry->revision };
	return true;
}

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM,
	               "the resources read do not fit into one request's memory; ask for "
	               "fewer with limit");
}

static int not_found(const char *key, struct err *err)
{
	const char *kind = strchr(key, '/') ? strchr(key, '/') + 1 : key;
	const char *name = strrchr(key, '/') ? strrchr(key, '/') + 1 : key;
	return err_set(err, E_NOT_FOUND, "the %.*s %s does not exist", (int)strcspn(kind, "/"),
	               kind, name);
}

int catalog_get(struct catalog *catalog, struct arena *arena, const char *key,
                struct value **ret_value, int64_t *ret_revision, struct err *err)
{
	struct copied copied = { 0 };
	pthread_mutex_lock(&catalog->mutex);
	const struct entry *entry = entry_find(catalog, key);
	bool there = entry && entry->packed;
	bool fits = there && copy_entry(arena, entry, &copied);
	pthread_mutex_unlock(&catalog->mutex);
	if (!there)
		return not_found(key, err);
	if (!fits)
		return no_room(err);
	TRY(pack_read(arena, copied.packed, copied.len, ret_value, err));
	if (ret_revision)
		*ret_revision = copied.revision;
	return 0;
}

static bool has_prefix(const char *key, const char *prefix)
{
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

bool catalog_has(struct catalog *catalog, const char *key)
{
	pthread_mutex_lock(&catalog->mutex);
	const struct entry *entry = entry_find(catalog, key);
	bool there = entry && entry->packed;
	pthread_mutex_unlock(&catalog->mutex);
	return there;
}

bool catalog_has_prefix(struct catalog *catalog, const char *prefix)
{
	bool found = false;
	pthread_mutex_lock(&catalog->mutex);
	for (size_t i = lower_bound(catalog, prefix); i < catalog->count && !found; i++) {
		if (!has_prefix(catalog->entries[i]->key, prefix))
			break;
		found = catalog->entries[i]->packed != NULL;
	}
	pthread_mutex_unlock(&catalog->mutex);
	return found;
}

/* Up to limit live entries of prefix from `at`; false when the arena is full. Mutex held. */
static bool copy_run(const struct catalog *catalog, struct arena *arena, size_t at,
                     const char *prefix, size_t limit, struct copied *copied, size_t *ret_count,
                     bool *ret_more)
{
	*ret_count = 0;
	for (; at < catalog->count && has_prefix(catalog->entries[at]->key, prefix); at++) {
		if (!catalog->entries[at]->packed)
			continue;
		if (*ret_count == limit) {
			*ret_more = true;
			return true;
		}
		if (!copy_entry(arena, catalog->entries[at], &copied[*ret_count]))
			return false;
		++*ret_count;
	}
	return true;
}

int catalog_list(struct catalog *catalog, struct arena *arena, const char *prefix,
                 const char *after, size_t limit, catalog_visit_fn *visit, void *context,
                 bool *ret_more, struct err *err)
{
	struct copied *copied = arena_alloc(arena, (limit + 1) * sizeof *copied);
	if (!copied)
		return no_room(err);
	size_t count = 0;
	bool more = false;
	pthread_mutex_lock(&catalog->mutex);
	size_t at = lower_bound(catalog, after && strcmp(after, prefix) > 0 ? after : prefix);
	if (after && at < catalog->count && strcmp(catalog->entries[at]->key, after) == 0)
		at++;
	bool fits = copy_run(catalog, arena, at, prefix, limit, copied, &count, &more);
	pthread_mutex_unlock(&catalog->mutex);
	if (!fits)
		return no_room(err);
	for (size_t i = 0; i < count; i++) {
		struct value *value = NULL;
		TRY(pack_read(arena, copied[i].packed, copied[i].len, &value, err));
		TRY(visit(context, copied[i].key, value, copied[i].revision, err));
	}
	*ret_more = more;
	return 0;
}

/* --- keys --- */

const char *catalog_key(char out[STORE_KEY_MAX], enum kind kind, const char *tenant,
                        const char *domain, const char *name)
{
	REQUIRE(kind >= 0 && kind < KIND_COUNT_);
	const char *word = kind_info[kind].name;
	if (kind_info[kind].scope == SCOPE_PLATFORM)
		snprintf(out, STORE_KEY_MAX, "r/%s/%s", word, name);
	else if (kind_info[kind].scope == SCOPE_TENANT)
		snprintf(out, STORE_KEY_MAX, "r/%s/%s/%s", word, tenant, name);
	else
		snprintf(out, STORE_KEY_MAX, "r/%s/%s/%s/%s", word, tenant, domain, name);
	return out;
}

int catalog_ref(const char *ref, const char *own_domain, char domain[64], char name[64],
                struct err *err)
{
	const char *dot = strchr(ref, '.');
	size_t head = dot ? (size_t)(dot - ref) : 0;
	const char *tail = dot ? dot + 1 : ref;
	if (head > NAME_MAX_LEN || strlen(tail) > NAME_MAX_LEN || (!dot && !own_domain))
		return err_set(err, E_INVALID,
		               "a reference reads NAME or DOMAIN.NAME, each of 1 to %d "
		               "characters",
		               NAME_MAX_LEN);
	char found[2][64];
	snprintf(found[0], sizeof found[0], "%.*s", dot ? (int)head : NAME_MAX_LEN,
	         dot ? ref : own_domain);
	snprintf(found[1], sizeof found[1], "%s", tail);
	TRY(name_check("the domain of a reference", found[0], err));
	TRY(name_check("the name of a reference", found[1], err));
	memcpy(domain, found[0], 64);
	memcpy(name, found[1], 64);
	return 0;
}
