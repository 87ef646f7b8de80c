/* rules_delete.c - what may be deleted: what nothing refers to any more. */
#include "common/defs.h"
#include "control/rules.h"

#include "control/grants.h"
#include "control/home.h"
#include "control/intents.h"
#include "control/policies.h"
#include "control/refs.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 64, PAGE_ARENA = 64 * 1024 * 1024 };

struct search {
	const struct manifest *target;
	enum kind kind;              /* of the resources looked through */
	char last[STORE_KEY_MAX];
};

/* Offers are withdrawn before what they give is deleted: say to whom it is given. */
static int still_offered(const struct search *search, const struct value *offer, struct err *err)
{
	const struct value *metadata = value_get(offer, "metadata");
	const struct value *to = value_get(value_get(offer, "spec"), "to");
	const char *tenant = value_get_str(to, "tenant"), *domain = value_get_str(to, "domain");
	return err_set(err, E_CONFLICT,
	               "the %s %s is offered to %s%s%s%s%s by the offer %s.%s; withdraw that first",
	               kind_info[search->target->kind].name, search->target->name,
	               tenant ? "the tenant " : "", tenant ? tenant : "",
	               tenant && domain ? ", " : "", domain ? "the domain " : "",
	               domain ? domain : "", value_get_str(metadata, "domain"),
	               value_get_str(metadata, "name"));
}

static int still_used(const struct search *search, const struct value *resource, struct err *err)
{
	const struct value *metadata = value_get(resource, "metadata");
	const char *domain = value_get_str(metadata, "domain");
	if (search->kind == KIND_OFFER)
		return still_offered(search, resource, err);
	return err_set(err, E_CONFLICT,
	               "the %s %s is still used by the %s %s%s%s; delete that first",
	               kind_info[search->target->kind].name, search->target->name,
	               kind_info[search->kind].name, domain ? domain : "", domain ? "." : "",
	               value_get_str(metadata, "name"));
}

struct match { const struct search *search; const struct value *resource; };

static int is_target(void *context, const struct ref *ref, struct err *err)
{
	const struct match *match = context;
	const struct manifest *target = match->search->target;
	if (ref->kind != target->kind || strcmp(ref->name, target->name) != 0 ||
	    strcmp(ref->domain, target->domain) != 0)
		return 0;
	return still_used(match->search, match->resource, err);
}

static int look(void *context, const char *key, const struct value *resource, int64_t revision,
                struct err *err)
{
	(void)revision;
	struct search *search = context;
	snprintf(search->last, sizeof search->last, "%s", key);
	const struct value *spec = value_get(resource, "spec");
	if (search->kind == KIND_PRINCIPAL) {
		const char *domain = value_get_str(spec, "domain");
		return domain && strcmp(domain, search->target->name) == 0
		       ? still_used(search, resource, err) : 0;
	}
	struct match match = { search, resource };
	const char *own = value_get_str(value_get(resource, "metadata"), "domain");
	return refs_visit(kind_info[search->kind].fields, spec, "spec", own, is_target, &match,
	                  err);
}

/* All resources of a kind in the tenant, page by page, each page in memory of its own. */
static int look_through(struct control *control, const struct manifest *target, enum kind kind,
                        struct err *err)
{
	struct search search = { .target = target, .kind = kind };
	char prefix[STORE_KEY_MAX];
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[kind].name, target->tenant);
	AUTO(arena) *arena = NULL;
	TRY(arena_new(PAGE_ARENA, &arena, err));
	for (bool more = true; more; arena_reset(arena)) {
		char after[STORE_KEY_MAX];
		snprintf(after, sizeof after, "%s", search.last);
		TRY(catalog_list(control->catalog, arena, prefix, after[0] ? after : NULL, PAGE,
		                 look, &search, &more, err));
	}
	return 0;
}

static bool refers_to(enum kind kind, enum kind target)
{
	for (const struct field *field = kind_info[kind].fields; field->name; field++)
		if ((field->kind == FIELD_REF || field->kind == FIELD_REFS) &&
		    kind_by_name(field->arg) == target)
			return true;
	return false;
}

/* A tenant or domain is deleted empty. */
static int must_be_empty(struct control *control, const struct manifest *target, struct err *err)
{
	char prefix[STORE_KEY_MAX];
	bool tenant = target->kind == KIND_TENANT;
	for (int kind = 0; kind < KIND_COUNT_; kind++) {
		const struct kind_info *info = &kind_info[kind];
		bool inside = tenant ? kind == KIND_DOMAIN || kind == KIND_PRINCIPAL ||
		                              kind == KIND_GROUP || kind == KIND_ROLEBINDING
		                     : info->scope == SCOPE_DOMAIN;
		if (tenant)
			snprintf(prefix, sizeof prefix, "r/%s/%s/", info->name, target->name);
		else
			snprintf(prefix, sizeof prefix, "r/%s/%s/%s/", info->name, target->tenant,
			         target->name);
		bool has = kind == KIND_DOMAIN ? home_has_others(control, target->name) :
			catalog_has_prefix(control->catalog, prefix);
		if (inside && has)
			return err_set(err, E_CONFLICT,
			               "the %s %s still has %s; delete those first",
			               kind_info[target->kind].name, target->name, info->plural);
	}
	return 0;
}

int rules_delete(struct control *control, struct request *request, const struct manifest *manifest,
                 struct err *err)
{
	char key[STORE_KEY_MAX];
	TRY(rules_home(manifest, err));
	catalog_key(key, manifest->kind, manifest->tenant, manifest->domain, manifest->name);
	const char *const keys[] = { key };
	TRY(intents_begin(control->intents, true, keys, 1, &request->intent, err));
	if (manifest->kind == KIND_TENANT && strcmp(manifest->name, "platform") == 0)
		return err_set(err, E_CONFLICT,
		               "the tenant platform is the installation's own and stays");
	if (manifest->kind == KIND_TENANT || manifest->kind == KIND_DOMAIN)
		TRY(must_be_empty(control, manifest, err));
	TRY(grants_delete(control, request, manifest, err));
	if (manifest->kind == KIND_POLICY) {
		TRY(grants_policy(control, request, "permit", NULL, err));
		TRY(policies_check(control->policies, request->arena, manifest->tenant,
		                   manifest->name, NULL, &request->asker, request->now_ms, err));
	}
	if (manifest->kind == KIND_DOMAIN)
		TRY(look_through(control, manifest, KIND_PRINCIPAL, err));
	for (int kind = 0; kind < KIND_COUNT_ && kind_info[manifest->kind].scope == SCOPE_DOMAIN;
	     kind++)
		if (refers_to((enum kind)kind, manifest->kind))
			TRY(look_through(control, manifest, (enum kind)kind, err));
	return 0;
}
