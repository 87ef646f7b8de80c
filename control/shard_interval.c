/* shard_interval.c - the shard's lock around the book of ledgers. */
#include "common/defs.h"
#include "control/shard_interval.h"

#include "control/shard_impl.h"

#include <stdatomic.h>

int shard_interval_claim(struct shard *shard, const struct claim *claim, struct change *change,
                         struct err *err)
{
	shard_lock(shard);
	bool ready = shard->sound && !shard->replaying;
	int rc = ready ? book_claim(shard->book, claim, change, err)
	               : err_set(err, E_UNAVAILABLE, "the leader is reading its journal again; "
	                         "try again in a second");
	shard_unlock(shard);
	return rc;
}

void shard_interval_withdraw(struct shard *shard, const char *id)
{
	shard_lock(shard);
	book_withdraw(shard->book, id);
	shard_unlock(shard);
}

int shard_interval_view(struct shard *shard, struct arena *arena, const char *uid,
                        const char *own, int64_t from_ms, int64_t to_ms, struct view *ret_view,
                        struct err *err)
{
	shard_lock(shard);
	int rc = book_view(shard->book, arena, uid, own, from_ms, to_ms, ret_view, err);
	shard_unlock(shard);
	return rc;
}

struct value *shard_interval_running(struct shard *shard, struct arena *arena, const char *uid,
                                     const char *backfill)
{
	shard_lock(shard);
	struct value *list = book_running(shard->book, arena, uid, backfill);
	shard_unlock(shard);
	return list;
}

void interval_ended(struct shard *shard, const char *id, bool succeeded, int64_t at_ms)
{
	if (book_ended(shard->book, id, succeeded, at_ms))
		atomic_store(&shard->intervals_moved, true);
}

bool shard_interval_moved(struct shard *shard)
{
	return atomic_load_explicit(&shard->intervals_moved, memory_order_relaxed) &&
		atomic_exchange(&shard->intervals_moved, false);
}

bool shard_interval_take_moved(struct shard *shard, char uid[ID_LEN + 1])
{
	shard_lock(shard);
	bool moved = book_take_moved(shard->book, uid);
	shard_unlock(shard);
	return moved;
}

int interval_forget(struct change *change, const char *uid, int64_t now_ms, struct err *err)
{
	struct value *record = record_new(change_arena(change), RECORD_INTERVAL, now_ms);
	value_set_str(record, "op", "forget");
	value_set_str(record, "uid", uid);
	TRY(value_check(record, err));
	return change_record(change, record, err);
}
