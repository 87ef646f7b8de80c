/* rekey.c - see rekey.h. Invariant: an old version goes only when no object can be under it: every
 * attempt that knew it alone has ended before the task began that found no object under it. */
#include "common/defs.h"
#include "control/rekey.h"

#include "common/log.h"
#include "control/dispatch.h"
#include "control/home.h"
#include "control/keys.h"
#include "control/tenancy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE = 32, PAGE_ARENA = 64 * 1024 * 1024, TENANTS_MOST = 1000, NAMES_MAX = 16000,
	MARKS_ARENA = 16 * 1024 * 1024
};

static const char prefix_all[] = "r/rotation/";

const char *rekey_key(char out[STORE_KEY_MAX], const char *tenant)
{
	snprintf(out, STORE_KEY_MAX, "%s%s", prefix_all, tenant);
	return out;
}

int rekey_mark(struct control *control, struct arena *arena, struct change *change,
               const char *tenant, int64_t all_ms, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *mark = NULL;
	int64_t revision = 0;
	rekey_key(key, tenant);
	int rc = catalog_get(control->catalog, arena, key, &mark, &revision, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	if (rc == 0 && !all_ms)              /* it stays, or this is to be tried again */
		return change_expect(change, key, revision, err);
	if (rc < 0)
		mark = value_map(arena);
	value_set_str(mark, "tenant", tenant);
	if (all_ms)
		value_set_int(mark, "all", all_ms);
	TRY(value_check(mark, err));
	return change_put(change, key, mark, revision, err);
}

const char *rekey_task(struct control *control, struct arena *arena, const char *tenant)
{
	char key[STORE_KEY_MAX];
	struct value *mark = NULL;
	if (catalog_get(control->catalog, arena, rekey_key(key, tenant), &mark, NULL, NULL) < 0)
		return NULL;
	return value_get_str(mark, "task");
}

bool rekey_next(const char **at, struct rekey_name *ret_name)
{
	const char *text = *at ? *at + strspn(*at, " ") : "";
	size_t len = strcspn(text, " "), name = strcspn(text, "@ ");
	if (len == 0 || name == len || name >= sizeof ret_name->text)
		return false;
	memcpy(ret_name->text, text, name);
	ret_name->text[name] = 0;
	ret_name->version = (uint32_t)strtoul(text + name + 1, NULL, 10);
	*at = text + len;
	return true;
}

/* --- one tenant --- */

struct look {
	struct part *part;
	struct control *control;
	const char *tenant;
	struct arena *arena;         /* of the whole look */
	struct value *mark;
	int64_t mark_revision;
	struct value *tenant_key;    /* NULL: there is none */
	int64_t tenant_revision;
	struct token floor, newest;
	struct buf names;            /* of the datasets that a task could take up */
	size_t name_count;
	size_t left;                 /* resources with an old version */
	int64_t now_ms;

	/* of the page at hand */
	struct arena *page;
	struct change *change;
	size_t changed;
	enum kind kind;
	char last[STORE_KEY_MAX];
};

static bool token_before(const struct token *a, const struct token *b)
{
	return a->epoch != b->epoch ? a->epoch < b->epoch : a->counter < b->counter;
}

static bool since_of(const struct value *resource, struct token *ret_since)
{
	const char *text = value_get_str(value_get(resource, "key"), "since");
	return text && sscanf(text, "%" SCNd64 "-%" SCNd64, &ret_since->epoch,
	                      &ret_since->counter) == 2;
}

static int put(struct look *look, const char *key, const struct value *value, int64_t revision,
               struct err *err)
{
	if (!value)
		return err_set(err, E_NOMEM, "no memory to replace a key");
	look->changed++;
	return change_put(look->change, key, value, revision, err);
}

/* --- a dataset or a view with an old version --- */

static int stamp(struct look *look, const char *key, const struct value *resource,
                 int64_t revision, struct err *err)
{
	char text[48];
	struct value *next = value_copy(look->page, resource);
	struct value *own = value_copy(look->page, value_get(resource, "key"));
	snprintf(text, sizeof text, "%" PRId64 "-%" PRId64, look->newest.epoch,
	         look->newest.counter);
	value_set_str(own, "since", text);
	value_set(next, "key", own);
	TRY(value_check(next, err));
	return put(look, key, next, revision, err);
}

static int add_name(struct look *look, const struct value *resource, struct err *err)
{
	const struct value *metadata = value_get(resource, "metadata");
	const char *domain = value_get_str(metadata, "domain");
	const char *name = value_get_str(metadata, "name");
	if (!domain || !name || look->name_count >= GRANT_TABLES_MAX ||
	    look->names.len + strlen(domain) + strlen(name) + 16 > NAMES_MAX)
		return 0;                    /* the next task's */
	look->name_count++;
	buf_printf(&look->names, "%s%s.%s@%" PRId64, look->names.len ? " " : "", domain, name,
	           value_get_int(value_get(resource, "key"), "version", 0));
	return buf_check(&look->names, err);
}

/* As a task names it, from its own domain or any. */
static bool was_materialized(const struct look *look, const struct value *resource,
                             const struct token *since)
{
	const struct value *metadata = value_get(resource, "metadata");
	const char *name = value_get_str(metadata, "name");
	const char *full = arena_printf(look->page, "%s.%s", value_get_str(metadata, "domain"),
	                                name);
	const char *said[] = { name, full };
	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		if (said[i] && shard_succeeded(look->part->shard, look->tenant, TASK_MATERIALIZE,
		                               since, "featureView", said[i]))
			return true;
	return false;
}

static int see_old(struct look *look, const char *key, const struct value *resource,
                   int64_t revision, struct err *err)
{
	struct token since;
	look->left++;
	if (!since_of(resource, &since))
		return stamp(look, key, resource, revision, err);
	if (look->kind == KIND_FEATUREVIEW && was_materialized(look, resource, &since))
		return put(look, key, keys_retired(look->page, resource), revision, err);
	if (look->kind == KIND_DATASET && token_before(&since, &look->floor))
		return add_name(look, resource, err);
	return 0;
}

/* All were to get a new key, and this one has none from after that time. */
static bool is_due(const struct look *look, const struct value *resource)
{
	const struct value *own = value_get(resource, "key");
	return own && !keys_destroyed(resource) &&
		value_get_int(own, "createdAt", 0) < value_get_int(look->mark, "all", 0);
}

static int renew(struct look *look, const char *key, const struct value *resource,
                 int64_t revision, struct err *err)
{
	struct value *next = NULL;
	TRY(keys_next_resource(look->control, look->page, look->tenant, resource, &next, err));
	return put(look, key, next, revision, err);
}

static int see(void *context, const char *key, const struct value *resource, int64_t revision,
               struct err *err)
{
	struct look *look = context;
	struct value *moved = NULL;
	snprintf(look->last, sizeof look->last, "%s", key);
	if (look->tenant_key)
		TRY(keys_moved(look->control, look->page, look->tenant, look->tenant_key, resource,
		               &moved, err));
	if (moved) {
		look->left += keys_rotating(resource);
		return put(look, key, moved, revision, err);
	}
	if (keys_rotating(resource))
		return see_old(look, key, resource, revision, err);
	return is_due(look, resource) ? renew(look, key, resource, revision, err) : 0;
}

/* One page, one change. */
static int look_page(struct look *look, const char *prefix, bool *ret_more, size_t *ret_changed,
                     struct err *err)
{
	char after[STORE_KEY_MAX];
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	look->change = change;
	look->changed = 0;
	memcpy(after, look->last, sizeof after);
	TRY(catalog_list(look->control->catalog, look->page, prefix, after[0] ? after : NULL, PAGE,
	                 see, look, ret_more, err));
	*ret_changed += look->changed;
	return look->changed ? journal_commit(look->part->journal, change, err) : 0;
}

static int look_kind(struct look *look, enum kind kind, size_t *ret_changed, struct err *err)
{
	char prefix[STORE_KEY_MAX];
	AUTO(arena) *page = NULL;
	TRY(arena_new(PAGE_ARENA, &page, err));
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[kind].name, look->tenant);
	look->kind = kind;
	look->page = page;
	look->last[0] = 0;
	for (bool more = true; more; arena_reset(page))
		TRY(look_page(look, prefix, &more, ret_changed, err));
	return 0;
}

