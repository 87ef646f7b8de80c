/* Checkpoints while running: what is in the store rebuilds the state, at whatever store call the
 * writing of one is broken off. */
#include "common/defs.h"
#include "control/keeper.h"

#include "common/store_mem.h"
#include "control/image.h"
#include "control/journal_impl.h"
#include "tests/support/logbook.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CALLS_MOST = 200, WAIT_US = 60000000, STEP_US = 500 };

static struct store *memory(void)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0, "%s", err.text);
	return store;
}

Test(keeper, a_checkpoint_takes_the_place_of_the_journal_before_it)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	book->padding = 1000;
	logbook_fill(book, 0, 600);
	cr_assert_eq(logbook_keys(book, "journal/0/"), 600);
	cr_assert(logbook_checkpoint(book), "%s", book->err.text);
	cr_assert_eq(logbook_keys(book, "journal/0/"), 0);
	cr_assert_eq(logbook_keys(book, "checkpoint/0/"), 1 + 3, "a head and three pages");
	logbook_survives(book);
	logbook_fill(book, 600, 10);
	logbook_survives(book);
	cr_assert(logbook_checkpoint(book));
	cr_assert_eq(logbook_keys(book, "checkpoint/0/"), 1 + 3, "the older pages are gone");
	logbook_survives(book);
	logbook_close(book);
	store_free(store);
}

Test(keeper, a_new_leader_goes_on_from_a_checkpoint_and_makes_the_next)
{
	struct store *store = memory();
	struct logbook *first = logbook_open(store, 0);
	logbook_fill(first, 0, 20);
	cr_assert(logbook_checkpoint(first));
	logbook_fill(first, 20, 20);
	struct logbook *second = logbook_open(store, 0);
	logbook_same(first, second);
	cr_assert_eq(logbook_commit(first, 99), E_NOT_LEADER);
	cr_assert_eq(first->lost, 1);
	logbook_fill(second, 40, 20);
	cr_assert_eq(second->journal->spans.count, 2, "two epochs' keys are known");
	cr_assert(logbook_checkpoint(second));
	cr_assert_eq(logbook_keys(second, "journal/0/"), 0, "the first leader's batches went too");
	logbook_survives(second);
	cr_assert_eq(logbook_count(second), 60);
	logbook_close(first);
	logbook_close(second);
	store_free(store);
}

/* What a checkpoint that is broken off at its n-th store call leaves behind. False: it made fewer
 * calls. */
static bool break_off(uint64_t n, int code)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	book->padding = 2000;
	logbook_fill(book, 0, 300);
	cr_assert(logbook_checkpoint(book));
	logbook_fill(book, 300, 300);
	store_mem_fail(store, n, code);
	bool kept = logbook_checkpoint(book);
	bool fired = store_mem_calls(store) >= n;
	store_mem_fail(store, 0, 0);
	logbook_survives(book);
	logbook_fill(book, 600, 5);
	logbook_survives(book);
	cr_assert(logbook_checkpoint(book), "after call %d failed as %s", (int)n, err_name(code));
	cr_assert_eq(logbook_keys(book, "journal/0/"), 0, "what was left is deleted");
	cr_assert_eq(logbook_keys(book, "checkpoint/0/"), 6, "one head, five pages");
	logbook_survives(book);
	cr_assert_eq(logbook_replay(book), 0, "%s", book->err.text);
	cr_assert_eq(logbook_count(book), 605);
	cr_assert(kept || fired);
	logbook_close(book);
	store_free(store);
	return fired;
}

static void break_off_everywhere(int code)
{
	uint64_t n = 1;
	while (break_off(n, code))
		cr_assert_lt(n++, (uint64_t)CALLS_MOST, "the checkpoint never ends");
	cr_assert_gt(n, 10u, "a checkpoint makes hardly a call");
}

Test(keeper, broken_off_at_any_store_call_nothing_is_lost)
{
	break_off_everywhere(E_UNAVAILABLE);
}

Test(keeper, with_the_answer_to_any_store_call_lost_nothing_is_lost)
{
	break_off_everywhere(E_UNKNOWN_OUTCOME);
}

Test(keeper, out_of_memory_in_the_store_at_any_call_nothing_is_lost)
{
	break_off_everywhere(E_NOMEM);
}

Test(keeper, a_deposed_leader_writes_and_deletes_nothing)
{
	struct store *store = memory();
	struct logbook *first = logbook_open(store, 0);
	logbook_fill(first, 0, 20);
	struct logbook *second = logbook_open(store, 0);
	logbook_fill(second, 20, 5);
	size_t keys = logbook_keys(second, "");
	cr_assert_not(logbook_checkpoint(first));
	cr_assert_eq(logbook_keys(second, ""), keys);
	logbook_survives(second);
	logbook_close(first);
	logbook_close(second);
	store_free(store);
}

