/* keys.c - wrapped keys as members of resources. Only wrapped keys are in values; an opened one is
 * given to the caller, who wipes it. */
#include "common/defs.h"
#include "control/keys.h"

#include "common/log.h"
#include "common/text.h"
#include "control/dispatch.h"
#include "control/plan.h"
#include "control/tenancy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 64, PAGE_ARENA = 64 * 1024 * 1024, FORGET_ARENA = 256 * 1024 * 1024 };

const char *keys_tenant_key(char out[STORE_KEY_MAX], const char *tenant)
{
	snprintf(out, STORE_KEY_MAX, "r/key/%s", tenant);
	return out;
}

/* A box of the length every box has, or NULL. */
static const uint8_t *box_of(const struct value *map)
{
	size_t len = 0;
	const void *box = value_get_bin(map, "box", &len);
	return len == WRAPPED_KEY_BYTES ? box : NULL;
}

static uint32_t version_of(const struct value *map, const char *name)
{
	return (uint32_t)value_get_int(map, name, 0);
}

static bool is_destroyed(const struct value *key)
{
	return value_get(key, "destroyedAt") != NULL;
}

bool keys_rotating(const struct value *resource)
{
	return value_get(value_get(resource, "key"), "old") != NULL;
}

bool keys_destroyed(const struct value *resource)
{
	return is_destroyed(value_get(resource, "key"));
}

const char *keys_name(struct arena *arena, const struct value *resource)
{
	const struct value *metadata = value_get(resource, "metadata");
	const char *kind = value_get_str(resource, "kind");
	const char *domain = value_get_str(metadata, "domain");
	const char *name = value_get_str(metadata, "name");
	bool view = kind && strcmp(kind, kind_info[KIND_FEATUREVIEW].kind) == 0;
	const char *text = arena_printf(arena, "the %s %s.%s", view ? "feature view" : "dataset",
	                                domain ? domain : "?", name ? name : "?");
	return text ? text : "the resource";
}

/* --- errors --- */

static int no_tenant_key(const char *tenant, struct err *err)
{
	return err_set(err, E_CORRUPT,
	               "the tenant %s has no readable key; without it its data cannot "
	               "be opened or written",
	               tenant);
}

static int gone(const char *what, const struct value *key, struct err *err)
{
	char at[TIME_TEXT_MAX];
	time_print_ms(value_get_int(key, "destroyedAt", 0), at);
	return err_set(err, E_DESTROYED, "the key of %s was destroyed at %s: what was stored under "
	               "it cannot be read by anyone any more; delete it, and make it anew if it "
	               "is still wanted", what, at);
}

/* The tenant's key of that version: the newest or the one before. */
static int tenant_box(const char *tenant, const struct value *tenant_key, uint32_t version,
                      struct tenant_box *ret_box, struct err *err)
{
	const struct value *of[] = { tenant_key, value_get(tenant_key, "old") };
	if (is_destroyed(tenant_key)) {
		char what[128];
		snprintf(what, sizeof what, "the tenant %.64s", tenant);
		return gone(what, tenant_key, err);
	}
	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		*ret_box = (struct tenant_box){ version_of(of[i], "version"), box_of(of[i]) };
		if (ret_box->box && ret_box->version == version)
			return 0;
	}
	return no_tenant_key(tenant, err);
}

static int tenant_key_of(struct control *control, struct arena *arena, const char *tenant,
                         struct value **ret_key, struct err *err)
{
	char at[STORE_KEY_MAX];
	int rc = catalog_get(control->catalog, arena, keys_tenant_key(at, tenant), ret_key, NULL,
	                     err);
	return rc == E_NOT_FOUND ? no_tenant_key(tenant, err) : rc;
}

/* --- making --- */

static int make_tenant(struct keyring *keyring, struct arena *arena, const char *tenant,
                       uint32_t version, int64_t now_ms, struct value **ret_value, struct err *err)
{
	uint8_t box[WRAPPED_KEY_BYTES];
	TRY(keyring_make_tenant(keyring, tenant, version, box, err));
	struct value *value = value_map(arena);
	value_set_str(value, "tenant", tenant);
	value_set_int(value, "version", version);
	value_set_bin(value, "box", box, sizeof box);
	if (now_ms)
		value_set_int(value, "createdAt", now_ms);
	TRY(value_check(value, err));
	*ret_value = value;
	return 0;
}

