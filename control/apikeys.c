/* apikeys.c - API keys as resources. Keys are found by id, which is what a credential names; those
 * of one principal are looked for among all, which only administration does. */
#include "common/defs.h"
#include "control/apikeys.h"

#include "control/identity.h"
#include "control/keyuse.h"
#include "tenant/apikey.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 256, PAGE_ARENA = 4 * 1024 * 1024 };
_Static_assert((int)APIKEY_SHOWN_MAX >= (int)APIKEY_TEXT_MAX, "a key's text fits");

static const char prefix[] = "r/apikey/";

struct look {
	const char *tenant, *principal;
	apikeys_visit_fn *visit;
	void *context;
	char last[STORE_KEY_MAX];
};

static bool is(const struct value *key, const char *name, const char *wanted)
{
	const char *text = value_get_str(key, name);
	return text && strcmp(text, wanted) == 0;
}

static int look_at(void *context, const char *at, const struct value *key, int64_t revision,
                   struct err *err)
{
	struct look *look = context;
	snprintf(look->last, sizeof look->last, "%s", at);
	if (!is(key, "tenant", look->tenant) || !is(key, "principal", look->principal))
		return 0;
	return look->visit(look->context, at + strlen(prefix), key, revision, err);
}

int apikeys_visit(struct control *control, const char *tenant, const char *principal,
                  apikeys_visit_fn *visit, void *context, struct err *err)
{
	struct look look = { tenant, principal, visit, context, "" };
	AUTO(arena) *arena = NULL;
	TRY(arena_new(PAGE_ARENA, &arena, err));
	for (bool more = true; more; arena_reset(arena)) {
		char after[STORE_KEY_MAX];
		snprintf(after, sizeof after, "%s", look.last);
		TRY(catalog_list(control->catalog, arena, prefix, after[0] ? after : NULL, PAGE,
		                 look_at, &look, &more, err));
	}
	return 0;
}

int apikeys_delete(struct control *control, struct change *change, const char *id,
                   int64_t revision, struct err *err)
{
	char at[STORE_KEY_MAX];
	TRY(change_delete(change, identity_key(at, id), revision, err));
	if (!catalog_has(control->catalog, keyuse_key(at, id)))
		return 0;
	return change_delete(change, at, -1, err);
}

struct doomed { struct control *control; struct change *change; };

static int delete_one(void *context, const char *id, const struct value *key, int64_t revision,
                      struct err *err)
{
	struct doomed *doomed = context;
	(void)key;
	(void)revision;
	return apikeys_delete(doomed->control, doomed->change, id, -1, err);
}

int apikeys_delete_all(struct control *control, const char *tenant, const char *principal,
                       struct change *change, struct err *err)
{
	struct doomed doomed = { control, change };
	return apikeys_visit(control, tenant, principal, delete_one, &doomed, err);
}

/* A key whose text is there already, as bootstrap finds it in its file. */
static int from_text(const uint8_t *credential_key, const char *text, struct apikey *ret_key,
                     struct err *err)
{
	TRY(apikey_id(text, ret_key->id, err));
	digest_keyed(credential_key, text, strlen(text), ret_key->hash);
	return 0;
}

int apikeys_add(struct control *control, const struct apikey_made *made, struct change *change,
                char ret_id[ID_LEN + 1], char ret_text[APIKEY_SHOWN_MAX], struct err *err)
{
	struct apikey key;
	char text[APIKEY_SHOWN_MAX], at[STORE_KEY_MAX];
	const uint8_t *credential_key = keyring_credential_key(control->keyring);
	snprintf(text, sizeof text, "%s", made->text ? made->text : "");
	if (made->text)
		TRY(from_text(credential_key, text, &key, err));
	else
		apikey_make(credential_key, made->now_ms, &key, text);
	struct value *value = value_map(change_arena(change));
	value_set_str(value, "tenant", made->tenant);
	value_set_str(value, "principal", made->principal);
	value_set_bin(value, "hash", key.hash, sizeof key.hash);
	value_set_int(value, "createdAt", made->now_ms);
	if (made->lifetime_ms)
		value_set_int(value, "expiresAt", made->now_ms + made->lifetime_ms);
	TRY(value_check(value, err));
	TRY(change_put(change, identity_key(at, key.id), value, 0, err));
	memcpy(ret_id, key.id, sizeof key.id);
	memcpy(ret_text, text, sizeof text);
	secret_wipe(text, sizeof text);
	return 0;
}
