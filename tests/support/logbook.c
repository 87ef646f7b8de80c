/* logbook.c - see logbook.h. */
#include "common/defs.h"
#include "tests/support/logbook.h"

#include "common/log.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 120000, STEP_US = 500, SILENT_MS = 55000, REPLAYS = 100 };

void logbook_clear(void *context)
{
	struct logbook *book = context;
	pthread_mutex_lock(&book->mutex);
	book->count = 0;
	book->clears++;
	pthread_mutex_unlock(&book->mutex);
}

void logbook_record(void *context, const struct value *record)
{
	struct logbook *book = context;
	pthread_mutex_lock(&book->mutex);
	cr_assert_lt(book->count, (size_t)LOGBOOK_MAX);
	book->seen[book->count++] = value_get_int(record, "n", -1);
	pthread_mutex_unlock(&book->mutex);
}

void logbook_whole(void *context)
{
	struct logbook *book = context;
	pthread_mutex_lock(&book->mutex);
	book->wholes++;
	pthread_mutex_unlock(&book->mutex);
}

static void on_lost(void *context)
{
	struct logbook *book = context;
	pthread_mutex_lock(&book->mutex);
	book->lost++;
	pthread_mutex_unlock(&book->mutex);
}

/* --- for checkpoints --- */

static int hold(void *context, struct err *err)
{
	struct logbook *book = context;
	if (book->unfit)
		return err_set(err, E_UNAVAILABLE, "the state is not fit to be kept");
	pthread_mutex_lock(&book->mutex);
	return 0;
}

static void let_go(void *context)
{
	pthread_mutex_unlock(&((struct logbook *)context)->mutex);
}

static struct value *number(struct arena *arena, int64_t n, size_t padding)
{
	uint8_t noise[4096];
	struct value *record = value_map(arena);
	value_set_int(record, "n", n);
	if (padding) {
		random_bytes(noise, padding);
		value_set_bin(record, "noise", noise, padding);
	}
	return record;
}

static int emit(void *context, emit_fn *emit_one, void *emit_context, struct err *err)
{
	const struct logbook *book = context;
	AUTO(arena) *arena = NULL;
	TRY(arena_new(MIB, &arena, err));
	for (size_t i = 0; i < book->count; i++) {
		arena_reset(arena);
		TRY(emit_one(emit_context, number(arena, book->seen[i], book->padding), err));
	}
	return 0;
}

/* --- life --- */

int64_t logbook_depose(struct store *store)
{
	struct err err = { 0 };
	int64_t revision = 0;
	for (int put = 0; put < 2; put++) {
		AUTO(store_txn) *txn = NULL;
		cr_assert_eq(store_txn_new(&txn, &err), 0);
		cr_assert_eq(put ? store_txn_put(txn, "leader/0", "me", 2, &err) :
		             store_txn_delete(txn, "leader/0", &err), 0);
		cr_assert_eq(store_commit(store, txn, &revision, &err), 0, "%s", err.text);
	}
	return revision;
}

struct logbook *logbook_blank(struct store *store)
{
	struct logbook *book = calloc(1, sizeof *book);
	cr_assert_not_null(book);
	cr_assert_eq(crypto_start(&book->err), 0, "%s", book->err.text);
	log_start("test", LOG_ERROR);
	book->seen = calloc(LOGBOOK_MAX, sizeof *book->seen);
	cr_assert_not_null(book->seen);
	book->store = store;
	book->clock = clock_system();
	memset(book->key, 7, sizeof book->key);
	pthread_mutex_init(&book->mutex, NULL);
	return book;
}

struct logbook *logbook_open(struct store *store, size_t checkpoint_bytes)
{
	struct logbook *book = logbook_blank(store);
	const struct journal_conf conf = {
		.store = store, .clock = book->clock, .state_key = book->key,
		.leader_key = "leader/0", .prefix = "journal/0/",
		.checkpoint_prefix = "checkpoint/0/", .checkpoint_ms = 3600000,
		.checkpoint_bytes = checkpoint_bytes ? checkpoint_bytes : SIZE_MAX,
		.ops = {
			.record = logbook_record, .lost = on_lost, .context = book, .hold = hold,
			.emit = emit, .let_go = let_go,
		},
	};
	cr_assert_eq(journal_new(&conf, &book->journal, &book->err), 0, "%s", book->err.text);
	book->epoch = logbook_depose(store);
	cr_assert_eq(logbook_replay(book), 0, "%s", book->err.text);
	return book;
}