int keys_make_tenant(struct keyring *keyring, struct arena *arena, const char *tenant,
                     struct value **ret_value, struct err *err)
{
	return make_tenant(keyring, arena, tenant, 1, 0, ret_value, err);
}

/* Whose key, which one, and when it was made (0: with its resource). */
struct making {
	const char *tenant, *uid;
	uint32_t version;
	int64_t now_ms;
};

static int make_resource(struct keyring *keyring, struct arena *arena,
                         const struct making *making, const struct value *tenant_key,
                         struct value **ret_value, struct err *err)
{
	uint8_t box[WRAPPED_KEY_BYTES];
	struct tenant_box under;
	TRY(tenant_box(making->tenant, tenant_key, version_of(tenant_key, "version"), &under,
	               err));
	TRY(keyring_make_dataset(keyring, making->tenant, under.version, under.box, making->uid,
	                         making->version, box, err));
	struct value *value = value_map(arena);
	value_set_int(value, "version", making->version);
	value_set_bin(value, "box", box, sizeof box);
	value_set_int(value, "tenantVersion", under.version);
	if (making->now_ms)
		value_set_int(value, "createdAt", making->now_ms);
	TRY(value_check(value, err));
	*ret_value = value;
	return 0;
}

int keys_make_resource(struct keyring *keyring, struct arena *arena, const char *tenant,
                       const struct value *tenant_key, const char *uid, struct value **ret_value,
                       struct err *err)
{
	const struct making making = { tenant, uid, 1, 0 };
	return make_resource(keyring, arena, &making, tenant_key, ret_value, err);
}

/* --- opening --- */

struct opening {
	struct control *control;
	const char *tenant, *uid;
	const struct value *tenant_key;
};

/* Sealed meanwhile: what was forgotten then is cached again now. */
static int still_open(struct control *control, const char *tenant, struct err *err)
{
	int rc = tenancy_needs(control, tenant, TENANCY_KEYS, err);
	if (rc < 0)
		keyring_forget(control->keyring, tenant);
	return rc;
}

static int open_box(const struct opening *opening, const struct value *own, uint8_t *key,
                    struct err *err)
{
	struct tenant_box under;
	const uint8_t *box = box_of(own);
	TRY(tenant_box(opening->tenant, opening->tenant_key, version_of(own, "tenantVersion"),
	               &under, err));
	if (!box)
		return no_tenant_key(opening->tenant, err);
	TRY(tenancy_needs(opening->control, opening->tenant, TENANCY_KEYS, err));
	TRY(keyring_open_dataset(opening->control->keyring, opening->tenant, under.version,
	                         under.box, opening->uid, version_of(own, "version"), box, key,
	                         err));
	int rc = still_open(opening->control, opening->tenant, err);
	if (rc < 0)
		secret_wipe(key, KEY_BYTES);
	return rc;
}

static int opening_of(struct control *control, struct arena *arena, const char *tenant,
                      const struct value *resource, struct opening *ret_opening, struct err *err)
{
	struct value *tenant_key = NULL;
	const struct value *own = value_get(resource, "key");
	if (is_destroyed(own))
		return gone(keys_name(arena, resource), own, err);
	TRY(tenant_key_of(control, arena, tenant, &tenant_key, err));
	*ret_opening = (struct opening){
		.control = control, .tenant = tenant, .tenant_key = tenant_key,
		.uid = value_get_str(value_get(resource, "metadata"), "uid"),
	};
	return ret_opening->uid ? 0 : no_tenant_key(tenant, err);
}

int keys_open_resource(struct control *control, struct arena *arena, const char *tenant,
                       const struct value *resource, uint8_t key[KEY_BYTES],
                       uint32_t *ret_version, struct err *err)
{
	struct opening opening;
	const struct value *own = value_get(resource, "key");
	TRY(opening_of(control, arena, tenant, resource, &opening, err));
	TRY(open_box(&opening, own, key, err));
	*ret_version = version_of(own, "version");
	return 0;
}

