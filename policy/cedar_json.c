/* cedar_json.c - JSON to Cedar's values, by the schema's types where there are any. */
#include "common/defs.h"
#include "policy/cedar_json.h"

#include "common/json.h"
#include "policy/cedar_conform.h"

#include <string.h>

/* Neither jansson nor value.h holds a NUL in a name. Inside a document NUL is written as MARK '0',
 * and MARK itself as MARK '1'; both are undone when a text is taken out. */
#define MARK "\xee\x80\x80"               /* U+E000 */
#define MARK_ESCAPE "\\ue000"
enum { MARK_LEN = 3, ESCAPE_LEN = 6, GROWTH = 3 };

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "the JSON document does not fit into the memory set aside for "
	               "it; send a smaller one");
}

static bool at_escape(const char *at, const char *end, const char *escape)
{
	return end - at >= ESCAPE_LEN && strncasecmp(at, escape, ESCAPE_LEN) == 0;
}

static size_t put_mark(char *out, char which)
{
	memcpy(out, MARK_ESCAPE, ESCAPE_LEN);
	out[ESCAPE_LEN] = which;
	return ESCAPE_LEN + 1;
}

/* Outside of strings neither form is JSON, so all of the text is treated alike. */
static size_t mark_text(const char *text, size_t len, char *out)
{
	const char *at = text, *end = text + len;
	size_t used = 0;
	while (at < end) {
		if (at_escape(at, end, "\\u0000") || at_escape(at, end, MARK_ESCAPE)) {
			used += put_mark(out + used, at[2] == '0' ? '0' : '1');
			at += ESCAPE_LEN;
		} else if (end - at >= MARK_LEN && memcmp(at, MARK, MARK_LEN) == 0) {
			used += put_mark(out + used, '1');
			at += MARK_LEN;
		} else {
			/* An escaped backslash starts no escape. */
			size_t step = *at == '\\' && at + 1 < end ? 2 : 1;
			memcpy(out + used, at, step);
			used += step;
			at += step;
		}
	}
	return used;
}

static bool is_plain(const char *text, size_t len)
{
	static const char *const marked[] = { "\\u0000", "\\ue000", "\\uE000", MARK };
	for (size_t i = 0; text && len && i < ARRAY_LEN(marked); i++)
		if (memmem(text, len, marked[i], strlen(marked[i])))
			return false;
	return true;
}

int cedar_json_read(struct arena *arena, const char *text, size_t len, struct value **ret_value,
		    struct err *err)
{
	if (is_plain(text, len))
		return json_parse(arena, text, len, ret_value, err);
	char *marked = len < SIZE_MAX / GROWTH ? arena_alloc(arena, len * GROWTH) : NULL;
	if (!marked)
		return no_room(err);
	return json_parse(arena, marked, mark_text(text, len, marked), ret_value, err);
}

static int unmark(struct arena *arena, const char *text, size_t len, struct cedar_str *ret_str,
		  struct err *err)
{
	if (len && memmem(text, len, MARK, MARK_LEN) == NULL) {
		*ret_str = (struct cedar_str){ text, len };
		return 0;
	}
	char *out = arena_alloc(arena, len + 1);
	if (!out)
		return no_room(err);
	size_t used = 0;
	for (size_t i = 0; i < len;) {
		bool mark = len - i > MARK_LEN && memcmp(text + i, MARK, MARK_LEN) == 0;
		if (mark && text[i + MARK_LEN] == '0')
			out[used++] = 0;
		else if (mark)
			used = (size_t)(stpcpy(out + used, MARK) - out);
		else
			out[used++] = text[i];
		i += mark ? MARK_LEN + 1 : 1;
	}
	*ret_str = (struct cedar_str){ out, used };
	return 0;
}

int cedar_json_str(struct arena *arena, const struct value *value, const char *what,
		   struct cedar_str *ret_str, struct err *err)
{
	if (value_kind(value) != VALUE_STR)
		return err_set(err, E_INVALID, "%s must be a string", what);
	return unmark(arena, value_as_str(value), value_len(value), ret_str, err);
}

