/* test_rekey.c - new versions of keys on a whole control plane without workers: what is stored step
 * by step, and what is left when nothing refers to the old one. */
#include "common/defs.h"
#include "control/keys.h"
#include "control/rekey.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ACME "/v1/tenants/acme"
#define SALES ACME "/domains/sales"

static struct clock *noon;               /* stands: the plane's own thread would look, too */
static struct plane *plane;
static const char *admin;

static void start(void)
{
	cr_assert_eq(clock_new_simulated(1700000000000, &noon, NULL), 0);
	plane = plane_start_at(noon);
	admin = plane_tenant(plane, "acme", "sales");
	plane_put(plane, admin, "Dataset", SALES "/datasets/raw", "{}");
	plane_put(plane, admin, "Entity", SALES "/entities/airport", "{'joinKey':'code'}");
	plane_put(plane, admin, "FeatureView", SALES "/featureviews/delays",
	          "{'entities':['airport'],'dataset':'raw','timestampField':'at',"
	          "'features':[{'name':'p95','type':'float64'}]}");
}

static void stop(void)
{
	plane_stop(plane);
	clock_free(noon);
}

TestSuite(rekey, .init = start, .fini = stop);

static struct value *stored(const char *key)
{
	struct value *value = NULL;
	struct err err = { 0 };
	cr_assert_eq(catalog_get(plane->control->catalog, plane->arena, key, &value, NULL, &err),
	             0, "%s", err.text);
	return value;
}

static const struct value *own(const char *key)
{
	return value_get(stored(key), "key");
}

static int opens(const char *key, uint8_t out[KEY_BYTES], struct err *err)
{
	uint32_t version = 0;
	return keys_open_resource(plane->control, plane->arena, "acme", stored(key), out, &version,
	                          err);
}

/* Until there is nothing left to do; bounded. */
static bool looked_out(void)
{
	struct err err = { 0 };
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(rekey_look(plane->part, &err), 0, "%s", err.text);
		if (!catalog_has(plane->control->catalog, "r/rotation/acme"))
			return true;
	}
	return false;
}

static struct answer call(const char *method, const char *path)
{
	return plane_call(plane, admin, method, path, NULL);
}

Test(rekey, a_tenants_new_key_takes_over_every_key_under_it_and_the_old_one_goes)
{
	uint8_t before[KEY_BYTES], after[KEY_BYTES];
	struct err err = { 0 };
	cr_assert_eq(opens("r/dataset/acme/sales/raw", before, &err), 0);
	struct answer answer = call("POST", ACME "/keys/rotate");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	cr_expect_eq(value_get_int(answer.body, "version", 0), 2);
	cr_expect_eq(value_get_int(answer.body, "oldVersion", 0), 1);
	cr_assert(looked_out());
	const struct value *key = stored("r/key/acme");
	cr_expect_eq(value_get_int(key, "version", 0), 2);
	cr_expect_null(value_get(key, "old"), "its box is deleted");
	cr_expect_eq(value_get_int(own("r/dataset/acme/sales/raw"), "tenantVersion", 0), 2);
	cr_expect_eq(value_get_int(own("r/featureview/acme/sales/delays"), "tenantVersion", 0), 2);
	cr_assert_eq(opens("r/dataset/acme/sales/raw", after, &err), 0, "%s", err.text);
	cr_expect_eq(memcmp(before, after, KEY_BYTES), 0, "the dataset's own key is the same");
	plane_put(plane, admin, "Dataset", SALES "/datasets/later", "{}");
	cr_expect_eq(value_get_int(own("r/dataset/acme/sales/later"), "tenantVersion", 0), 2);
}

Test(rekey, a_sealed_tenant_gets_no_new_key)
{
	cr_assert_eq(plane_call(plane, admin, "POST", ACME "/seal", "{\"reason\":\"x\"}").status,
	             200);
	struct answer answer = call("POST", SALES "/datasets/raw/keys/rotate");
	cr_expect_eq(answer.status, 409, "%s", answer.text);
	cr_expect_eq(call("POST", ACME "/keys/rotate").status, 409);
	cr_expect_eq(value_get_int(own("r/dataset/acme/sales/raw"), "version", 0), 1);
	cr_expect_eq(value_get_int(stored("r/key/acme"), "version", 0), 1);
}

