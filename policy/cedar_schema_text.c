/* cedar_schema_text.c - the human-readable form
 * (docs.cedarpolicy.com, "Human-readable schema grammar"). */
#include "common/defs.h"
#include "policy/cedar_schema_raw.h"

#include "policy/cedar_lex.h"

struct reader {
	struct cedar_lexer lexer;
	struct raw_schema raw;
	struct cedar_str space;
	int nesting;
};

static int read_type(struct reader *reader, const struct raw_type **ret_type);

static int no_room(struct reader *reader)
{
	return err_set(reader->raw.err, E_NOMEM, "no memory left for the schema");
}

/* One attribute's name, as words or in quotes; words of the language are no exception here. */
static int read_attr_name(struct cedar_lexer *lexer, struct cedar_str *ret_name)
{
	return cedar_lex_is(lexer, CEDAR_TEXT) ? cedar_lex_string(lexer, ret_name)
	                                       : cedar_lex_any_ident(lexer, ret_name);
}

static int read_attr(struct reader *reader, struct raw_attr *attr)
{
	struct cedar_lexer *lexer = &reader->lexer;
	const struct cedar_annotation *unused = NULL;
	size_t count = 0;
	TRY(cedar_lex_annotations(lexer, &unused, &count));
	TRY(read_attr_name(lexer, &attr->name));
	int optional = cedar_lex_accept(lexer, '?');
	TRY(optional);
	attr->required = !optional;
	TRY(cedar_lex_expect(lexer, ':', "`:` after an attribute's name"));
	return read_type(reader, &attr->type);
}

static int read_record(struct reader *reader, const struct raw_type **ret_type)
{
	struct cedar_lexer *lexer = &reader->lexer;
	struct raw_type *type = NULL;
	TRY(raw_make_type(&reader->raw, RAW_RECORD, (struct cedar_str){ "", 0 }, &type));
	TRY(cedar_lex_expect(lexer, '{', "`{`"));
	while (!cedar_lex_is(lexer, '}')) {
		type->attrs = cedar_grow(lexer->arena, type->attrs, type->count,
		                         sizeof *type->attrs);
		if (!type->attrs)
			return no_room(reader);
		TRY(read_attr(reader, &type->attrs[type->count++]));
		int comma = cedar_lex_accept(lexer, ',');
		TRY(comma);
		if (!comma)
			break;
	}
	*ret_type = type;
	return cedar_lex_expect(lexer, '}', "`,` or `}`");
}

static int read_set(struct reader *reader, const struct raw_type **ret_type)
{
	struct raw_type *type = NULL;
	TRY(cedar_lex_advance(&reader->lexer));
	TRY(cedar_lex_advance(&reader->lexer));
	TRY(raw_make_type(&reader->raw, RAW_SET, (struct cedar_str){ "", 0 }, &type));
	TRY(read_type(reader, &type->element));
	*ret_type = type;
	return cedar_lex_expect(&reader->lexer, '>', "`>`");
}

static int read_type(struct reader *reader, const struct raw_type **ret_type)
{
	struct cedar_lexer *lexer = &reader->lexer;
	if (++reader->nesting > CEDAR_DEPTH_MAX)
		return cedar_lex_refuse(lexer, "a type nests deeper than %d levels; name its parts",
		                        CEDAR_DEPTH_MAX);
	if (cedar_lex_is(lexer, '{')) {
		TRY(read_record(reader, ret_type));
	} else if (cedar_lex_is_word(lexer, "Set") && lexer->next.kind == '<') {
		TRY(read_set(reader, ret_type));
	} else {
		struct raw_type *type = NULL;
		struct cedar_str name;
		TRY(cedar_lex_path(lexer, &name));
		TRY(raw_make_type(&reader->raw, RAW_NAME, name, &type));
		*ret_type = type;
	}
	reader->nesting--;
	return 0;
}

/* A or [A, B]. */
static int read_paths(struct reader *reader, struct cedar_str **names, size_t *count)
{
	struct cedar_lexer *lexer = &reader->lexer;
	struct cedar_str name;
	int list = cedar_lex_accept(lexer, '[');
	TRY(list);
	while (!list || !cedar_lex_is(lexer, ']')) {
		TRY(cedar_lex_path(lexer, &name));
		TRY(raw_add_name(&reader->raw, names, count, name));
		int comma = list ? cedar_lex_accept(lexer, ',') : 0;
		TRY(comma);
		if (!comma)
			break;
	}
	return list ? cedar_lex_expect(lexer, ']', "`,` or `]`") : 0;
}