int keys_open_pair(struct control *control, struct arena *arena, const char *tenant,
                   const struct value *resource, struct key_pair *pair, struct err *err)
{
	struct opening opening;
	const struct value *own = value_get(resource, "key"), *old = value_get(own, "old");
	TRY(opening_of(control, arena, tenant, resource, &opening, err));
	TRY(open_box(&opening, own, pair->key, err));
	if (old) {
		int rc = open_box(&opening, old, pair->old_key, err);
		if (rc < 0) {
			secret_wipe(pair->key, KEY_BYTES);
			return rc;
		}
	}
	pair->version = version_of(own, "version");
	pair->old_version = old ? version_of(old, "version") : 0;
	return 0;
}

/* --- replacing --- */

/* A copy of map without the member. */
static struct value *without(struct arena *arena, const struct value *map, const char *name)
{
	struct value *copy = value_map(arena);
	for (size_t i = 0; i < value_len(map); i++) {
		const char *member = NULL;
		const struct value *value = value_member(map, i, &member);
		if (strcmp(member, name) != 0)
			value_set(copy, member, value_copy(arena, value));
	}
	return value_check(copy, NULL) < 0 ? NULL : copy;
}

/* A copy of the resource with that key. */
static int with_key(struct arena *arena, const struct value *resource, struct value *key,
                    struct value **ret_next, struct err *err)
{
	struct value *next = without(arena, resource, "key");
	if (!next || !key)
		return err_set(err, E_NOMEM, "no memory for a new key");
	value_set(next, "key", key);
	TRY(value_check(next, err));
	*ret_next = next;
	return 0;
}

static int under_way(const char *what, const struct value *key, struct err *err)
{
	return err_set(err, E_CONFLICT, "version %" PRIu32 " of the key of %s is still in use "
	               "beside version %" PRIu32 "; freehold datakeys status says what is "
	               "left to do",
	               version_of(value_get(key, "old"), "version"), what,
	               version_of(key, "version"));
}

int keys_next_resource(struct control *control, struct arena *arena, const char *tenant,
                       const struct value *resource, struct value **ret_next, struct err *err)
{
	struct opening opening;
	struct value *key = NULL;
	const struct value *own = value_get(resource, "key");
	TRY(opening_of(control, arena, tenant, resource, &opening, err));
	if (keys_rotating(resource))
		return under_way(keys_name(arena, resource), own, err);
	const struct making making = { tenant, opening.uid, version_of(own, "version") + 1,
	                               clock_unix_ms(control->clock) };
	TRY(tenancy_needs(control, tenant, TENANCY_KEYS, err));
	TRY(make_resource(control->keyring, arena, &making, opening.tenant_key, &key, err));
	TRY(still_open(control, tenant, err));
	value_set(key, "old", value_copy(arena, own));
	return with_key(arena, resource, key, ret_next, err);
}

int keys_next_tenant(struct control *control, struct arena *arena, const char *tenant,
                     const struct value *tenant_key, struct value **ret_next, struct err *err)
{
	struct value *next = NULL;
	struct tenant_box now;
	char what[128];
	snprintf(what, sizeof what, "the tenant %.64s", tenant);
	TRY(tenant_box(tenant, tenant_key, version_of(tenant_key, "version"), &now, err));
	if (value_get(tenant_key, "old"))
		return under_way(what, tenant_key, err);
	TRY(tenancy_needs(control, tenant, TENANCY_KEYS, err));
	TRY(make_tenant(control->keyring, arena, tenant, now.version + 1,
	                clock_unix_ms(control->clock), &next, err));
	TRY(still_open(control, tenant, err));
	value_set(next, "old", value_copy(arena, tenant_key));
	TRY(value_check(next, err));
	*ret_next = next;
	return 0;
}

