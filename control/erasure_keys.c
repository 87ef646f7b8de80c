/* erasure_keys.c - the keys of a tenant that is erased, told by their fingerprints and destroyed;
 * and all that the store holds in its name. A key of the store is the tenant's when it lies at
 * r/KIND/TENANT/..., or says in its value whose it is; what is the platform's about it is not
 * (r/tenant, r/erasing, r/erasure, which go last or stay). */
#include "common/defs.h"
#include "control/erasure_impl.h"

#include "api/certificate.h"
#include "control/keys.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 200, BATCH_MAX = 100, PAGE_ARENA = 64 * 1024 * 1024, DEPTH_MAX = 8 };

/* --- whose --- */

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_platforms(const char *key)
{
	return begins(key, "r/tenant/") || begins(key, "r/erasing/") || begins(key, "r/erasure/");
}

/* "r/KIND/TENANT/..." */
static bool lies_under(const char *key, const char *tenant)
{
	const char *kind = strchr(key, '/');
	const char *at = kind ? strchr(kind + 1, '/') : NULL;
	size_t len = strlen(tenant);
	return at && strncmp(at + 1, tenant, len) == 0 && at[1 + len] == '/';
}

/* "r/KIND/NAME" of a value that names its tenant. */
static bool says_so(const char *key, const struct value *value, const char *tenant)
{
	const char *kind = strchr(key, '/');
	const char *at = kind ? strchr(kind + 1, '/') : NULL;
	const char *whose = value_get_str(value, "tenant");
	return at && !strchr(at + 1, '/') && whose && strcmp(whose, tenant) == 0;
}

static bool is_its(const char *key, const struct value *value, const char *tenant)
{
	return !is_platforms(key) && (lies_under(key, tenant) || says_so(key, value, tenant));
}

/* --- every key of the catalog --- */

struct walk {
	struct erasing *erasing;
	struct arena *arena;         /* of one page */
	char last[STORE_KEY_MAX];
	catalog_visit_fn *visit;     /* of what is the tenant's */
	void *context;
};

static int see(void *context, const char *key, const struct value *value, int64_t revision,
               struct err *err)
{
	struct walk *walk = context;
	snprintf(walk->last, sizeof walk->last, "%s", key);
	if (!is_its(key, value, walk->erasing->tenant))
		return 0;
	return walk->visit(walk->context, key, value, revision, err);
}

static int walk_all(struct erasing *erasing, catalog_visit_fn *visit, void *context,
                    struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct walk walk = { .erasing = erasing, .visit = visit, .context = context };
	char after[STORE_KEY_MAX];
	TRY(arena_new(PAGE_ARENA, &arena, err));
	for (bool more = true; more; arena_reset(arena)) {
		memcpy(after, walk.last, sizeof after);
		TRY(catalog_list(erasing->control->catalog, arena, "r/", after[0] ? after : NULL,
		                 PAGE, see, &walk, &more, err));
	}
	return 0;
}

/* --- keys --- */

struct fingerprints {
	struct erasing *erasing;
	struct merkle_range tree;
	struct value *listed;
};

static int add_key(struct fingerprints *all, const char *of, const char *uid, int64_t version,
                   const struct value *box, struct err *err)
{
	char fingerprint[FINGERPRINT_TEXT], number[16];
	uint8_t leaf[MERKLE_BYTES];
	size_t len = 0;
	const void *bytes = value_as_bin(box, &len);
	certificate_fingerprint(bytes, len, fingerprint);
	certificate_leaf(fingerprint, leaf);
	TRY(merkle_append(&all->tree, leaf, err));
	if (all->tree.size > CERTIFICATE_KEYS_LISTED)
		return 0;
	struct value *map = value_map(all->erasing->arena);
	value_set_str(map, "of", of);
	value_set_str(map, "uid", uid);
	value_set_int(map, "version", version);
	value_set_str(map, "fingerprint", fingerprint);
	snprintf(number, sizeof number, "%06d", (int)all->tree.size);
	value_set(all->listed, number, map);
	return 0;
}

