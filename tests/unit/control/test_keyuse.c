/* test_keyuse.c - API keys over their life: the last use, the key that follows another. */
#include "common/defs.h"
#include "control/keyuse.h"

#include "control/apikeys.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>

#define KEYS "/v1/tenants/acme/principals/carol/keys"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

struct life {
	struct clock *clock;
	struct plane *plane;
	const char *admin, *carol;
};

static void start(struct life *life)
{
	cr_assert_eq(clock_new_simulated(1700000000000, &life->clock, NULL), 0);
	life->plane = plane_start_at(life->clock);
	life->admin = plane_tenant(life->plane, "acme", "flights");
	life->carol = plane_principal(life->plane, "acme", "carol", "'consumer'", NULL);
}

static void stop(struct life *life)
{
	plane_stop(life->plane);
	clock_free(life->clock);
}

static const struct value *listed(struct life *life, const char *id)
{
	struct answer list = plane_call(life->plane, life->admin, "GET", KEYS, NULL);
	const struct value *items = value_get(list.body, "items");
	cr_assert_eq(list.status, 200, "%s", list.text);
	for (size_t i = 0; i < value_len(items); i++)
		if (strcmp(value_get_str(value_at(items, i), "id"), id) == 0)
			return value_at(items, i);
	return NULL;
}

static const char *id_of(struct life *life, const char *key)
{
	return arena_strndup(life->plane->arena, key + 3, ID_LEN);
}

static int status(struct life *life, const char *key)
{
	return plane_call(life->plane, key, "GET", "/v1/whoami", NULL).status;
}

static const char *path_of(struct life *life, const char *key, const char *verb)
{
	return arena_printf(life->plane->arena, KEYS "/%s%s", id_of(life, key), verb);
}

static struct answer rotate(struct life *life, const char *key, const char *body)
{
	return plane_call(life->plane, life->admin, "POST", path_of(life, key, "/rotate"), body);
}

Test(keyuse, a_key_is_refused_once_it_is_revoked_or_expired)
{
	struct life life;
	start(&life);
	struct answer made = plane_call(life.plane, life.admin, "POST", KEYS, "{'expiresIn':'1s'}");
	cr_assert_eq(made.status, 201, "%s", made.text);
	const char *key = value_get_str(made.body, "key");
	cr_expect_eq(status(&life, key), 200);
	struct answer list = plane_call(life.plane, life.admin, "GET", KEYS, NULL);
	cr_expect_eq(value_len(value_get(list.body, "items")), 2);
	cr_expect_null(strstr(list.text, key), "a list never shows a secret");
	clock_advance(life.clock, 1100);
	cr_expect_eq(status(&life, key), 401);
	const char *path = path_of(&life, key, "");
	cr_expect_eq(plane_call(life.plane, life.admin, "DELETE", path, NULL).status, 200);
	cr_expect_eq(plane_call(life.plane, life.admin, "DELETE", path, NULL).status, 404);
	struct answer other = plane_call(life.plane, life.admin, "POST", KEYS, NULL);
	key = value_get_str(other.body, "key");
	path = path_of(&life, key, "");
	cr_expect_eq(status(&life, key), 200);
	cr_expect_eq(plane_call(life.plane, life.admin, "DELETE", path, NULL).status, 200);
	cr_expect_eq(status(&life, key), 401);
	stop(&life);
}

Test(keyuse, the_last_use_is_listed_at_once_and_written_every_few_minutes)
{
	struct life life;
	start(&life);
	struct keyuse *keyuse = life.plane->control->keyuse;
	struct catalog *catalog = life.plane->control->catalog;
	const char *id = id_of(&life, life.carol);
	char at[STORE_KEY_MAX];
	cr_expect_null(value_get_str(listed(&life, id), "lastUsedAt"));
	cr_assert_eq(status(&life, life.carol), 200);
	const char *first = value_get_str(listed(&life, id), "lastUsedAt");
	cr_assert_not_null(first);
	keyuse_write(keyuse);
	struct store *store = life.plane->store;
	cr_assert_eq(catalog_refresh(catalog, store, NULL), 0);
	cr_expect(catalog_has(catalog, keyuse_key(at, id)), "the first use is written");
	struct value *before = NULL, *after = NULL;
	cr_assert_eq(catalog_get(catalog, life.plane->arena, at, &before, NULL, NULL), 0);
	clock_advance(life.clock, MINUTE);
	cr_assert_eq(status(&life, life.carol), 200);
	keyuse_write(keyuse);
	cr_assert_eq(catalog_refresh(catalog, store, NULL), 0);
	cr_assert_eq(catalog_get(catalog, life.plane->arena, at, &after, NULL, NULL), 0);
	cr_expect(value_equal(before, after), "a minute later it is not written again");
	clock_advance(life.clock, KEYUSE_WRITE_MS);
	cr_assert_eq(status(&life, life.carol), 200);
	keyuse_write(keyuse);
	cr_assert_eq(catalog_refresh(catalog, store, NULL), 0);
	cr_assert_eq(catalog_get(catalog, life.plane->arena, at, &after, NULL, NULL), 0);
	cr_expect_gt(value_get_int(after, "at", 0), value_get_int(before, "at", 0));
	stop(&life);
}

