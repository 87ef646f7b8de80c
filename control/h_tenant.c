/* h_tenant.c - a tenant suspended, resumed, sealed and unsealed. Asking for the state that there is
 * changes nothing, so each may be repeated. What follows from a state is control/tenancy.c's, on
 * every replica, as soon as the catalog there has it. */
#include "common/defs.h"
#include "control/resource.h"

#include "api/field.h"
#include "control/intake.h"
#include "control/tenancy.h"

#include <string.h>

handler_fn h_tenant_suspend, h_tenant_resume, h_tenant_seal, h_tenant_unseal;

static const struct field reason_fields[] = {
	{ FIELD_TEXT, true, "reason", "256", NULL, "why, for whoever asks later" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

/* What each may begin with; from: 1 << enum tenant_state. */
struct move {
	const char *verb;
	enum tenant_state to;
	unsigned from;
	unsigned already;            /* states in which there is nothing to do */
	bool back;                   /* to what there was before, not to `to` */
};

static const struct move suspend = {
	.verb = "suspended", .to = TENANT_SUSPENDED, .from = 1u << TENANT_ACTIVE,
	.already = 1u << TENANT_SUSPENDED,
};
static const struct move resume = {
	.verb = "resumed", .to = TENANT_ACTIVE, .from = 1u << TENANT_SUSPENDED,
	.already = 1u << TENANT_ACTIVE,
};
static const struct move seal = {
	.verb = "sealed", .to = TENANT_SEALED,
	.from = 1u << TENANT_ACTIVE | 1u << TENANT_SUSPENDED, .already = 1u << TENANT_SEALED,
};
static const struct move unseal = {
	.verb = "unsealed", .from = 1u << TENANT_SEALED, .back = true,
	.already = 1u << TENANT_ACTIVE | 1u << TENANT_SUSPENDED,
};

static int refuse(const struct request *request, const struct move *move, enum tenant_state now,
                  struct err *err)
{
	const char *way_out = now == TENANT_SEALED ? "unseal it first"
	                                           : "cancel its deletion first, while that waits";
	return err_set(err, E_CONFLICT, "the tenant %s is %s, so it cannot be %s; %s",
	               request->tenant, tenant_state_name(now), move->verb, way_out);
}

static int check(const struct request *request, struct err *err)
{
	if (strcmp(request->tenant, "platform") == 0)
		return err_set(err, E_CONFLICT, "the tenant platform is the installation's own and "
		               "stays active");
	return fields_check(reason_fields, request->body, "", err);
}

/* The stored resource in its next state. */
static int moved(const struct request *request, const struct move *move, const struct value *stored,
                 struct value **ret_stored, struct err *err)
{
	struct arena *arena = request->arena;
	struct value *next = value_copy(arena, stored);
	const struct value *now = value_get(stored, "state"), *before = value_get(now, "before");
	TRY(value_check(next, err));
	value_remove(next, "state");
	if (move->back && before)
		value_set(next, "state", value_copy(arena, before));
	if (!move->back && move->to != TENANT_ACTIVE)
		value_set(next, "state",
		          tenancy_state_new(arena, move->to, intake_principal(request),
		                            value_get_str(request->body, "reason"), now,
		                            request->now_ms));
	*ret_stored = next;
	return value_check(next, err);
}

static int finish(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL, *shown = NULL;
	int64_t revision = 0;
	catalog_key(key, KIND_TENANT, NULL, NULL, request->tenant);
	TRY(catalog_get(control->catalog, request->arena, key, &stored, &revision, err));
	TRY(resource_show(control, request->arena, request->dry_run ? request->state : stored,
	                  revision, &shown, err));
	request->reply->etag = resource_etag(request->arena, revision);
	return request_reply(request, 200, shown, err);
}

static int make_move(struct control *control, struct request *request, const struct move *move,
                     struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL, *next = NULL;
	struct change *change = NULL;
	int64_t revision = 0;
	TRY(request_needs_lead(request, err));
	TRY(check(request, err));
	catalog_key(key, KIND_TENANT, NULL, NULL, request->tenant);
	TRY(catalog_get(control->catalog, request->arena, key, &stored, &revision, err));
	TRY(resource_if_match(request, revision, err));
	enum tenant_state now = tenant_state_of(stored);
	request->finish = finish;
	request->state = stored;
	if (move->already & 1u << now)
		return 0;
	if (!(move->from & 1u << now))
		return refuse(request, move, now, err);
	TRY(moved(request, move, stored, &next, err));
	request->state = next;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return change_put(change, key, next, revision, err);
}

int h_tenant_suspend(struct control *control, struct request *request, struct err *err)
{
	return make_move(control, request, &suspend, err);
}

int h_tenant_resume(struct control *control, struct request *request, struct err *err)
{
	return make_move(control, request, &resume, err);
}

int h_tenant_seal(struct control *control, struct request *request, struct err *err)
{
	return make_move(control, request, &seal, err);
}

int h_tenant_unseal(struct control *control, struct request *request, struct err *err)
{
	return make_move(control, request, &unseal, err);
}
