/* cedar_type.c - equality and the strict least upper bound. */
#include "common/defs.h"
#include "policy/cedar_type.h"

#include <stdlib.h>
#include <string.h>

const struct cedar_type *cedar_type_of(enum cedar_type_kind kind)
{
	static const struct cedar_type types[] = {
		[CEDAR_TYPE_FALSE] = { .kind = CEDAR_TYPE_FALSE },
		[CEDAR_TYPE_TRUE] = { .kind = CEDAR_TYPE_TRUE },
		[CEDAR_TYPE_BOOL] = { .kind = CEDAR_TYPE_BOOL },
		[CEDAR_TYPE_LONG] = { .kind = CEDAR_TYPE_LONG },
		[CEDAR_TYPE_STRING] = { .kind = CEDAR_TYPE_STRING },
		[CEDAR_TYPE_DECIMAL] = { .kind = CEDAR_TYPE_DECIMAL },
		[CEDAR_TYPE_IP] = { .kind = CEDAR_TYPE_IP },
		[CEDAR_TYPE_DATETIME] = { .kind = CEDAR_TYPE_DATETIME },
		[CEDAR_TYPE_DURATION] = { .kind = CEDAR_TYPE_DURATION },
		[CEDAR_TYPE_SCALAR] = { .kind = CEDAR_TYPE_SCALAR },
	};
	return &types[kind];
}

const struct cedar_type *cedar_type_empty_record(void)
{
	static const struct cedar_type empty = { .kind = CEDAR_TYPE_RECORD };
	return &empty;
}

const struct cedar_type *cedar_type_bool(bool known)
{
	return cedar_type_of(known ? CEDAR_TYPE_TRUE : CEDAR_TYPE_FALSE);
}

bool cedar_type_is_bool(const struct cedar_type *type)
{
	return type->kind <= CEDAR_TYPE_BOOL;
}

bool cedar_type_is_scalar(const struct cedar_type *type)
{
	return type->kind != CEDAR_TYPE_ENTITY && type->kind != CEDAR_TYPE_SET &&
	       type->kind != CEDAR_TYPE_RECORD;
}

enum cedar_type_kind cedar_type_kind_of(enum cedar_kind kind)
{
	static const uint8_t kinds[] = {
		[CEDAR_BOOL] = CEDAR_TYPE_BOOL, [CEDAR_LONG] = CEDAR_TYPE_LONG,
		[CEDAR_STRING] = CEDAR_TYPE_STRING, [CEDAR_ENTITY] = CEDAR_TYPE_ENTITY,
		[CEDAR_SET] = CEDAR_TYPE_SET, [CEDAR_RECORD] = CEDAR_TYPE_RECORD,
		[CEDAR_DECIMAL] = CEDAR_TYPE_DECIMAL, [CEDAR_IP] = CEDAR_TYPE_IP,
		[CEDAR_DATETIME] = CEDAR_TYPE_DATETIME, [CEDAR_DURATION] = CEDAR_TYPE_DURATION,
	};
	return kinds[kind];
}

const char *cedar_type_name(const struct cedar_type *type)
{
	static const char *const names[] = {
		[CEDAR_TYPE_FALSE] = "Bool", [CEDAR_TYPE_TRUE] = "Bool",
		[CEDAR_TYPE_BOOL] = "Bool", [CEDAR_TYPE_LONG] = "Long",
		[CEDAR_TYPE_STRING] = "String", [CEDAR_TYPE_ENTITY] = "an entity",
		[CEDAR_TYPE_SET] = "Set", [CEDAR_TYPE_RECORD] = "a record",
		[CEDAR_TYPE_DECIMAL] = "decimal", [CEDAR_TYPE_IP] = "ipaddr",
		[CEDAR_TYPE_DATETIME] = "datetime", [CEDAR_TYPE_DURATION] = "duration",
		[CEDAR_TYPE_SCALAR] = "a value without parts",
	};
	return names[type->kind];
}

static void measure(struct cedar_type *type, const struct cedar_type *part)
{
	if (part->depth >= type->depth)
		type->depth = (uint16_t)(part->depth + 1);
	type->size += part->size + 1;
	if (type->size > CEDAR_TYPE_SIZE_MAX)
		type->size = CEDAR_TYPE_SIZE_MAX;
}

static int keep(struct arena *arena, struct cedar_type type, const struct cedar_type **ret_type,
		struct err *err)
{
	struct cedar_type *kept = arena_alloc(arena, sizeof *kept);
	if (type.element)
		measure(&type, type.element);
	for (size_t i = 0; i < type.count; i++)
		measure(&type, type.attrs[i].type);
	if (type.depth >= CEDAR_DEPTH_MAX || type.size >= CEDAR_TYPE_SIZE_MAX)
		return err_set(err, E_INVALID, "a type nests deeper than %d levels or has over %d "
		               "parts; split it", CEDAR_DEPTH_MAX, CEDAR_TYPE_SIZE_MAX);
	if (!kept)
		return err_set(err, E_NOMEM, "no memory left for the types of a schema");
	*kept = type;
	*ret_type = kept;
	return 0;
}

