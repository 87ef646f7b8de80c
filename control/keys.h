/* keys.h - the wrapped keys in resources: making and opening them.
 * r/key/TENANT holds {tenant, version, box}; a Dataset's or FeatureView's resource holds key
 * {version, box, tenantVersion}: the box lies under the tenant key of tenantVersion. */
#ifndef KEYS_H
#define KEYS_H

#include "control/control.h"

/* The value of a new tenant's r/key/TENANT. */
MUST_USE int keys_make_tenant(struct keyring *keyring, struct arena *arena, const char *tenant,
                              struct value **ret_value, struct err *err);
/* The member "key" of a new resource with that uid. tenant_key: the value of r/key/TENANT. */
MUST_USE int keys_make_resource(struct keyring *keyring, struct arena *arena, const char *tenant,
                                const struct value *tenant_key, const char *uid,
                                struct value **ret_value, struct err *err);
/* Opens the key of a Dataset or FeatureView (its whole resource). Wipe key after use. */
MUST_USE int keys_open_resource(struct control *control, struct arena *arena, const char *tenant,
                                const struct value *resource, uint8_t key[KEY_BYTES],
                                uint32_t *ret_version, struct err *err);
/* "r/key/TENANT". */
const char *keys_tenant_key(char out[STORE_KEY_MAX], const char *tenant);

#endif