/* --- the task --- */

/* An old version whose task has succeeded goes; of what was replaced again since, nothing. */
static int retire(struct look *look, const struct rekey_name *name, struct err *err)
{
	char key[STORE_KEY_MAX], domain[64], own[64];
	struct value *resource = NULL;
	int64_t revision = 0;
	TRY(catalog_ref(name->text, PLATFORM_DOMAIN, domain, own, err));
	catalog_key(key, KIND_DATASET, look->tenant, domain, own);
	int rc = catalog_get(look->control->catalog, look->arena, key, &resource, &revision, err);
	if (rc == E_NOT_FOUND || (rc == 0 && !keys_rotating(resource)))
		return 0;
	TRY(rc);
	if (value_get_int(value_get(resource, "key"), "version", 0) != name->version)
		return 0;
	return put(look, key, keys_retired(look->arena, resource), revision, err);
}

static int put_mark(struct look *look, const char *task, int64_t retry_ms, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *mark = value_map(look->arena);
	value_set_str(mark, "tenant", look->tenant);
	value_set_str(mark, "task", task);
	if (retry_ms)
		value_set_int(mark, "retryAt", retry_ms);
	if (value_get(look->mark, "all"))
		value_set_int(mark, "all", value_get_int(look->mark, "all", 0));
	TRY(value_check(mark, err));
	return put(look, rekey_key(key, look->tenant), mark, look->mark_revision, err);
}

