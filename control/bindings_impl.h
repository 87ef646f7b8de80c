/* bindings_impl.h - the index's structures. Private to control/bindings*.c: bindings.c keeps it,
 * bindings_claims.c reads what a resource says, bindings_look.c answers from it. */
#ifndef BINDINGS_IMPL_H
#define BINDINGS_IMPL_H

#include "common/text.h"
#include "control/bindings.h"
#include "control/hashmap.h"

#include <pthread.h>

enum { SUBJECT_MAX = 2 * (NAME_MAX_LEN + 1) + 8 };

enum claim_kind {
	CLAIM_ROLE,   /* the subject has role name in domain */
	CLAIM_MEMBER, /* the subject is in the group of that name */
	CLAIM_IS      /* the subject is there and not disabled */
};

struct claim {
	enum claim_kind kind;
	bool own;            /* by the subject's own resource */
	const char *subject; /* "TENANT/NAME" or "TENANT/group:NAME" */
	const char *name;
	const char *domain; /* NULL: all of the tenant */
	const char *at_kind, *at_name; /* only at that resource of it; NULL: all of it */
};

struct claims {
	struct claim *items;
	size_t count, cap;
};

struct edge {
	const struct source *source;
	const struct claim *claim;
};

struct subject {
	struct hash_node node;
	struct edge *edges;
	size_t count, cap;
	char key[];
};

struct source {
	struct hash_node node;
	struct claims claims; /* one block, the texts behind the items */
	char key[];
};

struct bindings {
	pthread_rwlock_t lock; /* guards all below */
	struct hashmap sources, subjects;
};

/* bindings_claims.c: what a resource claims */
/* A catalog key of a kind that claims something, taken apart; ret_name is the key's. False: it is
 * of another kind. */
bool source_split(const char *key, enum kind *ret_kind, char tenant[NAME_MAX_LEN + 1],
                  const char **ret_name);
/* In the arena; value NULL: no claims. */
MUST_USE int claims_read(struct arena *arena, const char *key, const struct value *value,
                         struct claims *ret_claims, struct err *err);
/* Into one block, which is freed by its items. False: no memory. */
bool claims_copy(const struct claims *from, struct claims *ret_claims);

/* bindings.c */
struct subject *subject_find(const struct bindings *bindings, const char *key);
/* "TENANT/PREFIXNAME" */
const char *subject_key(char out[SUBJECT_MAX], const char *tenant, const char *prefix,
                        const char *name);

#endif
