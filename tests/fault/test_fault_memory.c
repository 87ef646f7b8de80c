/* test_fault_memory.c - every allocation in our own objects fails once: in each kind of request,
 * anywhere in control during a journey, in a worker that runs a task, at the serving door, in
 * grants and polls. Nothing acknowledged is lost, nothing is done twice, nothing crashes; the
 * sanitizer build sees that nothing leaks. Where a journey makes too many allocations for every
 * one, the stride is said. */
#include "common/defs.h"
#include "tests/support/alloc.h"
#include "tests/support/play.h"
#include "tests/support/yard.h"

#include "api/envelope.h"
#include "common/store_mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	ALLOCATIONS_MOST = 100000,
	JOURNEY_STRIDE = 5,
	TASK_STRIDE = 41,
	RELIST_MS = 61000,
	LEAD_MS = 1000,
	REAL_US = 300
};

/* --- requests --- */

/* One kind of request. path and body may hold %ld, the number of the run. */
struct kind_of_request {
	const char *name, *method, *path, *body;
	bool once;                           /* answered 404 or 409 when it is repeated */
	const char *first_path, *first_body; /* to be PUT before; NULL: nothing */
};

#define SALES "/v1/tenants/acme/domains/sales"
#define MANIFEST(kind, name, spec)                                                                 \
	"{'apiVersion':'freehold.io/v1','kind':'" kind "','metadata':{'name':'" name               \
	"'},'spec':" spec "}"

#define GET(what, at)                                                                              \
	{                                                                                          \
		.name = what, .method = "GET", .path = at                                          \
	}
#define PUT(what, at, text)                                                                        \
	{                                                                                          \
		.name = what, .method = "PUT", .path = at, .body = text                            \
	}

static const struct kind_of_request requests[] = {
	GET("whoami", "/v1/whoami"),
	GET("health", "/healthz"),
	GET("readiness", "/readyz"),
	GET("metrics", "/metrics"),
	GET("the document", "/openapi.json"),
	PUT("a dataset made", SALES "/datasets/d%ld",
            MANIFEST("Dataset", "d%ld", "{'schema':[{'name':'n','type':'int64'}]}")),
	PUT("a dataset changed", SALES "/datasets/raw",
            MANIFEST("Dataset", "raw", "{'description':'run %ld'}")),
	PUT("a dry run", SALES "/datasets/never?dryRun=true", MANIFEST("Dataset", "never", "{}")),
	PUT("a view made", SALES "/featureviews/v%ld",
            MANIFEST("FeatureView", "v%ld",
                     "{'entities':['thing'],'dataset':'sums','timestampField':'at','features':[{'"
                     "name':'n',"
                     "'type':'int64'}]}")),
	GET("a view read", SALES "/featureviews/view"),
	GET("datasets listed", SALES "/datasets?limit=2"),
	GET("snapshots", SALES "/datasets/raw/snapshots"),
	PUT("a principal made", "/v1/tenants/acme/principals/p%ld",
            MANIFEST("Principal", "p%ld", "{'roles':['consumer']}")),
	{.name = "a key made",
         .method = "POST",
         .path = "/v1/tenants/acme/principals/k%ld/keys",
         .first_path = "/v1/tenants/acme/principals/k%ld",
         .first_body = MANIFEST("Principal", "k%ld", "{'roles':['consumer']}")},
	GET("keys listed", "/v1/tenants/acme/principals/admin/keys"),
	{.name = "a task submitted",
         .method = "POST",
         .path = SALES "/tasks",
         .body = "{'type':'probe','spec':{'sleepMs':%ld}}"},
	GET("tasks listed", SALES "/tasks?limit=5"),
	GET("usage", "/v1/tenants/acme/usage"),
	GET("audit", "/v1/tenants/acme/audit?limit=20"),
	{.name = "what is not there",
         .method = "GET",
         .path = SALES "/datasets/none",
         .once = true},
	{.name = "what is another's",
         .method = "GET",
         .once = true,
         .path = "/v1/tenants/globex/domains/trips/datasets/raw"},
	{.name = "a malformed body",
         .method = "PUT",
         .path = SALES "/datasets/bad",
         .body = "{'apiVersion':",
         .once = true},
	{.name = "a dataset deleted",
         .method = "DELETE",
         .path = SALES "/datasets/x%ld",
         .once = true,
         .first_path = SALES "/datasets/x%ld",
         .first_body = MANIFEST("Dataset", "x%ld", "{}")},
};

