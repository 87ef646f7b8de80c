/* The online store: the latest wins, whatever is repeated; nothing readable lies on disk. */
#include "common/defs.h"
#include "worker/online.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAP = 64 * 1024 * 1024 };

struct place {
	char dir[40];
	struct online *online;
	struct online_view *view;
};

static const uint8_t key_a[KEY_BYTES] = { 1 }, key_b[KEY_BYTES] = { 2 };

static void place_open(struct place *place)
{
	struct err err = { 0 };
	cr_assert_eq(online_new(place->dir, MAP, &place->online, &err), 0, "%s", err.text);
	cr_assert_eq(online_view_new(place->online, "acme", "01view", 1, key_a, &place->view, &err),
	             0, "%s", err.text);
}

static void place_init(struct place *place)
{
	snprintf(place->dir, sizeof place->dir, "/tmp/online-test-XXXXXX");
	cr_assert_eq(crypto_start(NULL), 0);
	cr_assert_not_null(mkdtemp(place->dir));
	place_open(place);
}

static void place_close(struct place *place)
{
	online_view_free(place->view);
	online_free(place->online);
}

static void place_release(struct place *place)
{
	char command[80];
	place_close(place);
	snprintf(command, sizeof command, "rm -rf '%s'", place->dir);
	cr_assert_eq(system(command), 0);
}

static int64_t put(struct online_view *view, const char *entity, int64_t event_us,
                   const char *values)
{
	AUTO(online_batch) *batch = NULL;
	struct err err = { 0 };
	int64_t changed = -1, bytes = -1;
	cr_assert_eq(online_batch_new(view, &batch, &err), 0, "%s", err.text);
	cr_assert_eq(online_put(batch, entity, strlen(entity), event_us, values, strlen(values),
	                        &err),
	             0, "%s", err.text);
	cr_assert_eq(online_commit(batch, &changed, &bytes, &err), 0, "%s", err.text);
	cr_expect(changed ? bytes > (int64_t)strlen(values) : bytes == 0);
	return changed;
}

static int get(struct online_view *view, const char *entity, int64_t *event_us, char *text)
{
	static __thread uint8_t room[ONLINE_ROOM];
	size_t len = 0;
	int rc = online_get(view, entity, strlen(entity), event_us, room, sizeof room, &len, NULL);
	memcpy(text, room, len);
	text[len] = 0;
	return rc;
}

static void expect(struct online_view *view, const char *entity, int64_t event_us,
                   const char *values)
{
	char text[256];
	int64_t got = 0;
	cr_assert_eq(get(view, entity, &got, text), 1);
	cr_expect_eq(got, event_us);
	cr_expect_str_eq(text, values);
}

Test(online, what_was_put_is_found_and_stays_after_a_restart)
{
	struct place place;
	char text[256];
	int64_t event;
	place_init(&place);
	cr_expect_eq(put(place.view, "ATL", 1000, "values of atl"), 1);
	expect(place.view, "ATL", 1000, "values of atl");
	cr_expect_eq(get(place.view, "ORD", &event, text), 0);
	place_close(&place);
	place_open(&place);
	expect(place.view, "ATL", 1000, "values of atl");
	place_release(&place);
}

Test(online, the_latest_event_wins_and_replays_change_nothing)
{
	struct place place;
	place_init(&place);
	cr_expect_eq(put(place.view, "ATL", 1000, "first"), 1);
	cr_expect_eq(put(place.view, "ATL", 1000, "again"), 0);
	cr_expect_eq(put(place.view, "ATL", 999, "older"), 0);
	expect(place.view, "ATL", 1000, "first");
	cr_expect_eq(put(place.view, "ATL", 1001, "newer and longer than before"), 1);
	expect(place.view, "ATL", 1001, "newer and longer than before");
	cr_expect_eq(put(place.view, "old", -5000000, "before 1970"), 1);
	expect(place.view, "old", -5000000, "before 1970");
	place_release(&place);
}

Test(online, a_batch_is_not_visible_before_its_commit_and_gone_without_one)
{
	struct place place;
	struct online_batch *batch = NULL;
	char text[256];
	int64_t event;
	place_init(&place);
	cr_assert_eq(online_batch_new(place.view, &batch, NULL), 0);
	cr_assert_eq(online_put(batch, "ATL", 3, 1, "x", 1, NULL), 0);
	cr_expect_eq(get(place.view, "ATL", &event, text), 0);
	online_batch_free(batch);
	cr_expect_eq(get(place.view, "ATL", &event, text), 0);
	place_release(&place);
}

Test(online, another_view_another_key_and_another_tenant_see_nothing)
{
	struct place place;
	struct online_view *view = NULL;
	char text[256];
	int64_t event;
	place_init(&place);
	put(place.view, "ATL", 1, "secret");
	static const struct { const char *tenant,
		*uid; uint32_t version; const uint8_t *key; } other[] = {
		{ "acme", "01other", 1, key_b }, { "acme", "01view", 1, key_b },
		{ "globex", "01view", 1, key_a }, { "acme", "01other", 1, key_a },
	};
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		cr_assert_eq(online_view_new(place.online, other[i].tenant, other[i].uid,
		                             other[i].version, other[i].key, &view, NULL), 0);
		cr_expect_eq(get(view, "ATL", &event, text), 0, "case %zu", i);
		online_view_free(view);
	}
	/* The same row under another version of the key is found, and does not verify. */
	cr_assert_eq(online_view_new(place.online, "acme", "01view", 2, key_a, &view, NULL), 0);
	cr_expect_eq(get(view, "ATL", &event, text), E_CORRUPT);
	online_view_free(view);
	place_release(&place);
}

