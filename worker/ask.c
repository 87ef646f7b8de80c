/* ask.c - invariant: what ask_scan accepts, ask_parse accepts too and reads alike. */
#include "common/defs.h"
#include "worker/ask.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS_MAX = 18 };        /* any integer that long fits 64 bits */

/* ---- scanning ---- */

struct scan {
	const char *at, *end;
	struct ask_key *keys;
	size_t left;                 /* keys */
};

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' ||
	                                *scan->at == '\t' ||
	                                *scan->at == '\r'))
		scan->at++;
}

static bool take(struct scan *scan, char c)
{
	skip_space(scan);
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static bool take_word(struct scan *scan, const char *word)
{
	size_t len = strlen(word);
	skip_space(scan);
	if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
		return false;
	scan->at += len;
	return true;
}

/* A string without escapes. */
static bool take_text(struct scan *scan, const char **ret_text, size_t *ret_len)
{
	if (!take(scan, '"'))
		return false;
	const char *from = scan->at;
	unsigned char all = 0;
	for (; scan->at < scan->end && *scan->at != '"'; scan->at++) {
		unsigned char c = (unsigned char)*scan->at;
		if (c < 0x20 || c == '\\')
			return false;
		all |= c;
	}
	if (scan->at == scan->end)
		return false;
	*ret_text = from;
	*ret_len = (size_t)(scan->at++ - from);
	return all < 0x80 || utf8_valid(from, *ret_len);
}

static bool take_number(struct scan *scan, struct ask_key *key)
{
	const char *from = scan->at;
	scan->at += scan->at < scan->end && *scan->at == '-';
	const char *digits = scan->at;
	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	size_t count = (size_t)(scan->at - digits);
	bool plain = count >= 1 && count <= DIGITS_MAX && (count == 1 || *digits != '0') &&
		!(from != digits && *digits == '0');
	bool ends = scan->at < scan->end && strchr(" \n\t\r,]", *scan->at) != NULL;
	*key = (struct ask_key) { from, (size_t)(scan->at - from), true };
	return plain && ends;
}

static bool take_key(struct scan *scan)
{
	if (scan->left == 0)
		return false;
	struct ask_key *key = scan->keys;
	skip_space(scan);
	bool text = scan->at < scan->end && *scan->at == '"';
	if (!text && !take_number(scan, key))
		return false;
	if (text) {
		key->number = false;
		if (!take_text(scan, &key->text, &key->len) || key->len > ASK_KEY_MAX)
			return false;
	}
	scan->keys++;
	scan->left--;
	return true;
}

static bool take_keys(struct scan *scan, size_t *ret_count)
{
	size_t count = 0;
	if (!take(scan, '['))
		return false;
	do {
		if (!take_key(scan))
			return false;
		count++;
	} while (take(scan, ','));
	*ret_count = count;
	return take(scan, ']') && count <= ASK_ROWS_MAX;
}

static bool entity_is_new(const struct ask *ask, const struct ask_entity *entity)
{
	for (size_t i = 0; i < ask->entity_count; i++)
		if (ask->entities[i].name_len == entity->name_len &&
		    memcmp(ask->entities[i].name, entity->name, entity->name_len) == 0)
			return false;
	return true;
}

static bool take_entities(struct scan *scan, struct ask *ask)
{
	if (ask->entity_count || !take(scan, '{'))
		return false;
	do {
		struct ask_entity entity;
		size_t count;
		if (ask->entity_count == ASK_ENTITIES_MAX ||
		    !take_text(scan, &entity.name, &entity.name_len) || entity.name_len == 0 ||
		    !take(scan, ':'))
			return false;
		entity.keys = scan->keys;
		if (!take_keys(scan, &count) || (ask->entity_count && count != ask->rows) ||
		    !entity_is_new(ask, &entity))
			return false;
		ask->rows = count;
		ask->entities[ask->entity_count++] = entity;
	} while (take(scan, ','));
	return take(scan, '}');
}

/* Only finds the end: ask_features reads it, once for all requests with the same text. */
static bool take_features(struct scan *scan, struct ask *ask)
{
	const char *text;
	size_t len, count = 0;
	skip_space(scan);
	const char *from = scan->at;
	if (ask->features || !take(scan, '['))
		return false;
	do {
		if (++count > ASK_FEATURES_MAX || !take_text(scan, &text, &len))
			return false;
	} while (take(scan, ','));
	if (!take(scan, ']'))
		return false;
	ask->features = from;
	ask->features_len = (size_t)(scan->at - from);
	return true;
}

static bool take_full_names(struct scan *scan, struct ask *ask, bool *seen)
{
	if (*seen)
		return false;
	*seen = true;
	ask->full_names = take_word(scan, "true");
	return ask->full_names || take_word(scan, "false");
}

static bool is(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(text, name, len) == 0;
}

static bool take_member(struct scan *scan, struct ask *ask, bool *full_seen)
{
	const char *name;
	size_t len;
	if (!take_text(scan, &name, &len) || !take(scan, ':'))
		return false;
	if (is(name, len, "features"))
		return take_features(scan, ask);
	if (is(name, len, "entities"))
		return take_entities(scan, ask);
	return is(name, len, "full_feature_names") && take_full_names(scan, ask, full_seen);
}

bool ask_scan(const char *body, size_t len, struct ask_key *keys, size_t key_max,
              struct ask *ret_ask)
{
	struct scan scan = { body, body + len, keys, key_max };
	bool full_seen = false;
	ret_ask->features = NULL;
	ret_ask->full_names = false;
	ret_ask->entity_count = ret_ask->rows = 0;
	if (len == 0 || !take(&scan, '{'))
		return false;
	do {
		if (!take_member(&scan, ret_ask, &full_seen))
			return false;
	} while (take(&scan, ','));
	if (!take(&scan, '}') || !ret_ask->features || !ret_ask->entity_count)
		return false;
	skip_space(&scan);
	return scan.at == scan.end;
}

/* ---- parsing ---- */

static int check_members(const struct value *body, struct err *err)
{
	static const char *const known[] = { "features", "entities", "full_feature_names" };
	if (value_kind(body) != VALUE_MAP)
		return err_set(err, E_INVALID, "the body must be an object with features and "
		               "entities");
	for (size_t i = 0; i < value_len(body); i++) {
		const char *name = NULL;
		value_member(body, i, &name);
		bool found = false;
		for (size_t k = 0; k < ARRAY_LEN(known); k++)
			found = found || strcmp(known[k], name) == 0;
		const char *near = found ? NULL : name_nearest(name, known, ARRAY_LEN(known));
		if (!found)
			return err_set(err, E_INVALID, "%.64s: there is no such field%s%s; there "
			               "are features, entities and full_feature_names", name,
			               near ? ", did you mean " : "", near ? near : "");
	}
	const struct value *full = value_get(body, "full_feature_names");
	if (full && value_kind(full) != VALUE_BOOL)
		return err_set(err, E_INVALID, "full_feature_names: must be true or false");
	return 0;
}

static int check_list(const char *field, const struct value *list, size_t max, struct err *err)
{
	if (value_kind(list) != VALUE_LIST)
		return err_set(err, E_INVALID, "%s: must be a list", field);
	if (value_len(list) < 1 || value_len(list) > max)
		return err_set(err, E_INVALID, "%s: must have 1 to %zu items, it has %zu", field,
		               max, value_len(list));
	return 0;
}

static int read_key(struct arena *arena, const char *name, size_t row, const struct value *value,
                    struct ask_key *ret_key, struct err *err)
{
	if (value_kind(value) == VALUE_INT) {
		const char *text = arena_printf(arena, "%" PRId64, value_as_int(value, 0));
		if (!text)
			return err_set(err, E_NOMEM, "no memory for the request");
		*ret_key = (struct ask_key) { text, strlen(text), true };
		return 0;
	}
	if (value_kind(value) != VALUE_STR)
		return err_set(err, E_INVALID, "entities.%.64s[%zu]: must be a string or an "
		               "integer", name, row);
	if (value_len(value) > ASK_KEY_MAX)
		return err_set(err, E_INVALID, "entities.%.64s[%zu]: must have at most %d bytes, "
		               "it has %zu", name, row, ASK_KEY_MAX, value_len(value));
	*ret_key = (struct ask_key) { value_as_str(value), value_len(value), false };
	return 0;
}

static int read_entity(struct arena *arena, const char *name, const struct value *list,
                       struct ask *ask, struct err *err)
{
	const char *field = arena_printf(arena, "entities.%.64s", name);
	TRY(check_list(field ? field : "entities", list, ASK_ROWS_MAX, err));
	size_t rows = value_len(list);
	if (ask->entity_count && rows != ask->rows)
		return err_set(err, E_INVALID, "entities.%.64s: has %zu items, the others have "
		               "%zu; give one for each row", name, rows, ask->rows);
	struct ask_key *keys = arena_alloc(arena, rows * sizeof *keys);
	if (!keys)
		return err_set(err, E_NOMEM, "no memory for the request");
	for (size_t i = 0; i < rows; i++)
		TRY(read_key(arena, name, i, value_at(list, i), &keys[i], err));
	ask->rows = rows;
	ask->entities[ask->entity_count++] = (struct ask_entity) { name, strlen(name), keys };
	return 0;
}

static int read_entities(struct arena *arena, const struct value *map, struct ask *ask,
                         struct err *err)
{
	if (value_kind(map) != VALUE_MAP || value_len(map) < 1 || value_len(map) > ASK_ENTITIES_MAX)
		return err_set(err, E_INVALID, "entities: must be an object of 1 to %d lists by "
		               "join key", ASK_ENTITIES_MAX);
	for (size_t i = 0; i < value_len(map); i++) {
		const char *name = NULL;
		const struct value *list = value_member(map, i, &name);
		if (!*name)
			return err_set(err, E_INVALID, "entities: a join key's name must not be "
			               "empty");
		TRY(read_entity(arena, name, list, ask, err));
	}
	return 0;
}

/* Features as text again, so that requests that differ in escapes alone are one. */
static int print_features(struct arena *arena, const struct value *list, struct ask *ask,
                          struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, MIB);
	TRY(check_list("features", list, ASK_FEATURES_MAX, err));
	json_print(list, &text);
	TRY(buf_check(&text, err));
	ask->features = arena_strndup(arena, (char *)text.data, text.len);
	ask->features_len = text.len;
	return ask->features ? 0 : err_set(err, E_NOMEM, "no memory for the request");
}

