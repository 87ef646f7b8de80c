/* model.c - see model.h. The text is made of the tables and then read by cedar_schema_parse, so
 * what is published is what policies are checked by; only labels and rows are opened after. */
#include "common/defs.h"
#include "policy/model.h"

#include "common/mask.h"
#include "policy/policy.h"

#include <string.h>

enum { MODEL_TEXT_MAX = 256 * 1024 };

struct model {
	const struct model_kind *kinds;
	size_t count;
	const struct cedar_schema *schema;
	const struct cedar_type *columns; /* of a row that nothing is known of */
	const struct cedar_type *tested;  /* the same where each is to be tested */
};

static const char *const role_names[] = {
#define ROLE(id, name, reach, ...) name,
#include "policy/roles.def"
#undef ROLE
};

static const char *const meanings[ACTION_COUNT_] = {
#define ACTION(id, name, meaning) [ACTION_##id] = meaning,
#include "policy/actions.def"
#undef ACTION
};

const char *model_action_group(const char *action)
{
	const char *verb = strchr(action, ':');
	return verb && strncmp(verb, ":read", 5) == 0 ? "read" : "write";
}

/* --- text --- */

static bool is_place(const struct model_kind *kind)
{
	return strcmp(kind->kind, "Tenant") == 0 || strcmp(kind->kind, "Domain") == 0;
}

static bool has_rows(const struct model_kind *kind)
{
	return strcmp(kind->kind, "Dataset") == 0 || strcmp(kind->kind, "FeatureView") == 0;
}

static const char *above(enum model_scope scope)
{
	static const char *const parents[] = {
		[MODEL_PLATFORM] = "[Platform]",
		[MODEL_TENANT] = "[Commons, Tenant]",
		[MODEL_DOMAIN] = "[Domain]",
	};
	return parents[scope];
}

static void say_kind(const struct model_kind *kind, struct buf *out)
{
	const char *open = kind->scope == MODEL_DOMAIN ? "" : "?";
	if (is_place(kind))
		return;
	buf_printf(out,
	           "entity %s in %s = {\n\ttenant: String, domain%s: String, name%s: String, "
	           "tags: Set<String>, labels: Labels%s\n};\n",
	           kind->kind, above(kind->scope), open, open, has_rows(kind) ? ", row: Row" : "");
}

static void say_entities(const struct model_kind *kinds, size_t count, struct buf *out)
{
	static const char place[] = "{\n\ttenant: String, domain?: String, name?: String, "
				    "tags: Set<String>, labels: Labels\n};\n";
	buf_printf(out,
	           "@doc(\"A label's name and its text; test it with has\")\ntype Labels = {};\n"
	           "@doc(\"A column's name and the row's value\")\ntype Row = {};\n\n"
	           "@doc(\"TENANT/ROLE, TENANT/DOMAIN/ROLE or "
	           "TENANT/DOMAIN/KIND/NAME/ROLE\")\nentity Role;\n"
	           "@doc(\"Who asks: TENANT/NAME; its own attributes beside these are "
	           "texts, and may be missing\")\nentity User in [Group, Role] = {\n"
	           "\ttenant: String, name: String, strength: String\n};\n"
	           "@doc(\"What belongs to no tenant: freehold\")\nentity Platform = %s"
	           "@doc(\"All of a tenant: TENANT\")\nentity Tenant = %s"
	           "@doc(\"What its members may know of a tenant: TENANT\")\n"
	           "entity Commons in [Tenant] = %s"
	           "@doc(\"TENANT/DOMAIN\")\nentity Domain in [Tenant] = %s",
	           place, place, place, place);
	for (size_t i = 0; i < count; i++)
		say_kind(&kinds[i], out);
	buf_printf(
		out,
		"@doc(\"TENANT/DOMAIN/DATASET/COLUMN, or TENANT/DOMAIN/VIEW/FEATURE\")\n"
		"entity Column in [Dataset, FeatureView] = {\n"
		"\ttenant: String, domain: String, name: String, type: String, tags: Set<String>, "
		"labels: Labels\n"
		"};\n");
}

static const struct model_kind *kind_of_action(const struct model_kind *kinds, size_t count,
                                               const char *action)
{
	size_t len = strcspn(action, ":");
	for (size_t i = 0; i < count; i++)
		if (strlen(kinds[i].name) == len && memcmp(kinds[i].name, action, len) == 0)
			return &kinds[i];
	return NULL;
}

