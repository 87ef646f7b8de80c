/* schedule_items.c - Schedules and Backfills out of the catalog, as the schedules' thread has them.
 * What cannot be read (it was checked when it was written) is left out and logged. */
#include "common/defs.h"
#include "control/schedule_impl.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEM_BYTES_MAX = 2 * 1024 * 1024, PAGE = 200 };

bool is_schedule_key(const char *key, enum kind *ret_kind)
{
	static const enum kind kinds[] = { KIND_SCHEDULE, KIND_BACKFILL };
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *name = kind_info[kinds[i]].name;
		size_t len = strlen(name);
		if (strncmp(key, "r/", 2) == 0 && strncmp(key + 2, name, len) == 0 &&
		    key[2 + len] == '/') {
			*ret_kind = kinds[i];
			return true;
		}
	}
	return false;
}

struct item *item_by_key(const struct schedules *schedules, const char *key)
{
	struct hash_node *node = hashmap_find(&schedules->by_key, key);
	return node ? HASH_OWNER(node, struct item, by_key) : NULL;
}

struct item *item_by_uid(const struct schedules *schedules, const char *uid)
{
	struct hash_node *node = hashmap_find(&schedules->by_uid, uid);
	return node ? HASH_OWNER(node, struct item, by_uid) : NULL;
}

struct item **items_of(struct schedules *schedules, enum kind kind)
{
	return &schedules->items[kind == KIND_BACKFILL];
}

/* --- when --- */

/* There is room: item_add reserves it. */
void item_due(struct schedules *schedules, struct item *item, int64_t unix_ms)
{
	if (unix_ms == INT64_MAX)
		return;
	uint64_t key = unix_ms > 0 ? (uint64_t)unix_ms : 0;
	if (!item->due.place)
		heap_add(&schedules->due, &item->due, key);
	else if (schedules->due.items[item->due.place - 1].key > key)
		heap_move(&schedules->due, &item->due, key);
}

static bool is_of(const struct item *backfill, const struct item *schedule)
{
	const struct fired_schedule *fired = &schedule->fired;
	const struct backfill *of = &backfill->backfill;
	return strcmp(of->schedule, fired->name) == 0 && strcmp(of->domain, fired->domain) == 0 &&
		strcmp(of->tenant, fired->tenant) == 0;
}

void item_look(struct schedules *schedules, struct item *item)
{
	item_due(schedules, item, 0);
	if (item->kind != KIND_SCHEDULE)
		return;
	for (struct item *at = *items_of(schedules, KIND_BACKFILL); at; at = at->next)
		if (is_of(at, item))
			item_due(schedules, at, 0);
}

/* --- datasets --- */

static void unwant(struct schedules *schedules, struct wanted *wanted)
{
	struct hash_node *node = hashmap_find(&schedules->wanted, wanted->key);
	struct wanted *first = node ? HASH_OWNER(node, struct wanted, by_key) : NULL;
	if (first == wanted) {
		hashmap_remove(&schedules->wanted, &wanted->by_key);
		/* A table that is there has room for one more. */
		if (wanted->same)
			REQUIRE(hashmap_add(&schedules->wanted, &wanted->same->by_key,
			                    wanted->same->key));
		return;
	}
	for (; first; first = first->same)
		if (first->same == wanted)
			first->same = wanted->same;
}

static int want(struct schedules *schedules, struct item *item, struct wanted *wanted,
                const char *ref, struct err *err)
{
	char domain[64], name[64];
	TRY(catalog_ref(ref, item->fired.domain, domain, name, err));
	wanted->item = item;
	wanted->key = arena_printf(item->arena, "r/head/%s/%s/%s", item->fired.tenant, domain,
	                           name);
	if (!wanted->key)
		return err_set(err, E_NOMEM, "no memory for a schedule");
	struct hash_node *node = hashmap_find(&schedules->wanted, wanted->key);
	if (node) {
		struct wanted *first = HASH_OWNER(node, struct wanted, by_key);
		wanted->same = first->same;
		first->same = wanted;
		return 0;
	}
	if (hashmap_add(&schedules->wanted, &wanted->by_key, wanted->key))
		return 0;
	return err_set(err, E_NOMEM, "no memory for a schedule");
}

