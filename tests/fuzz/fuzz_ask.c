/* fuzz_ask.c - the body of an online read: what the fast reader takes, the other takes too, and
 * both read the same. */
#include "common/defs.h"
#include "worker/ask.h"

#include <string.h>

enum { KEYS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_bounds(const struct ask *ask)
{
	REQUIRE(ask->entity_count <= ASK_ENTITIES_MAX && ask->rows <= ASK_ROWS_MAX);
	for (size_t i = 0; i < ask->entity_count; i++)
		for (size_t j = 0; j < ask->rows; j++)
			REQUIRE(ask->entities[i].keys[j].len <= ASK_KEY_MAX);
}

static const struct ask_entity *entity_of(const struct ask *ask, const struct ask_entity *like)
{
	for (size_t i = 0; i < ask->entity_count; i++)
		if (ask->entities[i].name_len == like->name_len &&
		    memcmp(ask->entities[i].name, like->name, like->name_len) == 0)
			return &ask->entities[i];
	return NULL;
}

static void check_same(const struct ask *a, const struct ask *b)
{
	REQUIRE(a->entity_count == b->entity_count && a->rows == b->rows);
	REQUIRE(a->full_names == b->full_names);
	for (size_t i = 0; i < a->entity_count; i++) {
		const struct ask_entity *other = entity_of(b, &a->entities[i]);
		REQUIRE(other);
		for (size_t j = 0; j < a->rows; j++) {
			const struct ask_key *x = &a->entities[i].keys[j], *y = &other->keys[j];
			REQUIRE(x->number == y->number && x->len == y->len);
			REQUIRE(memcmp(x->text, y->text, x->len) == 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO(arena) *arena = NULL;
	struct ask_key keys[KEYS];
	struct ask fast = {.rows = 0}, slow = {.rows = 0};
	struct ask_feature *features = NULL;
	size_t count = 0;
	struct err err = {0};
	REQUIRE(arena_new(64 * MIB, &arena, NULL) == 0);
	const char *body = arena_strndup(arena, (const char *)data, len);
	REQUIRE(body);
	bool taken = ask_scan(body, len, keys, KEYS, &fast);
	int rc = ask_parse(arena, body, len, &slow, &err);
	REQUIRE(rc == 0 || err.text[0]);
	if (taken)
		check_bounds(&fast);
	if (rc == 0)
		check_bounds(&slow);
	if (taken && rc == 0)
		check_same(&fast, &slow);
	if (rc == 0 &&
	    ask_features(arena, slow.features, slow.features_len, &features, &count, &err) == 0)
		REQUIRE(count <= ASK_FEATURES_MAX);
	return 0;
}
