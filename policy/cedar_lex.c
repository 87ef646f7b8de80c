/* cedar_lex.c - reads UTF-8 text. Two tokens are held, so a parser may look one ahead. */
#include "common/defs.h"
#include "policy/cedar_lex.h"

#include "common/text.h"

#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int refuse_at(struct cedar_lexer *lexer, struct cedar_place place, const char *text)
{
	return err_set(lexer->err, E_INVALID, "line %u, column %u: %s", place.line, place.column,
	               text);
}

int cedar_lex_refuse(struct cedar_lexer *lexer, const char *fmt, ...)
{
	char text[256];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return refuse_at(lexer, lexer->token.place, text);
}

static void skip_blank(struct cedar_lexer *lexer)
{
	for (; lexer->at < lexer->end; lexer->at++) {
		char c = *lexer->at;
		if (c == '/' && lexer->at + 1 < lexer->end && lexer->at[1] == '/') {
			const char *stop = memchr(lexer->at, '\n',
			                          (size_t)(lexer->end - lexer->at));
			lexer->at = stop ? stop : lexer->end - 1;
			c = *lexer->at;
		} else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
			return;
		}
		if (c == '\n') {
			lexer->line++;
			lexer->line_start = lexer->at + 1;
		}
	}
}

/* The opening quote is at lexer->at. */
static int scan_string(struct cedar_lexer *lexer, struct cedar_token *token)
{
	const char *p = lexer->at + 1;
	while (p < lexer->end && *p != '"') {
		if (*p == '\\')
			p++;
		if (p < lexer->end && *p == '\n') {
			lexer->line++;
			lexer->line_start = p + 1;
		}
		p++;
	}
	if (p >= lexer->end)
		return refuse_at(lexer, token->place, "a string is not closed; end it with \"");
	token->kind = CEDAR_TEXT;
	token->text = (struct cedar_str){ lexer->at + 1, (size_t)(p - lexer->at - 1) };
	lexer->at = p + 1;
	return 0;
}

static int scan_symbol(struct cedar_lexer *lexer, struct cedar_token *token)
{
	static const char pairs[][3] = { "::", "==", "!=", "<=", ">=", "&&", "||" };
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (lexer->end - lexer->at < 2 || memcmp(lexer->at, pairs[i], 2) != 0)
			continue;
		token->kind = CEDAR_TWO(pairs[i][0], pairs[i][1]);
		lexer->at += 2;
		return 0;
	}
	if (!*lexer->at || !strchr("(){}[],;.@:<>=!+-*?", *lexer->at))
		return refuse_at(lexer, token->place, "a character that starts no word of Cedar");
	token->kind = *lexer->at++;
	return 0;
}

static int scan(struct cedar_lexer *lexer, struct cedar_token *token)
{
	skip_blank(lexer);
	*token = (struct cedar_token){ .place = { lexer->line,
		(uint32_t)(lexer->at - lexer->line_start) + 1 } };
	if (lexer->at >= lexer->end)
		return 0;
	const char *start = lexer->at;
	if (*start == '"')
		return scan_string(lexer, token);
	bool word = is_word(*start);
	if (!word && !is_digit(*start))
		return scan_symbol(lexer, token);
	while (lexer->at < lexer->end &&
	       (is_digit(*lexer->at) || (word && is_word(*lexer->at))))
		lexer->at++;
	token->kind = word ? CEDAR_IDENT : CEDAR_NUMBER;
	token->text = (struct cedar_str){ start, (size_t)(lexer->at - start) };
	return 0;
}

int cedar_lex_start(struct cedar_lexer *lexer, struct arena *arena, const char *text, size_t len,
		    struct err *err)
{
	*lexer = (struct cedar_lexer){ arena, err, text, text + len, text, 1, { 0 }, { 0 } };
	if (len > UINT32_MAX)
		return err_set(err, E_TOO_LARGE, "the text has over 4 GiB");
	if (!utf8_valid(text, len))
		return err_set(err, E_INVALID, "the text is not UTF-8; save it as UTF-8");
	TRY(scan(lexer, &lexer->token));
	return scan(lexer, &lexer->next);
}

int cedar_lex_advance(struct cedar_lexer *lexer)
{
	lexer->token = lexer->next;
	return scan(lexer, &lexer->next);
}

bool cedar_lex_is(const struct cedar_lexer *lexer, int kind)
{
	return lexer->token.kind == kind;
}

bool cedar_lex_is_word(const struct cedar_lexer *lexer, const char *word)
{
	return lexer->token.kind == CEDAR_IDENT && cedar_str_is(lexer->token.text, word);
}

int cedar_lex_accept(struct cedar_lexer *lexer, int kind)
{
	if (lexer->token.kind != kind)
		return 0;
	TRY(cedar_lex_advance(lexer));
	return 1;
}

int cedar_lex_accept_word(struct cedar_lexer *lexer, const char *word)
{
	if (!cedar_lex_is_word(lexer, word))
		return 0;
	TRY(cedar_lex_advance(lexer));
	return 1;
}

int cedar_lex_expect(struct cedar_lexer *lexer, int kind, const char *what)
{
	if (lexer->token.kind != kind)
		return cedar_lex_refuse(lexer, "expected %s", what);
	return cedar_lex_advance(lexer);
}

int cedar_lex_expect_word(struct cedar_lexer *lexer, const char *word)
{
	if (!cedar_lex_is_word(lexer, word))
		return cedar_lex_refuse(lexer, "expected `%s`", word);
	return cedar_lex_advance(lexer);
}

void *cedar_grow(struct arena *arena, void *items, size_t count, size_t each)
{
	if ((count & (count - 1)) != 0)
		return items;
	size_t room = count ? count * 2 : 1;
	void *grown = room > SIZE_MAX / each / 2 ? NULL : arena_alloc(arena, room * each);
	if (grown && count)
		memcpy(grown, items, count * each);
	return grown;
}
