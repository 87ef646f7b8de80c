/* keyring.c - the key hierarchy.
 * Invariants: an opened key is in secret memory or wiped before its function returns; a box opens
 * only under the names and version it was made for; the cache holds at most TENANTS_MAX tenant
 * keys, each found only by the very box it came out of, so a changed box never opens from the
 * cache. */
#include "common/defs.h"
#include "tenant/keyring.h"

#include "common/buf.h"
#include "common/text.h"
#include "tenant/root.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TENANTS_MAX = 256, PLACE_MAX = 256 };

/* Where the derived keys lie in `own`. */
enum { AT_WRAP = 0, AT_STATE = KEY_BYTES, AT_CREDENTIAL = 2 * KEY_BYTES, AT_SEED = 3 * KEY_BYTES,
       AT_TOKEN = 4 * KEY_BYTES, OWN_BYTES = 5 * KEY_BYTES };

struct cached {
	char tenant[NAME_MAX_LEN + 1];       /* empty: free */
	uint8_t box[DIGEST_BYTES];           /* digest of the place and the box */
	uint64_t used;                       /* tick of the last use; the smallest goes first */
};

struct keyring {
	struct secret *own;
	pthread_mutex_t mutex;               /* guards all below */
	struct secret *opened;               /* TENANTS_MAX keys; slot i belongs to cached[i] */
	struct cached cached[TENANTS_MAX];
	uint64_t tick;
};

/* --- life --- */

static void derive_own(const uint8_t *root, uint8_t *own)
{
	key_derive(root, "freehold wrap tenant keys v1", own + AT_WRAP);
	key_derive(root, "freehold seal state v1", own + AT_STATE);
	key_derive(root, "freehold hash credentials v1", own + AT_CREDENTIAL);
	key_derive(root, "freehold sign grants v1", own + AT_SEED);
	key_derive(root, "freehold sign tokens v1", own + AT_TOKEN);
}

int keyring_new(const char *root_key_file, bool make, struct keyring **ret_keyring,
                struct err *err)
{
	AUTO(secret) *root = NULL;
	TRY(root_read_file(root_key_file, make, &root, err));
	return keyring_from(root, ret_keyring, err);
}

int keyring_from(const struct secret *root, struct keyring **ret_keyring, struct err *err)
{
	AUTO(keyring) *keyring = calloc(1, sizeof *keyring);
	if (!keyring)
		return err_set(err, E_NOMEM, "no memory for the keyring");
	pthread_mutex_init(&keyring->mutex, NULL);
	TRY(secret_new(OWN_BYTES, &keyring->own, err));
	TRY(secret_new((size_t)TENANTS_MAX * KEY_BYTES, &keyring->opened, err));
	derive_own(secret_bytes(root), secret_data(keyring->own));
	*ret_keyring = MOVE(keyring);
	return 0;
}

void keyring_free(struct keyring *keyring)
{
	if (!keyring)
		return;
	secret_free(keyring->own);
	secret_free(keyring->opened);
	pthread_mutex_destroy(&keyring->mutex);
	free(keyring);
}

/* --- places: what a box is bound to --- */

struct place {
	char text[PLACE_MAX];
	size_t len;
};

/* Names hold no '/', so two places never read alike. */
static int place_tenant(struct place *place, const char *tenant, uint32_t version, struct err *err)
{
	TRY(name_check("tenant", tenant, err));
	place->len = (size_t)snprintf(place->text, sizeof place->text,
	                              "freehold-tenant-key-v1/%s/%" PRIu32, tenant, version);
	return 0;
}

static int place_dataset(struct place *place, const char *tenant, const char *uid,
                         uint32_t version, struct err *err)
{
	TRY(name_check("tenant", tenant, err));
	if (!id_valid(uid))
		return err_set(err, E_INVALID, "a dataset's uid is a ULID of %d characters",
		               ID_LEN);
	place->len =
		(size_t)snprintf(place->text, sizeof place->text,
	                         "freehold-dataset-key-v1/%s/%s/%" PRIu32, tenant, uid, version);
	return 0;
}

