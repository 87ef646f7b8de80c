/* h_resource_delete.c - deleting a resource, and what belongs to it, in one change. Deleting a
 * dataset or a tenant deletes its wrapped key: what was sealed under it cannot be opened any more.
 */
#include "common/defs.h"
#include "control/resource.h"

#include "control/apikeys.h"
#include "control/dispatch.h"
#include "control/grants.h"
#include "control/home.h"
#include "control/keys.h"
#include "control/lifts.h"
#include "control/lineage.h"
#include "control/rekey.h"
#include "control/rules.h"
#include "control/rules_sharing.h"
#include "control/shard_interval.h"
#include "control/snapshots.h"
#include "control/tenancy.h"
#include "tenant/keyring.h"

#include <stdio.h>
#include <string.h>

handler_fn h_resource_delete;

enum { QUOTAS_MOST = 100 };

struct doomed {
	struct change *change;
};

static int doom(void *context, const char *key, const struct value *stored, int64_t revision,
                struct err *err)
{
	struct doomed *doomed = context;
	(void)stored;
	return change_delete(doomed->change, key, revision, err);
}

static int delete_all(struct control *control, struct request *request, enum kind kind,
                      struct change *change, struct err *err)
{
	char prefix[STORE_KEY_MAX];
	bool more = false;
	struct doomed doomed = { change };
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[kind].name, request->tenant);
	TRY(catalog_list(control->catalog, request->arena, prefix, NULL, QUOTAS_MOST, doom, &doomed,
	                 &more, err));
	if (more)
		return err_set(err, E_CONFLICT, "the tenant %s still has over %d %s; delete those "
		               "first", request->tenant, QUOTAS_MOST, kind_info[kind].plural);
	return 0;
}

static int delete_tenant(struct control *control, struct request *request,
                         const struct value *stored, struct change *change, struct err *err)
{
	char key[STORE_KEY_MAX];
	if (tenant_state_of(stored) == TENANT_DELETING)
		return err_set(err, E_CONFLICT, "the tenant %s is being deleted already; GET "
		               "/v1/tenants/%s/deletion says how far that is", request->tenant,
		               request->tenant);
	TRY(change_delete(change, keys_tenant_key(key, request->tenant), -1, err));
	if (catalog_has(control->catalog, rekey_key(key, request->tenant)))
		TRY(change_delete(change, key, -1, err));
	TRY(home_delete(control, request->tenant, change, err));
	TRY(delete_all(control, request, KIND_QUOTA, change, err));
	TRY(delete_all(control, request, KIND_IDENTITYPROVIDER, change, err));
	return delete_all(control, request, KIND_SHARE, change, err);
}

static int delete_dataset(struct control *control, struct request *request, struct change *change,
                          struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct dataset_at at = { request->tenant, request->domain, request->name };
	snapshots_key(key, &at);
	TRY(lineage_delete(control, change, &at, err));
	TRY(lifts_delete(control, change, &at, err));
	return catalog_has(control->catalog, key) ? change_delete(change, key, -1, err) : 0;
}

static int delete_with(struct control *control, struct request *request, const struct value *stored,
                       struct change *change, struct err *err)
{
	switch (request->route->kind) {
	case KIND_TENANT:
		return delete_tenant(control, request, stored, change, err);
	case KIND_DATASET:
		return delete_dataset(control, request, change, err);
	case KIND_PRINCIPAL:
		TRY(rules_operator(request, value_get(stored, "spec"), "spec.roles", err));
		return apikeys_delete_all(control, request->tenant, request->name, change, err);
	case KIND_SCHEDULE:
	case KIND_BACKFILL:
		return interval_forget(change, value_get_str(value_get(stored, "metadata"), "uid"),
		                       request->now_ms, err);
	default:
		return 0;
	}
}

static int finish(struct control *control, struct request *request, struct err *err)
{
	const char *tenant = request->tenant;
	if (request->change && tenant)
		dispatch_drop_access(request->part->dispatch, tenant);
	if (request->change && request->route->kind == KIND_TENANT)
		keyring_forget(control->keyring, tenant);
	return request_reply_result(request, "deleted", err);
}

int h_resource_delete(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct manifest manifest;
	struct value *stored = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	TRY(request_needs_lead(request, err));
	resource_named(request, &manifest);
	resource_key(key, &manifest);
	TRY(catalog_get(control->catalog, request->arena, key, &stored, &revision, err));
	TRY(resource_if_match(request, revision, err));
	TRY(rules_delete(control, request, &manifest, err));
	request->finish = finish;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	TRY(change_delete(change, key, revision, err));
	TRY(grants_guard(control, request, err));
	TRY(rules_sharing_tell(control, request, stored, NULL, err));
	return delete_with(control, request, stored, change, err);
}
