/* era.c - see era.h. */
#include "common/defs.h"
#include "control/era.h"

#include "common/pack.h"
#include "control/change_impl.h"

#include <inttypes.h>
#include <string.h>

enum { ARENA_MAX = 64 * 1024, PER_MS = 1024 };

struct loading {
	const uint8_t *state_key;
	struct era era;
	bool unfinished;
};

static int note_unfinished(void *context, const struct store_item *item, struct err *err)
{
	(void)err;
	struct loading *loading = context;
	loading->unfinished = item->mod_revision != 0;
	return 0;
}

static int note_era(void *context, const struct store_item *item, struct err *err)
{
	struct loading *loading = context;
	AUTO(arena) *arena = NULL;
	struct value *value = NULL;
	if (!item->mod_revision)
		return 0;
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(journal_open_value(loading->state_key, ERA_KEY, item->value, item->value_len, arena,
	                       &value, err));
	loading->era.base = value_get_int(value, "base", -1);
	loading->era.at_ms = value_get_int(value, "at", 0);
	if (loading->era.base <= 0)
		return err_set(err, E_CORRUPT, "the stored value of %s names no base", ERA_KEY);
	return 0;
}

int era_load(struct store *store, const uint8_t state_key[KEY_BYTES], struct era *ret_era,
              struct err *err)
{
	struct loading loading = { .state_key = state_key };
	TRY(store_get(store, ERA_UNFINISHED_KEY, note_unfinished, &loading, err));
	if (loading.unfinished)
		return err_set(err, E_CONFLICT, "a restore into this store was begun and has not "
		               "ended; run the same restore again, it goes on");
	TRY(store_get(store, ERA_KEY, note_era, &loading, err));
	*ret_era = loading.era;
	return 0;
}

int era_put(struct store_txn *txn, const uint8_t state_key[KEY_BYTES], const struct era *era,
             struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF packed, sealed;
	buf_init(&packed, KIB);
	buf_init(&sealed, 2 * KIB);
	TRY(arena_new(ARENA_MAX, &arena, err));
	struct value *value = value_map(arena);
	value_set_int(value, "base", era->base);
	value_set_int(value, "at", era->at_ms);
	TRY(value_check(value, err));
	TRY(pack_write(value, &packed, err));
	TRY(state_seal(state_key, ERA_KEY, packed.data, packed.len, &sealed, err));
	return store_txn_put(txn, ERA_KEY, sealed.data, sealed.len, err);
}

int era_begin(int64_t now_ms, int64_t backup_at_ms, int64_t revision, struct era *ret_era,
               struct err *err)
{
	if (now_ms <= backup_at_ms || now_ms > INT64_MAX / PER_MS || now_ms * PER_MS <= revision)
		return err_set(err, E_PRECONDITION, "this machine's clock says %" PRId64 " ms "
		               "since 1970, which is before the backup was made (%" PRId64
		               "); set the clock", now_ms, backup_at_ms);
	*ret_era = (struct era){ now_ms * PER_MS, now_ms };
	return 0;
}
