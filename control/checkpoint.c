/* checkpoint.c - the format of a checkpoint, and reading it. */
#include "common/defs.h"
#include "control/checkpoint_impl.h"

#include "common/pack.h"
#include "control/journal.h"

#include <inttypes.h>
#include <stdio.h>

enum { PAGE_ARENA_MAX = 64 * 1024 * 1024 };

void checkpoint_head_key(const char *prefix, char out[JOURNAL_KEY_MAX])
{
	snprintf(out, JOURNAL_KEY_MAX, "%shead", prefix);
}

void checkpoint_page_key(const char *prefix, const struct position *generation, int64_t page,
                         char out[JOURNAL_KEY_MAX])
{
	char own[JOURNAL_KEY_MAX];
	snprintf(out, JOURNAL_KEY_MAX, "%s/%08" PRIx64, position_key(prefix, generation, own),
	         (uint64_t)page);
}

static int check_format(int64_t format, struct err *err)
{
	if (format > CHECKPOINT_FORMAT)
		return err_set(err, E_INVALID, "a checkpoint has format %" PRId64 ", which a newer "
		               "Freehold wrote; this one reads up to %d: start the newer version, "
		               "or restore the store from before it ran", format,
		               CHECKPOINT_FORMAT);
	if (format < 1)
		return err_set(err, E_CORRUPT, "a checkpoint does not say its format");
	return 0;
}

int checkpoint_head_read(const struct value *value, struct checkpoint_head *ret_head,
                         struct err *err)
{
	TRY(check_format(value_get_int(value, "format", 0), err));
	const struct value *generation = value_get(value, "generation");
	struct checkpoint_head head = {
		.generation = {
			.epoch = value_as_int(value_at(generation, 0), 0),
			.seq = (uint64_t)value_as_int(value_at(generation, 1), 0),
		},
		.pages = value_get_int(value, "pages", -1),
		.records = value_get_int(value, "records", 0),
		.at_ms = value_get_int(value, "at", 0),
		.covers = {
			.epoch = value_get_int(value, "epoch", 0),
			.seq = (uint64_t)value_get_int(value, "seq", 0),
		},
	};
	if (head.generation.epoch < 1 || head.pages < 0 || head.covers.epoch < 1)
		return err_set(err, E_CORRUPT, "the head of a checkpoint lacks its generation, its "
		               "number of pages or the position it covers");
	*ret_head = head;
	return 0;
}

int checkpoint_page_read(const struct value *value, struct arena *arena, record_fn *record,
                         void *context, struct err *err)
{
	if (value_kind(value) != VALUE_LIST || value_len(value) == 0)
		return err_set(err, E_CORRUPT, "a page of a checkpoint is no list");
	TRY(check_format(value_as_int(value_at(value, 0), 0), err));
	for (size_t i = 1; i < value_len(value); i++) {
		size_t len = 0;
		const struct value *packed = value_at(value, i);
		struct value *one = NULL;
		if (value_kind(packed) != VALUE_BIN)
			return err_set(err, E_CORRUPT, "a record of a checkpoint is no bytes");
		const void *data = value_as_bin(packed, &len);
		TRY(pack_read(arena, data, len, &one, err));
		record(context, one);
	}
	return 0;
}

/* --- from the store --- */

struct look {
	const struct checkpoint_place *place;
	struct arena *arena;
	struct value *value;         /* NULL: there is no such key */
};

static int look_visit(void *context, const struct store_item *item, struct err *err)
{
	struct look *look = context;
	if (item->mod_revision == 0)
		return 0;
	return journal_open_value(look->place->state_key, item->key, item->value, item->value_len,
	                          look->arena, &look->value, err);
}

int checkpoint_head_get(const struct checkpoint_place *place, struct checkpoint_head *ret_head,
                        struct err *err)
{
	char key[JOURNAL_KEY_MAX];
	AUTO(arena) *arena = NULL;
	TRY(arena_new(PAGE_ARENA_MAX, &arena, err));
	struct look look = { .place = place, .arena = arena };
	checkpoint_head_key(place->prefix, key);
	TRY(store_get(place->store, key, look_visit, &look, err));
	*ret_head = (struct checkpoint_head){ 0 };
	return look.value ? checkpoint_head_read(look.value, ret_head, err) : 0;
}

static int read_page(const struct checkpoint_place *place, const struct position *generation,
                     int64_t page, struct look *look, struct err *err)
{
	char key[JOURNAL_KEY_MAX];
	checkpoint_page_key(place->prefix, generation, page, key);
	look->value = NULL;
	arena_reset(look->arena);
	TRY(store_get(place->store, key, look_visit, look, err));
	if (!look->value)
		return err_set(err, E_CONFLICT, "the checkpoint's page %s is not there", key);
	return 0;
}

int checkpoint_read(const struct checkpoint_place *place, const struct checkpoint_head *head,
                    record_fn *record, void *context, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(PAGE_ARENA_MAX, &arena, err));
	struct look look = { .place = place, .arena = arena };
	for (int64_t page = 0; page < head->pages; page++) {
		TRY(read_page(place, &head->generation, page, &look, err));
		TRY(checkpoint_page_read(look.value, arena, record, context, err));
	}
	return 0;
}