static bool starts(const char *text, const char *head)
{
	return strncmp(text, head, strlen(head)) == 0;
}

/* Which kinds an action is asked of, besides places. */
static bool concerns(const char *action, const struct model_kind *own,
                     const struct model_kind *kind)
{
	if (is_place(kind))
		return false;
	if (own)
		return kind == own;
	if (starts(action, "task:"))
		return kind->scope == MODEL_DOMAIN;
	return (starts(action, "key:") && has_rows(kind)) ||
	       (starts(action, "features:") && strcmp(kind->kind, "FeatureView") == 0);
}

static void say_resources(const struct model_kind *kinds, size_t count, const char *action,
                          struct buf *out)
{
	const struct model_kind *own = kind_of_action(kinds, count, action);
	if (starts(action, "column:")) {
		buf_printf(out, "Column");
		return;
	}
	buf_printf(out, "Platform, Tenant, Commons, Domain");
	for (size_t i = 0; i < count; i++)
		if (concerns(action, own, &kinds[i]))
			buf_printf(out, ", %s", kinds[i].kind);
}

static void say_action(const struct model_kind *kinds, size_t count, enum action action,
                       struct buf *out)
{
	const char *name = action_name(action);
	buf_printf(out, "@doc(\"%s\")\naction \"%s\" in [\"%s\"", meanings[action], name,
	           model_action_group(name));
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++)
		if (role_has_action(role_names[i], action))
			buf_printf(out, ", \"role:%s\"", role_names[i]);
	buf_printf(out, "] appliesTo {\n\tprincipal: User,\n\tresource: [");
	say_resources(kinds, count, name, out);
	buf_printf(out, "],\n\tcontext: Asked\n};\n");
}

int model_print(const struct model_kind *kinds, size_t count, struct buf *out, struct err *err)
{
	say_entities(kinds, count, out);
	buf_printf(out, "\ntype Asked = { now: datetime, strength: String, address?: ipaddr, "
	                "purpose?: String };\n\n"
	                "action \"read\";\naction \"write\";\n");
	for (size_t i = 0; i < ARRAY_LEN(role_names); i++)
		buf_printf(out, "action \"role:%s\";\n", role_names[i]);
	for (int action = 0; action < ACTION_COUNT_; action++)
		if (strchr(action_name((enum action)action), ':'))
			say_action(kinds, count, (enum action)action, out);
	return buf_check(out, err);
}

/* --- made --- */

static int open_attr(const struct model *model, struct arena *arena, struct cedar_attr *attr,
                     struct err *err)
{
	if (cedar_str_is(attr->name, "labels"))
		return cedar_type_open(arena, attr->type, cedar_type_of(CEDAR_TYPE_STRING), false,
		                       &attr->type, err);
	if (cedar_str_is(attr->name, "row"))
		attr->type = model->columns;
	return 0;
}

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory left for the schema of policies");
}

/* The shape again, with another type for rows, or (NULL) opened. */
static int shape_again(const struct model *model, struct arena *arena, const struct cedar_type *row,
                       const struct cedar_type **shape, struct err *err)
{
	const struct cedar_type *old = *shape;
	struct cedar_attr *attrs = arena_alloc(arena, (old->count + 1) * sizeof *attrs);
	if (!attrs)
		return no_room(err);
	for (size_t i = 0; i < old->count; i++) {
		attrs[i] = old->attrs[i];
		if (!row)
			TRY(open_attr(model, arena, &attrs[i], err));
		else if (cedar_str_is(attrs[i].name, "row"))
			attrs[i].type = row;
	}
	return cedar_type_record(arena, attrs, old->count, shape, err);
}

/* A principal's own attributes: any text, which is to be tested where columns are. */
static int open_user(struct arena *arena, const struct cedar_type *row,
                     const struct cedar_type **shape, struct err *err)
{
	bool lenient = !row || row->lenient;
	return cedar_type_open(arena, *shape, cedar_type_of(CEDAR_TYPE_STRING), lenient, shape,
	                       err);
}

