/* sql_scope.c - see sql_scope.h. Case does not count, as in the engine. */
#include "common/defs.h"
#include "worker/sql_scope.h"

#include <string.h>
#include <strings.h>

enum { WORD_BITS = 64 };

/* --- inputs and sets --- */

int sql_inputs_new(struct arena *arena, const struct value *tables, struct sql_inputs *ret_inputs,
                   struct err *err)
{
	size_t count = value_len(tables), bits = 0;
	struct sql_input *items = arena_alloc(arena, (count + 1) * sizeof *items);
	if (!items)
		return err_set(err, E_NOMEM, "sql: no memory for its inputs");
	for (size_t i = 0; i < count; i++) {
		const struct value *table = value_at(tables, i);
		const struct value *schema = value_get(table, "schema");
		items[i] = (struct sql_input){
			.domain = value_get_str(table, "domain"),
			.name = value_get_str(table, "name"), .schema = schema,
			.first = bits + 1, .columns = value_len(schema),
		};
		bits += 1 + items[i].columns;
		if (!items[i].domain || !items[i].name)
			return err_set(err, E_INVALID, "sql: an input has no name");
	}
	*ret_inputs = (struct sql_inputs){ arena, items, count, bits / WORD_BITS + 1 };
	return 0;
}

struct sql_input *sql_inputs_find(const struct sql_inputs *inputs, const char *own_domain,
                                  const char *schema, const char *table)
{
	struct sql_input *found = NULL;
	const char *domain = schema && *schema ? schema : own_domain;
	size_t others = 0;
	for (size_t i = 0; table && i < inputs->count; i++) {
		struct sql_input *input = &inputs->items[i];
		if (strcasecmp(input->name, table) != 0)
			continue;
		if (domain && strcasecmp(input->domain, domain) == 0)
			return input;
		found = input;
		others++;
	}
	return others == 1 ? found : NULL;
}

sql_word *sql_set_new(const struct sql_inputs *inputs)
{
	sql_word *set = arena_alloc(inputs->arena, inputs->words * sizeof *set);
	if (set)
		memset(set, 0, inputs->words * sizeof *set);
	return set;
}

void sql_set_bit(sql_word *set, size_t bit)
{
	set[bit / WORD_BITS] |= UINT64_C(1) << bit % WORD_BITS;
}

bool sql_set_has(const sql_word *set, size_t bit)
{
	return set[bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

void sql_set_add(const struct sql_inputs *inputs, sql_word *set, const sql_word *other)
{
	for (size_t i = 0; other && i < inputs->words; i++)
		set[i] |= other[i];
}

bool sql_set_within(const struct sql_inputs *inputs, const sql_word *set, const sql_word *other)
{
	for (size_t i = 0; i < inputs->words; i++)
		if (set[i] & ~other[i])
			return false;
	return true;
}

/* --- names --- */

void sql_scope_add(struct sql_scope *scope, struct sql_relation *relation)
{
	relation->next = NULL;
	if (scope->last)
		scope->last->next = relation;
	else
		scope->first = relation;
	scope->last = relation;
}

struct sql_column *sql_relation_find(const struct sql_relation *relation, const char *name)
{
	for (size_t i = 0; i < relation->count; i++)
		if (strcasecmp(relation->columns[i].name, name) == 0)
			return &relation->columns[i];
	return NULL;
}

const struct sql_relation *sql_scope_find(const struct sql_scope *scope, const char *alias)
{
	for (const struct sql_relation *at = scope->first; at; at = at->next)
		if (strcasecmp(at->alias, alias) == 0)
			return at;
	return NULL;
}

/* Every column of that name, several where a join made them so. */
static bool add_columns(const struct sql_inputs *inputs, const struct sql_relation *relation,
                        const char *name, sql_word *set)
{
	bool found = relation->open;
	if (relation->open)
		sql_set_add(inputs, set, relation->all);
	for (size_t i = 0; i < relation->count; i++) {
		if (strcasecmp(relation->columns[i].name, name) != 0)
			continue;
		sql_set_add(inputs, set, relation->columns[i].set);
		found = true;
	}
	return found;
}

/* RELATION.NAME, SCHEMA.RELATION.NAME, CATALOG.SCHEMA.RELATION.NAME */
static bool add_qualified(const struct sql_inputs *inputs, const struct sql_relation *relation,
                          const char *const *names, size_t count, sql_word *set)
{
	bool found = false;
	for (size_t i = 0; i + 1 < count && i < 3; i++)
		if (strcasecmp(relation->alias, names[i]) == 0)
			found |= add_columns(inputs, relation, names[i + 1], set);
	return found;
}

static bool add_item(const struct sql_inputs *inputs, const struct sql_scope *scope,
                     const char *name, sql_word *set)
{
	bool found = false;
	for (size_t i = 0; i < scope->item_count; i++) {
		if (strcasecmp(scope->items[i].name, name) != 0)
			continue;
		sql_set_add(inputs, set, scope->items[i].set);
		found = true;
	}
	return found;
}

static bool resolve_here(const struct sql_inputs *inputs, const struct sql_scope *scope,
                         const char *const *names, size_t count, sql_word *set)
{
	bool found = false;
	for (const struct sql_relation *at = scope->first; at; at = at->next) {
		found |= add_columns(inputs, at, names[0], set);
		found |= add_qualified(inputs, at, names, count, set);
	}
	/* A row as a value. */
	const struct sql_relation *whole = found ? NULL : sql_scope_find(scope, names[0]);
	if (whole)
		sql_set_add(inputs, set, whole->all);
	return found || whole;
}

static bool has_open(const struct sql_scope *scope)
{
	for (const struct sql_relation *at = scope->first; at; at = at->next)
		if (at->open)
			return true;
	return false;
}

bool sql_scope_resolve(const struct sql_inputs *inputs, const struct sql_scope *scope,
                       const char *const *names, size_t count, sql_word *set)
{
	bool found = false;
	for (; scope && count > 0; scope = scope->outer) {
		bool here = resolve_here(inputs, scope, names, count, set);
		found |= here | add_item(inputs, scope, names[0], set);
		if (here && !has_open(scope))
			return true;
	}
	return found;
}
