/* sql_walk.h - a query's tree walked with its names looked up: what every column of its result is
 * made of. For sql_lineage.c. Pure. */
#ifndef SQL_WALK_H
#define SQL_WALK_H

#include "worker/sql_scope.h"
#include "worker/sql_tree.h"

struct sql_cte {
	const char *name;
	const struct sql_relation *shape;
	const struct sql_cte *next;
};

struct sql_walk {
	struct sql_inputs *inputs;
	const char *own_domain;
	sql_word *influence;         /* of the whole statement */
	int lambdas;                 /* around what is walked: their parameters are no columns */
	int level;                   /* 1: the statement itself, more: a query in it */
};

/* A query node {type: SELECT_NODE ...} as a relation. E_INVALID: it cannot be said what its columns
 * are made of. */
MUST_USE int sql_walk_query(struct sql_walk *walk, const struct sql_node *query,
                            const struct sql_scope *outer, const struct sql_cte *ctes,
                            struct sql_relation **ret_result, struct err *err);
/* Adds what an expression is made of. */
MUST_USE int sql_walk_expression(struct sql_walk *walk, const struct sql_node *expression,
                                 const struct sql_scope *scope, const struct sql_cte *ctes,
                                 sql_word *set, struct err *err);
/* Adds a FROM's relations to the scope. */
MUST_USE int sql_walk_from(struct sql_walk *walk, const struct sql_node *from,
                           struct sql_scope *scope, const struct sql_cte *ctes, struct err *err);

/* For these three: */
int sql_walk_unsure(struct err *err);
int sql_walk_nomem(struct err *err);
MUST_USE int sql_relation_new(struct sql_walk *walk, const char *alias, size_t count,
                              struct sql_relation **ret_relation, struct err *err);

#endif
