/* ask.h - the body of POST /get-online-features, in the shape of Feast's feature server:
 * {"features": ["view:feature", "domain.view:feature"], "entities": {"airport": ["ATL", "ORD"]},
 *  "full_feature_names": false}.
 * Read by ask_scan, which takes plain requests without allocating, or else by ask_parse, which
 * takes all and says what is wrong. Both give the same; texts are borrowed from the body or the
 * arena. */
#ifndef ASK_H
#define ASK_H

#include "common/value.h"

enum {
	ASK_FEATURES_MAX = 200, ASK_ROWS_MAX = 1000, ASK_ENTITIES_MAX = 16, ASK_KEY_MAX = 1024
};

struct ask_key {
	const char *text;            /* of a number: its decimal digits */
	size_t len;
	bool number;
};
struct ask_entity {
	const char *name;
	size_t name_len;
	const struct ask_key *keys;  /* ask->rows of them */
};
struct ask {
	const char *features;        /* the list as JSON text */
	size_t features_len;
	bool full_names;             /* "view__feature" instead of "feature" */
	struct ask_entity entities[ASK_ENTITIES_MAX];
	size_t entity_count;
	size_t rows;
};

/* False: escapes, a member it does not know, more than key_max keys, or anything wrong: ask_parse
 * decides. keys holds key_max. */
bool ask_scan(const char *body, size_t len, struct ask_key *keys, size_t key_max,
              struct ask *ret_ask);
MUST_USE int ask_parse(struct arena *arena, const char *body, size_t len, struct ask *ret_ask,
                       struct err *err);

/* The features of an ask, one by one: view and domain as the caller wrote them. */
struct ask_feature {
	const char *view;            /* "view" or "domain.view" */
	const char *feature;
};
MUST_USE int ask_features(struct arena *arena, const char *features, size_t len,
                          struct ask_feature **ret_features, size_t *ret_count, struct err *err);

#endif