Test(rekey, another_new_key_waits_until_the_one_before_is_done)
{
	cr_assert_eq(call("POST", SALES "/datasets/raw/keys/rotate").status, 202);
	struct answer answer = call("POST", SALES "/datasets/raw/keys/rotate");
	cr_expect_eq(answer.status, 409, "%s", answer.text);
	cr_expect_eq(value_get_int(own("r/dataset/acme/sales/raw"), "version", 0), 2);
	cr_expect_eq(value_get_int(value_get(own("r/dataset/acme/sales/raw"), "old"), "version", 0),
	             1);
}

Test(rekey, a_datasets_new_key_is_followed_by_one_task_and_both_keys_stay_until_it_succeeds)
{
	struct err err = { 0 };
	uint8_t key[KEY_BYTES], old[KEY_BYTES];
	struct key_pair pair = { .key = key, .old_key = old };
	cr_assert_eq(call("POST", SALES "/datasets/raw/keys/rotate").status, 202);
	cr_expect_not(looked_out(), "no worker rewrites headers here");
	const char *id = rekey_task(plane->control, plane->arena, "acme");
	cr_assert_not_null(id);
	const struct value *task = shard_task(plane->part->shard, plane->arena, "acme", NULL, id);
	cr_expect_str_eq(value_get_str(task, "type"), "rekey");
	cr_expect_str_eq(value_get_str(value_get(task, "spec"), "datasets"), "sales.raw@2");
	cr_assert_eq(keys_open_pair(plane->control, plane->arena, "acme",
	                            stored("r/dataset/acme/sales/raw"), &pair, &err), 0);
	cr_expect_eq(pair.version, 2);
	cr_expect_eq(pair.old_version, 1);
	cr_expect_neq(memcmp(key, old, KEY_BYTES), 0);
	struct answer status = call("GET", ACME "/keys");
	cr_assert_eq(status.status, 200, "%s", status.text);
	cr_expect_eq(value_get_int(status.body, "rotating", 0), 1);
	cr_expect_str_eq(value_get_str(value_get(status.body, "task"), "id"), id);
	cr_expect_null(strstr(status.text, "box\""));
}

Test(rekey, a_tenants_and_a_datasets_new_key_do_not_get_in_each_others_way)
{
	uint8_t key[KEY_BYTES], old[KEY_BYTES];
	struct key_pair pair = { .key = key, .old_key = old };
	struct err err = { 0 };
	cr_assert_eq(call("POST", SALES "/datasets/raw/keys/rotate").status, 202);
	cr_assert_eq(call("POST", ACME "/keys/rotate").status, 202);
	cr_expect_not(looked_out());
	cr_expect_null(value_get(stored("r/key/acme"), "old"));
	cr_assert_eq(keys_open_pair(plane->control, plane->arena, "acme",
	                            stored("r/dataset/acme/sales/raw"), &pair, &err), 0, "%s",
	             err.text);
	cr_expect_eq(pair.old_version, 1);
}

Test(rekey, all_of_a_tenant_get_new_keys_on_demand_once)
{
	cr_assert_eq(call("POST", ACME "/keys/rotate?datasets=true").status, 202);
	cr_expect_not(looked_out());
	cr_expect_eq(value_get_int(own("r/dataset/acme/sales/raw"), "version", 0), 2);
	cr_expect_eq(value_get_int(own("r/featureview/acme/sales/delays"), "version", 0), 2);
	cr_expect_eq(call("POST", ACME "/keys/rotate?datasets=maybe").status, 400);
}

