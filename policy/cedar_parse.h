/* cedar_parse.h - Cedar text to policies (grammar: docs.cedarpolicy.com, "Grammar specification").
 * Errors name line and column. What is parsed lives in the arena; the text is only borrowed. */
#ifndef CEDAR_PARSE_H
#define CEDAR_PARSE_H

#include "policy/cedar_ast.h"

struct cedar_lexer;

/* A bad text is refused whole. */
MUST_USE int cedar_parse_policies(struct arena *arena, const char *text, size_t len,
				  struct cedar_policies *ret_policies, struct err *err);
/* One expression and nothing after it. */
MUST_USE int cedar_parse_expr(struct arena *arena, const char *text, size_t len,
			      const struct cedar_expr **ret_expr, struct err *err);

/* The expression at the lexer's token, and past it. */
MUST_USE int cedar_expr_read(struct cedar_lexer *lexer, const struct cedar_expr **ret_expr);
/* Type::"id" at the lexer's token, and past it. */
MUST_USE int cedar_uid_read(struct cedar_lexer *lexer, const struct cedar_uid **ret_uid);
/* A node over these operands, which are copied. */
MUST_USE int cedar_expr_make(struct cedar_lexer *lexer, enum cedar_op op, struct cedar_place place,
			     const struct cedar_expr *const *args, size_t count,
			     struct cedar_expr **ret_expr);
/* Gives the node its value when its operands are literals. */
MUST_USE int cedar_expr_fold(struct cedar_lexer *lexer, struct cedar_expr *expr);

#endif