int ask_parse(struct arena *arena, const char *body, size_t len, struct ask *ret_ask,
              struct err *err)
{
	struct value *value;
	struct ask ask = { 0 };
	TRY(json_parse(arena, body ? body : "", len, &value, err));
	TRY(check_members(value, err));
	ask.full_names = value_get_bool(value, "full_feature_names", false);
	TRY(print_features(arena, value_get(value, "features"), &ask, err));
	TRY(read_entities(arena, value_get(value, "entities"), &ask, err));
	*ret_ask = ask;
	return 0;
}

/* ---- features ---- */

static int read_feature(struct arena *arena, size_t i, const struct value *item,
                        struct ask_feature *ret_feature, struct err *err)
{
	const char *text = value_as_str(item);
	const char *colon = text && value_kind(item) == VALUE_STR ? strchr(text, ':') : NULL;
	if (!colon || colon == text || !colon[1] || (size_t)(colon - text) > 2 * NAME_MAX_LEN + 1 ||
	    strlen(colon + 1) > 128)
		return err_set(err, E_INVALID, "features[%zu]: must be \"view:feature\" or "
		               "\"domain.view:feature\"", i);
	ret_feature->view = arena_strndup(arena, text, (size_t)(colon - text));
	ret_feature->feature = colon + 1;
	return ret_feature->view ? 0 : err_set(err, E_NOMEM, "no memory for the request");
}

int ask_features(struct arena *arena, const char *features, size_t len,
                 struct ask_feature **ret_features, size_t *ret_count, struct err *err)
{
	struct value *list;
	TRY(json_parse(arena, features, len, &list, err));
	TRY(check_list("features", list, ASK_FEATURES_MAX, err));
	size_t count = value_len(list);
	struct ask_feature *all = arena_alloc(arena, count * sizeof *all);
	if (!all)
		return err_set(err, E_NOMEM, "no memory for the request");
	for (size_t i = 0; i < count; i++) {
		TRY(read_feature(arena, i, value_at(list, i), &all[i], err));
		for (size_t k = 0; k < i; k++)
			if (strcmp(all[k].view, all[i].view) == 0 &&
			    strcmp(all[k].feature, all[i].feature) == 0)
				return err_set(err, E_INVALID, "features[%zu]: is there already, "
				               "as features[%zu]", i, k);
	}
	*ret_features = all;
	*ret_count = count;
	return 0;
}
