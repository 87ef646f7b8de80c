/* lifts.c - see lifts.h. */
#include "common/defs.h"
#include "control/lifts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *lifts_key(char out[STORE_KEY_MAX], const struct dataset_at *at)
{
	snprintf(out, STORE_KEY_MAX, "r/lift/%s/%s/%s", at->tenant, at->domain, at->name);
	return out;
}

int lifts_get(struct control *control, struct arena *arena, const struct dataset_at *at,
              const struct value **ret_lifts, int64_t *ret_revision, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *value = NULL;
	*ret_revision = 0;
	int rc = catalog_get(control->catalog, arena, lifts_key(key, at), &value, ret_revision,
	                     err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	*ret_lifts = rc == 0 ? value_get(value, "lifts") : NULL;
	return 0;
}

static bool is_for(const struct value *lift, const char *column, const char *tag)
{
	const char *other = value_get_str(lift, "column"), *name = value_get_str(lift, "tag");
	bool same = column && other ? strcasecmp(column, other) == 0 : !column && !other;
	return same && name && strcmp(name, tag) == 0;
}

const struct value *lifts_find(const struct value *lifts, const char *column, const char *tag)
{
	for (size_t i = 0; i < value_len(lifts); i++)
		if (is_for(value_at(lifts, i), column, tag))
			return value_at(lifts, i);
	return NULL;
}

static bool lists(const struct value *list, const char *text)
{
	for (size_t i = 0; text && i < value_len(list); i++) {
		const char *other = value_as_str(value_at(list, i));
		if (other && strcmp(other, text) == 0)
			return true;
	}
	return false;
}

bool lifts_holds(const struct value *lift, const char *state, const struct value *origins)
{
	const char *given_for = value_get_str(lift, "state");
	bool holds = given_for && strcmp(given_for, state) == 0;
	for (size_t i = 0; holds && i < value_len(origins); i++)
		holds = lists(value_get(lift, "origins"), value_as_str(value_at(origins, i)));
	return holds;
}

int lifts_put(struct control *control, struct change *change, const struct dataset_at *at,
              const char *column, const char *tag, const struct value *lift, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct arena *arena = change_arena(change);
	const struct value *before = NULL;
	int64_t revision = 0;
	struct value *list = value_list(arena), *put = value_map(arena);
	TRY(lifts_get(control, arena, at, &before, &revision, err));
	for (size_t i = 0; i < value_len(before); i++)
		if (!is_for(value_at(before, i), column, tag))
			value_add(list, value_copy(arena, value_at(before, i)));
	if (lift && value_len(list) >= LIFTS_MAX)
		return err_set(err, E_QUOTA, "the dataset has %d lifts already; take back those "
		               "that lapsed, or lift the tag where it is declared", LIFTS_MAX);
	if (lift)
		value_add(list, value_copy(arena, lift));
	TRY(value_check(list, err));
	if (value_len(list) == 0)
		return before ? change_delete(change, lifts_key(key, at), revision, err) : 0;
	value_set(put, "lifts", list);
	TRY(value_check(put, err));
	return change_put(change, lifts_key(key, at), put, revision, err);
}

int lifts_delete(struct control *control, struct change *change, const struct dataset_at *at,
                 struct err *err)
{
	char key[STORE_KEY_MAX];
	lifts_key(key, at);
	return catalog_has(control->catalog, key) ? change_delete(change, key, -1, err) : 0;
}