/* Names before a declaration's body: User, Group */
static int read_names(struct reader *reader, struct cedar_str **names, size_t *count)
{
	for (;;) {
		struct cedar_str name;
		TRY(read_attr_name(&reader->lexer, &name));
		TRY(raw_add_name(&reader->raw, names, count, name));
		int comma = cedar_lex_accept(&reader->lexer, ',');
		TRY(comma);
		if (!comma)
			return 0;
	}
}

static int read_choices(struct reader *reader, struct raw_entity *entity)
{
	struct cedar_lexer *lexer = &reader->lexer;
	struct cedar_str *choices = NULL, choice;
	size_t count = 0;
	entity->is_enum = true;
	TRY(cedar_lex_expect(lexer, '[', "`[` after enum"));
	for (;;) {
		TRY(cedar_lex_string(lexer, &choice));
		TRY(raw_add_name(&reader->raw, &choices, &count, choice));
		int comma = cedar_lex_accept(lexer, ',');
		TRY(comma);
		if (!comma || cedar_lex_is(lexer, ']'))
			break;
	}
	entity->choices = (struct cedar_names){ count, choices };
	return cedar_lex_expect(lexer, ']', "`,` or `]`");
}

static int read_entity_body(struct reader *reader, struct raw_entity *entity)
{
	struct cedar_lexer *lexer = &reader->lexer;
	int in = cedar_lex_accept_word(lexer, "in");
	TRY(in);
	if (in)
		TRY(read_paths(reader, &entity->parents, &entity->parent_count));
	int equal = cedar_lex_accept(lexer, '=');
	TRY(equal);
	if (equal || cedar_lex_is(lexer, '{'))
		TRY(read_record(reader, &entity->shape));
	int tags = cedar_lex_accept_word(lexer, "tags");
	TRY(tags);
	return tags ? read_type(reader, &entity->tags) : 0;
}

static int read_entity(struct reader *reader)
{
	struct cedar_lexer *lexer = &reader->lexer;
	struct raw_entity entity = { .space = reader->space };
	struct cedar_str *names = NULL;
	size_t count = 0;
	TRY(read_names(reader, &names, &count));
	int is_enum = cedar_lex_accept_word(lexer, "enum");
	TRY(is_enum);
	TRY(is_enum ? read_choices(reader, &entity) : read_entity_body(reader, &entity));
	for (size_t i = 0; i < count; i++)
		TRY(raw_add_entity(&reader->raw, &entity, names[i]));
	return cedar_lex_expect(lexer, ';', "`;` after an entity");
}

/* view, "view all" or Ns::Action::"view". */
static int read_ref(struct reader *reader, struct raw_ref *ref)
{
	struct cedar_lexer *lexer = &reader->lexer;
	*ref = (struct raw_ref){ .type = { "", 0 } };
	if (cedar_lex_is(lexer, CEDAR_TEXT) || lexer->next.kind != CEDAR_TWO(':', ':'))
		return read_attr_name(lexer, &ref->id);
	TRY(cedar_lex_path(lexer, &ref->type));
	TRY(cedar_lex_expect(lexer, CEDAR_TWO(':', ':'), "`::\"id\"`"));
	return cedar_lex_string(lexer, &ref->id);
}

static int read_refs(struct reader *reader, struct raw_action *action)
{
	struct cedar_lexer *lexer = &reader->lexer;
	int list = cedar_lex_accept(lexer, '[');
	TRY(list);
	while (!list || !cedar_lex_is(lexer, ']')) {
		action->parents = cedar_grow(lexer->arena, action->parents, action->parent_count,
		                             sizeof *action->parents);
		if (!action->parents)
			return no_room(reader);
		TRY(read_ref(reader, &action->parents[action->parent_count++]));
		int comma = list ? cedar_lex_accept(lexer, ',') : 0;
		TRY(comma);
		if (!comma)
			break;
	}
	return list ? cedar_lex_expect(lexer, ']', "`,` or `]`") : 0;
}

