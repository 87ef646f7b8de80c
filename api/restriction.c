/* restriction.c - see restriction.h. */
#include "common/defs.h"
#include "api/restriction.h"

#include <string.h>

bool restriction_any(const struct restriction *restriction)
{
	return restriction->filter || restriction->masks || restriction->hidden;
}

bool restriction_hides(const struct restriction *restriction, const char *column)
{
	for (size_t i = 0; i < value_len(restriction->hidden); i++) {
		const char *name = value_as_str(value_at(restriction->hidden, i));
		if (!name || strcmp(name, column) == 0)
			return true;
	}
	return false;
}

enum mask restriction_mask(const struct restriction *restriction, const char *column)
{
	const struct value *action = value_get(restriction->masks, column);
	enum mask mask = MASK_NULL;
	if (!action)
		return MASK_NONE;
	const char *name = value_as_str(action);
	return name && mask_by_name(name, &mask, NULL) == 0 ? mask : MASK_NULL;
}

static const struct value *find_column(const struct value *schema, const char *name)
{
	for (size_t i = 0; i < value_len(schema); i++) {
		const char *column = value_get_str(value_at(schema, i), "name");
		if (column && strcmp(column, name) == 0)
			return value_at(schema, i);
	}
	return NULL;
}

static int check_mask(const struct value *schema, const char *column, const struct value *action,
                      struct err *err)
{
	const struct value *known = find_column(schema, column);
	const char *name = value_as_str(action), *type = value_get_str(known, "type");
	enum mask mask = MASK_NONE;
	if (!type)
		return err_set(err, E_INVALID, "masks: there is no column \"%s\"", column);
	if (!name)
		return err_set(err, E_INVALID, "masks: the action for \"%s\" must be a text",
		               column);
	TRY(mask_by_name(name, &mask, err));
	return mask_check(mask, column, type, value_get_bool(known, "required", false), err);
}

static int check_hidden(const struct value *hidden, struct err *err)
{
	for (size_t i = 0; i < value_len(hidden); i++)
		if (!value_as_str(value_at(hidden, i)))
			return err_set(err, E_INVALID, "hidden: item %zu must be a column's name",
			               i + 1);
	return 0;
}

int restriction_check(const struct restriction *restriction, const struct value *schema,
                      struct err *err)
{
	const char *column = NULL;
	if (!schema && restriction_any(restriction))
		return err_set(err, E_INVALID, "a table without a schema cannot be restricted");
	if (restriction->filter)
		TRY(rowfilter_check(restriction->filter, schema, err));
	for (size_t i = 0; i < value_len(restriction->masks); i++) {
		const struct value *action = value_member(restriction->masks, i, &column);
		TRY(check_mask(schema, column, action, err));
	}
	return check_hidden(restriction->hidden, err);
}
