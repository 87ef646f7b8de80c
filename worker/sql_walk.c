/* sql_walk.c - see sql_walk.h. What is not known to be understood is not guessed: E_INVALID. */
#include "common/defs.h"
#include "worker/sql_walk.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAMES_MAX = 8 };

int sql_walk_unsure(struct err *err)
{
	return err_set(err, E_INVALID, "sql: it cannot be said what its columns are made of");
}

int sql_walk_nomem(struct err *err)
{
	return err_set(err, E_NOMEM, "sql: no memory to say what its columns are made of");
}

/* --- expressions --- */

static int walk_name(struct sql_walk *walk, const struct sql_node *expression,
                     const struct sql_scope *scope, sql_word *set, struct err *err)
{
	const char *names[NAMES_MAX];
	size_t count = 0;
	const struct sql_node *list = sql_get(expression, "column_names");
	for (const struct sql_node *at = list ? list->first : NULL; at; at = at->next) {
		if (count == NAMES_MAX || at->kind != SQL_TEXT)
			return sql_walk_unsure(err);
		names[count++] = at->text;
	}
	bool found = sql_scope_resolve(walk->inputs, scope, names, count, set);
	return found || walk->lambdas ? 0 : sql_walk_unsure(err);
}

/* Where every column is meant, or one by its place. */
static int walk_star(struct sql_walk *walk, const struct sql_scope *scope, sql_word *set)
{
	for (; scope; scope = scope->outer)
		for (const struct sql_relation *at = scope->first; at; at = at->next)
			sql_set_add(walk->inputs, set, at->all);
	return 0;
}

static int walk_subquery(struct sql_walk *walk, const struct sql_node *expression,
                         const struct sql_scope *scope, const struct sql_cte *ctes, sql_word *set,
                         struct err *err)
{
	struct sql_relation *result = NULL;
	sql_word *around = walk->influence;
	walk->influence = sql_set_new(walk->inputs);
	if (!walk->influence)
		return sql_walk_nomem(err);
	int rc = sql_walk_query(walk, sql_get(sql_get(expression, "subquery"), "node"), scope,
	                        ctes, &result, err);
	/* What decides its rows decides the value. */
	sql_set_add(walk->inputs, set, walk->influence);
	walk->influence = around;
	TRY(rc);
	sql_set_add(walk->inputs, set, result->all);
	return sql_walk_expression(walk, sql_get(expression, "child"), scope, ctes, set, err);
}

static int walk_lambda(struct sql_walk *walk, const struct sql_node *expression,
                       const struct sql_scope *scope, const struct sql_cte *ctes, sql_word *set,
                       struct err *err)
{
	walk->lambdas++;
	int rc = sql_walk_expression(walk, sql_get(expression, "expr"), scope, ctes, set, err);
	walk->lambdas--;
	return rc;
}

int sql_walk_expression(struct sql_walk *walk, const struct sql_node *expression,
                        const struct sql_scope *scope, const struct sql_cte *ctes, sql_word *set,
                        struct err *err)
{
	if (!expression || expression->kind == SQL_TEXT || expression->kind == SQL_OTHER)
		return 0;
	if (sql_is(expression, "class", "COLUMN_REF"))
		return walk_name(walk, expression, scope, set, err);
	if (sql_is(expression, "class", "SUBQUERY"))
		return walk_subquery(walk, expression, scope, ctes, set, err);
	if (sql_is(expression, "class", "LAMBDA"))
		return walk_lambda(walk, expression, scope, ctes, set, err);
	if (sql_is(expression, "class", "CONSTANT"))
		return 0;
	if (sql_get(expression, "from_table"))
		return sql_walk_unsure(err);
	if (sql_is(expression, "class", "STAR") ||
	    sql_is(expression, "class", "POSITIONAL_REFERENCE"))
		TRY(walk_star(walk, scope, set));
	for (const struct sql_node *at = expression->first; at; at = at->next)
		TRY(sql_walk_expression(walk, at, scope, ctes, set, err));
	return 0;
}

/* --- the list that is selected --- */

/* A SELECT under way. */
struct selection {
	struct sql_walk *walk;
	struct sql_scope scope;
	const struct sql_cte *ctes;
	size_t room;
	const struct sql_node **nodes;       /* what each item was; NULL: of a star */
};

