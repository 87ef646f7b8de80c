/* policy.c - the built-in roles, as tables out of actions.def and roles.def. Default deny: whatever
 * no row permits is refused, and so is an asker, role or action that is not known. */
#include "common/defs.h"
#include "policy/policy.h"

#include <string.h>

/* roles.def names actions without a prefix: here they are. */
enum {
#define ACTION(id, name, meaning) id = ACTION_##id,
#include "policy/actions.def"
#undef ACTION
};

struct role {
	const char *name;
	enum role_reach reach;
	size_t count;
	int actions[ACTION_COUNT_];
};

static const struct role roles[] = {
#define ROLE(id, name, reach, ...) \
	{ name, REACH_##reach, sizeof (int[]){ __VA_ARGS__ } / sizeof(int), { __VA_ARGS__ } },
#include "policy/roles.def"
#undef ROLE
};

static const char *const action_names[ACTION_COUNT_] = {
#define ACTION(id, name, meaning) [ACTION_##id] = name,
#include "policy/actions.def"
#undef ACTION
};

const char *action_name(enum action action)
{
	return (unsigned)action < ACTION_COUNT_ ? action_names[action] : "unknown";
}

static const struct role *role_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(roles); i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}

size_t role_count(void)
{
	return ARRAY_LEN(roles);
}

const char *role_at(size_t i, enum role_reach *ret_reach)
{
	*ret_reach = roles[i].reach;
	return roles[i].name;
}

bool role_known(const char *name)
{
	return role_find(name) != NULL;
}

const char *role_name(const char *name)
{
	const struct role *role = role_find(name);
	return role ? role->name : NULL;
}

bool role_is_wide(const char *name)
{
	const struct role *role = role_find(name);
	return role && role->reach != REACH_DOMAIN;
}

static bool permits(const struct role *role, enum action action)
{
	for (size_t i = 0; i < role->count; i++)
		if (role->actions[i] == (int)action)
			return true;
	return false;
}

bool role_has_action(const char *name, enum action action)
{
	const struct role *role = role_find(name);
	return role && permits(role, action);
}

bool policy_is_operators(enum action action)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (roles[i].reach != REACH_PLATFORM && permits(&roles[i], action))
			return false;
	return true;
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

bool asker_bind_at(struct asker *asker, const struct binding *binding)
{
	if (asker->binding_count >= BINDINGS_MAX)
		return false;
	asker->bindings[asker->binding_count++] = *binding;
	return true;
}

bool asker_bind(struct asker *asker, const char *role, const char *domain)
{
	return asker_bind_at(asker, &(struct binding){ .role = role, .domain = domain });
}

/* A target without a tenant is the platform's; what of it a tenant's role may touch is what its row
 * in roles.def lists, which are reads. The same holds for a target without a domain. */
static bool in_domain(const struct binding *binding, const struct target *target)
{
	if (binding->name) /* nothing but the resource itself */
		return target->tenant && same(binding->domain, target->domain) &&
			same(binding->kind, target->kind) && same(binding->name, target->name);
	return !target->whole && (!target->domain || same(binding->domain, target->domain));
}

static bool reaches(const struct role *role, const struct binding *binding,
                    const struct asker *asker, const struct target *target)
{
	const char *domain = binding->domain;
	bool own_tenant = !target->tenant || same(asker->tenant, target->tenant);
	switch (role->reach) {
	case REACH_PLATFORM:
		return same(asker->tenant, "platform");
	case REACH_TENANT: /* whoever has it in one domain never acts for the whole tenant */
		return own_tenant && !domain;
	case REACH_DOMAIN:
		return own_tenant && (!domain || in_domain(binding, target));
	}
	return false;
}

static bool is_operator(const struct asker *asker)
{
	for (size_t i = 0; i < asker->binding_count && i < BINDINGS_MAX; i++) {
		const struct role *role = role_find(asker->bindings[i].role);
		if (role && role->reach == REACH_PLATFORM && same(asker->tenant, "platform"))
			return true;
	}
	return false;
}

