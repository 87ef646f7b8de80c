/* cedar_value.h - what a Cedar expression evaluates to (docs.cedarpolicy.com, "Data types").
 *
 * Values are immutable and live in an arena; text may hold NUL. Sets are kept sorted and without
 * duplicates, records sorted by name, so equality is one walk and membership a binary search. */
#ifndef CEDAR_VALUE_H
#define CEDAR_VALUE_H

#include "common/arena.h"

enum { CEDAR_DEPTH_MAX = 256 };      /* nesting of expressions, types and values */

struct cedar_str {
	const char *text;            /* UTF-8, not ended by NUL */
	size_t len;
};

struct cedar_uid {                   /* Type::Path::"id" */
	struct cedar_str type;
	struct cedar_str id;
	uint64_t type_hash;          /* both set by cedar_uid_init */
	uint64_t hash;               /* of type and id */
};

enum cedar_kind {
	CEDAR_BOOL, CEDAR_LONG, CEDAR_STRING, CEDAR_ENTITY, CEDAR_SET, CEDAR_RECORD,
	CEDAR_DECIMAL,               /* in units of 0.0001 */
	CEDAR_IP,
	CEDAR_DATETIME,              /* milliseconds since 1970-01-01T00:00:00Z */
	CEDAR_DURATION               /* milliseconds */
};

struct cedar_ip {
	bool v6;
	uint8_t prefix;              /* bits */
	uint8_t addr[16];            /* network order; IPv4 in the first four */
};

struct cedar_value {
	enum cedar_kind kind;
	union {
		bool b;
		int64_t i;           /* long, decimal, datetime, duration */
		struct cedar_str str;
		const struct cedar_uid *uid;
		const struct cedar_ip *ip;
		const struct cedar_items *set;
		const struct cedar_record *record;
	};
};

struct cedar_items {
	size_t count;
	const struct cedar_value *items;
};

struct cedar_field {
	struct cedar_str name;
	struct cedar_value value;
};

struct cedar_record {
	size_t count;
	const struct cedar_field *fields;
};

#define CEDAR_STR(literal) ((struct cedar_str){ "" literal, sizeof literal - 1 })

struct cedar_str cedar_str(const char *text);                     /* borrows text */
bool cedar_str_equal(struct cedar_str a, struct cedar_str b);
int cedar_str_compare(struct cedar_str a, struct cedar_str b);    /* by bytes */
bool cedar_str_is(struct cedar_str a, const char *text);
/* Text for a message: at most 64 bytes of it, copied; never NULL. */
const char *cedar_str_show(struct arena *arena, struct cedar_str str);
MUST_USE int cedar_str_copy(struct arena *arena, struct cedar_str str, struct cedar_str *ret_str,
			    struct err *err);

void cedar_uid_init(struct cedar_uid *uid, struct cedar_str type, struct cedar_str id);
/* The same with the type of another, whose hash is known: half the work. */
void cedar_uid_init_like(struct cedar_uid *uid, const struct cedar_uid *like, struct cedar_str id);
struct hash_key;                     /* common/crypto.h: of this process, fetched before */
void cedar_uid_init_by(struct cedar_uid *uid, const struct hash_key *key,
		       const struct cedar_uid *like, struct cedar_str id);
bool cedar_uid_equal(const struct cedar_uid *a, const struct cedar_uid *b);
/* Hash of one string, under this process's key: nobody can choose texts that collide. */
uint64_t cedar_hash(uint64_t seed, struct cedar_str str);

/* A total order over all values; 0 is Cedar's ==. */
int cedar_value_compare(const struct cedar_value *a, const struct cedar_value *b);
bool cedar_value_equal(const struct cedar_value *a, const struct cedar_value *b);
const char *cedar_kind_name(enum cedar_kind kind);                /* "long", "set", "decimal" ... */

/* Both keep and reorder the array that is given. */
MUST_USE int cedar_items_new(struct arena *arena, struct cedar_value *values, size_t count,
			     const struct cedar_items **ret_set, struct err *err);
bool cedar_items_has(const struct cedar_items *set, const struct cedar_value *value);
/* E_INVALID when a name appears twice. */
MUST_USE int cedar_record_new(struct arena *arena, struct cedar_field *fields, size_t count,
			      const struct cedar_record **ret_record, struct err *err);
const struct cedar_value *cedar_record_get(const struct cedar_record *record,
					   struct cedar_str name);

#endif
