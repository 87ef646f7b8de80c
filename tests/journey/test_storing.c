/* test_storing.c - audit events on their way out of memory into the tenant's sealed dataset
 * freehold.audit, by real workers on a simulated clock: each is there once, whatever dies, and what
 * was hashed is printed of it again. */
#include "common/defs.h"
#include "tests/support/yard.h"

#include "control/audit.h"
#include "control/auditstore.h"
#include "control/ocsf.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { MINUTE_MS = 60000, READS = 20, AGAIN_MOST = 600 };

struct cast {
	struct yard *yard;
	struct plane *plane;
	const char *key;
};

static struct cast raise_curtain(void)
{
	struct cast cast = { .yard = yard_open() };
	cast.plane = cast.yard->stage->plane;
	cast.key = plane_tenant(cast.plane, "acme", "sales");
	plane_put(cast.plane, cast.key, "Dataset", "/v1/tenants/acme/domains/sales/datasets/raw",
	          "{'schema':[{'name':'n','type':'int64'}]}");
	return cast;
}

static void read_audit(struct cast *cast, int times)
{
	for (int i = 0; i < times; i++)
		cr_assert_eq(plane_call(cast->plane, cast->key, "GET", "/v1/tenants/acme/audit",
		                        NULL).status, 200);
}

static struct store_state state(const struct cast *cast)
{
	struct store_state state;
	shard_store_state(cast->plane->part->shard, "acme", &state);
	return state;
}

static bool is_stored(void *context)
{
	struct cast *cast = context;
	return stage_leads(cast->yard->stage) && state(cast).waiting == 0;
}

static void store_all(struct cast *cast)
{
	stage_jump(cast->yard->stage, 6 * MINUTE_MS);
	cr_assert(stage_await(cast->yard->stage, is_stored, cast, 30 * MINUTE_MS));
}

/* A question, asked while time passes. */
struct asking {
	struct cast *cast;
	struct arena *arena;
	int64_t from, to;
	struct value *events;
	struct err err;
	int rc;
	_Atomic bool done;
};

static void *ask(void *context)
{
	struct asking *asked = context;
	asked->rc = auditstore_range(asked->cast->plane->part, asked->arena, "acme", asked->from,
	                             asked->to, &asked->events, &asked->err);
	atomic_store(&asked->done, true);
	return NULL;
}

static bool is_done(void *context)
{
	struct asking *asked = context;
	return atomic_load(&asked->done);
}

static struct value *range(struct cast *cast, struct arena *arena, int64_t from, int64_t to)
{
	struct asking asked = { .cast = cast, .arena = arena, .from = from, .to = to };
	for (int i = 0; i < AGAIN_MOST; i++) {
		pthread_t thread;
		atomic_store(&asked.done, false);
		cr_assert_eq(pthread_create(&thread, NULL, ask, &asked), 0);
		cr_assert(stage_await(cast->yard->stage, is_done, &asked, 10 * MINUTE_MS));
		pthread_join(thread, NULL);
		if (asked.rc != E_UNAVAILABLE)
			break;
		yard_pause(cast->yard);
	}
	cr_assert_eq(asked.rc, 0, "%s", asked.err.text);
	return asked.events;
}

static void same_lines(struct arena *arena, const struct value *a, const struct value *b)
{
	cr_assert_eq(value_len(a), value_len(b));
	for (size_t i = 0; i < value_len(a); i++) {
		AUTO_BUF one, other;
		struct err err = { 0 };
		buf_init(&one, MIB);
		buf_init(&other, MIB);
		cr_assert_eq(ocsf_print(value_at(a, i), &one, &err), 0, "%s", err.text);
		cr_assert_eq(ocsf_print(value_at(b, i), &other, &err), 0, "%s", err.text);
		cr_assert(one.len == other.len && memcmp(one.data, other.data, one.len) == 0,
		          "event %zu", i);
	}
	(void)arena;
}

Test(storing, what_is_stored_is_what_was_hashed)
{
	AUTO(arena) *arena = NULL;
	struct cast cast = raise_curtain();
	struct value *before = NULL;
	cr_assert_eq(arena_new(64 * MIB, &arena, NULL), 0);
	read_audit(&cast, READS);
	int64_t newest = (int64_t)state(&cast).waiting;
	cr_assert_geq(newest, READS);
	cr_assert_eq(shard_store_events(cast.plane->part->shard, arena, "acme", 1, newest, &before,
	                                NULL), 0);
	store_all(&cast);
	struct value *after = range(&cast, arena, 1, newest);
	same_lines(arena, before, after);
	yard_close(cast.yard);
}

/* A hundred in one commit. */
static void happen(struct cast *cast)
{
	AUTO(change) *change = NULL;
	struct err err = { 0 };
	cr_assert_eq(change_new(&change, &err), 0);
	for (int i = 0; i < 100; i++) {
		const struct audit_event event = {
			.tenant = "acme", .actor = "acme/ann", .action = "dataset:read",
			.result = "allowed", .at_ms = clock_unix_ms(cast->yard->stage->clock),
		};
		cr_assert_eq(audit_add(change, &event, &err), 0);
	}
	cr_assert_eq(journal_commit(cast->plane->part->journal, change, &err), 0, "%s", err.text);
}

static struct answer get(struct cast *cast, const char *path)
{
	const struct asked asked = {"GET", path, .key = cast->key};
	return yard_ask_held(cast->yard, &asked);
}

Test(storing, an_event_that_has_left_memory_is_proven_and_its_entries_are_served)
{
	struct cast cast = raise_curtain();
	for (int i = 0; i < (STORE_KEEP + 600) / 100; i++)
		happen(&cast);
	store_all(&cast);
	cr_assert_gt(state(&cast).oldest, 512);
	cr_expect_eq(get(&cast, "/v1/tenants/acme/audit/tile/entries/000").status, 200);
	cr_expect_eq(get(&cast, "/v1/tenants/acme/audit/tile/0/001").text_len, 8192);
	cr_expect_eq(get(&cast, "/v1/tenants/acme/audit/proof?event=300").status, 200);
	yard_close(cast.yard);
}

Test(storing, a_dead_worker_and_a_lost_lead_store_each_event_once)
{
	AUTO(arena) *arena = NULL;
	struct cast cast = raise_curtain();
	struct snapshot *snapshot = NULL;
	cr_assert_eq(arena_new(64 * MIB, &arena, NULL), 0);
	for (int round = 0; round < 3; round++) {
		read_audit(&cast, READS);
		stage_jump(cast.yard->stage, 6 * MINUTE_MS);
		if (round == 1)
			stage_restart(cast.yard->stage);
		if (round == 2)
			yard_kill(cast.yard);
		cr_assert(stage_await(cast.yard->stage, is_stored, &cast, 60 * MINUTE_MS));
	}
	int64_t stored = state(&cast).stored;
	cr_assert(home_current(cast.plane->control, arena, "acme", HOME_AUDIT, &snapshot));
	cr_assert_eq(snapshot->rows, stored, "none is missing and none is there twice");
	yard_close(cast.yard);
}
