/* jointokens.c - see jointokens.h. Invariant: a token's text is nowhere but in the answer that made
 * it; what is stored is its keyed hash. */
#include "common/defs.h"
#include "control/jointokens.h"

#include <stdio.h>
#include <string.h>

enum { SECRET_BYTES = 32, SECRET_TEXT = 43, HEAD = 4, PRUNED_AT_ONCE = 32 };
#define PREFIX "r/jointoken/"

const char *jointoken_key(char out[STORE_KEY_MAX], const char *id)
{
	snprintf(out, STORE_KEY_MAX, PREFIX "%s", id);
	return out;
}

static void hash_of(const struct control *control, const char *text, uint8_t out[DIGEST_BYTES])
{
	uint8_t key[KEY_BYTES];
	key_derive(keyring_credential_key(control->keyring), "freehold-join-token-v1", key);
	digest_keyed(key, text, strlen(text), out);
	secret_wipe(key, sizeof key);
}

static int make_text(int64_t now_ms, char ret_id[ID_LEN + 1], char text[JOINTOKEN_TEXT_MAX],
                     struct err *err)
{
	uint8_t random[10], secret[SECRET_BYTES];
	AUTO_BUF encoded;
	buf_init(&encoded, SECRET_TEXT + 1);
	random_bytes(random, sizeof random);
	random_bytes(secret, sizeof secret);
	id_make(now_ms, random, ret_id);
	base64url_print(secret, sizeof secret, &encoded);
	secret_wipe(secret, sizeof secret);
	TRY(buf_check(&encoded, err));
	snprintf(text, JOINTOKEN_TEXT_MAX, "fhj_%s_%.*s", ret_id, (int)encoded.len,
	         (char *)encoded.data);
	secret_wipe(encoded.data, encoded.len);
	return 0;
}

/* --- making --- */

struct pruning { struct change *change; int64_t now_ms; int live, pruned; };

/* What has expired goes, used or not: some with every token that is made. */
static int prune_one(void *context, const char *key, const struct value *token, int64_t revision,
                     struct err *err)
{
	struct pruning *pruning = context;
	(void)revision;
	bool expired = value_get_int(token, "expiresAt", 0) <= pruning->now_ms;
	pruning->live += !expired;
	if (!expired || pruning->pruned == PRUNED_AT_ONCE)
		return 0;
	pruning->pruned++;
	return change_delete(pruning->change, key, -1, err);
}

static int prune(struct control *control, struct change *change, int64_t now_ms, struct err *err)
{
	struct pruning pruning = { .change = change, .now_ms = now_ms };
	bool more = false;
	TRY(catalog_list(control->catalog, change_arena(change), PREFIX, NULL, JOINTOKENS_MAX,
	                 prune_one, &pruning, &more, err));
	if (pruning.live < JOINTOKENS_MAX && !more)
		return 0;
	return err_set(err, E_CONFLICT, "there are %d join tokens, which is the most; revoke some, "
	               "or wait for them to expire", JOINTOKENS_MAX);
}

int jointokens_add(struct control *control, const struct jointoken_made *made,
                   struct change *change, char ret_id[ID_LEN + 1],
                   char ret_text[JOINTOKEN_TEXT_MAX], struct err *err)
{
	uint8_t hash[DIGEST_BYTES];
	char key[STORE_KEY_MAX];
	TRY(prune(control, change, made->now_ms, err));
	TRY(make_text(made->now_ms, ret_id, ret_text, err));
	hash_of(control, ret_text, hash);
	struct value *value = value_map(change_arena(change));
	value_set_bin(value, "hash", hash, sizeof hash);
	value_set_str(value, "name", made->name);
	value_set_str(value, "pool", made->pool);
	value_set_str(value, "addresses", made->addresses);
	value_set_str(value, "createdBy", made->by);
	value_set_int(value, "createdAt", made->now_ms);
	value_set_int(value, "expiresAt", made->now_ms + made->ttl_ms);
	TRY(value_check(value, err));
	return change_put(change, jointoken_key(key, ret_id), value, 0, err);
}

/* --- using --- */

static bool id_of(const char *text, char id[ID_LEN + 1])
{
	if (strlen(text) != JOINTOKEN_TEXT_MAX - 1 || strncmp(text, "fhj_", HEAD) != 0 ||
	    text[HEAD + ID_LEN] != '_')
		return false;
	memcpy(id, text + HEAD, ID_LEN);
	id[ID_LEN] = 0;
	return id_valid(id);
}

static bool fits(const struct value *token, const char *member, const char *said)
{
	const char *wanted = value_get_str(token, member);
	return !wanted || (said && strcmp(wanted, said) == 0);
}

static bool good(const struct control *control, const struct value *token,
                 const struct jointoken_use *use)
{
	uint8_t hash[DIGEST_BYTES];
	size_t len = 0;
	const void *stored = value_get_bin(token, "hash", &len);
	hash_of(control, use->text, hash);
	return stored && len == sizeof hash && bytes_equal(stored, hash, len) &&
		value_get_int(token, "usedAt", 0) == 0 &&
		value_get_int(token, "expiresAt", 0) > use->now_ms &&
		fits(token, "name", use->name) &&
		fits(token, "pool", use->pool ? use->pool : "default");
}

int jointokens_check(struct control *control, struct arena *arena, const struct jointoken_use *use,
                     char ret_key[STORE_KEY_MAX], struct value **ret_token, int64_t *ret_revision,
                     struct err *err)
{
	char id[ID_LEN + 1];
	struct value *token = NULL;
	int64_t revision = 0;
	int rc = id_of(use->text, id)
		? catalog_get(control->catalog, arena, jointoken_key(ret_key, id), &token,
		              &revision, err)
		: E_NOT_FOUND;
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	if (!token || !good(control, token, use))
		return err_set(err, E_UNAUTHENTICATED, "this token joins no worker: it is unknown, "
		               "used, expired, or for another name or pool; the operator makes "
		               "another with freehold workers token");
	*ret_token = token;
	*ret_revision = revision;
	return 0;
}

int jointokens_use(const char *key, const struct value *token, int64_t revision,
                   const struct jointoken_use *use, struct change *change, struct err *err)
{
	struct value *used = value_copy(change_arena(change), token);
	value_set_int(used, "usedAt", use->now_ms);
	value_set_str(used, "usedBy", use->name);
	TRY(value_check(used, err));
	return change_put(change, key, used, revision, err);
}