Test(keeper, a_state_that_is_not_fit_is_not_kept)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	logbook_fill(book, 0, 20);
	book->unfit = true;
	cr_assert_not(logbook_checkpoint(book));
	cr_assert_eq(logbook_keys(book, "journal/0/"), 20);
	cr_assert_eq(logbook_keys(book, "checkpoint/0/"), 0);
	book->unfit = false;
	cr_assert(logbook_checkpoint(book));
	logbook_survives(book);
	logbook_close(book);
	store_free(store);
}

Test(keeper, checkpoints_are_made_by_bytes)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 100 * 1024);
	struct journal_stats stats = { 0 };
	book->padding = 1000;
	for (int64_t round = 0; round < 3; round++) {
		logbook_fill(book, 200 * round, 200);
		for (int us = 0; stats.checkpoints <= (uint64_t)round; us += STEP_US) {
			cr_assert_lt(us, WAIT_US, "no checkpoint is made by bytes");
			usleep(STEP_US);
			journal_stats(book->journal, &stats);
		}
	}
	cr_assert_eq(stats.checkpoints_failed, 0);
	cr_assert_gt(stats.checkpoint_records, 0);
	cr_assert_gt(stats.checkpoint_bytes, 0);
	logbook_replay(book);
	logbook_survives(book);
	for (size_t i = 0; i < book->count; i++)
		cr_assert_eq(book->seen[i], (int64_t)i, "in order, nothing twice");
	logbook_close(book);
	store_free(store);
}

Test(keeper, a_journal_ends_in_the_middle_of_a_checkpoint)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	book->padding = 2000;
	logbook_fill(book, 0, 500);
	journal_checkpoint(book->journal);
	journal_free(MOVE(book->journal));
	logbook_survives(book);
	logbook_close(book);
	store_free(store);
}

/* --- the image --- */

struct sent { int fail_after, count; bool held; };

static int sent_hold(void *context, struct err *err)
{
	(void)err;
	((struct sent *)context)->held = true;
	return 0;
}

static void sent_let_go(void *context)
{
	((struct sent *)context)->held = false;
}

static int sent_emit(void *context, emit_fn *emit, void *emit_context, struct err *err)
{
	struct sent *sent = context;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(MIB, &arena, err));
	for (int i = 0; i < sent->count; i++) {
		if (i == sent->fail_after)
			return err_set(err, E_CORRUPT, "record %d is not there", i);
		arena_reset(arena);
		TRY(emit(emit_context, value_int(arena, i), err));
	}
	return 0;
}

static const struct journal_ops *ops_of(struct journal_ops *ops, struct sent *sent)
{
	*ops = (struct journal_ops){
		.context = sent, .hold = sent_hold, .emit = sent_emit, .let_go = sent_let_go,
	};
	return ops;
}

Test(image, is_of_the_moment_it_was_taken_at)
{
	struct sent sent = { .fail_after = -1, .count = 1000 };
	struct journal_ops ops;
	struct image *image = NULL;
	struct err err = { 0 };
	atomic_bool cancel = false;
	const uint8_t *packed = NULL;
	size_t len = 1;
	int64_t us = -1;
	int count = 0;
	cr_assert_eq(image_take(ops_of(&ops, &sent), &image, &us, &err), 0, "%s", err.text);
	cr_assert_not(sent.held);
	cr_assert_geq(us, 0);
	sent.count = 5;
	for (; len > 0; count++)
		cr_assert_eq(image_next(image, &cancel, &packed, &len, &err), 0, "%s", err.text);
	cr_assert_eq(count - 1, 1000);
	image_free(image);
}

Test(image, that_fails_says_why)
{
	struct sent sent = { .fail_after = 3, .count = 1000 };
	struct journal_ops ops;
	struct image *image = NULL;
	struct err err = { 0 };
	atomic_bool cancel = false;
	const uint8_t *packed = NULL;
	size_t len = 0;
	int64_t us = 0;
	cr_assert_eq(image_take(ops_of(&ops, &sent), &image, &us, &err), 0, "%s", err.text);
	cr_assert_eq(image_next(image, &cancel, &packed, &len, &err), E_UNAVAILABLE);
	cr_assert_not_null(strstr(err.text, "record 3 is not there"), "%s", err.text);
	image_free(image);
}

Test(image, is_given_up_when_it_is_cancelled)
{
	struct sent sent = { .fail_after = -1, .count = 10000000 };
	struct journal_ops ops;
	struct image *image = NULL;
	struct err err = { 0 };
	atomic_bool cancel = true;
	const uint8_t *packed = NULL;
	size_t len = 0;
	int64_t us = 0;
	cr_assert_eq(image_take(ops_of(&ops, &sent), &image, &us, &err), 0, "%s", err.text);
	cr_assert_eq(image_next(image, &cancel, &packed, &len, &err), E_CANCELLED);
	image_free(image);
}
