/* engine.c - see engine.h. Templates are linked once an engine, for the roles as such: who has a
 * role is in its entity, so that a binding changes no policy. Only what a request names is an
 * entity: the caller, the action, what is asked about, and what these are in. */
#include "common/defs.h"
#include "policy/engine.h"

#include "policy/cedar_ip.h"
#include "policy/engine_impl.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* roles.def names actions without a prefix: here they are. */
enum {
#define ACTION(id, name, meaning) id = ACTION_##id,
#include "policy/actions.def"
#undef ACTION
};

enum reach { PLATFORM, TENANT, DOMAIN };
enum { ENGINE_BYTES = 64 * MIB, ID_MAX = 512, ROLE_ID_MAX = 80, LEVELS_MAX = 6,
       PARENTS_MAX = 2 * BINDINGS_MAX + GROUPS_MAX, PERMITTED_MAX = 64 };

static const struct role {
	const char *name;
	enum reach reach;
	int actions[ACTION_COUNT_];      /* ends with ACTION_PUBLIC, which no role has */
} roles[] = {
#define ROLE(id, name, reach, ...) { name, reach, { __VA_ARGS__ } },
#include "policy/roles.def"
#undef ROLE
};

#define ROLE_HEAD "role:"

struct engine {
	atomic_int holds;
	struct cedar_set *set;
	char tenant[ROLE_ID_MAX];
	char digest[POLICY_DIGEST_TEXT];
};

/* --- made --- */

static struct cedar_uid uid_of(const char *type, const char *id)
{
	struct cedar_uid uid;
	cedar_uid_init(&uid, cedar_str(type), cedar_str(id));
	return uid;
}

static int add_templates(struct cedar_set *set, struct err *err)
{
	char text[ID_MAX];
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		const char *name = roles[i].name;
		bool anywhere = roles[i].reach == PLATFORM;
		char prefix[ROLE_ID_MAX];
		snprintf(prefix, sizeof prefix, ROLE_HEAD "%s#", name);
		int len = snprintf(text, sizeof text,
		                   "permit(principal in ?principal, action in Action::\"role:%s\", "
		                   "resource%s);",
		                   name, anywhere ? "" : " in ?resource");
		TRY(cedar_set_add(set, text, (size_t)len, prefix, err));
	}
	return 0;
}

/* One role of one place, for a resource and all that is in it. where NULL: for everything. */
struct link { const char *role, *holder, *type, *id; };

static int add_link(struct cedar_set *set, const struct link *link, struct err *err)
{
	char template[ROLE_ID_MAX], id[ID_MAX];
	struct cedar_uid principal = uid_of("Role", link->holder);
	struct cedar_uid resource = uid_of(link->type ? link->type : "", link->id ? link->id : "");
	snprintf(template, sizeof template, ROLE_HEAD "%s#0", link->role);
	snprintf(id, sizeof id, ROLE_HEAD "%s@%s>%s", link->role, link->holder,
	         link->id ? link->id : "");
	return cedar_set_link(set, template, id, &principal, link->type ? &resource : NULL, err);
}

static int link_in_tenant(struct cedar_set *set, const char *tenant, const char *role,
                          struct err *err)
{
	char holder[ID_MAX];
	snprintf(holder, sizeof holder, "%s/%s", tenant, role);
	TRY(add_link(set, &(struct link){ role, holder, "Tenant", tenant }, err));
	return add_link(set, &(struct link){ role, holder, "Platform", "freehold" }, err);
}

/* Whoever has it in any domain is in the holder of all domains, too. */
static int link_in_domains(struct cedar_set *set, const struct engine_conf *conf, const char *role,
                           struct err *err)
{
	char holder[ID_MAX], domain[ID_MAX];
	snprintf(holder, sizeof holder, "%s/*/%s", conf->tenant, role);
	TRY(add_link(set, &(struct link){ role, holder, "Commons", conf->tenant }, err));
	TRY(add_link(set, &(struct link){ role, holder, "Platform", "freehold" }, err));
	for (size_t i = 0; i < conf->domain_count; i++) {
		snprintf(holder, sizeof holder, "%s/%s/%s", conf->tenant, conf->domains[i], role);
		snprintf(domain, sizeof domain, "%s/%s", conf->tenant, conf->domains[i]);
		TRY(add_link(set, &(struct link){ role, holder, "Domain", domain }, err));
	}
	return 0;
}

