/* field.c - checks a value against a table of fields. Paths in errors grow as the check descends
 * and shrink as it returns; a path too long for its buffer ends early, never overruns. */
#include "common/defs.h"
#include "api/field.h"

#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	PATH_MAX_LEN = 160, TEXT_MAX = 4096, MAP_KEY_MAX = 128, ROWS_MAX = 64,
	CHOICES_MAX = 32, CHOICE_MAX = 64, DECIMAL_DIGITS_MAX = 38
};

struct path {
	char text[PATH_MAX_LEN];
	size_t len;
};

static void path_add(struct path *path, const char *fmt, ...) PRINTF(2, 3);
static void path_add(struct path *path, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	size_t room = sizeof path->text - path->len;
	int n = vsnprintf(path->text + path->len, room, fmt, ap);
	va_end(ap);
	path->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void path_cut(struct path *path, size_t len)
{
	path->len = len;
	path->text[len] = 0;
}

/* A member's name as the client wrote it may hold anything; an error shows its print, in part. */
static void path_add_member(struct path *path, const char *name)
{
	char shown[48];
	size_t n = 0;
	for (; name[n] && n < sizeof shown - 1; n++)
		shown[n] = name[n] > ' ' && name[n] < 0x7f ? name[n] : '?';
	shown[n] = 0;
	path_add(path, path->len ? ".%s" : "%s", shown);
}

static int wrong_kind(const struct path *path, const char *wanted, const struct value *value,
                      struct err *err)
{
	return err_set(err, E_INVALID, "%s: must be %s, not %s",
	               path->len ? path->text : "the document", wanted,
	               value_kind_name(value_kind(value)));
}

/* --- choices: "csv|jsonl|parquet" --- */

struct choices {
	char text[CHOICES_MAX][CHOICE_MAX];
	const char *names[CHOICES_MAX];
	size_t count;
};

static void choices_read(const char *arg, struct choices *ret_choices)
{
	ret_choices->count = 0;
	while (arg && *arg) {
		size_t len = strcspn(arg, "|");
		REQUIRE(len < CHOICE_MAX && ret_choices->count < CHOICES_MAX);
		char *text = ret_choices->text[ret_choices->count];
		memcpy(text, arg, len);
		text[len] = 0;
		ret_choices->names[ret_choices->count++] = text;
		arg += len + (arg[len] == '|');
	}
}

static int refuse_choice(const struct path *path, const struct choices *choices,
                         const char *given, struct err *err)
{
	char list[240] = "";
	size_t used = 0;
	for (size_t i = 0; i < choices->count && used < sizeof list; i++) {
		const char *between = i == 0 ? "" : i + 1 == choices->count ? " or " : ", ";
		int n = snprintf(list + used, sizeof list - used, "%s%s", between,
		                 choices->names[i]);
		used += n < 0 ? 0 : (size_t)n;
	}
	const char *nearest = name_nearest(given, choices->names, choices->count);
	if (nearest)
		return err_set(err, E_INVALID, "%s: must be %s; did you mean \"%s\"?", path->text,
		               list, nearest);
	return err_set(err, E_INVALID, "%s: must be %s", path->text, list);
}

/* --- one value --- */

static int check_value(const struct field *field, const struct value *value, struct path *path,
                       struct err *err);

static int check_text(const struct field *field, const struct value *value,
                      const struct path *path, struct err *err)
{
	if (value_kind(value) != VALUE_STR)
		return wrong_kind(path, "a string", value, err);
	size_t max = field->arg ? strtoul(field->arg, NULL, 10) : TEXT_MAX;
	size_t len = value_len(value);
	if (len > max)
		return err_set(err, E_INVALID, "%s: has %zu bytes, at most %zu are allowed",
		               path->text, len, max);
	if (len == 0 && field->required)
		return err_set(err, E_INVALID, "%s: must not be empty", path->text);
	if (strlen(value_as_str(value)) != len)
		return err_set(err, E_INVALID, "%s: must not hold a NUL character", path->text);
	return 0;
}

static int check_name(const struct value *value, const struct path *path, struct err *err)
{
	if (value_kind(value) != VALUE_STR)
		return wrong_kind(path, "a name", value, err);
	return name_check(path->text, value_as_str(value), err);
}

static int check_subject(const struct value *value, const struct path *path, struct err *err)
{
	const char *text = value_as_str(value), *group = "group:";
	if (!text)
		return wrong_kind(path, "the name of a principal, or group:NAME", value, err);
	bool is_group = strncmp(text, group, strlen(group)) == 0;
	return name_check(path->text, is_group ? text + strlen(group) : text, err);
}

static int check_ref(const struct field *field, const struct value *value,
                     const struct path *path, struct err *err)
{
	const char *text = value_as_str(value);
	const char *kind = field->arg ? field->arg : "resource";
	if (!text)
		return wrong_kind(path, "the name of another resource", value, err);
	char domain[NAME_MAX_LEN + 2] = "";
	const char *dot = strchr(text, '.');
	size_t len = dot ? (size_t)(dot - text) : 0;
	if (dot && len < sizeof domain)
		memcpy(domain, text, len);
	bool valid = !dot || (len < sizeof domain && name_check("", domain, NULL) == 0);
	if (valid && name_check("", dot ? dot + 1 : text, NULL) == 0)
		return 0;
	return err_set(err, E_INVALID, "%s: must name one %s, as NAME or DOMAIN.NAME, each 1 to "
	               "%d of a-z 0-9 - _ beginning with a letter", path->text, kind, NAME_MAX_LEN);
}

static int check_int(const struct field *field, const struct value *value,
                     const struct path *path, struct err *err)
{
	if (value_kind(value) != VALUE_INT)
		return wrong_kind(path, "an integer", value, err);
	if (value_as_int(value, 0) < 0)
		return err_set(err, E_INVALID, "%s: must not be negative", path->text);
	int64_t max = field->arg ? strtoll(field->arg, NULL, 10) : INT64_MAX;
	if (value_as_int(value, 0) > max)
		return err_set(err, E_INVALID, "%s: must be at most %" PRId64, path->text, max);
	return 0;
}

static int check_real(const struct value *value, const struct path *path, struct err *err)
{
	if (value_kind(value) != VALUE_INT && value_kind(value) != VALUE_REAL)
		return wrong_kind(path, "a number", value, err);
	if (!isfinite(value_as_real(value, 0)))
		return err_set(err, E_INVALID, "%s: must be a finite number", path->text);
	return 0;
}

static int check_duration(const struct value *value, const struct path *path, struct err *err)
{
	int64_t ms;
	struct err why;
	if (value_kind(value) != VALUE_STR)
		return wrong_kind(path, "a duration such as \"24h\"", value, err);
	if (duration_parse(value_as_str(value), &ms, &why) < 0)
		return err_set(err, E_INVALID, "%s: must be a duration such as \"90s\", \"15m\", "
		               "\"24h\" or \"1h30m\"", path->text);
	return 0;
}

static int check_enum(const struct field *field, const struct value *value,
                      const struct path *path, struct err *err)
{
	struct choices choices;
	choices_read(field->arg, &choices);
	const char *text = value_as_str(value);
	for (size_t i = 0; text && i < choices.count; i++)
		if (strcmp(text, choices.names[i]) == 0)
			return 0;
	return text ? refuse_choice(path, &choices, text, err)
	            : wrong_kind(path, "a string", value, err);
}

static int check_type(const struct value *value, const struct path *path, struct err *err)
{
	const char *text = value_as_str(value);
	if (!text)
		return wrong_kind(path, "a column type such as \"int64\"", value, err);
	if (field_type_valid(text))
		return 0;
	struct choices choices;
	choices_read("boolean|int32|int64|float64|string|timestamp|date|bytes|decimal(p,s)",
	             &choices);
	return refuse_choice(path, &choices, text, err);
}

static int check_map(const struct value *value, struct path *path, struct err *err)
{
	if (value_kind(value) != VALUE_MAP)
		return wrong_kind(path, "a map of text to text", value, err);
	if (value_len(value) > FIELD_LIST_MAX)
		return err_set(err, E_INVALID, "%s: has %zu members, at most %d are allowed",
		               path->text, value_len(value), FIELD_LIST_MAX);
	size_t base = path->len;
	for (size_t i = 0; i < value_len(value); i++) {
		const char *name = NULL;
		const struct value *member = value_member(value, i, &name);
		path_add_member(path, name);
		size_t len = strlen(name);
		if (len == 0 || len > MAP_KEY_MAX)
			return err_set(err, E_INVALID, "%s: a member's name has %zu bytes, 1 to "
			               "%d are allowed", path->text, len, MAP_KEY_MAX);
		static const struct field text = { .kind = FIELD_TEXT };
		TRY(check_text(&text, member, path, err));
		path_cut(path, base);
	}
	return 0;
}

/* --- lists --- */

static enum field_kind item_kind(enum field_kind kind)
{
	switch (kind) {
	case FIELD_NAMES: return FIELD_NAME;
	case FIELD_TEXTS: return FIELD_TEXT;
	case FIELD_REFS: return FIELD_REF;
	case FIELD_SUBJECTS: return FIELD_SUBJECT;
	default: return FIELD_ENUM;
	}
}

static int fields_check_at(const struct field *table, const struct value *map, struct path *path,
                           struct err *err);

static int check_object(const struct field *field, const struct value *value, struct path *path,
                        struct err *err)
{
	if (value_kind(value) != VALUE_MAP)
		return wrong_kind(path, "a map", value, err);
	return field->sub ? fields_check_at(field->sub, value, path, err) : 0;
}

static int check_item(const struct field *field, const struct value *item, struct path *path,
                      struct err *err)
{
	if (field->kind == FIELD_OBJECTS)
		return fields_check_at(field->sub, item, path, err);
	const struct field one = {
		.kind = item_kind(field->kind), .required = true, .arg = field->arg
	};
	return check_value(&one, item, path, err);
}

/* What no two items of a list may share; DuckDB's columns know no case. */
static const char *item_identity(const struct field *field, const struct value *item)
{
	return field->kind == FIELD_OBJECTS ? value_get_str(item, "name") : value_as_str(item);
}

/* The first item before item i that names the same; i when there is none. */
static size_t find_twin(const struct field *field, const struct value *list, size_t i)
{
	const char *mine = item_identity(field, value_at(list, i));
	for (size_t j = 0; mine && j < i; j++) {
		const char *other = item_identity(field, value_at(list, j));
		if (other && strcasecmp(mine, other) == 0)
			return j;
	}
	return i;
}

static int check_unique(const struct field *field, const struct value *list,
                        const struct path *path, struct err *err)
{
	const char *folded = field->kind == FIELD_OBJECTS ? " (case does not count)" : "";
	for (size_t i = 1; i < value_len(list); i++) {
		size_t twin = find_twin(field, list, i);
		if (twin < i)
			return err_set(err, E_INVALID, "%s[%zu]: names the same as item %zu%s; "
			               "leave one out", path->text, i, twin, folded);
	}
	return 0;
}

size_t field_list_max(const struct field *field)
{
	bool bounded = field->kind == FIELD_NAMES && field->arg;
	return bounded ? strtoul(field->arg, NULL, 10) : FIELD_LIST_MAX;
}

static int check_list(const struct field *field, const struct value *value, struct path *path,
                      struct err *err)
{
	if (value_kind(value) != VALUE_LIST)
		return wrong_kind(path, "a list", value, err);
	size_t len = value_len(value), max = field_list_max(field);
	if (len > max)
		return err_set(err, E_INVALID, "%s: has %zu items, at most %zu are allowed",
		               path->text, len, max);
	if (len == 0 && field->required)
		return err_set(err, E_INVALID, "%s: must have at least one item", path->text);
	size_t base = path->len;
	for (size_t i = 0; i < len; i++) {
		path_add(path, "[%zu]", i);
		TRY(check_item(field, value_at(value, i), path, err));
		path_cut(path, base);
	}
	return check_unique(field, value, path, err);
}

static int check_value(const struct field *field, const struct value *value, struct path *path,
                       struct err *err)
{
	switch (field->kind) {
	case FIELD_TEXT: return check_text(field, value, path, err);
	case FIELD_NAME: return check_name(value, path, err);
	case FIELD_REF: return check_ref(field, value, path, err);
	case FIELD_SUBJECT: return check_subject(value, path, err);
	case FIELD_INT: return check_int(field, value, path, err);
	case FIELD_REAL: return check_real(value, path, err);
	case FIELD_BOOL:
		return value_kind(value) == VALUE_BOOL ? 0
		       : wrong_kind(path, "true or false", value, err);
	case FIELD_DURATION: return check_duration(value, path, err);
	case FIELD_ENUM: return check_enum(field, value, path, err);
	case FIELD_TYPE: return check_type(value, path, err);
	case FIELD_MAP: return check_map(value, path, err);
	case FIELD_OBJECT: return check_object(field, value, path, err);
	default: return check_list(field, value, path, err);
	}
}

/* --- a whole map --- */

static const struct field *find_field(const struct field *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static int unknown_field(const struct field *table, const struct path *path, const char *name,
                         struct err *err)
{
	const char *names[ROWS_MAX] = { NULL };
	size_t count = 0;
	for (; table->name && count < ROWS_MAX; table++)
		names[count++] = table->name;
	const char *nearest = name_nearest(name, names, count);
	for (size_t i = 0; !nearest && i < count; i++)
		if (strcasecmp(name, names[i]) == 0)
			nearest = names[i];
	if (nearest)
		return err_set(err, E_INVALID, "%s: unknown field; did you mean \"%s\"?",
		               path->text, nearest);
	char list[240] = "";
	size_t used = 0;
	for (size_t i = 0; i < count && used < sizeof list; i++) {
		int n = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
		used += n < 0 ? 0 : (size_t)n;
	}
	return err_set(err, E_INVALID, "%s: unknown field; known here: %s", path->text,
	               count ? list : "none");
}

static int check_members(const struct field *table, const struct value *map, struct path *path,
                         struct err *err)
{
	size_t base = path->len;
	for (size_t i = 0; i < value_len(map); i++) {
		const char *name = NULL;
		const struct value *member = value_member(map, i, &name);
		path_add_member(path, name);
		const struct field *field = find_field(table, name);
		if (!field)
			return unknown_field(table, path, name, err);
		TRY(check_value(field, member, path, err));
		path_cut(path, base);
	}
	return 0;
}

static int fields_check_at(const struct field *table, const struct value *map, struct path *path,
                           struct err *err)
{
	if (map && value_kind(map) != VALUE_MAP)
		return wrong_kind(path, "a map", map, err);
	TRY(check_members(table, map, path, err));
	for (; table->name; table++)
		if (table->required && !value_get(map, table->name))
			return err_set(err, E_INVALID, "%s%s%s: is missing; it is required (%s)",
			               path->text, path->len ? "." : "", table->name,
			               table->doc ? table->doc : "no default");
	return 0;
}

int fields_check(const struct field *table, const struct value *map, const char *path,
                 struct err *err)
{
	struct path at = { .len = 0 };
	path_add(&at, "%s", path ? path : "");
	return fields_check_at(table, map, &at, err);
}

/* --- column types --- */

static const struct { const char *name, *sql; } types[] = {
	{ "boolean", "BOOLEAN" }, { "int32", "INTEGER" }, { "int64", "BIGINT" },
	{ "float64", "DOUBLE" }, { "string", "VARCHAR" }, { "timestamp", "TIMESTAMP" },
	{ "date", "DATE" }, { "bytes", "BLOB" },
};

/* decimal(p,s): 1 <= p <= 38, 0 <= s <= p; no white space, no leading zeros. */
static bool decimal_parse(const char *type, int *ret_p, int *ret_s)
{
	int p = 0, s = 0, end = 0;
	if (sscanf(type, "decimal(%2d,%2d)%n", &p, &s, &end) != 2 || end == 0 || type[end])
		return false;
	char again[32];
	snprintf(again, sizeof again, "decimal(%d,%d)", p, s);
	*ret_p = p;
	*ret_s = s;
	return strcmp(again, type) == 0 && p >= 1 && p <= DECIMAL_DIGITS_MAX && s >= 0 && s <= p;
}

bool field_type_valid(const char *type)
{
	char sql[32];
	return field_type_sql(type, sql) != NULL;
}

const char *field_type_sql(const char *type, char out[32])
{
	int p, s;
	for (size_t i = 0; type && i < ARRAY_LEN(types); i++) {
		if (strcmp(types[i].name, type) == 0) {
			snprintf(out, 32, "%s", types[i].sql);
			return out;
		}
	}
	if (!type || !decimal_parse(type, &p, &s))
		return NULL;
	snprintf(out, 32, "DECIMAL(%d,%d)", p, s);
	return out;
}
