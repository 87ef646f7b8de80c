/* test_shard_log.c - a tenant's log in memory: its tree, its signed heads, and what a checkpoint
 * brings of both. Records are applied as a journal's are. */
#include "common/defs.h"
#include "control/shard_emit.h"
#include "control/shard_log.h"

#include "common/crypto.h"
#include "common/pack.h"
#include "control/ocsf.h"
#include "control/record.h"
#include "control/shard_work.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { NOON = 1000 };

struct desk {
	struct arena *arena;
	struct shard *shard;
	struct value *kept[4096];
	size_t kept_count;
};

static void desk_open(struct desk *desk)
{
	memset(desk, 0, sizeof *desk);
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_eq(arena_new(256 * MIB, &desk->arena, NULL), 0);
	cr_assert_eq(shard_new(clock_system(), &desk->shard, NULL), 0);
	shard_clear(desk->shard);
}

static void desk_close(struct desk *desk)
{
	cr_expect(shard_sound(desk->shard));
	shard_free(desk->shard);
	arena_free(desk->arena);
}

static struct value *record_of(struct desk *desk, enum record_type type)
{
	struct value *record = record_new(desk->arena, type, NOON);
	value_set_str(record, "tenant", "acme");
	return record;
}

static struct value *event_of(struct desk *desk, int n)
{
	struct value *record = record_of(desk, RECORD_AUDIT);
	value_set_str(record, "actor", "acme/alice");
	value_set_str(record, "action", "task:run");
	value_set_str(record, "resource", arena_printf(desk->arena, "thing-%d", n));
	value_set_str(record, "result", "allowed");
	return record;
}

static void events(struct desk *desk, int count)
{
	for (int i = 0; i < count; i++)
		shard_record(desk->shard, event_of(desk, i));
}

static struct log_state state_of(struct desk *desk)
{
	struct log_state state;
	cr_assert_eq(shard_log(desk->shard, desk->arena, "acme", &state, NULL), 0);
	return state;
}

/* The head of the log as it is now, as a leader would have signed it. */
static struct value *head_of(struct desk *desk)
{
	struct log_state state = state_of(desk);
	struct value *record = record_of(desk, RECORD_HEAD);
	uint8_t root[MERKLE_BYTES];
	merkle_root(&state.range, root);
	value_set_int(record, "size", (int64_t)state.size);
	value_set_bin(record, "root", root, sizeof root);
	value_set_str(record, "note", arena_printf(desk->arena, "note-%d", (int)state.size));
	return record;
}

static int keep(void *context, const struct value *record, struct err *err)
{
	struct desk *desk = context;
	(void)err;
	cr_assert_lt(desk->kept_count, ARRAY_LEN(desk->kept));
	desk->kept[desk->kept_count++] = value_copy(desk->arena, record);
	return 0;
}

/* Everything goes into a checkpoint, and a new shard is made of that. */
static void restart(struct desk *desk)
{
	shard_ready(desk->shard);
	desk->kept_count = 0;
	cr_assert_eq(shard_hold(desk->shard, NULL), 0);
	cr_assert_eq(shard_emit(desk->shard, keep, desk, NULL), 0);
	shard_let_go(desk->shard);
	shard_free(desk->shard);
	cr_assert_eq(shard_new(clock_system(), &desk->shard, NULL), 0);
	shard_clear(desk->shard);
}

static void bring(struct desk *desk)
{
	for (size_t i = 0; i < desk->kept_count; i++)
		shard_record(desk->shard, desk->kept[i]);
}

static void same_range(const struct merkle_range *a, const struct merkle_range *b)
{
	uint8_t one[MERKLE_BYTES], two[MERKLE_BYTES];
	cr_assert_eq(a->size, b->size);
	merkle_root(a, one);
	merkle_root(b, two);
	cr_assert_arr_eq(one, two, MERKLE_BYTES);
}

