/* identity.c - API keys to principals. The work is the same for a key that is known and one that is
 * not: the hash is computed and compared either way. */
#include "common/defs.h"
#include "control/identity.h"

#include "control/bindings.h"
#include "control/keyuse.h"
#include "control/logins.h"
#include "control/tokens.h"
#include "tenant/apikey.h"
#include "tenant/jwt.h"
#include "tenant/paseto.h"

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
	               "no valid credential; send an API key or a token that is neither "
	               "expired nor revoked as \"Authorization: Bearer CREDENTIAL\"");
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
	asker->attributes = value_get(spec, "attributes");
	for (size_t i = 0; i < value_len(roles); i++)
		if (value_as_str(value_at(roles, i)) &&
		    !asker_bind(asker, value_as_str(value_at(roles, i)), asker->domain))
			return;
}

static int principal_of(struct control *control, struct arena *arena,
                        const struct identity_name *name, struct asker *asker, struct err *err)
{
	char at[STORE_KEY_MAX];
	struct value *principal = NULL;
	asker->tenant = name->tenant;
	asker->principal = name->principal;
	catalog_key(at, KIND_PRINCIPAL, name->tenant, NULL, name->principal);
	int code = catalog_get(control->catalog, arena, at, &principal, NULL, err);
	if (code < 0)
		return code == E_NOT_FOUND ? refused(err) : code;
	if (value_get_bool(value_get(principal, "spec"), "disabled", false))
		return refused(err);
	fill(principal, asker);
	bindings_fill(control->bindings, arena, asker);
	return 0;
}

/* Who a stored key belongs to. */
static int owner(struct control *control, struct arena *arena, const struct value *key,
                 struct asker *asker, struct err *err)
{
	const struct identity_name name = { value_get_str(key, "tenant"),
	                                    value_get_str(key, "principal"), NULL };
	return name.tenant && name.principal ? principal_of(control, arena, &name, asker, err)
	                                     : refused(err);
}

/* A login's is PROVIDER:SUBJECT, which no Principal's can be. */
static int login_named(struct control *control, struct arena *arena,
                       const struct identity_name *name, struct asker *asker, struct err *err)
{
	const char *colon = strchr(name->principal, ':');
	struct value *proof = value_map(arena);
	value_set_str(proof, "tenant", name->tenant);
	value_set_str(proof, "idp", arena_strndup(arena, name->principal,
	                                          (size_t)(colon - name->principal)));
	value_set_str(proof, "subject", colon + 1);
	value_set(proof, "groups", name->groups ? value_copy(arena, name->groups)
	                                        : value_list(arena));
	TRY(value_check(proof, err));
	TRY(logins_asker(control->logins, arena, proof, asker, err));
	bindings_fill(control->bindings, arena, asker);
	return 0;
}

int identity_named(struct control *control, struct arena *arena, const struct identity_name *name,
                   struct asker *asker, struct err *err)
{
	if (strchr(name->principal, ':'))
		return login_named(control, arena, name, asker, err);
	return principal_of(control, arena, name, asker, err);
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

/* --- logins --- */

static int login_stands(struct control *control, struct arena *arena, const struct value *proof,
                        int64_t now_ms, struct asker *asker, struct err *err)
{
	int64_t expires_ms = value_get_int(proof, "expiresMs", 0);
	if (now_ms >= expires_ms)
		return refused(err);
	int code = logins_asker(control->logins, arena, proof, asker, err);
	if (code < 0)
		return code == E_NOT_FOUND ? refused(err) : code;
	asker->auth = AUTH_OIDC;
	asker->expires_ms = expires_ms;
	bindings_fill(control->bindings, arena, asker);
	return 0;
}

/* --- tokens --- */

/* Less than the owner may, as the claims say; never more. A role that a token confines to a domain
 * and that knows no domains is not given. */
static int narrow(const struct value *claims, struct asker *asker, struct err *err)
{
	const char *domain = value_get_str(claims, "domain");
	const struct value *scope = value_get(claims, "scope");
	size_t kept = 0;
	asker->scoped = scope != NULL;
	if (value_len(scope) > SCOPES_MAX)
		return refused(err);
	for (size_t i = 0; i < value_len(scope); i++) {
		const char *item = value_as_str(value_at(scope, i));
		asker->scopes[asker->scope_count++] = item ? item : "";
	}
	for (size_t i = 0; domain && i < asker->binding_count; i++) {
		struct binding binding = asker->bindings[i];
		if (binding.domain && strcmp(binding.domain, domain) != 0)
			continue;
		binding.domain = domain;
		asker->bindings[kept++] = binding;
	}
	if (domain) {
		asker->binding_count = kept;
		asker->domain = domain;
		asker->confined = true;
	}
	return 0;
}

static int token_stands(struct control *control, struct arena *arena, const struct value *claims,
                        int64_t now_ms, struct asker *asker, struct err *err)
{
	int64_t expires_ms = value_get_int(claims, "expiresMs", 0);
	const char *tenant = value_get_str(claims, "tenant");
	if (now_ms >= expires_ms)
		return refused(err);
	if (value_get_str(claims, "idp"))
		TRY(login_stands(control, arena, claims, now_ms, asker, err));
	else
		TRY(key_stands(control, arena, value_get_str(claims, "key"), now_ms, asker, err));
	if (!tenant || strcmp(tenant, asker->tenant) != 0)
		return refused(err);
	asker->auth = AUTH_TOKEN;
	asker->credential = value_get_str(claims, "jti");
	if (asker->expires_ms == 0 || expires_ms < asker->expires_ms)
		asker->expires_ms = expires_ms;
	return narrow(claims, asker, err);
}

/* --- any of them --- */

int identity_again(struct control *control, struct arena *arena, const struct value *proof,
                   int64_t now_ms, struct asker *ret_asker, struct err *err)
{
	struct asker asker = { .tenant = NULL };
	if (is(proof, "kind", "key"))
		TRY(key_stands(control, arena, value_get_str(proof, "id"), now_ms, &asker, err));
	else if (is(proof, "kind", "oidc"))
		TRY(login_stands(control, arena, proof, now_ms, &asker, err));
	else if (is(proof, "kind", "token"))
		TRY(token_stands(control, arena, proof, now_ms, &asker, err));
	else
		return refused(err);
	asker.proof = proof;
	*ret_asker = asker;
	return 0;
}

/* Whatever is wrong with a credential, the answer is the same. */
static int verify(struct control *control, struct arena *arena, const struct identity_ask *ask,
                  struct value **ret_proof, struct err *err)
{
	if (!ask->credential)
		return refused(err);
	int code = 0;
	/* The serving door's asks come one after the other: none may wait for an issuer. */
	const struct login_ask login = { ask->credential, ask->tenant, ask->now_ms,
		.may_wait = strcmp(ask->audience, "serving") != 0 };
	if (paseto_is(ask->credential))
		code = tokens_verify(control->tokens, arena, ask->credential, ask->audience,
		                     ask->now_ms, ret_proof, err);
	else if (jwt_is(ask->credential))
		code = logins_verify(control->logins, arena, &login, ret_proof, err);
	else
		code = verify_key(control, arena, ask, ret_proof, err);
	return code == E_UNAUTHENTICATED || code == E_UNAVAILABLE ? refused(err) : code;
}

int identity_check(struct control *control, struct arena *arena, const struct identity_ask *ask,
                   struct asker *ret_asker, struct err *err)
{
	struct value *proof = NULL;
	TRY(verify(control, arena, ask, &proof, err));
	return identity_again(control, arena, proof, ask->now_ms, ret_asker, err);
}
