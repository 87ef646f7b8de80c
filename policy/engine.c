/* engine.c - see engine.h. Templates are linked once an engine, for the roles as such: who has a
 * role is in its entity, so that a binding changes no policy. What every request can name - the
 * actions with their roles, the tenant, its domains - is the engine's world; a request adds who
 * asks and what is asked about (engine_scene.c). */
#include "common/defs.h"
#include "policy/engine.h"

#include "policy/engine_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENGINE_BYTES = 256 * MIB, WORLD_BYTES = 64 * MIB, ID_MAX = 512 };

#define ROLE_HEAD "role:"

/* --- its policies --- */

static int add_templates(struct cedar_set *set, struct err *err)
{
	char text[ID_MAX], prefix[ENGINE_NAME_MAX];
	for (size_t i = 0; i < role_count(); i++) {
		enum role_reach reach;
		const char *name = role_at(i, &reach);
		snprintf(prefix, sizeof prefix, ROLE_HEAD "%s#", name);
		int len = snprintf(text, sizeof text,
		                   "permit(principal in ?principal, action in Action::\"role:%s\", "
		                   "resource%s);",
		                   name, reach == REACH_PLATFORM ? "" : " in ?resource");
		TRY(cedar_set_add(set, text, (size_t)len, prefix, err));
	}
	return 0;
}

/* One role of one place, for a resource and all that is in it. where NULL: for everything. */
static int add_link(struct cedar_set *set, const char *role, const struct cedar_uid *holder,
                    const struct cedar_uid *where, struct err *err)
{
	char template[ENGINE_NAME_MAX], id[2 * ID_MAX];
	snprintf(template, sizeof template, ROLE_HEAD "%s#0", role);
	snprintf(id, sizeof id, ROLE_HEAD "%s@%.*s>%.*s", role, (int)holder->id.len,
	         holder->id.text, where ? (int)where->id.len : 0, where ? where->id.text : "");
	return cedar_set_link(set, template, id, holder, where, err);
}

/* Whoever has it in any domain is in the holder of all domains, too. */
static int link_in_domains(const struct engine *engine, const struct engine_conf *conf,
                           const struct engine_role *role, struct err *err)
{
	TRY(add_link(engine->set, role->name, &role->domains, &engine->commons, err));
	TRY(add_link(engine->set, role->name, &role->domains, &engine->platform, err));
	TRY(add_link(engine->set, role->name, &role->resources, &role->held, err));
	for (size_t i = 0; i < conf->domain_count; i++) {
		char holder_id[ID_MAX], domain_id[ID_MAX];
		struct cedar_uid holder, domain;
		snprintf(holder_id, sizeof holder_id, "%s/%s/%s", conf->tenant, conf->domains[i],
		         role->name);
		snprintf(domain_id, sizeof domain_id, "%s/%s", conf->tenant, conf->domains[i]);
		cedar_uid_init_like(&holder, &engine->role, cedar_str(holder_id));
		cedar_uid_init_like(&domain, &engine->domain, cedar_str(domain_id));
		TRY(add_link(engine->set, role->name, &holder, &domain, err));
	}
	return 0;
}

static int add_links(const struct engine *engine, const struct engine_conf *conf, struct err *err)
{
	for (size_t i = 0; i < engine->role_count; i++) {
		const struct engine_role *role = &engine->roles[i];
		enum role_reach reach;
		role_at(i, &reach);
		if (reach == REACH_PLATFORM) {
			char holder_id[ID_MAX];
			struct cedar_uid holder;
			snprintf(holder_id, sizeof holder_id, "platform/%s", role->name);
			cedar_uid_init_like(&holder, &engine->role, cedar_str(holder_id));
			TRY(add_link(engine->set, role->name, &holder, NULL, err));
			continue;
		}
		TRY(add_link(engine->set, role->name, &role->tenant, &engine->own_tenant, err));
		TRY(add_link(engine->set, role->name, &role->tenant, &engine->platform, err));
		if (reach == REACH_DOMAIN)
			TRY(link_in_domains(engine, conf, role, err));
	}
	return 0;
}

