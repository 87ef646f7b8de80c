/* grants.c - the rules against escalation. Each asks of what WOULD be (control/bindings.h), so that
 * no way round - a name made again, a group, an ownership - gives more than the direct one. */
#include "common/defs.h"
#include "control/grants.h"

#include "control/bindings.h"
#include "control/lockout.h"
#include "control/may.h"

#include <stdio.h>
#include <string.h>

/* --- what it belongs to --- */

static bool has_domain(enum kind kind)
{
	return kind == KIND_PRINCIPAL || kind == KIND_ROLEBINDING;
}

/* KIND_NONE: decided by the path alone. */
static enum kind kind_of(const struct request *request)
{
	const struct route *route = request->route;
	bool of_principal =
		route->action == ACTION_PRINCIPAL_READ || route->action == ACTION_PRINCIPAL_WRITE;
	if (!request->tenant || !request->name)
		return KIND_NONE;
	if (route->kind == KIND_NONE && of_principal)
		return KIND_PRINCIPAL;
	return has_domain(route->kind) ? route->kind : KIND_NONE;
}

static struct target target_of(const struct request *request, const struct value *resource)
{
	const char *domain = value_get_str(value_get(resource, "spec"), "domain");
	return (struct target){.tenant = request->tenant, .domain = domain, .whole = !domain};
}

/* What the route is about: its kind, or that of its action ("dataset:read" of snapshots). */
static enum kind subject_of(const struct request *request)
{
	char name[32];
	const char *action = action_name(request->route->action);
	if (request->route->kind != KIND_NONE || !request->name)
		return request->route->kind;
	snprintf(name, sizeof name, "%.*s", (int)strcspn(action, ":"), action);
	return kind_by_name(name);
}

static struct decision decide(struct control *control, const struct request *request,
                              const struct target *target, const struct value *resource)
{
	return may_request(control, request, request->route->action, target, subject_of(request),
	                   request->name, resource);
}

/* A resource of a domain, as it is stored, where policies may ask for what it says. */
static const struct value *stored_of(struct control *control, const struct request *request)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	enum kind kind = subject_of(request);
	if (kind == KIND_NONE || !request->name || !request->domain ||
	    !policies_in_force(control->policies, request->tenant))
		return NULL;
	catalog_key(key, kind, request->tenant, request->domain, request->name);
	int code = catalog_get(control->catalog, request->arena, key, &stored, NULL, NULL);
	return code < 0 ? NULL : stored;
}

/* Written: both what it is and what it would be must be allowed. */
static struct decision decide_twice(struct control *control, const struct request *request,
                                    const struct target *before, const struct value *stored,
                                    const struct target *after)
{
	struct decision decision = decide(control, request, before, stored);
	if (!decision.allowed || strcmp(request->route->method, "PUT") != 0)
		return decision;
	return decide(control, request, after, request->body);
}

/* A list of a domain's resources, for who may read some of them. */
static bool lists_parts(struct control *control, const struct request *request,
                        const struct decision *refused)
{
	const struct route *route = request->route;
	const struct asker *asker = &request->asker;
	bool listed = route->kind != KIND_NONE && kind_info[route->kind].scope == SCOPE_DOMAIN &&
	              !request->name && strcmp(route->method, "GET") == 0;
	if (!listed || !refused->visible || strcmp(asker->tenant, request->tenant) != 0)
		return false;
	if (asker_has_part(asker, route->action, request->domain, kind_info[route->kind].kind))
		return true;
	return strcmp(refused->rule, "token-scope") != 0 &&
	       policies_in_force(control->policies, request->tenant);
}

