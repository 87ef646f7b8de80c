/* sql_from.c - what a FROM brings into scope; see sql_walk.h. */
#include "common/defs.h"
#include "worker/sql_walk.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

int sql_relation_new(struct sql_walk *walk, const char *alias, size_t count,
                     struct sql_relation **ret_relation, struct err *err)
{
	struct arena *arena = walk->inputs->arena;
	struct sql_relation *relation = arena_alloc(arena, sizeof *relation);
	struct sql_column *columns = arena_alloc(arena, (count + 1) * sizeof *columns);
	if (!relation || !columns)
		return sql_walk_nomem(err);
	memset(columns, 0, (count + 1) * sizeof *columns);
	*relation = (struct sql_relation){
		.alias = alias ? alias : "", .columns = columns, .count = count, .counted = true,
		.all = sql_set_new(walk->inputs),
	};
	for (size_t i = 0; i < count; i++) {
		columns[i] = (struct sql_column){ "", sql_set_new(walk->inputs), false };
		if (!columns[i].set)
			return sql_walk_nomem(err);
	}
	*ret_relation = relation;
	return relation->all ? 0 : sql_walk_nomem(err);
}

static const char *alias_of(const struct sql_node *from, const char *fallback)
{
	return sql_text_or(from, "alias", fallback);
}

/* AS x(a, b): of the first columns. */
static int rename_columns(const struct sql_node *names, struct sql_relation *relation,
                          struct err *err)
{
	size_t i = 0;
	const struct sql_node *at = names ? names->first : NULL;
	for (; at && i < relation->count; at = at->next, i++) {
		if (at->kind != SQL_TEXT)
			return sql_walk_unsure(err);
		relation->columns[i].name = at->text;
	}
	return 0;
}

/* The same columns under another alias. */
static int add_copy(struct sql_walk *walk, const struct sql_relation *shape, const char *alias,
                    const struct sql_node *names, struct sql_scope *scope, struct err *err)
{
	struct sql_relation *copy = NULL;
	TRY(sql_relation_new(walk, alias, shape->count, &copy, err));
	for (size_t i = 0; i < shape->count; i++)
		copy->columns[i] = (struct sql_column){ shape->columns[i].name,
			                                shape->columns[i].set, false };
	copy->counted = shape->counted;
	copy->open = shape->open;
	copy->all = shape->all;
	TRY(rename_columns(names, copy, err));
	sql_scope_add(scope, copy);
	return 0;
}

static int add_input(struct sql_walk *walk, struct sql_input *input, const char *alias,
                     const struct sql_node *names, struct sql_scope *scope, struct err *err)
{
	struct sql_relation *relation = NULL;
	TRY(sql_relation_new(walk, alias, input->columns, &relation, err));
	for (size_t i = 0; i < input->columns; i++) {
		const char *name = value_get_str(value_at(input->schema, i), "name");
		relation->columns[i].name = name ? name : "";
		sql_set_bit(relation->columns[i].set, input->first + i);
	}
	relation->open = relation->counted = false;
	if (input->columns)
		relation->counted = true;
	else
		relation->open = true;
	sql_set_bit(relation->all, input->first - 1);
	input->touched = true;
	TRY(rename_columns(names, relation, err));
	sql_scope_add(scope, relation);
	return 0;
}

static int from_table(struct sql_walk *walk, const struct sql_node *from, struct sql_scope *scope,
                      const struct sql_cte *ctes, struct err *err)
{
	const char *name = sql_text(from, "table_name"), *schema = sql_text(from, "schema_name");
	const struct sql_node *names = sql_get(from, "column_name_alias");
	if (!name || sql_has(from, "at_clause"))
		return sql_walk_unsure(err);
	for (; ctes && !(schema && *schema); ctes = ctes->next)
		if (strcasecmp(ctes->name, name) == 0)
			return add_copy(walk, ctes->shape, alias_of(from, name), names, scope,
			                err);
	struct sql_input *input = sql_inputs_find(walk->inputs, walk->own_domain, schema, name);
	return input ? add_input(walk, input, alias_of(from, name), names, scope, err)
	             : sql_walk_unsure(err);
}

static int from_subquery(struct sql_walk *walk, const struct sql_node *from,
                         struct sql_scope *scope, const struct sql_cte *ctes, struct err *err)
{
	struct sql_relation *result = NULL;
	/* What stands before it is visible to it, where it is LATERAL. */
	TRY(sql_walk_query(walk, sql_get(sql_get(from, "subquery"), "node"), scope, ctes, &result,
	                   err));
	return add_copy(walk, result, alias_of(from, ""), sql_get(from, "column_name_alias"), scope,
	                err);
}