void logbook_close(struct logbook *book)
{
	if (book->journal)
		journal_free(book->journal);
	pthread_mutex_destroy(&book->mutex);
	free(book->seen);
	free(book);
}

int logbook_commit(struct logbook *book, int64_t n)
{
	struct change *change = NULL;
	cr_assert_eq(change_new(&change, &book->err), 0);
	struct value *record = number(change_arena(change), n, book->padding);
	cr_assert_eq(change_record(change, record, &book->err), 0);
	int rc = journal_commit(book->journal, change, &book->err);
	change_free(change);
	return rc;
}

void logbook_fill(struct logbook *book, int64_t first, int64_t count)
{
	for (int64_t n = first; n < first + count; n++)
		cr_assert_eq(logbook_commit(book, n), 0, "%s", book->err.text);
}

static bool checkpoint(struct logbook *book)
{
	struct journal_stats before, now;
	journal_stats(book->journal, &before);
	journal_checkpoint(book->journal);
	for (int64_t us = 0; us < (int64_t)WAIT_MS * 1000; us += STEP_US) {
		journal_stats(book->journal, &now);
		if (now.checkpoints > before.checkpoints)
			return true;
		if (now.checkpoints_failed > before.checkpoints_failed)
			return false;
		usleep(STEP_US);
	}
	cr_assert_fail("no checkpoint was made");
	return false;
}

/* AddressSanitizer's allocator (gcc 12) does not take its locks around fork, as glibc's does: now
 * and then the child that sends the image waits for ever, and its silence ends it. */
bool logbook_checkpoint(struct logbook *book)
{
#ifdef __SANITIZE_ADDRESS__
	int64_t start_ms = clock_mono_ms(clock_system());
	if (checkpoint(book))
		return true;
	if (clock_mono_ms(clock_system()) - start_ms < SILENT_MS)
		return false;
#endif
	return checkpoint(book);
}

int logbook_replay(struct logbook *book)
{
	logbook_clear(book);
	return journal_lead(book->journal, book->epoch, &book->err);
}

size_t logbook_count(struct logbook *book)
{
	pthread_mutex_lock(&book->mutex);
	size_t count = book->count;
	pthread_mutex_unlock(&book->mutex);
	return count;
}

void logbook_same(struct logbook *a, struct logbook *b)
{
	cr_assert_eq(logbook_count(a), logbook_count(b), "%zu numbers, and %zu",
	             logbook_count(a), logbook_count(b));
	for (size_t i = 0; i < a->count; i++)
		cr_assert_eq(a->seen[i], b->seen[i], "number %zu differs", i);
}

void logbook_survives(struct logbook *book)
{
	struct logbook *fresh = logbook_blank(book->store);
	const struct journal_conf conf = {
		.store = book->store, .clock = book->clock, .state_key = book->key,
		.leader_key = "leader/0", .prefix = "journal/0/",
		.checkpoint_prefix = "checkpoint/0/",
		.ops = { .record = logbook_record, .context = fresh },
	};
	cr_assert_eq(journal_new(&conf, &fresh->journal, &fresh->err), 0, "%s", fresh->err.text);
	fresh->epoch = book->epoch;
	/* The book may still write its next checkpoint: a replay that it overtakes is made anew. */
	int rc = logbook_replay(fresh);
	for (int i = 0; i < REPLAYS && rc == E_CONFLICT; i++)
		rc = logbook_replay(fresh);
	cr_assert_eq(rc, 0, "%s", fresh->err.text);
	logbook_same(book, fresh);
	logbook_close(fresh);
}

static int count_one(void *context, const struct store_item *item, struct err *err)
{
	(void)item, (void)err;
	++*(size_t *)context;
	return 0;
}

size_t logbook_keys(struct logbook *book, const char *prefix)
{
	size_t count = 0;
	cr_assert_eq(store_list(book->store, prefix, count_one, &count, NULL, &book->err), 0, "%s",
	             book->err.text);
	return count;
}
