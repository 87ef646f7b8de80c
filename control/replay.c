/* replay.c - see replay.h. Invariant: at is the last batch that was applied, or what the checkpoint
 * covers. */
#include "common/defs.h"
#include "control/replay.h"

#include "control/batch.h"

static int apply_batch(struct replay *replay, const struct batch_view *batch, struct err *err)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct value *records = NULL;
		TRY(batch_records(batch, i, replay->arena, &records, err));
		for (size_t j = 0; j < value_len(records); j++)
			replay->record(replay->context, value_at(records, j));
	}
	return 0;
}

/* Format 1 names no batch before it: its epoch's numbers have no hole, and nothing was deleted. */
static bool is_next(const struct replay *replay, const struct batch_view *batch,
                    const struct position *position)
{
	if (batch->format >= 2)
		return position_compare(&batch->after, &replay->at) == 0;
	if (position->epoch == replay->at.epoch)
		return position->seq == replay->at.seq + 1;
	return position->seq == 0;
}

int replay_batch(struct replay *replay, const struct store_item *item, struct err *err)
{
	struct position position;
	struct value *value = NULL;
	struct batch_view batch;
	TRY(position_read(replay->prefix, item->key, &position, err));
	if (position_compare(&position, &replay->at) <= 0)
		return 0;
	arena_reset(replay->arena);
	TRY(journal_open_value(replay->state_key, item->key, item->value, item->value_len,
	                       replay->arena, &value, err));
	int rc = batch_read(value, &batch, err);
	if (rc < 0)
		return err_prefix(err, "%s", item->key);
	if (!is_next(replay, &batch, &position))
		return err_set(err, E_CONFLICT, "the batch before %s is missing", item->key);
	TRY(spans_add(&replay->spans, &position, err));
	rc = apply_batch(replay, &batch, err);
	if (rc < 0)
		return err_prefix(err, "%s", item->key);
	replay->at = position;
	replay->bytes += item->value_len;
	return 1;
}

static int visit(void *context, const struct store_item *item, struct err *err)
{
	int rc = replay_batch(context, item, err);
	return rc < 0 ? rc : 0;
}

static int list_rest(struct replay *replay, struct err *err)
{
	char key[JOURNAL_KEY_MAX];
	if (replay->at.epoch == 0)
		return store_list(replay->store, replay->prefix, visit, replay, &replay->revision,
		                  err);
	return store_list_after(replay->store, replay->prefix,
	                        position_key(replay->prefix, &replay->at, key), visit, replay,
	                        &replay->revision, err);
}

struct checkpoint_place replay_place(const struct replay *replay)
{
	return (struct checkpoint_place){
		.store = replay->store, .state_key = replay->state_key,
		.prefix = replay->checkpoint_prefix,
	};
}

/* E_CONFLICT when a newer checkpoint is in force: what it covers may be gone, and nothing that
 * follows need be there to show the hole. */
static int same_head(const struct replay *replay, struct err *err)
{
	struct checkpoint_head now = { .pages = 0 };
	struct checkpoint_place place = replay_place(replay);
	if (replay->checkpoint_prefix)
		TRY(checkpoint_head_get(&place, &now, err));
	if (position_compare(&now.generation, &replay->head.generation) != 0)
		return err_set(err, E_CONFLICT, "a newer checkpoint was written meanwhile");
	return 0;
}

/* Something is missing: has a newer checkpoint taken its place, or is it lost? */
static int missing(const struct replay *replay, struct err *err)
{
	struct err why = *err;
	TRY(same_head(replay, err));
	return err_set(err, E_CORRUPT, "%s, and no checkpoint covers it: restore the store from a "
	               "backup", why.text);
}

int replay_whole(struct replay *replay, struct err *err)
{
	struct checkpoint_place place = replay_place(replay);
	int rc = 0;
	if (replay->checkpoint_prefix)
		TRY(checkpoint_head_get(&place, &replay->head, err));
	if (replay->head.generation.epoch)
		rc = checkpoint_read(&place, &replay->head, replay->record, replay->context, err);
	if (rc == 0) {
		replay->at = replay->head.covers;
		rc = list_rest(replay, err);
	}
	if (rc == 0)
		return same_head(replay, err);
	return rc == E_CONFLICT ? missing(replay, err) : rc;
}

int replay_covered(const struct replay *replay, bool *ret_covered, struct err *err)
{
	struct checkpoint_head now = { .pages = 0 };
	struct checkpoint_place place = replay_place(replay);
	if (replay->checkpoint_prefix)
		TRY(checkpoint_head_get(&place, &now, err));
	*ret_covered = position_compare(&now.covers, &replay->at) > 0;
	return 0;
}

int replay_rest(struct replay *replay, struct err *err)
{
	if (position_compare(&replay->head.covers, &replay->at) > 0)
		return err_set(err, E_CONFLICT, "a checkpoint covers what the state lacks");
	return list_rest(replay, err);
}