static struct decision decide_route(struct control *control, struct request *request)
{
	char key[STORE_KEY_MAX];
	enum kind kind = kind_of(request);
	struct target target = {.tenant = request->tenant, .domain = request->domain};
	struct value *stored = NULL;
	if (kind == KIND_NONE) {
		const struct value *resource = stored_of(control, request);
		return resource ? decide_twice(control, request, &target, resource, &target)
		                : decide(control, request, &target, request->body);
	}
	catalog_key(key, kind, request->tenant, NULL, request->name);
	int code = catalog_get(control->catalog, request->arena, key, &stored, NULL, NULL);
	bool writes = strcmp(request->route->method, "PUT") == 0;
	bool made = code == E_NOT_FOUND && writes;
	target = target_of(request, made ? request->body : code < 0 ? NULL : stored);
	const struct target after = target_of(request, request->body);
	return decide_twice(control, request, &target, made ? request->body : stored, &after);
}

struct decision grants_decide(struct control *control, struct request *request)
{
	struct decision decision = decide_route(control, request);
	if (decision.allowed || !lists_parts(control, request, &decision))
		return decision;
	request->in_parts = true;
	decision.allowed = true;
	decision.rule = "each-by-itself";
	return decision;
}

bool grants_readable(struct control *control, const struct request *request,
                     const struct value *stored)
{
	const char *name = value_get_str(value_get(stored, "metadata"), "name");
	struct target target = target_of(request, stored);
	enum kind kind = request->route->kind;
	if (kind == KIND_DOMAIN)
		target = (struct target){.tenant = request->tenant, .domain = name};
	else if (kind_info[kind].scope == SCOPE_DOMAIN)
		target = (struct target){.tenant = request->tenant, .domain = request->domain};
	else if (kind == KIND_TENANT)
		return true; /* operators see all, others their own alone */
	else if (!has_domain(kind))
		target = (struct target){.tenant = request->tenant};
	return may_request(control, request, request->route->action, &target, kind, name, stored)
		.allowed;
}

/* Of a RoleBinding's spec. */
static struct binding binding_of(const struct value *spec)
{
	const struct value *resource = value_get(spec, "resource");
	return (struct binding){value_get_str(spec, "role"), value_get_str(spec, "domain"),
	                        value_get_str(resource, "kind"), value_get_str(resource, "name")};
}

/* --- not more than one has --- */

struct reach {
	struct control *control;
	const struct request *request;
	const char *whose; /* "the principal ann"; "" for what is written itself */
};

/* What policies forbid the asker it does not give away either. */
static bool allowed_by_policies(const struct reach *reach, const char *role,
                                const struct target *target)
{
	const struct request *request = reach->request;
	bool own = strcmp(request->asker.tenant, request->tenant) == 0;
	if (!own || !policies_in_force(reach->control->policies, request->tenant))
		return true;
	for (int action = 0; action < ACTION_COUNT_; action++)
		if (role_has_action(role, (enum action)action) &&
		    policy_decide(&request->asker, (enum action)action, target).allowed &&
		    !may_request(reach->control, request, (enum action)action, target,
		                 target->name ? kind_by_name(target->kind) : KIND_NONE,
		                 target->name, NULL)
		             .allowed)
			return false;
	return true;
}

static int in_reach(void *context, const struct binding *binding, struct err *err)
{
	const struct reach *reach = context;
	const struct request *request = reach->request;
	const char *role = binding->role, *domain = binding->domain;
	const struct target target = {.tenant = request->tenant, .domain = domain,
	                              .whole = !domain, .kind = binding->kind,
	                              .name = binding->name};
	if (policy_may_grant(&request->asker, role, &target) &&
	    allowed_by_policies(reach, role, &target))
		return 0;
	return err_set(err, E_DENIED,
	               "%s%s/%s may not do all that the role %s permits %s%s, so "
	               "it can neither give nor take that role; a tenant-admin of %s can",
	               reach->whose, request->asker.tenant, request->asker.principal, role,
	               binding->name ? "at the resource "
	               : domain      ? "in the domain "
	                             : "in the whole tenant ",
	               binding->name ? binding->name : domain ? domain : request->tenant,
	               request->tenant);
}

