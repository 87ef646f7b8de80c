/* test_lending.c - attempts that are under way when what they read ends: the key of a dataset is
 * destroyed, or the tenant that shares it is sealed. Puppets hold them open for as long as the test
 * wants. */
#include "common/defs.h"
#include "tests/support/stage.h"

#include <criterion/criterion.h>
#include <string.h>

enum { MINUTE_MS = 60000, SLOTS = 4 };

#define SALES(rest) "/v1/tenants/acme/domains/sales/" rest
#define TRIPS(rest) "/v1/tenants/globex/domains/trips/" rest

/* acme has raw, and lends it to globex, whose transformation busy reads it. */
struct cast {
	struct stage *stage;
	struct plane *plane;
	struct puppet *puppet;
	struct company acme, globex;
};

/* --- what is under way --- */

struct wanted {
	struct cast *cast;
	const struct company *company;
	const char *id, *state;
	struct answer last;
};

static bool is_in_state(void *context)
{
	struct wanted *wanted = context;
	const struct company *of = wanted->company;
	const char *path = arena_printf(wanted->cast->plane->arena,
	                                "/v1/tenants/%s/domains/%s/tasks/%s", of->tenant,
	                                of->domain, wanted->id);
	wanted->last = plane_call(wanted->cast->plane, of->key, "GET", path, NULL);
	const char *state = value_get_str(wanted->last.body, "state");
	return state && strcmp(state, wanted->state) == 0;
}

static const struct value *await(struct cast *cast, const struct company *company, const char *id,
                                 const char *state)
{
	struct wanted wanted = {cast, company, id, state, {0}};
	cr_assert(stage_await(cast->stage, is_in_state, &wanted, MINUTE_MS), "not %s: %s", state,
	          wanted.last.text);
	return wanted.last.body;
}

static const char *submit(struct cast *cast, const struct company *company, const char *type,
                          const char *spec)
{
	struct arena *arena = cast->plane->arena;
	const char *path = arena_printf(arena, "/v1/tenants/%s/domains/%s/tasks", company->tenant,
	                                company->domain);
	struct answer answer =
		plane_call(cast->plane, company->key, "POST", path,
	                   arena_printf(arena, "{'type':'%s','spec':%s}", type, spec));
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	return value_get_str(answer.body, "id");
}

static bool has_begun(void *context)
{
	struct wanted *wanted = context;
	bool found = false;
	pthread_mutex_lock(&wanted->cast->stage->mutex);
	for (const struct act *act = wanted->cast->stage->acts; act; act = act->next)
		found |= strcmp(act->task, wanted->id) == 0;
	pthread_mutex_unlock(&wanted->cast->stage->mutex);
	return found;
}

/* It is with the puppet when this returns. */
static const char *begin(struct cast *cast, const struct company *company, const char *type,
                         const char *spec)
{
	struct wanted wanted = {cast, company, submit(cast, company, type, spec), "running", {0}};
	cr_assert(stage_await(cast->stage, has_begun, &wanted, MINUTE_MS), "%s", type);
	return wanted.id;
}

static struct act act_of(struct cast *cast, const char *id)
{
	struct act found = {0};
	pthread_mutex_lock(&cast->stage->mutex);
	for (const struct act *act = cast->stage->acts; act; act = act->next)
		if (strcmp(act->task, id) == 0)
			found = *act;
	pthread_mutex_unlock(&cast->stage->mutex);
	return found;
}

static bool is_told_to_end(void *context)
{
	struct wanted *wanted = context;
	return act_of(wanted->cast, wanted->id).cancelled;
}

static bool is_asked_back(void *context)
{
	struct wanted *wanted = context;
	return act_of(wanted->cast, wanted->id).back;
}

/* --- the cast --- */

static void furnish(struct cast *cast)
{
	const char *acme = cast->acme.key, *globex = cast->globex.key;
	plane_put(cast->plane, acme, "Dataset", SALES("datasets/raw"), "{}");
	plane_put(cast->plane, acme, "Dataset", SALES("datasets/sums"), "{}");
	plane_put(cast->plane, acme, "Source", SALES("sources/raw"),
	          "{'connector':'file','path':'raw.csv','dataset':'raw','format':'csv'}");
	plane_put(cast->plane, acme, "Transformation", SALES("transformations/sums"),
	          "{'sql':'SELECT n FROM raw','inputs':['raw'],'output':'sums'}");
	plane_put(cast->plane, acme, "Offer", SALES("offers/gold"),
	          "{'datasets':['raw'],'to':{'tenant':'globex','domain':'trips'},"
	          "'purpose':'planning'}");
	plane_put(cast->plane, globex, "Acceptance", TRIPS("acceptances/acme_sales"),
	          "{'from':{'tenant':'acme','domain':'sales','offer':'gold'}}");
	plane_put(cast->plane, globex, "Dataset", TRIPS("datasets/busy"), "{}");
	plane_put(cast->plane, globex, "Transformation", TRIPS("transformations/busy"),
	          "{'sql':'SELECT n FROM acme_sales.raw','inputs':['acme_sales.raw'],"
	          "'output':'busy'}");
}

