/* value.h - one document model for manifests, messages, records and answers.
 *
 * A value is a JSON-like tree whose nodes live in an arena. JSON, YAML and msgpack are read into it
 * and written from it (common/json.h, common/yaml.h, common/pack.h). Map members keep the order in
 * which they were set. Pointers stay valid as long as the arena.
 *
 * The getters accept NULL and a value of another kind, and then return NULL or the fallback, so a
 * path of getters needs one check at its end. The setters accept a NULL value (out of memory) and
 * mark the map as failed; value_check reports it once, at the end of a build. */
#ifndef VALUE_H
#define VALUE_H

#include "common/arena.h"

enum value_kind {
	VALUE_NULL, VALUE_BOOL, VALUE_INT, VALUE_REAL, VALUE_STR, VALUE_BIN, VALUE_LIST, VALUE_MAP
};

enum { VALUE_DEPTH_MAX = 32 };   /* every decoder refuses deeper nesting */

struct value;

/* Constructors; NULL when the arena is full. Text and bytes are copied into the arena. */
struct value *value_null(struct arena *arena);
struct value *value_bool(struct arena *arena, bool b);
struct value *value_int(struct arena *arena, int64_t i);
struct value *value_real(struct arena *arena, double d);
struct value *value_str(struct arena *arena, const char *text);
struct value *value_strn(struct arena *arena, const char *text, size_t len);
struct value *value_bin(struct arena *arena, const void *data, size_t len);
struct value *value_list(struct arena *arena);
struct value *value_map(struct arena *arena);
struct value *value_copy(struct arena *arena, const struct value *value);   /* deep */

/* Setters replace a member of the same name. */
void value_set(struct value *map, const char *name, struct value *member);
void value_set_str(struct value *map, const char *name, const char *text);  /* NULL: not set */
void value_set_int(struct value *map, const char *name, int64_t i);
void value_set_bool(struct value *map, const char *name, bool b);
void value_set_real(struct value *map, const char *name, double d);
void value_set_bin(struct value *map, const char *name, const void *data, size_t len);
void value_remove(struct value *map, const char *name);
void value_add(struct value *list, struct value *item);
void value_add_str(struct value *list, const char *text);

/* E_NOMEM if any setter on the tree failed or value is NULL. */
MUST_USE int value_check(const struct value *value, struct err *err);

enum value_kind value_kind(const struct value *value);        /* NULL counts as VALUE_NULL */
const char *value_kind_name(enum value_kind kind);             /* "a string", "a list", ... */
bool value_as_bool(const struct value *value, bool fallback);
int64_t value_as_int(const struct value *value, int64_t fallback);
double value_as_real(const struct value *value, double fallback);   /* ints convert */
const char *value_as_str(const struct value *value);           /* NUL-terminated, or NULL */
const void *value_as_bin(const struct value *value, size_t *ret_len);   /* BIN or STR */
size_t value_len(const struct value *value);                   /* members, items, or bytes */

const struct value *value_get(const struct value *map, const char *name);
const char *value_get_str(const struct value *map, const char *name);
int64_t value_get_int(const struct value *map, const char *name, int64_t fallback);
bool value_get_bool(const struct value *map, const char *name, bool fallback);
double value_get_real(const struct value *map, const char *name, double fallback);
const void *value_get_bin(const struct value *map, const char *name, size_t *ret_len);
struct value *value_get_mut(struct value *map, const char *name);

/* Item i of a list, or member i of a map (its name through ret_name, which may be NULL). */
const struct value *value_at(const struct value *value, size_t i);
const struct value *value_member(const struct value *map, size_t i, const char **ret_name);

bool value_equal(const struct value *a, const struct value *b);  /* member order does not count */

#endif
