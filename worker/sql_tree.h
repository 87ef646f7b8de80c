/* sql_tree.h - json_serialize_sql's text as a tree to walk (see sql_rules.h, which scans it
 * instead): deeper than common/json.h reads, and nothing but what a walk needs. Pure. */
#ifndef SQL_TREE_H
#define SQL_TREE_H

#include "common/arena.h"

enum { SQL_TREE_DEPTH_MAX = 400 };

enum sql_kind { SQL_OBJECT, SQL_LIST, SQL_TEXT, SQL_OTHER };     /* OTHER: number, true, null */

struct sql_node {
	enum sql_kind kind;
	const char *key;             /* as a member; NULL: an item */
	const char *text;            /* TEXT unescaped, OTHER as it stands */
	struct sql_node *first, *next;
};

/* E_INVALID: it is no such text, or too deep; E_NOMEM. */
MUST_USE int sql_tree_read(struct arena *arena, const char *text, struct sql_node **ret_root,
                           struct err *err);

/* All accept NULL, and give NULL for what is not there. */
const struct sql_node *sql_get(const struct sql_node *object, const char *key);
const char *sql_text(const struct sql_node *object, const char *key);    /* of a TEXT member */
/* The same, where it says something; else the fallback. */
const char *sql_text_or(const struct sql_node *object, const char *key, const char *fallback);
bool sql_is(const struct sql_node *object, const char *key, const char *text);
/* Whether it is there, and neither null, empty text, list or object. */
bool sql_has(const struct sql_node *object, const char *key);

#endif