Test(shard_log, its_root_is_that_of_the_lines_that_it_gives)
{
	struct desk desk;
	struct value *list = NULL;
	struct merkle_range range = {0};
	desk_open(&desk);
	events(&desk, 700);
	struct log_state state = state_of(&desk);
	cr_assert_eq(state.size, 700);
	cr_assert_eq(state.from, 1);
	cr_assert_eq(state.held, 0);
	cr_assert_eq(shard_log_events(desk.shard, desk.arena, "acme", 0, 700, &list, NULL), 0);
	for (size_t i = 0; i < 700; i++) {
		uint8_t leaf[MERKLE_BYTES];
		AUTO_BUF line;
		buf_init(&line, 64 * KIB);
		cr_assert_eq(value_get_int(value_at(list, i), "seq", 0), (int64_t)i + 1);
		cr_assert_eq(ocsf_print(value_at(list, i), &line, NULL), 0);
		merkle_leaf(line.data, line.len, leaf);
		cr_assert_eq(merkle_append(&range, leaf, NULL), 0);
	}
	same_range(&range, &state.range);
	cr_assert_eq(shard_log_events(desk.shard, desk.arena, "acme", 700, 1, &list, NULL),
	             E_NOT_FOUND);
	desk_close(&desk);
}

Test(shard_log, a_checkpoint_brings_tree_and_heads_and_the_log_goes_on_the_same)
{
	struct desk a, b;
	struct value *one = NULL, *two = NULL;
	desk_open(&a);
	desk_open(&b);
	for (int i = 0; i < 20; i++) {
		events(&a, 73);
		events(&b, 73);
		shard_record(a.shard, head_of(&a));
		shard_record(b.shard, head_of(&b));
	}
	restart(&a);
	bring(&a);
	events(&a, 300);
	events(&b, 300);
	struct log_state now = state_of(&a), same = state_of(&b);
	same_range(&now.range, &same.range);
	cr_expect_eq(now.from, 1);
	cr_expect_eq(now.head_size, 20 * 73);
	cr_expect_not(now.forked);
	cr_assert_eq(shard_log_heads(a.shard, a.arena, "acme", &one, NULL), 0);
	cr_assert_eq(shard_log_heads(b.shard, a.arena, "acme", &two, NULL), 0);
	cr_assert(value_equal(one, two));
	desk_close(&a);
	desk_close(&b);
}

Test(shard_log, heads_are_kept_ever_fewer_the_older_they_are_and_the_first_for_ever)
{
	struct desk desk;
	struct value *list = NULL;
	desk_open(&desk);
	for (int i = 1; i <= 1000; i++) {
		events(&desk, 1);
		shard_record(desk.shard, head_of(&desk));
	}
	cr_assert_eq(shard_log_heads(desk.shard, desk.arena, "acme", &list, NULL), 0);
	size_t count = value_len(list);
	cr_expect_geq(count, 8);
	cr_expect_leq(count, 48, "%zu of 1000", count);
	for (size_t i = 0; i < 8; i++)
		cr_expect_eq(value_get_int(value_at(list, i), "size", 0), 1000 - (int64_t)i);
	cr_expect_eq(value_get_int(value_at(list, count - 1), "size", 0), 1);
	desk_close(&desk);
}

Test(shard_log, a_head_that_the_log_does_not_hold_is_found_in_a_replay_and_stays_known)
{
	for (int way = 0; way < 3; way++) {
		struct desk desk, other;
		desk_open(&desk);
		desk_open(&other);
		events(&desk, 300);
		events(&other, way == 0 ? 299 : 0);      /* an event was dropped */
		for (int i = 0; way > 0 && i < 300; i++) /* two changed places, one was changed */
			shard_record(other.shard,
			             event_of(&other, i != 7 && i != 8 ? i : way == 1 ? 15 - i
			                                                              : 1000 + i));
		shard_record(other.shard, head_of(&desk));
		cr_expect(state_of(&other).forked);
		cr_expect_eq(state_of(&other).forked_size, 300);
		events(&other, 1);
		restart(&other);
		bring(&other);
		cr_expect(state_of(&other).forked, "it is forgotten by a checkpoint");
		desk_close(&desk);
		desk_close(&other);
	}
}