static struct answer ask(struct scene *scene, const struct kind_of_request *kind, long run,
                         bool insist)
{
	struct arena *arena = scene->stage->plane->arena;
	char key[32];
	alloc_spare(); /* what is asked is the test's own */
	const char *path = arena_printf(arena, kind->path, run);
	char *body = kind->body ? arena_printf(arena, kind->body, run, run) : NULL;
	const char *credential = scene->companies[0].key;
	snprintf(key, sizeof key, "key-%ld", run);
	for (char *at = body; at && *at; at++)
		if (*at == '\'')
			*at = '"';
	alloc_unspare();
	if (insist)
		return scene_insist(scene, credential, kind->method, path, body, key);
	const struct header headers[] = {{"Idempotency-Key", key}, {NULL, NULL}};
	const struct asked asked = {
		.method = kind->method,
		.path = path,
		.key = credential,
		.body = body,
		.headers = headers,
	};
	return plane_ask(scene->stage->plane, &asked);
}

static bool is_fine(const struct kind_of_request *kind, const struct answer *answer)
{
	bool refused = answer->status == 404 || answer->status == 400 || answer->status == 409;
	return answer->status < 300 || (kind->once && refused);
}

/* A leader whose memory is not whole replays; a catalog that lost an entry lists again. */
static void recover(struct scene *scene)
{
	clock_advance(scene->stage->clock, LEAD_MS);
	usleep(REAL_US);
}

static void prepare(struct scene *scene, const struct kind_of_request *kind, long run)
{
	const struct kind_of_request first = {
		.name = kind->name,
		.method = "PUT",
		.path = kind->first_path,
		.body = kind->first_body,
	};
	struct answer answer = ask(scene, &first, run, true);
	cr_assert(is_fine(&first, &answer), "%d %s", answer.status, answer.text);
}

static void fail_each_of(struct scene *scene, const struct kind_of_request *kind, long *run)
{
	bool fired = true;
	for (long n = 0; fired; n++, ++*run) {
		cr_assert_lt(n, (long)ALLOCATIONS_MOST);
		if (kind->first_path)
			prepare(scene, kind, *run);
		alloc_fail_after(n);
		struct answer answer = ask(scene, kind, *run, false);
		fired = alloc_fired();
		alloc_fail_after(-1);
		bool wanting = answer.status == 503 || answer.status == 401;
		cr_assert(wanting || is_fine(kind, &answer), "%s, allocation %ld fails: %d %s",
		          kind->name, n, answer.status, answer.text);
		recover(scene);
		if (answer.status == 401 || answer.status == 404)
			clock_advance(scene->stage->clock, RELIST_MS);
		answer = ask(scene, kind, *run, true);
		cr_assert(is_fine(kind, &answer), "%s, after allocation %ld had failed: %d %s",
		          kind->name, n, answer.status, answer.text);
	}
}

Test(fault_memory, each_kind_of_request_is_refused_whole_and_can_be_repeated)
{
	struct scene scene;
	long run = 1;
	scene_open(&scene);
	scene_furnish(&scene);
	scene.forgetful = true;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		fail_each_of(&scene, &requests[i], &run);
	scene_puppet(&scene, 0);
	const char *broken = scene_end(&scene);
	cr_assert_null(broken, "%s", broken);
	scene_close(&scene);
}

/* --- a journey: control's own threads --- */

static bool fail_in_a_journey(long n)
{
	struct scene scene;
	alloc_spare();
	scene_open(&scene);
	scene.forgetful = true;
	alloc_fail_after(n);
	const char *broken = play(&scene);
	bool fired = alloc_fired();
	alloc_fail_after(-1);
	cr_assert_null(broken, "allocation %ld fails: %s", n, broken);
	scene_close(&scene);
	alloc_unspare();
	return fired;
}

