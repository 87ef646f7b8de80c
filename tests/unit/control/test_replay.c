/* What is stored gives the state or a refusal, never a state with a hole; the formats before this
 * one are read, those after it refused by name. */
#include "common/defs.h"
#include "control/replay.h"

#include "common/pack.h"
#include "common/store_mem.h"
#include "control/batch.h"
#include "control/change_impl.h"
#include "control/checkpoint_impl.h"
#include "tests/support/logbook.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct store *memory(void)
{
	struct err err = { 0 };
	struct store *store = NULL;
	cr_assert_eq(store_mem_new(clock_system(), &store, &err), 0, "%s", err.text);
	return store;
}

static void drop(struct store *store, const char *key)
{
	struct err err = { 0 };
	AUTO(store_txn) *txn = NULL;
	cr_assert_eq(store_txn_new(&txn, &err), 0);
	cr_assert_eq(store_txn_delete(txn, key, &err), 0);
	cr_assert_eq(store_commit(store, txn, NULL, &err), 0);
}

/* A value at a key, sealed as the journal seals. */
static void put(struct logbook *book, const char *key, const struct value *value)
{
	AUTO_BUF packed, sealed;
	AUTO(store_txn) *txn = NULL;
	buf_init(&packed, MIB);
	buf_init(&sealed, STORE_VALUE_MAX);
	cr_assert_eq(pack_write(value, &packed, &book->err), 0);
	cr_assert_eq(state_seal(book->key, key, packed.data, packed.len, &sealed, &book->err), 0);
	cr_assert_eq(store_txn_new(&txn, &book->err), 0);
	cr_assert_eq(store_txn_put(txn, key, sealed.data, sealed.len, &book->err), 0);
	cr_assert_eq(store_commit(book->store, txn, NULL, &book->err), 0);
}

Test(replay, a_missing_batch_is_found_wherever_it_is)
{
	for (uint64_t lost = 0; lost < 6; lost++) {
		struct store *store = memory();
		struct logbook *book = logbook_open(store, 0);
		char key[JOURNAL_KEY_MAX];
		logbook_fill(book, 0, 7);
		struct position position = { book->epoch, lost };
		drop(store, position_key("journal/0/", &position, key));
		cr_assert_eq(logbook_replay(book), E_CORRUPT, "without %s", key);
		cr_assert_not_null(strstr(book->err.text, "missing"), "%s", book->err.text);
		cr_assert_eq(journal_epoch(book->journal), 0);
		cr_assert_leq(logbook_count(book), lost, "nothing past the hole");
		logbook_close(book);
		store_free(store);
	}
}

Test(replay, a_missing_page_of_a_checkpoint_is_found)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	char key[JOURNAL_KEY_MAX];
	book->padding = 1000;
	logbook_fill(book, 0, 600);
	cr_assert(logbook_checkpoint(book));
	checkpoint_page_key("checkpoint/0/", &(struct position){ book->epoch, 0 }, 1, key);
	drop(store, key);
	cr_assert_eq(logbook_replay(book), E_CORRUPT, "%s", book->err.text);
	cr_assert_not_null(strstr(book->err.text, "00000001"), "%s", book->err.text);
	logbook_close(book);
	store_free(store);
}

/* The bytes of a value of the store, as etcd's own administrator could write them. */
static int take_bytes(void *context, const struct store_item *item, struct err *err)
{
	struct buf *bytes = context;
	(void)err;
	return buf_put(bytes, item->value, item->value_len);
}

static void get_bytes(struct store *store, const char *key, struct buf *bytes)
{
	buf_init(bytes, MIB);
	cr_assert_eq(store_get(store, key, take_bytes, bytes, NULL), 0);
	cr_assert_gt(bytes->len, 0, "%s", key);
}

static void put_bytes(struct store *store, const char *key, const struct buf *bytes)
{
	AUTO(store_txn) *txn = NULL;
	cr_assert_eq(store_txn_new(&txn, NULL), 0);
	cr_assert_eq(store_txn_put(txn, key, bytes->data, bytes->len, NULL), 0);
	cr_assert_eq(store_commit(store, txn, NULL, NULL), 0);
}

static void is_found(struct logbook *book, const char *key, size_t step)
{
	AUTO_BUF bytes;
	get_bytes(book->store, key, &bytes);
	for (size_t at = 0; at < bytes.len; at += step) {
		bytes.data[at] ^= (uint8_t)(1 << at % 8);
		put_bytes(book->store, key, &bytes);
		cr_expect_lt(logbook_replay(book), 0, "%s, byte %zu", key, at);
		cr_expect_eq(journal_epoch(book->journal), 0, "nobody leads with it");
		bytes.data[at] ^= (uint8_t)(1 << at % 8);
	}
	put_bytes(book->store, key, &bytes);
	cr_expect_eq(logbook_replay(book), 0, "%s", book->err.text);
}

