/* tokens.c - see tokens.h.
 * Invariants: a token is accepted only under a key of the record as it is known here; no claim is
 * read before the signature holds; a token made from a token ends no later and may no more. */
#include "common/defs.h"
#include "control/tokens.h"

#include "common/clock.h"
#include "common/json.h"
#include "common/pack.h"
#include "common/text.h"
#include "control/identity.h"
#include "tenant/paseto.h"
#include "tenant/verified.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char record_key[] = "r/tokenkey/current";
static const char issuer[] = "freehold";

enum { ARENA_MAX = 64 * 1024, KID_MAX = 32 };

struct token_key {
	uint32_t version;
	int64_t until_ms;            /* 0: it signs */
	char kid[KID_MAX];
	uint8_t public_key[SIGN_PUBLIC_BYTES];
};

struct tokens {
	const struct keyring *keyring;
	struct catalog *catalog;
	struct verified *verified;
	atomic_bool stale;
	pthread_mutex_t mutex;       /* guards all below */
	struct token_key keys[TOKEN_KEYS_MOST];
	size_t count;
	uint64_t stamp;              /* of these keys */
};

int tokens_new(const struct keyring *keyring, struct catalog *catalog, struct tokens **ret_tokens,
               struct err *err)
{
	AUTO(tokens) *tokens = calloc(1, sizeof *tokens);
	if (!tokens)
		return err_set(err, E_NOMEM, "no memory for tokens");
	pthread_mutex_init(&tokens->mutex, NULL);
	tokens->keyring = keyring;
	tokens->catalog = catalog;
	atomic_store(&tokens->stale, true);
	TRY(verified_new(&tokens->verified, err));
	*ret_tokens = MOVE(tokens);
	return 0;
}

void tokens_free(struct tokens *tokens)
{
	if (!tokens)
		return;
	verified_free(tokens->verified);
	pthread_mutex_destroy(&tokens->mutex);
	free(tokens);
}

void tokens_changed(struct tokens *tokens)
{
	atomic_store(&tokens->stale, true);
}

/* --- keys --- */

/* A kid names the version for people and the key for certain. */
static void make_kid(uint32_t version, const uint8_t public_key[SIGN_PUBLIC_BYTES],
                     char out[KID_MAX])
{
	uint8_t sum[DIGEST_BYTES];
	char hex[2 * 8 + 1];
	digest(public_key, SIGN_PUBLIC_BYTES, sum);
	hex_print(sum, 8, hex);
	snprintf(out, KID_MAX, "%u-%s", (unsigned)version, hex);
}

static void load_key(const struct tokens *tokens, int64_t version, int64_t until_ms,
                     struct token_key *key)
{
	uint8_t secret_key[SIGN_SECRET_BYTES];
	*key = (struct token_key){ .version = (uint32_t)version, .until_ms = until_ms };
	keyring_token_pair(tokens->keyring, key->version, key->public_key, secret_key);
	secret_wipe(secret_key, sizeof secret_key);
	make_kid(key->version, key->public_key, key->kid);
}

static int read_record(struct tokens *tokens, struct arena *arena, struct value **ret_record,
                       int64_t *ret_revision, struct err *err)
{
	*ret_record = NULL;
	*ret_revision = 0;
	int code = catalog_get(tokens->catalog, arena, record_key, ret_record, ret_revision, err);
	return code == E_NOT_FOUND ? 0 : code;
}

static void take_keys(struct tokens *tokens, const struct value *record)
{
	const struct value *old = value_get(record, "old");
	struct token_key keys[TOKEN_KEYS_MOST];
	size_t count = 0;
	load_key(tokens, value_get_int(record, "version", 1), 0, &keys[count++]);
	for (size_t i = 0; i < value_len(old) && count < TOKEN_KEYS_MOST; i++)
		load_key(tokens, value_get_int(value_at(old, i), "version", 0),
		         value_get_int(value_at(old, i), "until", 1), &keys[count++]);
	pthread_mutex_lock(&tokens->mutex);
	memcpy(tokens->keys, keys, sizeof keys);
	tokens->count = count;
	tokens->stamp++;
	pthread_mutex_unlock(&tokens->mutex);
}

