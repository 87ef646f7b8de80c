/* engine_reading.c - see engine_reading.h. All columns are entities of one store, each below the
 * table; each is asked about for itself. */
#include "common/defs.h"
#include "policy/engine_reading.h"

#include "policy/cedar_partial.h"
#include "policy/engine_impl.h"

#include <string.h>

struct reading {
	struct arena *arena;
	const struct engine_ask *ask;
	const struct engine_columns *columns;
	struct engine_scene scene;
	struct cedar_request request;    /* about a column */
	struct engine_reading *result;
	struct value *masks, *hidden;    /* NULL: none yet */
	struct err *err;
};

static int no_room(const struct reading *reading)
{
	return err_set(reading->err, E_NOMEM, "no memory left to decide what may be read; nothing "
	               "is");
}

bool mask_is_stricter(enum mask a, enum mask b)
{
	static const int order[MASK_COUNT_] = {
		[MASK_NULL] = 9, [MASK_FIXED] = 8, [MASK_SHA256_LOCAL] = 7, [MASK_SHA256] = 6,
		[MASK_ALPHANUM] = 5, [MASK_YEAR] = 4, [MASK_MONTH] = 3, [MASK_SHOW_LAST_4] = 2,
		[MASK_SHOW_FIRST_4] = 1, [MASK_NONE] = 0,
	};
	return order[a] > order[b];
}

static void note(const struct reading *reading, const char *trouble)
{
	if (!reading->result->trouble)
		reading->result->trouble = trouble;
}

/* --- columns as entities --- */

static struct cedar_field text_field(const char *name, const char *text)
{
	return (struct cedar_field){ cedar_str(name),
		                     { .kind = CEDAR_STRING, .str = cedar_str(text) } };
}

static int set_of(const struct reading *reading, const struct value *texts,
                  struct cedar_value *ret_value)
{
	size_t count = value_len(texts);
	struct cedar_value *items = arena_alloc(reading->arena, (count + 1) * sizeof *items);
	if (!items)
		return no_room(reading);
	for (size_t i = 0; i < count; i++) {
		const char *text = value_as_str(value_at(texts, i));
		items[i] = (struct cedar_value){ .kind = CEDAR_STRING,
			                         .str = cedar_str(text ? text : "") };
	}
	ret_value->kind = CEDAR_SET;
	return cedar_items_new(reading->arena, items, count, &ret_value->set, reading->err);
}

/* What the column has of its table: tenant, domain, labels. */
static size_t take_over(const struct reading *reading, struct cedar_field *fields)
{
	static const char *const names[] = { "tenant", "domain", "labels" };
	const struct cedar_entity *table =
		cedar_entities_find(reading->scene.entities, &reading->scene.request.resource);
	size_t count = 0;
	for (size_t i = 0; table && table->attrs && i < table->attrs->count; i++)
		for (size_t j = 0; j < ARRAY_LEN(names); j++)
			if (cedar_str_is(table->attrs->fields[i].name, names[j]))
				fields[count++] = table->attrs->fields[i];
	return count;
}

static struct cedar_uid column_uid(const struct reading *reading, const char *name)
{
	struct cedar_uid uid;
	struct cedar_str table = reading->scene.request.resource.id;
	const char *id = arena_printf(reading->arena, "%.*s/%s", (int)table.len, table.text, name);
	cedar_uid_init(&uid, CEDAR_STR("Column"), cedar_str(id ? id : ""));
	return uid;
}

static int add_column(const struct reading *reading, const char *name, const char *type)
{
	struct arena *arena = reading->arena;
	struct cedar_field *fields = arena_alloc(arena, 6 * sizeof *fields);
	const struct cedar_uid **parent = arena_alloc(arena, sizeof *parent);
	struct cedar_entity entity = { .uid = column_uid(reading, name), .parent_count = 1,
		                       .parents = parent };
	if (!fields || !parent || !entity.uid.id.len)
		return no_room(reading);
	*parent = &reading->scene.request.resource;
	size_t count = take_over(reading, fields);
	fields[count++] = text_field("name", name);
	fields[count++] = text_field("type", type);
	fields[count].name = CEDAR_STR("tags");
	TRY(set_of(reading, value_get(reading->columns->tags, name), &fields[count++].value));
	TRY(cedar_record_new(arena, fields, count, &entity.attrs, reading->err));
	return cedar_entities_add(reading->scene.entities, &entity, reading->err);
}

static int add_action(struct reading *reading)
{
	const struct cedar_uid **parent = arena_alloc(reading->arena, sizeof *parent);
	struct cedar_uid *read = arena_alloc(reading->arena, sizeof *read);
	struct cedar_entity entity = { .parent_count = 1, .parents = parent };
	if (!parent || !read)
		return no_room(reading);
	cedar_uid_init(read, CEDAR_STR("Action"), CEDAR_STR("read"));
	cedar_uid_init(&entity.uid, CEDAR_STR("Action"), CEDAR_STR("column:read"));
	*parent = read;
	reading->request = reading->scene.request;
	reading->request.action = entity.uid;
	return cedar_entities_add(reading->scene.entities, &entity, reading->err);
}