/* The schema again, with another type for rows, or (NULL) opened. */
static int schema_again(const struct model *model, struct arena *arena,
                        const struct cedar_schema *old, const struct cedar_type *row,
                        const struct cedar_schema **ret_schema, struct err *err)
{
	struct cedar_schema *schema = arena_alloc(arena, sizeof *schema);
	struct cedar_entity_type *entities =
		arena_alloc(arena, (old->entity_count + 1) * sizeof *entities);
	if (!schema || !entities)
		return no_room(err);
	*schema = *old;
	schema->entities = entities;
	for (size_t i = 0; i < old->entity_count; i++) {
		entities[i] = old->entities[i];
		if (!entities[i].shape)
			continue;
		if (cedar_str_is(entities[i].name, "User"))
			TRY(open_user(arena, row, &entities[i].shape, err));
		else
			TRY(shape_again(model, arena, row, &entities[i].shape, err));
	}
	*ret_schema = schema;
	return 0;
}

int model_new(struct arena *arena, const struct model_kind *kinds, size_t count,
              const struct model **ret_model, struct err *err)
{
	AUTO_BUF text;
	struct model *model = arena_alloc(arena, sizeof *model);
	const struct cedar_type *scalar = cedar_type_of(CEDAR_TYPE_SCALAR);
	const struct cedar_type *none = cedar_type_empty_record();
	const struct cedar_schema *schema = NULL;
	buf_init(&text, MODEL_TEXT_MAX);
	if (!model)
		return no_room(err);
	*model = (struct model){.kinds = kinds, .count = count};
	TRY(model_print(kinds, count, &text, err));
	TRY(cedar_schema_parse(arena, (const char *)text.data, text.len, &schema, err));
	TRY(cedar_type_open(arena, none, scalar, true, &model->columns, err));
	TRY(cedar_type_open(arena, none, scalar, false, &model->tested, err));
	TRY(schema_again(model, arena, schema, NULL, &model->schema, err));
	*ret_model = model;
	return 0;
}

const struct cedar_schema *model_schema(const struct model *model)
{
	return model->schema;
}

const struct model_kind *model_kind_named(const struct model *model, const char *name)
{
	for (size_t i = 0; i < model->count; i++)
		if (strcmp(model->kinds[i].kind, name) == 0 ||
		    strcmp(model->kinds[i].name, name) == 0)
			return &model->kinds[i];
	return NULL;
}

/* --- policies --- */

