/* access_grant.c - access grants: what one caller may read online, by the rules of api/grant.h. */
#include "common/defs.h"
#include "api/access_grant.h"

#include "api/signed.h"
#include "api/wire.h"

#include <string.h>

#define LABEL "freehold-access-grant-v1"

enum {
	ID_TEXT_MAX = 64, COLUMN_MAX = 128, FEATURES_MAX = 1024, TYPE_MAX = 32,
	LIFE_MS_MAX = 3600 * 1000, BODY_ARENA_MAX = 16 * 1024 * 1024
};

/* Only where there is one: a worker that knows none refuses the grant, and must. */
static struct value *mask_write(struct arena *arena, const void *member)
{
	const enum mask *mask = member;
	return *mask == MASK_NONE ? NULL : value_str(arena, mask_name(*mask));
}

static int mask_read(struct arena *arena, const struct value *value, void *ret_member,
                     struct err *err)
{
	const char *name = value_as_str(value);
	(void)arena;
	if (!name)
		return err_set(err, E_INVALID, "must be the name of a mask's action");
	return mask_by_name(name, ret_member, err);
}

static const struct wire_hook mask_hook = { mask_write, mask_read };

/* Left out where nothing is hidden: a worker of before reads such a grant. */
static struct value *hidden_write(struct arena *arena, const void *member)
{
	const bool *hidden = member;
	return *hidden ? value_bool(arena, true) : NULL;
}

static int hidden_read(struct arena *arena, const struct value *value, void *ret_member,
                       struct err *err)
{
	bool *hidden = ret_member;
	(void)arena;
	if (value_kind(value) != VALUE_BOOL)
		return err_set(err, E_INVALID, "must be true or false");
	*hidden = value_as_bool(value, true);
	return 0;
}

static const struct wire_hook hidden_hook = { hidden_write, hidden_read };

static const struct wire_member feature_members[] = {
	W_TEXT(struct access_feature, name, "name", 1, COLUMN_MAX),
	W_TEXT(struct access_feature, type, "type", 1, TYPE_MAX),
	W_HOOK(struct access_feature, mask, "mask", &mask_hook),
	W_HOOK(struct access_feature, hidden, "hidden", &hidden_hook),
	W_END
};
static const struct wire feature_wire = {
	"feature", sizeof(struct access_feature), true, feature_members
};

static const struct wire_member view_members[] = {
	W_NAME_OPT(struct access_view, tenant, "tenant"),
	W_NAME_OPT(struct access_view, account, "account"),
	W_NAME(struct access_view, domain, "domain"),
	W_NAME(struct access_view, name, "name"),
	W_TEXT(struct access_view, uid, "uid", 1, ID_TEXT_MAX),
	W_TEXT(struct access_view, join_key, "joinKey", 1, COLUMN_MAX),
	W_TEXT(struct access_view, key_type, "keyType", 1, 8),
	W_INT(struct access_view, ttl_ms, "ttlMs", 0, INT64_MAX / 1000),
	W_UINT32(struct access_view, key_version, "keyVersion", 0, UINT32_MAX),
	W_STRUCTS(struct access_view, features, feature_count, "features", 1, FEATURES_MAX,
	          &feature_wire),
	W_VALUE_OPT(struct access_view, filter, "filter", WIRE_LIST_OF, 1, ROWFILTER_NODES_MAX),
	W_END
};
static const struct wire view_wire = { "view", sizeof(struct access_view), true, view_members };

struct access_form {
	struct access_grant grant;
	const uint8_t *keys;         /* in a box: the views' keys, in order */
	size_t keys_len;
};

static const struct wire_member access_members[] = {
	W_TEXT(struct access_form, grant.id, "id", 1, ID_TEXT_MAX),
	W_NAME(struct access_form, grant.worker, "worker"),
	W_NAME(struct access_form, grant.tenant, "tenant"),
	W_TEXT(struct access_form, grant.principal, "principal", 1, 256),
	W_STRUCTS(struct access_form, grant.views, grant.view_count, "views", 1, GRANT_TABLES_MAX,
	          &view_wire),
	W_INT(struct access_form, grant.expires_ms, "expires", 1, INT64_MAX),
	W_BIN(struct access_form, keys, keys_len, "keys", BOX_OVERHEAD,
	      BOX_OVERHEAD + GRANT_TABLES_MAX * KEY_BYTES),
	W_END
};
static const struct wire access_wire = {
	"access grant", sizeof(struct access_form), true, access_members
};

static void add_column(struct arena *arena, struct value *schema, const char *name,
                       const char *type)
{
	struct value *column = value_map(arena);
	value_set_str(column, "name", name);
	value_set_str(column, "type", type);
	value_add(schema, column);
}