/* Reads the record again when it has changed; before that, so that no change is overlooked. */
static int look(struct tokens *tokens, struct err *err)
{
	struct value *record = NULL;
	int64_t revision = 0;
	if (!atomic_exchange(&tokens->stale, false))
		return 0;
	AUTO(arena) *arena = NULL;
	int code = arena_new(ARENA_MAX, &arena, err);
	if (code == 0)
		code = read_record(tokens, arena, &record, &revision, err);
	if (code < 0) {
		atomic_store(&tokens->stale, true);
		return code;
	}
	take_keys(tokens, record);
	return 0;
}

static uint64_t stamp_now(struct tokens *tokens)
{
	pthread_mutex_lock(&tokens->mutex);
	uint64_t stamp = tokens->stamp;
	pthread_mutex_unlock(&tokens->mutex);
	return stamp;
}

static bool find_key(struct tokens *tokens, const char *kid, int64_t now_ms,
                     struct token_key *ret_key)
{
	bool found = false;
	pthread_mutex_lock(&tokens->mutex);
	for (size_t i = 0; kid && i < tokens->count && !found; i++) {
		const struct token_key *key = &tokens->keys[i];
		found = strcmp(key->kid, kid) == 0 &&
			(key->until_ms == 0 || now_ms < key->until_ms);
		if (found)
			*ret_key = *key;
	}
	pthread_mutex_unlock(&tokens->mutex);
	return found;
}

/* --- verifying --- */

static int refused(struct err *err)
{
	return err_set(err, E_UNAUTHENTICATED, "the token is not valid here");
}

static bool time_of(const struct value *claims, const char *name, int64_t *ret_ms)
{
	const char *text = value_get_str(claims, name);
	return text && time_parse(text, ret_ms, NULL) == 0;
}

static bool is_ours(const struct value *claims, int64_t now_ms, int64_t *ret_expires_ms)
{
	int64_t issued = 0, begins = 0;
	const char *iss = value_get_str(claims, "iss");
	return iss && strcmp(iss, issuer) == 0 && time_of(claims, "iat", &issued) &&
		time_of(claims, "nbf", &begins) && time_of(claims, "exp", ret_expires_ms) &&
		begins <= now_ms + TOKEN_SKEW_MS && now_ms < *ret_expires_ms &&
		*ret_expires_ms - issued <= TOKEN_LIFETIME_MOST_MS;
}

static int check_all(struct tokens *tokens, struct arena *arena, const char *text, int64_t now_ms,
                     struct value **ret_claims, struct err *err)
{
	struct paseto token;
	struct token_key key;
	struct value *footer = NULL, *claims = NULL;
	int64_t expires_ms = 0;
	TRY(paseto_read(arena, text, &token, err));
	if (json_parse(arena, (const char *)token.footer, token.footer_len, &footer, NULL) < 0 ||
	    !find_key(tokens, value_get_str(footer, "kid"), now_ms, &key) ||
	    !paseto_verify(&token, "", key.public_key) ||
	    json_parse(arena, (const char *)token.message, token.message_len, &claims, NULL) < 0 ||
	    value_kind(claims) != VALUE_MAP || !is_ours(claims, now_ms, &expires_ms))
		return refused(err);
	value_set_str(claims, "kind", "token");
	value_set_int(claims, "expiresMs", expires_ms);
	TRY(value_check(claims, err));
	*ret_claims = claims;
	return 0;
}

/* Verified before, and kept. */
static bool recall(struct tokens *tokens, struct arena *arena, const uint8_t name[DIGEST_BYTES],
                   uint64_t stamp, int64_t now_ms, struct value **ret_claims)
{
	AUTO_BUF packed;
	buf_init(&packed, VERIFIED_BYTES_MAX);
	return verified_get(tokens->verified, name, stamp, now_ms, &packed) &&
		pack_read(arena, packed.data, packed.len, ret_claims, NULL) == 0;
}