Test(shard_log, a_checkpoint_whose_tree_is_not_that_of_its_newest_head_is_found)
{
	struct desk desk;
	desk_open(&desk);
	events(&desk, 300);
	shard_record(desk.shard, head_of(&desk));
	events(&desk, 10);
	restart(&desk);
	for (size_t i = 0; i < desk.kept_count; i++) {
		size_t len = 0;
		const void *tail = value_get_bin(desk.kept[i], "tail", &len);
		if (!tail)
			continue;
		uint8_t *changed = arena_alloc(desk.arena, len);
		memcpy(changed, tail, len);
		changed[40] ^= 1;
		value_set_bin(desk.kept[i], "tail", changed, len);
	}
	bring(&desk);
	cr_expect(state_of(&desk).forked);
	struct log_name names[2];
	cr_expect_eq(shard_logs_forked(desk.shard, names, 2), 1);
	cr_expect_str_eq(names[0].tenant, "acme");
	cr_expect_eq(shard_logs_due(desk.shard, INT64_MAX, 0, 0, names, 2), 0, "never again");
	desk_close(&desk);
}

Test(shard_log, two_heads_that_were_signed_at_once_are_in_order_of_size)
{
	struct desk desk;
	desk_open(&desk);
	events(&desk, 5);
	struct value *first = head_of(&desk);
	events(&desk, 5);
	struct value *second = head_of(&desk);
	shard_record(desk.shard, second);
	shard_record(desk.shard, first);
	cr_expect_eq(state_of(&desk).head_size, 10);
	cr_expect_str_eq(state_of(&desk).note, "note-10");
	cr_expect_not(state_of(&desk).forked);
	desk_close(&desk);
}

/* As the version before wrote it: {seq, size, edge} over the packed events. */
static void bring_older(struct desk *desk, struct merkle_range *ret_range)
{
	for (int i = 0; i < 10; i++) {
		uint8_t leaf[MERKLE_BYTES];
		AUTO_BUF packed;
		buf_init(&packed, 64 * KIB);
		struct value *event = event_of(desk, i);
		value_set_int(event, "seq", 101 + i);
		cr_assert_eq(pack_write(event, &packed, NULL), 0);
		merkle_leaf(packed.data, packed.len, leaf);
		cr_assert_eq(merkle_append(ret_range, leaf, NULL), 0);
		shard_record(desk->shard, event);
	}
	struct value *log = record_of(desk, RECORD_LOG);
	value_set_int(log, "seq", 110);
	value_set_int(log, "size", 10);
	value_set_bin(log, "edge", ret_range->edge,
	              merkle_edge_count(ret_range->size) * MERKLE_BYTES);
	shard_record(desk->shard, log);
}

Test(shard_log, an_older_versions_log_begins_again_with_the_events_that_came_and_its_root_is_kept)
{
	struct desk desk;
	struct merkle_range older = {0};
	uint8_t root[MERKLE_BYTES];
	desk_open(&desk);
	bring_older(&desk, &older);
	merkle_root(&older, root);
	for (int i = 0; i < 2; i++) {
		struct log_state state = state_of(&desk);
		cr_expect_eq(state.size, 10 + (uint64_t)i);
		cr_expect_eq(state.from, 101);
		cr_expect_eq(state.before.size, 10);
		cr_expect_eq(state.before.from, 101);
		cr_expect_arr_eq(state.before.root, root, MERKLE_BYTES);
		cr_expect_not(state.forked);
		events(&desk, 1);
		restart(&desk);
		bring(&desk);
	}
	desk_close(&desk);
}

Test(shard_log, logs_are_due_that_have_events_that_no_head_tells_of)
{
	struct desk desk;
	struct log_name due[4];
	desk_open(&desk);
	cr_expect_eq(shard_logs_due(desk.shard, NOON, 10, 5, due, 4), 0);
	events(&desk, 1);
	cr_expect_eq(shard_logs_due(desk.shard, NOON + 9, 10, 5, due, 4), 0, "it is fresh");
	cr_expect_eq(shard_logs_due(desk.shard, NOON + 10, 10, 5, due, 4), 1, "no head yet");
	cr_expect_str_eq(due[0].tenant, "acme");
	shard_record(desk.shard, head_of(&desk));
	cr_expect_eq(shard_logs_due(desk.shard, NOON + 99, 10, 5, due, 4), 0, "nothing is new");
	events(&desk, 1);
	cr_expect_eq(shard_logs_due(desk.shard, NOON + 9, 10, 5, due, 4), 0);
	cr_expect_eq(shard_logs_due(desk.shard, NOON + 10, 10, 5, due, 4), 1, "old enough");
	events(&desk, 4);
	cr_expect_eq(shard_logs_due(desk.shard, NOON, 10, 5, due, 4), 1, "enough of them");
	desk_close(&desk);
}
