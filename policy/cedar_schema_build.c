/* cedar_schema_build.c - resolves names: inside a namespace its own come first, then those
 * without one, then the language's own; a path with a namespace means just that. */
#include "common/defs.h"
#include "policy/cedar_schema_raw.h"

#include "policy/cedar_lex.h"

#include <stdlib.h>
#include <string.h>

enum state { STATE_NEW, STATE_OPEN, STATE_DONE };

static int resolve(struct raw_schema *raw, struct cedar_str space, const struct raw_type *type,
		   int depth, const struct cedar_type **ret_type);

static int no_room(struct raw_schema *raw)
{
	return err_set(raw->err, E_NOMEM, "no memory left for the schema");
}

static int by_common(const void *a, const void *b)
{
	const struct raw_common *left = a, *right = b;
	return cedar_str_compare(left->name, right->name);
}

static int by_entity(const void *a, const void *b)
{
	const struct raw_entity *left = a, *right = b;
	return cedar_str_compare(left->name, right->name);
}

static struct raw_common *find_common(struct raw_schema *raw, struct cedar_str name)
{
	struct raw_common key = { .name = name };
	return raw->common_count ? bsearch(&key, raw->commons, raw->common_count,
	                                   sizeof *raw->commons, by_common) : NULL;
}

static struct raw_entity *find_entity(struct raw_schema *raw, struct cedar_str name)
{
	struct raw_entity key = { .name = name };
	return raw->entity_count ? bsearch(&key, raw->entities, raw->entity_count,
	                                   sizeof *raw->entities, by_entity) : NULL;
}

/* A name in a namespace must not hide one without: which is meant would hang on where it is
 * written. */
static int check_hidden(struct raw_schema *raw, struct cedar_str space, struct cedar_str name)
{
	struct cedar_str base = { name.text + space.len + 2, name.len - space.len - 2 };
	if (!space.len || (!find_common(raw, base) && !find_entity(raw, base)))
		return 0;
	return err_set(raw->err, E_INVALID, "the type `%s` hides the one without a namespace; "
	               "rename either", cedar_str_show(raw->arena, name));
}

static int check_all_hidden(struct raw_schema *raw)
{
	for (size_t i = 0; i < raw->common_count; i++)
		TRY(check_hidden(raw, raw->commons[i].space, raw->commons[i].name));
	for (size_t i = 0; i < raw->entity_count; i++)
		TRY(check_hidden(raw, raw->entities[i].space, raw->entities[i].name));
	return 0;
}

static int sort(struct raw_schema *raw)
{
	if (raw->common_count)
		qsort(raw->commons, raw->common_count, sizeof *raw->commons, by_common);
	if (raw->entity_count)
		qsort(raw->entities, raw->entity_count, sizeof *raw->entities, by_entity);
	for (size_t i = 1; i < raw->common_count; i++)
		if (by_common(&raw->commons[i - 1], &raw->commons[i]) == 0)
			return err_set(raw->err, E_INVALID, "the type `%s` is declared twice",
			               cedar_str_show(raw->arena, raw->commons[i].name));
	for (size_t i = 1; i < raw->entity_count; i++)
		if (by_entity(&raw->entities[i - 1], &raw->entities[i]) == 0)
			return err_set(raw->err, E_INVALID, "the entity type `%s` is declared "
				"twice",
			               cedar_str_show(raw->arena, raw->entities[i].name));
	return 0;
}

static bool is_path(struct cedar_str name)
{
	return memmem(name.text, name.len, "::", 2) != NULL;
}

static int unknown(struct raw_schema *raw, const char *what, struct cedar_str name)
{
	return err_set(raw->err, E_INVALID, "the schema names the %s `%s`, which it does not "
	               "declare", what, cedar_str_show(raw->arena, name));
}

static const struct cedar_type *own_type(struct cedar_str name)
{
	static const struct { const char *name; uint8_t kind; } own[] = {
		{ "Bool", CEDAR_TYPE_BOOL }, { "Boolean", CEDAR_TYPE_BOOL },
		{ "Long", CEDAR_TYPE_LONG }, { "String", CEDAR_TYPE_STRING },
		{ "decimal", CEDAR_TYPE_DECIMAL }, { "ipaddr", CEDAR_TYPE_IP },
		{ "datetime", CEDAR_TYPE_DATETIME }, { "duration", CEDAR_TYPE_DURATION },
	};
	static const struct cedar_str prefix = { "__cedar::", 9 };
	if (name.len > prefix.len && memcmp(name.text, prefix.text, prefix.len) == 0)
		name = (struct cedar_str){ name.text + prefix.len, name.len - prefix.len };
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (cedar_str_is(name, own[i].name))
			return cedar_type_of(own[i].kind);
	return NULL;
}