static int add_item(struct selection *selection, const char *name, const struct sql_node *node,
                    struct sql_column **ret_item, struct err *err)
{
	struct sql_scope *scope = &selection->scope;
	struct arena *arena = selection->walk->inputs->arena;
	if (scope->item_count == selection->room) {
		size_t room = selection->room ? 2 * selection->room : 32;
		struct sql_column *items = arena_alloc(arena, room * sizeof *items);
		const struct sql_node **nodes = arena_alloc(arena, room * sizeof *nodes);
		if (!items || !nodes)
			return sql_walk_nomem(err);
		if (scope->item_count) {
			memcpy(items, scope->items, scope->item_count * sizeof *items);
			memcpy(nodes, selection->nodes, scope->item_count * sizeof *nodes);
		}
		scope->items = items;
		selection->nodes = nodes;
		selection->room = room;
	}
	struct sql_column *item = &scope->items[scope->item_count];
	*item = (struct sql_column){ name, sql_set_new(selection->walk->inputs), false };
	if (!item->set)
		return sql_walk_nomem(err);
	selection->nodes[scope->item_count] = node;
	*ret_item = item;
	return 0;
}

static bool lists(const struct sql_node *list, const char *name)
{
	for (const struct sql_node *at = list ? list->first : NULL; at; at = at->next)
		if (at->kind == SQL_TEXT && strcasecmp(at->text, name) == 0)
			return true;
	return false;
}

/* Of REPLACE (x AS name) the value; NULL: none. */
static const struct sql_node *replaced(const struct sql_node *star, const char *name)
{
	const struct sql_node *list = sql_get(star, "replace_list");
	for (const struct sql_node *at = list ? list->first : NULL; at; at = at->next) {
		const char *key = sql_text(at, "key");
		if (key && strcasecmp(key, name) == 0)
			return sql_get(at, "value");
	}
	return NULL;
}

static const char *renamed(const struct sql_node *star, const char *name)
{
	const struct sql_node *list = sql_get(star, "rename_list");
	for (const struct sql_node *at = list ? list->first : NULL; at; at = at->next) {
		const char *key = sql_text(sql_get(at, "key"), "column");
		const char *to = sql_text(at, "value");
		if (key && to && strcasecmp(key, name) == 0)
			return to;
	}
	return name;
}

static int star_column(struct selection *selection, const struct sql_node *star,
                       const struct sql_column *column, struct err *err)
{
	struct sql_walk *walk = selection->walk;
	struct sql_column *item = NULL;
	const struct sql_node *other = replaced(star, column->name);
	TRY(add_item(selection, renamed(star, column->name), NULL, &item, err));
	if (other)
		TRY(sql_walk_expression(walk, other, &selection->scope, selection->ctes, item->set,
		                        err));
	else
		sql_set_add(walk->inputs, item->set, column->set);
	/* What a join made one is made of all of them. */
	const char *name = column->name;
	if (!other && *name && !sql_has(star, "relation_name"))
		for (const struct sql_relation *at = selection->scope.first; at; at = at->next) {
			const struct sql_column *twin = sql_relation_find(at, name);
			if (twin && twin->merged)
				sql_set_add(walk->inputs, item->set, twin->set);
		}
	selection->scope.item_count++;
	return 0;
}

static int star_relation(struct selection *selection, const struct sql_node *star,
                         const struct sql_relation *relation, bool merged, struct err *err)
{
	if (!relation->counted)
		return sql_walk_unsure(err);
	for (size_t i = 0; i < relation->count; i++) {
		const struct sql_column *column = &relation->columns[i];
		if ((column->merged && merged) ||
		    lists(sql_get(star, "exclude_list"), column->name))
			continue;
		TRY(star_column(selection, star, column, err));
	}
	return 0;
}

static int select_star(struct selection *selection, const struct sql_node *star, struct err *err)
{
	const char *name = sql_text(star, "relation_name");
	bool one = name && *name, any = false;
	if (sql_has(star, "expr") || sql_has(star, "qualified_exclude_list"))
		return sql_walk_unsure(err);
	for (const struct sql_relation *at = selection->scope.first; at; at = at->next) {
		if (at->aside || (one && strcasecmp(at->alias, name) != 0))
			continue;
		TRY(star_relation(selection, star, at, !one, err));
		any = true;
	}
	return any ? 0 : sql_walk_unsure(err);
}