/* All that a subject has now and would have is within the asker's reach. */
static int subject_in_reach(struct control *control, const struct request *request,
                            const char *subject, const struct what_if *what_if, struct err *err)
{
	char whose[160];
	snprintf(whose, sizeof whose, "%s has rights beyond yours: ", subject);
	struct reach reach = {control, request, whose};
	TRY(bindings_each(control->bindings, request->arena, request->tenant, subject, NULL,
	                  in_reach, &reach, err));
	return what_if ? bindings_each(control->bindings, request->arena, request->tenant, subject,
	                               what_if, in_reach, &reach, err)
	               : 0;
}

/* Administers the whole tenant, not one domain of it. */
static bool is_admin(const struct request *request)
{
	const struct target whole = {.tenant = request->tenant, .whole = true};
	return policy_decide(&request->asker, ACTION_PRINCIPAL_WRITE, &whole).allowed;
}

struct permits {
	bool found;
};

static int look_for_permit(void *context, const char *key, const struct value *policy,
                           int64_t revision, struct err *err)
{
	struct permits *permits = context;
	const char *text = value_get_str(value_get(policy, "spec"), "text");
	(void)key;
	(void)revision;
	(void)err;
	permits->found |= !text || strstr(text, "permit") != NULL;
	return 0;
}

/* Where the tenant's policies permit what roles do not, roles do not tell what a principal may do:
 * then it is not for a domain's owner to act for one. */
static int roles_tell(struct control *control, const struct request *request, struct err *err)
{
	char prefix[STORE_KEY_MAX];
	struct permits permits = {false};
	bool more = false;
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind_info[KIND_POLICY].name, request->tenant);
	TRY(catalog_list(control->catalog, request->arena, prefix, NULL, LIST_MOST, look_for_permit,
	                 &permits, &more, err));
	if (!permits.found && !more)
		return 0;
	return err_set(err, E_DENIED,
	               "policies of %s permit more than roles do, so what a service account may do "
	               "is not told by its roles; a tenant-admin makes and changes it and its keys",
	               request->tenant);
}

static int is_service(struct control *control, const struct request *request,
                      const struct value *resource, struct err *err)
{
	const char *type = value_get_str(value_get(resource, "spec"), "type");
	if (!resource || is_admin(request))
		return 0;
	if (value_len(value_get(value_get(resource, "spec"), "attributes")))
		return err_set(err, E_DENIED,
		               "spec.attributes: policies may go by them, so a principal that has "
		               "some, and its keys, are a tenant-admin's of %s",
		               request->tenant);
	if (type && strcmp(type, "service") == 0)
		return roles_tell(control, request, err);
	return err_set(err, E_DENIED,
	               "spec.type: the owners of a domain administer its service "
	               "accounts, whose type is service; users are a tenant-admin's of %s",
	               request->tenant);
}

/* --- roles --- */

static int check_role(const struct manifest *manifest, const char *role, const char *domain,
                      const char *path, struct err *err)
{
	if (strcmp(role, "operator") == 0 && strcmp(manifest->tenant, "platform") != 0)
		return err_set(err, E_INVALID,
		               "%s: operator is a role of the tenant platform only; "
		               "tenant-admin is the highest of a tenant",
		               path);
	if (domain && role_is_wide(role))
		return err_set(err, E_INVALID,
		               "%s: the role %s is for a whole tenant; leave the "
		               "domain out, or use domain-owner, producer or consumer",
		               path, role);
	return 0;
}

static int check_resource(const struct manifest *manifest, struct err *err)
{
	if (!value_get(manifest->spec, "resource") || value_get(manifest->spec, "domain"))
		return 0;
	return err_set(err, E_INVALID,
	               "spec.resource: lies in a domain; name that as spec.domain, too");
}

static int check_roles(const struct manifest *manifest, struct err *err)
{
	char path[64];
	const struct value *roles = value_get(manifest->spec, "roles");
	const char *role = value_get_str(manifest->spec, "role");
	if (manifest->kind == KIND_ROLEBINDING)
		TRY(check_resource(manifest, err));
	if (manifest->kind == KIND_ROLEBINDING)
		return check_role(manifest, role, value_get_str(manifest->spec, "domain"),
		                  "spec.role", err);
	for (size_t i = 0; manifest->kind == KIND_GROUP && i < value_len(roles); i++) {
		const struct value *item = value_at(roles, i);
		snprintf(path, sizeof path, "spec.roles[%zu]", i);
		TRY(check_role(manifest, value_get_str(item, "role"), value_get_str(item, "domain"),
		               path, err));
	}
	return 0;
}