static int read_applies_part(struct reader *reader, struct raw_applies *applies, bool seen[3])
{
	static const char *const words[] = { "principal", "resource", "context" };
	struct cedar_lexer *lexer = &reader->lexer;
	size_t part = 0;
	while (part < 3 && !cedar_lex_is_word(lexer, words[part]))
		part++;
	if (part == 3 || seen[part])
		return cedar_lex_refuse(lexer, "appliesTo has principal, resource and context, "
			"each once");
	seen[part] = true;
	TRY(cedar_lex_advance(lexer));
	TRY(cedar_lex_expect(lexer, ':', "`:`"));
	if (part == 0)
		return read_paths(reader, &applies->principals, &applies->principal_count);
	if (part == 1)
		return read_paths(reader, &applies->resources, &applies->resource_count);
	return read_type(reader, &applies->context);
}

static int read_applies(struct reader *reader, struct raw_applies *applies)
{
	struct cedar_lexer *lexer = &reader->lexer;
	bool seen[3] = { false, false, false };
	TRY(cedar_lex_expect(lexer, '{', "`{` after appliesTo"));
	while (!cedar_lex_is(lexer, '}')) {
		TRY(read_applies_part(reader, applies, seen));
		int comma = cedar_lex_accept(lexer, ',');
		TRY(comma);
		if (!comma)
			break;
	}
	if (!seen[0] || !seen[1])
		return cedar_lex_refuse(lexer, "appliesTo needs both principal and resource");
	return cedar_lex_expect(lexer, '}', "`,` or `}`");
}

static int read_action(struct reader *reader)
{
	struct cedar_lexer *lexer = &reader->lexer;
	struct raw_action action = { .space = reader->space };
	struct cedar_str *names = NULL;
	size_t count = 0;
	TRY(read_names(reader, &names, &count));
	int in = cedar_lex_accept_word(lexer, "in");
	TRY(in);
	if (in)
		TRY(read_refs(reader, &action));
	int applies = cedar_lex_accept_word(lexer, "appliesTo");
	TRY(applies);
	if (applies)
		TRY(read_applies(reader, &action.applies));
	for (size_t i = 0; i < count; i++) {
		action.id = names[i];
		TRY(raw_add_action(&reader->raw, &action));
	}
	return cedar_lex_expect(lexer, ';', "`;` after an action");
}

static int read_common(struct reader *reader)
{
	struct cedar_lexer *lexer = &reader->lexer;
	struct cedar_str name;
	const struct raw_type *type = NULL;
	TRY(cedar_lex_ident(lexer, &name));
	TRY(cedar_lex_expect(lexer, '=', "`=` after a type's name"));
	TRY(read_type(reader, &type));
	if (raw_add_common(&reader->raw, reader->space, name, type) < 0)
		return err_prefix(reader->raw.err, "line %u", lexer->token.place.line);
	return cedar_lex_expect(lexer, ';', "`;` after a type");
}

static int read_declaration(struct reader *reader)
{
	static const struct {
		const char *word;
		int (*read)(struct reader *);
	} kinds[] = {
		{ "entity", read_entity }, { "action", read_action }, { "type", read_common },
	};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		int found = cedar_lex_accept_word(&reader->lexer, kinds[i].word);
		TRY(found);
		if (found)
			return kinds[i].read(reader);
	}
	return cedar_lex_refuse(&reader->lexer, "expected entity, action or type%s",
	                        reader->space.len ? "" : ", or namespace");
}

static int read_annotated(struct reader *reader)
{
	const struct cedar_annotation *unused = NULL;
	size_t count = 0;
	return cedar_lex_annotations(&reader->lexer, &unused, &count);
}

static int read_namespace(struct reader *reader)
{
	struct cedar_lexer *lexer = &reader->lexer;
	TRY(cedar_lex_path(lexer, &reader->space));
	TRY(cedar_lex_expect(lexer, '{', "`{` after a namespace's name"));
	while (!cedar_lex_is(lexer, '}')) {
		TRY(read_annotated(reader));
		TRY(read_declaration(reader));
	}
	reader->space = (struct cedar_str){ "", 0 };
	return cedar_lex_advance(lexer);
}

int cedar_schema_parse(struct arena *arena, const char *text, size_t len,
		       const struct cedar_schema **ret_schema, struct err *err)
{
	struct reader reader = { .raw = { .arena = arena, .err = err }, .space = { "", 0 } };
	TRY(cedar_lex_start(&reader.lexer, arena, text, len, err));
	while (!cedar_lex_is(&reader.lexer, CEDAR_END)) {
		TRY(read_annotated(&reader));
		int space = cedar_lex_accept_word(&reader.lexer, "namespace");
		TRY(space);
		TRY(space ? read_namespace(&reader) : read_declaration(&reader));
	}
	return raw_build(&reader.raw, ret_schema);
}
