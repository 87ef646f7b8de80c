/* sql_lineage.c - see sql_lineage.h: the walk's sets as a value, or everything of everything. The
 * engine's own columns of the result are compared with those found: their number, and what they
 * are called. */
#include "common/defs.h"
#include "worker/sql_lineage.h"

#include "worker/sql_walk.h"

#include <string.h>
#include <strings.h>

enum { WALK_ARENA = 64 * MIB };

/* What is written down. */
struct told {
	struct arena *arena;
	const struct sql_inputs *inputs;
	struct value *columns, *influence;
	size_t refs;
};

static struct value *input_refs(struct told *told, size_t i, const sql_word *set)
{
	const struct sql_input *input = &told->inputs->items[i];
	struct value *list = value_list(told->arena);
	value_add(list, value_int(told->arena, (int64_t)i));
	for (size_t c = 0; c < input->columns && !sql_set_has(set, input->first - 1); c++)
		if (sql_set_has(set, input->first + c))
			value_add_str(list, value_get_str(value_at(input->schema, c), "name"));
	told->refs += value_len(list);
	bool any = value_len(list) > 1 || sql_set_has(set, input->first - 1);
	return any ? list : NULL;
}

static struct value *refs_of(struct told *told, const sql_word *set)
{
	struct value *refs = value_list(told->arena);
	for (size_t i = 0; i < told->inputs->count; i++) {
		struct value *list = input_refs(told, i, set);
		if (list)
			value_add(refs, list);
	}
	return refs;
}

static struct value *touched(struct told *told)
{
	struct value *list = value_list(told->arena);
	for (size_t i = 0; i < told->inputs->count; i++)
		if (told->inputs->items[i].touched)
			value_add(list, value_int(told->arena, (int64_t)i));
	return list;
}

static int finish(struct told *told, bool exact, struct value **ret_lineage, struct err *err)
{
	struct value *lineage = value_map(told->arena);
	value_set_bool(lineage, "exact", exact);
	value_set(lineage, "inputs", touched(told));
	value_set(lineage, "columns", told->columns);
	value_set(lineage, "influence", told->influence);
	TRY(value_check(lineage, err));
	*ret_lineage = lineage;
	return 0;
}

/* "ssn", or what the engine makes of a second one of that name: "ssn_1". */
static bool is_called(const char *name, const char *wanted)
{
	return name && strncasecmp(name, wanted, strlen(wanted)) == 0;
}

static bool matches(const struct sql_relation *found, const struct value *result)
{
	if (found->count != value_len(result))
		return false;
	for (size_t i = 0; i < found->count; i++)
		if (!is_called(value_get_str(value_at(result, i), "name"), found->columns[i].name))
			return false;
	return true;
}

static int tell_found(struct told *told, const struct sql_relation *found,
                      const struct value *result, const sql_word *influence,
                      struct value **ret_lineage, struct err *err)
{
	told->columns = value_map(told->arena);
	for (size_t i = 0; i < found->count; i++)
		value_set(told->columns, value_get_str(value_at(result, i), "name"),
		          refs_of(told, found->columns[i].set));
	told->influence = refs_of(told, influence);
	if (told->refs > LINEAGE_REFS_MAX)
		return sql_walk_unsure(err);
	return finish(told, true, ret_lineage, err);
}

static int tell_walk(struct told *told, struct arena *scratch, const char *tree,
                     const char *own_domain, const struct value *tables,
                     const struct value *result, struct value **ret_lineage, struct err *err)
{
	struct sql_inputs inputs;
	struct sql_node *root = NULL;
	struct sql_relation *found = NULL;
	TRY(sql_inputs_new(scratch, tables, &inputs, err));
	TRY(sql_tree_read(scratch, tree, &root, err));
	struct sql_walk walk = { .inputs = &inputs, .own_domain = own_domain,
		                 .influence = sql_set_new(&inputs) };
	const struct sql_node *statements = sql_get(root, "statements");
	if (!walk.influence || !statements || !statements->first || statements->first->next)
		return sql_walk_unsure(err);
	TRY(sql_walk_query(&walk, sql_get(statements->first, "node"), NULL, NULL, &found, err));
	told->inputs = &inputs;
	return matches(found, result)
		? tell_found(told, found, result, walk.influence, ret_lineage, err)
		: sql_walk_unsure(err);
}

/* Every column of everything. */
static int tell_all(struct told *told, const struct value *tables, const struct value *result,
                    struct value **ret_lineage, struct err *err)
{
	struct sql_inputs inputs;
	TRY(sql_inputs_new(told->arena, tables, &inputs, err));
	sql_word *set = sql_set_new(&inputs);
	if (!set)
		return sql_walk_nomem(err);
	for (size_t i = 0; i < inputs.count; i++) {
		sql_set_bit(set, inputs.items[i].first - 1);
		inputs.items[i].touched = true;
	}
	told->inputs = &inputs;
	told->columns = value_map(told->arena);
	for (size_t i = 0; i < value_len(result); i++) {
		const char *name = value_get_str(value_at(result, i), "name");
		if (name)
			value_set(told->columns, name, refs_of(told, set));
	}
	told->influence = refs_of(told, set);
	return finish(told, false, ret_lineage, err);
}

int sql_lineage(struct arena *arena, const char *tree, const char *own_domain,
                const struct value *tables, const struct value *result,
                struct value **ret_lineage, struct err *err)
{
	AUTO(arena) *scratch = NULL;
	struct told told = { .arena = arena }, all = { .arena = arena };
	struct err unsure;
	if (tree && arena_new(WALK_ARENA, &scratch, &unsure) == 0 &&
	    tell_walk(&told, scratch, tree, own_domain, tables, result, ret_lineage, &unsure) == 0)
		return 0;
	return tell_all(&all, tables, result, ret_lineage, err);
}