/* Whether it may become several columns: a star in it, COLUMNS(...), unnest of a row. */
static bool spreads(const struct sql_node *expression)
{
	if (!expression || sql_is(expression, "class", "SUBQUERY"))
		return false;
	if (sql_is(expression, "class", "STAR") || sql_is(expression, "function_name", "unnest"))
		return true;
	for (const struct sql_node *at = expression->first; at; at = at->next)
		if (spreads(at))
			return true;
	return false;
}

static const char *name_of(const struct sql_node *item)
{
	const struct sql_node *at = sql_get(item, "column_names");
	for (at = at ? at->first : NULL; at && at->next; at = at->next)
		;
	return sql_text_or(item, "alias", at && at->kind == SQL_TEXT ? at->text : "");
}

static int select_item(struct selection *selection, const struct sql_node *node, struct err *err)
{
	struct sql_column *item = NULL;
	const struct sql_node *columns = sql_get(node, "columns");
	bool plain = !columns || strcmp(columns->text ? columns->text : "", "false") == 0;
	if (sql_is(node, "class", "STAR") && plain)
		return select_star(selection, node, err);
	if (spreads(node))
		return sql_walk_unsure(err);
	TRY(add_item(selection, name_of(node), node, &item, err));
	TRY(sql_walk_expression(selection->walk, node, &selection->scope, selection->ctes,
	                        item->set, err));
	selection->scope.item_count++;
	return 0;
}

/* --- what decides the rows --- */

/* A name that is in the result as it is: its values can be seen there, and so can its tags. */
static bool is_selected(const struct selection *selection, const sql_word *set)
{
	const struct sql_scope *scope = &selection->scope;
	for (size_t i = 0; selection->walk->level == 1 && i < scope->item_count; i++) {
		const struct sql_node *node = selection->nodes[i];
		if ((!node || sql_is(node, "class", "COLUMN_REF")) &&
		    sql_set_within(selection->walk->inputs, set, scope->items[i].set))
			return true;
	}
	return false;
}

/* GROUP BY, ORDER BY, DISTINCT ON: a list of expressions, or of {expression}. A whole number stands
 * for a column of the result. */
static int walk_keys(struct selection *selection, const struct sql_node *list, struct err *err)
{
	struct sql_walk *walk = selection->walk;
	for (const struct sql_node *at = list ? list->first : NULL; at; at = at->next) {
		const struct sql_node *key = sql_get(at, "expression");
		sql_word *set = sql_set_new(walk->inputs);
		key = key ? key : at;
		if (!set)
			return sql_walk_nomem(err);
		TRY(sql_walk_expression(walk, key, &selection->scope, selection->ctes, set, err));
		if (!sql_is(key, "class", "COLUMN_REF") || !is_selected(selection, set))
			sql_set_add(walk->inputs, walk->influence, set);
	}
	return 0;
}

static int walk_modifiers(struct selection *selection, const struct sql_node *query,
                          struct err *err)
{
	struct sql_walk *walk = selection->walk;
	const struct sql_node *list = sql_get(query, "modifiers");
	for (const struct sql_node *at = list ? list->first : NULL; at; at = at->next) {
		const struct sql_node *keys = sql_get(at, "orders");
		keys = keys ? keys : sql_get(at, "distinct_on_targets");
		if (keys)
			TRY(walk_keys(selection, keys, err));
		else
			TRY(sql_walk_expression(walk, at, &selection->scope, selection->ctes,
			                        walk->influence, err));
	}
	return 0;
}

static int walk_rows(struct selection *selection, const struct sql_node *query, struct err *err)
{
	static const char *const members[] = { "where_clause", "having", "qualify", "sample" };
	struct sql_walk *walk = selection->walk;
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		TRY(sql_walk_expression(walk, sql_get(query, members[i]), &selection->scope,
		                        selection->ctes, walk->influence, err));
	TRY(walk_keys(selection, sql_get(query, "group_expressions"), err));
	return walk_modifiers(selection, query, err);
}

/* --- queries --- */

static int result_of(struct selection *selection, struct sql_relation **ret_result,
                     struct err *err)
{
	const struct sql_scope *scope = &selection->scope;
	struct sql_relation *result = NULL;
	TRY(sql_relation_new(selection->walk, "", scope->item_count, &result, err));
	for (size_t i = 0; i < scope->item_count; i++) {
		result->columns[i] = (struct sql_column){ scope->items[i].name,
			                                  scope->items[i].set, false };
		result->open |= !*scope->items[i].name;
		sql_set_add(selection->walk->inputs, result->all, scope->items[i].set);
	}
	*ret_result = result;
	return 0;
}