static int check_filter(const struct access_view *view, struct err *err)
{
	AUTO(arena) *arena = NULL;
	if (!view->filter)
		return 0;
	TRY(arena_new(BODY_ARENA_MAX, &arena, err));
	struct value *schema = value_list(arena);
	add_column(arena, schema, view->join_key, view->key_type);
	for (size_t i = 0; i < view->feature_count; i++)
		add_column(arena, schema, view->features[i].name, view->features[i].type);
	TRY(value_check(schema, err));
	int rc = rowfilter_check(view->filter, schema, err);
	return rc < 0 ? err_prefix(err, "access grant: the filter of \"%s\"", view->name) : 0;
}

static int check_feature(const struct access_view *view, const struct access_feature *feature,
                         struct err *err)
{
	if (!field_type_valid(feature->type))
		return err_set(err, E_INVALID, "access grant: a feature of \"%s\" has a type that "
		               "is not one of the column types", view->name);
	if (feature->mask == MASK_NONE)
		return 0;
	int rc = mask_check(feature->mask, feature->name, feature->type, false, err);
	return rc < 0 ? err_prefix(err, "access grant: \"%s\"", view->name) : 0;
}

static int check_view(const struct access_grant *grant, const struct access_view *view,
                      struct err *err)
{
	if (view->tenant && strcmp(view->tenant, grant->tenant) == 0)
		return err_set(err, E_INVALID, "access grant: \"%s\" is its own tenant's; its "
		               "tenant is left out", view->name);
	if (strcmp(view->key_type, "string") != 0 && strcmp(view->key_type, "int64") != 0)
		return err_set(err, E_INVALID, "access grant: keyType of \"%s\" must be string or "
		               "int64", view->name);
	for (size_t i = 0; i < view->feature_count; i++)
		TRY(check_feature(view, &view->features[i], err));
	return check_filter(view, err);
}

static int check_views(const struct access_grant *grant, struct err *err)
{
	for (size_t i = 0; i < grant->view_count; i++)
		TRY(check_view(grant, &grant->views[i], err));
	return 0;
}

static int unbox_keys(const struct grant_opener *opener, struct access_form *form,
                      struct err *err)
{
	AUTO(secret) *keys = NULL;
	TRY(keys_open(opener, form->keys, form->keys_len, form->grant.view_count, &keys, err));
	for (size_t i = 0; i < form->grant.view_count; i++) {
		/* The views were made by wire_read, in our arena. */
		struct access_view *view = (struct access_view *)(uintptr_t)&form->grant.views[i];
		memcpy(view->key, secret_bytes(keys) + i * KEY_BYTES, KEY_BYTES);
	}
	return 0;
}

static int box_keys(struct arena *arena, const uint8_t worker_box[BOX_PUBLIC_BYTES],
                    struct access_form *form, struct err *err)
{
	AUTO(secret) *keys = NULL;
	TRY(secret_new(form->grant.view_count * KEY_BYTES, &keys, err));
	for (size_t i = 0; i < form->grant.view_count; i++)
		memcpy(secret_data(keys) + i * KEY_BYTES, form->grant.views[i].key, KEY_BYTES);
	return keys_seal(arena, worker_box, keys, &form->keys, &form->keys_len, err);
}

int access_sign(const struct grant_signer *signer, const struct access_grant *grant,
                const uint8_t worker_box[BOX_PUBLIC_BYTES], struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct access_form form = { .grant = *grant }, check;
	struct value *body;
	TRY(arena_new(BODY_ARENA_MAX, &arena, err));
	TRY(box_keys(arena, worker_box, &form, err));
	TRY(wire_value(arena, &access_wire, &form, &body, err));
	TRY(wire_read(arena, &access_wire, body, &check, err));
	TRY(check_views(&check.grant, err));
	return signed_write(signer, LABEL, body, out, err);
}

int access_open(const struct grant_opener *opener, int64_t now_ms, struct arena *arena,
                const void *data, size_t len, struct access_grant **ret_grant, struct err *err)
{
	struct value *body;
	struct access_form *form = arena_alloc(arena, sizeof *form);
	if (!form)
		return err_set(err, E_NOMEM, "access grant: no memory for it");
	TRY(signed_read(arena, opener->control_key, LABEL, data, len, &body, err));
	TRY(wire_read(arena, &access_wire, body, form, err));
	TRY(signed_for(opener, form->grant.worker, form->grant.expires_ms, now_ms, err));
	if (form->grant.expires_ms - now_ms > LIFE_MS_MAX)
		return err_set(err, E_INVALID, "access grant: expires must be at most %d s away; "
		               "check both clocks", LIFE_MS_MAX / 1000);
	TRY(check_views(&form->grant, err));
	TRY(unbox_keys(opener, form, err));
	*ret_grant = &form->grant;
	return 0;
}

void access_wipe(struct access_grant *grant)
{
	for (size_t i = 0; grant && i < grant->view_count; i++) {
		struct access_view *view = (struct access_view *)(uintptr_t)&grant->views[i];
		secret_wipe(view->key, KEY_BYTES);
	}
}
