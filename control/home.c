/* home.c - see home.h. */
#include "common/defs.h"
#include "control/home.h"

#include "common/text.h"
#include "control/keys.h"
#include "control/tenancy.h"

#include <stdio.h>
#include <string.h>

const struct home_column home_columns[] = {
#define HISTORY(column, type, path, meaning) { #column, type, path, meaning },
#include "control/history.def"
#undef HISTORY
	{ NULL, NULL, NULL, NULL }
};

static const struct home_column audit_columns[] = {
#define AUDIT(column, type, path, meaning) { #column, type, path, meaning },
#include "control/auditstore.def"
#undef AUDIT
	{ NULL, NULL, NULL, NULL }
};

static const struct home_dataset datasets[] = {
	{ HOME_TASKS, "one row for each ended task of the tenant", home_columns },
	{ HOME_AUDIT, "one row for each audit event of the tenant", audit_columns },
};

const struct home_column *home_columns_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(datasets); i++)
		if (strcmp(datasets[i].name, name) == 0)
			return datasets[i].columns;
	return NULL;
}

struct dataset_at home_dataset(const char *tenant, const char *name)
{
	return (struct dataset_at){ tenant, PLATFORM_DOMAIN, name };
}

bool home_is(const char *domain)
{
	return domain && strcmp(domain, PLATFORM_DOMAIN) == 0;
}

bool home_is_audit(const char *domain, const char *name)
{
	return home_is(domain) && name && strcmp(name, HOME_AUDIT) == 0;
}

/* --- made --- */

static struct value *metadata_new(struct control *control, struct arena *arena, const char *tenant,
                                  const char *domain, const char *name)
{
	char id[ID_LEN + 1], now[TIME_TEXT_MAX];
	uint8_t random[10];
	int64_t now_ms = clock_unix_ms(control->clock);
	struct value *metadata = value_map(arena);
	random_bytes(random, sizeof random);
	id_make(now_ms, random, id);
	time_print_ms(now_ms, now);
	value_set_str(metadata, "name", name);
	value_set_str(metadata, "tenant", tenant);
	value_set_str(metadata, "domain", domain);
	value_set_str(metadata, "uid", id);
	value_set_str(metadata, "createdAt", now);
	value_set_str(metadata, "updatedAt", now);
	return metadata;
}

static struct value *schema_new(struct arena *arena, const struct home_column *columns)
{
	struct value *schema = value_list(arena);
	for (const struct home_column *column = columns; column->name; column++) {
		struct value *map = value_map(arena);
		value_set_str(map, "name", column->name);
		value_set_str(map, "type", column->type);
		value_set_str(map, "description", column->doc);
		value_add(schema, map);
	}
	return schema;
}

static int make_domain(struct control *control, struct arena *arena, const char *tenant,
                       struct change *change, struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_DOMAIN, tenant, NULL, PLATFORM_DOMAIN);
	if (catalog_has(control->catalog, key))
		return 0;
	struct value *domain = value_map(arena), *spec = value_map(arena);
	value_set_str(spec, "description", "kept by the platform; clients can read it");
	value_set_str(domain, "kind", kind_info[KIND_DOMAIN].kind);
	value_set(domain, "metadata", metadata_new(control, arena, tenant, NULL, PLATFORM_DOMAIN));
	value_set(domain, "spec", spec);
	TRY(value_check(domain, err));
	return change_put(change, key, domain, 0, err);
}