static void keep(struct tokens *tokens, const uint8_t name[DIGEST_BYTES], uint64_t stamp,
                 const struct value *claims)
{
	AUTO_BUF packed;
	buf_init(&packed, VERIFIED_BYTES_MAX);
	if (pack_write(claims, &packed, NULL) == 0 && buf_check(&packed, NULL) == 0)
		verified_put(tokens->verified, name, stamp, value_get_int(claims, "expiresMs", 0),
		             packed.data, packed.len);
}

/* One of the words of a text. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = text; at && *at; at += strspn(at, " ")) {
		size_t part = strcspn(at, " ");
		if (part == len && strncmp(at, word, len) == 0)
			return true;
		at += part;
	}
	return false;
}

int tokens_verify(struct tokens *tokens, struct arena *arena, const char *text,
                  const char *audience, int64_t now_ms, struct value **ret_proof, struct err *err)
{
	uint8_t name[DIGEST_BYTES];
	struct value *claims = NULL;
	TRY(look(tokens, err));
	uint64_t stamp = stamp_now(tokens);
	if (strnlen(text, PASETO_TEXT_MAX + 1) > PASETO_TEXT_MAX)
		return refused(err);
	verified_name(tokens->verified, text, name);
	if (!recall(tokens, arena, name, stamp, now_ms, &claims)) {
		TRY(check_all(tokens, arena, text, now_ms, &claims, err));
		keep(tokens, name, stamp, claims);
	}
	if (!has_word(value_get_str(claims, "aud"), audience))
		return refused(err);
	*ret_proof = claims;
	return 0;
}

/* --- making --- */

static bool has_item(const struct value *list, const char *text)
{
	for (size_t i = 0; i < value_len(list); i++)
		if (value_as_str(value_at(list, i)) &&
		    strcmp(value_as_str(value_at(list, i)), text) == 0)
			return true;
	return false;
}

static int make_audience(struct arena *arena, const struct token_ask *ask, struct value *claims,
                         struct err *err)
{
	static const char *const doors[] = { "control", "serving" };
	const char *own = value_get_str(ask->asker->proof, "aud"), *text = "";
	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		bool may = !own || has_word(own, doors[i]);
		bool wanted = ask->audience ? has_item(ask->audience, doors[i]) : may;
		if (wanted && !may)
			return err_set(err, E_DENIED, "audience: the token that asks is not for "
			               "%s itself; ask with the API key", doors[i]);
		if (wanted)
			text = arena_printf(arena, "%s%s%s", text, *text ? " " : "", doors[i]);
	}
	value_set_str(claims, "aud", text);
	return 0;
}

static bool asker_covers(const struct asker *asker, const char *scope)
{
	for (size_t i = 0; asker->scoped && i < asker->scope_count; i++)
		if (scope_covers(asker->scopes[i], scope))
			return true;
	return !asker->scoped;
}

static int add_scope(const struct token_ask *ask, struct value *list, const char *scope,
                     struct err *err)
{
	if (!scope || !scope_known(scope))
		return err_set(err, E_INVALID, "scope: %.64s is neither an action (dataset:read) "
		               "nor all of a kind (dataset:*)", scope ? scope : "an item");
	if (!asker_covers(ask->asker, scope))
		return err_set(err, E_DENIED, "scope: %.64s is beyond the token that asks; a "
		               "token never permits more than what it was made from", scope);
	value_add_str(list, scope);
	return 0;
}

static int make_scope(struct arena *arena, const struct token_ask *ask, struct value *claims,
                      struct err *err)
{
	const struct asker *asker = ask->asker;
	struct value *list = value_list(arena);
	if (!ask->scope && !asker->scoped)
		return 0;
	size_t count = ask->scope ? value_len(ask->scope) : asker->scope_count;
	if (count > SCOPES_MAX)
		return err_set(err, E_INVALID, "scope: has %zu items, at most %d are allowed",
		               count, SCOPES_MAX);
	for (size_t i = 0; i < count; i++)
		TRY(add_scope(ask, list, ask->scope ? value_as_str(value_at(ask->scope, i))
		                                    : asker->scopes[i], err));
	value_set(claims, "scope", list);
	return 0;
}

