/* identity.c - API keys to principals. The work is the same for a key that is known and one that is
 * not: the hash is computed and compared either way. */
#include "common/defs.h"
#include "control/identity.h"

#include "control/bindings.h"
#include "control/keyuse.h"
#include "tenant/apikey.h"

#include <stdio.h>
#include <string.h>

const char *identity_key(char out[STORE_KEY_MAX], const char *id)
{
	snprintf(out, STORE_KEY_MAX, "r/apikey/%s", id);
	return out;
}

static int refused(struct err *err)
{
	return err_set(err, E_UNAUTHENTICATED,
	               "no valid credential; send an API key that is neither "
	               "expired nor revoked as \"Authorization: Bearer fh_ID_SECRET\"");
}

/* The stored hash of a key, or one that matches nothing. */
static const uint8_t *hash_of(const struct value *key, const uint8_t none[DIGEST_BYTES])
{
	size_t len = 0;
	const void *hash = value_get_bin(key, "hash", &len);
	return len == DIGEST_BYTES ? hash : none;
}

static bool key_matches(struct control *control, const char *text, const struct value *key)
{
	static const uint8_t none[DIGEST_BYTES];
	bool matches = apikey_matches(keyring_credential_key(control->keyring), text,
	                              hash_of(key, none));
	return matches && key;
}

static bool is(const struct value *map, const char *name, const char *wanted)
{
	const char *text = value_get_str(map, name);
	return text && strcmp(text, wanted) == 0;
}

static void fill(const struct value *principal, struct asker *asker)
{
	const struct value *spec = value_get(principal, "spec");
	const struct value *roles = value_get(spec, "roles");
	asker->domain = value_get_str(spec, "domain");
	for (size_t i = 0; i < value_len(roles); i++)
		if (value_as_str(value_at(roles, i)) &&
		    !asker_bind(asker, value_as_str(value_at(roles, i)), asker->domain))
			return;
}

/* Who a stored key belongs to. */
static int owner(struct control *control, struct arena *arena, const struct value *key,
                 struct asker *ret_asker, struct err *err)
{
	char at[STORE_KEY_MAX];
	struct value *principal = NULL;
	struct asker asker = { .tenant = value_get_str(key, "tenant"),
	                       .principal = value_get_str(key, "principal") };
	if (!asker.tenant || !asker.principal)
		return refused(err);
	catalog_key(at, KIND_PRINCIPAL, asker.tenant, NULL, asker.principal);
	int code = catalog_get(control->catalog, arena, at, &principal, NULL, err);
	if (code < 0)
		return code == E_NOT_FOUND ? refused(err) : code;
	if (value_get_bool(value_get(principal, "spec"), "disabled", false))
		return refused(err);
	fill(principal, &asker);
	bindings_fill(control->bindings, arena, &asker);
	*ret_asker = asker;
	return 0;
}

/* --- API keys --- */

static int get_key(struct control *control, struct arena *arena, const char *id,
                   struct value **ret_key, struct err *err)
{
	char at[STORE_KEY_MAX];
	int code = catalog_get(control->catalog, arena, identity_key(at, id), ret_key, NULL, err);
	return code == E_NOT_FOUND ? 0 : code;
}

static int verify_key(struct control *control, struct arena *arena, const struct identity_ask *ask,
                      struct value **ret_proof, struct err *err)
{
	char id[ID_LEN + 1];
	struct value *key = NULL, *proof = value_map(arena);
	if (apikey_id(ask->credential, id, NULL) < 0)
		return refused(err);
	TRY(get_key(control, arena, id, &key, err));
	if (!key_matches(control, ask->credential, key))
		return refused(err);
	value_set_str(proof, "kind", "key");
	value_set_str(proof, "id", id);
	TRY(value_check(proof, err));
	*ret_proof = proof;
	return 0;
}

/* Whose it is, unless it is gone or has expired. */
static int key_stands(struct control *control, struct arena *arena, const char *id, int64_t now_ms,
                      struct asker *asker, struct err *err)
{
	struct value *key = NULL;
	if (!id)
		return refused(err);
	TRY(get_key(control, arena, id, &key, err));
	int64_t expires_ms = value_get_int(key, "expiresAt", 0);
	if (!key || (expires_ms != 0 && now_ms >= expires_ms))
		return refused(err);
	TRY(owner(control, arena, key, asker, err));
	asker->auth = AUTH_KEY;
	asker->credential = id;
	asker->expires_ms = expires_ms;
	keyuse_note(control->keyuse, id, now_ms);
	return 0;
}

/* --- any of them --- */

int identity_again(struct control *control, struct arena *arena, const struct value *proof,
                   int64_t now_ms, struct asker *ret_asker, struct err *err)
{
	struct asker asker = { .tenant = NULL };
	if (!is(proof, "kind", "key"))
		return refused(err);
	TRY(key_stands(control, arena, value_get_str(proof, "id"), now_ms, &asker, err));
	asker.proof = proof;
	*ret_asker = asker;
	return 0;
}

int identity_check(struct control *control, struct arena *arena, const struct identity_ask *ask,
                   struct asker *ret_asker, struct err *err)
{
	struct value *proof = NULL;
	if (!ask->credential)
		return refused(err);
	TRY(verify_key(control, arena, ask, &proof, err));
	return identity_again(control, arena, proof, ask->now_ms, ret_asker, err);
}
