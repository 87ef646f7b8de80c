/* h_inquiry.c - may I, may they, who may, and who has access to this dataset. About others only who
 * may access:read where the thing asked about lies. */
#include "common/defs.h"
#include "control/inquiry.h"

#include "control/bindings.h"
#include "control/identity.h"
#include "control/may.h"
#include "control/policy_review.h"
#include "control/sharing.h"

#include <stdio.h>
#include <string.h>

handler_fn h_can_i, h_can_they, h_who_can, h_dataset_access, h_policy_schema;

enum { SCRATCH_BYTES = 32 * MIB, SCAN_MAX = 1000, LOGINS_MAX = 200 };

int h_policy_schema(struct control *control, struct request *request, struct err *err)
{
	(void)control;
	TRY(review_schema(&request->reply->body, err));
	request->reply->status = 200;
	request->reply->content_type = "text/plain; charset=utf-8";
	return 0;
}

/* --- one --- */

static int answer_for(const struct inquiry *inquiry, const struct asker *asker,
                      struct value **ret_answer, struct err *err)
{
	AUTO(arena) *scratch = NULL;
	TRY(arena_new(SCRATCH_BYTES, &scratch, err));
	TRY(inquiry_answer(inquiry, scratch, asker, ret_answer, err));
	value_set_str(*ret_answer, "principal",
	              arena_printf(inquiry->arena, "%s/%s", asker->tenant, asker->principal));
	return value_check(*ret_answer, err);
}

int h_can_i(struct control *control, struct request *request, struct err *err)
{
	struct inquiry inquiry;
	struct value *answer = NULL;
	TRY(inquiry_begin(control, request, request->asker.tenant, request_query(request, "action"),
	                  request_query(request, "resource"), &inquiry, err));
	int rc = answer_for(&inquiry, &request->asker, &answer, err);
	inquiry_end(&inquiry);
	return rc < 0 ? rc : request_reply(request, 200, answer, err);
}

/* Where it lies the asker must be one who may ask. */
static int may_ask(struct control *control, const struct request *request,
                   const struct inquiry *inquiry, struct err *err)
{
	struct target target = inquiry->target;
	if (target.tenant && !target.domain)
		target.whole = true;
	if (may_request(control, request, ACTION_ACCESS_READ, &target, KIND_NONE, NULL, NULL)
	            .allowed)
		return 0;
	return err_set(err, E_DENIED, "%s/%s may not access:read there; a domain-owner asks about "
	               "its own domain, a tenant-admin or auditor about all of %s",
	               request->asker.tenant, request->asker.principal, request->tenant);
}

static int begin(struct control *control, struct request *request, const char *action,
                 const char *resource, struct inquiry *inquiry, struct err *err)
{
	TRY(inquiry_begin(control, request, request->tenant, action, resource, inquiry, err));
	int rc = may_ask(control, request, inquiry, err);
	if (rc < 0)
		inquiry_end(inquiry);
	return rc;
}

static int named(struct control *control, struct arena *arena, const char *tenant, const char *name,
                 struct asker *ret_asker, struct err *err)
{
	const struct identity_name who = { tenant, name, NULL };
	*ret_asker = (struct asker){ .auth = strchr(name, ':') ? AUTH_OIDC : AUTH_KEY };
	return identity_named(control, arena, &who, ret_asker, err);
}

/* A login's groups are said by its token alone: of one that is named here none are known. */
static int named_asker(struct control *control, struct request *request, struct asker *ret_asker,
                       struct err *err)
{
	const char *said = request_query(request, "principal"), *name = NULL;
	if (!said)
		return err_set(err, E_INVALID, "principal: is missing; say about whom is asked");
	TRY(naming_principal(request->arena, request->tenant, said, &name, err));
	int code = named(control, request->arena, request->tenant, name, ret_asker, err);
	if (code != E_NOT_FOUND && code != E_UNAUTHENTICATED)
		return code;
	return err_set(err, E_NOT_FOUND, "the tenant %s has no principal of that name, or it is "
	               "disabled", request->tenant);
}

int h_can_they(struct control *control, struct request *request, struct err *err)
{
	struct inquiry inquiry;
	struct asker asker;
	struct value *answer = NULL;
	TRY(request_needs_lead(request, err));
	TRY(begin(control, request, request_query(request, "action"),
	          request_query(request, "resource"), &inquiry, err));
	int rc = named_asker(control, request, &asker, err);
	if (rc == 0)
		rc = answer_for(&inquiry, &asker, &answer, err);
	inquiry_end(&inquiry);
	return rc < 0 ? rc : request_reply(request, 200, answer, err);
}