static int make_domain(const struct token_ask *ask, struct value *claims, struct err *err)
{
	const char *own = value_get_str(ask->asker->proof, "domain");
	if (own && ask->domain && strcmp(own, ask->domain) != 0)
		return err_set(err, E_DENIED, "domain: the token that asks is confined to the "
		               "domain %s", own);
	value_set_str(claims, "domain", own ? own : ask->domain);
	return 0;
}

static int make_times(const struct token_ask *ask, struct value *claims, int64_t *ret_expires_ms,
                      struct err *err)
{
	char text[TIME_TEXT_MAX];
	int64_t lifetime_ms = ask->lifetime_ms ? ask->lifetime_ms : TOKEN_LIFETIME_MS;
	int64_t issued_ms = ask->now_ms - ask->now_ms % 1000;
	int64_t expires_ms = issued_ms + lifetime_ms, own_ms = ask->asker->expires_ms;
	if (lifetime_ms < 1000 || lifetime_ms > TOKEN_LIFETIME_MOST_MS)
		return err_set(err, E_INVALID, "lifetime: is from 1s to 1h; a token that is to "
		               "last longer is asked for again, or is an API key");
	if (own_ms != 0 && own_ms < expires_ms)
		expires_ms = own_ms - own_ms % 1000;
	value_set_str(claims, "iat", time_print_s(issued_ms, text));
	value_set_str(claims, "nbf", time_print_s(issued_ms, text));
	value_set_str(claims, "exp", time_print_s(expires_ms, text));
	*ret_expires_ms = expires_ms;
	return 0;
}

/* What it rests on, and dies with. */
static void make_source(const struct asker *asker, struct value *claims)
{
	const struct value *proof = asker->proof;
	const char *key = value_get_str(proof, "key");
	if (asker->auth == AUTH_KEY)
		key = asker->credential;
	value_set_str(claims, "key", key);
	if (key)
		return;
	value_set_str(claims, "idp", value_get_str(proof, "idp"));
	value_set_str(claims, "subject", value_get_str(proof, "subject"));
	if (value_get(proof, "groups"))
		value_set(claims, "groups", value_get_mut((struct value *)(uintptr_t)proof,
		                                          "groups"));
}

static int make_claims(struct arena *arena, const struct token_ask *ask,
                       struct token_made *made, struct err *err)
{
	char id[ID_LEN + 1];
	uint8_t random[10];
	struct value *claims = value_map(arena);
	const struct asker *asker = ask->asker;
	random_bytes(random, sizeof random);
	id_make(ask->now_ms, random, id);
	value_set_str(claims, "iss", issuer);
	TRY(make_audience(arena, ask, claims, err));
	value_set_str(claims, "sub", arena_printf(arena, "%s/%s", asker->tenant,
	                                          asker->principal));
	value_set_str(claims, "tenant", asker->tenant);
	TRY(make_domain(ask, claims, err));
	TRY(make_scope(arena, ask, claims, err));
	TRY(make_times(ask, claims, &made->expires_ms, err));
	value_set_str(claims, "jti", id);
	make_source(asker, claims);
	TRY(value_check(claims, err));
	made->claims = claims;
	made->audience = value_get_str(claims, "aud");
	return 0;
}

static void signing_key(struct tokens *tokens, struct token_key *ret_key)
{
	pthread_mutex_lock(&tokens->mutex);
	*ret_key = tokens->keys[0];
	pthread_mutex_unlock(&tokens->mutex);
}

static int sign(struct tokens *tokens, const struct value *claims, struct buf *out,
                struct err *err)
{
	struct token_key key;
	char footer[PASETO_FOOTER_MAX];
	uint8_t public_key[SIGN_PUBLIC_BYTES];
	AUTO_BUF message;
	AUTO(secret) *secret_key = NULL;
	buf_init(&message, PASETO_TEXT_MAX);
	json_print(claims, &message);
	TRY(buf_check(&message, err));
	TRY(secret_new(SIGN_SECRET_BYTES, &secret_key, err));
	signing_key(tokens, &key);
	keyring_token_pair(tokens->keyring, key.version, public_key, secret_data(secret_key));
	snprintf(footer, sizeof footer, "{\"kid\":\"%s\"}", key.kid);
	return paseto_write(secret_bytes(secret_key), message.data, message.len, footer, "", out,
	                    err);
}