/* --- who is meant --- */

static int subject_exists(struct control *control, const struct request *request, const char *path,
                          size_t i, const char *subject, struct err *err)
{
	char key[STORE_KEY_MAX];
	size_t len = strlen(GROUP_SUBJECT);
	bool group = strncmp(subject, GROUP_SUBJECT, len) == 0;
	catalog_key(key, group ? KIND_GROUP : KIND_PRINCIPAL, request->tenant, NULL,
	            group ? subject + len : subject);
	if (request->dry_run || catalog_has(control->catalog, key))
		return 0;
	return err_set(err, E_INVALID, "%s[%zu]: there is no %s of that name; apply it first", path,
	               i, group ? "group" : "principal");
}

static int domain_exists(struct control *control, const struct request *request, const char *path,
                         const char *domain, struct err *err)
{
	char key[STORE_KEY_MAX];
	if (!domain || request->dry_run ||
	    catalog_has(control->catalog,
	                catalog_key(key, KIND_DOMAIN, request->tenant, NULL, domain)))
		return 0;
	return err_set(err, E_INVALID, "%s: there is no domain %s; apply it first", path, domain);
}

/* What does not exist yet is bound when it does: whoever makes it does not choose its readers. */
static int resource_exists(struct control *control, const struct request *request,
                           const struct value *spec, struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct binding place = binding_of(spec);
	if (!place.name || request->dry_run)
		return 0;
	catalog_key(key, kind_by_name(place.kind), request->tenant, place.domain, place.name);
	if (catalog_has(control->catalog, key))
		return 0;
	return err_set(err, E_INVALID, "spec.resource: there is no %s of that name in the domain "
	               "%s; apply it first", place.kind, place.domain);
}

/* Owners may come later: an applied file brings its domains before its principals. Who makes one is
 * held to what it then has. */
static int all_exist(struct control *control, const struct request *request,
                     const struct manifest *manifest, struct err *err)
{
	static const char *const lists[] = { "subjects", "members" };
	char path[64];
	const struct value *roles = value_get(manifest->spec, "roles");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct value *list = value_get(manifest->spec, lists[i]);
		snprintf(path, sizeof path, "spec.%s", lists[i]);
		for (size_t j = 0; j < value_len(list); j++)
			TRY(subject_exists(control, request, path, j,
			                   value_as_str(value_at(list, j)), err));
	}
	if (manifest->kind == KIND_ROLEBINDING) {
		TRY(domain_exists(control, request, "spec.domain",
		                  value_get_str(manifest->spec, "domain"), err));
		return resource_exists(control, request, manifest->spec, err);
	}
	for (size_t i = 0; manifest->kind == KIND_GROUP && i < value_len(roles); i++) {
		snprintf(path, sizeof path, "spec.roles[%zu].domain", i);
		TRY(domain_exists(control, request, path,
		                  value_get_str(value_at(roles, i), "domain"), err));
	}
	return 0;
}

/* --- the last administrator --- */

static const char *admins_key(char out[STORE_KEY_MAX], const char *tenant)
{
	snprintf(out, STORE_KEY_MAX, "r/admins/%s", tenant);
	return out;
}

/* What is made anew takes no role away; by a policy, what is given may take a right. */
static bool takes_away(struct control *control, const struct what_if *what_if)
{
	return catalog_has(control->catalog, what_if->key);
}

/* Before the look at who is there: what changes after it is noticed at the commit. */
static int note_admins(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *mark = NULL;
	int code = catalog_get(control->catalog, request->arena, admins_key(key, request->tenant),
	                       &mark, &request->admins_revision, err);
	if (code == E_NOT_FOUND)
		request->admins_revision = 0;
	return code == E_NOT_FOUND ? 0 : code;
}