/* unnest, range and the like: rows out of arguments. */
static int from_function(struct sql_walk *walk, const struct sql_node *from,
                         struct sql_scope *scope, const struct sql_cte *ctes, struct err *err)
{
	struct sql_relation *relation = NULL;
	const struct sql_node *function = sql_get(from, "function");
	const char *name = sql_text(function, "function_name");
	TRY(sql_relation_new(walk, alias_of(from, name), 0, &relation, err));
	relation->counted = false;
	relation->open = true;
	TRY(sql_walk_expression(walk, sql_get(function, "children"), scope, ctes, relation->all,
	                        err));
	sql_scope_add(scope, relation);
	return 0;
}

static int from_values(struct sql_walk *walk, const struct sql_node *from, struct sql_scope *scope,
                       const struct sql_cte *ctes, struct err *err)
{
	struct sql_relation *relation = NULL;
	size_t count = 0;
	const struct sql_node *rows = sql_get(from, "values");
	for (const struct sql_node *at = rows && rows->first ? rows->first->first : NULL; at;
	     at = at->next)
		count++;
	TRY(sql_relation_new(walk, alias_of(from, ""), count, &relation, err));
	TRY(sql_walk_expression(walk, rows, scope, ctes, relation->all, err));
	for (size_t i = 0; i < count; i++) {
		relation->columns[i].name = arena_printf(walk->inputs->arena, "col%zu", i);
		relation->columns[i].set = relation->all;
		if (!relation->columns[i].name)
			return sql_walk_nomem(err);
	}
	sql_scope_add(scope, relation);
	return 0;
}

/* --- joins --- */

/* A column that both sides have is one in SELECT *: the first that has it. */
static void merge(struct sql_walk *walk, struct sql_relation *left, struct sql_relation *right,
                  const char *name)
{
	struct sql_column *first = NULL;
	for (; right; right = right->next) {
		struct sql_column *column = sql_relation_find(right, name);
		if (!column)
			continue;
		sql_set_add(walk->inputs, walk->influence, column->set);
		for (struct sql_relation *at = left; at != right && !first; at = at->next)
			first = sql_relation_find(at, name);
		if (first && first != column)
			column->merged = true;
	}
	if (first)
		sql_set_add(walk->inputs, walk->influence, first->set);
}

static int merge_using(struct sql_walk *walk, const struct sql_node *using,
                       struct sql_relation *left, struct sql_relation *right, struct err *err)
{
	for (const struct sql_node *at = using ? using->first : NULL; at; at = at->next) {
		if (at->kind != SQL_TEXT)
			return sql_walk_unsure(err);
		merge(walk, left, right, at->text);
	}
	return 0;
}

static int merge_natural(struct sql_walk *walk, struct sql_relation *left,
                         struct sql_relation *right, struct err *err)
{
	for (struct sql_relation *at = left; at; at = at->next)
		if (!at->counted || at->open)
			return sql_walk_unsure(err);
	for (struct sql_relation *at = left; at != right; at = at->next)
		for (size_t i = 0; i < at->count; i++)
			merge(walk, left, right, at->columns[i].name);
	return 0;
}

static int from_join(struct sql_walk *walk, const struct sql_node *from, struct sql_scope *scope,
                     const struct sql_cte *ctes, struct err *err)
{
	struct sql_relation *before = scope->last;
	TRY(sql_walk_from(walk, sql_get(from, "left"), scope, ctes, err));
	struct sql_relation *middle = scope->last;
	TRY(sql_walk_from(walk, sql_get(from, "right"), scope, ctes, err));
	struct sql_relation *left = before ? before->next : scope->first;
	struct sql_relation *right = middle ? middle->next : scope->first;
	if (sql_is(from, "ref_type", "NATURAL"))
		TRY(merge_natural(walk, left, right, err));
	TRY(merge_using(walk, sql_get(from, "using_columns"), left, right, err));
	bool aside = sql_is(from, "join_type", "SEMI") || sql_is(from, "join_type", "ANTI");
	for (struct sql_relation *at = right; at; at = at->next)
		at->aside |= aside;
	return sql_walk_expression(walk, sql_get(from, "condition"), scope, ctes, walk->influence,
	                           err);
}

int sql_walk_from(struct sql_walk *walk, const struct sql_node *from, struct sql_scope *scope,
                  const struct sql_cte *ctes, struct err *err)
{
	static const struct {
		const char *type;
		int (*add)(struct sql_walk *walk, const struct sql_node *from,
		           struct sql_scope *scope, const struct sql_cte *ctes, struct err *err);
	} kinds[] = {
		{ "BASE_TABLE", from_table }, { "SUBQUERY", from_subquery }, { "JOIN", from_join },
		{ "TABLE_FUNCTION", from_function }, { "EXPRESSION_LIST", from_values },
	};
	if (!from || sql_is(from, "type", "EMPTY"))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (sql_is(from, "type", kinds[i].type))
			return kinds[i].add(walk, from, scope, ctes, err);
	return sql_walk_unsure(err);
}
