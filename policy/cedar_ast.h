/* cedar_ast.h - parsed policies. Immutable; all of it lives in the arena it was parsed into. */
#ifndef CEDAR_AST_H
#define CEDAR_AST_H

#include "policy/cedar_function.h"

enum cedar_op {
	CEDAR_OP_LITERAL,            /* value */
	CEDAR_OP_VAR,                /* var */
	CEDAR_OP_AND, CEDAR_OP_OR,   /* two or more operands, left to right */
	CEDAR_OP_NOT, CEDAR_OP_NEG,
	CEDAR_OP_IF,                 /* condition, then, else */
	CEDAR_OP_EQ, CEDAR_OP_LESS, CEDAR_OP_LESS_EQ,
	CEDAR_OP_ADD, CEDAR_OP_SUB, CEDAR_OP_MUL,
	CEDAR_OP_IN,
	CEDAR_OP_CONTAINS, CEDAR_OP_CONTAINS_ALL, CEDAR_OP_CONTAINS_ANY, CEDAR_OP_IS_EMPTY,
	CEDAR_OP_GET_TAG, CEDAR_OP_HAS_TAG,
	CEDAR_OP_GET_ATTR, CEDAR_OP_HAS_ATTR,   /* name */
	CEDAR_OP_LIKE,               /* pattern */
	CEDAR_OP_IS,                 /* name: an entity type */
	CEDAR_OP_SET,
	CEDAR_OP_RECORD,             /* names, one an argument */
	CEDAR_OP_CALL,               /* function */
	CEDAR_OP_COUNT_
};

enum cedar_var { CEDAR_PRINCIPAL, CEDAR_ACTION, CEDAR_RESOURCE, CEDAR_CONTEXT };

struct cedar_place {
	uint32_t line, column;       /* from 1 */
};

/* The parts between the wildcards of a `like`: count parts, count - 1 wildcards. */
struct cedar_pattern {
	size_t count;
	const struct cedar_str *parts;
};

struct cedar_expr {
	uint8_t op;                  /* enum cedar_op */
	uint8_t var;                 /* enum cedar_var */
	bool folded;                 /* of literals only: value holds what it gives */
	uint16_t depth;              /* at most CEDAR_DEPTH_MAX */
	uint32_t count;
	struct cedar_place place;
	const struct cedar_expr **args;
	struct cedar_value value;
	union {
		struct cedar_str name;
		const struct cedar_str *names;
		const struct cedar_pattern *pattern;
		const struct cedar_function *function;
	};
};

enum cedar_scope_kind {
	CEDAR_SCOPE_ANY, CEDAR_SCOPE_EQ, CEDAR_SCOPE_IN, CEDAR_SCOPE_IS, CEDAR_SCOPE_IS_IN
};

struct cedar_scope {
	uint8_t kind;                /* enum cedar_scope_kind */
	bool slot;                   /* == or in the slot of its variable */
	struct cedar_place place;    /* of what follows the operator */
	struct cedar_str type;       /* of IS and IS_IN */
	size_t count;                /* EQ and IS_IN: one, or none with a slot; IN: any number */
	const struct cedar_uid *const *uids;
};

struct cedar_annotation {
	struct cedar_str name;
	struct cedar_str text;       /* empty when none was given */
};

struct cedar_policy {
	struct cedar_str id;         /* "policy0", "policy1" ... in order of the text */
	bool forbid;
	struct cedar_place place;
	struct cedar_scope principal, action, resource;
	const struct cedar_expr *condition;      /* NULL: none */
	size_t annotation_count;
	const struct cedar_annotation *annotations;
};

struct cedar_policies {
	size_t count;
	struct cedar_policy *items;
};

/* Has slots, so it decides nothing until it is linked. */
bool cedar_policy_is_template(const struct cedar_policy *policy);
/* NULL without that annotation. */
const struct cedar_str *cedar_policy_annotation(const struct cedar_policy *policy,
						const char *name);
/* A template with its slots filled; borrows the template's parts and the ids. A slot that the
 * template has must be given, one that it does not have must be NULL. */
MUST_USE int cedar_policy_link(struct arena *arena, const struct cedar_policy *template,
			       struct cedar_str id, const struct cedar_uid *principal,
			       const struct cedar_uid *resource, struct cedar_policy *ret_policy,
			       struct err *err);

/* The same tree, wherever it stands in the text. */
bool cedar_expr_equal(const struct cedar_expr *a, const struct cedar_expr *b);

#endif