/* 1: it is under way; 0: it has ended, and what follows from that is stored. */
static int take_task(struct look *look, const char *id, struct err *err)
{
	AUTO(change) *change = NULL;
	struct work work;
	struct rekey_name name;
	int found = shard_find(look->part->shard, look->arena, look->tenant, id, &work, err);
	TRY(found);
	if (found && !task_state_final(work.state))
		return 1;
	bool done = found && work.state == STATE_SUCCEEDED;
	const char *at = done ? value_get_str(work.spec, "datasets") : NULL;
	TRY(change_new(&change, err));
	look->change = change;
	while (rekey_next(&at, &name))
		TRY(retire(look, &name, err));
	TRY(put_mark(look, NULL, done ? 0 : look->now_ms + REKEY_RETRY_MS, err));
	TRY(journal_commit(look->part->journal, change, err));
	log_info(&(struct log_context){ .tenant = look->tenant, .task = id },
	         done ? "keys_retired" : "rekey_not_done", "datasets=%zu",
	         done ? look->changed - 1 : 0);
	return 0;
}

static int commit_task(struct look *look, const struct platform_task *made, struct err *err)
{
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	look->change = change;
	TRY(home_make(look->control, look->arena, look->tenant, change, err));
	TRY(put_mark(look, made->id, 0, err));
	TRY(shard_submit_platform(look->part->shard, made, change, err));
	int rc = journal_commit(look->part->journal, change, err);
	if (rc < 0)
		shard_withdraw(look->part->shard, made->id);
	return rc;
}

static int submit(struct look *look, struct err *err)
{
	char id[ID_LEN + 1];
	uint8_t random[10];
	struct value *spec = value_map(look->arena);
	value_set_str(spec, "datasets", (const char *)look->names.data);
	TRY(value_check(spec, err));
	random_bytes(random, sizeof random);
	id_make(look->now_ms, random, id);
	const struct platform_task made = { id, look->tenant, TASK_REKEY, spec, look->now_ms };
	TRY(commit_task(look, &made, err));
	if (look->part->dispatch)
		dispatch_wake(look->part->dispatch);
	log_info(&(struct log_context){ .tenant = look->tenant, .task = id }, "rekey_submitted",
	         "datasets=%zu", look->name_count);
	return 0;
}

/* --- the end --- */