/* --- all --- */

struct survey {
	struct request *request;
	struct inquiry inquiry;
	const enum action *actions;      /* each is asked of everyone */
	size_t action_count;
	struct arena *scratch;
	struct value *items;
	char last[STORE_KEY_MAX];        /* the last that was looked at */
};

static int ask_each(struct survey *survey, const struct asker *asker, const char *member,
                    const char *who, const char *type, struct err *err)
{
	for (size_t i = 0; i < survey->action_count; i++) {
		struct value *answer = NULL;
		inquiry_turn(&survey->inquiry, survey->actions[i]);
		TRY(inquiry_answer(&survey->inquiry, survey->scratch, asker, &answer, err));
		if (!value_get_bool(answer, "allowed", false))
			continue;
		value_set_str(answer, member, who);
		value_set_str(answer, "type", type);
		value_add(survey->items, answer);
	}
	return value_check(survey->items, err);
}

static int visit_principal(void *context, const char *key, const struct value *value,
                           int64_t revision, struct err *err)
{
	struct survey *survey = context;
	struct asker asker;
	const char *tenant = survey->request->tenant, *name = strrchr(key, '/') + 1;
	const char *type = value_get_str(value_get(value, "spec"), "type");
	struct arena *arena = survey->inquiry.arena;
	(void)revision;
	snprintf(survey->last, sizeof survey->last, "%s", key);
	arena_reset(survey->scratch);
	int rc = named(survey->inquiry.control, survey->scratch, tenant, name, &asker, err);
	if (rc == E_NOT_FOUND || rc == E_UNAUTHENTICATED)
		return 0;
	TRY(rc);
	return ask_each(survey, &asker, "principal", arena_printf(arena, "%s/%s", tenant, name),
	                type ? type : "user", err);
}

/* Whoever a provider says is in a group of its own. */
static int ask_login(struct survey *survey, const char *provider, const struct value *login,
                     struct err *err)
{
	const char *claim = value_get_str(login, "claim"), *domain = value_get_str(login, "domain");
	const struct value *roles = value_get(login, "roles"), *groups = value_get(login, "groups");
	struct asker asker = { .tenant = survey->request->tenant, .auth = AUTH_OIDC };
	arena_reset(survey->scratch);
	asker.principal = arena_printf(survey->scratch, "%s:*", provider);
	if (!asker.principal || !claim)
		return 0;
	for (size_t i = 0; i < value_len(roles); i++)
		(void)asker_bind(&asker, value_as_str(value_at(roles, i)), domain);
	for (size_t i = 0; i < value_len(groups) && i < GROUPS_MAX; i++)
		asker.groups[asker.group_count++] = value_as_str(value_at(groups, i));
	bindings_fill(survey->inquiry.control->bindings, survey->scratch, &asker);
	return ask_each(survey, &asker, "login",
	                arena_printf(survey->inquiry.arena, "%s:%s", provider, claim), NULL, err);
}

static int visit_provider(void *context, const char *key, const struct value *value,
                          int64_t revision, struct err *err)
{
	const struct value *groups = value_get(value_get(value, "spec"), "groups");
	(void)revision;
	for (size_t i = 0; i < value_len(groups); i++)
		TRY(ask_login(context, strrchr(key, '/') + 1, value_at(groups, i), err));
	return 0;
}

/* A page: at most `limit` principals are looked at, those who may are told. Logins come first. */
static int run_survey(struct survey *survey, const char **ret_resume, struct err *err)
{
	AUTO(arena) *scratch = NULL;
	char prefix[STORE_KEY_MAX];
	struct request *request = survey->request;
	struct catalog *catalog = survey->inquiry.control->catalog;
	const char *after = NULL;
	int64_t limit = 0;
	bool more = false, unused = false;
	TRY(request_number(request, "limit", 1, SCAN_MAX, SCAN_MAX / 2, &limit, err));
	TRY(arena_new(SCRATCH_BYTES, &scratch, err));
	survey->scratch = scratch;
	survey->items = value_list(request->arena);
	snprintf(prefix, sizeof prefix, "r/identityprovider/%s/", request->tenant);
	if (!request_query(request, "continue"))
		TRY(catalog_list(catalog, request->arena, prefix, NULL, LOGINS_MAX, visit_provider,
		                 survey, &unused, err));
	snprintf(prefix, sizeof prefix, "r/principal/%s/", request->tenant);
	TRY(request_after(request, prefix, &after, err));
	TRY(catalog_list(catalog, request->arena, prefix, after, (size_t)limit, visit_principal,
	                 survey, &more, err));
	*ret_resume = NULL;
	return more ? request_resume(request, prefix, survey->last, ret_resume, err) : 0;
}