static enum cedar_type_kind column_kind(const char *type)
{
	static const struct {
		const char *type;
		enum cedar_type_kind kind;
	} kinds[] = {
		{"boolean", CEDAR_TYPE_BOOL},       {"int32", CEDAR_TYPE_LONG},
		{"int64", CEDAR_TYPE_LONG},         {"string", CEDAR_TYPE_STRING},
		{"timestamp", CEDAR_TYPE_DATETIME}, {"date", CEDAR_TYPE_DATETIME},
	};
	for (size_t i = 0; type && i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return kinds[i].kind;
	return CEDAR_TYPE_SCALAR;
}

static int row_of(struct arena *arena, const struct value *columns, bool lenient,
                  const struct cedar_type **ret_row, struct err *err)
{
	size_t count = value_len(columns), kept = 0;
	struct cedar_attr *attrs = arena_alloc(arena, (count + 1) * sizeof *attrs);
	const struct cedar_type *record = NULL;
	if (!attrs)
		return no_room(err);
	for (size_t i = 0; i < count; i++) {
		const struct value *column = value_at(columns, i);
		const char *name = value_get_str(column, "name");
		if (name)
			attrs[kept++] = (struct cedar_attr){
				cedar_str(name), false,
				cedar_type_of(column_kind(value_get_str(column, "type")))};
	}
	TRY(cedar_type_record(arena, attrs, kept, &record, err));
	return cedar_type_open(arena, record, NULL, lenient, ret_row, err);
}

/* What rows are for a policy: of the one dataset that its scope names, or of any. */
static int schema_for(const struct model *model, struct arena *arena,
                      const struct cedar_policy *policy, const struct model_data *data,
                      const struct cedar_schema **ret_schema, struct err *err)
{
	const struct cedar_scope *scope = &policy->resource;
	const struct cedar_uid *uid =
		scope->kind == CEDAR_SCOPE_EQ && scope->count ? scope->uids[0] : NULL;
	const struct value *columns = NULL;
	const struct cedar_type *row = data && data->fallible ? model->tested : NULL;
	*ret_schema = model->schema;
	if (data && data->columns && uid && cedar_str_is(uid->type, "Dataset")) {
		const char *id = arena_strndup(arena, uid->id.text, uid->id.len);
		columns = id ? data->columns(data->context, id) : NULL;
	}
	if (value_len(columns))
		TRY(row_of(arena, columns, !data->fallible, &row, err));
	return row ? schema_again(model, arena, model->schema, row, ret_schema, err) : 0;
}

/* The column that the scope names, as far as its dataset's columns are known. */
static const struct value *column_named(struct arena *arena, const struct cedar_scope *scope,
                                        const struct model_data *data)
{
	const struct cedar_uid *uid = scope->kind == CEDAR_SCOPE_EQ && scope->count
		? scope->uids[0] : NULL;
	if (!data || !data->columns || !uid || !cedar_str_is(uid->type, "Column"))
		return NULL;
	char *id = arena_strndup(arena, uid->id.text, uid->id.len);
	char *last = id ? strrchr(id, '/') : NULL;
	if (!last)
		return NULL;
	*last = 0;
	const struct value *columns = data->columns(data->context, id);
	for (size_t i = 0; i < value_len(columns); i++) {
		const char *name = value_get_str(value_at(columns, i), "name");
		if (name && strcmp(name, last + 1) == 0)
			return value_at(columns, i);
	}
	return NULL;
}

/* Whether it is for the column that the scope names; true where that is not known. */
static bool mask_fits(struct arena *arena, const struct cedar_policy *policy, enum mask mask,
                      const struct model_data *data, struct err *why)
{
	const struct value *column = column_named(arena, &policy->resource, data);
	const char *type = value_get_str(column, "type");
	return !type || mask_check(mask, value_get_str(column, "name"), type,
	                           value_get_bool(column, "required", false), why) == 0;
}

static int check_mask(struct arena *arena, const struct cedar_policy *policy,
                      const struct model_data *data, const char **ret_text, struct err *err)
{
	const struct cedar_str *mask = cedar_policy_annotation(policy, "mask");
	enum mask found = MASK_NONE;
	struct err why = {0};
	if (!mask)
		return 0;
	const char *name = arena_strndup(arena, mask->text, mask->len);
	if (!name)
		return no_room(err);
	if (!policy->forbid)
		err_set(&why, E_INVALID, "a permit masks nothing; @mask belongs to a forbid");
	else if (mask_by_name(name, &found, &why) == 0 && found != MASK_NONE &&
	         mask_fits(arena, policy, found, data, &why))
		return 0;
	else if (why.code == 0)
		err_set(&why, E_INVALID, "none is no mask; leave the annotation out");
	*ret_text = arena_printf(arena, "line %u, column %u: @mask: %s", policy->place.line,
	                         policy->place.column, why.text);
	return *ret_text ? 0 : no_room(err);
}

static int check_one(const struct model *model, struct arena *arena,
                     const struct cedar_policy *policy, const struct model_data *data,
                     const char **ret_text, struct err *err)
{
	const struct cedar_schema *schema = NULL;
	const struct cedar_finding *findings = NULL;
	size_t count = 0;
	*ret_text = NULL;
	TRY(schema_for(model, arena, policy, data, &schema, err));
	TRY(cedar_validate(arena, schema, policy, 1, &findings, &count, err));
	if (count)
		*ret_text = findings[0].text;
	return count ? 0 : check_mask(arena, policy, data, ret_text, err);
}

int model_check(const struct model *model, struct arena *arena,
                const struct cedar_policies *policies, const struct model_data *data,
                const struct cedar_finding **ret_findings, size_t *ret_count, struct err *err)
{
	struct cedar_finding *findings = arena_alloc(arena, CEDAR_FINDINGS_MAX * sizeof *findings);
	size_t found = 0;
	if (!findings)
		return no_room(err);
	for (size_t i = 0; i < policies->count && found < CEDAR_FINDINGS_MAX; i++) {
		const char *text = NULL;
		TRY(check_one(model, arena, &policies->items[i], data, &text, err));
		if (text)
			findings[found++] = (struct cedar_finding){&policies->items[i], text};
	}
	*ret_findings = findings;
	*ret_count = found;
	return 0;
}
