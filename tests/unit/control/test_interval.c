/* test_interval.c - see control/interval.h. Random histories against an array with a state for each
 * hour; what is emitted gives the same book again. */
#include "common/defs.h"
#include "control/interval.h"
#include "control/interval_impl.h"

#include "control/record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOURS = 48, STEPS = 300, ROUNDS = 40, IDS = 64 };

#define SCHEDULE "00000000000000000000000sch"
#define BACKFILL "00000000000000000000000bac"

struct hour {
	enum stretch_state ended, own; /* own: by the backfill */
	int runs;                      /* index into ids, or -1 */
};
struct run {
	char id[ID_LEN + 1];
	int from, to;
	bool backfill, alive;
};
struct world {
	struct book *book;
	struct hour hours[HOURS];
	struct run runs[IDS];
	int next_id;
};

static void open_world(struct world *world)
{
	memset(world, 0, sizeof *world);
	cr_assert_eq(book_new(1, &world->book, NULL), 0);
	for (int i = 0; i < HOURS; i++)
		world->hours[i].runs = -1;
}

static bool may(const struct world *world, const struct claim *claim)
{
	for (int64_t i = claim->from_ms; i < claim->to_ms; i++) {
		const struct hour *hour = &world->hours[i];
		bool own = claim->backfill && claim->redo != REDO_MISSING &&
		           hour->own != STRETCH_MISSING;
		bool ended = hour->ended == STRETCH_DONE
		                     ? claim->redo != REDO_ALL
		                     : hour->ended == STRETCH_FAILED && claim->redo == REDO_MISSING;
		if (hour->runs >= 0 || own || ended)
			return false;
	}
	return true;
}

static struct claim make_claim(struct world *world, struct run *run, enum redo redo)
{
	snprintf(run->id, sizeof run->id, "%026d", world->next_id++);
	return (struct claim){
		.tenant = "acme",
		.domain = "sales",
		.schedule = "tick",
		.uid = SCHEDULE,
		.from_ms = run->from,
		.to_ms = run->to,
		.id = run->id,
		.redo = redo,
		.backfill = run->backfill ? BACKFILL : NULL,
		.now_ms = 7,
	};
}

static struct value *fired_record(struct arena *arena, const struct claim *claim)
{
	struct value *record = record_new(arena, RECORD_INTERVAL, claim->now_ms);
	value_set_str(record, "op", "fired");
	value_set_str(record, "tenant", claim->tenant);
	value_set_str(record, "domain", claim->domain);
	value_set_str(record, "schedule", claim->schedule);
	value_set_str(record, "uid", claim->uid);
	value_set_int(record, "from", claim->from_ms);
	value_set_int(record, "to", claim->to_ms);
	value_set_str(record, "id", claim->id);
	value_set_str(record, "backfill", claim->backfill);
	return record;
}

static void fire(struct world *world)
{
	AUTO(change) *change = NULL;
	AUTO(arena) *arena = NULL;
	int slot = 0;
	while (slot < IDS && world->runs[slot].alive)
		slot++;
	if (slot == IDS)
		return;
	struct run *run = &world->runs[slot];
	run->from = rand() % HOURS;
	run->to = run->from + 1 + rand() % 3;
	run->to = run->to > HOURS ? HOURS : run->to;
	run->backfill = rand() % 2;
	struct claim claim = make_claim(world, run, (enum redo)(rand() % 3));
	cr_assert_eq(change_new(&change, NULL), 0);
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	int rc = book_claim(world->book, &claim, change, NULL);
	cr_assert_eq(rc, may(world, &claim) ? 0 : E_CONFLICT, "claimed %d to %d", run->from,
	             run->to);
	if (rc < 0)
		return;
	if (rand() % 4 == 0) {
		book_withdraw(world->book, run->id);
		return;
	}
	cr_assert_eq(book_apply(world->book, fired_record(arena, &claim), NULL), 0);
	book_withdraw(world->book, run->id); /* comes too late, and changes nothing */
	run->alive = true;
	for (int i = run->from; i < run->to; i++)
		world->hours[i].runs = slot;
}

static void end_one(struct world *world)
{
	int slot = rand() % IDS;
	struct run *run = &world->runs[slot];
	bool good = rand() % 3;
	if (!run->alive)
		return;
	cr_assert(book_ended(world->book, run->id, good, 9));
	cr_assert_not(book_ended(world->book, run->id, good, 9), "it ended twice");
	run->alive = false;
	for (int i = run->from; i < run->to; i++) {
		world->hours[i].runs = -1;
		world->hours[i].ended = good ? STRETCH_DONE : STRETCH_FAILED;
		if (run->backfill)
			world->hours[i].own = world->hours[i].ended;
	}
}

static enum stretch_state state_in(const struct view *view, int64_t at)
{
	for (size_t i = 0; i < view->len; i++)
		if (view->items[i].from_ms <= at && at < view->items[i].to_ms)
			return view->items[i].state;
	return STRETCH_MISSING;
}

static void check(const struct world *world, const struct book *book)
{
	AUTO(arena) *arena = NULL;
	struct view all, own;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(book_view(book, arena, SCHEDULE, NULL, 0, HOURS, &all, NULL), 0);
	cr_assert_eq(book_view(book, arena, SCHEDULE, BACKFILL, 0, HOURS, &own, NULL), 0);
	int by_itself = 0, by_backfill = 0;
	for (int i = 0; i < IDS; i++) {
		by_itself += world->runs[i].alive && !world->runs[i].backfill;
		by_backfill += world->runs[i].alive && world->runs[i].backfill;
	}
	cr_assert_eq(all.running, by_itself);
	cr_assert_eq(own.running, by_backfill);
	for (int i = 0; i < HOURS; i++) {
		const struct hour *hour = &world->hours[i];
		bool mine = hour->runs >= 0 && world->runs[hour->runs].backfill;
		cr_assert_eq(state_in(&all, i), hour->runs >= 0 ? STRETCH_RUNNING : hour->ended,
		             "hour %d", i);
		cr_assert_eq(state_in(&own, i), mine ? STRETCH_RUNNING : hour->own, "hour %d", i);
	}
}