/* A permit that goes, or a forbid that comes, may take an administrator's right. */
int grants_policy(struct control *control, struct request *request, const char *before,
                  const char *after, struct err *err)
{
	bool takes = (before && strstr(before, "permit")) || (after && strstr(after, "forbid"));
	if (!takes || strcmp(request->asker.tenant, request->tenant) != 0)
		return 0;
	request->takes_admin = true;
	return note_admins(control, request, err);
}

static int keeps_an_admin(struct control *control, struct request *request,
                          const struct what_if *what_if, struct err *err)
{
	bool platform = strcmp(request->tenant, "platform") == 0;
	const char *role = platform ? "operator" : "tenant-admin";
	bool before = false, after = false, looked = false;
	if (strcmp(request->asker.tenant, request->tenant) != 0 || !control->bindings)
		return 0;
	TRY(note_admins(control, request, err));
	TRY(lockout_check(control, request, what_if, &looked, err));
	request->takes_admin = looked;
	if (!takes_away(control, what_if))
		return 0;
	TRY(bindings_has_holder(control->bindings, request->arena, request->tenant, role, NULL,
	                        &before, err));
	TRY(bindings_has_holder(control->bindings, request->arena, request->tenant, role, what_if,
	                        &after, err));
	if (!before || after) {
		request->takes_admin |= before;
		return 0;
	}
	return err_set(err, E_CONFLICT,
	               "%s would be left without %s who is not "
	               "disabled, and nobody in it could make one; give the role to another "
	               "first%s",
	               request->tenant, platform ? "an operator" : "a tenant-admin",
	               platform ? "" : ", or ask the platform's operator");
}

int grants_guard(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct change *change = NULL;
	struct value *now = value_map(request->arena);
	(void)control;
	if (!request->takes_admin || !request->change)
		return 0;
	value_set_str(now, "tenant", request->tenant);
	value_set_str(now, "request", request->id);
	TRY(value_check(now, err));
	TRY(request_change(request, &change, err));
	return change_put(change, admins_key(key, request->tenant), now, request->admins_revision,
	                  err);
}

/* --- each kind --- */

static int in_reach_by_kind(struct control *control, const struct request *request,
                            const struct manifest *manifest, const struct value *before,
                            const struct what_if *what_if, struct err *err)
{
	char group[NAME_MAX_LEN + 16];
	const struct value *old = value_get(before, "spec"),
			   *new = value_get(what_if->value, "spec");
	struct reach reach = {control, request, ""};
	struct binding before_is, after_is;
	switch (manifest->kind) {
	case KIND_PRINCIPAL:
		return subject_in_reach(control, request, manifest->name, what_if, err);
	case KIND_GROUP:
		snprintf(group, sizeof group, GROUP_SUBJECT "%s", manifest->name);
		return subject_in_reach(control, request, group, what_if, err);
	case KIND_ROLEBINDING:
		before_is = binding_of(old);
		after_is = binding_of(new);
		if (old)
			TRY(in_reach(&reach, &before_is, err));
		return !new ? 0 : in_reach(&reach, &after_is, err);
	case KIND_DOMAIN:
		if (value_equal(value_get(old, "owners"), value_get(new, "owners")))
			return 0;
		after_is = (struct binding){.role = "domain-owner", .domain = manifest->name};
		return in_reach(&reach, &after_is, err);
	default:
		return 0;
	}
}

static bool concerns(enum kind kind)
{
	return kind == KIND_PRINCIPAL || kind == KIND_GROUP || kind == KIND_ROLEBINDING ||
	       kind == KIND_DOMAIN;
}

/* The resource as it would be, as far as bindings go. */
static int wanted(const struct request *request, const struct manifest *manifest,
                  struct value **ret_value, struct err *err)
{
	struct value *value = value_map(request->arena);
	value_set(value, "spec",
	          manifest->spec ? value_copy(request->arena, manifest->spec)
	                         : value_map(request->arena));
	TRY(value_check(value, err));
	*ret_value = value;
	return 0;
}