static int want_all(struct schedules *schedules, struct item *item, struct err *err)
{
	const struct value *refs = value_get(item->fired.spec, "onDatasets");
	item->wanted = arena_alloc(item->arena, (value_len(refs) + 1) * sizeof *item->wanted);
	if (!item->wanted)
		return err_set(err, E_NOMEM, "no memory for a schedule");
	for (size_t i = 0; i < value_len(refs); i++) {
		TRY(want(schedules, item, &item->wanted[i], value_as_str(value_at(refs, i)), err));
		item->wanted_count++;
	}
	return 0;
}

/* --- in and out --- */

static void item_free(struct item *item)
{
	timetable_release(&item->timetable);
	arena_free(item->arena);
	free(item);
}

static void poked_remove(struct schedules *schedules, const struct item *item)
{
	for (struct item **at = &schedules->poked; *at; at = &(*at)->next_poked)
		if (*at == item) {
			*at = item->next_poked;
			return;
		}
}

static void item_drop(struct schedules *schedules, struct item *item)
{
	pthread_mutex_lock(&schedules->mutex);
	poked_remove(schedules, item);
	while (item->wanted_count > 0)
		unwant(schedules, &item->wanted[--item->wanted_count]);
	hashmap_remove(&schedules->by_key, &item->by_key);
	hashmap_remove(&schedules->by_uid, &item->by_uid);
	pthread_mutex_unlock(&schedules->mutex);
	if (item->due.place)
		heap_remove(&schedules->due, &item->due);
	for (struct item **at = items_of(schedules, item->kind); *at; at = &(*at)->next)
		if (*at == item) {
			*at = item->next;
			break;
		}
	item_free(item);
}

void items_clear(struct schedules *schedules)
{
	for (size_t i = 0; i < ARRAY_LEN(schedules->items); i++)
		while (schedules->items[i])
			item_drop(schedules, schedules->items[i]);
}

static int64_t created_ms(const struct value *resource)
{
	int64_t unix_ms = 0;
	const char *text = value_get_str(value_get(resource, "metadata"), "createdAt");
	return time_parse(text, &unix_ms, NULL) == 0 ? unix_ms : 0;
}

static int item_understand(struct item *item, struct err *err)
{
	const struct value *metadata = value_get(item->resource, "metadata");
	item->uid = value_get_str(metadata, "uid");
	if (!item->uid)
		return err_set(err, E_CORRUPT, "the resource has no uid");
	if (item->kind == KIND_BACKFILL)
		return backfill_read(item->resource, &item->backfill, err);
	item->fired = (struct fired_schedule){
		.tenant = value_get_str(metadata, "tenant"),
		.domain = value_get_str(metadata, "domain"),
		.name = value_get_str(metadata, "name"), .uid = item->uid,
		.spec = value_get(item->resource, "spec"), .revision = item->revision,
		.behalf = behalf_read(item->resource),
	};
	return timetable_read(item->fired.spec, created_ms(item->resource), &item->timetable, err);
}

static int item_link(struct schedules *schedules, struct item *item, struct err *err)
{
	struct err why = { 0 };
	pthread_mutex_lock(&schedules->mutex);
	bool keyed = hashmap_add(&schedules->by_key, &item->by_key, item->key);
	bool named = keyed && hashmap_add(&schedules->by_uid, &item->by_uid, item->uid);
	int rc = named ? 0 : err_set(&why, E_NOMEM, "no memory for a schedule");
	if (rc == 0 && item->kind == KIND_SCHEDULE)
		rc = want_all(schedules, item, &why);
	while (rc < 0 && item->wanted_count > 0)
		unwant(schedules, &item->wanted[--item->wanted_count]);
	if (rc < 0 && named)
		hashmap_remove(&schedules->by_uid, &item->by_uid);
	if (rc < 0 && keyed)
		hashmap_remove(&schedules->by_key, &item->by_key);
	pthread_mutex_unlock(&schedules->mutex);
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	item->next = *items_of(schedules, item->kind);
	*items_of(schedules, item->kind) = item;
	return 0;
}