int tokens_make(struct tokens *tokens, struct arena *arena, const struct token_ask *ask,
                struct token_made *ret_made, struct err *err)
{
	struct token_made made = { .text = NULL };
	AUTO_BUF text;
	buf_init(&text, PASETO_TEXT_MAX);
	TRY(look(tokens, err));
	TRY(make_claims(arena, ask, &made, err));
	int code = sign(tokens, made.claims, &text, err);
	if (code == E_TOO_LARGE)
		return err_set(err, E_INVALID, "the token is over %d bytes; ask for fewer scopes, "
		               "or be of fewer groups", PASETO_TEXT_MAX);
	TRY(code);
	made.text = arena_strndup(arena, (char *)text.data, text.len);
	if (!made.text)
		return err_set(err, E_NOMEM, "no memory for a token");
	*ret_made = made;
	return 0;
}

/* --- the keys themselves --- */

static struct value *show_key(struct arena *arena, const struct token_key *key)
{
	AUTO_BUF text;
	char until[TIME_TEXT_MAX];
	struct value *shown = value_map(arena);
	buf_init(&text, 128);
	base64url_print(key->public_key, SIGN_PUBLIC_BYTES, &text);
	if (buf_check(&text, NULL) < 0)
		return NULL;
	value_set_str(shown, "kid", key->kid);
	value_set_str(shown, "version", "v4");
	value_set_str(shown, "purpose", "public");
	value_set_str(shown, "publicKey", (char *)text.data);
	value_set_bool(shown, "current", key->until_ms == 0);
	value_set_str(shown, "until", key->until_ms ? time_print_s(key->until_ms, until) : NULL);
	return shown;
}

int tokens_keys(struct tokens *tokens, struct arena *arena, int64_t now_ms,
                struct value **ret_list, struct err *err)
{
	struct token_key keys[TOKEN_KEYS_MOST];
	struct value *list = value_list(arena);
	TRY(look(tokens, err));
	pthread_mutex_lock(&tokens->mutex);
	size_t count = tokens->count;
	memcpy(keys, tokens->keys, sizeof keys);
	pthread_mutex_unlock(&tokens->mutex);
	for (size_t i = 0; i < count; i++)
		if (keys[i].until_ms == 0 || now_ms < keys[i].until_ms)
			value_add(list, show_key(arena, &keys[i]));
	TRY(value_check(list, err));
	*ret_list = list;
	return 0;
}

static void add_old(struct arena *arena, struct value *list, int64_t version, int64_t until_ms)
{
	struct value *old = value_map(arena);
	value_set_int(old, "version", version);
	value_set_int(old, "until", until_ms);
	value_add(list, old);
}

int tokens_rotate(struct tokens *tokens, struct arena *arena, bool drop, int64_t now_ms,
                  struct change *change, struct err *err)
{
	struct value *before = NULL, *after = value_map(arena), *old = value_list(arena);
	int64_t revision = 0;
	TRY(read_record(tokens, arena, &before, &revision, err));
	int64_t version = value_get_int(before, "version", 1);
	const struct value *had = value_get(before, "old");
	if (!drop)
		add_old(arena, old, version, now_ms + TOKEN_LIFETIME_MOST_MS + TOKEN_SKEW_MS);
	for (size_t i = 0; !drop && i < value_len(had); i++) {
		int64_t until_ms = value_get_int(value_at(had, i), "until", 0);
		if (until_ms > now_ms)
			add_old(arena, old, value_get_int(value_at(had, i), "version", 0),
			        until_ms);
	}
	if (value_len(old) >= TOKEN_KEYS_MOST)
		return err_set(err, E_CONFLICT, "%zu older keys still have tokens out; wait an "
		               "hour, or end those tokens with \"drop\": true", value_len(old));
	value_set_int(after, "version", version + 1);
	value_set_int(after, "at", now_ms);
	value_set(after, "old", old);
	TRY(value_check(after, err));
	return change_put(change, record_key, after, revision, err);
}
