/* test_keys.c - new keys for data that is there, and the end of keys, with a whole worker: headers
 * are rewritten while tasks and readers go on, a kill loses nothing, and what is destroyed is
 * refused at once everywhere. */
#include "common/defs.h"
#include "tests/support/yard.h"

#include "common/seal.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACME "/v1/tenants/acme"
#define SALES ACME "/domains/sales"
#define READ "{'features':['delays:flights'],'entities':{'airport':['ATL']}}"

struct cast {
	struct yard *yard;
	struct plane *plane;
	struct company acme;
	const char *reader;
};

static void put(struct cast *cast, const char *kind, const char *path, const char *spec)
{
	plane_put(cast->plane, cast->acme.key, kind, path, spec);
}

static void raise_curtain(struct cast *cast)
{
	cast->yard = yard_open();
	cast->plane = cast->yard->stage->plane;
	cast->acme = (struct company){"acme", "sales",
	                              plane_tenant(cast->plane, "acme", "sales")};
	cast->reader = plane_principal(cast->plane, "acme", "eve", "'consumer'", "sales");
	put(cast, "Dataset", SALES "/datasets/flights",
	    "{'schema':[{'name':'airport','type':'string'},"
	    "{'name':'seen','type':'timestamp','required':true},{'name':'flights','type':'int64'}]"
	    "}");
	put(cast, "Dataset", SALES "/datasets/copy", "{}");
	put(cast, "Source", SALES "/sources/flights",
	    "{'connector':'file','path':'flights.csv','dataset':'flights','format':'csv'}");
	put(cast, "Transformation", SALES "/transformations/copy",
	    "{'sql':'SELECT * FROM flights','inputs':['flights'],'output':'copy'}");
	put(cast, "Entity", SALES "/entities/airport", "{'joinKey':'airport'}");
	put(cast, "FeatureView", SALES "/featureviews/delays",
	    "{'entities':['airport'],'dataset':'flights','timestampField':'seen',"
	    "'features':[{'name':'flights','type':'int64'}]}");
	yard_file(cast->yard, "acme", "flights.csv",
	          "airport,seen,flights\nATL,2001-09-09 01:00:00,7\nORD,2001-09-09 01:01:00,8\n");
}

static const struct value *try_run(struct cast *cast, const char *type, const char *spec)
{
	return yard_await(cast->yard, &cast->acme,
	                  yard_submit(cast->yard, &cast->acme, type, spec), NULL);
}

static void run(struct cast *cast, const char *type, const char *spec)
{
	const struct value *task = try_run(cast, type, spec);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s: %s", type,
	                 value_get_str(value_get(task, "error"), "text"));
}

static struct answer call(struct cast *cast, const char *method, const char *path)
{
	return plane_call(cast->plane, cast->acme.key, method, path, NULL);
}

/* --- what lies on the disk --- */

struct census { struct object_store *objects; int versions[8]; };

static int count_one(void *context, const struct object_info *info, struct err *err)
{
	struct census *census = context;
	uint8_t head[SEAL_HEADER_MAX];
	size_t len = 0, body = 0;
	uint64_t total = 0;
	uint32_t version = 0;
	int fd = -1;
	TRY(object_open(census->objects, info->path, &fd, &total, err));
	int rc = object_head(census->objects, info->path, fd, head, sizeof head, &len, err);
	close(fd);
	TRY(rc);
	TRY(seal_peek(head, len, &version, &body, err));
	census->versions[version < 8 ? version : 0]++;
	return 0;
}

static struct census take_census(struct cast *cast)
{
	struct census census = {.objects = cast->yard->runner.objects};
	struct err err = {0};
	cr_assert_eq(object_list(census.objects, "acme/sales/", count_one, &census, &err), 0, "%s",
	             err.text);
	return census;
}

static bool is_done(void *context)
{
	struct cast *cast = context;
	return !catalog_has(cast->plane->control->catalog, "r/rotation/acme");
}

static bool is_retired(void *context)
{
	struct cast *cast = context;
	struct answer status = call(cast, "GET", ACME "/keys");
	return status.status == 200 && value_get_int(status.body, "rotating", 1) == 0;
}

