/* h_resource.c - the handlers of every kind of resource: read and list. Writing: h_resource_put.c,
 * h_resource_delete.c. One set for all kinds; what differs is in kinds.def and rules.c. */
#include "common/defs.h"
#include "control/resource.h"

#include "control/grants.h"

#include <stdio.h>
#include <string.h>

handler_fn h_resource_get, h_resource_list;

static int reply_one(struct control *control, struct request *request, const char *key,
                     struct err *err)
{
	struct value *stored = NULL, *shown = NULL;
	int64_t revision = 0;
	TRY(catalog_get(control->catalog, request->arena, key, &stored, &revision, err));
	TRY(resource_show(control, request->arena, stored, revision, &shown, err));
	request->reply->etag = resource_etag(request->arena, revision);
	return request_reply(request, 200, shown, err);
}

int h_resource_get(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct manifest manifest;
	resource_named(request, &manifest);
	return reply_one(control, request, resource_key(key, &manifest), err);
}

/* --- lists --- */

struct listing {
	struct control *control;
	const struct request *request;
	struct arena *arena;
	struct value *items;
	const char *last;
};

static int add_item(void *context, const char *key, const struct value *stored, int64_t revision,
                    struct err *err)
{
	struct listing *listing = context;
	struct value *shown = NULL;
	listing->last = key;
	if (!grants_readable(listing->control, listing->request, stored))
		return 0;
	TRY(resource_show(listing->control, listing->arena, stored, revision, &shown, err));
	value_add(listing->items, shown);
	return 0;
}

static void list_prefix(char out[STORE_KEY_MAX], const struct request *request)
{
	const struct kind_info *info = &kind_info[request->route->kind];
	if (info->scope == SCOPE_PLATFORM)
		snprintf(out, STORE_KEY_MAX, "r/%s/", info->name);
	else if (info->scope == SCOPE_TENANT)
		snprintf(out, STORE_KEY_MAX, "r/%s/%s/", info->name, request->tenant);
	else
		snprintf(out, STORE_KEY_MAX, "r/%s/%s/%s/", info->name, request->tenant,
		         request->domain);
}

/* The one resource of the list that the asker may see; NULL: all of them. */
static const char *only(const struct request *request, char key[STORE_KEY_MAX])
{
	const struct asker *asker = &request->asker;
	const struct target any = { .tenant = "" };
	if (request->route->kind == KIND_TENANT &&
	    !policy_decide(asker, ACTION_TENANT_READ, &any).visible)
		return catalog_key(key, KIND_TENANT, NULL, NULL, asker->tenant);
	return NULL;
}

static int scope_exists(struct control *control, const struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	enum kind_scope scope = kind_info[request->route->kind].scope;
	if (scope != SCOPE_PLATFORM &&
	    !catalog_has(control->catalog,
	                 catalog_key(key, KIND_TENANT, NULL, NULL, request->tenant)))
		return err_set(err, E_NOT_FOUND, "the tenant %s does not exist", request->tenant);
	if (scope == SCOPE_DOMAIN &&
	    !catalog_has(control->catalog, catalog_key(key, KIND_DOMAIN, request->tenant, NULL,
	                                               request->domain)))
		return err_set(err, E_NOT_FOUND, "the domain %s does not exist", request->domain);
	return 0;
}

static int list_only(struct listing *listing, const char *key, struct err *err)
{
	struct value *stored = NULL;
	int64_t revision = 0;
	int code = catalog_get(listing->control->catalog, listing->arena, key, &stored, &revision,
	                       err);
	if (code == E_NOT_FOUND)
		return 0;
	TRY(code);
	return add_item(listing, key, stored, revision, err);
}

/* A full page of what the asker may read, however much between it is not. */
static int list_page(struct listing *listing, const char *prefix, const char *after, size_t limit,
                     bool *ret_more, struct err *err)
{
	bool more = true;
	listing->last = after;
	while (more && value_len(listing->items) < limit)
		TRY(catalog_list(listing->control->catalog, listing->arena, prefix, listing->last,
		                 limit - value_len(listing->items), add_item, listing, &more,
		                 err));
	*ret_more = more;
	return 0;
}

/* Who may read none of it is told no more than of a domain that is not there. */
static int nothing_for(const struct request *request, struct err *err)
{
	return err_set(err, E_DENIED, "%s/%s may not %s here: none of its roles permits it; a "
	               "tenant-admin of %s can grant one that does", request->asker.tenant,
	               request->asker.principal, action_name(request->route->action),
	               request->asker.tenant);
}

int h_resource_list(struct control *control, struct request *request, struct err *err)
{
	char prefix[STORE_KEY_MAX], key[STORE_KEY_MAX];
	struct listing listing = { control, request, request->arena, value_list(request->arena),
	                           NULL };
	int64_t limit = 0;
	bool more = false;
	const char *after = NULL, *resume = NULL;
	int found = scope_exists(control, request, err);
	if (found < 0)
		return request->in_parts ? nothing_for(request, err) : found;
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	list_prefix(prefix, request);
	TRY(request_after(request, prefix, &after, err));
	const char *single = only(request, key);
	if (single)
		TRY(list_only(&listing, single, err));
	else
		TRY(list_page(&listing, prefix, after, (size_t)limit, &more, err));
	if (request->in_parts && !more && !after && !value_len(listing.items))
		return nothing_for(request, err);
	if (more)
		TRY(request_resume(request, prefix, listing.last, &resume, err));
	return request_reply_list(request, listing.items, resume, err);
}
