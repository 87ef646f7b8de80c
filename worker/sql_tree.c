/* sql_tree.c - see sql_tree.h. One pass, with the open nodes on a stack of fixed depth. */
#include "common/defs.h"
#include "worker/sql_tree.h"

#include <string.h>

struct reader {
	struct arena *arena;
	const char *at;
	struct sql_node *open[SQL_TREE_DEPTH_MAX];
	struct sql_node *last[SQL_TREE_DEPTH_MAX];       /* of each its youngest child */
	size_t depth;
	const char *key;             /* of the member that comes */
	struct sql_node *root;
};

static int no_tree(struct err *err)
{
	return err_set(err, E_INVALID, "sql: its tree cannot be read");
}

static int hex4(const char *at)
{
	int code = 0;
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9' ? c - '0' :
			c >= 'a' && c <= 'f' ? c - 'a' + 10 :
			c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
		if (digit < 0)
			return -1;
		code = code * 16 + digit;
	}
	return code;
}

/* What a backslash stands before; -1: of that nothing is made here. */
static int unescape(const char **at)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = *(*at)++;
	const char *known = c ? strchr(from, c) : NULL;
	if (known)
		return to[known - from];
	int code = c == 'u' ? hex4(*at) : -1;
	if (code <= 0 || code > 0x7f)
		return -1;
	*at += 4;
	return code;
}

static int read_text(struct reader *reader, const char **ret_text, struct err *err)
{
	const char *from = ++reader->at;
	size_t len = 0;
	while (from[len] && from[len] != '"')
		len += from[len] == '\\' && from[len + 1] ? 2 : 1;
	if (!from[len])
		return no_tree(err);
	char *text = arena_alloc(reader->arena, len + 1), *to = text;
	if (!text)
		return err_set(err, E_NOMEM, "sql: no memory for its tree");
	const char *at = from;
	while (at < from + len) {
		int c = (unsigned char)*at++;
		if (c == '\\')
			c = unescape(&at);
		if (c < 0)
			return no_tree(err);
		*to++ = (char)c;
	}
	*to = 0;
	reader->at = from + len + 1;
	*ret_text = text;
	return 0;
}

static int add(struct reader *reader, enum sql_kind kind, const char *text, struct err *err)
{
	struct sql_node *node = arena_alloc(reader->arena, sizeof *node);
	if (!node)
		return err_set(err, E_NOMEM, "sql: no memory for its tree");
	*node = (struct sql_node){ .kind = kind, .key = reader->key, .text = text };
	reader->key = NULL;
	size_t depth = reader->depth;
	if (depth == 0 && reader->root)
		return no_tree(err);
	if (depth == 0)
		reader->root = node;
	else if (reader->last[depth - 1])
		reader->last[depth - 1]->next = node;
	else
		reader->open[depth - 1]->first = node;
	if (depth > 0)
		reader->last[depth - 1] = node;
	if (kind == SQL_TEXT || kind == SQL_OTHER)
		return 0;
	if (depth == SQL_TREE_DEPTH_MAX)
		return no_tree(err);
	reader->open[depth] = node;
	reader->last[depth] = NULL;
	reader->depth++;
	reader->at++;
	return 0;
}

static int end_one(struct reader *reader, struct err *err)
{
	enum sql_kind kind = *reader->at == '}' ? SQL_OBJECT : SQL_LIST;
	if (reader->depth == 0 || reader->open[reader->depth - 1]->kind != kind || reader->key)
		return no_tree(err);
	reader->depth--;
	reader->at++;
	return 0;
}

static int on_text(struct reader *reader, struct err *err)
{
	const char *text = NULL;
	TRY(read_text(reader, &text, err));
	bool member = reader->depth > 0 && reader->open[reader->depth - 1]->kind == SQL_OBJECT;
	if (!member || reader->key)
		return add(reader, SQL_TEXT, text, err);
	if (*reader->at != ':')
		return no_tree(err);
	reader->at++;
	reader->key = text;
	return 0;
}

static int on_other(struct reader *reader, struct err *err)
{
	size_t len = strcspn(reader->at, ",]}[{\": \n\r\t");
	const char *text = len ? arena_strndup(reader->arena, reader->at, len) : NULL;
	if (!len)
		return no_tree(err);
	if (!text)
		return err_set(err, E_NOMEM, "sql: no memory for its tree");
	reader->at += len;
	return add(reader, SQL_OTHER, text, err);
}

static int step(struct reader *reader, struct err *err)
{
	switch (*reader->at) {
	case '{':
		return add(reader, SQL_OBJECT, NULL, err);
	case '[':
		return add(reader, SQL_LIST, NULL, err);
	case '}':
	case ']':
		return end_one(reader, err);
	case '"':
		return on_text(reader, err);
	case ',':
	case ' ':
	case '\n':
	case '\r':
	case '\t':
		reader->at++;
		return 0;
	default:
		return on_other(reader, err);
	}
}

int sql_tree_read(struct arena *arena, const char *text, struct sql_node **ret_root,
                  struct err *err)
{
	struct reader *reader = arena_alloc(arena, sizeof *reader);
	if (!reader)
		return err_set(err, E_NOMEM, "sql: no memory for its tree");
	memset(reader, 0, sizeof *reader);
	reader->arena = arena;
	reader->at = text;
	while (*reader->at)
		TRY(step(reader, err));
	if (reader->depth > 0 || !reader->root || reader->root->kind != SQL_OBJECT)
		return no_tree(err);
	*ret_root = reader->root;
	return 0;
}

/* --- looking --- */

const struct sql_node *sql_get(const struct sql_node *object, const char *key)
{
	if (!object || object->kind != SQL_OBJECT)
		return NULL;
	for (const struct sql_node *at = object->first; at; at = at->next)
		if (at->key && strcmp(at->key, key) == 0)
			return at;
	return NULL;
}

const char *sql_text(const struct sql_node *object, const char *key)
{
	const struct sql_node *member = sql_get(object, key);
	return member && member->kind == SQL_TEXT ? member->text : NULL;
}

const char *sql_text_or(const struct sql_node *object, const char *key, const char *fallback)
{
	const char *text = sql_text(object, key);
	return text && *text ? text : fallback;
}

bool sql_is(const struct sql_node *object, const char *key, const char *text)
{
	const char *found = sql_text(object, key);
	return found && strcmp(found, text) == 0;
}

bool sql_has(const struct sql_node *object, const char *key)
{
	const struct sql_node *member = sql_get(object, key);
	if (!member)
		return false;
	if (member->kind == SQL_TEXT)
		return member->text[0] != 0;
	if (member->kind == SQL_OTHER)
		return strcmp(member->text, "null") != 0;
	return member->first != NULL;
}