static int move_box(struct control *control, struct arena *arena, const struct opening *opening,
                    const struct value *own, struct value **ret_own, struct err *err)
{
	struct tenant_box from, to;
	uint8_t box[WRAPPED_KEY_BYTES];
	const uint8_t *was = box_of(own);
	const struct value *key = opening->tenant_key;
	TRY(tenant_box(opening->tenant, key, version_of(own, "tenantVersion"), &from, err));
	TRY(tenant_box(opening->tenant, key, version_of(key, "version"), &to, err));
	if (!was)
		return no_tenant_key(opening->tenant, err);
	TRY(keyring_move_dataset(control->keyring, opening->tenant, &from, &to, opening->uid,
	                         version_of(own, "version"), was, box, err));
	struct value *next = value_copy(arena, own);
	value_set_bin(next, "box", box, sizeof box);
	value_set_int(next, "tenantVersion", to.version);
	TRY(value_check(next, err));
	*ret_own = next;
	return 0;
}

static bool is_under(const struct value *own, const struct value *tenant_key)
{
	return !own || version_of(own, "tenantVersion") == version_of(tenant_key, "version");
}

int keys_moved(struct control *control, struct arena *arena, const char *tenant,
               const struct value *tenant_key, const struct value *resource,
               struct value **ret_next, struct err *err)
{
	const struct value *own = value_get(resource, "key"), *old = value_get(own, "old");
	struct opening opening = { control, tenant,
	                           value_get_str(value_get(resource, "metadata"), "uid"),
	                           tenant_key };
	struct value *next = NULL, *next_old = NULL;
	*ret_next = NULL;
	if (!own || is_destroyed(own) || (is_under(own, tenant_key) && is_under(old, tenant_key)))
		return 0;
	if (!opening.uid)
		return no_tenant_key(tenant, err);
	TRY(move_box(control, arena, &opening, own, &next, err));
	if (old) {
		TRY(move_box(control, arena, &opening, old, &next_old, err));
		value_set(next, "old", next_old);
	}
	return with_key(arena, resource, next, ret_next, err);
}

struct value *keys_tenant_retired(struct arena *arena, const struct value *tenant_key)
{
	return without(arena, tenant_key, "old");
}

struct value *keys_retired(struct arena *arena, const struct value *resource)
{
	struct value *next = NULL;
	struct value *key = without(arena, value_get(resource, "key"), "old");
	key = key ? without(arena, key, "since") : NULL;
	return with_key(arena, resource, key, &next, NULL) < 0 ? NULL : next;
}

/* --- destroying --- */

static void fingerprint(const struct value *key, char out[2 * DIGEST_BYTES + 1])
{
	uint8_t sum[DIGEST_BYTES];
	const uint8_t *box = box_of(key);
	out[0] = 0;
	if (!box)
		return;
	digest(box, WRAPPED_KEY_BYTES, sum);
	hex_print(sum, sizeof sum, out);
}

static struct value *tombstone(struct arena *arena, const struct value *key, int64_t now_ms)
{
	char print[2 * DIGEST_BYTES + 1];
	struct value *dead = value_map(arena);
	fingerprint(key, print);
	value_set_int(dead, "version", version_of(key, "version"));
	value_set_int(dead, "destroyedAt", now_ms);
	value_set_str(dead, "fingerprint", print);
	return value_check(dead, NULL) < 0 ? NULL : dead;
}

struct value *keys_shredded(struct arena *arena, const struct value *resource, int64_t now_ms)
{
	struct value *next = NULL;
	struct value *dead = tombstone(arena, value_get(resource, "key"), now_ms);
	return with_key(arena, resource, dead, &next, NULL) < 0 ? NULL : next;
}

static void list_print(struct arena *arena, struct value *list, const char *what,
                       const struct value *key)
{
	char print[2 * DIGEST_BYTES + 1];
	const struct value *of[] = { key, value_get(key, "old") };
	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		struct value *map = value_map(arena);
		if (!box_of(of[i]))
			continue;
		fingerprint(of[i], print);
		value_set_str(map, "key", what);
		value_set_int(map, "version", version_of(of[i], "version"));
		value_set_str(map, "fingerprint", print);
		value_add(list, map);
	}
}

void keys_fingerprints(struct arena *arena, const struct value *resource, struct value *list)
{
	list_print(arena, list, keys_name(arena, resource) + strlen("the "),
	           value_get(resource, "key"));
}