int h_who_can(struct control *control, struct request *request, struct err *err)
{
	struct survey survey = { .request = request, .action_count = 1 };
	const char *resume = NULL;
	TRY(request_needs_lead(request, err));
	TRY(begin(control, request, request_query(request, "action"),
	          request_query(request, "resource"), &survey.inquiry, err));
	const enum action action = survey.inquiry.action;
	survey.actions = &action;
	int rc = run_survey(&survey, &resume, err);
	inquiry_end(&survey.inquiry);
	return rc < 0 ? rc : request_reply_list(request, survey.items, resume, err);
}

/* --- a dataset --- */

struct offers {
	struct control *control;
	struct arena *arena;
	const char *dataset;
	struct value *list;
};

static bool offers_it(const struct value *datasets, const char *dataset)
{
	for (size_t i = 0; i < value_len(datasets); i++) {
		const char *ref = value_as_str(value_at(datasets, i));
		const char *dot = ref ? strchr(ref, '.') : NULL;
		if (ref && strcmp(dot ? dot + 1 : ref, dataset) == 0)
			return true;
	}
	return false;
}

static int visit_offer(void *context, const char *key, const struct value *value, int64_t revision,
                       struct err *err)
{
	struct offers *offers = context;
	const struct value *spec = value_get(value, "spec"), *to = value_get(spec, "to");
	struct value *item = value_map(offers->arena), *status = NULL;
	(void)revision;
	if (!offers_it(value_get(spec, "datasets"), offers->dataset))
		return 0;
	TRY(sharing_status(offers->control, offers->arena, value, &status, err));
	value_set_str(item, "offer", strrchr(key, '/') + 1);
	value_set_str(item, "tenant", value_get_str(to, "tenant"));
	value_set_str(item, "domain", value_get_str(to, "domain"));
	value_set_str(item, "purpose", value_get_str(spec, "purpose"));
	value_set_str(item, "expiresAt", value_get_str(spec, "expiresAt"));
	value_set_str(item, "state", value_get_str(status, "state"));
	value_add(offers->list, item);
	return value_check(offers->list, err);
}

static int find_offers(struct control *control, struct request *request, struct value **ret_list,
                       struct err *err)
{
	char prefix[STORE_KEY_MAX];
	bool more = false;
	struct offers offers = { control, request->arena, request->name,
		                 value_list(request->arena) };
	snprintf(prefix, sizeof prefix, "r/offer/%s/%s/", request->tenant, request->domain);
	TRY(catalog_list(control->catalog, request->arena, prefix, NULL, LIST_MOST, visit_offer,
	                 &offers, &more, err));
	*ret_list = offers.list;
	return 0;
}

static int report(struct control *control, struct request *request, struct survey *survey,
                  struct err *err)
{
	struct value *body = value_map(request->arena), *offers = NULL;
	const char *resume = NULL;
	TRY(run_survey(survey, &resume, err));
	TRY(find_offers(control, request, &offers, err));
	value_set_str(body, "dataset", arena_printf(request->arena, "%s.%s", request->domain,
	                                            request->name));
	if (value_len(survey->inquiry.tags))
		value_set(body, "tags", value_copy(request->arena, survey->inquiry.tags));
	value_set(body, "items", survey->items);
	if (value_len(offers))
		value_set(body, "offers", offers);
	value_set_str(body, "continue", resume);
	return request_reply(request, 200, body, err);
}

int h_dataset_access(struct control *control, struct request *request, struct err *err)
{
	static const enum action actions[] = { ACTION_DATASET_READ, ACTION_DATASET_WRITE,
		                               ACTION_KEY_DESTROY };
	struct survey survey = { .request = request, .actions = actions,
		                 .action_count = ARRAY_LEN(actions) };
	const char *resource = arena_printf(request->arena, "dataset/%s/%s", request->domain,
	                                    request->name);
	TRY(request_needs_lead(request, err));
	TRY(begin(control, request, "dataset:read", resource, &survey.inquiry, err));
	int rc = survey.inquiry.stored ? report(control, request, &survey, err)
		: err_set(err, E_NOT_FOUND, "the domain %s has no dataset %s", request->domain,
		          request->name);
	inquiry_end(&survey.inquiry);
	return rc;
}
