/* cedar_word.c - what cedar_lex.h promises about names, strings with escapes, and annotations. */
#include "common/defs.h"
#include "policy/cedar_lex.h"

#include <string.h>

enum { PATH_MAX_LEN = 4096 };

static bool is_reserved(struct cedar_str name)
{
	static const char *const words[] = {
		"true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar",
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (cedar_str_is(name, words[i]))
			return true;
	return false;
}

int cedar_lex_any_ident(struct cedar_lexer *lexer, struct cedar_str *ret_name)
{
	struct cedar_str name;
	if (!cedar_lex_is(lexer, CEDAR_IDENT))
		return cedar_lex_refuse(lexer, "expected a name");
	TRY(cedar_str_copy(lexer->arena, lexer->token.text, &name, lexer->err));
	TRY(cedar_lex_advance(lexer));
	*ret_name = name;
	return 0;
}

int cedar_lex_ident(struct cedar_lexer *lexer, struct cedar_str *ret_name)
{
	if (cedar_lex_is(lexer, CEDAR_IDENT) && is_reserved(lexer->token.text))
		return cedar_lex_refuse(lexer, "a reserved word stands where a name is expected; "
		                        "put it in quotes");
	return cedar_lex_any_ident(lexer, ret_name);
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes one character; returns its bytes. */
static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };
	out[0] = (char)(lead[more] | (c >> (6 * more)));
	for (size_t i = 1; i <= more; i++)
		out[i] = (char)(0x80 | ((c >> (6 * (more - i))) & 0x3f));
	return more + 1;
}

