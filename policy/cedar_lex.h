/* cedar_lex.h - the words of policies and of schemas, one at a time, with places. */
#ifndef CEDAR_LEX_H
#define CEDAR_LEX_H

#include "policy/cedar_ast.h"

/* A symbol is its one or two characters. */
#define CEDAR_TWO(a, b) (((a) << 8) | (b))
enum {
	CEDAR_END = 0,
	CEDAR_IDENT = 1,             /* text */
	CEDAR_TEXT = 2,              /* text between the quotes, escapes untouched */
	CEDAR_NUMBER = 3             /* text: digits */
};

struct cedar_token {
	int kind;
	struct cedar_str text;
	struct cedar_place place;
};

struct cedar_lexer {
	struct arena *arena;
	struct err *err;
	const char *at, *end, *line_start;
	uint32_t line;
	struct cedar_token token;    /* the current one */
	struct cedar_token next;
};

/* The text is borrowed for as long as the lexer is used; what is kept of it is copied. */
MUST_USE int cedar_lex_start(struct cedar_lexer *lexer, struct arena *arena, const char *text,
			     size_t len, struct err *err);
MUST_USE int cedar_lex_advance(struct cedar_lexer *lexer);
bool cedar_lex_is(const struct cedar_lexer *lexer, int kind);
bool cedar_lex_is_word(const struct cedar_lexer *lexer, const char *word);
/* 1 and past it when the current token is that; 0 when not; negative on a failure of the next. */
MUST_USE int cedar_lex_accept(struct cedar_lexer *lexer, int kind);
MUST_USE int cedar_lex_accept_word(struct cedar_lexer *lexer, const char *word);
MUST_USE int cedar_lex_expect(struct cedar_lexer *lexer, int kind, const char *what);
MUST_USE int cedar_lex_expect_word(struct cedar_lexer *lexer, const char *word);
/* "line 3, column 7: ..." at the current token; the sentence says what was expected. */
int cedar_lex_refuse(struct cedar_lexer *lexer, const char *fmt, ...) PRINTF(2, 3);

/* The current token's text, copied, and past it. */
MUST_USE int cedar_lex_ident(struct cedar_lexer *lexer, struct cedar_str *ret_name);
MUST_USE int cedar_lex_any_ident(struct cedar_lexer *lexer, struct cedar_str *ret_name);
MUST_USE int cedar_lex_string(struct cedar_lexer *lexer, struct cedar_str *ret_text);
/* IDENT or string. */
MUST_USE int cedar_lex_name(struct cedar_lexer *lexer, struct cedar_str *ret_name);
/* A::B::C, joined by "::"; stops before a :: that a string follows. */
MUST_USE int cedar_lex_path(struct cedar_lexer *lexer, struct cedar_str *ret_path);
/* The current string as a pattern of `like`: \* is a star, * any text. */
MUST_USE int cedar_lex_pattern(struct cedar_lexer *lexer,
			       const struct cedar_pattern **ret_pattern);
/* Zero or more @name("text"); the text may be left out. A name twice is refused. */
MUST_USE int cedar_lex_annotations(struct cedar_lexer *lexer,
				   const struct cedar_annotation **ret_annotations,
				   size_t *ret_count);
/* A vector that grows in the arena: room for one more of `each` bytes; NULL without memory. */
void *cedar_grow(struct arena *arena, void *items, size_t count, size_t each);

#endif
