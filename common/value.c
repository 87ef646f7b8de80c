/* value.c - the document tree. Invariants: len <= cap; member names are unique within a map; a map
 * whose cap is over INDEX_ABOVE carries a hash table of 2 * cap slots behind its members, so that
 * lookup stays constant however many members a document brings. */
#include "common/defs.h"
#include "common/value.h"

#include <math.h>
#include <string.h>

enum { INDEX_ABOVE = 16, FIRST_CAP = 4, CAP_MAX = 1 << 28 };

struct member {
	const char *name;
	struct value *value;
	uint32_t name_len;
	uint32_t hash;          /* 0 while the map has no table */
};

struct value {
	uint8_t kind;
	bool failed;            /* containers: a setter ran out of memory */
	union {
		bool b;
		int64_t i;
		double d;
		struct {
			const char *data;   /* a NUL follows, not counted */
			size_t len;
		} bytes;
		struct {
			struct arena *arena;
			void *slots;        /* struct value * of a list, struct member of a map */
			uint32_t len;
			uint32_t cap;
		} many;
	};
};

static struct value *value_new(struct arena *arena, enum value_kind kind, size_t extra)
{
	if (extra > SIZE_MAX / 2)
		return NULL;
	struct value *value = arena_alloc(arena, sizeof *value + extra);
	if (value)
		value->kind = (uint8_t)kind;
	return value;
}

static bool is_a(const struct value *value, enum value_kind kind)
{
	return value && value->kind == kind;
}

static bool is_container(const struct value *value)
{
	return is_a(value, VALUE_LIST) || is_a(value, VALUE_MAP);
}

static bool is_bytes(const struct value *value)
{
	return is_a(value, VALUE_STR) || is_a(value, VALUE_BIN);
}

struct value *value_null(struct arena *arena)
{
	return value_new(arena, VALUE_NULL, 0);
}

struct value *value_bool(struct arena *arena, bool b)
{
	struct value *value = value_new(arena, VALUE_BOOL, 0);
	if (value)
		value->b = b;
	return value;
}

struct value *value_int(struct arena *arena, int64_t i)
{
	struct value *value = value_new(arena, VALUE_INT, 0);
	if (value)
		value->i = i;
	return value;
}

struct value *value_real(struct arena *arena, double d)
{
	struct value *value = value_new(arena, VALUE_REAL, 0);
	if (value)
		value->d = d;
	return value;
}

static struct value *bytes_new(struct arena *arena, enum value_kind kind, const void *data,
			       size_t len)
{
	struct value *value = value_new(arena, kind, len < SIZE_MAX / 2 ? len + 1 : len);
	if (!value)
		return NULL;
	char *copy = (char *)(value + 1);
	if (len)
		memcpy(copy, data, len);
	value->bytes.data = copy;
	value->bytes.len = len;
	return value;
}

struct value *value_str(struct arena *arena, const char *text)
{
	return text ? bytes_new(arena, VALUE_STR, text, strlen(text)) : NULL;
}

struct value *value_strn(struct arena *arena, const char *text, size_t len)
{
	return bytes_new(arena, VALUE_STR, text, len);
}

struct value *value_bin(struct arena *arena, const void *data, size_t len)
{
	return bytes_new(arena, VALUE_BIN, data, len);
}

static struct value *container_new(struct arena *arena, enum value_kind kind)
{
	struct value *value = value_new(arena, kind, 0);
	if (value)
		value->many.arena = arena;
	return value;
}

struct value *value_list(struct arena *arena)
{
	return container_new(arena, VALUE_LIST);
}

struct value *value_map(struct arena *arena)
{
	return container_new(arena, VALUE_MAP);
}

static struct value **items(const struct value *list)
{
	return list->many.slots;
}

static struct member *members(const struct value *map)
{
	return map->many.slots;
}

/* The table holds member numbers plus one; 0 is an empty slot. NULL: the map is small. */
static uint32_t *table(const struct value *map)
{
	return map->many.cap > INDEX_ABOVE ? (uint32_t *)(members(map) + map->many.cap) : NULL;
}

/* Seeded with where the arena lies, which a sender of colliding names cannot know. */
static uint32_t hash_of(const struct value *map, const char *name, size_t len)
{
	uint64_t h = (uint64_t)(uintptr_t)map->many.arena * 0x9e3779b97f4a7c15u;
	while (len > 0) {
		uint64_t part = 0;
		size_t n = len < sizeof part ? len : sizeof part;
		memcpy(&part, name, n);
		h = (h ^ part ^ len) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
		name += n;
		len -= n;
	}
	h *= 0xc4ceb9fe1a85ec53u;
	return (uint32_t)(h >> 32);
}

static void table_put(const struct value *map, uint32_t i)
{
	uint32_t mask = map->many.cap * 2 - 1;      /* cap is a power of two */
	uint32_t at = members(map)[i].hash & mask;
	while (table(map)[at])
		at = (at + 1) & mask;
	table(map)[at] = i + 1;
}