int cedar_json_name(struct arena *arena, const char *name, struct cedar_str *ret_str,
		    struct err *err)
{
	struct cedar_str copy;
	TRY(cedar_str_copy(arena, cedar_str(name), &copy, err));
	return unmark(arena, copy.text, copy.len, ret_str, err);
}

int cedar_json_uid(struct arena *arena, const struct value *value, struct cedar_uid *ret_uid,
		   struct err *err)
{
	struct cedar_str type, id;
	const struct value *escaped = value_get(value, "__entity");
	if (escaped)
		value = escaped;
	if (value_kind(value) != VALUE_MAP || value_len(value) != 2)
		return err_set(err, E_INVALID, "an entity's uid must be a map of `type` and `id`");
	TRY(cedar_json_str(arena, value_get(value, "type"), "a uid's `type`", &type, err));
	TRY(cedar_json_str(arena, value_get(value, "id"), "a uid's `id`", &id, err));
	cedar_uid_init(ret_uid, type, id);
	return 0;
}

static int entity_value(struct arena *arena, const struct value *value,
			struct cedar_value *ret_value, struct err *err)
{
	struct cedar_uid *uid = arena_alloc(arena, sizeof *uid);
	if (!uid)
		return no_room(err);
	TRY(cedar_json_uid(arena, value, uid, err));
	*ret_value = (struct cedar_value){ .kind = CEDAR_ENTITY, .uid = uid };
	return 0;
}

static int call(struct arena *arena, struct cedar_str name, const struct value *arg,
		struct cedar_value *ret_value, struct err *err)
{
	const struct cedar_function *function = cedar_function_find(name);
	struct cedar_value text = { .kind = CEDAR_STRING };
	if (!function || !cedar_function_makes(function))
		return err_set(err, E_INVALID, "`__extn` names `%s`; known are decimal, ip, "
			"datetime and duration", cedar_str_show(arena, name));
	TRY(cedar_json_str(arena, arg, "the `arg` of `__extn`", &text.str, err));
	return cedar_function_call(function, arena, &text, ret_value, err);
}

/* {"fn": F, "args": [...]}: any function, its arguments being values. */
static int call_args(struct arena *arena, struct cedar_str name, const struct value *list,
		     struct cedar_value *ret_value, struct err *err)
{
	const struct cedar_function *function = cedar_function_find(name);
	struct cedar_value args[CEDAR_FUNCTION_ARGS_MAX];
	if (!function || function->arity != value_len(list))
		return err_set(err, E_INVALID, "`__extn` names `%s` with %zu argument(s), which is "
			"no function of Cedar", cedar_str_show(arena, name), value_len(list));
	for (size_t i = 0; i < function->arity; i++) {
		TRY(cedar_json_value(arena, value_at(list, i), NULL, &args[i], err));
		if (args[i].kind != function->args[i])
			return err_set(err, E_INVALID, "`%s` takes %s, not %s", function->name,
			               cedar_kind_name(function->args[i]),
			               cedar_kind_name(args[i].kind));
	}
	return cedar_function_call(function, arena, args, ret_value, err);
}

static int call_escape(struct arena *arena, const struct value *escape,
		       struct cedar_value *ret_value, struct err *err)
{
	struct cedar_str name;
	const struct value *args = value_get(escape, "args");
	TRY(cedar_json_str(arena, value_get(escape, "fn"), "the `fn` of `__extn`", &name, err));
	if (args)
		return call_args(arena, name, args, ret_value, err);
	return call(arena, name, value_get(escape, "arg"), ret_value, err);
}

static int set_value(struct arena *arena, const struct value *list, const struct cedar_type *type,
		     struct cedar_value *ret_value, struct err *err)
{
	size_t count = value_len(list);
	const struct cedar_type *element = type && type->kind == CEDAR_TYPE_SET ? type->element
	                                                                        : NULL;
	struct cedar_value *values = arena_alloc(arena, (count + 1) * sizeof *values);
	if (!values)
		return no_room(err);
	for (size_t i = 0; i < count; i++)
		TRY(cedar_json_value(arena, value_at(list, i), element, &values[i], err));
	ret_value->kind = CEDAR_SET;
	return cedar_items_new(arena, values, count, &ret_value->set, err);
}

