/* h_keys.c - data keys: how they stand, new versions, destruction. What follows a new version is
 * rekey.c's; it begins at once, and goes on without the caller. */
#include "common/defs.h"
#include "control/resource.h"

#include "control/keys.h"
#include "control/rekey.h"
#include "control/snapshots.h"
#include "tenant/root.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

handler_fn h_keys_status, h_keys_rotate, h_keys_rotate_tenant, h_keys_destroy, h_root_rewrap;

enum { PAGE = 64, PAGE_ARENA = 64 * 1024 * 1024, ITEMS_MOST = 500, VIEWS_MOST = 100 };

/* --- how they stand --- */

struct counts { int64_t current, old, datasets, views, rotating, destroyed; };

struct status {
	struct control *control;
	struct request *request;
	struct arena *page;
	struct value *items;
	struct counts counts;
	int64_t tenant_version;
	const char *oldest;          /* RFC 3339; NULL: there is no key */
	enum kind kind;
	char last[STORE_KEY_MAX];
};

static const char *made_at(struct arena *arena, const struct value *resource)
{
	char text[TIME_TEXT_MAX];
	int64_t ms = value_get_int(value_get(resource, "key"), "createdAt", 0);
	if (ms)
		return arena_strdup(arena, time_print_s(ms, text));
	const char *made = value_get_str(value_get(resource, "metadata"), "createdAt");
	return made ? arena_strdup(arena, made) : NULL;
}

static void count_box(struct status *status, const struct value *own)
{
	if (!value_get(own, "box"))
		return;
	if (value_get_int(own, "tenantVersion", 0) == status->tenant_version)
		status->counts.current++;
	else
		status->counts.old++;
}

/* Files of the current snapshot: what a reader opens. */
static int64_t objects_of(const struct status *status, const struct value *metadata)
{
	const struct dataset_at at = { status->request->tenant, value_get_str(metadata, "domain"),
	                               value_get_str(metadata, "name") };
	struct snapshot *snapshot = NULL;
	int64_t revision = 0;
	if (status->kind != KIND_DATASET || !at.domain || !at.name ||
	    snapshots_current(status->control->catalog, status->page, &at, &snapshot, NULL,
	                      &revision, NULL) < 0 || !snapshot)
		return 0;
	return (int64_t)snapshot->file_count;
}

static const char *state_of(const struct status *status, const struct value *resource)
{
	const struct value *own = value_get(resource, "key");
	if (keys_destroyed(resource))
		return "destroyed";
	if (!keys_rotating(resource))
		return "current";
	if (status->kind == KIND_FEATUREVIEW)
		return "waits to be materialized";
	return value_get_str(own, "since") ? "headers are rewritten" :
	                                     "waits for running tasks";
}

static int add_item(struct status *status, const struct value *resource, struct err *err)
{
	struct arena *arena = status->request->arena;
	const struct value *metadata = value_get(resource, "metadata");
	const struct value *own = value_get(resource, "key");
	struct value *item = value_map(arena);
	value_set_str(item, "kind", kind_info[status->kind].kind);
	value_set_str(item, "domain", value_get_str(metadata, "domain"));
	value_set_str(item, "name", value_get_str(metadata, "name"));
	value_set_int(item, "version", value_get_int(own, "version", 0));
	if (keys_rotating(resource))
		value_set_int(item, "oldVersion",
		              value_get_int(value_get(own, "old"), "version", 0));
	value_set_str(item, "state", state_of(status, resource));
	value_set_str(item, "createdAt", made_at(arena, resource));
	value_set_int(item, "objects", objects_of(status, metadata));
	value_add(status->items, item);
	return value_check(status->items, err);
}

static int see(void *context, const char *key, const struct value *resource, int64_t revision,
               struct err *err)
{
	struct status *status = context;
	struct counts *counts = &status->counts;
	const struct value *own = value_get(resource, "key");
	const char *made = made_at(status->request->arena, resource);
	(void)revision;
	snprintf(status->last, sizeof status->last, "%s", key);
	counts->datasets += status->kind == KIND_DATASET;
	counts->views += status->kind == KIND_FEATUREVIEW;
	counts->rotating += keys_rotating(resource);
	counts->destroyed += keys_destroyed(resource);
	count_box(status, own);
	count_box(status, value_get(own, "old"));
	if (made && !keys_destroyed(resource) &&
	    (!status->oldest || strcmp(made, status->oldest) < 0))
		status->oldest = made;
	return value_len(status->items) < ITEMS_MOST ? add_item(status, resource, err) : 0;
}

