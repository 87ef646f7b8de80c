/* keys.h - the wrapped keys in resources: making, opening, replacing and destroying them.
 * r/key/TENANT holds {tenant, version, box, createdAt, old?}; a Dataset's or FeatureView's resource
 * holds key {version, box, tenantVersion, createdAt, old?, since?}: a box lies under the tenant key
 * of tenantVersion. `old` is the version before, with the same members, while something still
 * refers to it: a key is replaced when the replacement before is done, so there are two at most.
 * `since` is the newest token that may know the old version alone ("EPOCH-COUNTER", rekey.h).
 * Times in Unix ms. A destroyed key is {version, destroyedAt, fingerprint}, and stays so. */
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
/* Opens the key of a Dataset or FeatureView (its whole resource) that new data comes under. Wipe
 * key after use. E_DESTROYED. */
MUST_USE int keys_open_resource(struct control *control, struct arena *arena, const char *tenant,
                                const struct value *resource, uint8_t key[KEY_BYTES],
                                uint32_t *ret_version, struct err *err);
/* The same with the version before, where data under it may be left. */
struct key_pair {
	uint32_t version, old_version;       /* old_version 0: there is no other */
	uint8_t *key, *old_key;              /* KEY_BYTES each, the caller's */
};
MUST_USE int keys_open_pair(struct control *control, struct arena *arena, const char *tenant,
                            const struct value *resource, struct key_pair *pair, struct err *err);
/* "r/key/TENANT". */
const char *keys_tenant_key(char out[STORE_KEY_MAX], const char *tenant);

bool keys_rotating(const struct value *resource);      /* it has an old version */
bool keys_destroyed(const struct value *resource);
/* Who a resource is, for sentences: "the dataset DOMAIN.NAME". */
const char *keys_name(struct arena *arena, const struct value *resource);

/* A new version beside the one there is: copies of the resource (or of r/key/TENANT). E_CONFLICT:
 * the replacement before is under way; E_DESTROYED. */
MUST_USE int keys_next_resource(struct control *control, struct arena *arena, const char *tenant,
                                const struct value *resource, struct value **ret_next,
                                struct err *err);
MUST_USE int keys_next_tenant(struct control *control, struct arena *arena, const char *tenant,
                              const struct value *tenant_key, struct value **ret_next,
                              struct err *err);
/* A copy whose boxes lie under the tenant's newest key. NULL: they do already. */
MUST_USE int keys_moved(struct control *control, struct arena *arena, const char *tenant,
                        const struct value *tenant_key, const struct value *resource,
                        struct value **ret_next, struct err *err);
/* A copy without the old version: nothing refers to it any more. NULL: out of memory. */
struct value *keys_retired(struct arena *arena, const struct value *resource);
struct value *keys_tenant_retired(struct arena *arena, const struct value *tenant_key);
/* A copy whose boxes are gone for ever. NULL: out of memory. */
struct value *keys_shredded(struct arena *arena, const struct value *resource, int64_t now_ms);

/* Adds {key, version, fingerprint} of each of a resource's boxes to list. */
void keys_fingerprints(struct arena *arena, const struct value *resource, struct value *list);

/* Adds to change what makes every byte of the tenant unreadable: its key's boxes go. A list of
 * {key, version, fingerprint} (BLAKE2b-256 of each box, hex) of what is destroyed: the tenant's key
 * and each of its datasets' and views'. After the commit: keys_forget. */
MUST_USE int keys_destroy_tenant(struct control *control, struct arena *arena,
                                 struct change *change, const char *tenant,
                                 struct value **ret_fingerprints, struct err *err);
/* What is in memory of a tenant's keys goes: here, in access grants, in running tasks whose key is
 * destroyed, which end so. */
void keys_forget(struct control *control, const char *tenant);

#endif
