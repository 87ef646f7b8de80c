/* resource.c - between manifests, stored resources and answers. */
#include "common/defs.h"
#include "control/resource.h"

#include "api/table.h"
#include "control/sharing.h"
#include "control/snapshots.h"
#include "control/tenancy.h"

#include <inttypes.h>
#include <string.h>

void resource_named(const struct request *request, struct manifest *ret_manifest)
{
	enum kind kind = request->route->kind;
	struct manifest manifest = { .kind = kind, .name = request->name };
	if (kind == KIND_TENANT)
		manifest.name = request->tenant;
	if (kind == KIND_DOMAIN)
		manifest.name = request->domain;
	if (kind_info[kind].scope != SCOPE_PLATFORM)
		manifest.tenant = request->tenant;
	if (kind_info[kind].scope == SCOPE_DOMAIN)
		manifest.domain = request->domain;
	*ret_manifest = manifest;
}

const char *resource_key(char out[STORE_KEY_MAX], const struct manifest *manifest)
{
	return catalog_key(out, manifest->kind, manifest->tenant, manifest->domain, manifest->name);
}

const char *resource_etag(struct arena *arena, int64_t revision)
{
	return arena_printf(arena, "\"%" PRId64 "\"", revision);
}

int resource_if_match(const struct request *request, int64_t revision, struct err *err)
{
	const char *match = request_header(request, "If-Match");
	if (!match || strcmp(match, "*") == 0)
		return 0;
	const char *etag = resource_etag(request->arena, revision);
	if (!etag)
		return err_set(err, E_NOMEM, "no memory for an ETag");
	if (strcmp(match, etag) == 0)
		return 0;
	return err_set(err, E_PRECONDITION,
	               "it has been changed since: its ETag is now %s; read it "
	               "again and repeat",
	               etag);
}

static void set_copy(struct arena *arena, struct value *map, const char *name,
                     const struct value *member)
{
	if (member)
		value_set(map, name, value_copy(arena, member));
}

/* An empty map of labels says what none says. */
static const struct value *filled(const struct value *map)
{
	return value_len(map) ? map : NULL;
}

static void set_identity(struct request *request, struct value *metadata,
                         const struct value *before)
{
	char id[ID_LEN + 1], now[TIME_TEXT_MAX];
	uint8_t random[10];
	const struct value *old = value_get(before, "metadata");
	random_bytes(random, sizeof random);
	id_make(request->now_ms, random, id);
	time_print_ms(request->now_ms, now);
	value_set_str(metadata, "uid", old ? value_get_str(old, "uid") : id);
	value_set_str(metadata, "createdAt", old ? value_get_str(old, "createdAt") : now);
	value_set_str(metadata, "updatedAt", now);
}

int resource_store(struct request *request, const struct manifest *manifest,
                   const struct value *before, struct value **ret_value, struct err *err)
{
	struct arena *arena = request->arena;
	struct value *stored = value_map(arena), *metadata = value_map(arena);
	value_set_str(metadata, "name", manifest->name);
	value_set_str(metadata, "tenant", manifest->tenant);
	value_set_str(metadata, "domain", manifest->domain);
	set_identity(request, metadata, before);
	set_copy(arena, metadata, "labels", filled(manifest->labels));
	set_copy(arena, metadata, "annotations", filled(manifest->annotations));
	value_set_str(stored, "kind", kind_info[manifest->kind].kind);
	value_set(stored, "metadata", metadata);
	value_set(stored, "spec",
	          manifest->spec ? value_copy(arena, manifest->spec) : value_map(arena));
	set_copy(arena, stored, "key", value_get(before, "key"));
	set_copy(arena, stored, "state", value_get(before, "state"));
	TRY(value_check(stored, err));
	*ret_value = stored;
	return 0;
}

static int set_agreement(struct control *control, struct arena *arena, const struct value *stored,
                         struct value *shown, struct err *err)
{
	struct value *status = NULL;
	TRY(sharing_status(control, arena, stored, &status, err));
	if (status)
		value_set(shown, "status", status);
	return 0;
}

/* {snapshot: {...}} of a dataset with data; {state, ...} of a tenant, offer or acceptance. */
static int set_status(struct control *control, struct arena *arena, const struct value *stored,
                      struct value *shown, struct err *err)
{
	const struct value *metadata = value_get(stored, "metadata");
	const struct dataset_at at = { value_get_str(metadata, "tenant"),
	                               value_get_str(metadata, "domain"),
	                               value_get_str(metadata, "name") };
	struct snapshot *snapshot = NULL;
	int64_t revision = 0;
	enum kind kind = kind_by_name(value_get_str(stored, "kind"));
	if (kind == KIND_TENANT)
		value_set(shown, "status", tenancy_status(arena, stored));
	if (kind != KIND_DATASET)
		return set_agreement(control, arena, stored, shown, err);
	TRY(snapshots_current(control->catalog, arena, &at, &snapshot, NULL, &revision, err));
	if (!snapshot)
		return 0;
	struct value *status = value_map(arena);
	value_set(status, "snapshot", snapshot_summary(arena, snapshot));
	value_set(shown, "status", status);
	return 0;
}

int resource_show(struct control *control, struct arena *arena, const struct value *stored,
                  int64_t revision, struct value **ret_value, struct err *err)
{
	struct value *shown = value_map(arena);
	struct value *metadata = value_copy(arena, value_get(stored, "metadata"));
	if (revision)
		value_set_str(metadata, "etag", resource_etag(arena, revision));
	value_set_str(shown, "apiVersion", API_VERSION);
	value_set_str(shown, "kind", value_get_str(stored, "kind"));
	value_set(shown, "metadata", metadata);
	set_copy(arena, shown, "spec", value_get(stored, "spec"));
	TRY(set_status(control, arena, stored, shown, err));
	TRY(value_check(shown, err));
	*ret_value = shown;
	return 0;
}