static int add_policies(struct cedar_set *set, const struct engine_conf *conf, struct err *err)
{
	char prefix[ID_MAX];
	if (conf->policy_count > ENGINE_POLICIES_MAX)
		return err_set(err, E_TOO_LARGE, "a tenant has at most %d policies, not %zu",
		               ENGINE_POLICIES_MAX, conf->policy_count);
	for (size_t i = 0; i < conf->policy_count; i++) {
		const struct engine_policy *policy = &conf->policies[i];
		size_t len = strlen(policy->text);
		if (len > ENGINE_TEXT_MAX)
			return err_set(err, E_TOO_LARGE, "the policy %s has %zu bytes; at most %d",
			               policy->name, len, ENGINE_TEXT_MAX);
		snprintf(prefix, sizeof prefix, "%s.", policy->name);
		if (cedar_set_add(set, policy->text, len, prefix, err) < 0)
			return err_prefix(err, "policy %s", policy->name);
	}
	return 0;
}

/* --- the world --- */

static int no_world(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory for the domains and actions that policies are "
	               "decided over");
}

struct cedar_str engine_path(struct arena *arena, const char *const *parts, size_t count)
{
	size_t len = count - 1;
	for (size_t i = 0; i < count; i++)
		len += strlen(parts[i]);
	char *text = arena_alloc(arena, len + 1), *at = text;
	for (size_t i = 0; text && i < count; i++) {
		size_t part = strlen(parts[i]);
		if (i)
			*at++ = '/';
		memcpy(at, parts[i], part);
		at += part;
	}
	return (struct cedar_str){ text, text ? len : 0 };
}

/* With an id of two or three parts; the third may be NULL. */
static int name_uid(struct engine *engine, const struct cedar_uid *like, const char *first,
                    const char *second, const char *third, struct cedar_uid *ret_uid,
                    struct err *err)
{
	const char *parts[] = { first, second, third };
	struct cedar_str id = engine_path(engine->arena, parts, third ? 3 : 2);
	if (!id.text)
		return no_world(err);
	cedar_uid_init_like(ret_uid, like, id);
	return 0;
}

static int name_roles(struct engine *engine, struct err *err)
{
	struct cedar_uid held;
	cedar_uid_init(&held, CEDAR_STR("Held"), CEDAR_STR(""));
	engine->role_count = role_count();
	REQUIRE(engine->role_count <= ENGINE_ROLES_MAX);
	for (size_t i = 0; i < engine->role_count; i++) {
		enum role_reach reach;
		struct engine_role *role = &engine->roles[i];
		const char *tenant = engine->tenant;
		role->name = role_at(i, &reach);
		TRY(name_uid(engine, &engine->role, tenant, role->name, NULL, &role->tenant, err));
		TRY(name_uid(engine, &engine->role, tenant, "*", role->name, &role->domains, err));
		TRY(name_uid(engine, &engine->role, tenant, "*/*", role->name, &role->resources,
		             err));
		TRY(name_uid(engine, &held, tenant, role->name, NULL, &role->held, err));
	}
	return 0;
}

static void name_types(struct engine *engine)
{
	static const struct cedar_str none = { "", 0 };
	struct cedar_uid type;
	cedar_uid_init(&engine->user, CEDAR_STR("User"), none);
	cedar_uid_init(&engine->group, CEDAR_STR("Group"), none);
	cedar_uid_init(&engine->role, CEDAR_STR("Role"), none);
	cedar_uid_init(&engine->domain, CEDAR_STR("Domain"), none);
	cedar_uid_init(&engine->column, CEDAR_STR("Column"), none);
	cedar_uid_init(&engine->action, CEDAR_STR("Action"), none);
	cedar_uid_init(&engine->platform, CEDAR_STR("Platform"), CEDAR_STR("freehold"));
	cedar_uid_init(&type, CEDAR_STR("Tenant"), cedar_str(engine->tenant));
	engine->own_tenant = type;
	cedar_uid_init(&type, CEDAR_STR("Commons"), cedar_str(engine->tenant));
	engine->commons = type;
}

