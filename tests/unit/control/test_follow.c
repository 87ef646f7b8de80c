/* A replica that follows has the leader's state, whatever it missed; and takes the lead from
 * there. */
#include "common/defs.h"
#include "control/follow.h"

#include "common/store_mem.h"
#include "tests/support/logbook.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, OFTEN_MS = 3, ROUNDS = 40 };

static struct store *memory(void)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0, "%s", err.text);
	return store;
}

static struct follow *follow_it(struct logbook *mirror, int64_t relist_ms)
{
	struct follow *follow = NULL;
	const struct follow_conf conf = {
		.store = mirror->store, .clock = mirror->clock, .state_key = mirror->key,
		.prefix = "journal/0/", .checkpoint_prefix = "checkpoint/0/",
		.relist_ms = relist_ms,
		.ops = { logbook_clear, logbook_record, logbook_whole, mirror },
	};
	cr_assert_eq(follow_new(&conf, &follow, &mirror->err), 0, "%s", mirror->err.text);
	return follow;
}

static int see_revision(void *context, const struct store_item *item, struct err *err)
{
	int64_t *revision = context;
	(void)err;
	if (item->mod_revision > *revision)
		*revision = item->mod_revision;
	return 0;
}

/* Of the journal's newest key. */
static int64_t newest(struct logbook *book)
{
	int64_t revision = 1;
	cr_assert_eq(store_list(book->store, "journal/0/", see_revision, &revision, NULL,
	                        &book->err), 0);
	return revision;
}

static void catches_up(struct follow *follow, struct logbook *mirror, struct logbook *book)
{
	int64_t deadline = clock_mono_ms(clock_system()) + PATIENCE_MS;
	cr_assert(follow_wait(follow, newest(book), deadline), "it stays behind");
	logbook_same(book, mirror);
}

Test(follow, has_what_was_there_and_what_comes)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(store);
	logbook_fill(book, 0, 50);
	struct follow *follow = follow_it(mirror, 0);
	catches_up(follow, mirror, book);
	logbook_fill(book, 50, 200);
	catches_up(follow, mirror, book);
	cr_assert_eq(mirror->clears, 1);
	cr_assert_eq(mirror->wholes, 1);
	follow_free(follow);
	logbook_close(mirror);
	logbook_close(book);
	store_free(store);
}

Test(follow, begins_from_a_checkpoint_and_goes_on_past_others)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(store);
	logbook_fill(book, 0, 50);
	cr_assert(logbook_checkpoint(book));
	logbook_fill(book, 50, 5);
	struct follow *follow = follow_it(mirror, 0);
	catches_up(follow, mirror, book);
	for (int64_t i = 0; i < 5; i++) {
		logbook_fill(book, 100 * (i + 1), 10);
		cr_assert(logbook_checkpoint(book));
		logbook_fill(book, 100 * (i + 1) + 10, 1);
		catches_up(follow, mirror, book);
	}
	cr_assert_eq(mirror->clears, 1, "a checkpoint is no reason to begin again");
	follow_free(follow);
	logbook_close(mirror);
	logbook_close(book);
	store_free(store);
}

Test(follow, begins_again_when_what_it_missed_is_gone)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(store);
	struct err err = { 0 };
	logbook_fill(book, 0, 10);
	struct follow *follow = follow_it(mirror, 0);
	catches_up(follow, mirror, book);
	/* It does not get on while this is held, and history goes on without it. */
	pthread_mutex_lock(&mirror->mutex);
	logbook_fill(book, 10, 10);
	cr_assert(logbook_checkpoint(book));
	logbook_fill(book, 20, 10);
	cr_assert_eq(store_compact(store, newest(book), &err), 0, "%s", err.text);
	pthread_mutex_unlock(&mirror->mutex);
	catches_up(follow, mirror, book);
	cr_assert_eq(mirror->clears, 2);
	follow_free(follow);
	logbook_close(mirror);
	logbook_close(book);
	store_free(store);
}

Test(follow, notices_that_all_it_missed_is_gone_and_nothing_came_after)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(store);
	struct err err = { 0 };
	logbook_fill(book, 0, 10);
	struct follow *follow = follow_it(mirror, 0);
	catches_up(follow, mirror, book);
	pthread_mutex_lock(&mirror->mutex);
	logbook_fill(book, 10, 10);
	int64_t revision = newest(book);
	cr_assert(logbook_checkpoint(book));
	cr_assert_eq(store_compact(store, revision, &err), 0, "%s", err.text);
	pthread_mutex_unlock(&mirror->mutex);
	int64_t deadline = clock_mono_ms(clock_system()) + PATIENCE_MS;
	cr_assert(follow_wait(follow, revision + 1, deadline), "it stays behind");
	logbook_same(book, mirror);
	follow_free(follow);
	logbook_close(mirror);
	logbook_close(book);
	store_free(store);
}

Test(follow, listed_anew_while_everything_moves_it_stays_the_same)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(store);
	struct follow *follow = follow_it(mirror, OFTEN_MS);
	for (int64_t round = 0; round < ROUNDS; round++) {
		logbook_fill(book, 100 * round, 30);
		cr_assert(logbook_checkpoint(book), "%s", book->err.text);
	}
	logbook_fill(book, 1000000, 1);
	catches_up(follow, mirror, book);
	follow_free(follow);
	logbook_close(mirror);
	logbook_close(book);
	store_free(store);
}

Test(follow, the_lead_is_taken_from_where_it_stands)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0), *next = logbook_open(store, 0);
	struct position position = { 0 };
	/* next leads; it is made a follower of book, which leads again. */
	cr_assert_eq(journal_lead(next->journal, 0, &next->err), 0);
	book->epoch = logbook_depose(store);
	cr_assert_eq(logbook_replay(book), 0, "%s", book->err.text);
	logbook_fill(book, 0, 100);
	struct follow *follow = follow_it(next, 0);
	catches_up(follow, next, book);
	int clears = next->clears;
	logbook_fill(book, 100, 20);
	cr_assert(follow_stop(follow, &position));
	follow_free(follow);
	next->epoch = logbook_depose(store);
	cr_assert_eq(journal_lead_from(next->journal, next->epoch, &position, &next->err), 0,
	             "%s", next->err.text);
	logbook_same(book, next);
	cr_assert_eq(next->clears, clears, "nothing was read twice");
	logbook_fill(next, 200, 3);
	cr_assert(logbook_checkpoint(next));
	cr_assert_eq(logbook_keys(next, "journal/0/"), 0, "what the other wrote is deleted");
	logbook_survives(next);
	logbook_close(next);
	logbook_close(book);
	store_free(store);
}

Test(follow, a_store_that_fails_delays_it_only)
{
	for (uint64_t call = 1; call < 12; call++) {
		struct store *store = memory();
		struct logbook *book = logbook_open(store, 0), *mirror = logbook_blank(store);
		logbook_fill(book, 0, 20);
		cr_assert(logbook_checkpoint(book));
		logbook_fill(book, 20, 5);
		store_mem_fail(store, call + 1, E_UNAVAILABLE);
		struct follow *follow = follow_it(mirror, 0);
		int64_t deadline = clock_mono_ms(clock_system()) + PATIENCE_MS;
		cr_assert(follow_wait(follow, 1, deadline), "call %d failed", (int)call + 1);
		store_mem_fail(store, 0, 0);
		catches_up(follow, mirror, book);
		follow_free(follow);
		logbook_close(mirror);
		logbook_close(book);
		store_free(store);
	}
}
