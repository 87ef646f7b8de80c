/* keys.c - wrapped keys as members of resources. Only wrapped keys are in values; an opened one is
 * given to the caller, who wipes it. */
#include "common/defs.h"
#include "control/keys.h"

#include "control/tenancy.h"
#include <stdio.h>

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

int keys_make_tenant(struct keyring *keyring, struct arena *arena, const char *tenant,
                     struct value **ret_value, struct err *err)
{
	uint8_t box[WRAPPED_KEY_BYTES];
	TRY(keyring_make_tenant(keyring, tenant, 1, box, err));
	struct value *value = value_map(arena);
	value_set_str(value, "tenant", tenant);
	value_set_int(value, "version", 1);
	value_set_bin(value, "box", box, sizeof box);
	TRY(value_check(value, err));
	*ret_value = value;
	return 0;
}

static int no_tenant_key(const char *tenant, struct err *err)
{
	return err_set(err, E_CORRUPT,
	               "the tenant %s has no readable key; without it its data cannot "
	               "be opened or written",
	               tenant);
}

int keys_make_resource(struct keyring *keyring, struct arena *arena, const char *tenant,
                       const struct value *tenant_key, const char *uid, struct value **ret_value,
                       struct err *err)
{
	uint32_t tenant_version = version_of(tenant_key, "version");
	const uint8_t *tenant_box = box_of(tenant_key);
	if (!tenant_box)
		return no_tenant_key(tenant, err);
	uint8_t box[WRAPPED_KEY_BYTES];
	TRY(keyring_make_dataset(keyring, tenant, tenant_version, tenant_box, uid, 1, box, err));
	struct value *value = value_map(arena);
	value_set_int(value, "version", 1);
	value_set_bin(value, "box", box, sizeof box);
	value_set_int(value, "tenantVersion", tenant_version);
	TRY(value_check(value, err));
	*ret_value = value;
	return 0;
}

int keys_open_resource(struct control *control, struct arena *arena, const char *tenant,
                       const struct value *resource, uint8_t key[KEY_BYTES],
                       uint32_t *ret_version, struct err *err)
{
	char at[STORE_KEY_MAX];
	struct value *tenant_key = NULL;
	if (catalog_get(control->catalog, arena, keys_tenant_key(at, tenant), &tenant_key, NULL,
	                err) < 0)
		return no_tenant_key(tenant, err);
	const struct value *own = value_get(resource, "key");
	const uint8_t *box = box_of(own), *tenant_box = box_of(tenant_key);
	uint32_t version = version_of(own, "version");
	if (!box || !tenant_box ||
	    version_of(own, "tenantVersion") != version_of(tenant_key, "version"))
		return no_tenant_key(tenant, err);
	const char *uid = value_get_str(value_get(resource, "metadata"), "uid");
	TRY(tenancy_needs(control, tenant, TENANCY_KEYS, err));
	TRY(keyring_open_dataset(control->keyring, tenant, version_of(tenant_key, "version"),
	                         tenant_box, uid, version, box, key, err));
	/* Sealed meanwhile: what was forgotten then is cached again now. */
	if (tenancy_needs(control, tenant, TENANCY_KEYS, err) < 0) {
		secret_wipe(key, KEY_BYTES);
		keyring_forget(control->keyring, tenant);
		return err ? err->code : E_CONFLICT;
	}
	*ret_version = version;
	return 0;
}
