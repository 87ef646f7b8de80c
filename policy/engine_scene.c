/* engine_scene.c - what one request adds to an engine's world: who asks, in all that it is in, and
 * what is asked about. Nothing is printed here and hashes of types are known, because every request
 * comes by.
 *
 * A role at one resource is a link, too, as the templates' other links are: its owner is in the
 * role's holder of resources, and the resource it is held at is in Held::"TENANT/ROLE" for this
 * request. */
#include "common/defs.h"
#include "policy/engine_impl.h"

#include "policy/attributes.h"
#include "policy/cedar_ip.h"

#include <string.h>

enum { PARENTS_MAX = 3 * BINDINGS_MAX + GROUPS_MAX, HELD_MAX = ENGINE_ROLES_MAX };

struct scene {
	const struct engine *engine;
	struct arena *arena;
	const struct engine_ask *ask;
	struct cedar_entities *entities;
	struct cedar_request request;
	struct err *err;
};

static int no_room(const struct scene *scene)
{
	return err_set(scene->err, E_NOMEM, "no memory left to decide a request; it is denied");
}

static struct cedar_field text_field(const char *name, const char *text)
{
	return (struct cedar_field){ cedar_str(name),
		                     { .kind = CEDAR_STRING, .str = cedar_str(text) } };
}

/* fields come ascending by name, as records keep them. */
static int record_of(struct scene *scene, const struct cedar_field *fields, size_t count,
                     const struct cedar_record **ret_record)
{
	struct cedar_record *record =
		arena_alloc(scene->arena, sizeof *record + count * sizeof *fields);
	if (!record)
		return no_room(scene);
	memcpy(record + 1, fields, count * sizeof *fields);
	*record = (struct cedar_record){ count, (const struct cedar_field *)(record + 1) };
	*ret_record = record;
	return 0;
}

static int uid_of(struct scene *scene, const struct cedar_uid *like, const char *const *parts,
                  size_t count, struct cedar_uid *ret_uid)
{
	struct cedar_str id = engine_path(scene->arena, parts, count);
	if (!id.text)
		return no_room(scene);
	cedar_uid_init_by(ret_uid, &scene->engine->key, like, id);
	return 0;
}

/* --- who asks --- */

struct parents {
	const struct cedar_uid **items;
	size_t count;
};

static int add_parent(struct scene *scene, struct parents *parents, const struct cedar_uid *like,
                      const char *const *parts, size_t count)
{
	struct cedar_uid *uid = arena_alloc(scene->arena, sizeof *uid);
	if (!uid)
		return no_room(scene);
	TRY(uid_of(scene, like, parts, count, uid));
	parents->items[parents->count++] = uid;
	return 0;
}

static const struct engine_role *role_of(const struct engine *engine, const char *name)
{
	for (size_t i = 0; i < engine->role_count; i++)
		if (engine->roles[i].name == name)
			return &engine->roles[i];
	for (size_t i = 0; i < engine->role_count; i++)
		if (strcmp(engine->roles[i].name, name) == 0)
			return &engine->roles[i];
	return NULL;
}

/* The holders that a binding puts its owner in: of the place, and of any such place. */
static int add_holders(struct scene *scene, struct parents *parents, const struct binding *binding)
{
	const struct engine *engine = scene->engine;
	const char *tenant = scene->ask->asker->tenant;
	const struct engine_role *role = role_of(engine, binding->role);
	bool own = strcmp(tenant, engine->tenant) == 0;
	const char *const whole[] = { tenant, binding->role };
	const char *const place[] = { tenant, binding->domain, binding->role };
	const char *const at[] = { tenant, binding->domain, binding->kind, binding->name,
		                   binding->role };
	if (!role)
		return 0;
	if (!binding->domain && own)
		parents->items[parents->count++] = &role->tenant;
	else if (!binding->domain)
		return add_parent(scene, parents, &engine->role, whole, ARRAY_LEN(whole));
	if (!binding->domain)
		return 0;
	if (own)
		parents->items[parents->count++] = binding->name ? &role->resources
		                                                 : &role->domains;
	return binding->name ? add_parent(scene, parents, &engine->role, at, ARRAY_LEN(at))
	                     : add_parent(scene, parents, &engine->role, place, ARRAY_LEN(place));
}