Test(keys, a_new_key_reaches_every_header_while_tasks_go_on_and_the_old_one_goes)
{
	struct cast cast;
	raise_curtain(&cast);
	for (int i = 0; i < 3; i++)
		run(&cast, "ingest", "{'source':'flights'}");
	run(&cast, "transform", "{'transformation':'copy'}");
	cr_expect_eq(take_census(&cast).versions[1], 4);
	cr_assert_eq(call(&cast, "POST", SALES "/datasets/flights/keys/rotate").status, 202);
	run(&cast, "ingest", "{'source':'flights'}");     /* comes under the new key */
	run(&cast, "transform", "{'transformation':'copy'}"); /* reads both */
	cr_assert(stage_await(cast.yard->stage, is_done, &cast, 120000));
	struct census census = take_census(&cast);
	cr_expect_eq(census.versions[2], 4, "all of flights");
	cr_expect_eq(census.versions[1], 2, "and nothing else");
	struct value *dataset = NULL;
	cr_assert_eq(catalog_get(cast.plane->control->catalog, cast.plane->arena,
	                         "r/dataset/acme/sales/flights", &dataset, NULL, NULL), 0);
	cr_expect_null(value_get(value_get(dataset, "key"), "old"), "the old box is deleted");
	run(&cast, "transform", "{'transformation':'copy'}");
	yard_close(cast.yard);
}

Test(keys, a_worker_that_is_killed_goes_on_where_it_was)
{
	struct cast cast;
	raise_curtain(&cast);
	for (int i = 0; i < 4; i++)
		run(&cast, "ingest", "{'source':'flights'}");
	cr_assert_eq(call(&cast, "POST", SALES "/datasets/flights/keys/rotate").status, 202);
	yard_kill(cast.yard);
	cr_assert(stage_await(cast.yard->stage, is_done, &cast, 240000));
	cr_expect_eq(take_census(&cast).versions[2], 4);
	run(&cast, "transform", "{'transformation':'copy'}");
	yard_close(cast.yard);
}

Test(keys, a_view_is_read_under_its_old_key_until_it_is_materialized_under_the_new_one)
{
	struct cast cast;
	raise_curtain(&cast);
	run(&cast, "ingest", "{'source':'flights'}");
	run(&cast, "materialize", "{'featureView':'delays'}");
	cr_expect_not_null(strstr(yard_read(cast.yard, cast.reader, READ).text, "7"));
	cr_assert_eq(call(&cast, "POST", SALES "/featureviews/delays/keys/rotate").status, 202);
	struct answer read = yard_read(cast.yard, cast.reader, READ);
	cr_expect_not_null(strstr(read.text, "7"), "%s", read.text);
	cr_expect_not(is_retired(&cast));
	run(&cast, "materialize", "{'featureView':'delays'}");
	cr_assert(stage_await(cast.yard->stage, is_retired, &cast, 120000));
	read = yard_read(cast.yard, cast.reader, READ);
	cr_expect_not_null(strstr(read.text, "7"), "%s", read.text);
	yard_close(cast.yard);
}

/* --- destruction --- */

static bool is_refused(void *context)
{
	struct cast *cast = context;
	return yard_read(cast->yard, cast->reader, READ).status == 410;
}

Test(keys, what_is_destroyed_is_refused_to_tasks_and_to_readers_with_a_warm_grant)
{
	struct cast cast;
	raise_curtain(&cast);
	run(&cast, "ingest", "{'source':'flights'}");
	run(&cast, "materialize", "{'featureView':'delays'}");
	cr_expect_eq(yard_read(cast.yard, cast.reader, READ).status, 200, "warm");
	struct answer gone =
		call(&cast, "DELETE", SALES "/datasets/flights/keys?confirm=flights");
	cr_assert_eq(gone.status, 200, "%s", gone.text);
	cr_assert(stage_await(cast.yard->stage, is_refused, &cast, 20000),
	          "long before the grant of a minute ends");
	struct answer read = yard_read(cast.yard, cast.reader, READ);
	cr_expect_str_eq(read.code, "DESTROYED", "%s", read.text);
	const struct value *task = try_run(&cast, "transform", "{'transformation':'copy'}");
	cr_expect_str_eq(value_get_str(task, "state"), "failed");
	cr_expect_str_eq(value_get_str(value_get(task, "error"), "code"), "DESTROYED");
	cr_expect_not_null(strstr(value_get_str(value_get(task, "error"), "text"),
	                          "the dataset sales.flights"));
	task = try_run(&cast, "ingest", "{'source':'flights'}");
	cr_expect_str_eq(value_get_str(value_get(task, "error"), "code"), "DESTROYED");
	yard_close(cast.yard);
}