static void fail_journeys(long first)
{
	long n = first;
	while (fail_in_a_journey(n))
		cr_assert_lt(n += 2 * JOURNEY_STRIDE, (long)ALLOCATIONS_MOST);
	cr_assert_gt(n, 1000L, "the journey makes hardly an allocation");
}

Test(fault_memory, a_journey_adds_up_when_one_allocation_of_ten_fails)
{
	fail_journeys(0);
}

Test(fault_memory, a_journey_adds_up_when_another_allocation_of_ten_fails)
{
	fail_journeys(JOURNEY_STRIDE);
}

/* --- a worker: its agent, its slots, the executor's start, its serving door --- */

static void load(struct yard *yard, struct company *company)
{
	struct plane *plane = yard->stage->plane;
	*company = (struct company){"acme", "sales", plane_tenant(plane, "acme", "sales")};
	static const char *const things[][3] = {
		{"Dataset", SALES "/datasets/raw", "{}"},
		{"Source", SALES "/sources/raw",
	         "{'connector':'file','path':'a.csv','dataset':'raw',"
	         "'format':'csv','mode':'replace'}"},
		{"Entity", SALES "/entities/thing", "{'joinKey':'n','valueType':'int64'}"},
		{"FeatureView", SALES "/featureviews/view",
	         "{'entities':['thing'],'dataset':'raw',"
	         "'timestampField':'seen','features':[{'name':'size','type':'int64'}]}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(things); i++)
		plane_put(plane, company->key, things[i][0], things[i][1], things[i][2]);
	yard_file(yard, "acme", "a.csv",
	          "n,seen,size\n1,2001-09-09 01:00:00,10\n"
	          "2,2001-09-09 01:00:00,20\n");
}

static void run(struct yard *yard, const struct company *company, const char *type,
                const char *spec, long n)
{
	const char *id = yard_submit(yard, company, type, spec);
	const struct value *task = yard_await(yard, company, id, NULL);
	cr_assert_str_eq(value_get_str(task, "state"), "succeeded", "%s, allocation %ld: %s", type,
	                 n, value_get_str(value_get(task, "error"), "text"));
}

static int64_t usage_of(struct yard *yard, const struct company *company, const char *member)
{
	struct answer answer =
		plane_call(yard->stage->plane, company->key, "GET", "/v1/tenants/acme/usage", NULL);
	return value_get_int(value_get(answer.body, "total"), member, -1);
}

Test(fault_memory,
     a_worker_loads_and_puts_online_once_whichever_of_every_forty_first_allocation_fails)
{
	alloc_spare();
	struct yard *yard = yard_open();
	struct company companies[2] = {{NULL, NULL, NULL}};
	int64_t tasks = 0;
	bool fired = true;
	load(yard, &companies[0]);
	for (long n = 0; fired; n += TASK_STRIDE) {
		alloc_fail_after(n);
		run(yard, &companies[0], "ingest", "{'source':'raw'}", n);
		run(yard, &companies[0], "materialize", "{'featureView':'view'}", n);
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert_eq(usage_of(yard, &companies[0], "tasks"), tasks += 2, "allocation %ld",
		             n);
	}
	const char *broken =
		ledger_check(yard->stage, yard->stage->plane->arena, NULL, 0, companies);
	cr_assert_null(broken, "%s", broken);
	yard_close(yard);
	alloc_unspare();
}

#define READ "{'features':['view:size'],'entities':{'n':[1,3]}}"

Test(fault_memory, an_online_read_is_answered_or_refused_whichever_allocation_fails)
{
	alloc_spare();
	struct yard *yard = yard_open();
	struct company company;
	bool fired = true;
	load(yard, &company);
	run(yard, &company, "ingest", "{'source':'raw'}", -1);
	run(yard, &company, "materialize", "{'featureView':'view'}", -1);
	for (long n = 0; fired; n++) {
		access_cache_drop(yard->cache, "acme"); /* so that control is asked, too */
		alloc_fail_after(n);
		struct answer answer = yard_read_once(yard, company.key, READ);
		fired = alloc_fired();
		alloc_fail_after(-1);
		bool wanting = answer.status == 503 || answer.status == 504 || answer.status == 0;
		cr_assert(wanting || answer.status == 200, "allocation %ld: %d %s", n,
		          answer.status, answer.text);
		answer = yard_read(yard, company.key, READ);
		cr_assert_eq(answer.status, 200, "allocation %ld: %s", n, answer.text);
		const struct value *sizes = value_at(value_get(answer.body, "results"), 1);
		cr_assert_eq(value_as_int(value_at(value_get(sizes, "values"), 0), 0), 10);
	}
	yard_close(yard);
	alloc_unspare();
}

/* --- what crosses the link --- */

static int cross_poll(struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO_BUF bytes;
	struct envelope envelope = {.version = 1, .kind = "poll", .worker = "w", .seq = 1}, read;
	uint8_t key[BOX_PUBLIC_BYTES] = {1};
	struct table_file file = {
		.path = "acme/sales/1-1/part-0", .rows = 1, .bytes = 2, .plain_bytes = 3};
	struct output output = {.uid = "u", .files = &file, .file_count = 1};
	struct report report = {
		.task = "t", .token = {1, 1}, .outputs = &output, .output_count = 1};
	struct running running = {.task = "r", .token = {1, 2}, .progress = {"x", 1, 1, 1}};
	struct poll poll =
			    {
				    .slots = 1,
				    .slots_max = 2,
				    .memory_bytes = MIB,
				    .box_public = key,
				    .version = "1",
				    .running = &running,
				    .running_count = 1,
				    .done = &report,
				    .done_count = 1,
			    },
		    back;
	struct value *body = NULL;
	buf_init(&bytes, MIB);
	TRY(arena_new(MIB, &arena, err));
	TRY(poll_value(arena, &poll, &body, err));
	envelope.body = body;
	TRY(envelope_write(&envelope, &bytes, err));
	TRY(envelope_read(arena, bytes.data, bytes.len, &read, err));
	TRY(poll_read(arena, read.body, &back, err));
	cr_assert_eq(back.done_count, 1);
	cr_assert_str_eq(back.done[0].outputs[0].files[0].path, file.path);
	return 0;
}

static int cross_grant(struct err *err)
{
	AUTO(arena) *arena = NULL;
	AUTO(grant_signer) *signer = NULL;
	AUTO(secret) *box = NULL;
	AUTO_BUF bytes;
	struct grant_opener opener = {.worker = "w"};
	uint8_t secret[SIGN_SECRET_BYTES];
	struct grant grant =
			     {
				     .task = "t",
				     .token = {1, 2},
				     .attempt = 1,
				     .worker = "w",
				     .tenant = "acme",
				     .domain = "sales",
				     .type = TASK_PROBE,
				     .expires_ms = INT64_MAX,
				     .output_prefix = "acme/sales/1-2",
			     },
		     *opened = NULL;
	buf_init(&bytes, MIB);
	limits_default(&grant.limits);
	TRY(arena_new(MIB, &arena, err));
	TRY(secret_new(BOX_SECRET_BYTES, &box, err));
	sign_keypair(opener.control_key, secret);
	box_keypair(opener.box_public, secret_data(box));
	opener.box_secret = box;
	grant.work = value_map(arena);
	TRY(value_check(grant.work, err));
	TRY(grant_signer_new(secret, &signer, err));
	TRY(grant_sign(signer, &grant, opener.box_public, &bytes, err));
	TRY(grant_open(&opener, 0, arena, bytes.data, bytes.len, &opened, err));
	cr_assert_str_eq(opened->task, "t");
	return 0;
}

static void fail_each_in(int (*cross)(struct err *err))
{
	bool fired = true;
	for (long n = 0; fired; n++) {
		struct err err = {0};
		alloc_fail_after(n);
		int rc = cross(&err);
		fired = alloc_fired();
		alloc_fail_after(-1);
		cr_assert(fired ? rc == E_NOMEM : rc == 0, "allocation %ld: %d %s", n, rc,
		          err.text);
	}
}

Test(fault_memory, a_grant_or_a_poll_that_memory_is_missing_for_is_no_grant_or_poll)
{
	struct err err = {0};
	cr_assert_eq(crypto_start(&err), 0);
	fail_each_in(cross_poll);
	fail_each_in(cross_grant);
}
