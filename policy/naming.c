/* naming.c - see naming.h. */
#include "common/defs.h"
#include "policy/naming.h"

#include "common/text.h"

#include <string.h>

enum { PARTS_MOST = 4, PART_MAX = 256 };

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory left to read a name");
}

int naming_action(const char *text, enum action *ret_action, struct err *err)
{
	const char *names[ACTION_COUNT_];
	size_t count = 0;
	for (int i = 0; i < ACTION_COUNT_; i++) {
		const char *name = action_name((enum action)i);
		if (!strchr(name, ':'))
			continue;
		names[count++] = name;
		if (strcmp(name, text) == 0) {
			*ret_action = (enum action)i;
			return 0;
		}
	}
	const char *near = name_nearest(text, names, count);
	return err_set(err, E_INVALID,
	               near ? "action: there is no action of that name; did you mean %s?"
	                    : "action: there is no action of that name; %s is one",
	               near ? near : "dataset:read");
}

/* --- resources --- */

struct parts {
	const char *at[PARTS_MOST];
	size_t count;
};

/* "a/b/c" or "a.b.c" */
static int split(struct arena *arena, const char *text, const char *between, struct parts *parts,
                 struct err *err)
{
	parts->count = 0;
	for (;;) {
		size_t len = strcspn(text, between);
		if (parts->count == PARTS_MOST || len >= PART_MAX)
			return err_set(err, E_INVALID,
			               "resource: has more than %d parts; it is "
			               "like dataset/DOMAIN/NAME",
			               PARTS_MOST);
		parts->at[parts->count] = arena_strndup(arena, text, len);
		if (!parts->at[parts->count++])
			return no_room(err);
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

struct want {
	const struct model *model;
	const char *tenant;
	struct err *err;
};

static int misshapen(const struct want *want, const char *kind, const char *like)
{
	return err_set(want->err, E_INVALID, "resource: a %s is named like %s", kind, like);
}

static int of_column(const struct want *want, const struct parts *parts,
                     struct engine_resource *resource)
{
	if (parts->count != 3)
		return misshapen(want, "column", "column/DOMAIN/DATASET/NAME");
	*resource = (struct engine_resource){.domain = parts->at[0],
	                                     .kind = "Dataset",
	                                     .name = parts->at[1],
	                                     .column = parts->at[2]};
	return 0;
}

static int of_kind(const struct want *want, const struct model_kind *kind,
                   const struct parts *parts, struct engine_resource *resource)
{
	size_t count = parts->count;
	if (strcmp(kind->kind, "Domain") == 0) {
		*resource = (struct engine_resource){.domain = parts->at[0]};
		return count == 1 ? 0 : misshapen(want, "domain", "domain/NAME");
	}
	if (kind->scope == MODEL_DOMAIN) {
		*resource = (struct engine_resource){
			.domain = parts->at[0], .kind = kind->kind, .name = parts->at[count - 1]};
		return count == 2 ? 0 : misshapen(want, kind->name, "KIND/DOMAIN/NAME");
	}
	*resource = (struct engine_resource){.kind = kind->kind,
	                                     .name = parts->at[count - 1],
	                                     .platform = kind->scope == MODEL_PLATFORM};
	return count == 1 ? 0 : misshapen(want, kind->name, "KIND/NAME");
}

static bool of_place(const char *name, struct engine_resource *resource)
{
	*resource = (struct engine_resource){.whole = strcmp(name, "tenant") == 0,
	                                     .platform = strcmp(name, "platform") == 0};
	return resource->whole || resource->platform || strcmp(name, "commons") == 0;
}

static int no_kind(const struct want *want)
{
	return err_set(want->err, E_INVALID,
	               "resource: names nothing; it is written DOMAIN.DATASET, "
	               "dataset/DOMAIN/NAME, domain/NAME, quota/NAME, tenant or platform");
}

static void drop_first(struct parts *parts)
{
	parts->count--;
	memmove(parts->at, parts->at + 1, parts->count * sizeof *parts->at);
}

static int of_typed(const struct want *want, const char *type, struct parts *parts,
                    struct engine_resource *resource)
{
	const struct model_kind *kind = model_kind_named(want->model, type);
	const char *place = strcmp(type, "Tenant") == 0    ? "tenant"
	                    : strcmp(type, "Commons") == 0 ? "commons"
	                                                   : "";
	if (strcmp(parts->at[0], want->tenant) != 0)
		return err_set(want->err, E_INVALID, "resource: is of another tenant than %s",
		               want->tenant);
	if (parts->count == 1)
		return of_place(place, resource) ? 0 : no_kind(want);
	drop_first(parts);
	if (parts->count == 2 && !*parts->at[0]) /* Quota::"acme//daily" */
		drop_first(parts);
	if (strcmp(type, "Column") == 0)
		return of_column(want, parts, resource);
	return kind ? of_kind(want, kind, parts, resource) : no_kind(want);
}

/* Dataset::"acme/trips/rides" */
static int of_uid(const struct want *want, struct arena *arena, const char *text,
                  const char *colons, struct engine_resource *resource)
{
	struct parts parts;
	const char *type = arena_strndup(arena, text, (size_t)(colons - text));
	size_t len = strlen(colons + 3);
	char *id = arena_strndup(arena, colons + 3, len ? len - 1 : 0);
	if (!type || !id)
		return no_room(want->err);
	if (!len || colons[3 + len - 1] != '"')
		return no_kind(want);
	if (strcmp(type, "Platform") == 0)
		return of_place("platform", resource) ? 0 : no_kind(want);
	TRY(split(arena, id, "/", &parts, want->err));
	return of_typed(want, type, &parts, resource);
}

/* "trips.rides", of the kind that the action is of. */
static int of_action(const struct want *want, enum action action, const struct parts *parts,
                     struct engine_resource *resource)
{
	char head[32] = "";
	const char *name = action_name(action);
	size_t len = strcspn(name, ":");
	if (len < sizeof head)
		memcpy(head, name, len);
	const struct model_kind *kind = model_kind_named(want->model, head);
	if (strcmp(head, "features") == 0)
		kind = model_kind_named(want->model, "FeatureView");
	if (strcmp(head, "column") == 0)
		return of_column(want, parts, resource);
	if (kind && (kind->scope != MODEL_DOMAIN || parts->count > 1))
		return of_kind(want, kind, parts, resource);
	if (kind || parts->count > 1)
		return no_kind(want);
	*resource = (struct engine_resource){.domain = parts->at[0]};
	return 0;
}

int naming_resource(const struct model *model, struct arena *arena, const char *tenant,
                    enum action action, const char *text, struct engine_resource *ret_resource,
                    struct err *err)
{
	const struct want want = {model, tenant, err};
	const char *colons = strstr(text, "::\"");
	struct parts parts, rest = {.count = 0};
	if (!*text)
		return no_kind(&want);
	if (colons)
		return of_uid(&want, arena, text, colons, ret_resource);
	if (of_place(text, ret_resource))
		return 0;
	TRY(split(arena, text, strchr(text, '/') ? "/" : ".", &parts, err));
	while (rest.count + 1 < parts.count) {
		rest.at[rest.count] = parts.at[rest.count + 1];
		rest.count++;
	}
	const struct model_kind *kind = model_kind_named(model, parts.at[0]);
	if (rest.count && strcmp(parts.at[0], "column") == 0)
		return of_column(&want, &rest, ret_resource);
	if (rest.count && kind && strchr(text, '/'))
		return of_kind(&want, kind, &rest, ret_resource);
	return of_action(&want, action, &parts, ret_resource);
}

const char *naming_uid(struct arena *arena, const char *tenant,
                       const struct engine_resource *resource)
{
	const char *domain = resource->domain ? resource->domain : "";
	if (resource->platform)
		return "Platform::\"freehold\"";
	if (resource->column)
		return arena_printf(arena, "Column::\"%s/%s/%s/%s\"", tenant, domain,
		                    resource->name, resource->column);
	if (resource->name)
		return arena_printf(arena, "%s::\"%s/%s/%s\"", resource->kind, tenant, domain,
		                    resource->name);
	if (resource->domain)
		return arena_printf(arena, "Domain::\"%s/%s\"", tenant, domain);
	return arena_printf(arena, "%s::\"%s\"", resource->whole ? "Tenant" : "Commons", tenant);
}

/* --- principals --- */

int naming_principal(struct arena *arena, const char *tenant, const char *text,
                     const char **ret_name, struct err *err)
{
	static const char head[] = "User::\"";
	bool uid = strncmp(text, head, strlen(head)) == 0;
	const char *name = uid ? text + strlen(head) : text;
	size_t len = strlen(name), own = strlen(tenant);
	if (uid && len && name[len - 1] == '"')
		len--;
	const char *slash = memchr(name, '/', len);
	bool of_tenant = slash && (size_t)(slash - name) == own && memcmp(name, tenant, own) == 0;
	if (slash && !of_tenant)
		return err_set(err, E_INVALID, "principal: is of another tenant than %s", tenant);
	if (slash) {
		len -= own + 1;
		name = slash + 1;
	}
	if (!len)
		return err_set(err, E_INVALID, "principal: is empty; it is a principal's name");
	*ret_name = arena_strndup(arena, name, len);
	return *ret_name ? 0 : no_room(err);
}

int naming_role(struct arena *arena, const char *text, struct asker *asker, struct err *err)
{
	const char *slash = strchr(text, '/');
	const char *role = slash ? slash + 1 : text;
	const char *domain = slash ? arena_strndup(arena, text, (size_t)(slash - text)) : NULL;
	if (slash && !domain)
		return no_room(err);
	if (!role_known(role))
		return err_set(err, E_INVALID,
		               "roles: there is no role of that name; they are like "
		               "consumer, or DOMAIN/consumer");
	if (slash && role_is_wide(role))
		return err_set(err, E_INVALID,
		               "roles: %s is of a whole tenant, never of one domain", role);
	if (!asker_bind(asker, role, domain))
		return err_set(err, E_INVALID, "roles: more than %d", BINDINGS_MAX);
	return 0;
}