static void table_build(const struct value *map)
{
	if (!table(map))
		return;
	memset(table(map), 0, map->many.cap * 2 * sizeof(uint32_t));
	for (uint32_t i = 0; i < map->many.len; i++) {
		struct member *member = &members(map)[i];
		member->hash = hash_of(map, member->name, member->name_len);
		table_put(map, i);
	}
}

static bool same_name(const struct member *member, const char *name, size_t len)
{
	return member->name_len == len && memcmp(member->name, name, len) == 0;
}

static struct member *find_hashed(const struct value *map, const char *name, size_t len)
{
	uint32_t mask = map->many.cap * 2 - 1;
	uint32_t hash = hash_of(map, name, len);
	for (uint32_t at = hash & mask; table(map)[at]; at = (at + 1) & mask) {
		struct member *member = &members(map)[table(map)[at] - 1];
		if (member->hash == hash && same_name(member, name, len))
			return member;
	}
	return NULL;
}

static struct member *find(const struct value *map, const char *name)
{
	if (!is_a(map, VALUE_MAP) || !name)
		return NULL;
	size_t len = strlen(name);
	if (table(map))
		return find_hashed(map, name, len);
	for (uint32_t i = 0; i < map->many.len; i++)
		if (same_name(&members(map)[i], name, len))
			return &members(map)[i];
	return NULL;
}

static bool grow(struct value *value)
{
	if (value->many.len < value->many.cap)
		return true;
	if (value->many.cap >= CAP_MAX)
		return false;
	uint32_t cap = value->many.cap ? value->many.cap * 2 : FIRST_CAP;
	bool map = value->kind == VALUE_MAP;
	size_t each = map ? sizeof(struct member) : sizeof(struct value *);
	size_t index = map && cap > INDEX_ABOVE ? cap * 2 * sizeof(uint32_t) : 0;
	void *slots = arena_alloc(value->many.arena, cap * each + index);
	if (!slots)
		return false;
	if (value->many.len)
		memcpy(slots, value->many.slots, value->many.len * each);
	value->many.slots = slots;
	value->many.cap = cap;
	if (map)
		table_build(value);
	return true;
}

static bool append_member(struct value *map, const char *name, struct value *value)
{
	size_t len = strlen(name);
	const char *copy = len < UINT32_MAX ? arena_strndup(map->many.arena, name, len) : NULL;
	if (!copy || !grow(map))
		return false;
	uint32_t i = map->many.len++;
	members(map)[i] = (struct member){ copy, value, (uint32_t)len, 0 };
	if (table(map)) {
		members(map)[i].hash = hash_of(map, copy, len);
		table_put(map, i);
	}
	return true;
}

void value_set(struct value *map, const char *name, struct value *member)
{
	if (!map)
		return;
	REQUIRE(map->kind == VALUE_MAP);
	struct member *old = find(map, name);
	if (!member)
		map->failed = true;
	else if (old)
		old->value = member;
	else if (!append_member(map, name, member))
		map->failed = true;
}

void value_set_str(struct value *map, const char *name, const char *text)
{
	if (map && text)
		value_set(map, name, value_str(map->many.arena, text));
}

void value_set_int(struct value *map, const char *name, int64_t i)
{
	if (map)
		value_set(map, name, value_int(map->many.arena, i));
}

void value_set_bool(struct value *map, const char *name, bool b)
{
	if (map)
		value_set(map, name, value_bool(map->many.arena, b));
}

void value_set_real(struct value *map, const char *name, double d)
{
	if (map)
		value_set(map, name, value_real(map->many.arena, d));
}

void value_set_bin(struct value *map, const char *name, const void *data, size_t len)
{
	if (map)
		value_set(map, name, value_bin(map->many.arena, data, len));
}

void value_remove(struct value *map, const char *name)
{
	struct member *member = find(map, name);
	if (!member)
		return;
	size_t after = (size_t)(members(map) + map->many.len - (member + 1));
	memmove(member, member + 1, after * sizeof *member);
	map->many.len--;
	table_build(map);
}

void value_add(struct value *list, struct value *item)
{
	if (!list)
		return;
	REQUIRE(list->kind == VALUE_LIST);
	if (item && grow(list))
		items(list)[list->many.len++] = item;
	else
		list->failed = true;
}

void value_add_str(struct value *list, const char *text)
{
	if (list)
		value_add(list, value_str(list->many.arena, text));
}

static bool complete(const struct value *value)
{
	if (!value || value->failed)
		return false;
	size_t count = is_container(value) ? value->many.len : 0;
	for (size_t i = 0; i < count; i++)
		if (!complete(value_at(value, i)))
			return false;
	return true;
}

int value_check(const struct value *value, struct err *err)
{
	if (complete(value))
		return 0;
	return err_set(err, E_NOMEM, "no memory left for a document; it is too large or the "
	               "machine is short of memory");
}