static int walk_select(struct sql_walk *walk, const struct sql_node *query,
                       const struct sql_scope *outer, const struct sql_cte *ctes,
                       struct sql_relation **ret_result, struct err *err)
{
	struct selection selection = { .walk = walk, .ctes = ctes, .scope = { .outer = outer } };
	const struct sql_node *list = sql_get(query, "select_list");
	TRY(sql_walk_from(walk, sql_get(query, "from_table"), &selection.scope, ctes, err));
	for (const struct sql_node *at = list ? list->first : NULL; at; at = at->next)
		TRY(select_item(&selection, at, err));
	TRY(walk_rows(&selection, query, err));
	return result_of(&selection, ret_result, err);
}

/* UNION and the like: column by column. What the other side of EXCEPT or INTERSECT holds decides
 * rows, and is taken as if it were in the columns. */
static int walk_union(struct sql_walk *walk, const struct sql_node *query,
                      const struct sql_scope *outer, const struct sql_cte *ctes,
                      struct sql_relation **ret_result, struct err *err)
{
	static const char *const sides[] = { "left", "right" };
	struct sql_relation *both[2] = { NULL, NULL };
	for (size_t i = 0; i < 2; i++)
		TRY(sql_walk_query(walk, sql_get(query, sides[i]), outer, ctes, &both[i], err));
	if (both[0]->count != both[1]->count || sql_is(query, "setop_type", "UNION_BY_NAME"))
		return sql_walk_unsure(err);
	for (size_t i = 0; i < both[0]->count; i++)
		sql_set_add(walk->inputs, both[0]->columns[i].set, both[1]->columns[i].set);
	sql_set_add(walk->inputs, both[0]->all, both[1]->all);
	struct selection selection = { .walk = walk, .ctes = ctes, .scope = { .outer = outer } };
	sql_scope_add(&selection.scope, both[0]);
	TRY(walk_modifiers(&selection, query, err));
	*ret_result = both[0];
	return 0;
}

static int walk_cte(struct sql_walk *walk, const struct sql_node *named,
                    const struct sql_scope *outer, const struct sql_cte *ctes,
                    struct sql_cte **ret_cte, struct err *err)
{
	struct sql_cte *cte = arena_alloc(walk->inputs->arena, sizeof *cte);
	const struct sql_node *value = sql_get(named, "value");
	const char *name = sql_text(named, "key");
	struct sql_relation *shape = NULL;
	if (!cte)
		return sql_walk_nomem(err);
	TRY(sql_walk_query(walk, sql_get(sql_get(value, "query"), "node"), outer, ctes, &shape,
	                   err));
	const struct sql_node *names = sql_get(value, "aliases");
	size_t i = 0;
	for (const struct sql_node *at = names ? names->first : NULL; at && i < shape->count;
	     at = at->next, i++)
		shape->columns[i].name = at->text ? at->text : "";
	*cte = (struct sql_cte){ name, shape, ctes };
	*ret_cte = cte;
	return name ? 0 : sql_walk_unsure(err);
}

static int walk_node(struct sql_walk *walk, const struct sql_node *query,
                     const struct sql_scope *outer, const struct sql_cte *ctes,
                     struct sql_relation **ret_result, struct err *err)
{
	const struct sql_node *map = sql_get(sql_get(query, "cte_map"), "map");
	for (const struct sql_node *at = map ? map->first : NULL; at; at = at->next) {
		struct sql_cte *cte = NULL;
		TRY(walk_cte(walk, at, outer, ctes, &cte, err));
		ctes = cte;
	}
	if (sql_is(query, "type", "SELECT_NODE"))
		return walk_select(walk, query, outer, ctes, ret_result, err);
	if (sql_is(query, "type", "SET_OPERATION_NODE"))
		return walk_union(walk, query, outer, ctes, ret_result, err);
	return sql_walk_unsure(err);
}

int sql_walk_query(struct sql_walk *walk, const struct sql_node *query,
                   const struct sql_scope *outer, const struct sql_cte *ctes,
                   struct sql_relation **ret_result, struct err *err)
{
	walk->level++;
	int rc = walk_node(walk, query, outer, ctes, ret_result, err);
	walk->level--;
	return rc;
}
