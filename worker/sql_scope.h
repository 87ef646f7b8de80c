/* sql_scope.h - what names in a query stand for: columns, each with the inputs' columns it is made
 * of. Where a name could be several things it is all of them. Pure. */
#ifndef SQL_SCOPE_H
#define SQL_SCOPE_H

#include "common/value.h"

/* A set of columns of the inputs: a bit for each, and one an input for all of its columns. */
typedef uint64_t sql_word;

struct sql_input {
	const char *domain, *name;
	const struct value *schema;  /* list of {name, type} */
	size_t first;                /* bit of its first column; the one before is for all */
	size_t columns;
	bool touched;
};

/* The inputs of a query, and where sets come from. */
struct sql_inputs {
	struct arena *arena;
	struct sql_input *items;
	size_t count, words;         /* of a set */
};
MUST_USE int sql_inputs_new(struct arena *arena, const struct value *tables,
                            struct sql_inputs *ret_inputs, struct err *err);
/* The input that a table's name stands for; NULL: none, or not one alone. */
struct sql_input *sql_inputs_find(const struct sql_inputs *inputs, const char *own_domain,
                                  const char *schema, const char *table);
sql_word *sql_set_new(const struct sql_inputs *inputs);         /* NULL: no memory */
void sql_set_bit(sql_word *set, size_t bit);
bool sql_set_has(const sql_word *set, size_t bit);
void sql_set_add(const struct sql_inputs *inputs, sql_word *set, const sql_word *other);
bool sql_set_within(const struct sql_inputs *inputs, const sql_word *set, const sql_word *other);

struct sql_column {
	const char *name;            /* "": the engine's choice */
	sql_word *set;
	bool merged;                 /* by USING with one further left: not in SELECT * */
};

struct sql_relation {
	const char *alias;
	struct sql_column *columns;
	size_t count;
	bool counted;                /* these are all columns, in order */
	bool open;                   /* it may have columns of other names, made of `all` */
	bool aside;                  /* of a SEMI or ANTI join: not in SELECT * */
	sql_word *all;               /* what any of it is made of */
	struct sql_relation *next;
};

struct sql_scope {
	struct sql_relation *first, *last;
	struct sql_column *items;    /* of the SELECT, as far as known: names may be used again */
	size_t item_count;
	const struct sql_scope *outer;
};

void sql_scope_add(struct sql_scope *scope, struct sql_relation *relation);
struct sql_column *sql_relation_find(const struct sql_relation *relation, const char *name);
const struct sql_relation *sql_scope_find(const struct sql_scope *scope, const char *alias);
/* Adds what NAME, RELATION.NAME, NAME.FIELD ... is made of; false: it stands for nothing. */
bool sql_scope_resolve(const struct sql_inputs *inputs, const struct sql_scope *scope,
                       const char *const *names, size_t count, sql_word *set);

#endif