static int add_entities(struct reading *reading)
{
	const struct value *schema = reading->columns->schema;
	TRY(add_action(reading));
	for (size_t i = 0; i < value_len(schema); i++) {
		const struct value *column = value_at(schema, i);
		const char *name = value_get_str(column, "name");
		const char *type = value_get_str(column, "type");
		TRY(add_column(reading, name ? name : "", type ? type : ""));
	}
	return cedar_entities_close(reading->scene.entities, reading->err);
}

/* --- what is said of one column --- */

/* *ret_mask MASK_NONE: it is hidden. */
static int mask_of(const struct reading *reading, const struct value *column,
                   const struct cedar_policy *policy, enum mask *ret_mask)
{
	struct err why = { 0 };
	const struct cedar_str *text = cedar_policy_annotation(policy, MASK_ANNOTATION);
	const char *name = value_get_str(column, "name"), *type = value_get_str(column, "type");
	*ret_mask = MASK_NONE;
	if (!text)
		return 0;
	enum mask mask = MASK_NONE;
	const char *action = arena_strndup(reading->arena, text->text, text->len);
	if (!action)
		return no_room(reading);
	if (mask_by_name(action, &mask, &why) == 0 && mask != MASK_NONE &&
	    mask_check(mask, name, type, value_get_bool(column, "required", false), &why) == 0) {
		*ret_mask = mask;
		return 0;
	}
	const char *rule = engine_rule(reading->arena, policy);
	const char *trouble = arena_printf(reading->arena, "%s: %s; the column is hidden instead",
	                                   rule ? rule : "", why.text);
	if (!rule || !trouble)
		return no_room(reading);
	note(reading, trouble);
	return 0;
}

static int hide(struct reading *reading, const char *name)
{
	if (!reading->hidden)
		reading->hidden = value_list(reading->arena);
	value_add_str(reading->hidden, name);
	return value_check(reading->hidden, reading->err);
}

static int set_mask(struct reading *reading, const char *name, enum mask mask)
{
	if (!reading->masks)
		reading->masks = value_map(reading->arena);
	value_set_str(reading->masks, name, mask_name(mask));
	return value_check(reading->masks, reading->err);
}

static int read_column(struct reading *reading, const struct value *column)
{
	const char *name = value_get_str(column, "name");
	struct cedar_answer answer;
	enum mask strictest = MASK_NONE;
	bool forbidden = false;
	reading->request.resource = column_uid(reading, name ? name : "");
	if (!reading->request.resource.id.len)
		return no_room(reading);
	TRY(cedar_set_decide(reading->scene.set, reading->arena, &reading->request,
	                     reading->scene.entities, &answer, reading->err));
	for (size_t i = 0; !answer.allowed && i < answer.reason_count; i++) {
		enum mask mask = MASK_NONE;
		if (!answer.reasons[i]->forbid)
			continue;
		forbidden = true;
		TRY(mask_of(reading, column, answer.reasons[i], &mask));
		if (mask == MASK_NONE)
			return hide(reading, name);
		if (mask_is_stricter(mask, strictest))
			strictest = mask;
	}
	return forbidden ? set_mask(reading, name, strictest) : 0;
}

/* --- all of it --- */

static int tell_rows(struct reading *reading, const struct cedar_rows *rows)
{
	struct engine_reading *result = reading->result;
	result->filter = rowfilter_tidy(reading->arena, rows->filter);
	result->spared = rowfilter_tidy(reading->arena, rows->spared);
	if (!result->filter || !result->spared)
		return no_room(reading);
	for (size_t i = 0; i < rows->reason_count && i < ENGINE_RULES_MAX; i++) {
		const char *rule = engine_rule(reading->arena, rows->reasons[i]);
		if (!rule)
			return no_room(reading);
		result->rules[result->rule_count++] = rule;
	}
	if (!rows->lost_count)
		return 0;
	const char *rule = engine_rule(reading->arena, rows->lost[0].policy);
	bool forbid = rows->lost[0].policy->forbid;
	const char *trouble = arena_printf(reading->arena, "%s: %s; so it %s", rule ? rule : "",
	                                   rows->lost[0].reason,
	                                   forbid ? "forbids every row" : "permits no row");
	if (!rule || !trouble)
		return no_room(reading);
	note(reading, trouble);
	return 0;
}

int engine_read(const struct engine *engine, struct arena *arena, const struct engine_ask *ask,
                const struct engine_columns *columns, struct engine_reading *ret_reading,
                struct err *err)
{
	struct engine_reading result = { .filter = NULL };
	struct cedar_rows rows;
	struct reading reading = { .arena = arena, .ask = ask, .columns = columns,
		                   .result = &result, .err = err };
	TRY(engine_scene(engine, arena, ask, &reading.scene, err));
	TRY(add_entities(&reading));
	TRY(cedar_set_rows(reading.scene.set, arena, &reading.scene.request,
	                   reading.scene.entities, columns->schema, &rows, err));
	TRY(tell_rows(&reading, &rows));
	for (size_t i = 0; i < value_len(columns->schema); i++)
		TRY(read_column(&reading, value_at(columns->schema, i)));
	result.masks = reading.masks;
	result.hidden = reading.hidden;
	*ret_reading = result;
	return 0;
}