int cedar_json_record(struct arena *arena, const struct value *value, const struct cedar_type *type,
		      const struct cedar_record **ret_record, struct err *err)
{
	size_t count = value_len(value);
	if (value && value_kind(value) != VALUE_MAP)
		return err_set(err, E_INVALID, "attributes, tags and context must be a map");
	struct cedar_field *fields = arena_alloc(arena, (count + 1) * sizeof *fields);
	if (!fields)
		return no_room(err);
	for (size_t i = 0; i < count; i++) {
		const char *name = NULL;
		const struct value *member = value_member(value, i, &name);
		TRY(cedar_json_name(arena, name, &fields[i].name, err));
		const struct cedar_attr *attr = type && type->kind == CEDAR_TYPE_RECORD ?
			cedar_type_attr(type, fields[i].name) : NULL;
		TRY(cedar_json_value(arena, member, attr ? attr->type : NULL, &fields[i].value,
		                     err));
	}
	return cedar_record_new(arena, fields, count, ret_record, err);
}

static int map_value(struct arena *arena, const struct value *map, const struct cedar_type *type,
		     struct cedar_value *ret_value, struct err *err)
{
	const struct value *extn = value_get(map, "__extn");
	bool escape = extn || value_get(map, "__entity");
	if ((escape && value_len(map) != 1) || value_get(map, "__expr"))
		return err_set(err, E_INVALID, "`__entity` and `__extn` stand alone in their map; "
		               "`__expr` is not accepted");
	if (extn)
		return call_escape(arena, extn, ret_value, err);
	if (escape || (type && type->kind == CEDAR_TYPE_ENTITY))
		return entity_value(arena, map, ret_value, err);
	if (type && type->kind >= CEDAR_TYPE_DECIMAL && value_get(map, "fn"))
		return call_escape(arena, map, ret_value, err);
	ret_value->kind = CEDAR_RECORD;
	return cedar_json_record(arena, map, type, &ret_value->record, err);
}

static int text_value(struct arena *arena, const struct value *value, const struct cedar_type *type,
		      struct cedar_value *ret_value, struct err *err)
{
	static const char *const makers[] = {
		[CEDAR_TYPE_DECIMAL] = "decimal", [CEDAR_TYPE_IP] = "ip",
		[CEDAR_TYPE_DATETIME] = "datetime", [CEDAR_TYPE_DURATION] = "duration",
	};
	if (type && makers[type->kind])
		return call(arena, cedar_str(makers[type->kind]), value, ret_value, err);
	ret_value->kind = CEDAR_STRING;
	return cedar_json_str(arena, value, "a value", &ret_value->str, err);
}

int cedar_json_value(struct arena *arena, const struct value *value, const struct cedar_type *type,
		     struct cedar_value *ret_value, struct err *err)
{
	switch (value_kind(value)) {
	case VALUE_BOOL:
		*ret_value = (struct cedar_value){ .kind = CEDAR_BOOL,
			.b = value_as_bool(value, false) };
		return 0;
	case VALUE_INT:
		*ret_value = (struct cedar_value){ .kind = CEDAR_LONG,
			.i = value_as_int(value, 0) };
		return 0;
	case VALUE_STR: return text_value(arena, value, type, ret_value, err);
	case VALUE_LIST: return set_value(arena, value, type, ret_value, err);
	case VALUE_MAP: return map_value(arena, value, type, ret_value, err);
	default: return err_set(err, E_INVALID, "a value is %s; Cedar has booleans, 64-bit "
		"integers, strings, lists and maps", value_kind_name(value_kind(value)));
	}
}

static int parents_of(struct arena *arena, const struct value *list, struct cedar_entity *entity,
		      struct err *err)
{
	size_t count = value_len(list);
	if (list && value_kind(list) != VALUE_LIST)
		return err_set(err, E_INVALID, "an entity's `parents` must be a list of uids");
	const struct cedar_uid **uids = arena_alloc(arena, (count + 1) * sizeof *uids);
	struct cedar_uid *parents = arena_alloc(arena, (count + 1) * sizeof *parents);
	if (!uids || !parents)
		return no_room(err);
	for (size_t i = 0; i < count; i++) {
		TRY(cedar_json_uid(arena, value_at(list, i), &parents[i], err));
		uids[i] = &parents[i];
	}
	entity->parents = uids;
	entity->parent_count = count;
	return 0;
}