static int make_box(const uint8_t *under, const struct place *place,
                    uint8_t out[WRAPPED_KEY_BYTES], struct err *err)
{
	AUTO(secret) *key = NULL;
	TRY(secret_random(KEY_BYTES, &key, err));
	lockbox_seal(under, place->text, place->len, secret_bytes(key), KEY_BYTES, out);
	return 0;
}

static int open_box(const uint8_t *under, const struct place *place, const char *what,
                    const uint8_t box[WRAPPED_KEY_BYTES], uint8_t out[KEY_BYTES], struct err *err)
{
	if (lockbox_open(under, place->text, place->len, box, WRAPPED_KEY_BYTES, out, NULL) == 0)
		return 0;
	return err_set(err, E_CORRUPT, "the %s key of %s does not open: it was wrapped for another "
	               "place or under another root key", what, strchr(place->text, '/') + 1);
}

/* --- the cache of tenant keys; the mutex is held --- */

static void cache_name(const struct place *place, const uint8_t box[WRAPPED_KEY_BYTES],
                       uint8_t out[DIGEST_BYTES])
{
	uint8_t bytes[PLACE_MAX + WRAPPED_KEY_BYTES];
	memcpy(bytes, place->text, place->len);
	memcpy(bytes + place->len, box, WRAPPED_KEY_BYTES);
	digest(bytes, place->len + WRAPPED_KEY_BYTES, out);
}

static uint8_t *slot_key(struct keyring *keyring, size_t slot)
{
	return secret_data(keyring->opened) + slot * KEY_BYTES;
}

static bool cache_find(struct keyring *keyring, const uint8_t name[DIGEST_BYTES], uint8_t *out)
{
	for (size_t i = 0; i < TENANTS_MAX; i++) {
		struct cached *cached = &keyring->cached[i];
		if (!cached->tenant[0] || !bytes_equal(cached->box, name, DIGEST_BYTES))
			continue;
		cached->used = ++keyring->tick;
		memcpy(out, slot_key(keyring, i), KEY_BYTES);
		return true;
	}
	return false;
}

static void cache_add(struct keyring *keyring, const char *tenant,
                      const uint8_t name[DIGEST_BYTES], const uint8_t *key)
{
	size_t oldest = 0;
	for (size_t i = 1; i < TENANTS_MAX; i++)
		if (keyring->cached[i].used < keyring->cached[oldest].used)
			oldest = i;
	struct cached *cached = &keyring->cached[oldest];
	snprintf(cached->tenant, sizeof cached->tenant, "%s", tenant);
	memcpy(cached->box, name, DIGEST_BYTES);
	cached->used = ++keyring->tick;
	memcpy(slot_key(keyring, oldest), key, KEY_BYTES);
}

void keyring_forget(struct keyring *keyring, const char *tenant)
{
	pthread_mutex_lock(&keyring->mutex);
	for (size_t i = 0; i < TENANTS_MAX; i++)
		if (strcmp(keyring->cached[i].tenant, tenant) == 0) {
			keyring->cached[i] = (struct cached){ .used = 0 };
			secret_wipe(slot_key(keyring, i), KEY_BYTES);
		}
	pthread_mutex_unlock(&keyring->mutex);
}

/* --- keys --- */

static int tenant_key(struct keyring *keyring, const char *tenant, uint32_t version,
                      const uint8_t box[WRAPPED_KEY_BYTES], struct secret **ret_key,
                      struct err *err)
{
	struct place place;
	TRY(place_tenant(&place, tenant, version, err));
	AUTO(secret) *key = NULL;
	TRY(secret_new(KEY_BYTES, &key, err));
	uint8_t name[DIGEST_BYTES];
	cache_name(&place, box, name);
	pthread_mutex_lock(&keyring->mutex);
	bool found = cache_find(keyring, name, secret_data(key));
	pthread_mutex_unlock(&keyring->mutex);
	if (!found) {
		TRY(open_box(secret_bytes(keyring->own) + AT_WRAP, &place, "tenant", box,
		             secret_data(key), err));
		pthread_mutex_lock(&keyring->mutex);
		cache_add(keyring, tenant, name, secret_bytes(key));
		pthread_mutex_unlock(&keyring->mutex);
	}
	*ret_key = MOVE(key);
	return 0;
}

