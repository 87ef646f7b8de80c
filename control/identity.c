/* identity.c - API keys to principals. The work is the same for a key that is known and one that is
 * not: the hash is computed and compared either way. */
#include "common/defs.h"
#include "control/identity.h"

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

static bool key_valid(struct control *control, const char *text, const struct value *key,
                      int64_t now_ms)
{
	static const uint8_t none[DIGEST_BYTES];
	bool matches = apikey_matches(keyring_credential_key(control->keyring), text,
	                              hash_of(key, none));
	int64_t expires_ms = value_get_int(key, "expiresAt", 0);
	return matches && key && (expires_ms == 0 || now_ms < expires_ms);
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
	fill(principal, &asker);
	*ret_asker = asker;
	return 0;
}

int identity_check(struct control *control, struct arena *arena, const char *credential,
                   int64_t now_ms, struct asker *ret_asker, struct err *err)
{
	char id[ID_LEN + 1], at[STORE_KEY_MAX];
	if (!credential || apikey_id(credential, id, NULL) < 0)
		return refused(err);
	struct value *key = NULL;
	int code = catalog_get(control->catalog, arena, identity_key(at, id), &key, NULL, err);
	if (code < 0 && code != E_NOT_FOUND)
		return code;
	if (!key_valid(control, credential, key, now_ms))
		return refused(err);
	return owner(control, arena, key, ret_asker, err);
}

int identity_by_id(struct control *control, struct arena *arena, const char *id, int64_t now_ms,
                   struct asker *ret_asker, struct err *err)
{
	char at[STORE_KEY_MAX];
	struct value *key = NULL;
	int code = catalog_get(control->catalog, arena, identity_key(at, id), &key, NULL, err);
	if (code < 0)
		return code == E_NOT_FOUND ? refused(err) : code;
	int64_t expires_ms = value_get_int(key, "expiresAt", 0);
	if (expires_ms != 0 && now_ms >= expires_ms)
		return refused(err);
	return owner(control, arena, key, ret_asker, err);
}
