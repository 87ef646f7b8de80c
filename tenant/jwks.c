/* jwks.c - see jwks.h. A key is taken only when all that it says of itself fits: its type, curve,
 * algorithm, use and operations. A set that names one id twice for one algorithm is refused: which
 * of the two signs would be anybody's guess. */
#include "common/defs.h"
#include "tenant/jwks.h"

#include "common/json.h"
#include "common/text.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { FIELD_BYTES_MAX = 1100, ARENA_MAX = 8 * 1024 * 1024 };

struct jwk {
	char *kid;
	struct signature_key *key;
};

struct jwks {
	atomic_int refs;
	size_t count;
	struct jwk keys[JWKS_KEYS_MOST];
};

struct jwks *jwks_ref(struct jwks *jwks)
{
	atomic_fetch_add(&jwks->refs, 1);
	return jwks;
}

void jwks_free(struct jwks *jwks)
{
	if (!jwks || atomic_fetch_sub(&jwks->refs, 1) != 1)
		return;
	for (size_t i = 0; i < jwks->count; i++) {
		signature_key_free(jwks->keys[i].key);
		free(jwks->keys[i].kid);
	}
	free(jwks);
}

size_t jwks_count(const struct jwks *jwks)
{
	return jwks->count;
}

const struct signature_key *jwks_find(const struct jwks *jwks, const char *kid,
                                      enum signature_kind kind)
{
	for (size_t i = 0; i < jwks->count; i++)
		if (signature_key_kind(jwks->keys[i].key) == kind &&
		    strcmp(jwks->keys[i].kid, kid) == 0)
			return jwks->keys[i].key;
	return NULL;
}

/* --- one key --- */

static bool says(const struct value *jwk, const char *name, const char *wanted)
{
	const char *text = value_get_str(jwk, name);
	return text && strcmp(text, wanted) == 0;
}

/* Absent, or that. */
static bool allows(const struct value *jwk, const char *name, const char *wanted)
{
	return !value_get(jwk, name) || says(jwk, name, wanted);
}

static bool may_verify(const struct value *jwk)
{
	const struct value *ops = value_get(jwk, "key_ops");
	if (!ops)
		return true;
	for (size_t i = 0; i < value_len(ops); i++) {
		const char *op = value_as_str(value_at(ops, i));
		if (op && strcmp(op, "verify") == 0)
			return true;
	}
	return false;
}

/* What it would be used for, if for anything. */
static bool kind_of(const struct value *jwk, enum signature_kind *ret_kind)
{
	static const struct { enum signature_kind kind; const char *kty, *crv; } kinds[] = {
		{ SIGNATURE_RS256, "RSA", NULL },
		{ SIGNATURE_ES256, "EC", "P-256" },
		{ SIGNATURE_EDDSA, "OKP", "Ed25519" },
	};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!says(jwk, "kty", kinds[i].kty) ||
		    (kinds[i].crv && !says(jwk, "crv", kinds[i].crv)) ||
		    !allows(jwk, "alg", signature_name(kinds[i].kind)))
			continue;
		*ret_kind = kinds[i].kind;
		return allows(jwk, "use", "sig") && may_verify(jwk) && !value_get(jwk, "d");
	}
	return false;
}

static int field(const struct value *jwk, const char *name, struct buf *out, struct err *err)
{
	const char *text = value_get_str(jwk, name);
	buf_init(out, FIELD_BYTES_MAX);
	if (!text)
		return err_set(err, E_INVALID, "a key lacks its %s", name);
	TRY(base64url_parse(text, strlen(text), out, err));
	return buf_check(out, err);
}

static int make_key(const struct value *jwk, enum signature_kind kind,
                    struct signature_key **ret_key, struct err *err)
{
	AUTO_BUF first, second;
	bool rsa = kind == SIGNATURE_RS256;
	buf_init(&second, 1);
	TRY(field(jwk, rsa ? "n" : "x", &first, err));
	struct bytes one = { first.data, first.len };
	if (kind == SIGNATURE_EDDSA)
		return signature_key_ed25519(one, ret_key, err);
	TRY(field(jwk, rsa ? "e" : "y", &second, err));
	struct bytes two = { second.data, second.len };
	return rsa ? signature_key_rsa(one, two, ret_key, err)
	           : signature_key_p256(one, two, ret_key, err);
}

/* --- the set --- */

static int add(struct jwks *jwks, const struct value *jwk, struct err *err)
{
	enum signature_kind kind;
	const char *kid = value_get_str(jwk, "kid");
	AUTO(signature_key) *key = NULL;
	if (!kid || !*kid || strlen(kid) > JWKS_KID_MAX || !kind_of(jwk, &kind))
		return 0;
	int code = make_key(jwk, kind, &key, err);
	if (code < 0)
		return code == E_NOMEM ? code : 0;
	if (jwks_find(jwks, kid, kind))
		return err_set(err, E_INVALID, "the key set names one key id twice");
	char *copy = strdup(kid);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for a key set");
	jwks->keys[jwks->count++] = (struct jwk){ copy, MOVE(key) };
	return 0;
}

int jwks_read(const char *text, size_t len, struct jwks **ret_jwks, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *set = NULL;
	if (len > JWKS_BYTES_MAX)
		return err_set(err, E_TOO_LARGE, "the key set is over %d bytes", JWKS_BYTES_MAX);
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(json_parse(arena, text, len, &set, err));
	const struct value *keys = value_get(set, "keys");
	if (value_kind(keys) != VALUE_LIST)
		return err_set(err, E_INVALID, "the key set has no list of keys");
	if (value_len(keys) > JWKS_KEYS_MOST)
		return err_set(err, E_TOO_LARGE, "the key set has %zu keys, at most %d are "
		               "allowed", value_len(keys), JWKS_KEYS_MOST);
	AUTO(jwks) *jwks = calloc(1, sizeof *jwks);
	if (!jwks)
		return err_set(err, E_NOMEM, "no memory for a key set");
	jwks->refs = 1;
	for (size_t i = 0; i < value_len(keys); i++)
		TRY(add(jwks, value_at(keys, i), err));
	*ret_jwks = MOVE(jwks);
	return 0;
}
