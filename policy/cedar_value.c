/* cedar_value.c - order, equality, sets and records. Invariant: the items of a set ascend strictly,
 * and so do the names of a record. */
#include "common/defs.h"
#include "policy/cedar_value.h"

#include "common/crypto.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 64 };

struct cedar_str cedar_str(const char *text)
{
	return (struct cedar_str){ text, strlen(text) };
}

bool cedar_str_equal(struct cedar_str a, struct cedar_str b)
{
	return a.len == b.len &&
		(!a.len || a.text == b.text || memcmp(a.text, b.text, a.len) == 0);
}

bool cedar_str_is(struct cedar_str a, const char *text)
{
	return cedar_str_equal(a, cedar_str(text));
}

int cedar_str_compare(struct cedar_str a, struct cedar_str b)
{
	size_t least = a.len < b.len ? a.len : b.len;
	int order = least ? memcmp(a.text, b.text, least) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Cuts at a character, not inside one. */
const char *cedar_str_show(struct arena *arena, struct cedar_str str)
{
	size_t len = str.len <= SHOWN_MAX ? str.len : SHOWN_MAX;
	while (len && len < str.len && ((uint8_t)str.text[len] & 0xc0) == 0x80)
		len--;
	char *copy = arena_strndup(arena, str.text, len);
	return copy ? copy : "?";
}

int cedar_str_copy(struct arena *arena, struct cedar_str str, struct cedar_str *ret_str,
		   struct err *err)
{
	char *copy = arena_alloc(arena, str.len + 1);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory left for the policies' text");
	if (str.len)
		memcpy(copy, str.text, str.len);
	*ret_str = (struct cedar_str){ copy, str.len };
	return 0;
}

uint64_t cedar_hash(uint64_t seed, struct cedar_str str)
{
	return hash_short(seed, str.text, str.len);
}

void cedar_uid_init(struct cedar_uid *uid, struct cedar_str type, struct cedar_str id)
{
	uint64_t type_hash = cedar_hash(0, type);
	*uid = (struct cedar_uid){ type, id, type_hash, cedar_hash(type_hash, id) };
}

void cedar_uid_init_by(struct cedar_uid *uid, const struct hash_key *key,
                       const struct cedar_uid *like, struct cedar_str id)
{
	*uid = (struct cedar_uid){ like->type, id, like->type_hash,
		                   hash_short_by(key, like->type_hash, id.text, id.len) };
}

void cedar_uid_init_like(struct cedar_uid *uid, const struct cedar_uid *like, struct cedar_str id)
{
	*uid = (struct cedar_uid){ like->type, id, like->type_hash,
		                   cedar_hash(like->type_hash, id) };
}

bool cedar_uid_equal(const struct cedar_uid *a, const struct cedar_uid *b)
{
	return a == b || (a->hash == b->hash && cedar_str_equal(a->id, b->id) &&
	                  cedar_str_equal(a->type, b->type));
}

static int compare_int(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_uid(const struct cedar_uid *a, const struct cedar_uid *b)
{
	if (a == b)
		return 0;
	int order = cedar_str_compare(a->type, b->type);
	return order ? order : cedar_str_compare(a->id, b->id);
}

static int compare_ip(const struct cedar_ip *a, const struct cedar_ip *b)
{
	if (a->v6 != b->v6)
		return a->v6 ? 1 : -1;
	int order = memcmp(a->addr, b->addr, sizeof a->addr);
	return order ? order : compare_int(a->prefix, b->prefix);
}

static int compare_sets(const struct cedar_items *a, const struct cedar_items *b)
{
	int order = compare_int((int64_t)a->count, (int64_t)b->count);
	for (size_t i = 0; !order && i < a->count; i++)
		order = cedar_value_compare(&a->items[i], &b->items[i]);
	return order;
}

static int compare_records(const struct cedar_record *a, const struct cedar_record *b)
{
	int order = compare_int((int64_t)a->count, (int64_t)b->count);
	for (size_t i = 0; !order && i < a->count; i++) {
		order = cedar_str_compare(a->fields[i].name, b->fields[i].name);
		if (!order)
			order = cedar_value_compare(&a->fields[i].value, &b->fields[i].value);
	}
	return order;
}

int cedar_value_compare(const struct cedar_value *a, const struct cedar_value *b)
{
	if (a->kind != b->kind)
		return compare_int(a->kind, b->kind);
	switch (a->kind) {
	case CEDAR_BOOL: return compare_int(a->b, b->b);
	case CEDAR_STRING: return cedar_str_compare(a->str, b->str);
	case CEDAR_ENTITY: return compare_uid(a->uid, b->uid);
	case CEDAR_IP: return compare_ip(a->ip, b->ip);
	case CEDAR_SET: return compare_sets(a->set, b->set);
	case CEDAR_RECORD: return compare_records(a->record, b->record);
	default: return compare_int(a->i, b->i);
	}
}

bool cedar_value_equal(const struct cedar_value *a, const struct cedar_value *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == CEDAR_ENTITY)
		return cedar_uid_equal(a->uid, b->uid);
	if (a->kind == CEDAR_STRING)
		return cedar_str_equal(a->str, b->str);
	return cedar_value_compare(a, b) == 0;
}

const char *cedar_kind_name(enum cedar_kind kind)
{
	static const char *const names[] = {
		[CEDAR_BOOL] = "bool", [CEDAR_LONG] = "long", [CEDAR_STRING] = "string",
		[CEDAR_ENTITY] = "entity", [CEDAR_SET] = "set", [CEDAR_RECORD] = "record",
		[CEDAR_DECIMAL] = "decimal", [CEDAR_IP] = "ipaddr",
		[CEDAR_DATETIME] = "datetime", [CEDAR_DURATION] = "duration",
	};
	return names[kind];
}

static int by_value(const void *a, const void *b)
{
	return cedar_value_compare(a, b);
}

int cedar_items_new(struct arena *arena, struct cedar_value *values, size_t count,
		    const struct cedar_items **ret_set, struct err *err)
{
	struct cedar_items *set = arena_alloc(arena, sizeof *set);
	if (!set)
		return err_set(err, E_NOMEM, "no memory left for a set");
	if (count > 1)
		qsort(values, count, sizeof *values, by_value);
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (!kept || cedar_value_compare(&values[kept - 1], &values[i]) != 0)
			values[kept++] = values[i];
	*set = (struct cedar_items){ kept, values };
	*ret_set = set;
	return 0;
}

bool cedar_items_has(const struct cedar_items *set, const struct cedar_value *value)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = cedar_value_compare(value, &set->items[middle]);
		if (!order)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static int by_name(const void *a, const void *b)
{
	const struct cedar_field *left = a, *right = b;
	return cedar_str_compare(left->name, right->name);
}

int cedar_record_new(struct arena *arena, struct cedar_field *fields, size_t count,
		     const struct cedar_record **ret_record, struct err *err)
{
	struct cedar_record *record = arena_alloc(arena, sizeof *record);
	if (!record)
		return err_set(err, E_NOMEM, "no memory left for a record");
	if (count > 1)
		qsort(fields, count, sizeof *fields, by_name);
	for (size_t i = 1; i < count; i++)
		if (cedar_str_equal(fields[i - 1].name, fields[i].name))
			return err_set(err, E_INVALID, "a record names `%s` twice; each name once",
			               cedar_str_show(arena, fields[i].name));
	*record = (struct cedar_record){ count, fields };
	*ret_record = record;
	return 0;
}

const struct cedar_value *cedar_record_get(const struct cedar_record *record,
					   struct cedar_str name)
{
	size_t low = 0, high = record->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = cedar_str_compare(name, record->fields[middle].name);
		if (!order)
			return &record->fields[middle].value;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
