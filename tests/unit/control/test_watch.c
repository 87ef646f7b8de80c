/* test_watch.c - the board between those who change tasks and the one who tells of it. */
#include "common/defs.h"
#include "control/watch.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

#define A "01h455vb4pex5vsknk084sn02a"
#define B "01h455vb4pex5vsknk084sn02b"

static struct board *board;
static struct err err;

static void begin(void)
{
	cr_assert_eq(board_new(clock_system(), &board, &err), 0, "%s", err.text);
}

static void end(void)
{
	board_free(board);
}

TestSuite(watch, .init = begin, .fini = end);

static struct watch *follow(const char *id, void *owner)
{
	struct watch *watch = NULL;
	cr_assert_eq(watch_new(board, id, owner, &watch, &err), 0, "%s", err.text);
	return watch;
}

static void note(const char *id, int64_t version)
{
	const struct sighting sighting = { .version = version, .state = "running" };
	board_note(board, id, &sighting);
}

static void *taken(void)
{
	return board_take(board, 0);
}

Test(watch, what_happens_to_a_task_is_told_in_order_to_each_who_follows_it)
{
	int one = 0, two = 0, other = 0;
	struct watch *first = follow(A, &one), *second = follow(A, &two);
	struct watch *third = follow(B, &other);
	struct sighting seen;
	note(A, 1);
	note(A, 2);
	cr_expect(taken() && taken());
	cr_expect_null(taken(), "the third has no news");
	for (int64_t version = 1; version <= 2; version++) {
		cr_expect(watch_next(first, &seen) && seen.version == version);
		cr_expect(watch_next(second, &seen) && seen.version == version);
	}
	cr_expect_not(watch_next(first, &seen));
	cr_expect_not(watch_next(third, &seen));
	watch_free(first);
	watch_free(third);
	note(A, 3);
	cr_expect_eq(taken(), &two);
	cr_expect(board_watched(board));
	watch_free(second);
	cr_expect_not(board_watched(board));
	note(A, 4);
	cr_expect_null(taken());
}

Test(watch, news_are_named_once_and_after_those_that_came_before)
{
	int one = 0, two = 0;
	struct watch *first = follow(A, &one), *second = follow(B, &two);
	note(B, 1);
	note(A, 1);
	note(B, 2);
	watch_poke(first);
	cr_expect_eq(taken(), &two);
	cr_expect_eq(taken(), &one);
	cr_expect_null(taken());
	watch_poke(first);
	cr_expect_eq(taken(), &one);
	note(A, 2);
	note(B, 3);
	watch_free(first);
	cr_expect_eq(taken(), &two, "who left has no news");
	watch_free(second);
}

Test(watch, of_more_than_are_kept_the_last_is_never_lost)
{
	struct watch *watch = follow(A, &board);
	struct sighting seen;
	for (int64_t version = 1; version <= 3 * WATCH_KEPT; version++)
		note(A, version);
	for (int64_t version = 1; version < WATCH_KEPT; version++)
		cr_expect(watch_next(watch, &seen) && seen.version == version);
	cr_expect(watch_next(watch, &seen) && seen.version == 3 * WATCH_KEPT);
	cr_expect_not(watch_next(watch, &seen));
	watch_free(watch);
}

static void *take_once(void *context)
{
	void **owner = context;
	*owner = board_take(board, INT64_MAX);
	return NULL;
}

Test(watch, a_taker_waits_for_news_and_can_be_woken_without_any)
{
	pthread_t thread;
	void *owner = NULL;
	struct watch *watch = follow(A, &owner);
	pthread_create(&thread, NULL, take_once, &owner);
	note(A, 1);
	pthread_join(thread, NULL);
	cr_expect_eq(owner, (void *)&owner);
	pthread_create(&thread, NULL, take_once, &owner);
	board_wake(board);
	pthread_join(thread, NULL);
	cr_expect_null(owner);
	watch_free(watch);
}