bool engine_reads(const char *action)
{
	const char *verb = strchr(action, ':');
	return verb && strncmp(verb, ":read", 5) == 0;
}

/* In "read" or "write", and in "role:ROLE" of each role that permits it. */
static int add_action(struct engine *engine, enum action action, const struct cedar_uid *roles,
                      const struct cedar_uid *ways, struct err *err)
{
	const char *name = action_name(action);
	const struct cedar_uid **parents =
		arena_alloc(engine->arena, (engine->role_count + 1) * sizeof *parents);
	struct cedar_entity entity = { .parents = parents };
	if (!parents)
		return no_world(err);
	parents[entity.parent_count++] = &ways[engine_reads(name) ? 0 : 1];
	for (size_t i = 0; i < engine->role_count; i++)
		if (role_has_action(engine->roles[i].name, action))
			parents[entity.parent_count++] = &roles[i];
	cedar_uid_init_like(&entity.uid, &engine->action, cedar_str(name));
	return cedar_entities_add(engine->world, &entity, err);
}

static int add_actions(struct engine *engine, struct err *err)
{
	size_t bytes = (engine->role_count + 2) * sizeof(struct cedar_uid);
	struct cedar_uid *ways = arena_alloc(engine->arena, bytes);
	if (!ways)
		return no_world(err);
	cedar_uid_init_like(&ways[0], &engine->action, CEDAR_STR("read"));
	cedar_uid_init_like(&ways[1], &engine->action, CEDAR_STR("write"));
	for (size_t i = 0; i < engine->role_count; i++) {
		char *id = arena_printf(engine->arena, ROLE_HEAD "%s", engine->roles[i].name);
		if (!id)
			return no_world(err);
		cedar_uid_init_like(&ways[2 + i], &engine->action, cedar_str(id));
	}
	for (int action = 0; action < ACTION_COUNT_; action++)
		TRY(add_action(engine, (enum action)action, ways + 2, ways, err));
	return 0;
}

static int add_places(struct engine *engine, const struct engine_conf *conf, struct err *err)
{
	const struct cedar_uid **parent = arena_alloc(engine->arena, sizeof *parent);
	struct cedar_entity entity = { .uid = engine->platform };
	if (!parent)
		return no_world(err);
	TRY(cedar_entities_add(engine->world, &entity, err));
	entity.uid = engine->own_tenant;
	TRY(cedar_entities_add(engine->world, &entity, err));
	*parent = &engine->own_tenant;
	entity = (struct cedar_entity){ .uid = engine->commons, .parents = parent,
		                        .parent_count = 1 };
	TRY(cedar_entities_add(engine->world, &entity, err));
	for (size_t i = 0; i < conf->domain_count; i++) {
		TRY(name_uid(engine, &engine->domain, engine->tenant, conf->domains[i], NULL,
		             &entity.uid, err));
		TRY(cedar_entities_add(engine->world, &entity, err));
	}
	return 0;
}

static int make_world(struct engine *engine, const struct engine_conf *conf, struct err *err)
{
	TRY(arena_new(WORLD_BYTES, &engine->arena, err));
	TRY(cedar_entities_new(engine->arena, &engine->world, err));
	name_types(engine);
	TRY(name_roles(engine, err));
	TRY(add_actions(engine, err));
	TRY(add_places(engine, conf, err));
	return cedar_entities_close(engine->world, err);
}

/* --- life --- */

int engine_new(const struct engine_conf *conf, struct engine **ret_engine, struct err *err)
{
	AUTO(engine) *engine = calloc(1, sizeof *engine);
	if (!engine)
		return err_set(err, E_NOMEM, "no memory for the policies of %s", conf->tenant);
	atomic_init(&engine->holds, 1);
	engine->key = hash_key_of_process();
	snprintf(engine->tenant, sizeof engine->tenant, "%s", conf->tenant);
	TRY(make_world(engine, conf, err));
	TRY(cedar_set_new(conf->bytes_max ? conf->bytes_max : ENGINE_BYTES, &engine->set, err));
	TRY(add_templates(engine->set, err));
	TRY(add_links(engine, conf, err));
	TRY(add_policies(engine->set, conf, err));
	TRY(cedar_set_close(engine->set, err));
	TRY(policy_digest(conf->policies, conf->policy_count, engine->digest, err));
	*ret_engine = MOVE(engine);
	return 0;
}