static struct decision by_roles(const struct asker *asker, enum action action,
                                const struct target *target)
{
	for (size_t i = 0; i < asker->binding_count && i < BINDINGS_MAX; i++) {
		const struct binding *binding = &asker->bindings[i];
		const struct role *role = role_find(binding->role);
		if (role && permits(role, action) && reaches(role, binding, asker, target))
			return (struct decision){ .allowed = true, .visible = true,
				                  .rule = role->name,
				                  .policies = &role->name,
				                  .policy_count = 1 };
	}
	return (struct decision){ .visible = true, .rule = "default-deny" };
}

/* "dataset:read", or "dataset:*" for every action of that kind. */
bool scope_covers(const char *scope, const char *name)
{
	size_t len = strlen(scope);
	if (len >= 2 && strcmp(scope + len - 2, ":*") == 0)
		return strncmp(scope, name, len - 1) == 0;
	return strcmp(scope, name) == 0;
}

bool scope_known(const char *scope)
{
	for (int i = 0; i < ACTION_COUNT_; i++)
		if (strchr(action_names[i], ':') && scope_covers(scope, action_names[i]))
			return true;
	return false;
}

static bool in_scope(const struct asker *asker, enum action action)
{
	if (!asker->scoped)
		return true;
	for (size_t i = 0; i < asker->scope_count && i < SCOPES_MAX; i++)
		if (scope_covers(asker->scopes[i], action_name(action)))
			return true;
	return false;
}

bool asker_has_part(const struct asker *asker, enum action action, const char *domain,
                    const char *kind)
{
	if (!in_scope(asker, action))
		return false;
	for (size_t i = 0; i < asker->binding_count && i < BINDINGS_MAX; i++) {
		const struct binding *binding = &asker->bindings[i];
		const struct role *role = role_find(binding->role);
		if (role && role->reach == REACH_DOMAIN && permits(role, action) &&
		    same(binding->domain, domain) &&
		    (!binding->name || same(binding->kind, kind)))
			return true;
	}
	return false;
}

static bool is_someone(const struct asker *asker)
{
	return asker && asker->tenant && asker->principal;
}

struct decision policy_decide(const struct asker *asker, enum action action,
                              const struct target *target)
{
	if (action == ACTION_PUBLIC)
		return (struct decision){ .allowed = true, .visible = true, .rule = "public" };
	if (!is_someone(asker) || (unsigned)action >= ACTION_COUNT_)
		return (struct decision){ .rule = "default-deny" };
	if (action == ACTION_SELF)
		return (struct decision){ .allowed = true, .visible = true, .rule = "self" };
	if (target->tenant && !same(asker->tenant, target->tenant) && !is_operator(asker))
		return (struct decision){ .rule = "other-tenant" };
	if (!in_scope(asker, action))
		return (struct decision){ .visible = true, .rule = "token-scope" };
	struct decision decision = by_roles(asker, action, target);
	if (asker->confined && !decision.allowed)
		decision.rule = "token-scope";
	return decision;
}

/* A token of limited scope is no operator here: it would give itself away what it lacks. */
static bool grants_any(const struct asker *asker)
{
	for (size_t i = 0; i < asker->binding_count && i < BINDINGS_MAX; i++) {
		const struct role *role = role_find(asker->bindings[i].role);
		if (role && role->reach == REACH_PLATFORM && permits(role, ACTION_PRINCIPAL_WRITE))
			return same(asker->tenant, "platform") && !asker->scoped;
	}
	return false;
}

/* The highest of a tenant; in the tenant platform operators are. */
static bool is_highest(const struct asker *asker, const struct target *target)
{
	bool own = same(asker->tenant, target->tenant) && !same(asker->tenant, "platform");
	for (size_t i = 0; i < asker->binding_count && i < BINDINGS_MAX; i++)
		if (same(asker->bindings[i].role, "tenant-admin") && !asker->bindings[i].domain)
			return own && !asker->scoped;
	return false;
}

bool policy_may_grant(const struct asker *asker, const char *name, const struct target *target)
{
	const struct role *role = role_find(name);
	if (grants_any(asker))
		return true;
	if (!role || role->reach == REACH_PLATFORM)
		return false;
	if (is_highest(asker, target))
		return true;
	for (size_t i = 0; i < role->count; i++)
		if (!policy_decide(asker, (enum action)role->actions[i], target).allowed)
			return false;
	return true;
}
