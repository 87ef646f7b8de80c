/* wire.h - messages as structs: one table of members a struct says how each is written and which
 * values are accepted. What a table does not allow is refused: a member that is missing, of another
 * type, out of its bounds and (in a strict table) unknown. The error names the member's path. */
#ifndef WIRE_H
#define WIRE_H

#include "common/value.h"

enum wire_kind {
	WIRE_INT,       /* int64_t, min..max */
	WIRE_INT32,     /* int, min..max */
	WIRE_UINT32,    /* uint32_t, min..max */
	WIRE_UINT64,    /* uint64_t, min..max (at most INT64_MAX) */
	WIRE_BOOL,      /* bool */
	WIRE_ENUM,      /* an enum, sent as its name; names ends with NULL */
	WIRE_TEXT,      /* const char *, min..max bytes */
	WIRE_NAME,      /* const char *, name_check */
	WIRE_FIXED,     /* const uint8_t *, exactly max bytes */
	WIRE_BIN,       /* const uint8_t * and its size_t count, min..max bytes */
	WIRE_LIST_OF,   /* const struct value *, a list of min..max items */
	WIRE_MAP_OF,    /* const struct value *, a map of min..max members */
	WIRE_ANY,       /* const struct value * */
	WIRE_STRUCT,    /* a struct inside, by sub */
	WIRE_STRUCTS,   /* const struct * and its size_t count, min..max items, by sub */
	WIRE_TEXTS,     /* const char *const * and its size_t count, min..max items */
	WIRE_HOOK       /* by hook */
};

struct wire_hook {
	struct value *(*write)(struct arena *arena, const void *member);   /* NULL: leave it out */
	int (*read)(struct arena *arena, const struct value *value, void *ret_member,
	            struct err *err);
};

struct wire_member {
	const char *name;
	enum wire_kind kind;
	bool optional;               /* may be missing: the struct's member is then 0 or NULL */
	size_t offset, count_offset;
	int64_t min, max;
	const char *const *names;
	const struct wire *sub;
	const struct wire_hook *hook;
};

struct wire {
	const char *what;            /* "grant": begins every error */
	size_t size;                 /* of the struct */
	/* refuses unknown members; otherwise a newer peer may send more */
	bool strict;
	const struct wire_member *members;   /* ends with a NULL name */
};

/* The longest text of one member of a WIRE_TEXTS list. */
enum { WIRE_TEXTS_LEN_MAX = 512 };

MUST_USE int wire_value(struct arena *arena, const struct wire *wire, const void *from,
                        struct value **ret_value, struct err *err);
/* Zeroes what ret_struct points to and fills it; pointers lie in arena or in map. */
MUST_USE int wire_read(struct arena *arena, const struct wire *wire, const struct value *map,
                       void *ret_struct, struct err *err);

/* Rows: W_INT(struct token, epoch, "epoch", 1, INT64_MAX). */
#define W_AT(type, field, key, kind_, lo, hi) .name = (key), .kind = (kind_), \
	.offset = offsetof(type, field), .min = (lo), .max = (hi)
#define W_INT(type, field, key, lo, hi) { W_AT(type, field, key, WIRE_INT, lo, hi) }
#define W_INT32(type, field, key, lo, hi) { W_AT(type, field, key, WIRE_INT32, lo, hi) }
#define W_UINT32(type, field, key, lo, hi) { W_AT(type, field, key, WIRE_UINT32, lo, hi) }
#define W_UINT64(type, field, key, lo, hi) { W_AT(type, field, key, WIRE_UINT64, lo, hi) }
#define W_BOOL(type, field, key) { W_AT(type, field, key, WIRE_BOOL, 0, 1) }
#define W_ENUM(type, field, key, list) { W_AT(type, field, key, WIRE_ENUM, 0, 0), .names = (list) }
#define W_TEXT(type, field, key, lo, hi) { W_AT(type, field, key, WIRE_TEXT, lo, hi) }
#define W_TEXT_OPT(type, field, key, lo, hi) \
	{ W_AT(type, field, key, WIRE_TEXT, lo, hi), .optional = true }
#define W_NAME(type, field, key) { W_AT(type, field, key, WIRE_NAME, 0, 0) }
#define W_NAME_OPT(type, field, key) \
	{ W_AT(type, field, key, WIRE_NAME, 0, 0), .optional = true }
#define W_FIXED(type, field, key, len) { W_AT(type, field, key, WIRE_FIXED, len, len) }
#define W_BIN(type, field, count, key, lo, hi) \
	{ W_AT(type, field, key, WIRE_BIN, lo, hi), .count_offset = offsetof(type, count) }
#define W_VALUE(type, field, key, kind_, lo, hi) { W_AT(type, field, key, kind_, lo, hi) }
#define W_VALUE_OPT(type, field, key, kind_, lo, hi) \
	{ W_AT(type, field, key, kind_, lo, hi), .optional = true }
#define W_STRUCT(type, field, key, table) { W_AT(type, field, key, WIRE_STRUCT, 0, 0), .sub = (table) }
#define W_STRUCTS(type, field, count, key, lo, hi, table) \
	{ W_AT(type, field, key, WIRE_STRUCTS, lo, hi), .count_offset = offsetof(type, count), \
	  .sub = (table) }
#define W_TEXTS(type, field, count, key, lo, hi) \
	{ W_AT(type, field, key, WIRE_TEXTS, lo, hi), .count_offset = offsetof(type, count) }
#define W_HOOK(type, field, key, hook_) \
	{ W_AT(type, field, key, WIRE_HOOK, 0, 0), .optional = true, .hook = (hook_) }
#define W_END { .name = NULL }

#endif