Test(rekey, a_dry_run_changes_nothing)
{
	cr_expect_eq(call("POST", ACME "/keys/rotate?dryRun=true").status, 202);
	cr_expect_eq(call("POST", SALES "/datasets/raw/keys/rotate?dryRun=true").status, 202);
	struct answer answer = call("DELETE", SALES "/datasets/raw/keys?dryRun=true&confirm=raw");
	cr_expect_eq(answer.status, 200);
	cr_expect_eq(value_len(value_get(answer.body, "keys")), 2);
	cr_expect_not(catalog_has(plane->control->catalog, "r/rotation/acme"));
	cr_expect_eq(value_get_int(own("r/dataset/acme/sales/raw"), "version", 0), 1);
	cr_expect_not_null(value_get(own("r/dataset/acme/sales/raw"), "box"));
}

Test(rekey, a_destroyed_key_opens_nothing_and_stays_destroyed)
{
	struct err err = { 0 };
	uint8_t key[KEY_BYTES];
	cr_expect_eq(call("DELETE", SALES "/datasets/raw/keys").status, 400, "asks for the name");
	cr_expect_eq(call("DELETE", SALES "/datasets/raw/keys?confirm=row").status, 400);
	struct answer answer = call("DELETE", SALES "/datasets/raw/keys?confirm=raw");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_expect_eq(value_len(value_get(answer.body, "keys")), 2, "the view's too: %s",
	             answer.text);
	cr_expect_null(value_get(own("r/dataset/acme/sales/raw"), "box"));
	cr_expect_null(value_get(own("r/featureview/acme/sales/delays"), "box"));
	cr_expect_eq(opens("r/dataset/acme/sales/raw", key, &err), E_DESTROYED);
	cr_expect_not_null(strstr(err.text, "the dataset sales.raw"), "%s", err.text);
	cr_expect_eq(opens("r/featureview/acme/sales/delays", key, &err), E_DESTROYED);
	cr_expect_eq(call("POST", SALES "/datasets/raw/keys/rotate").status, 410);
	plane_put(plane, admin, "Dataset", SALES "/datasets/raw", "{'description':'again'}");
	cr_expect_eq(opens("r/dataset/acme/sales/raw", key, &err), E_DESTROYED,
	             "a PUT brings nothing back");
	struct answer status = call("GET", ACME "/keys");
	cr_expect_eq(value_get_int(status.body, "destroyed", 0), 2);
}

Test(rekey, a_destroyed_tenants_key_opens_nothing_and_is_named_by_its_fingerprints)
{
	AUTO(change) *change = NULL;
	struct value *prints = NULL;
	uint8_t key[KEY_BYTES];
	struct err err = { 0 };
	cr_assert_eq(opens("r/dataset/acme/sales/raw", key, &err), 0, "warm in the cache");
	cr_assert_eq(change_new(&change, &err), 0);
	cr_assert_eq(keys_destroy_tenant(plane->control, plane->arena, change, "acme", &prints,
	                                 &err), 0, "%s", err.text);
	cr_assert_eq(journal_commit(plane->part->journal, change, &err), 0);
	keys_forget(plane->control, "acme");
	cr_expect_eq(value_len(prints), 3);
	cr_expect_eq(strlen(value_get_str(value_at(prints, 0), "fingerprint")), 64);
	cr_expect_eq(opens("r/dataset/acme/sales/raw", key, &err), E_DESTROYED);
	cr_expect_not_null(strstr(err.text, "the tenant acme"), "%s", err.text);
	cr_expect_eq(call("POST", ACME "/keys/rotate").status, 410);
}

Test(rekey, names_in_a_spec_are_read_one_by_one)
{
	const char *at = "sales.raw@2 ops.x@17  ";
	struct rekey_name name;
	cr_assert(rekey_next(&at, &name));
	cr_expect_str_eq(name.text, "sales.raw");
	cr_expect_eq(name.version, 2);
	cr_assert(rekey_next(&at, &name));
	cr_expect_eq(name.version, 17);
	cr_expect_not(rekey_next(&at, &name));
	at = "noversion";
	cr_expect_not(rekey_next(&at, &name));
	at = NULL;
	cr_expect_not(rekey_next(&at, &name));
}
