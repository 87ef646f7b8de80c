/* test_fault_link.c - every exchange between workers and control is lost once during a journey: the
 * request before control hears it, or the answer after control has acted on it. Connections break
 * with it, as TCP's do. Each time everything adds up. */
#include "common/defs.h"
#include "tests/support/detour.h"
#include "tests/support/play.h"
#include "tests/support/yard.h"

#include <criterion/criterion.h>

enum { EXCHANGES_MOST = 500, ROWS = 20, AGENT_STEP = 4 };

static bool lose_once(int n, enum detour_loss loss)
{
	struct scene scene;
	scene_open(&scene);
	struct detour *detour = detour_open(scene.stage);
	detour_lose(detour, n, loss);
	const char *broken = play(&scene);
	bool fired = detour_seen(detour) >= n;
	cr_assert_null(broken, "exchange %d loses its %s: %s", n,
	               loss == DETOUR_LOSE_REQUEST ? "request" : "answer", broken);
	for (int i = 0; i < SCENE_PUPPETS; i++) {
		puppet_free(scene.puppets[i]);
		scene.puppets[i] = NULL;
	}
	detour_close(detour);
	scene_close(&scene);
	return fired;
}

static void lose_each(enum detour_loss loss)
{
	int n = 1;
	while (lose_once(n, loss))
		cr_assert_lt(++n, EXCHANGES_MOST, "the journey never ends");
	cr_assert_gt(n, 10, "the journey makes no exchanges");
}

Test(fault_link, a_lost_request_costs_nothing)
{
	lose_each(DETOUR_LOSE_REQUEST);
}

Test(fault_link, a_lost_answer_costs_nothing)
{
	lose_each(DETOUR_LOSE_ANSWER);
}

/* --- the same to a real worker --- */

static const char *furnish(struct yard *yard, struct company *company)
{
	struct plane *plane = yard->stage->plane;
	*company = (struct company){"acme", "sales", plane_tenant(plane, "acme", "sales")};
	plane_put(plane, company->key, "Dataset", "/v1/tenants/acme/domains/sales/datasets/raw",
	          "{}");
	plane_put(plane, company->key, "Source", "/v1/tenants/acme/domains/sales/sources/raw",
	          "{'connector':'file','path':'a.csv','dataset':'raw','format':'csv'}");
	char *text = arena_alloc(plane->arena, 4 + ROWS * 2 + 1);
	char *at = text;
	*at++ = 'n';
	*at++ = '\n';
	for (int i = 0; i < ROWS; i++) {
		*at++ = (char)('0' + i % 10);
		*at++ = '\n';
	}
	*at = 0;
	yard_file(yard, "acme", "a.csv", text);
	return "/v1/tenants/acme/domains/sales/datasets/raw/snapshots";
}

/* The worker, then its link, then the rest. */
static void close_all(struct yard *yard, struct detour *detour)
{
	yard_end_worker(yard);
	detour_close(detour);
	yard_close(yard);
}

static bool lose_agents(int n, enum detour_loss loss)
{
	struct yard *yard = yard_open();
	struct company companies[2] = {{NULL, NULL, NULL}};
	const char *snapshots = furnish(yard, &companies[0]);
	struct detour *detour = detour_open(yard->stage);
	yard_kill(yard); /* its next life goes through the detour */
	detour_lose(detour, n, loss);
	for (int64_t loads = 1; loads <= 2; loads++) {
		const char *id = yard_submit(yard, &companies[0], "ingest", "{'source':'raw'}");
		const struct value *task = yard_await(yard, &companies[0], id, NULL);
		cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "exchange %d", n);
		struct answer answer =
			plane_call(yard->stage->plane, companies[0].key, "GET", snapshots, NULL);
		const struct value *items = value_get(answer.body, "items");
		cr_assert_eq(value_get_int(value_at(items, 0), "rows", 0), loads * ROWS);
	}
	bool fired = detour_seen(detour) >= n;
	close_all(yard, detour);
	return fired;
}

Test(fault_link, a_real_worker_loads_each_row_once_whichever_fourth_exchange_is_lost)
{
	for (int n = 1; lose_agents(n, DETOUR_LOSE_REQUEST); n += AGENT_STEP)
		cr_assert_lt(n, EXCHANGES_MOST, "the journey never ends");
	for (int n = 1; lose_agents(n, DETOUR_LOSE_ANSWER); n += AGENT_STEP)
		cr_assert_lt(n, EXCHANGES_MOST, "the journey never ends");
}