int cedar_type_entity(struct arena *arena, struct cedar_str name,
		      const struct cedar_type **ret_type, struct err *err)
{
	return keep(arena, (struct cedar_type){ .kind = CEDAR_TYPE_ENTITY, .name = name }, ret_type,
	            err);
}

int cedar_type_set(struct arena *arena, const struct cedar_type *element,
		   const struct cedar_type **ret_type, struct err *err)
{
	return keep(arena, (struct cedar_type){ .kind = CEDAR_TYPE_SET, .element = element },
	            ret_type, err);
}

int cedar_type_open(struct arena *arena, const struct cedar_type *record,
		    const struct cedar_type *element, bool lenient,
		    const struct cedar_type **ret_type, struct err *err)
{
	return keep(arena, (struct cedar_type){ .kind = CEDAR_TYPE_RECORD, .element = element,
	            .lenient = lenient, .count = record->count, .attrs = record->attrs }, ret_type,
	            err);
}

static int by_name(const void *a, const void *b)
{
	const struct cedar_attr *left = a, *right = b;
	return cedar_str_compare(left->name, right->name);
}

int cedar_type_record(struct arena *arena, struct cedar_attr *attrs, size_t count,
		      const struct cedar_type **ret_type, struct err *err)
{
	if (count > 1)
		qsort(attrs, count, sizeof *attrs, by_name);
	for (size_t i = 1; i < count; i++)
		if (cedar_str_equal(attrs[i - 1].name, attrs[i].name))
			return err_set(err, E_INVALID, "a record type names `%s` twice; each name "
			               "once", cedar_str_show(arena, attrs[i].name));
	return keep(arena, (struct cedar_type){ .kind = CEDAR_TYPE_RECORD, .count = count,
	            .attrs = attrs }, ret_type, err);
}

const struct cedar_attr *cedar_type_attr(const struct cedar_type *record, struct cedar_str name)
{
	size_t low = 0, high = record->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = cedar_str_compare(name, record->attrs[middle].name);
		if (!order)
			return &record->attrs[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool same_attrs(const struct cedar_type *a, const struct cedar_type *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->attrs[i].required != b->attrs[i].required ||
		    !cedar_str_equal(a->attrs[i].name, b->attrs[i].name) ||
		    !cedar_type_equal(a->attrs[i].type, b->attrs[i].type))
			return false;
	return true;
}

bool cedar_type_equal(const struct cedar_type *a, const struct cedar_type *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case CEDAR_TYPE_ENTITY: return cedar_str_equal(a->name, b->name);
	case CEDAR_TYPE_SET: return cedar_type_equal(a->element, b->element);
	case CEDAR_TYPE_RECORD: return same_attrs(a, b);
	default: return true;
	}
}

/* Strict: the same names, each as required in one as in the other. */
static int join_records(struct arena *arena, const struct cedar_type *a,
			const struct cedar_type *b, const struct cedar_type **ret_type,
			struct err *err)
{
	if (a->count != b->count)
		return 0;
	struct cedar_attr *attrs = arena_alloc(arena, (a->count + 1) * sizeof *attrs);
	if (!attrs)
		return err_set(err, E_NOMEM, "no memory left for the types of a policy");
	for (size_t i = 0; i < a->count; i++) {
		attrs[i] = a->attrs[i];
		if (a->attrs[i].required != b->attrs[i].required ||
		    !cedar_str_equal(a->attrs[i].name, b->attrs[i].name))
			return 0;
		TRY(cedar_type_join(arena, a->attrs[i].type, b->attrs[i].type, &attrs[i].type,
		                    err));
		if (!attrs[i].type)
			return 0;
	}
	return cedar_type_record(arena, attrs, a->count, ret_type, err);
}

/* What is known of only one of them holds for both. */
static const struct cedar_type *join_scalar(const struct cedar_type *a, const struct cedar_type *b)
{
	if (a->kind == CEDAR_TYPE_SCALAR)
		return cedar_type_is_scalar(b) ? b : NULL;
	return b->kind == CEDAR_TYPE_SCALAR && cedar_type_is_scalar(a) ? a : NULL;
}

int cedar_type_join(struct arena *arena, const struct cedar_type *a, const struct cedar_type *b,
		    const struct cedar_type **ret_type, struct err *err)
{
	const struct cedar_type *element = NULL;
	*ret_type = NULL;
	if (cedar_type_is_bool(a) && cedar_type_is_bool(b)) {
		*ret_type = a->kind == b->kind ? a : cedar_type_of(CEDAR_TYPE_BOOL);
		return 0;
	}
	if (a->kind != b->kind) {
		*ret_type = join_scalar(a, b);
		return 0;
	}
	if (a->kind == CEDAR_TYPE_RECORD)
		return join_records(arena, a, b, ret_type, err);
	if (a->kind != CEDAR_TYPE_SET) {
		*ret_type = cedar_type_equal(a, b) ? a : NULL;
		return 0;
	}
	TRY(cedar_type_join(arena, a->element, b->element, &element, err));
	return element ? cedar_type_set(arena, element, ret_type, err) : 0;
}