static int make_dataset(struct control *control, struct arena *arena, const char *tenant,
                        const struct home_dataset *made, struct change *change, struct err *err)
{
	char key[STORE_KEY_MAX], at[STORE_KEY_MAX];
	struct value *tenant_key = NULL, *wrapped = NULL;
	int64_t revision = 0;
	catalog_key(key, KIND_DATASET, tenant, PLATFORM_DOMAIN, made->name);
	if (catalog_has(control->catalog, key))
		return 0;
	struct value *dataset = value_map(arena), *spec = value_map(arena);
	struct value *metadata = metadata_new(control, arena, tenant, PLATFORM_DOMAIN, made->name);
	TRY(value_check(metadata, err));
	TRY(catalog_get(control->catalog, arena, keys_tenant_key(at, tenant), &tenant_key,
	                &revision, err));
	TRY(change_expect(change, at, revision, err));
	TRY(keys_make_resource(control->keyring, arena, tenant, tenant_key,
	                       value_get_str(metadata, "uid"), &wrapped, err));
	value_set_str(spec, "description", made->description);
	value_set(spec, "schema", schema_new(arena, made->columns));
	value_set_str(dataset, "kind", kind_info[KIND_DATASET].kind);
	value_set(dataset, "metadata", metadata);
	value_set(dataset, "spec", spec);
	value_set(dataset, "key", wrapped);
	TRY(value_check(dataset, err));
	return change_put(change, key, dataset, 0, err);
}

int home_make(struct control *control, struct arena *arena, const char *tenant,
              struct change *change, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *resource = NULL;
	int64_t revision = 0;
	catalog_key(key, KIND_TENANT, NULL, NULL, tenant);
	TRY(catalog_get(control->catalog, arena, key, &resource, &revision, err));
	TRY(tenancy_allows(resource, TENANCY_KEYS, err));
	TRY(change_expect(change, key, revision, err));
	TRY(make_domain(control, arena, tenant, change, err));
	for (size_t i = 0; i < ARRAY_LEN(datasets); i++)
		TRY(make_dataset(control, arena, tenant, &datasets[i], change, err));
	return 0;
}

/* --- deleted --- */

/* One that is not there must not come before the change is committed. */
static int delete_or_expect(struct control *control, const char *key, struct change *change,
                            struct err *err)
{
	if (catalog_has(control->catalog, key))
		return change_delete(change, key, -1, err);
	return change_expect(change, key, 0, err);
}

int home_delete(struct control *control, const char *tenant, struct change *change,
                struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_DOMAIN, tenant, NULL, PLATFORM_DOMAIN);
	TRY(delete_or_expect(control, key, change, err));
	for (size_t i = 0; i < ARRAY_LEN(datasets); i++) {
		const struct dataset_at at = home_dataset(tenant, datasets[i].name);
		catalog_key(key, KIND_DATASET, tenant, PLATFORM_DOMAIN, at.name);
		TRY(delete_or_expect(control, key, change, err));
		TRY(delete_or_expect(control, snapshots_key(key, &at), change, err));
	}
	return 0;
}

static int see_domain(void *context, const char *key, const struct value *domain,
                      int64_t revision, struct err *err)
{
	bool *others = context;
	(void)key, (void)revision, (void)err;
	*others |= !home_is(value_get_str(value_get(domain, "metadata"), "name"));
	return 0;
}

bool home_has_others(struct control *control, const char *tenant)
{
	AUTO(arena) *arena = NULL;
	char prefix[STORE_KEY_MAX];
	bool others = false, more = false;
	struct err err;
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[KIND_DOMAIN].name, tenant);
	if (!catalog_has_prefix(control->catalog, prefix))
		return false;
	if (arena_new(4 * MIB, &arena, &err) < 0 ||
	    catalog_list(control->catalog, arena, prefix, NULL, 2, see_domain, &others, &more,
	                 &err) < 0)
		return true;                 /* nothing is deleted on a guess */
	return others || more;
}

/* --- read --- */

bool home_history(struct control *control, struct arena *arena, const char *tenant,
                  struct snapshot **ret_snapshot)
{
	return home_current(control, arena, tenant, HOME_TASKS, ret_snapshot);
}

bool home_current(struct control *control, struct arena *arena, const char *tenant,
                  const char *name, struct snapshot **ret_snapshot)
{
	const struct dataset_at at = home_dataset(tenant, name);
	int64_t revision = 0;
	struct err err;
	*ret_snapshot = NULL;
	return snapshots_current(control->catalog, arena, &at, ret_snapshot, NULL, &revision,
	                         &err) == 0 && *ret_snapshot;
}