static int see_kind(struct status *status, enum kind kind, struct err *err)
{
	char prefix[STORE_KEY_MAX], after[STORE_KEY_MAX];
	AUTO(arena) *page = NULL;
	TRY(arena_new(PAGE_ARENA, &page, err));
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[kind].name, status->request->tenant);
	status->kind = kind;
	status->page = page;
	status->last[0] = 0;
	for (bool more = true; more; arena_reset(page)) {
		memcpy(after, status->last, sizeof after);
		TRY(catalog_list(status->control->catalog, page, prefix, after[0] ? after : NULL,
		                 PAGE, see, status, &more, err));
	}
	return 0;
}

static void set_tenant(const struct status *status, const struct value *key, struct value *body)
{
	char text[TIME_TEXT_MAX];
	int64_t made = value_get_int(key, "createdAt", 0);
	int64_t destroyed = value_get_int(key, "destroyedAt", 0);
	value_set_int(body, "version", status->tenant_version);
	if (value_get(key, "old"))
		value_set_int(body, "oldVersion",
		              value_get_int(value_get(key, "old"), "version", 0));
	if (made)
		value_set_str(body, "createdAt", time_print_s(made, text));
	if (destroyed)
		value_set_str(body, "destroyedAt", time_print_s(destroyed, text));
	value_set_int(body, "boxes", status->counts.current);
	value_set_int(body, "oldBoxes", status->counts.old);
}

/* The operator, who may read no tenant's tasks, reads this one here. */
static void set_task(const struct status *status, struct value *body)
{
	struct request *request = status->request;
	const char *id = rekey_task(status->control, request->arena, request->tenant);
	const struct value *task = !id ? NULL :
		shard_task(request->part->shard, request->arena, request->tenant, NULL, id);
	if (!task)
		return;
	struct value *shown = value_map(request->arena);
	value_set_str(shown, "id", id);
	value_set_str(shown, "state", value_get_str(task, "state"));
	if (value_get(task, "progress"))
		value_set(shown, "progress",
		          value_copy(request->arena, value_get(task, "progress")));
	value_set(body, "task", shown);
}

