/* shard_interval.c - the shard's lock around the book of ledgers. */
#include "common/defs.h"
#include "control/shard_interval.h"

#include "common/pack.h"
#include "control/runs_impl.h"
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

/* {interval, schedule} of the run, or else of the task; NULL: none. */
static int read_also(const struct task *task, const struct run *run, struct arena *arena,
                     const struct value **ret_also, struct err *err)
{
	struct value *also = NULL;
	if (!run && task->also.len > 0)
		TRY(pack_read(arena, task->also.data, task->also.len, &also, err));
	*ret_also = run ? run->also : also;
	return 0;
}

int interval_again(struct shard *shard, const struct task *task, const struct run *run,
                   bool durable, struct err *err)
{
	const struct value *also = NULL;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(MIB, &arena, err));
	TRY(read_also(task, run, arena, &also, err));
	const struct value *interval = value_get(also, "interval");
	struct claim claim = {
		.tenant = run ? run->account->name : task->account->name,
		.domain = run ? run->domain : task->domain, .id = run ? run->id : task->id,
		.schedule = value_get_str(also, "schedule"), .is_run = run != NULL,
		.redo = REDO_FAILED,
	};
	if (!interval || !claim.schedule)
		return 0;
	TRY(time_parse(value_get_str(interval, "from"), &claim.from_ms, err));
	TRY(time_parse(value_get_str(interval, "to"), &claim.to_ms, err));
	return book_again(shard->book, &claim, durable, err);
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