/* A wrapped key, wherever it is in a value: of one version or of several. */
static int add_boxes(struct fingerprints *all, const char *of, const char *uid,
                     const struct value *value, int depth, struct err *err)
{
	int64_t version = value_get_int(value, "version", 0);
	bool holds = value_kind(value) == VALUE_MAP || value_kind(value) == VALUE_LIST;
	for (size_t i = 0; holds && depth < DEPTH_MAX && i < value_len(value); i++) {
		const struct value *part = value_kind(value) == VALUE_MAP
			? value_member(value, i, NULL) : value_at(value, i);
		if (value_kind(part) == VALUE_BIN && value_len(part) == WRAPPED_KEY_BYTES)
			TRY(add_key(all, of, uid, version, part, err));
		else
			TRY(add_boxes(all, of, uid, part, depth + 1, err));
	}
	return 0;
}

static int see_key(void *context, const char *key, const struct value *value, int64_t revision,
                   struct err *err)
{
	struct fingerprints *all = context;
	const char *uid = value_get_str(value_get(value, "metadata"), "uid");
	bool tenants = begins(key, "r/key/");
	(void)revision;
	return add_boxes(all, tenants ? "tenant" : key, uid,
	                 tenants ? value : value_get(value, "key"), 0, err);
}

int erasure_fingerprints(struct erasing *erasing, struct value **ret_keys, struct err *err)
{
	struct fingerprints all = { .erasing = erasing, .listed = value_map(erasing->arena) };
	uint8_t root[MERKLE_BYTES];
	char text[FINGERPRINT_TEXT];
	struct value *keys = value_map(erasing->arena);
	TRY(walk_all(erasing, see_key, &all, err));
	merkle_root(&all.tree, root);
	hex_print(root, sizeof root, text);
	value_set_int(keys, "count", (int64_t)all.tree.size);
	value_set_str(keys, "root", text);
	value_set(keys, "listed", all.listed);
	*ret_keys = keys;
	return value_check(keys, err);
}

int erasure_keys(struct erasing *erasing, struct err *err)
{
	AUTO(change) *change = NULL;
	char key[STORE_KEY_MAX];
	struct value *keys = NULL, *counts = value_map(erasing->arena);
	TRY(erasure_fingerprints(erasing, &keys, err));
	TRY(change_new(&change, err));
	if (catalog_has(erasing->control->catalog, keys_tenant_key(key, erasing->tenant)))
		TRY(change_delete(change, key, -1, err));
	value_set(erasing->record, "keys", keys);
	value_set_int(counts, "keys", value_get_int(keys, "count", 0));
	TRY(erasure_advance(erasing, change, "resources", counts, err));
	keyring_forget(erasing->control->keyring, erasing->tenant);
	return 1;
}

/* --- resources --- */

struct doomed {
	struct erasing *erasing;
	char (*keys)[STORE_KEY_MAX];
	size_t count;
};

static int doom(void *context, const char *key, const struct value *value, int64_t revision,
                struct err *err)
{
	struct doomed *doomed = context;
	(void)value, (void)revision, (void)err;
	if (doomed->count < BATCH_MAX)
		snprintf(doomed->keys[doomed->count++], STORE_KEY_MAX, "%s", key);
	return 0;
}

int erasure_sweep(struct erasing *erasing, size_t *ret_count, struct err *err)
{
	AUTO(change) *change = NULL;
	struct doomed doomed = { .erasing = erasing };
	doomed.keys = arena_alloc(erasing->arena, BATCH_MAX * sizeof *doomed.keys);
	if (!doomed.keys)
		return err_set(err, E_NOMEM, "no memory to delete a tenant's resources");
	TRY(walk_all(erasing, doom, &doomed, err));
	*ret_count = doomed.count;
	if (doomed.count == 0)
		return 0;
	TRY(change_new(&change, err));
	for (size_t i = 0; i < doomed.count; i++)
		TRY(change_delete(change, doomed.keys[i], -1, err));
	value_set_int(erasing->record, "resources",
	              value_get_int(erasing->record, "resources", 0) + (int64_t)doomed.count);
	return erasure_save(erasing, change, err);
}

int erasure_resources(struct erasing *erasing, struct err *err)
{
	AUTO(change) *change = NULL;
	struct value *counts = value_map(erasing->arena);
	size_t count = 0;
	TRY(erasure_sweep(erasing, &count, err));
	if (count > 0)
		return 1;
	TRY(change_new(&change, err));
	value_set_int(counts, "keys", value_get_int(erasing->record, "resources", 0));
	return erasure_advance(erasing, change, "objects", counts, err);
}