static void raise_curtain(struct cast *cast)
{
	static const struct ending well = {.outcome = OUTCOME_SUCCEEDED, .rows = 3};
	cast->stage = stage_open();
	cast->plane = cast->stage->plane;
	cast->acme = (struct company){"acme", "sales", plane_tenant(cast->plane, "acme", "sales")};
	cast->globex = (struct company){"globex", "trips",
	                                plane_tenant(cast->plane, "globex", "trips")};
	furnish(cast);
	cast->puppet = puppet_new(cast->stage, "w1", SLOTS, 1);
	const char *id = begin(cast, &cast->acme, "ingest", "{'source':'raw'}");
	puppet_end(cast->puppet, 0, &well);
	await(cast, &cast->acme, id, "succeeded");
}

static void close_curtain(struct cast *cast)
{
	puppet_free(cast->puppet);
	cr_expect_str_eq(cast->stage->fault, "");
	stage_close(cast->stage);
}

static void destroy_raw(struct cast *cast)
{
	struct answer gone = plane_call(cast->plane, cast->acme.key, "DELETE",
	                                SALES("datasets/raw/keys?confirm=raw"), NULL);
	cr_assert_eq(gone.status, 200, "%s", gone.text);
}

static const char *error_of(const struct value *task, const char *member)
{
	const char *text = value_get_str(value_get(task, "error"), member);
	return text ? text : "";
}

/* --- the tests --- */

Test(lending, destroying_a_datasets_key_ends_the_task_that_runs_with_it)
{
	struct cast cast;
	raise_curtain(&cast);
	const char *other = begin(&cast, &cast.acme, "probe", "{}");
	const char *id = begin(&cast, &cast.acme, "transform", "{'transformation':'sums'}");
	destroy_raw(&cast);
	const struct value *task = await(&cast, &cast.acme, id, "failed");
	cr_expect_str_eq(error_of(task, "code"), "DESTROYED", "%s", error_of(task, "text"));
	struct wanted wanted = {&cast, &cast.acme, id, "failed", {0}};
	cr_expect(stage_await(cast.stage, is_told_to_end, &wanted, MINUTE_MS));
	await(&cast, &cast.acme, other, "running");
	cr_expect_not(act_of(&cast, other).cancelled, "it reads nothing of it");
	close_curtain(&cast);
}

/* globex' attempt is asked back and, planned anew, is refused; one that borrows nothing goes on. */
static const struct value *end_of_loan(struct cast *cast, void end(struct cast *cast))
{
	static const struct ending well = {.outcome = OUTCOME_SUCCEEDED, .rows = 3};
	const char *id = begin(cast, &cast->globex, "transform", "{'transformation':'busy'}");
	const char *other = begin(cast, &cast->globex, "probe", "{}");
	struct wanted wanted = {cast, &cast->globex, id, "running", {0}};
	end(cast);
	cr_assert(stage_await(cast->stage, is_asked_back, &wanted, MINUTE_MS));
	puppet_end(cast->puppet, 0, &well);  /* the older: a cancelled one ends so */
	const struct value *task = await(cast, &cast->globex, id, "failed");
	await(cast, &cast->globex, other, "running");
	cr_expect_not(act_of(cast, other).back);
	return task;
}

Test(lending, destroying_it_hands_back_what_another_tenant_reads_by_an_agreement)
{
	struct cast cast;
	raise_curtain(&cast);
	const struct value *task = end_of_loan(&cast, destroy_raw);
	cr_expect_str_eq(error_of(task, "code"), "DESTROYED", "%s", error_of(task, "text"));
	close_curtain(&cast);
}

static void seal(struct cast *cast)
{
	struct answer answer = plane_call(cast->plane, cast->plane->operator_key, "POST",
	                                  "/v1/tenants/acme/seal", "{'reason':'a test'}");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
}

Test(lending, sealing_the_provider_hands_back_what_other_tenants_read_of_it)
{
	struct cast cast;
	raise_curtain(&cast);
	const struct value *task = end_of_loan(&cast, seal);
	cr_expect_null(strstr(error_of(task, "text"), "sealed"), "whose state is not told: %s",
	               error_of(task, "text"));
	close_curtain(&cast);
}
