/* wire.c - reads and writes structs by their tables. Recursion is as deep as the tables nest. */
#include "common/defs.h"
#include "api/wire.h"

#include "common/text.h"

#include <inttypes.h>
#include <string.h>

static int write_struct(struct arena *arena, const struct wire *wire, const void *from,
                        struct value **ret_value, struct err *err);
static int read_struct(struct arena *arena, const struct wire *wire, const struct value *map,
                       void *to, struct err *err);

/* ---- writing ---- */

static const void *at(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

static const void *pointer_at(const void *base, size_t offset)
{
	const void *pointer;
	memcpy(&pointer, at(base, offset), sizeof pointer);
	return pointer;
}

static size_t count_at(const void *base, size_t offset)
{
	size_t count;
	memcpy(&count, at(base, offset), sizeof count);
	return count;
}

static int64_t number_at(const struct wire_member *member, const void *base)
{
	const void *from = at(base, member->offset);
	switch (member->kind) {
	case WIRE_INT32:
	case WIRE_ENUM: return *(const int *)from;
	case WIRE_UINT32: return *(const uint32_t *)from;
	case WIRE_UINT64: return *(const uint64_t *)from > INT64_MAX ? INT64_MAX
	                         : (int64_t)*(const uint64_t *)from;
	case WIRE_BOOL: return *(const bool *)from;
	default: return *(const int64_t *)from;
	}
}

static struct value *write_enum(struct arena *arena, const struct wire_member *member,
                                const void *base)
{
	int64_t n = number_at(member, base);
	for (int64_t i = 0; member->names[i]; i++)
		if (i == n)
			return value_str(arena, member->names[i]);
	return NULL;
}

static int write_structs(struct arena *arena, const struct wire_member *member, const void *base,
                         struct value **ret_value, struct err *err)
{
	struct value *list = value_list(arena);
	const char *item = pointer_at(base, member->offset);
	size_t count = count_at(base, member->count_offset);
	for (size_t i = 0; i < count; i++, item += member->sub->size) {
		struct value *value;
		TRY(write_struct(arena, member->sub, item, &value, err));
		value_add(list, value);
	}
	*ret_value = list;
	return 0;
}

static struct value *write_texts(struct arena *arena, const struct wire_member *member,
                                 const void *base)
{
	struct value *list = value_list(arena);
	const char *const *texts = pointer_at(base, member->offset);
	size_t count = count_at(base, member->count_offset);
	for (size_t i = 0; list && i < count; i++)
		value_add_str(list, texts[i]);
	return list;
}

static struct value *write_pointed(struct arena *arena, const struct wire_member *member,
                                   const void *base)
{
	const void *from = pointer_at(base, member->offset);
	if (!from)
		return NULL;
	switch (member->kind) {
	case WIRE_TEXT:
	case WIRE_NAME: return value_str(arena, from);
	case WIRE_FIXED: return value_bin(arena, from, (size_t)member->max);
	case WIRE_BIN: return value_bin(arena, from, count_at(base, member->count_offset));
	default: return value_copy(arena, from);
	}
}

static int write_member(struct arena *arena, const struct wire_member *member, const void *base,
                        struct value **ret_value, struct err *err)
{
	*ret_value = NULL;
	switch (member->kind) {
	case WIRE_INT:
	case WIRE_INT32:
	case WIRE_UINT32:
	case WIRE_UINT64: *ret_value = value_int(arena, number_at(member, base)); return 0;
	case WIRE_BOOL: *ret_value = value_bool(arena, number_at(member, base)); return 0;
	case WIRE_ENUM: *ret_value = write_enum(arena, member, base); return 0;
	case WIRE_STRUCT: return write_struct(arena, member->sub, at(base, member->offset),
	                                      ret_value, err);
	case WIRE_STRUCTS: return write_structs(arena, member, base, ret_value, err);
	case WIRE_TEXTS: *ret_value = write_texts(arena, member, base); return 0;
	case WIRE_HOOK: *ret_value = member->hook->write(arena, at(base, member->offset)); return 0;
	default: *ret_value = write_pointed(arena, member, base); return 0;
	}
}

static int write_struct(struct arena *arena, const struct wire *wire, const void *from,
                        struct value **ret_value, struct err *err)
{
	struct value *map = value_map(arena);
	for (const struct wire_member *member = wire->members; map && member->name; member++) {
		struct value *value;
		int rc = write_member(arena, member, from, &value, err);
		if (rc < 0) {
			err_prefix(err, "%s", member->name);
			return rc;
		}
		if (value || !member->optional)
			value_set(map, member->name, value);
	}
	*ret_value = map;
	return 0;
}

int wire_value(struct arena *arena, const struct wire *wire, const void *from,
               struct value **ret_value, struct err *err)
{
	struct value *value;
	TRY(write_struct(arena, wire, from, &value, err));
	if (value_check(value, err) < 0)
		return err_set(err, E_NOMEM, "%s: a member is missing or the memory for the "
		               "message is used up", wire->what);
	*ret_value = value;
	return 0;
}

/* ---- reading ---- */

static int bad(struct err *err, const struct wire_member *member, const char *rule)
{
	return err_set(err, E_INVALID, "%s %s", member->name, rule);
}

static int read_number(const struct wire_member *member, const struct value *value, void *to,
                       struct err *err)
{
	int64_t n = value_as_int(value, 0);
	if (value_kind(value) != VALUE_INT || n < member->min || n > member->max)
		return err_set(err, E_INVALID, "%s must be an integer from %" PRId64 " to %" PRId64,
		               member->name, member->min, member->max);
	switch (member->kind) {
	case WIRE_INT32: *(int *)to = (int)n; break;
	case WIRE_UINT32: *(uint32_t *)to = (uint32_t)n; break;
	case WIRE_UINT64: *(uint64_t *)to = (uint64_t)n; break;
	default: *(int64_t *)to = n; break;
	}
	return 0;
}

static int read_enum(const struct wire_member *member, const struct value *value, void *to,
                     struct err *err)
{
	const char *name = value_as_str(value);
	for (int i = 0; name && member->names[i]; i++) {
		if (strcmp(member->names[i], name) == 0) {
			*(int *)to = i;
			return 0;
		}
	}
	return bad(err, member, "must be one of the names this version knows");
}

static int check_len(const struct wire_member *member, size_t len, const char *unit,
                     struct err *err)
{
	if ((int64_t)len >= member->min && (int64_t)len <= member->max)
		return 0;
	return err_set(err, E_INVALID, "%s must have %" PRId64 " to %" PRId64 " %s, it has %zu",
	               member->name, member->min, member->max, unit, len);
}

static int read_text(const struct wire_member *member, const struct value *value, void *to,
                     struct err *err)
{
	const char *text = value_as_str(value);
	if (value_kind(value) != VALUE_STR || !text)
		return bad(err, member, "must be text");
	if (member->kind == WIRE_NAME)
		TRY(name_check(member->name, text, err));
	else
		TRY(check_len(member, value_len(value), "bytes", err));
	memcpy(to, &text, sizeof text);
	return 0;
}

static int read_bytes(const struct wire_member *member, const struct value *value, void *to,
                      void *base, struct err *err)
{
	size_t len = 0;
	const void *data = value_as_bin(value, &len);
	if (value_kind(value) != VALUE_BIN || !data)
		return bad(err, member, "must be bytes");
	TRY(check_len(member, len, "bytes", err));
	memcpy(to, &data, sizeof data);
	if (member->kind == WIRE_BIN)
		memcpy((char *)base + member->count_offset, &len, sizeof len);
	return 0;
}

static int read_value(const struct wire_member *member, const struct value *value, void *to,
                      struct err *err)
{
	enum value_kind kind = value_kind(value);
	if (member->kind == WIRE_LIST_OF && kind != VALUE_LIST)
		return bad(err, member, "must be a list");
	if (member->kind == WIRE_MAP_OF && kind != VALUE_MAP)
		return bad(err, member, "must be a map");
	if (member->kind != WIRE_ANY)
		TRY(check_len(member, value_len(value), "members", err));
	memcpy(to, &value, sizeof value);
	return 0;
}

static int read_list(const struct wire_member *member, const struct value *value, size_t size,
                     struct arena *arena, void **ret_items, struct err *err)
{
	if (value_kind(value) != VALUE_LIST)
		return bad(err, member, "must be a list");
	size_t count = value_len(value);
	TRY(check_len(member, count, "items", err));
	void *items = arena_alloc(arena, count * size + 1);
	if (!items)
		return err_set(err, E_NOMEM, "%s does not fit into the message's memory",
		               member->name);
	*ret_items = items;
	return 0;
}

static int read_structs(struct arena *arena, const struct wire_member *member,
                        const struct value *value, void *to, void *base, struct err *err)
{
	void *items;
	TRY(read_list(member, value, member->sub->size, arena, &items, err));
	size_t count = value_len(value);
	for (size_t i = 0; i < count; i++) {
		int rc = read_struct(arena, member->sub, value_at(value, i),
		                     (char *)items + i * member->sub->size, err);
		if (rc < 0) {
			err_prefix(err, "%s[%zu]", member->name, i);
			return rc;
		}
	}
	memcpy(to, &items, sizeof items);
	memcpy((char *)base + member->count_offset, &count, sizeof count);
	return 0;
}

static int read_texts(struct arena *arena, const struct wire_member *member,
                      const struct value *value, void *to, void *base, struct err *err)
{
	void *items;
	TRY(read_list(member, value, sizeof(char *), arena, &items, err));
	const char **texts = items;
	size_t count = value_len(value);
	for (size_t i = 0; i < count; i++) {
		const struct value *text = value_at(value, i);
		if (value_kind(text) != VALUE_STR || value_len(text) < 1 ||
		    value_len(text) > WIRE_TEXTS_LEN_MAX)
			return err_set(err, E_INVALID, "%s[%zu] must be text of 1 to %d bytes",
			               member->name, i, WIRE_TEXTS_LEN_MAX);
		texts[i] = value_as_str(text);
	}
	memcpy(to, &items, sizeof items);
	memcpy((char *)base + member->count_offset, &count, sizeof count);
	return 0;
}

static int read_inside(struct arena *arena, const struct wire_member *member,
                       const struct value *value, void *to, struct err *err)
{
	int rc = member->kind == WIRE_STRUCT ? read_struct(arena, member->sub, value, to, err)
	                                     : member->hook->read(arena, value, to, err);
	if (rc < 0)
		err_prefix(err, "%s", member->name);
	return rc;
}

static int read_member(struct arena *arena, const struct wire_member *member,
                       const struct value *value, void *base, struct err *err)
{
	void *to = (char *)base + member->offset;
	switch (member->kind) {
	case WIRE_BOOL:
		if (value_kind(value) != VALUE_BOOL)
			return bad(err, member, "must be true or false");
		*(bool *)to = value_as_bool(value, false);
		return 0;
	case WIRE_ENUM: return read_enum(member, value, to, err);
	case WIRE_TEXT:
	case WIRE_NAME: return read_text(member, value, to, err);
	case WIRE_FIXED:
	case WIRE_BIN: return read_bytes(member, value, to, base, err);
	case WIRE_LIST_OF:
	case WIRE_MAP_OF:
	case WIRE_ANY: return read_value(member, value, to, err);
	case WIRE_STRUCT:
	case WIRE_HOOK: return read_inside(arena, member, value, to, err);
	case WIRE_STRUCTS: return read_structs(arena, member, value, to, base, err);
	case WIRE_TEXTS: return read_texts(arena, member, value, to, base, err);
	default: return read_number(member, value, to, err);
	}
}

static bool knows(const struct wire *wire, const char *name)
{
	for (const struct wire_member *member = wire->members; member->name; member++)
		if (strcmp(member->name, name) == 0)
			return true;
	return false;
}

static int refuse_unknown(const struct wire *wire, const struct value *map, struct err *err)
{
	for (size_t i = 0; i < value_len(map); i++) {
		const char *name = NULL;
		value_member(map, i, &name);
		if (!name || !knows(wire, name))
			return err_set(err, E_INVALID, "a member with the unknown name \"%.40s\"",
			               name ? name : "");
	}
	return 0;
}

static int read_struct(struct arena *arena, const struct wire *wire, const struct value *map,
                       void *to, struct err *err)
{
	if (value_kind(map) != VALUE_MAP)
		return err_set(err, E_INVALID, "must be a map");
	memset(to, 0, wire->size);
	size_t present = 0;
	for (const struct wire_member *member = wire->members; member->name; member++) {
		const struct value *value = value_get(map, member->name);
		if (!value) {
			if (!member->optional)
				return bad(err, member, "is missing");
			continue;
		}
		present++;
		TRY(read_member(arena, member, value, to, err));
	}
	return wire->strict && value_len(map) > present ? refuse_unknown(wire, map, err) : 0;
}

int wire_read(struct arena *arena, const struct wire *wire, const struct value *map,
              void *ret_struct, struct err *err)
{
	int rc = read_struct(arena, wire, map, ret_struct, err);
	if (rc < 0)
		err_prefix(err, "%s", wire->what);
	return rc;
}