Test(replay, a_byte_that_was_changed_in_the_store_is_found_in_batch_page_and_head)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	const struct position position = { book->epoch, 3 };
	char key[JOURNAL_KEY_MAX];
	logbook_fill(book, 0, 7);
	is_found(book, position_key("journal/0/", &position, key), 1);
	logbook_fill(book, 7, 20);
	cr_assert(logbook_checkpoint(book));
	checkpoint_page_key("checkpoint/0/", &(struct position){ book->epoch, 0 }, 0, key);
	is_found(book, key, 3);
	checkpoint_head_key("checkpoint/0/", key);
	is_found(book, key, 3);
	logbook_close(book);
	store_free(store);
}

Test(replay, a_batch_that_is_put_in_anothers_place_is_found)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	char two[JOURNAL_KEY_MAX], three[JOURNAL_KEY_MAX];
	logbook_fill(book, 0, 7);
	position_key("journal/0/", &(struct position){ book->epoch, 2 }, two);
	position_key("journal/0/", &(struct position){ book->epoch, 3 }, three);
	AUTO_BUF a, b;
	get_bytes(store, two, &a);
	get_bytes(store, three, &b);
	put_bytes(store, two, &b);
	cr_expect_lt(logbook_replay(book), 0, "doubled");
	put_bytes(store, three, &a);
	cr_expect_lt(logbook_replay(book), 0, "reordered");
	logbook_close(book);
	store_free(store);
}

Test(replay, from_a_position_reads_only_what_came_after_it)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0), *other = logbook_open(store, 0);
	struct position position = { 0 };
	logbook_close(book);
	logbook_fill(other, 0, 10);
	position = (struct position){ other->epoch, 9 };
	logbook_fill(other, 10, 5);
	logbook_clear(other);
	other->epoch = logbook_depose(store);
	cr_assert_eq(journal_lead_from(other->journal, other->epoch, &position, &other->err), 0,
	             "%s", other->err.text);
	cr_assert_eq(logbook_count(other), 5);
	cr_assert_eq(other->seen[0], 10);
	logbook_fill(other, 15, 1);
	cr_assert(logbook_checkpoint(other), "its own state, and all before it is deleted");
	cr_assert_eq(logbook_keys(other, "journal/0/"), 0);
	position = (struct position){ other->epoch - 1, 3 };
	cr_assert_eq(journal_lead_from(other->journal, other->epoch, &position, &other->err),
	             E_CONFLICT, "a checkpoint covers more than the state has");
	logbook_close(other);
	store_free(store);
}

Test(replay, a_batch_of_a_newer_format_is_refused_with_what_to_do)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	AUTO(arena) *arena = NULL;
	char key[JOURNAL_KEY_MAX];
	cr_assert_eq(arena_new(MIB, &arena, &book->err), 0);
	logbook_fill(book, 0, 2);
	struct value *batch = value_list(arena);
	value_add(batch, value_int(arena, BATCH_FORMAT + 1));
	value_add_str(batch, "whatever that may be");
	struct position position = { book->epoch, 2 };
	put(book, position_key("journal/0/", &position, key), batch);
	cr_assert_eq(logbook_replay(book), E_INVALID);
	cr_assert_not_null(strstr(book->err.text, "format 3"), "%s", book->err.text);
	cr_assert_not_null(strstr(book->err.text, "start the newer version"), "%s",
	                   book->err.text);
	logbook_close(book);
	store_free(store);
}

Test(replay, a_checkpoint_of_a_newer_format_is_refused_with_what_to_do)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, &book->err), 0);
	struct value *head = value_map(arena);
	value_set_int(head, "format", CHECKPOINT_FORMAT + 1);
	put(book, "checkpoint/0/head", head);
	cr_assert_eq(logbook_replay(book), E_INVALID);
	cr_assert_not_null(strstr(book->err.text, "start the newer version"), "%s",
	                   book->err.text);
	logbook_close(book);
	store_free(store);
}

struct interrupted { struct logbook *book; int records; };

static void make_checkpoint(void *context, const struct value *record)
{
	struct interrupted *interrupted = context;
	(void)record;
	if (interrupted->records++ == 0) {
		logbook_fill(interrupted->book, 10, 5);
		cr_assert(logbook_checkpoint(interrupted->book));
	}
}