static int resolve_common(struct raw_schema *raw, struct raw_common *common, int depth,
			  const struct cedar_type **ret_type)
{
	if (common->state == STATE_OPEN)
		return err_set(raw->err, E_INVALID, "the type `%s` contains itself; types must not "
		               "form a circle", cedar_str_show(raw->arena, common->name));
	if (common->state == STATE_NEW) {
		common->state = STATE_OPEN;
		TRY(resolve(raw, common->space, common->type, depth, &common->resolved));
		common->state = STATE_DONE;
	}
	*ret_type = common->resolved;
	return 0;
}

/* *ret_type stays NULL when nothing has that full name. */
static int declared(struct raw_schema *raw, const struct raw_type *type, struct cedar_str full,
		    int depth, const struct cedar_type **ret_type)
{
	struct raw_common *common = type->kind != RAW_ENTITY ? find_common(raw, full) : NULL;
	if (common)
		return resolve_common(raw, common, depth, ret_type);
	struct raw_entity *entity = type->kind != RAW_COMMON ? find_entity(raw, full) : NULL;
	return entity ? cedar_type_entity(raw->arena, entity->name, ret_type, raw->err) : 0;
}

static int resolve_name(struct raw_schema *raw, struct cedar_str space, const struct raw_type *type,
			int depth, const struct cedar_type **ret_type)
{
	const struct cedar_type *found = NULL;
	struct cedar_str full;
	if (type->kind != RAW_OWN && !is_path(type->name) && space.len) {
		TRY(raw_full_name(raw, space, type->name, &full));
		TRY(declared(raw, type, full, depth, &found));
	}
	if (!found && type->kind != RAW_OWN)
		TRY(declared(raw, type, type->name, depth, &found));
	if (!found && type->kind != RAW_ENTITY)
		found = own_type(type->name);
	if (!found)
		return unknown(raw, type->kind == RAW_ENTITY ? "entity type" : "type", type->name);
	*ret_type = found;
	return 0;
}

static int resolve_record(struct raw_schema *raw, struct cedar_str space,
			  const struct raw_type *type, int depth,
			  const struct cedar_type **ret_type)
{
	struct cedar_attr *attrs = arena_alloc(raw->arena, (type->count + 1) * sizeof *attrs);
	if (!attrs)
		return no_room(raw);
	for (size_t i = 0; i < type->count; i++) {
		attrs[i].name = type->attrs[i].name;
		attrs[i].required = type->attrs[i].required;
		TRY(resolve(raw, space, type->attrs[i].type, depth, &attrs[i].type));
	}
	return cedar_type_record(raw->arena, attrs, type->count, ret_type, raw->err);
}

static int resolve(struct raw_schema *raw, struct cedar_str space, const struct raw_type *type,
		   int depth, const struct cedar_type **ret_type)
{
	const struct cedar_type *element = NULL;
	if (depth > CEDAR_DEPTH_MAX)
		return err_set(raw->err, E_INVALID, "types nest deeper than %d levels; flatten "
			"them",
		               CEDAR_DEPTH_MAX);
	if (type->kind == RAW_RECORD)
		return resolve_record(raw, space, type, depth + 1, ret_type);
	if (type->kind != RAW_SET)
		return resolve_name(raw, space, type, depth + 1, ret_type);
	TRY(resolve(raw, space, type->element, depth + 1, &element));
	return cedar_type_set(raw->arena, element, ret_type, raw->err);
}

static int resolve_shape(struct raw_schema *raw, struct cedar_str space,
			 const struct raw_type *type, const char *what,
			 const struct cedar_type **ret_type)
{
	*ret_type = cedar_type_empty_record();
	if (type)
		TRY(resolve(raw, space, type, 0, ret_type));
	if ((*ret_type)->kind != CEDAR_TYPE_RECORD)
		return err_set(raw->err, E_INVALID, "%s must be a record", what);
	return 0;
}

/* The full name of an entity type. */
static int entity_name(struct raw_schema *raw, struct cedar_str space, struct cedar_str name,
		       struct cedar_str *ret_name)
{
	struct raw_type type = { .kind = RAW_ENTITY, .name = name };
	const struct cedar_type *found = NULL;
	TRY(resolve_name(raw, space, &type, 0, &found));
	*ret_name = found->name;
	return 0;
}

static int entity_names(struct raw_schema *raw, struct cedar_str space,
			const struct cedar_str *names, size_t count, struct cedar_names *ret_names)
{
	struct cedar_str *full = arena_alloc(raw->arena, (count + 1) * sizeof *full);
	if (!full)
		return no_room(raw);
	for (size_t i = 0; i < count; i++)
		TRY(entity_name(raw, space, names[i], &full[i]));
	*ret_names = (struct cedar_names){ count, full };
	return 0;
}