struct printing {
	struct arena *arena;         /* of the list */
	struct value *list;
	char last[STORE_KEY_MAX];
};

static int print_one(void *context, const char *key, const struct value *resource,
                     int64_t revision, struct err *err)
{
	struct printing *printing = context;
	(void)revision, (void)err;
	snprintf(printing->last, sizeof printing->last, "%s", key);
	keys_fingerprints(printing->arena, resource, printing->list);
	return 0;
}

static int print_all(struct control *control, struct printing *printing, enum kind kind,
                     const char *tenant, struct err *err)
{
	char prefix[STORE_KEY_MAX], after[STORE_KEY_MAX];
	AUTO(arena) *page = NULL;
	TRY(arena_new(PAGE_ARENA, &page, err));
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[kind].name, tenant);
	printing->last[0] = 0;
	for (bool more = true; more; arena_reset(page)) {
		memcpy(after, printing->last, sizeof after);
		TRY(catalog_list(control->catalog, page, prefix, after[0] ? after : NULL, PAGE,
		                 print_one, printing, &more, err));
	}
	return value_check(printing->list, err);
}

int keys_destroy_tenant(struct control *control, struct arena *arena, struct change *change,
                        const char *tenant, struct value **ret_fingerprints, struct err *err)
{
	char at[STORE_KEY_MAX];
	struct value *key = NULL;
	struct printing printing = { .arena = arena, .list = value_list(arena) };
	int64_t revision = 0;
	TRY(value_check(printing.list, err));
	keys_tenant_key(at, tenant);
	int rc = catalog_get(control->catalog, arena, at, &key, &revision, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	list_print(arena, printing.list, arena_printf(arena, "tenant %s", tenant), key);
	TRY(print_all(control, &printing, KIND_DATASET, tenant, err));
	TRY(print_all(control, &printing, KIND_FEATUREVIEW, tenant, err));
	if (rc == 0 && !is_destroyed(key)) {
		struct value *dead = tombstone(arena, key, clock_unix_ms(control->clock));
		if (!dead)
			return err_set(err, E_NOMEM, "no memory to destroy a key");
		value_set_str(dead, "tenant", tenant);
		TRY(value_check(dead, err));
		TRY(change_put(change, at, dead, revision, err));
	}
	*ret_fingerprints = printing.list;
	return 0;
}

/* A running task that could not be planned any more, because a key it was given is gone, ends. */
static void end_task(struct part *part, struct arena *arena, const struct work *work)
{
	struct grant *grant = NULL;
	struct err err = { 0 };
	int rc = plan_grant(part->control, arena, work, work->worker ? work->worker : "none",
	                    &grant, &err);
	if (rc == 0)
		grant_wipe(grant);
	if (rc != E_DESTROYED)
		return;
	if (!dispatch_end(part->dispatch, work->id, &work->token, rc, err.text))
		log_warn(&(struct log_context){ .tenant = work->tenant, .task = work->id },
		         "task_not_ended", "reason=\"out of memory; it ends by its deadline\"");
}

static int end_tasks(struct part *part, const char *tenant, struct err *err)
{
	AUTO(arena) *arena = NULL, *scratch = NULL;
	struct work *works = NULL;
	size_t count = 0;
	TRY(arena_new(FORGET_ARENA, &arena, err));
	TRY(arena_new(FORGET_ARENA, &scratch, err));
	TRY(shard_running(part->shard, tenant, arena, &works, &count, err));
	for (size_t i = 0; i < count; i++, arena_reset(scratch))
		end_task(part, scratch, &works[i]);
	return 0;
}

void keys_forget(struct control *control, const char *tenant)
{
	struct part *part = part_of(control, tenant);
	struct err err = { 0 };
	keyring_forget(control->keyring, tenant);
	if (!part->dispatch || !part_leads(part))
		return;
	dispatch_drop_access(part->dispatch, tenant);
	if (end_tasks(part, tenant, &err) < 0)
		log_warn(&(struct log_context){ .tenant = tenant }, "tasks_not_ended",
		         "reason=\"%s\"", err.text);
}