static int add_links(struct cedar_set *set, const struct engine_conf *conf, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		char holder[ID_MAX];
		if (roles[i].reach == PLATFORM) {
			snprintf(holder, sizeof holder, "platform/%s", roles[i].name);
			TRY(add_link(set, &(struct link){ roles[i].name, holder, NULL, NULL },
			             err));
			continue;
		}
		TRY(link_in_tenant(set, conf->tenant, roles[i].name, err));
		if (roles[i].reach == DOMAIN)
			TRY(link_in_domains(set, conf, roles[i].name, err));
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

int engine_new(const struct engine_conf *conf, struct engine **ret_engine, struct err *err)
{
	AUTO(cedar_set) *set = NULL;
	char digest[POLICY_DIGEST_TEXT];
	TRY(cedar_set_new(conf->bytes_max ? conf->bytes_max : ENGINE_BYTES, &set, err));
	TRY(add_templates(set, err));
	TRY(add_links(set, conf, err));
	TRY(add_policies(set, conf, err));
	TRY(cedar_set_close(set, err));
	TRY(policy_digest(conf->policies, conf->policy_count, digest, err));
	struct engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return err_set(err, E_NOMEM, "no memory for the policies of %s", conf->tenant);
	snprintf(engine->tenant, sizeof engine->tenant, "%s", conf->tenant);
	memcpy(engine->digest, digest, sizeof digest);
	atomic_init(&engine->holds, 1);
	engine->set = MOVE(set);
	*ret_engine = engine;
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
	free(engine);
}

size_t engine_bytes(const struct engine *engine)
{
	return cedar_set_bytes(engine->set);
}

size_t engine_count(const struct engine *engine)
{
	return cedar_set_count(engine->set);
}

const char *engine_digest(const struct engine *engine)
{
	return engine->digest;
}

/* --- what a request names --- */

struct scene {
	const struct engine *engine;
	struct arena *arena;
	const struct engine_ask *ask;
	struct cedar_entities *entities;
	struct cedar_request request;
	struct err *err;
};

static int no_room(struct scene *scene)
{
	return err_set(scene->err, E_NOMEM, "no memory left to decide a request; it is denied");
}

/* NULL: no memory. */
static const struct cedar_uid *uid_new(struct scene *scene, const char *type, const char *id)
{
	struct cedar_uid *uid = id ? arena_alloc(scene->arena, sizeof *uid) : NULL;
	if (uid)
		*uid = uid_of(type, id);
	return uid;
}

static struct cedar_field text_field(const char *name, const char *text)
{
	return (struct cedar_field){ cedar_str(name),
		                     { .kind = CEDAR_STRING, .str = cedar_str(text) } };
}

static int record_of(struct scene *scene, const struct cedar_field *fields, size_t count,
                     const struct cedar_record **ret_record)
{
	struct cedar_field *copy = arena_alloc(scene->arena, (count + 1) * sizeof *copy);
	if (!copy)
		return no_room(scene);
	if (count)
		memcpy(copy, fields, count * sizeof *copy);
	return cedar_record_new(scene->arena, copy, count, ret_record, scene->err);
}

static int add_entity(struct scene *scene, const struct cedar_uid *uid,
                      const struct cedar_uid *const *parents, size_t parent_count,
                      const struct cedar_record *attrs)
{
	if (!uid)
		return no_room(scene);
	const struct cedar_entity entity = { .uid = *uid, .attrs = attrs, .parents = parents,
		                             .parent_count = parent_count };
	return cedar_entities_add(scene->entities, &entity, scene->err);
}

/* The holders that a binding puts its owner in: of the place, and of any domain. */
static size_t holders_of(struct scene *scene, const struct binding *binding,
                         const struct cedar_uid **parents)
{
	const char *tenant = scene->ask->asker->tenant;
	struct arena *arena = scene->arena;
	if (!binding->domain) {
		parents[0] = uid_new(scene, "Role",
		                     arena_printf(arena, "%s/%s", tenant, binding->role));
		return 1;
	}
	parents[0] = uid_new(scene, "Role", arena_printf(arena, "%s/%s/%s", tenant, binding->domain,
	                                                 binding->role));
	parents[1] =
		uid_new(scene, "Role", arena_printf(arena, "%s/*/%s", tenant, binding->role));
	return 2;
}

static int add_principal(struct scene *scene)
{
	static const char *const strengths[] = { [AUTH_NONE] = "none", [AUTH_KEY] = "key",
		                                 [AUTH_TOKEN] = "token", [AUTH_OIDC] = "oidc" };
	const struct asker *asker = scene->ask->asker;
	const struct cedar_uid **parents =
		arena_alloc(scene->arena, PARENTS_MAX * sizeof *parents);
	const struct cedar_field fields[] = {
		text_field("tenant", asker->tenant), text_field("name", asker->principal),
		text_field("strength", strengths[asker->auth]),
	};
	const struct cedar_record *attrs = NULL;
	size_t count = 0;
	if (!parents)
		return no_room(scene);
	for (size_t i = 0; i < asker->binding_count && i < BINDINGS_MAX; i++)
		count += holders_of(scene, &asker->bindings[i], parents + count);
	for (size_t i = 0; i < asker->group_count && i < GROUPS_MAX; i++)
		parents[count++] =
			uid_new(scene, "Group", arena_printf(scene->arena, "%s/%s", asker->tenant,
		                                             asker->groups[i]));
	for (size_t i = 0; i < count; i++)
		if (!parents[i])
			return no_room(scene);
	TRY(record_of(scene, fields, ARRAY_LEN(fields), &attrs));
	const struct cedar_uid *uid =
		uid_new(scene, "User",
	                arena_printf(scene->arena, "%s/%s", asker->tenant, asker->principal));
	TRY(add_entity(scene, uid, parents, count, attrs));
	scene->request.principal = *uid;
	return 0;
}

static bool role_permits(const struct role *role, const char *action)
{
	for (size_t i = 0; i < ACTION_COUNT_ && role->actions[i] != ACTION_PUBLIC; i++)
		if (strcmp(action_name((enum action)role->actions[i]), action) == 0)
			return true;
	return false;
}

static int add_action(struct scene *scene)
{
	const char *action = scene->ask->action, *verb = strchr(action, ':');
	const struct cedar_uid *parents[ARRAY_LEN(roles) + 1], **kept;
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (role_permits(&roles[i], action))
			parents[count++] =
				uid_new(scene, "Action",
			                arena_printf(scene->arena, "role:%s", roles[i].name));
	parents[count++] = uid_new(
		scene, "Action", verb && strncmp(verb, ":read", 5) == 0 ? "read" : "write");
	for (size_t i = 0; i < count; i++)
		if (!parents[i])
			return no_room(scene);
	kept = arena_alloc(scene->arena, count * sizeof *kept);
	if (!kept)
		return no_room(scene);
	memcpy(kept, parents, count * sizeof *kept);
	const struct cedar_uid *uid = uid_new(scene, "Action", arena_strdup(scene->arena, action));
	TRY(add_entity(scene, uid, kept, count, NULL));
	scene->request.action = *uid;
	return 0;
}

/* --- what is asked about --- */

/* From the outermost in; the last is the resource itself. */
struct chain {
	struct { const char *type, *id; } levels[LEVELS_MAX];
	size_t count;
};

static void chain_add(struct chain *chain, const char *type, const char *id)
{
	chain->levels[chain->count].type = type;
	chain->levels[chain->count++].id = id;
}

static void chain_fill(struct scene *scene, struct chain *chain)
{
	const struct engine_resource *resource = &scene->ask->resource;
	const char *tenant = scene->engine->tenant;
	struct arena *arena = scene->arena;
	if (resource->platform) {
		chain_add(chain, "Platform", "freehold");
		return;
	}
	chain_add(chain, "Tenant", tenant);
	if (!resource->domain && !resource->whole)
		chain_add(chain, "Commons", tenant);
	if (resource->domain)
		chain_add(chain, "Domain", arena_printf(arena, "%s/%s", tenant, resource->domain));
	if (resource->kind)
		chain_add(chain, resource->kind,
		          arena_printf(arena, "%s/%s/%s", tenant,
		                       resource->domain ? resource->domain : "", resource->name));
	if (resource->column)
		chain_add(chain, "Column",
		          arena_printf(arena, "%s/%s/%s/%s", tenant, resource->domain,
		                       resource->name, resource->column));
}

static int tags_of(struct scene *scene, struct cedar_value *ret_value)
{
	const struct value *tags = scene->ask->resource.tags;
	size_t count = value_len(tags);
	struct cedar_value *items = arena_alloc(scene->arena, (count + 1) * sizeof *items);
	if (!items)
		return no_room(scene);
	for (size_t i = 0; i < count; i++) {
		const char *text = value_as_str(value_at(tags, i));
		items[i] = (struct cedar_value){ .kind = CEDAR_STRING,
			                         .str = cedar_str(text ? text : "") };
	}
	ret_value->kind = CEDAR_SET;
	return cedar_items_new(scene->arena, items, count, &ret_value->set, scene->err);
}

static int labels_of(struct scene *scene, struct cedar_value *ret_value)
{
	const struct value *labels = scene->ask->resource.labels;
	size_t count = value_len(labels);
	struct cedar_field *fields = arena_alloc(scene->arena, (count + 1) * sizeof *fields);
	if (!fields)
		return no_room(scene);
	for (size_t i = 0; i < count; i++) {
		const char *name = NULL, *text = value_as_str(value_member(labels, i, &name));
		fields[i] = text_field(name, text ? text : "");
	}
	ret_value->kind = CEDAR_RECORD;
	return cedar_record_new(scene->arena, fields, count, &ret_value->record, scene->err);
}

static int resource_attrs(struct scene *scene, const struct cedar_record **ret_attrs)
{
	const struct engine_resource *resource = &scene->ask->resource;
	const char *name = resource->column ? resource->column : resource->name;
	struct cedar_field fields[5] = { text_field("tenant", scene->engine->tenant) };
	size_t count = 1;
	if (resource->domain)
		fields[count++] = text_field("domain", resource->domain);
	if (name)
		fields[count++] = text_field("name", name);
	fields[count].name = CEDAR_STR("tags");
	TRY(tags_of(scene, &fields[count++].value));
	fields[count].name = CEDAR_STR("labels");
	TRY(labels_of(scene, &fields[count++].value));
	return record_of(scene, fields, count, ret_attrs);
}

static int add_resource(struct scene *scene)
{
	struct chain chain = { .count = 0 };
	const struct cedar_uid *above = NULL;
	const struct cedar_record *attrs = NULL;
	chain_fill(scene, &chain);
	TRY(resource_attrs(scene, &attrs));
	for (size_t i = 0; i < chain.count; i++) {
		bool last = i + 1 == chain.count;
		const struct cedar_uid **parent = arena_alloc(scene->arena, sizeof *parent);
		const struct cedar_uid *uid =
			uid_new(scene, chain.levels[i].type, chain.levels[i].id);
		if (!parent)
			return no_room(scene);
		*parent = above;
		TRY(add_entity(scene, uid, parent, above ? 1 : 0, last ? attrs : NULL));
		above = uid;
	}
	scene->request.resource = *above;
	return 0;
}

static int add_context(struct scene *scene)
{
	const struct engine_ask *ask = scene->ask;
	struct cedar_field fields[3] = { { CEDAR_STR("now"), { .kind = CEDAR_DATETIME,
		                                               .i = ask->now_ms } } };
	struct cedar_ip *ip = arena_alloc(scene->arena, sizeof *ip);
	size_t count = 1;
	if (!ip)
		return no_room(scene);
	if (ask->address && cedar_ip_parse(cedar_str(ask->address), ip))
		fields[count++] = (struct cedar_field){ CEDAR_STR("address"),
			                                { .kind = CEDAR_IP, .ip = ip } };
	if (ask->purpose)
		fields[count++] = text_field("purpose", ask->purpose);
	return record_of(scene, fields, count, &scene->request.context);
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

static int tell(struct scene *scene, const struct cedar_answer *decided,
                struct engine_answer *ret_answer)
{
	struct engine_answer answer = { .allowed = decided->allowed,
		                        .skipped = decided->error_count };
	for (size_t i = 0; i < decided->reason_count && i < ENGINE_RULES_MAX; i++) {
		const char *rule = engine_rule(scene->arena, decided->reasons[i]);
		if (!rule)
			return no_room(scene);
		answer.rules[answer.rule_count++] = rule;
	}
	if (decided->error_count) {
		const char *id = engine_rule(scene->arena, decided->errors[0].policy);
		answer.failure = !id ? NULL : arena_printf(scene->arena, "%s: %s", id,
		                                           decided->errors[0].reason);
		if (!answer.failure)
			return no_room(scene);
	}
	*ret_answer = answer;
	return 0;
}

int engine_scene(const struct engine *engine, struct arena *arena, const struct engine_ask *ask,
                 struct engine_scene *ret_scene, struct err *err)
{
	struct scene scene = { .engine = engine, .arena = arena, .ask = ask, .err = err };
	TRY(cedar_entities_new(arena, &scene.entities, err));
	TRY(add_principal(&scene));
	TRY(add_action(&scene));
	TRY(add_resource(&scene));
	TRY(add_context(&scene));
	*ret_scene = (struct engine_scene){ engine->set, scene.entities, scene.request };
	return 0;
}

int engine_decide(const struct engine *engine, struct arena *arena, const struct engine_ask *ask,
                  struct engine_answer *ret_answer, struct err *err)
{
	struct scene scene = { .engine = engine, .arena = arena, .ask = ask, .err = err };
	struct engine_scene made;
	struct cedar_answer decided;
	TRY(engine_scene(engine, arena, ask, &made, err));
	TRY(cedar_entities_close(made.entities, err));
	TRY(cedar_set_decide(made.set, arena, &made.request, made.entities, &decided, err));
	return tell(&scene, &decided, ret_answer);
}