static int by_str(const void *a, const void *b)
{
	const struct cedar_str *left = a, *right = b;
	return cedar_str_compare(*left, *right);
}

/* Breadth first over the raw parents; seen is one flag an entity type. What is found stands in the
 * queue behind start; *ret_tail is its end. */
static int walk_up(struct raw_schema *raw, size_t start, uint8_t *seen, size_t *queue,
		   size_t *ret_tail)
{
	size_t head = 0, tail = 0;
	memset(seen, 0, raw->entity_count);
	queue[tail++] = start;
	while (head < tail) {
		const struct raw_entity *entity = &raw->entities[queue[head++]];
		for (size_t i = 0; i < entity->parent_count; i++) {
			struct cedar_str full;
			TRY(entity_name(raw, entity->space, entity->parents[i], &full));
			size_t at = (size_t)(find_entity(raw, full) - raw->entities);
			if (!seen[at] && at != start)
				queue[tail++] = at;
			seen[at] = 1;
		}
	}
	*ret_tail = tail;
	return 0;
}

static int find_ancestors(struct raw_schema *raw, size_t start, uint8_t *seen, size_t *queue,
			  struct cedar_names *ret_names)
{
	size_t tail = 0, count = 0;
	TRY(walk_up(raw, start, seen, queue, &tail));
	struct cedar_str *names = arena_alloc(raw->arena, tail * sizeof *names);
	if (!names)
		return no_room(raw);
	for (size_t i = seen[start] ? 0 : 1; i < tail; i++)
		names[count++] = raw->entities[queue[i]].name;
	if (count)
		qsort(names, count, sizeof *names, by_str);
	*ret_names = (struct cedar_names){ count, names };
	return 0;
}

static int build_entity(struct raw_schema *raw, size_t i, uint8_t *seen, size_t *queue,
			struct cedar_entity_type *type)
{
	const struct raw_entity *entity = &raw->entities[i];
	*type = (struct cedar_entity_type){ .name = entity->name, .is_enum = entity->is_enum,
		.choices = entity->choices };
	if (entity->parent_count)
		TRY(find_ancestors(raw, i, seen, queue, &type->ancestors));
	TRY(resolve_shape(raw, entity->space, entity->shape, "an entity's shape", &type->shape));
	return entity->tags ? resolve(raw, entity->space, entity->tags, 0, &type->tags) : 0;
}

static int build_entities(struct raw_schema *raw, struct cedar_schema *schema)
{
	size_t count = raw->entity_count;
	struct cedar_entity_type *types = arena_alloc(raw->arena, (count + 1) * sizeof *types);
	uint8_t *seen = arena_alloc(raw->arena, count + 1);
	size_t *queue = arena_alloc(raw->arena, (count + 1) * sizeof *queue);
	if (!types || !seen || !queue)
		return no_room(raw);
	for (size_t i = 0; i < count; i++)
		if (build_entity(raw, i, seen, queue, &types[i]) < 0)
			return err_prefix(raw->err, "entity type `%s`",
			                  cedar_str_show(raw->arena, raw->entities[i].name));
	schema->entities = types;
	schema->entity_count = count;
	return 0;
}

static int find_action(const struct raw_schema *raw, const struct cedar_action_type *actions,
		       const struct cedar_uid *uid)
{
	for (size_t i = 0; i < raw->action_count; i++)
		if (cedar_uid_equal(&actions[i].uid, uid))
			return (int)i;
	return -1;
}

static int action_uid(struct raw_schema *raw, struct cedar_str space, struct cedar_str id,
		      struct cedar_uid *ret_uid)
{
	struct cedar_str type;
	TRY(raw_full_name(raw, space, CEDAR_STR("Action"), &type));
	cedar_uid_init(ret_uid, type, id);
	return 0;
}

/* A bare Action:: means that of the namespace, if it has such an action. */
static int parent_uid(struct raw_schema *raw, const struct cedar_action_type *actions,
		      struct cedar_str space, const struct raw_ref *ref, struct cedar_uid *ret_uid)
{
	bool bare = !ref->type.len || cedar_str_is(ref->type, "Action");
	if (bare)
		TRY(action_uid(raw, space, ref->id, ret_uid));
	if (!bare || (ref->type.len && find_action(raw, actions, ret_uid) < 0))
		cedar_uid_init(ret_uid, ref->type, ref->id);
	return find_action(raw, actions, ret_uid) < 0 ? unknown(raw, "action", ref->id) : 0;
}