static const char *strength_of(const struct asker *asker)
{
	static const char *const strengths[] = { [AUTH_NONE] = "none", [AUTH_KEY] = "key",
		                                 [AUTH_TOKEN] = "token", [AUTH_OIDC] = "oidc" };
	return strengths[asker->auth];
}

/* Its own never stand for what the platform says of it. */
static int principal_attrs(struct scene *scene, const struct cedar_record **ret_attrs)
{
	const struct asker *asker = scene->ask->asker;
	size_t own = value_len(asker->attributes), count = 0;
	const struct cedar_field given[] = {
		text_field("name", asker->principal), text_field("strength", strength_of(asker)),
		text_field("tenant", asker->tenant),
	};
	if (!own)
		return record_of(scene, given, ARRAY_LEN(given), ret_attrs);
	if (own > ATTRIBUTES_MAX)
		own = ATTRIBUTES_MAX;
	struct cedar_field *fields =
		arena_alloc(scene->arena, (ARRAY_LEN(given) + own) * sizeof *fields);
	if (!fields)
		return no_room(scene);
	for (; count < ARRAY_LEN(given); count++)
		fields[count] = given[count];
	for (size_t i = 0; i < own; i++) {
		const char *name = NULL;
		const char *text = value_as_str(value_member(asker->attributes, i, &name));
		if (text && !attribute_is_given(name))
			fields[count++] = text_field(name, text);
	}
	return cedar_record_new(scene->arena, fields, count, ret_attrs, scene->err);
}

static int add_principal(struct scene *scene)
{
	const struct asker *asker = scene->ask->asker;
	const char *path[] = { asker->tenant, asker->principal };
	struct parents parents = { .count = 0 };
	struct cedar_entity entity = { .attrs = NULL };
	size_t most = 3 * asker->binding_count + asker->group_count;
	parents.items = arena_alloc(scene->arena, (most + 1) * sizeof *parents.items);
	if (!parents.items)
		return no_room(scene);
	for (size_t i = 0; i < asker->binding_count && i < BINDINGS_MAX; i++)
		TRY(add_holders(scene, &parents, &asker->bindings[i]));
	for (size_t i = 0; i < asker->group_count && i < GROUPS_MAX; i++) {
		const char *const group[] = { asker->tenant, asker->groups[i] };
		TRY(add_parent(scene, &parents, &scene->engine->group, group, ARRAY_LEN(group)));
	}
	TRY(principal_attrs(scene, &entity.attrs));
	TRY(uid_of(scene, &scene->engine->user, path, ARRAY_LEN(path), &entity.uid));
	entity.parents = parents.items;
	entity.parent_count = parents.count;
	scene->request.principal = entity.uid;
	return cedar_entities_add(scene->entities, &entity, scene->err);
}

/* --- what it does --- */

/* One that actions.def does not have is read or written by its name. */
static int add_action(struct scene *scene)
{
	struct cedar_uid *way = NULL;
	const struct cedar_uid **parent = NULL;
	struct cedar_str id = cedar_str(scene->ask->action);
	cedar_uid_init_by(&scene->request.action, &scene->engine->key, &scene->engine->action, id);
	if (cedar_entities_find(scene->engine->world, &scene->request.action))
		return 0;
	way = arena_alloc(scene->arena, sizeof *way);
	parent = arena_alloc(scene->arena, sizeof *parent);
	if (!way || !parent)
		return no_room(scene);
	cedar_uid_init_like(way, &scene->engine->action,
	                    engine_reads(scene->ask->action) ? CEDAR_STR("read")
	                                                     : CEDAR_STR("write"));
	*parent = way;
	const struct cedar_entity entity = { .uid = scene->request.action, .parents = parent,
		                             .parent_count = 1 };
	return cedar_entities_add(scene->entities, &entity, scene->err);
}

/* --- what is asked about --- */