Test(keyuse, a_revoked_key_leaves_no_use_behind)
{
	struct life life;
	start(&life);
	struct catalog *catalog = life.plane->control->catalog;
	char at[STORE_KEY_MAX];
	keyuse_key(at, id_of(&life, life.carol));
	cr_assert_eq(status(&life, life.carol), 200);
	keyuse_write(life.plane->control->keyuse);
	cr_assert_eq(catalog_refresh(catalog, life.plane->store, NULL), 0);
	cr_assert(catalog_has(catalog, at));
	clock_advance(life.clock, KEYUSE_WRITE_MS);
	cr_assert_eq(status(&life, life.carol), 200);
	struct answer gone = plane_call(life.plane, life.admin, "DELETE",
	                                path_of(&life, life.carol, ""), NULL);
	cr_assert_eq(gone.status, 200, "%s", gone.text);
	keyuse_write(life.plane->control->keyuse);
	cr_assert_eq(catalog_refresh(catalog, life.plane->store, NULL), 0);
	cr_expect_not(catalog_has(catalog, at));
	cr_expect_eq(status(&life, life.carol), 401);
	stop(&life);
}

Test(keyuse, a_rotated_key_does_until_the_overlap_ends_and_the_new_one_goes_on)
{
	struct life life;
	start(&life);
	struct answer made = rotate(&life, life.carol, "{'overlap':'1h'}");
	cr_assert_eq(made.status, 201, "%s", made.text);
	const char *next = value_get_str(made.body, "key");
	cr_assert_not_null(next);
	cr_expect_not_null(value_get_str(made.body, "previousExpiresAt"));
	cr_expect_eq(status(&life, life.carol), 200);
	cr_expect_eq(status(&life, next), 200);
	cr_expect_str_eq(value_get_str(listed(&life, id_of(&life, life.carol)), "rotatedTo"),
	                 value_get_str(made.body, "id"));
	struct answer twice = rotate(&life, life.carol, "{'overlap':'1h'}");
	cr_expect_eq(twice.status, 409, "%s", twice.text);
	clock_advance(life.clock, HOUR - MINUTE);
	cr_expect_eq(status(&life, life.carol), 200);
	clock_advance(life.clock, 2 * MINUTE);
	cr_expect_eq(status(&life, life.carol), 401);
	cr_expect_eq(status(&life, next), 200);
	struct answer late = rotate(&life, life.carol, "{'overlap':'1h'}");
	cr_expect_eq(late.status, 409, "%s", late.text);
	stop(&life);
}

Test(keyuse, a_rotation_never_lengthens_the_old_keys_life)
{
	struct life life;
	start(&life);
	struct answer made = plane_call(life.plane, life.admin, "POST", KEYS,
	                                "{'expiresIn':'10m'}");
	cr_assert_eq(made.status, 201, "%s", made.text);
	const char *old = value_get_str(made.body, "key");
	struct answer next = rotate(&life, old, "{'overlap':'24h','expiresIn':'7d'}");
	cr_assert_eq(next.status, 201, "%s", next.text);
	cr_expect_str_eq(value_get_str(next.body, "previousExpiresAt"),
	                 value_get_str(made.body, "expiresAt"));
	clock_advance(life.clock, 11 * MINUTE);
	cr_expect_eq(status(&life, old), 401);
	cr_expect_eq(status(&life, value_get_str(next.body, "key")), 200);
	stop(&life);
}

Test(keyuse, a_rotation_says_what_it_needs)
{
	struct life life;
	start(&life);
	cr_expect_eq(rotate(&life, life.carol, "{}").status, 400);
	cr_expect_eq(rotate(&life, life.carol, "{'overlap':'91d'}").status, 400);
	cr_expect_eq(rotate(&life, life.admin, "{'overlap':'1h'}").status, 404,
	             "another principal's key");
	struct answer denied = plane_call(life.plane, life.carol, "POST",
	                                  path_of(&life, life.carol, "/rotate"),
	                                  "{'overlap':'1h'}");
	cr_expect_eq(denied.status, 403, "%s", denied.text);
	struct answer now = rotate(&life, life.carol, "{'overlap':'0s'}");
	cr_expect_eq(now.status, 201, "%s", now.text);
	cr_expect_eq(status(&life, life.carol), 401, "without overlap it ends at once");
	stop(&life);
}

Test(keyuse, expired_keys_give_their_places_back)
{
	struct life life;
	start(&life);
	for (int i = 1; i < APIKEYS_PER_PRINCIPAL; i++)
		cr_assert_eq(plane_call(life.plane, life.admin, "POST", KEYS,
		                        "{'expiresIn':'10m'}").status, 201);
	cr_expect_eq(plane_call(life.plane, life.admin, "POST", KEYS, NULL).status, 409);
	clock_advance(life.clock, 11 * MINUTE);
	cr_expect_eq(plane_call(life.plane, life.admin, "POST", KEYS, NULL).status, 201);
	struct answer list = plane_call(life.plane, life.admin, "GET", KEYS, NULL);
	cr_expect_eq(value_len(value_get(list.body, "items")), 2);
	stop(&life);
}