Test(online, neither_entity_nor_value_is_readable_on_disk)
{
	struct place place;
	char command[200];
	place_init(&place);
	put(place.view, "ATLANTA-HARTSFIELD", 1, "DELAYED-BY-MUCH");
	snprintf(command, sizeof command, "grep -rqa -e ATLANTA-HARTSFIELD -e DELAYED-BY '%s'",
	         place.dir);
	cr_expect_neq(system(command), 0);
	snprintf(command, sizeof command, "test -s '%s/acme/data.mdb'", place.dir);
	cr_expect_eq(system(command), 0);
	place_release(&place);
}

Test(online, values_and_keys_over_the_bound_and_small_room_are_refused)
{
	struct place place;
	struct online_batch *batch = NULL;
	struct err err = { 0 };
	static char large[ONLINE_VALUES_MAX + 1];
	static uint8_t room[ONLINE_ROOM];
	int64_t changed, bytes, event;
	size_t len;
	place_init(&place);
	cr_assert_eq(online_batch_new(place.view, &batch, NULL), 0);
	cr_expect_eq(online_put(batch, "a", 1, 1, large, sizeof large, &err), E_TOO_LARGE);
	cr_expect_eq(online_put(batch, large, ONLINE_KEY_MAX + 1, 1, "x", 1, &err), E_TOO_LARGE);
	cr_expect_eq(online_put(batch, "a", 1, 1, large, ONLINE_VALUES_MAX, &err), 0, "%s",
	             err.text);
	cr_assert_eq(online_commit(batch, &changed, &bytes, NULL), 0);
	online_batch_free(batch);
	cr_expect_eq(online_get(place.view, "a", 1, &event, room, 100, &len, &err), E_TOO_LARGE);
	cr_expect_eq(online_get(place.view, "a", 1, &event, room, sizeof room, &len, &err), 1);
	cr_expect_eq(len, ONLINE_VALUES_MAX);
	place_release(&place);
}

Test(online, a_full_map_says_how_to_go_on)
{
	struct place place;
	struct online *small = NULL;
	struct online_view *view = NULL;
	struct online_batch *batch = NULL;
	struct err err = { 0 };
	static char large[60000];
	char dir[64];
	place_init(&place);
	snprintf(dir, sizeof dir, "%s/small", place.dir);
	cr_assert_eq(online_new(dir, 256 * 1024, &small, NULL), 0);
	cr_assert_eq(online_view_new(small, "acme", "01view", 1, key_a, &view, NULL), 0);
	cr_assert_eq(online_batch_new(view, &batch, NULL), 0);
	int rc = 0;
	for (char i = 0; i < 10 && rc == 0; i++)
		rc = online_put(batch, &i, 1, 1, large, sizeof large, &err);
	cr_expect_eq(rc, E_NO_SPACE);
	cr_expect_not_null(strstr(err.text, "onlineBytes"), "%s", err.text);
	online_batch_free(batch);
	online_view_free(view);
	online_free(small);
	place_release(&place);
}

static void *read_often(void *arg)
{
	struct online_view *view = arg;
	intptr_t wrong = 0;
	for (int i = 0; i < 2000; i++) {
		char text[256];
		int64_t event = 0;
		int rc = get(view, "ATL", &event, text);
		wrong += rc != 1 || strtoll(text, NULL, 10) != event;
	}
	return (void *)wrong;
}

Test(online, readers_in_many_threads_see_whole_values_while_one_writes)
{
	struct place place;
	pthread_t threads[4];
	char text[32];
	place_init(&place);
	put(place.view, "ATL", 0, "0");
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, read_often, place.view);
	for (int64_t i = 1; i < 20; i++) {
		snprintf(text, sizeof text, "%lld", (long long)i);
		put(place.view, "ATL", i, text);
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		cr_expect_null(wrong);
	}
	place_release(&place);
}

Test(online, values_of_another_layout_are_not_there_until_written_anew)
{
	struct place place;
	char text[256];
	int64_t event, one, two;
	place_init(&place);
	one = online_layout(online_layout(0, "delay", "float64"), "flights", "int64");
	two = online_layout(online_layout(0, "flights", "int64"), "delay", "float64");
	cr_expect_neq(one, two);
	cr_expect_neq(one, online_layout(0, "delay", "float64"));
	online_view_set_layout(place.view, one);
	cr_expect_eq(put(place.view, "ATL", 1000, "as one"), 1);
	expect(place.view, "ATL", 1000, "as one");
	online_view_set_layout(place.view, two);
	cr_expect_eq(get(place.view, "ATL", &event, text), 0);
	cr_expect_eq(put(place.view, "ATL", 999, "older"), 0);
	cr_expect_eq(put(place.view, "ATL", 1000, "as two"), 1);
	expect(place.view, "ATL", 1000, "as two");
	place_release(&place);
}

Test(online, erases_all_of_a_tenant_once_nobody_has_it_open_and_as_often_as_it_is_asked)
{
	struct place place;
	struct err err = { 0 };
	char path[80];
	int64_t rows = -1;
	place_init(&place);
	put(place.view, "ATL", 1, "v");
	put(place.view, "ORD", 1, "v");
	snprintf(path, sizeof path, "%s/acme", place.dir);
	cr_assert_eq(online_erase(place.online, "acme", &rows, &err), E_BUSY);
	online_view_free(place.view);
	place.view = NULL;
	cr_assert_eq(online_erase(place.online, "acme", &rows, &err), 0, "%s", err.text);
	cr_assert_eq(rows, 2);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_eq(online_erase(place.online, "acme", &rows, &err), 0, "%s", err.text);
	cr_assert_eq(rows, 0);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_eq(online_erase(place.online, "../acme", &rows, &err), E_INVALID);
	online_free(place.online);
	place.online = NULL;
	place_open(&place);
	put(place.view, "ATL", 1, "w");
	place_release(&place);
}