static int tags_of(struct scene *scene, struct cedar_value *ret_value)
{
	static const struct cedar_items none = { 0, NULL };
	const struct value *tags = scene->ask->resource.tags;
	size_t count = value_len(tags);
	*ret_value = (struct cedar_value){ .kind = CEDAR_SET, .set = &none };
	if (!count)
		return 0;
	struct cedar_value *items = arena_alloc(scene->arena, count * sizeof *items);
	if (!items)
		return no_room(scene);
	for (size_t i = 0; i < count; i++) {
		const char *text = value_as_str(value_at(tags, i));
		items[i] = (struct cedar_value){ .kind = CEDAR_STRING,
			                         .str = cedar_str(text ? text : "") };
	}
	return cedar_items_new(scene->arena, items, count, &ret_value->set, scene->err);
}

static int labels_of(struct scene *scene, struct cedar_value *ret_value)
{
	static const struct cedar_record none = { 0, NULL };
	const struct value *labels = scene->ask->resource.labels;
	size_t count = value_len(labels);
	*ret_value = (struct cedar_value){ .kind = CEDAR_RECORD, .record = &none };
	if (!count)
		return 0;
	struct cedar_field *fields = arena_alloc(scene->arena, count * sizeof *fields);
	if (!fields)
		return no_room(scene);
	for (size_t i = 0; i < count; i++) {
		const char *name = NULL, *text = value_as_str(value_member(labels, i, &name));
		fields[i] = text_field(name, text ? text : "");
	}
	return cedar_record_new(scene->arena, fields, count, &ret_value->record, scene->err);
}

