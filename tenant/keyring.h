/* keyring.h - keys: root wraps tenant keys (versioned) wrap dataset keys wrap per-object data keys.
 * What is stored are lockboxes only; opened keys live in secret memory, cached here, bounded.
 * Any thread. */
#ifndef KEYRING_H
#define KEYRING_H

#include "common/crypto.h"

struct keyring;

/* The root key: a file of 32 bytes (or 64 hex digits), mode 0600 or stricter, else refused with the
 * command that mends it. make: create it when absent. */
MUST_USE int keyring_new(const char *root_key_file, bool make, struct keyring **ret_keyring,
                         struct err *err);
/* The same from the installation's key, wherever that came from (root.h). */
MUST_USE int keyring_from(const struct secret *key, struct keyring **ret_keyring, struct err *err);
void keyring_free(struct keyring *keyring);
DEFINE_AUTO(keyring)

enum { WRAPPED_KEY_BYTES = KEY_BYTES + LOCKBOX_OVERHEAD };

/* New random keys, wrapped. The tenant key under the root, a dataset key under the tenant's.
 * `version` and names are bound into the box, so that a box moved elsewhere does not open. */
MUST_USE int keyring_make_tenant(struct keyring *keyring, const char *tenant, uint32_t version,
                                 uint8_t out[WRAPPED_KEY_BYTES], struct err *err);
MUST_USE int keyring_make_dataset(struct keyring *keyring, const char *tenant,
                                  uint32_t tenant_version,
                                  const uint8_t tenant_box[WRAPPED_KEY_BYTES], const char *uid,
                                  uint32_t version, uint8_t out[WRAPPED_KEY_BYTES],
                                  struct err *err);
MUST_USE int keyring_open_dataset(struct keyring *keyring, const char *tenant,
                                  uint32_t tenant_version,
                                  const uint8_t tenant_box[WRAPPED_KEY_BYTES], const char *uid,
                                  uint32_t version, const uint8_t dataset_box[WRAPPED_KEY_BYTES],
                                  uint8_t out[KEY_BYTES], struct err *err);
/* The same dataset key in a box under another version of the tenant's key. */
struct tenant_box { uint32_t version; const uint8_t *box; };
MUST_USE int keyring_move_dataset(struct keyring *keyring, const char *tenant,
                                  const struct tenant_box *from, const struct tenant_box *to,
                                  const char *uid, uint32_t version,
                                  const uint8_t dataset_box[WRAPPED_KEY_BYTES],
                                  uint8_t out[WRAPPED_KEY_BYTES], struct err *err);
void keyring_forget(struct keyring *keyring, const char *tenant); /* drop the cached keys */

/* Keys of the installation itself, derived from the root by purpose: the state seal, the API key
 * hash, the grant signer's seed. */
const uint8_t *keyring_state_key(const struct keyring *keyring);
const uint8_t *keyring_credential_key(const struct keyring *keyring);
/* The pair that signs tokens, version 1, 2, ... (control/tokens.h). */
void keyring_token_pair(const struct keyring *keyring, uint32_t version,
                        uint8_t public_key[SIGN_PUBLIC_BYTES],
                        uint8_t secret_key[SIGN_SECRET_BYTES]);
void keyring_signing_pair(const struct keyring *keyring, uint8_t public_key[SIGN_PUBLIC_BYTES],
                          uint8_t secret_key[SIGN_SECRET_BYTES]);

#endif