/* Tags are a map from any name to the one type that the schema gives them. */
static int tags_of(struct arena *arena, const struct value *map, const struct cedar_type *type,
		   const struct cedar_record **ret_tags, struct err *err)
{
	size_t count = value_len(map);
	if (map && value_kind(map) != VALUE_MAP)
		return err_set(err, E_INVALID, "an entity's `tags` must be a map");
	struct cedar_field *fields = arena_alloc(arena, (count + 1) * sizeof *fields);
	if (!fields)
		return no_room(err);
	for (size_t i = 0; i < count; i++) {
		const char *name = NULL;
		const struct value *member = value_member(map, i, &name);
		TRY(cedar_json_name(arena, name, &fields[i].name, err));
		TRY(cedar_json_value(arena, member, type, &fields[i].value, err));
	}
	return cedar_record_new(arena, fields, count, ret_tags, err);
}

static int read_entity(struct arena *arena, const struct value *item,
		       const struct cedar_schema *schema, struct cedar_entity *entity,
		       struct err *err)
{
	if (value_kind(item) != VALUE_MAP)
		return err_set(err, E_INVALID, "must be a map of uid, attrs, parents and tags");
	TRY(cedar_json_uid(arena, value_get(item, "uid"), &entity->uid, err));
	const struct cedar_entity_type *type = schema ?
		cedar_schema_entity(schema, entity->uid.type) : NULL;
	TRY(cedar_json_record(arena, value_get(item, "attrs"), type ? type->shape : NULL,
	                      &entity->attrs, err));
	TRY(tags_of(arena, value_get(item, "tags"), type ? type->tags : NULL, &entity->tags, err));
	return parents_of(arena, value_get(item, "parents"), entity, err);
}

static int add_actions(struct cedar_entities *entities, const struct cedar_schema *schema,
		       struct err *err)
{
	for (size_t i = 0; schema && i < schema->action_count; i++) {
		const struct cedar_action_type *action = &schema->actions[i];
		struct cedar_entity entity = { .uid = action->uid, .parents = action->parents,
			.parent_count = action->parent_count };
		TRY(cedar_entities_add(entities, &entity, err));
	}
	return 0;
}

int cedar_json_entities(struct cedar_entities *entities, struct arena *arena,
			const struct value *list, const struct cedar_schema *schema,
			struct err *err)
{
	if (value_kind(list) != VALUE_LIST)
		return err_set(err, E_INVALID, "entities must be a list");
	TRY(add_actions(entities, schema, err));
	for (size_t i = 0; i < value_len(list); i++) {
		struct cedar_entity entity = { 0 };
		if (read_entity(arena, value_at(list, i), schema, &entity, err) < 0)
			return err_prefix(err, "entity %zu of the list", i + 1);
		/* What the schema says of an action stands. */
		if (schema && cedar_schema_action(schema, &entity.uid))
			continue;
		if (schema && cedar_conform_entity(arena, schema, &entity, err) < 0)
			return err_prefix(err, "entity %zu of the list", i + 1);
		TRY(cedar_entities_add(entities, &entity, err));
	}
	return 0;
}

int cedar_json_request(struct arena *arena, const struct value *value,
		       const struct cedar_schema *schema, struct cedar_request *ret_request,
		       struct err *err)
{
	struct cedar_request request;
	if (cedar_json_uid(arena, value_get(value, "principal"), &request.principal, err) < 0)
		return err_prefix(err, "principal");
	if (cedar_json_uid(arena, value_get(value, "action"), &request.action, err) < 0)
		return err_prefix(err, "action");
	if (cedar_json_uid(arena, value_get(value, "resource"), &request.resource, err) < 0)
		return err_prefix(err, "resource");
	const struct cedar_action_type *action = schema ?
		cedar_schema_action(schema, &request.action) : NULL;
	if (cedar_json_record(arena, value_get(value, "context"), action ? action->context : NULL,
	                      &request.context, err) < 0)
		return err_prefix(err, "context");
	if (schema)
		TRY(cedar_conform_request(arena, schema, &request, err));
	*ret_request = request;
	return 0;
}