static int build_action(struct raw_schema *raw, size_t i, struct cedar_action_type *actions)
{
	const struct raw_action *action = &raw->actions[i];
	const struct raw_applies *applies = &action->applies;
	struct cedar_action_type *type = &actions[i];
	const struct cedar_uid **parents = arena_alloc(raw->arena, (action->parent_count + 1) *
	                                               sizeof *parents);
	struct cedar_uid *uids = arena_alloc(raw->arena, (action->parent_count + 1) *
	                                     sizeof *uids);
	if (!parents || !uids)
		return no_room(raw);
	for (size_t p = 0; p < action->parent_count; p++) {
		TRY(parent_uid(raw, actions, action->space, &action->parents[p], &uids[p]));
		parents[p] = &uids[p];
	}
	type->parents = parents;
	type->parent_count = action->parent_count;
	TRY(entity_names(raw, action->space, applies->principals, applies->principal_count,
	                 &type->principals));
	TRY(entity_names(raw, action->space, applies->resources, applies->resource_count,
	                 &type->resources));
	return resolve_shape(raw, action->space, applies->context, "an action's context",
	                     &type->context);
}

static int action_ancestors(struct raw_schema *raw, struct cedar_action_type *actions, size_t start,
			    uint8_t *seen, size_t *queue)
{
	size_t head = 0, tail = 0;
	memset(seen, 0, raw->action_count);
	queue[tail++] = start;
	while (head < tail) {
		const struct cedar_action_type *action = &actions[queue[head++]];
		for (size_t p = 0; p < action->parent_count; p++) {
			size_t at = (size_t)find_action(raw, actions, action->parents[p]);
			if (at == start)
				return err_set(raw->err, E_INVALID, "action groups form a circle");
			if (!seen[at])
				queue[tail++] = at;
			seen[at] = 1;
		}
	}
	const struct cedar_uid **all = arena_alloc(raw->arena, tail * sizeof *all);
	if (!all)
		return no_room(raw);
	for (size_t i = 1; i < tail; i++)
		all[i - 1] = &actions[queue[i]].uid;
	actions[start].ancestors = all;
	actions[start].ancestor_count = tail - 1;
	return 0;
}

static int name_actions(struct raw_schema *raw, struct cedar_action_type *actions)
{
	for (size_t i = 0; i < raw->action_count; i++) {
		struct cedar_uid uid;
		TRY(action_uid(raw, raw->actions[i].space, raw->actions[i].id, &uid));
		if (find_action(raw, actions, &uid) >= 0)
			return err_set(raw->err, E_INVALID, "the action `%s` is declared twice",
			               cedar_str_show(raw->arena, uid.id));
		actions[i].uid = uid;
	}
	for (size_t i = 0; i < raw->action_count; i++) {
		struct cedar_uid bare;
		cedar_uid_init(&bare, CEDAR_STR("Action"), raw->actions[i].id);
		if (raw->actions[i].space.len && find_action(raw, actions, &bare) >= 0)
			return err_set(raw->err, E_INVALID, "the action `%s` hides the one without "
				"a namespace; rename either",
			               cedar_str_show(raw->arena, bare.id));
	}
	return 0;
}

static int build_actions(struct raw_schema *raw, struct cedar_schema *schema)
{
	size_t count = raw->action_count;
	if (count > CEDAR_ACTIONS_MAX)
		return err_set(raw->err, E_TOO_LARGE, "the schema has %zu actions; at most %d",
			count,
		               CEDAR_ACTIONS_MAX);
	struct cedar_action_type *actions = arena_alloc(raw->arena, (count + 1) * sizeof *actions);
	uint8_t *seen = arena_alloc(raw->arena, count + 1);
	size_t *queue = arena_alloc(raw->arena, (count + 1) * sizeof *queue);
	if (!actions || !seen || !queue)
		return no_room(raw);
	TRY(name_actions(raw, actions));
	for (size_t i = 0; i < count; i++)
		if (build_action(raw, i, actions) < 0)
			return err_prefix(raw->err, "action `%s`",
			                  cedar_str_show(raw->arena, raw->actions[i].id));
	for (size_t i = 0; i < count; i++)
		if (actions[i].parent_count)
			TRY(action_ancestors(raw, actions, i, seen, queue));
	schema->actions = actions;
	schema->action_count = count;
	return 0;
}

int raw_build(struct raw_schema *raw, const struct cedar_schema **ret_schema)
{
	struct cedar_schema *schema = arena_alloc(raw->arena, sizeof *schema);
	const struct cedar_type *unused = NULL;
	if (!schema)
		return no_room(raw);
	TRY(sort(raw));
	TRY(check_all_hidden(raw));
	for (size_t i = 0; i < raw->common_count; i++)
		TRY(resolve_common(raw, &raw->commons[i], 0, &unused));
	TRY(build_entities(raw, schema));
	TRY(build_actions(raw, schema));
	*ret_schema = schema;
	return 0;
}