static int copy_record(void *context, const struct value *record, struct err *err)
{
	return book_apply(context, record, err);
}

Test(intervals, are_as_an_array_of_hours_would_be_and_are_emitted_whole)
{
	srand(11);
	for (int round = 0; round < ROUNDS; round++) {
		struct world world;
		struct book *copy = NULL;
		open_world(&world);
		for (int step = 0; step < STEPS; step++) {
			if (rand() % 2)
				fire(&world);
			else
				end_one(&world);
			check(&world, world.book);
		}
		cr_assert_eq(book_new(2, &copy, NULL), 0);
		cr_assert_eq(book_emit(world.book, copy_record, copy, NULL), 0);
		check(&world, copy);
		book_free(copy);
		book_free(world.book);
	}
}

static void fire_and_end(struct book *book, int64_t hour, bool good)
{
	AUTO(arena) *arena = NULL;
	char id[ID_LEN + 1];
	snprintf(id, sizeof id, "%026d", (int)hour);
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	const struct claim claim = {
		.tenant = "acme",
		.domain = "sales",
		.schedule = "tick",
		.uid = SCHEDULE,
		.id = id,
		.from_ms = hour,
		.to_ms = hour + 1,
		.now_ms = 5,
	};
	cr_assert_eq(book_apply(book, fired_record(arena, &claim), NULL), 0);
	cr_assert(book_ended(book, id, good, 6));
}

struct emitted {
	struct book *copy;
	int records;
};

static int count_record(void *context, const struct value *record, struct err *err)
{
	struct emitted *emitted = context;
	emitted->records++;
	return book_apply(emitted->copy, record, err);
}

Test(intervals, of_years_take_one_record_and_of_many_failures_several)
{
	struct book *book = NULL;
	struct emitted emitted = {.records = 0};
	cr_assert_eq(book_new(1, &book, NULL), 0);
	cr_assert_eq(book_new(2, &emitted.copy, NULL), 0);
	for (int64_t hour = 0; hour < 20000; hour++)
		fire_and_end(book, hour, true);
	cr_assert_eq(book_emit(book, count_record, &emitted, NULL), 0);
	cr_expect_eq(emitted.records, 1);
	for (int64_t hour = 0; hour < 5000; hour++)
		fire_and_end(book, hour * 2, false);
	emitted.records = 0;
	book_clear(emitted.copy);
	cr_assert_eq(book_emit(book, count_record, &emitted, NULL), 0);
	cr_expect_eq(emitted.records, 10);
	const struct ledger *a = ledger_find(book, SCHEDULE);
	const struct ledger *b = ledger_find(emitted.copy, SCHEDULE);
	cr_assert_eq(a->stretches.len, b->stretches.len);
	for (size_t i = 0; i < a->stretches.len; i++) {
		const struct stretch *x = &a->stretches.items[i], *y = &b->stretches.items[i];
		cr_assert(x->from_ms == y->from_ms && x->to_ms == y->to_ms &&
		          x->count == y->count && x->state == y->state);
	}
	cr_expect_eq(b->first_ms, 5);
	cr_expect_eq(b->until_ms, 20000);
	book_free(book);
	book_free(emitted.copy);
}

Test(intervals, name_a_schedule_once_whose_interval_has_ended)
{
	struct book *book = NULL;
	char uid[ID_LEN + 1];
	cr_assert_eq(book_new(1, &book, NULL), 0);
	fire_and_end(book, 1, true);
	fire_and_end(book, 2, true);
	cr_assert(book_take_moved(book, uid));
	cr_expect_str_eq(uid, SCHEDULE);
	cr_expect_not(book_take_moved(book, uid));
	book_free(book);
}

Test(intervals, are_forgotten_with_their_schedule)
{
	AUTO(arena) *arena = NULL;
	struct book *book = NULL;
	struct view view;
	char uid[ID_LEN + 1];
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(book_new(1, &book, NULL), 0);
	fire_and_end(book, 1, true);
	struct value *record = record_new(arena, RECORD_INTERVAL, 1);
	value_set_str(record, "op", "forget");
	value_set_str(record, "uid", SCHEDULE);
	cr_assert_eq(book_apply(book, record, NULL), 0);
	cr_assert_eq(book_apply(book, record, NULL), 0);
	cr_expect_not(book_take_moved(book, uid));
	cr_assert_eq(book_view(book, arena, SCHEDULE, NULL, 0, 10, &view, NULL), 0);
	cr_expect_eq(view.len, 0);
	book_free(book);
}

Test(intervals, refuse_a_damaged_record)
{
	static const char *const ops[] = {"fired", "ledger", "nothing", NULL};
	AUTO(arena) *arena = NULL;
	struct book *book = NULL;
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cr_assert_eq(book_new(1, &book, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		struct value *record = record_new(arena, RECORD_INTERVAL, 1);
		struct err err = {0};
		value_set_str(record, "op", ops[i]);
		cr_expect_eq(book_apply(book, record, &err), E_CORRUPT, "%s", ops[i]);
	}
	book_free(book);
}