/* Nothing is under the tenant's old version: the last look moved nothing. */
static int retire_tenant(struct look *look, struct err *err)
{
	char key[STORE_KEY_MAX];
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	look->change = change;
	TRY(put(look, keys_tenant_key(key, look->tenant),
	        keys_tenant_retired(look->arena, look->tenant_key), look->tenant_revision, err));
	TRY(journal_commit(look->part->journal, change, err));
	keyring_forget(look->control->keyring, look->tenant);
	log_info(&(struct log_context){ .tenant = look->tenant }, "tenant_key_retired", "version=%"
	         PRId64, value_get_int(value_get(look->tenant_key, "old"), "version", 0));
	return 0;
}

static int unmark(struct look *look, struct err *err)
{
	char key[STORE_KEY_MAX];
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	TRY(change_delete(change, rekey_key(key, look->tenant), look->mark_revision, err));
	return journal_commit(look->part->journal, change, err);
}

static int read_state(struct look *look, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct catalog *catalog = look->control->catalog;
	TRY(catalog_get(catalog, look->arena, rekey_key(key, look->tenant), &look->mark,
	                &look->mark_revision, err));
	int rc = catalog_get(catalog, look->arena, keys_tenant_key(key, look->tenant),
	                     &look->tenant_key, &look->tenant_revision, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	/* Only now: an attempt that begins from here on is planned with what was just read. */
	if (!shard_token_newest(look->part->shard, look->tenant, &look->newest) ||
	    !shard_token_floor(look->part->shard, look->tenant, &look->floor))
		return err_set(err, E_UNAVAILABLE, "the leader is reading its journal again");
	return 0;
}

static int look_at(struct look *look, struct err *err)
{
	size_t changed = 0;
	if (tenancy_needs(look->control, look->tenant, TENANCY_KEYS, NULL) < 0)
		return 0;                    /* sealed: later */
	TRY(read_state(look, err));
	const char *task = value_get_str(look->mark, "task");
	bool moves = value_get(look->tenant_key, "old") != NULL;
	if (task) {
		int under_way = take_task(look, task, err);
		TRY(under_way);
		if (!under_way || !moves)
			return 0;            /* the next look goes on */
	}
	TRY(look_kind(look, KIND_DATASET, &changed, err));
	TRY(look_kind(look, KIND_FEATUREVIEW, &changed, err));
	if (changed)
		return 0;
	if (moves)
		return retire_tenant(look, err);
	if (look->name_count && !task && value_get_int(look->mark, "retryAt", 0) <= look->now_ms)
		return submit(look, err);
	return look->left || task ? 0 : unmark(look, err);
}

static int look_tenant(struct part *part, const char *tenant, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct look look = { .part = part, .control = part->control, .tenant = tenant,
	                     .now_ms = clock_unix_ms(part->control->clock) };
	TRY(arena_new(PAGE_ARENA, &arena, err));
	look.arena = arena;
	buf_init(&look.names, NAMES_MAX + 1);
	int rc = look_at(&look, err);
	buf_release(&look.names);
	/* Somebody was faster, or the tenant is going: the next look sees. */
	return rc == E_PRECONDITION || rc == E_CONFLICT || rc == E_NOT_FOUND ||
		rc == E_DESTROYED ? 0 : rc;
}

/* --- all of them --- */

struct marks { struct part *part; const char *names[TENANTS_MOST]; size_t count; };

static int see_mark(void *context, const char *key, const struct value *mark, int64_t revision,
                    struct err *err)
{
	struct marks *marks = context;
	const char *tenant = value_get_str(mark, "tenant");
	(void)key, (void)revision, (void)err;
	if (tenant && part_of(marks->part->control, tenant) == marks->part)
		marks->names[marks->count++] = tenant;
	return 0;
}

int rekey_look(struct part *part, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct marks marks = { .part = part };
	bool more = false;
	int worst = 0;
	if (!catalog_has_prefix(part->control->catalog, prefix_all))
		return 0;
	TRY(part_needs_lead(part, err));
	TRY(arena_new(MARKS_ARENA, &arena, err));
	TRY(catalog_list(part->control->catalog, arena, prefix_all, NULL, TENANTS_MOST, see_mark,
	                 &marks, &more, err));
	for (size_t i = 0; i < marks.count; i++) {
		int rc = look_tenant(part, marks.names[i], err);
		worst = rc < 0 ? rc : worst;         /* the others' go on */
	}
	return worst;
}