int h_keys_status(struct control *control, struct request *request, struct err *err)
{
	char at[STORE_KEY_MAX];
	struct value *tenant = NULL, *key = NULL, *body = value_map(request->arena);
	struct status status = { .control = control, .request = request,
	                         .items = value_list(request->arena) };
	TRY(request_needs_lead(request, err));
	TRY(catalog_get(control->catalog, request->arena,
	                catalog_key(at, KIND_TENANT, NULL, NULL, request->tenant), &tenant, NULL,
	                err));
	int rc = catalog_get(control->catalog, request->arena,
	                     keys_tenant_key(at, request->tenant), &key, NULL, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	status.tenant_version = value_get_int(key, "version", 0);
	TRY(see_kind(&status, KIND_DATASET, err));
	TRY(see_kind(&status, KIND_FEATUREVIEW, err));
	value_set_str(body, "tenant", request->tenant);
	set_tenant(&status, key, body);
	value_set_int(body, "datasets", status.counts.datasets);
	value_set_int(body, "featureViews", status.counts.views);
	value_set_int(body, "rotating", status.counts.rotating);
	value_set_int(body, "destroyed", status.counts.destroyed);
	value_set_str(body, "oldestAt", status.oldest);
	set_task(&status, body);
	value_set(body, "items", status.items);
	return request_reply(request, 200, body, err);
}

/* --- a new version --- */

static int begun(struct control *control, struct request *request, struct err *err)
{
	struct err why = { 0 };
	(void)control;
	if (request->change && rekey_look(request->part, &why) < 0)
		(void)why;                   /* the next look, within seconds, goes on */
	return request_reply(request, 202, request->state, err);
}

static int reply_versions(struct request *request, const struct value *own, struct err *err)
{
	struct value *body = value_map(request->arena);
	value_set_str(body, "result", "rotating");
	value_set_int(body, "version", value_get_int(own, "version", 0));
	if (value_get(own, "old"))
		value_set_int(body, "oldVersion",
		              value_get_int(value_get(own, "old"), "version", 0));
	TRY(value_check(body, err));
	request->state = body;
	request->finish = begun;
	return 0;
}

int h_keys_rotate(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct manifest manifest;
	struct value *resource = NULL, *next = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	TRY(request_needs_lead(request, err));
	resource_named(request, &manifest);
	resource_key(key, &manifest);
	TRY(catalog_get(control->catalog, request->arena, key, &resource, &revision, err));
	TRY(keys_next_resource(control, request->arena, request->tenant, resource, &next, err));
	TRY(reply_versions(request, value_get(next, "key"), err));
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	TRY(change_put(change, key, next, revision, err));
	return rekey_mark(control, request->arena, change, request->tenant, 0, err);
}

int h_keys_rotate_tenant(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *tenant_key = NULL, *next = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	const char *all = request_query(request, "datasets");
	bool datasets = all && strcmp(all, "true") == 0;
	if (all && !datasets && strcmp(all, "false") != 0)
		return err_set(err, E_INVALID, "datasets: must be true or false");
	TRY(request_needs_lead(request, err));
	TRY(catalog_get(control->catalog, request->arena, keys_tenant_key(key, request->tenant),
	                &tenant_key, &revision, err));
	TRY(keys_next_tenant(control, request->arena, request->tenant, tenant_key, &next, err));
	TRY(reply_versions(request, next, err));
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	TRY(change_put(change, key, next, revision, err));
	return rekey_mark(control, request->arena, change, request->tenant,
	                  datasets ? request->now_ms : 0, err);
}

/* --- destruction --- */

struct shredding {
	struct control *control;
	struct request *request;
	const char *domain, *name;   /* of the dataset */
	struct value *list;
};

static int shred(struct shredding *shredding, const char *key, const struct value *resource,
                 int64_t revision, struct err *err)
{
	struct request *request = shredding->request;
	struct change *change = NULL;
	if (keys_destroyed(resource))
		return 0;
	struct value *next = keys_shredded(request->arena, resource, request->now_ms);
	if (!next)
		return err_set(err, E_NOMEM, "no memory to destroy a key");
	keys_fingerprints(request->arena, resource, shredding->list);
	TRY(value_check(shredding->list, err));
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return change_put(change, key, next, revision, err);
}

/* What is online of a view is data of its dataset. */
static int see_view(void *context, const char *key, const struct value *view, int64_t revision,
                    struct err *err)
{
	struct shredding *shredding = context;
	char domain[64], name[64];
	const char *ref = value_get_str(value_get(view, "spec"), "dataset");
	const char *own = value_get_str(value_get(view, "metadata"), "domain");
	if (!ref || !own || catalog_ref(ref, own, domain, name, NULL) < 0 ||
	    strcmp(domain, shredding->domain) != 0 || strcmp(name, shredding->name) != 0)
		return 0;
	if (value_len(shredding->list) >= 2 * VIEWS_MOST)
		return err_set(err, E_CONFLICT, "more than %d feature views show the dataset; "
		               "delete some first", VIEWS_MOST);
	return shred(shredding, key, view, revision, err);
}

struct views { struct shredding *shredding; char last[STORE_KEY_MAX]; };

static int see_any(void *context, const char *key, const struct value *view, int64_t revision,
                   struct err *err)
{
	struct views *views = context;
	snprintf(views->last, sizeof views->last, "%s", key);
	return see_view(views->shredding, key, view, revision, err);
}

static int shred_views(struct shredding *shredding, struct err *err)
{
	char prefix[STORE_KEY_MAX], after[STORE_KEY_MAX];
	AUTO(arena) *page = NULL;
	struct views views = { .shredding = shredding };
	TRY(arena_new(PAGE_ARENA, &page, err));
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[KIND_FEATUREVIEW].name,
	         shredding->request->tenant);
	for (bool more = true; more; arena_reset(page)) {
		memcpy(after, views.last, sizeof after);
		TRY(catalog_list(shredding->control->catalog, page, prefix,
		                 after[0] ? after : NULL, PAGE, see_any, &views, &more, err));
	}
	return 0;
}

static int destroyed(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena);
	if (request->change)
		keys_forget(control, request->tenant);
	value_set_str(body, "result", "destroyed");
	value_set(body, "keys", request->state);
	return request_reply(request, 200, body, err);
}

int h_keys_destroy(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct manifest manifest;
	struct value *resource = NULL;
	int64_t revision = 0;
	const char *confirm = request_query(request, "confirm");
	struct shredding shredding = { control, request, request->domain, request->name,
	                               value_list(request->arena) };
	TRY(request_needs_lead(request, err));
	resource_named(request, &manifest);
	resource_key(key, &manifest);
	TRY(catalog_get(control->catalog, request->arena, key, &resource, &revision, err));
	if (!confirm || strcmp(confirm, request->name) != 0)
		return err_set(err, E_INVALID, "confirm: must be the name %s: nobody will be able "
		               "to read what is stored of it, ever", request->name);
	TRY(shred(&shredding, key, resource, revision, err));
	if (request->route->kind == KIND_DATASET)
		TRY(shred_views(&shredding, err));
	request->state = shredding.list;
	request->finish = destroyed;
	return 0;
}

/* --- the root key --- */

static int rewrapped(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	return request_reply_result(request, "rewrapped", err);
}

int h_root_rewrap(struct control *control, struct request *request, struct err *err)
{
	if (!control->root)
		return err_set(err, E_CONFLICT, "this replica knows no source of the root key");
	if (!request->dry_run)
		TRY(root_rewrap(control->root, control->store, err));
	request->finish = rewrapped;
	return 0;
}