int grants_put(struct control *control, struct request *request, const struct manifest *manifest,
               const struct value *before, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *after = NULL;
	if (!concerns(manifest->kind) || !control->bindings)
		return 0;
	TRY(wanted(request, manifest, &after, err));
	catalog_key(key, manifest->kind, manifest->tenant, NULL, manifest->name);
	const struct what_if what_if = {key, after};
	TRY(check_roles(manifest, err));
	TRY(all_exist(control, request, manifest, err));
	if (manifest->kind == KIND_PRINCIPAL) {
		TRY(is_service(control, request, before, err));
		TRY(is_service(control, request, after, err));
	}
	TRY(in_reach_by_kind(control, request, manifest, before, &what_if, err));
	TRY(bindings_check_room(control->bindings, request->arena, manifest->tenant, &what_if,
	                        err));
	/* Who is new takes nothing from others. */
	if (manifest->kind == KIND_DOMAIN || (!before && manifest->kind == KIND_PRINCIPAL))
		return 0;
	return keeps_an_admin(control, request, &what_if, err);
}

static int still_named(const struct manifest *manifest, const char *key, struct err *err)
{
	const char *kind = strchr(key, '/');
	const char *name = strrchr(key, '/');
	if (!key[0])
		return 0;
	return err_set(err, E_CONFLICT,
	               "the %s %s is still named by the %.*s %s; take it out of "
	               "that first",
	               kind_info[manifest->kind].name, manifest->name, (int)strcspn(kind + 1, "/"),
	               kind + 1, name + 1);
}

static int not_named(struct control *control, const struct manifest *manifest, struct err *err)
{
	char key[STORE_KEY_MAX] = "", group[NAME_MAX_LEN + 16];
	snprintf(group, sizeof group, GROUP_SUBJECT "%s", manifest->name);
	if (manifest->kind == KIND_PRINCIPAL)
		bindings_user_of(control->bindings, manifest->tenant, manifest->name, key);
	/* What a login brings to a group is not its members', who are the group's own. */
	if (manifest->kind == KIND_GROUP)
		bindings_user_of(control->bindings, manifest->tenant, group, key);
	if (manifest->kind == KIND_DOMAIN)
		bindings_user_of_domain(control->bindings, manifest->tenant, manifest->name, key);
	const struct binding place = {.domain = manifest->domain,
	                              .kind = kind_info[manifest->kind].kind,
	                              .name = manifest->name};
	if (kind_info[manifest->kind].scope == SCOPE_DOMAIN)
		bindings_user_of_resource(control->bindings, manifest->tenant, &place, key);
	return still_named(manifest, key, err);
}

int grants_delete(struct control *control, struct request *request, const struct manifest *manifest,
                  struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *before = NULL;
	if (control->bindings && kind_info[manifest->kind].scope == SCOPE_DOMAIN)
		return not_named(control, manifest, err);
	if (!concerns(manifest->kind) || !control->bindings)
		return 0;
	catalog_key(key, manifest->kind, manifest->tenant, NULL, manifest->name);
	const struct what_if what_if = {key, NULL};
	TRY(catalog_get(control->catalog, request->arena, key, &before, NULL, err));
	TRY(not_named(control, manifest, err));
	if (manifest->kind == KIND_DOMAIN)
		return 0;
	if (manifest->kind == KIND_PRINCIPAL)
		TRY(is_service(control, request, before, err));
	TRY(in_reach_by_kind(control, request, manifest, before, &what_if, err));
	return keeps_an_admin(control, request, &what_if, err);
}

int grants_keys(struct control *control, struct request *request, const char *principal,
                struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	if (!control->bindings)
		return 0;
	catalog_key(key, KIND_PRINCIPAL, request->tenant, NULL, principal);
	TRY(catalog_get(control->catalog, request->arena, key, &stored, NULL, err));
	TRY(is_service(control, request, stored, err));
	return subject_in_reach(control, request, principal, NULL, err);
}