static size_t item_count(const struct schedules *schedules)
{
	return schedules->by_key.len + 1;
}

/* E_INVALID, E_CORRUPT: it cannot be understood. */
static int item_make(struct schedules *schedules, const char *key, enum kind kind,
                     struct err *err)
{
	struct value *resource = NULL;
	struct item *item = calloc(1, sizeof *item);
	if (!item)
		return err_set(err, E_NOMEM, "no memory for a schedule");
	item->kind = kind;
	int rc = arena_new(ITEM_BYTES_MAX, &item->arena, err);
	if (rc == 0)
		rc = catalog_get(schedules->control->catalog, item->arena, key, &resource,
		                 &item->revision, err);
	item->resource = resource;
	item->key = rc == 0 ? arena_strdup(item->arena, key) : NULL;
	if (rc == 0 && (!item->key || !heap_reserve(&schedules->due, item_count(schedules))))
		rc = err_set(err, E_NOMEM, "no memory for a schedule");
	if (rc == 0)
		rc = item_understand(item, err);
	if (rc == 0)
		rc = item_link(schedules, item, err);
	if (rc < 0)
		item_free(item);
	else
		item_look(schedules, item);
	return rc;
}

int item_read(struct schedules *schedules, const char *key, struct err *err)
{
	enum kind kind = KIND_NONE;
	struct err why = { 0 };
	struct item *old = item_by_key(schedules, key);
	if (old)
		item_drop(schedules, old);
	if (!is_schedule_key(key, &kind))
		return 0;
	int rc = item_make(schedules, key, kind, &why);
	if (rc == E_NOMEM)
		return err_set(err, rc, "%s", why.text);
	if (rc < 0 && rc != E_NOT_FOUND)
		log_error(NULL, "schedule_not_read", "key=%s reason=\"%s\"", key, why.text);
	return 0;
}

/* --- all of them --- */

struct reading { struct schedules *schedules; char last[STORE_KEY_MAX]; };

static bool in_part(const struct schedules *schedules, const char *key)
{
	char tenant[64];
	const char *from = strchr(key + 2, '/') + 1;
	size_t len = strcspn(from, "/");
	if (len >= sizeof tenant)
		return false;
	memcpy(tenant, from, len);
	tenant[len] = 0;
	return part_of(schedules->control, tenant) == schedules->part;
}

static int visit(void *context, const char *key, const struct value *value, int64_t revision,
                 struct err *err)
{
	struct reading *reading = context;
	(void)value, (void)revision;
	snprintf(reading->last, sizeof reading->last, "%s", key);
	return in_part(reading->schedules, key) ? item_read(reading->schedules, key, err) : 0;
}

static int read_kind(struct schedules *schedules, enum kind kind, struct err *err)
{
	struct reading reading = { .schedules = schedules };
	char prefix[STORE_KEY_MAX];
	bool more = true;
	snprintf(prefix, sizeof prefix, "r/%s/", kind_info[kind].name);
	while (more) {
		AUTO(arena) *arena = NULL;
		TRY(arena_new(256 * MIB, &arena, err));
		TRY(catalog_list(schedules->control->catalog, arena, prefix,
		                 reading.last[0] ? reading.last : NULL, PAGE, visit, &reading,
		                 &more, err));
	}
	return 0;
}

int items_read_all(struct schedules *schedules, struct err *err)
{
	TRY(read_kind(schedules, KIND_SCHEDULE, err));
	return read_kind(schedules, KIND_BACKFILL, err);
}