void engine_hold(struct engine *engine)
{
	atomic_fetch_add(&engine->holds, 1);
}

void engine_free(struct engine *engine)
{
	if (!engine || atomic_fetch_sub(&engine->holds, 1) > 1)
		return;
	cedar_set_free(engine->set);
	arena_free(engine->arena);
	free(engine);
}

size_t engine_bytes(const struct engine *engine)
{
	return cedar_set_bytes(engine->set) + arena_used(engine->arena);
}

size_t engine_count(const struct engine *engine)
{
	return cedar_set_count(engine->set);
}

const char *engine_digest(const struct engine *engine)
{
	return engine->digest;
}

/* --- decided --- */

/* "role:consumer@acme/sales/consumer>acme/sales" is told as "consumer". */
const char *engine_rule(struct arena *arena, const struct cedar_policy *policy)
{
	struct cedar_str id = policy->id;
	const size_t head = strlen(ROLE_HEAD);
	const char *at = id.len > head && strncmp(id.text, ROLE_HEAD, head) == 0
		? memchr(id.text, '@', id.len) : NULL;
	if (at)
		id = (struct cedar_str){ id.text + head, (size_t)(at - id.text) - head };
	return arena_strndup(arena, id.text, id.len);
}

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory left to decide a request; it is denied");
}

/* Depth is bounded by CEDAR_DEPTH_MAX. */
static bool speaks_of_rows(const struct cedar_expr *expr)
{
	if (!expr)
		return false;
	if (expr->op == CEDAR_OP_GET_ATTR && expr->name.len == 3 &&
	    memcmp(expr->name.text, "row", 3) == 0)
		return true;
	for (size_t i = 0; i < expr->count; i++)
		if (speaks_of_rows(expr->args[i]))
			return true;
	return false;
}

/* The first that failed; one on rows only where no other did. */
static int tell_failure(struct arena *arena, const struct cedar_answer *decided, bool row,
                        struct engine_answer *answer, struct err *err)
{
	size_t at = 0;
	while (!row && at < decided->error_count &&
	       speaks_of_rows(decided->errors[at].policy->condition))
		at++;
	answer->of_rows = at == decided->error_count;
	const struct cedar_failure *failure = &decided->errors[answer->of_rows ? 0 : at];
	const char *id = engine_rule(arena, failure->policy);
	const char *reason = answer->of_rows ? "it speaks of rows, and no row is asked about"
	                                     : failure->reason;
	answer->failure = id ? arena_printf(arena, "%s: %s", id, reason) : NULL;
	return answer->failure ? 0 : no_room(err);
}

static int tell(struct arena *arena, const struct cedar_answer *decided, bool row,
                struct engine_answer *ret_answer, struct err *err)
{
	struct engine_answer answer = { .allowed = decided->allowed,
		                        .skipped = decided->error_count };
	for (size_t i = 0; i < decided->reason_count && i < ENGINE_RULES_MAX; i++) {
		const char *rule = engine_rule(arena, decided->reasons[i]);
		if (!rule)
			return no_room(err);
		answer.rules[answer.rule_count++] = rule;
	}
	if (decided->error_count)
		TRY(tell_failure(arena, decided, row, &answer, err));
	*ret_answer = answer;
	return 0;
}

int engine_decide(const struct engine *engine, struct arena *arena, const struct engine_ask *ask,
                  struct engine_answer *ret_answer, struct err *err)
{
	struct engine_scene scene;
	struct cedar_answer decided;
	TRY(engine_scene(engine, arena, ask, &scene, err));
	TRY(cedar_entities_close(scene.entities, err));
	TRY(cedar_set_decide(scene.set, arena, &scene.request, scene.entities, &decided, err));
	return tell(arena, &decided, ask->resource.row != NULL, ret_answer, err);
}