/* After "\u": {1 to 6 hex digits}, a Unicode scalar value. */
static bool unicode_escape(const char **at, const char *end, uint32_t *ret_c)
{
	const char *p = *at;
	uint32_t c = 0;
	int digits = 0;
	if (p == end || *p++ != '{')
		return false;
	for (; p < end && *p != '}'; p++, digits++) {
		int digit = hex_of(*p);
		if (digit < 0 || digits == 6)
			return false;
		c = c << 4 | (uint32_t)digit;
	}
	if (p == end || !digits || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return false;
	*at = p + 1;
	*ret_c = c;
	return true;
}

static bool byte_escape(const char **at, const char *end, uint32_t *ret_c)
{
	if (end - *at < 2)
		return false;
	int high = hex_of((*at)[0]), low = hex_of((*at)[1]);
	if (high < 0 || high > 7 || low < 0)
		return false;
	*at += 2;
	*ret_c = (uint32_t)(high << 4 | low);
	return true;
}

/* *at is after the backslash. */
static bool escape(const char **at, const char *end, uint32_t *ret_c)
{
	static const char names[] = "nrt\\'\"0", means[] = "\n\r\t\\'\"";
	if (*at == end)
		return false;
	char c = *(*at)++;
	if (c == 'u')
		return unicode_escape(at, end, ret_c);
	if (c == 'x')
		return byte_escape(at, end, ret_c);
	const char *found = c ? strchr(names, c) : NULL;
	if (!found)
		return false;
	*ret_c = (uint8_t)means[found - names];
	return true;
}

static int bad_escape(struct cedar_lexer *lexer)
{
	return cedar_lex_refuse(lexer, "a string has an escape that Cedar does not know; use "
	                        "\\n \\r \\t \\\\ \\0 \\' \\\" \\x7f \\u{...}");
}

int cedar_lex_string(struct cedar_lexer *lexer, struct cedar_str *ret_text)
{
	if (!cedar_lex_is(lexer, CEDAR_TEXT))
		return cedar_lex_refuse(lexer, "expected a string in double quotes");
	const char *at = lexer->token.text.text, *end = at + lexer->token.text.len;
	char *out = arena_alloc(lexer->arena, lexer->token.text.len + 1);
	if (!out)
		return err_set(lexer->err, E_NOMEM, "no memory left for a string");
	size_t len = 0;
	while (at < end) {
		uint32_t c = 0;
		if (*at != '\\') {
			out[len++] = *at++;
			continue;
		}
		at++;
		if (!escape(&at, end, &c))
			return bad_escape(lexer);
		len += put_utf8(out + len, c);
	}
	TRY(cedar_lex_advance(lexer));
	*ret_text = (struct cedar_str){ out, len };
	return 0;
}

static size_t count_stars(struct cedar_str text)
{
	size_t stars = 0;
	for (size_t i = 0; i < text.len; i++)
		stars += text.text[i] == '*';
	return stars;
}

/* One character of a pattern into out; *ret_star when it is a wildcard. */
static bool pattern_char(const char **at, const char *end, char *out, size_t *len, bool *ret_star)
{
	uint32_t c = 0;
	*ret_star = **at == '*';
	if (**at != '\\') {
		if (!*ret_star)
			out[(*len)++] = **at;
		(*at)++;
		return true;
	}
	(*at)++;
	if (*at < end && **at == '*') {
		out[(*len)++] = *(*at)++;
		return true;
	}
	if (!escape(at, end, &c))
		return false;
	*len += put_utf8(out + *len, c);
	return true;
}

int cedar_lex_pattern(struct cedar_lexer *lexer, const struct cedar_pattern **ret_pattern)
{
	if (!cedar_lex_is(lexer, CEDAR_TEXT))
		return cedar_lex_refuse(lexer, "expected a pattern in double quotes");
	struct cedar_str raw = lexer->token.text;
	const char *at = raw.text, *end = at + raw.len;
	struct cedar_pattern *pattern = arena_alloc(lexer->arena, sizeof *pattern);
	struct cedar_str *parts = arena_alloc(lexer->arena, (count_stars(raw) + 1) * sizeof *parts);
	char *out = arena_alloc(lexer->arena, raw.len + 1);
	if (!pattern || !parts || !out)
		return err_set(lexer->err, E_NOMEM, "no memory left for a pattern");
	size_t len = 0, start = 0, count = 0;
	while (at < end) {
		bool star = false;
		if (!pattern_char(&at, end, out, &len, &star))
			return bad_escape(lexer);
		if (!star)
			continue;
		parts[count++] = (struct cedar_str){ out + start, len - start };
		start = len;
	}
	parts[count++] = (struct cedar_str){ out + start, len - start };
	*pattern = (struct cedar_pattern){ count, parts };
	*ret_pattern = pattern;
	return cedar_lex_advance(lexer);
}

int cedar_lex_name(struct cedar_lexer *lexer, struct cedar_str *ret_name)
{
	return cedar_lex_is(lexer, CEDAR_TEXT) ? cedar_lex_string(lexer, ret_name)
	                                       : cedar_lex_ident(lexer, ret_name);
}

int cedar_lex_path(struct cedar_lexer *lexer, struct cedar_str *ret_path)
{
	char path[PATH_MAX_LEN];
	size_t len = 0;
	for (;;) {
		struct cedar_str part = { 0 };
		/* __cedar leads the names of the language's own types. */
		bool own = !len && cedar_lex_is_word(lexer, "__cedar");
		TRY(own ? cedar_lex_any_ident(lexer, &part) : cedar_lex_ident(lexer, &part));
		if (len + part.len + 2 > sizeof path)
			return cedar_lex_refuse(lexer, "a name is longer than %d bytes",
			                        PATH_MAX_LEN);
		memcpy(path + len, part.text, part.len);
		len += part.len;
		if (!cedar_lex_is(lexer, CEDAR_TWO(':', ':')) || lexer->next.kind != CEDAR_IDENT)
			break;
		memcpy(path + len, "::", 2);
		len += 2;
		TRY(cedar_lex_advance(lexer));
	}
	return cedar_str_copy(lexer->arena, (struct cedar_str){ path, len }, ret_path,
	                      lexer->err);
}

static int annotation(struct cedar_lexer *lexer, struct cedar_annotation *ret_annotation)
{
	struct cedar_annotation made = { .text = { "", 0 } };
	TRY(cedar_lex_any_ident(lexer, &made.name));
	int open = cedar_lex_accept(lexer, '(');
	TRY(open);
	if (open) {
		TRY(cedar_lex_string(lexer, &made.text));
		TRY(cedar_lex_expect(lexer, ')', "`)` after an annotation's text"));
	}
	*ret_annotation = made;
	return 0;
}

int cedar_lex_annotations(struct cedar_lexer *lexer,
			  const struct cedar_annotation **ret_annotations, size_t *ret_count)
{
	struct cedar_annotation *all = NULL;
	size_t count = 0;
	for (;;) {
		int more = cedar_lex_accept(lexer, '@');
		TRY(more);
		if (!more)
			break;
		all = cedar_grow(lexer->arena, all, count, sizeof *all);
		if (!all)
			return err_set(lexer->err, E_NOMEM, "no memory left for annotations");
		TRY(annotation(lexer, &all[count]));
		for (size_t i = 0; i < count; i++)
			if (cedar_str_equal(all[i].name, all[count].name))
				return cedar_lex_refuse(lexer, "an annotation is given twice");
		count++;
	}
	*ret_annotations = all;
	*ret_count = count;
	return 0;
}