static int resource_attrs(struct scene *scene, const struct cedar_record **ret_attrs)
{
	const struct engine_resource *resource = &scene->ask->resource;
	const char *name = resource->column ? resource->column : resource->name;
	struct cedar_field fields[6];
	size_t count = 0;
	if (resource->domain)
		fields[count++] = text_field("domain", resource->domain);
	fields[count].name = CEDAR_STR("labels");
	TRY(labels_of(scene, &fields[count++].value));
	if (name)
		fields[count++] = text_field("name", name);
	if (resource->row)
		fields[count++] = (struct cedar_field){
			CEDAR_STR("row"), { .kind = CEDAR_RECORD, .record = resource->row }
		};
	fields[count].name = CEDAR_STR("tags");
	TRY(tags_of(scene, &fields[count++].value));
	fields[count++] = text_field("tenant", scene->engine->tenant);
	if (resource->column)
		fields[count++] = text_field("type", resource->type ? resource->type : "");
	return record_of(scene, fields, count, ret_attrs);
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* What the asker holds a role at lies in that role's holding. */
static void add_holdings(struct scene *scene, struct parents *parents)
{
	const struct engine_resource *resource = &scene->ask->resource;
	const struct asker *asker = scene->ask->asker;
	if (strcmp(asker->tenant, scene->engine->tenant) != 0)
		return;
	for (size_t i = 0; i < asker->binding_count && i < BINDINGS_MAX; i++) {
		const struct binding *binding = &asker->bindings[i];
		const struct engine_role *role =
			same(binding->name, resource->name) &&
			same(binding->kind, resource->kind) &&
			same(binding->domain, resource->domain)
			? role_of(scene->engine, binding->role) : NULL;
		if (role && parents->count < HELD_MAX)
			parents->items[parents->count++] = &role->held;
	}
}

/* One level, in that above it; the innermost has the attributes. */
static int add_level(struct scene *scene, const struct cedar_uid *uid,
                     const struct parents *parents, bool last)
{
	struct cedar_entity entity = { .uid = *uid, .parents = parents->items,
		                       .parent_count = parents->count };
	if (last) {
		TRY(resource_attrs(scene, &entity.attrs));
		scene->request.resource = *uid;
	}
	return cedar_entities_add(scene->entities, &entity, scene->err);
}

/* A resource of a domain, or of the tenant, in `above`; its column in that. */
static int add_named(struct scene *scene, const struct cedar_uid *above)
{
	const struct engine_resource *resource = &scene->ask->resource;
	const char *domain = resource->domain ? resource->domain : "";
	const char *parts[] = { scene->engine->tenant, domain, resource->name, resource->column };
	struct parents parents = { .count = 1 };
	struct cedar_uid *uid = arena_alloc(scene->arena, sizeof *uid), type, column;
	parents.items = arena_alloc(scene->arena, (1 + HELD_MAX) * sizeof *parents.items);
	const struct cedar_uid **table = arena_alloc(scene->arena, sizeof *table);
	if (!uid || !parents.items || !table)
		return no_room(scene);
	parents.items[0] = above;
	add_holdings(scene, &parents);
	type = (struct cedar_uid){ .type = cedar_str(resource->kind) };
	type.type_hash = hash_short_by(&scene->engine->key, 0, type.type.text, type.type.len);
	TRY(uid_of(scene, &type, parts, 3, uid));
	TRY(add_level(scene, uid, &parents, !resource->column));
	if (!resource->column)
		return 0;
	*table = uid;
	TRY(uid_of(scene, &scene->engine->column, parts, 4, &column));
	return add_level(scene, &column, &(struct parents){ table, 1 }, true);
}

/* A place of the world, in what it is in there. */
static int add_place(struct scene *scene, const struct cedar_uid *uid)
{
	const struct cedar_entity *place = cedar_entities_find(scene->engine->world, uid);
	struct parents parents = { NULL, 0 };
	if (place)
		parents = (struct parents){ (const struct cedar_uid **)place->parents,
			                    place->parent_count };
	return add_level(scene, uid, &parents, true);
}

/* The domain as an entity, even if the engine was made before there was one. */
static int find_domain(struct scene *scene, const struct cedar_uid **ret_uid)
{
	const char *const parts[] = { scene->engine->tenant, scene->ask->resource.domain };
	struct cedar_uid *uid = arena_alloc(scene->arena, sizeof *uid);
	const struct cedar_uid **tenant = arena_alloc(scene->arena, sizeof *tenant);
	if (!uid || !tenant)
		return no_room(scene);
	TRY(uid_of(scene, &scene->engine->domain, parts, ARRAY_LEN(parts), uid));
	*ret_uid = uid;
	*tenant = &scene->engine->own_tenant;
	if (!scene->ask->resource.kind)
		return add_level(scene, uid, &(struct parents){ tenant, 1 }, true);
	if (cedar_entities_find(scene->engine->world, uid))
		return 0;
	return add_level(scene, uid, &(struct parents){ tenant, 1 }, false);
}

static int add_resource(struct scene *scene)
{
	const struct engine *engine = scene->engine;
	const struct engine_resource *resource = &scene->ask->resource;
	const struct cedar_uid *above = &engine->own_tenant;
	if (resource->platform)
		return add_place(scene, &engine->platform);
	if (!resource->domain && !resource->whole)
		above = &engine->commons;
	if (resource->domain)
		TRY(find_domain(scene, &above));
	if (resource->kind)
		return add_named(scene, above);
	return resource->domain ? 0 : add_place(scene, above);
}

static int add_context(struct scene *scene)
{
	const struct engine_ask *ask = scene->ask;
	struct cedar_field fields[4];
	const char *address = ask->address ? ask->address : ask->asker->address;
	struct cedar_ip *ip = address ? arena_alloc(scene->arena, sizeof *ip) : NULL;
	size_t count = 0;
	if (address && !ip)
		return no_room(scene);
	if (ip && cedar_ip_parse(cedar_str(address), ip))
		fields[count++] = (struct cedar_field){ CEDAR_STR("address"),
			                                { .kind = CEDAR_IP, .ip = ip } };
	fields[count++] = (struct cedar_field){ CEDAR_STR("now"), { .kind = CEDAR_DATETIME,
		                                                    .i = ask->now_ms } };
	if (ask->purpose)
		fields[count++] = text_field("purpose", ask->purpose);
	fields[count++] = text_field("strength", strength_of(ask->asker));
	return record_of(scene, fields, count, &scene->request.context);
}

int engine_scene(const struct engine *engine, struct arena *arena, const struct engine_ask *ask,
                 struct engine_scene *ret_scene, struct err *err)
{
	struct scene scene = { .engine = engine, .arena = arena, .ask = ask, .err = err };
	TRY(cedar_entities_new_over(arena, engine->world, &scene.entities, err));
	TRY(add_principal(&scene));
	TRY(add_action(&scene));
	TRY(add_resource(&scene));
	TRY(add_context(&scene));
	*ret_scene = (struct engine_scene){ engine->set, scene.entities, scene.request };
	return 0;
}