static struct value *container_copy(struct arena *arena, const struct value *value)
{
	struct value *copy = container_new(arena, value->kind);
	for (size_t i = 0; copy && i < value->many.len; i++) {
		const char *name = NULL;
		struct value *part = value_copy(arena, value_at(value, i));
		if (value_member(value, i, &name))
			value_set(copy, name, part);
		else
			value_add(copy, part);
		if (copy->failed)
			return NULL;
	}
	if (copy)
		copy->failed = value->failed;
	return copy;
}

struct value *value_copy(struct arena *arena, const struct value *value)
{
	if (!value)
		return NULL;
	if (is_bytes(value))
		return bytes_new(arena, value->kind, value->bytes.data, value->bytes.len);
	if (is_container(value))
		return container_copy(arena, value);
	struct value *copy = value_new(arena, value->kind, 0);
	if (copy)
		*copy = *value;
	return copy;
}

enum value_kind value_kind(const struct value *value)
{
	return value ? (enum value_kind)value->kind : VALUE_NULL;
}

const char *value_kind_name(enum value_kind kind)
{
	switch (kind) {
	case VALUE_NULL: return "null";
	case VALUE_BOOL: return "a boolean";
	case VALUE_INT: return "an integer";
	case VALUE_REAL: return "a number";
	case VALUE_STR: return "a string";
	case VALUE_BIN: return "bytes";
	case VALUE_LIST: return "a list";
	case VALUE_MAP: return "a map";
	}
	return "unknown";
}

bool value_as_bool(const struct value *value, bool fallback)
{
	return is_a(value, VALUE_BOOL) ? value->b : fallback;
}

int64_t value_as_int(const struct value *value, int64_t fallback)
{
	return is_a(value, VALUE_INT) ? value->i : fallback;
}

double value_as_real(const struct value *value, double fallback)
{
	if (is_a(value, VALUE_INT))
		return (double)value->i;
	return is_a(value, VALUE_REAL) ? value->d : fallback;
}

const char *value_as_str(const struct value *value)
{
	return is_a(value, VALUE_STR) ? value->bytes.data : NULL;
}

const void *value_as_bin(const struct value *value, size_t *ret_len)
{
	if (!is_bytes(value))
		return NULL;
	*ret_len = value->bytes.len;
	return value->bytes.data;
}

size_t value_len(const struct value *value)
{
	if (is_container(value))
		return value->many.len;
	return is_bytes(value) ? value->bytes.len : 0;
}

struct value *value_get_mut(struct value *map, const char *name)
{
	struct member *member = find(map, name);
	return member ? member->value : NULL;
}

const struct value *value_get(const struct value *map, const char *name)
{
	const struct member *member = find(map, name);
	return member ? member->value : NULL;
}

const char *value_get_str(const struct value *map, const char *name)
{
	return value_as_str(value_get(map, name));
}

int64_t value_get_int(const struct value *map, const char *name, int64_t fallback)
{
	return value_as_int(value_get(map, name), fallback);
}

bool value_get_bool(const struct value *map, const char *name, bool fallback)
{
	return value_as_bool(value_get(map, name), fallback);
}

double value_get_real(const struct value *map, const char *name, double fallback)
{
	return value_as_real(value_get(map, name), fallback);
}

const void *value_get_bin(const struct value *map, const char *name, size_t *ret_len)
{
	return value_as_bin(value_get(map, name), ret_len);
}

const struct value *value_at(const struct value *value, size_t i)
{
	if (!is_container(value) || i >= value->many.len)
		return NULL;
	return value->kind == VALUE_LIST ? items(value)[i] : members(value)[i].value;
}

const struct value *value_member(const struct value *map, size_t i, const char **ret_name)
{
	if (!is_a(map, VALUE_MAP) || i >= map->many.len)
		return NULL;
	if (ret_name)
		*ret_name = members(map)[i].name;
	return members(map)[i].value;
}

/* By bits, as pack_write sees them: 0.0 and -0.0 differ, one NaN is like another. */
static bool same_real(double a, double b)
{
	return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static bool same_parts(const struct value *a, const struct value *b)
{
	if (a->many.len != b->many.len)
		return false;
	for (size_t i = 0; i < a->many.len; i++) {
		const char *name = NULL;
		const struct value *part = value_at(a, i);
		const struct value *other = value_member(a, i, &name) ? value_get(b, name)
		                                                      : value_at(b, i);
		if (!other || !value_equal(part, other))
			return false;
	}
	return true;
}

bool value_equal(const struct value *a, const struct value *b)
{
	enum value_kind kind = value_kind(a);
	if (kind != value_kind(b))
		return false;
	switch (kind) {
	case VALUE_NULL: return true;
	case VALUE_BOOL: return a->b == b->b;
	case VALUE_INT: return a->i == b->i;
	case VALUE_REAL: return same_real(a->d, b->d);
	case VALUE_STR:
	case VALUE_BIN: return a->bytes.len == b->bytes.len &&
		memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0;
	case VALUE_LIST:
	case VALUE_MAP: return same_parts(a, b);
	}
	return false;
}