Test(replay, who_reads_while_a_checkpoint_is_written_is_told_to_begin_again)
{
	struct store *store = memory();
	struct logbook *book = logbook_open(store, 0);
	struct interrupted interrupted = { .book = book };
	struct err err = { 0 };
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	struct replay replay = {
		.store = store, .state_key = book->key, .prefix = "journal/0/",
		.checkpoint_prefix = "checkpoint/0/", .record = make_checkpoint,
		.context = &interrupted, .arena = arena,
	};
	logbook_fill(book, 0, 10);
	cr_assert_eq(replay_whole(&replay, &err), E_CONFLICT, "%s", err.text);
	spans_release(&replay.spans);
	logbook_close(book);
	store_free(store);
}

/* --- the format before this one --- */

enum { OLD_MAX = 64 * 1024 };

static size_t unhex(const char *text, uint8_t *out)
{
	size_t len = 0;
	unsigned byte = 0;
	for (; sscanf(text + 2 * len, "%2x", &byte) == 1; len++)
		out[len] = (uint8_t)byte;
	return len;
}

/* tests/data/journal-1.txt: a journal of format 1, state key 0707..., as "KEY HEX" lines. */
static void load_old(struct store *store)
{
	static char line[OLD_MAX], key[JOURNAL_KEY_MAX];
	static uint8_t value[OLD_MAX];
	struct err err = { 0 };
	int read = 0;
	FILE *file = fopen("tests/data/journal-1.txt", "r");
	cr_assert_not_null(file, "the tests run in the root of the tree");
	while (fgets(line, sizeof line, file)) {
		AUTO(store_txn) *txn = NULL;
		cr_assert_eq(sscanf(line, "%511s %n", key, &read), 1);
		cr_assert_eq(store_txn_new(&txn, &err), 0);
		cr_assert_eq(store_txn_put(txn, key, value, unhex(line + read, value), &err), 0);
		cr_assert_eq(store_commit(store, txn, NULL, &err), 0);
	}
	fclose(file);
}

struct types { int accepted, attempts, outcomes, others; };

static void count_type(void *context, const struct value *record)
{
	struct types *types = context;
	const char *type = value_get_str(record, "t");
	types->accepted += strcmp(type, "accepted") == 0;
	types->attempts += strcmp(type, "attempt") == 0;
	types->outcomes += strcmp(type, "outcome") == 0;
	types->others++;
}

Test(replay, the_format_before_this_one_is_read_and_gone_on_from)
{
	struct store *store = memory();
	struct types types = { 0 };
	struct err err = { 0 };
	uint8_t state_key[KEY_BYTES];
	memset(state_key, 7, sizeof state_key);
	load_old(store);
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	struct replay replay = {
		.store = store, .state_key = state_key, .prefix = "journal/0/",
		.checkpoint_prefix = "checkpoint/0/", .record = count_type, .context = &types,
		.arena = arena,
	};
	cr_assert_eq(replay_whole(&replay, &err), 0, "%s", err.text);
	cr_assert_eq(types.accepted, 6);
	cr_assert_eq(types.attempts, 1);
	cr_assert_eq(types.outcomes, 2);
	cr_assert_eq(replay.at.seq, 10);
	spans_release(&replay.spans);

	struct logbook *book = logbook_open(store, 0);
	size_t old = logbook_count(book);
	cr_assert_eq(old, (size_t)types.others);
	logbook_fill(book, 100, 3);
	logbook_survives(book);
	cr_assert(logbook_checkpoint(book));
	cr_assert_eq(logbook_keys(book, "journal/0/"), 0, "the old ones are covered too");
	logbook_survives(book);
	logbook_close(book);
	store_free(store);
}

Test(replay, a_hole_in_the_format_before_this_one_is_found)
{
	struct store *store = memory();
	load_old(store);
	drop(store, "journal/0/0000000000000002-0000000000000004");
	struct logbook *book = logbook_blank(store);
	struct err err = { 0 };
	AUTO(arena) *arena = NULL;
	cr_assert_eq(arena_new(MIB, &arena, &err), 0);
	struct replay replay = {
		.store = store, .state_key = book->key, .prefix = "journal/0/",
		.record = logbook_record, .context = book, .arena = arena,
	};
	cr_assert_eq(replay_whole(&replay, &err), E_CORRUPT);
	spans_release(&replay.spans);
	logbook_close(book);
	store_free(store);
}
