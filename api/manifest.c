/* manifest.c - a resource as its owner writes it: checked, placed on its path, compared. */
#include "common/defs.h"
#include "api/manifest.h"

#include "common/text.h"

#include <stdio.h>
#include <string.h>

const struct field manifest_metadata_fields[] = {
	{ FIELD_NAME, true, "name", NULL, NULL, "1 to 63 of a-z 0-9 - _" },
	{ FIELD_NAME, false, "tenant", NULL, NULL, "default: the path's" },
	{ FIELD_NAME, false, "domain", NULL, NULL, "default: the path's" },
	{ FIELD_MAP, false, "labels", NULL, NULL, "to select by" },
	{ FIELD_MAP, false, "annotations", NULL, NULL, "for people and tools" },
	{ FIELD_TEXT, false, "uid", NULL, NULL, "set by the server" },
	{ FIELD_TEXT, false, "createdAt", NULL, NULL, "set by the server" },
	{ FIELD_TEXT, false, "updatedAt", NULL, NULL, "set by the server" },
	{ FIELD_TEXT, false, "etag", NULL, NULL, "set by the server" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

static const struct field top_fields[] = {
	{ FIELD_TEXT, true, "apiVersion", NULL, NULL, "write " API_VERSION },
	{ FIELD_TEXT, true, "kind", NULL, NULL, "for example Dataset" },
	{ FIELD_OBJECT, true, "metadata", NULL, manifest_metadata_fields, "at least a name" },
	{ FIELD_OBJECT, false, "spec", NULL, NULL, "by kind" },
	{ FIELD_OBJECT, false, "status", NULL, NULL, "set by the server" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

static int unknown_kind(const char *given, struct err *err)
{
	const char *names[KIND_COUNT_];
	char list[200] = "";
	size_t used = 0;
	for (int i = 0; i < KIND_COUNT_; i++) {
		names[i] = kind_info[i].kind;
		int n = used < sizeof list ? snprintf(list + used, sizeof list - used, "%s%s",
		                                      i ? ", " : "", names[i]) : 0;
		used += n < 0 ? 0 : (size_t)n;
	}
	const char *nearest = name_nearest(given, names, KIND_COUNT_);
	if (nearest)
		return err_set(err, E_INVALID, "kind: unknown kind; did you mean \"%s\"?", nearest);
	return err_set(err, E_INVALID, "kind: unknown kind; known: %s", list);
}

/* As written in manifests; "featureview", which kind_by_name knows too, is taken for a slip. */
static int read_kind(const struct value *document, enum kind *ret_kind, struct err *err)
{
	const char *given = value_get_str(document, "kind");
	enum kind found = kind_by_name(given);
	if (found == KIND_NONE)
		return unknown_kind(given, err);
	if (strcmp(given, kind_info[found].kind) != 0)
		return err_set(err, E_INVALID, "kind: unknown kind; did you mean \"%s\"?",
		               kind_info[found].kind);
	*ret_kind = found;
	return 0;
}

/* A tenant or domain that the scope has no place for would be ignored in silence. */
static int check_scope(const struct manifest *manifest, struct err *err)
{
	const struct kind_info *info = &kind_info[manifest->kind];
	if (manifest->tenant && info->scope == SCOPE_PLATFORM)
		return err_set(err, E_INVALID, "metadata.tenant: a %s belongs to the platform, "
		               "not to a tenant; leave it out", info->kind);
	if (manifest->domain && info->scope != SCOPE_DOMAIN)
		return err_set(err, E_INVALID, "metadata.domain: a %s belongs to %s, not to a "
		               "domain; leave it out", info->kind,
		               info->scope == SCOPE_TENANT ? "a tenant" : "the platform");
	return 0;
}

int manifest_check(const struct value *document, struct manifest *ret_manifest, struct err *err)
{
	struct manifest manifest = { .document = document };
	if (value_kind(document) != VALUE_MAP)
		return err_set(err, E_INVALID, "a manifest must be a map with apiVersion, kind, "
		               "metadata and spec, not %s",
		               value_kind_name(value_kind(document)));
	TRY(fields_check(top_fields, document, "", err));
	if (strcmp(value_get_str(document, "apiVersion"), API_VERSION) != 0)
		return err_set(err, E_INVALID, "apiVersion: must be " API_VERSION);
	TRY(read_kind(document, &manifest.kind, err));
	const struct value *metadata = value_get(document, "metadata");
	manifest.name = value_get_str(metadata, "name");
	manifest.tenant = value_get_str(metadata, "tenant");
	manifest.domain = value_get_str(metadata, "domain");
	manifest.labels = value_get(metadata, "labels");
	manifest.annotations = value_get(metadata, "annotations");
	TRY(check_scope(&manifest, err));
	manifest.spec = value_get(document, "spec");
	TRY(fields_check(kind_info[manifest.kind].fields, manifest.spec, "spec", err));
	*ret_manifest = manifest;
	return 0;
}

int manifest_path(const struct manifest *manifest, struct buf *out, struct err *err)
{
	const struct kind_info *info = &kind_info[manifest->kind];
	if (info->scope != SCOPE_PLATFORM && !manifest->tenant)
		return err_set(err, E_INVALID, "metadata.tenant: is missing; a %s belongs to a "
		               "tenant", info->kind);
	if (info->scope == SCOPE_DOMAIN && !manifest->domain)
		return err_set(err, E_INVALID, "metadata.domain: is missing; a %s belongs to a "
		               "domain", info->kind);
	buf_puts(out, "/v1");
	if (info->scope != SCOPE_PLATFORM)
		buf_printf(out, "/tenants/%s", manifest->tenant);
	if (info->scope == SCOPE_DOMAIN)
		buf_printf(out, "/domains/%s", manifest->domain);
	buf_printf(out, "/%s/%s", info->plural, manifest->name);
	return buf_check(out, err);
}

/* --- differences --- */

struct diff {
	struct arena *arena;
	struct value *list;
};

static void diff_any(struct diff *diff, const char *path, const struct value *before,
                     const struct value *after);

static void diff_add(struct diff *diff, const char *path, const struct value *before,
                     const struct value *after)
{
	struct value *change = value_map(diff->arena);
	value_set_str(change, "path", path);
	if (before)
		value_set(change, "old", value_copy(diff->arena, before));
	if (after)
		value_set(change, "new", value_copy(diff->arena, after));
	value_add(diff->list, change);
}

static void diff_member(struct diff *diff, const char *path, const char *name,
                        const struct value *before, const struct value *after)
{
	const char *below = arena_printf(diff->arena, "%s.%s", path, name);
	if (below)
		diff_any(diff, below, before, after);
	else
		value_add(diff->list, NULL);
}

/* Either may be NULL, which is a map without members. */
static void diff_maps(struct diff *diff, const char *path, const struct value *before,
                      const struct value *after)
{
	const char *name = NULL;
	for (size_t i = 0; i < value_len(after); i++) {
		const struct value *member = value_member(after, i, &name);
		diff_member(diff, path, name, value_get(before, name), member);
	}
	for (size_t i = 0; i < value_len(before); i++) {
		const struct value *member = value_member(before, i, &name);
		if (!value_get(after, name))
			diff_member(diff, path, name, member, NULL);
	}
}

static void diff_lists(struct diff *diff, const char *path, const struct value *before,
                       const struct value *after)
{
	size_t old_len = value_len(before), new_len = value_len(after);
	for (size_t i = 0; i < (old_len > new_len ? old_len : new_len); i++) {
		const char *below = arena_printf(diff->arena, "%s[%zu]", path, i);
		if (below)
			diff_any(diff, below, i < old_len ? value_at(before, i) : NULL,
			         i < new_len ? value_at(after, i) : NULL);
		else
			value_add(diff->list, NULL);
	}
}

static void diff_any(struct diff *diff, const char *path, const struct value *before,
                     const struct value *after)
{
	if (before && after && value_equal(before, after))
		return;
	enum value_kind kind = value_kind(before);
	bool both = before && after && value_kind(after) == kind;
	if (both && kind == VALUE_MAP)
		diff_maps(diff, path, before, after);
	else if (both && kind == VALUE_LIST)
		diff_lists(diff, path, before, after);
	else
		diff_add(diff, path, before, after);
}

int manifest_diff(struct arena *arena, const struct value *before, const struct value *after,
                  struct value **ret_list, struct err *err)
{
	struct diff diff = { .arena = arena, .list = value_list(arena) };
	const struct value *old = value_get(before, "metadata");
	const struct value *new = value_get(after, "metadata");
	diff_maps(&diff, "metadata.labels", value_get(old, "labels"), value_get(new, "labels"));
	diff_maps(&diff, "metadata.annotations", value_get(old, "annotations"),
	          value_get(new, "annotations"));
	diff_maps(&diff, "spec", value_get(before, "spec"), value_get(after, "spec"));
	TRY(value_check(diff.list, err));
	*ret_list = diff.list;
	return 0;
}
