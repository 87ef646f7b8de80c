/* fuzz_etcd_lines.c - whatever etcd may say, as an answer, as watch lines, or as a refusal: decoded
 * within bounds, and only keys under the prefix with revisions come out. */
#include "common/defs.h"
#include "common/store_etcd_impl.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_item(const struct etcd_item *item)
{
	REQUIRE(item->item.mod_revision > 0 && item->item.create_revision >= 0);
	REQUIRE(strlen(item->item.key) <= ETCD_FULL_KEY_MAX);
	REQUIRE(item->item.value || item->item.value_len == 0);
	for (size_t i = 0; i < item->item.value_len; i++)
		REQUIRE(item->item.value[i] <= UINT8_MAX);    /* read all of it */
}

static void take_answer(struct arena *arena, const char *text, size_t len)
{
	const struct value *root = NULL;
	struct err err;
	int64_t revision = 0;
	AUTO_ETCD_ITEM item;
	etcd_item_init(&item);
	if (etcd_parse(arena, text, len, &root, &err) < 0)
		return;
	(void)!etcd_int(value_get(root, "header"), "revision", &revision, &err);
	const struct value *kvs = value_get(root, "kvs");
	for (size_t i = 0; i < value_len(kvs); i++)
		if (etcd_item_decode(value_at(kvs, i), "/f/", &item, &err) == 0)
			check_item(&item);
}

static void take_line(struct arena *arena, const char *text, size_t len)
{
	struct etcd_line line;
	struct err err;
	bool deleted = false;
	AUTO_ETCD_ITEM item;
	etcd_item_init(&item);
	if (etcd_line_decode(arena, text, len, &line, &err) < 0)
		return;
	for (size_t i = 0; i < value_len(line.events); i++) {
		if (etcd_event_decode(value_at(line.events, i), "/f/", &item, &deleted, &err) < 0)
			continue;
		REQUIRE(!deleted || (!item.item.value && item.item.value_len == 0));
		check_item(&item);
	}
}

/* The first byte chooses; what follows is the text, for watch lines split at line ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err err;
	AUTO(arena) *arena = NULL;
	REQUIRE(arena_new(64 * MIB, &arena, &err) == 0);
	if (len == 0)
		return 0;
	const char *text = (const char *)data + 1, *end = text + len - 1;
	if (data[0] == 'a') {
		take_answer(arena, text, (size_t)(end - text));
	} else if (data[0] == 'r') {
		REQUIRE(etcd_refusal(400, text, (size_t)(end - text), &err) < 0);
	} else {
		for (const char *at = text; at < end;) {
			const char *stop = memchr(at, '\n', (size_t)(end - at));
			stop = stop ? stop : end;
			arena_reset(arena);
			take_line(arena, at, (size_t)(stop - at));
			at = stop + 1;
		}
	}
	return 0;
}