int keyring_make_tenant(struct keyring *keyring, const char *tenant, uint32_t version,
                        uint8_t out[WRAPPED_KEY_BYTES], struct err *err)
{
	struct place place;
	TRY(place_tenant(&place, tenant, version, err));
	return make_box(secret_bytes(keyring->own) + AT_WRAP, &place, out, err);
}

int keyring_make_dataset(struct keyring *keyring, const char *tenant, uint32_t tenant_version,
                         const uint8_t tenant_box[WRAPPED_KEY_BYTES], const char *uid,
                         uint32_t version, uint8_t out[WRAPPED_KEY_BYTES], struct err *err)
{
	struct place place;
	TRY(place_dataset(&place, tenant, uid, version, err));
	AUTO(secret) *key = NULL;
	TRY(tenant_key(keyring, tenant, tenant_version, tenant_box, &key, err));
	return make_box(secret_bytes(key), &place, out, err);
}

int keyring_open_dataset(struct keyring *keyring, const char *tenant, uint32_t tenant_version,
                         const uint8_t tenant_box[WRAPPED_KEY_BYTES], const char *uid,
                         uint32_t version, const uint8_t dataset_box[WRAPPED_KEY_BYTES],
                         uint8_t out[KEY_BYTES], struct err *err)
{
	struct place place;
	TRY(place_dataset(&place, tenant, uid, version, err));
	AUTO(secret) *key = NULL;
	TRY(tenant_key(keyring, tenant, tenant_version, tenant_box, &key, err));
	return open_box(secret_bytes(key), &place, "dataset", dataset_box, out, err);
}

int keyring_move_dataset(struct keyring *keyring, const char *tenant,
                         const struct tenant_box *from, const struct tenant_box *to,
                         const char *uid, uint32_t version,
                         const uint8_t dataset_box[WRAPPED_KEY_BYTES],
                         uint8_t out[WRAPPED_KEY_BYTES], struct err *err)
{
	struct place place;
	AUTO(secret) *under = NULL, *key = NULL;
	TRY(place_dataset(&place, tenant, uid, version, err));
	TRY(secret_new(KEY_BYTES, &key, err));
	TRY(keyring_open_dataset(keyring, tenant, from->version, from->box, uid, version,
	                         dataset_box, secret_data(key), err));
	TRY(tenant_key(keyring, tenant, to->version, to->box, &under, err));
	lockbox_seal(secret_bytes(under), place.text, place.len, secret_bytes(key), KEY_BYTES, out);
	return 0;
}

const uint8_t *keyring_state_key(const struct keyring *keyring)
{
	return secret_bytes(keyring->own) + AT_STATE;
}

const uint8_t *keyring_credential_key(const struct keyring *keyring)
{
	return secret_bytes(keyring->own) + AT_CREDENTIAL;
}

void keyring_signing_pair(const struct keyring *keyring, uint8_t public_key[SIGN_PUBLIC_BYTES],
                          uint8_t secret_key[SIGN_SECRET_BYTES])
{
	sign_keypair_from(secret_bytes(keyring->own) + AT_SEED, public_key, secret_key);
}

void keyring_token_pair(const struct keyring *keyring, uint32_t version,
                        uint8_t public_key[SIGN_PUBLIC_BYTES],
                        uint8_t secret_key[SIGN_SECRET_BYTES])
{
	char purpose[64];
	uint8_t seed[KEY_BYTES];
	snprintf(purpose, sizeof purpose, "freehold token key v1/%" PRIu32, version);
	key_derive(secret_bytes(keyring->own) + AT_TOKEN, purpose, seed);
	sign_keypair_from(seed, public_key, secret_key);
	secret_wipe(seed, sizeof seed);
}
