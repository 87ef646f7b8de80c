/* policies.c - see policies.h. One entry a tenant that was asked about, with the count of changes
 * that its engine was made after. Lock order: making, then the mutex; the catalog is read under
 * `making` only. */
#include "common/defs.h"
#include "control/policies.h"

#include "common/crypto.h"
#include "control/hashmap.h"
#include "policy/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES = 64 * MIB };

struct entry {
	struct hash_node by_name;
	struct entry *next;
	struct engine *engine;           /* NULL: no policies, or not made */
	uint64_t changes, made_at;       /* equal: engine is as the catalog is */
	bool broken;                     /* it could not be made: everything is denied */
	char tenant[];
};

struct policies {
	struct catalog *catalog;
	pthread_mutex_t mutex;           /* guards all below */
	pthread_mutex_t making;          /* one engine at a time */
	struct hashmap entries;
	struct entry *first;
	char digest[POLICY_DIGEST_TEXT]; /* where there are none: of the roles alone */
};

int policies_new(struct catalog *catalog, struct policies **ret_policies, struct err *err)
{
	uint64_t seed = 0;
	struct policies *policies = calloc(1, sizeof *policies);
	if (!policies)
		return err_set(err, E_NOMEM, "no memory for policies");
	if (policy_digest(NULL, 0, policies->digest, err) < 0) {
		free(policies);
		return E_NOMEM;
	}
	random_bytes(&seed, sizeof seed);
	policies->catalog = catalog;
	pthread_mutex_init(&policies->mutex, NULL);
	pthread_mutex_init(&policies->making, NULL);
	hashmap_init(&policies->entries, seed);
	*ret_policies = policies;
	return 0;
}

void policies_free(struct policies *policies)
{
	if (!policies)
		return;
	for (struct entry *at = policies->first, *next = NULL; at; at = next) {
		next = at->next;
		engine_free(at->engine);
		free(at);
	}
	hashmap_release(&policies->entries);
	pthread_mutex_destroy(&policies->making);
	pthread_mutex_destroy(&policies->mutex);
	free(policies);
}

static struct entry *entry_of(struct policies *policies, const char *tenant)
{
	struct hash_node *node = hashmap_find(&policies->entries, tenant);
	return node ? HASH_OWNER(node, struct entry, by_name) : NULL;
}

static struct entry *entry_make(struct policies *policies, const char *tenant)
{
	struct entry *entry = entry_of(policies, tenant);
	if (entry)
		return entry;
	size_t len = strlen(tenant) + 1;
	entry = calloc(1, sizeof *entry + len);
	if (!entry)
		return NULL;
	memcpy(entry->tenant, tenant, len);
	entry->changes = 1;
	if (!hashmap_add(&policies->entries, &entry->by_name, entry->tenant)) {
		free(entry);
		return NULL;
	}
	entry->next = policies->first;
	policies->first = entry;
	return entry;
}

void policies_changed(struct policies *policies, const char *key)
{
	static const char *const prefixes[] = { "r/policy/", "r/domain/" };
	for (size_t i = 0; policies && i < ARRAY_LEN(prefixes); i++) {
		size_t len = strlen(prefixes[i]);
		char tenant[128];
		if (strncmp(key, prefixes[i], len) != 0)
			continue;
		snprintf(tenant, sizeof tenant, "%.*s", (int)strcspn(key + len, "/"), key + len);
		pthread_mutex_lock(&policies->mutex);
		struct entry *entry = entry_of(policies, tenant);
		if (entry)
			entry->changes++;
		for (entry = strcmp(tenant, "platform") ? NULL : policies->first; entry;
		     entry = entry->next)
			entry->changes++;
		pthread_mutex_unlock(&policies->mutex);
	}
}

/* Entries are only ever put before the first: those behind it can be walked without the mutex. */
void policies_tenants(struct policies *policies, const char *policy, policies_tenant_fn *visit,
                      void *context)
{
	bool all = strncmp(policy, "platform/", 9) == 0;
	if (!policies)
		return;
	pthread_mutex_lock(&policies->mutex);
	struct entry *entry = policies->first;
	pthread_mutex_unlock(&policies->mutex);
	for (; entry; entry = entry->next) {
		size_t len = strlen(entry->tenant);
		if (all || (strncmp(policy, entry->tenant, len) == 0 && policy[len] == '/'))
			visit(context, entry->tenant);
	}
}

/* --- making an engine --- */

struct made {
	struct arena *arena;
	const struct policies_would *skip;       /* policies of the tenant that are not taken */
	const char **domains;
	struct engine_policy *policies;
	size_t domain_count, policy_count, room;
	const char *prefix;              /* before a policy's name */
};

/* True: there is room for one more of `each` bytes. */
static bool widen(struct made *made, void **items, size_t count, size_t each)
{
	if (count & (count - 1))
		return true;
	void *wider = arena_alloc(made->arena, (count ? 2 * count : 4) * each);
	if (wider && count)
		memcpy(wider, *items, count * each);
	*items = wider;
	return wider != NULL;
}

static int add_domain(struct made *made, const char *name, struct err *err)
{
	void *items = made->domains;
	if (!name || !widen(made, &items, made->domain_count, sizeof *made->domains))
		return err_set(err, E_NOMEM, "no memory for a tenant's domains");
	made->domains = items;
	made->domains[made->domain_count++] = name;
	return 0;
}

static bool has_domain(const struct made *made, const char *name)
{
	for (size_t i = 0; i < made->domain_count; i++)
		if (strcmp(made->domains[i], name) == 0)
			return true;
	return false;
}

static int take_domain(void *context, const char *key, const struct value *value, int64_t revision,
                       struct err *err)
{
	struct made *made = context;
	(void)value;
	(void)revision;
	return add_domain(made, arena_strdup(made->arena, strrchr(key, '/') + 1), err);
}

static bool is_changed(const struct policies_would *would, const char *name)
{
	for (size_t i = 0; would && i < would->count; i++)
		if (strcmp(would->changes[i].name, name) == 0)
			return true;
	return false;
}

static int add_policy(struct made *made, struct engine_policy policy, struct err *err)
{
	void *items = made->policies;
	if (!policy.name || !widen(made, &items, made->policy_count, sizeof *made->policies))
		return err_set(err, E_NOMEM, "no memory for a tenant's policies");
	made->policies = items;
	made->policies[made->policy_count++] = policy;
	return 0;
}

static int take_policy(void *context, const char *key, const struct value *value, int64_t revision,
                       struct err *err)
{
	struct made *made = context;
	const char *name = strrchr(key, '/') + 1;
	const char *text = value_get_str(value_get(value, "spec"), "text");
	(void)revision;
	if (!text || is_changed(made->skip, name))
		return 0;
	return add_policy(made, (struct engine_policy){
		arena_printf(made->arena, "%s%s", made->prefix, name), text
	}, err);
}

static int add_changes(struct made *made, const struct policies_would *would, struct err *err)
{
	for (size_t i = 0; i < value_len(would->domains); i++) {
		const char *name = value_as_str(value_at(would->domains, i));
		if (!name || !has_domain(made, name))
			TRY(add_domain(made, name, err));
	}
	for (size_t i = 0; i < would->count; i++)
		if (would->changes[i].text)
			TRY(add_policy(made, would->changes[i], err));
	return 0;
}

static int gather(struct policies *policies, const char *kind, const char *tenant,
                  catalog_visit_fn *visit, struct made *made, struct err *err)
{
	char prefix[STORE_KEY_MAX];
	bool more = false;
	snprintf(prefix, sizeof prefix, "r/%s/%s/", kind, tenant);
	return catalog_list(policies->catalog, made->arena, prefix, NULL, ENGINE_POLICIES_MAX,
	                    visit, made, &more, err);
}

/* would NULL: as it is, and then no policies are no engine. */
static int make(struct policies *policies, struct arena *arena, const char *tenant,
                const struct policies_would *would, struct engine **ret_engine, struct err *err)
{
	struct made made = { .arena = arena, .prefix = "", .skip = would };
	TRY(gather(policies, "domain", tenant, take_domain, &made, err));
	TRY(gather(policies, "policy", tenant, take_policy, &made, err));
	made.prefix = "platform/";
	made.skip = NULL;
	if (strcmp(tenant, "platform") != 0)
		TRY(gather(policies, "policy", "platform", take_policy, &made, err));
	*ret_engine = NULL;
	if (would)
		TRY(add_changes(&made, would, err));
	if (!would && !made.policy_count)
		return 0;
	const struct engine_conf conf = {
		.tenant = tenant, .domains = made.domains, .domain_count = made.domain_count,
		.policies = made.policies, .policy_count = made.policy_count,
	};
	return engine_new(&conf, ret_engine, err);
}

static void install(struct policies *policies, struct entry *entry, struct engine *engine,
                    uint64_t changes, bool broken)
{
	pthread_mutex_lock(&policies->mutex);
	struct engine *old = entry->engine;
	entry->engine = engine;
	entry->made_at = changes;
	entry->broken = broken;
	pthread_mutex_unlock(&policies->mutex);
	engine_free(old);
}

/* Entries stay for ever, so this one may be used without the mutex. */
static void renew(struct policies *policies, struct entry *entry)
{
	AUTO(arena) *arena = NULL;
	struct engine *engine = NULL;
	struct err err = { 0 };
	pthread_mutex_lock(&policies->mutex);
	uint64_t changes = entry->changes;
	bool current = entry->made_at == changes;
	pthread_mutex_unlock(&policies->mutex);
	if (current)
		return;
	int rc = arena_new(LIST_BYTES, &arena, &err);
	if (rc == 0)
		rc = make(policies, arena, entry->tenant, NULL, &engine, &err);
	install(policies, entry, engine, changes, rc < 0);
}

bool policies_engine(struct policies *policies, const char *tenant, struct engine **ret_engine)
{
	pthread_mutex_lock(&policies->mutex);
	struct entry *entry = entry_make(policies, tenant);
	bool current = entry && entry->made_at == entry->changes;
	pthread_mutex_unlock(&policies->mutex);
	if (!entry)
		return false;
	if (!current) {
		pthread_mutex_lock(&policies->making);
		renew(policies, entry);
		pthread_mutex_unlock(&policies->making);
	}
	pthread_mutex_lock(&policies->mutex);
	bool broken = entry->broken;
	*ret_engine = broken ? NULL : entry->engine;
	if (*ret_engine)
		engine_hold(*ret_engine);
	pthread_mutex_unlock(&policies->mutex);
	return !broken;
}

bool policies_in_force(struct policies *policies, const char *tenant)
{
	AUTO(engine) *engine = NULL;
	return policies && tenant && (!policies_engine(policies, tenant, &engine) || engine);
}

/* --- decisions --- */

static struct engine_ask engine_ask_of(const struct policies_ask *ask)
{
	return (struct engine_ask){
		.asker = ask->asker,
		.action = action_name(ask->action),
		.resource = {
			.domain = ask->target.domain, .whole = ask->target.whole,
			.platform = !ask->target.tenant, .kind = ask->name ? ask->kind : NULL,
			.name = ask->name,
			.tags = ask->tags ? ask->tags :
				value_get(value_get(ask->resource, "spec"), "tags"),
			.labels = value_get(value_get(ask->resource, "metadata"), "labels"),
		},
		.now_ms = ask->now_ms, .address = ask->address, .purpose = ask->purpose,
	};
}

static const char *rules_text(struct arena *arena, const struct engine_answer *answer)
{
	const char *text = answer->rule_count ? answer->rules[0] : "default-deny";
	for (size_t i = 1; text && i < answer->rule_count; i++)
		text = arena_printf(arena, "%s %s", text, answer->rules[i]);
	return text ? text : "(no memory)";
}

/* What no policy changes: who may see that it exists, what a token is for, and that operators can
 * mend policies. */
static bool is_settled(const struct policies_ask *ask, const struct decision *decision)
{
	bool mends = ask->action == ACTION_POLICY_READ || ask->action == ACTION_POLICY_WRITE;
	return !decision->visible || ask->action == ACTION_PUBLIC || ask->action == ACTION_SELF ||
	       (!decision->allowed && strcmp(decision->rule, "token-scope") == 0) ||
	       (mends && decision->allowed && strcmp(decision->rule, "operator") == 0);
}

/* An operator, or a token that is confined to its roles in a domain: what a tenant permits is for
 * its own people as themselves; from others it can only take. */
static bool is_given_nothing(const struct policies_ask *ask)
{
	const char *tenant = ask->target.tenant;
	return ask->asker->confined || (tenant && strcmp(ask->asker->tenant, tenant) != 0);
}

/* The answer outlives the engine: its texts are the arena's. */
static struct decision told(struct arena *arena, const struct engine *engine,
                            const struct engine_answer *answer)
{
	const size_t bytes = answer->rule_count * sizeof *answer->rules;
	const char **rules = arena_alloc(arena, bytes + 1);
	if (rules)
		memcpy(rules, answer->rules, bytes);
	return (struct decision){
		.allowed = answer->allowed, .visible = true, .rule = rules_text(arena, answer),
		.digest = arena_strdup(arena, engine_digest(engine)), .policies = rules,
		.policy_count = rules ? answer->rule_count : 0,
	};
}

static struct decision by_roles(const struct policies_ask *ask)
{
	struct target target = ask->target;
	target.kind = ask->name ? ask->kind : NULL;
	target.name = ask->name;
	return policy_decide(ask->asker, ask->action, &target);
}

static struct decision unavailable(void)
{
	return (struct decision){ .visible = true, .rule = "policies-unavailable" };
}

/* decision: by the roles' table. */
static struct decision by_engine(const struct engine *engine, struct arena *arena,
                                 const struct policies_ask *ask, struct decision decision,
                                 struct engine_answer *ret_answer)
{
	struct engine_answer answer = { .allowed = false };
	*ret_answer = answer;
	if (!engine || is_settled(ask, &decision))
		return decision;
	const struct engine_ask asked = engine_ask_of(ask);
	if (engine_decide(engine, arena, &asked, &answer, NULL) < 0)
		return unavailable();
	*ret_answer = answer;
	if (answer.allowed && is_given_nothing(ask) && !decision.allowed) {
		decision.digest = arena_strdup(arena, engine_digest(engine));
		return decision;
	}
	return told(arena, engine, &answer);
}

struct decision policies_decide_by(const struct engine *engine, struct arena *arena,
                                   const struct policies_ask *ask,
                                   struct engine_answer *ret_answer)
{
	return by_engine(engine, arena, ask, by_roles(ask), ret_answer);
}

struct decision policies_decide(struct policies *policies, struct arena *arena,
                                const struct policies_ask *ask)
{
	AUTO(engine) *engine = NULL;
	struct engine_answer answer;
	const char *tenant = ask->target.tenant ? ask->target.tenant : "platform";
	struct decision decision = by_roles(ask);
	decision.digest = policies ? policies->digest : NULL;
	if (!policies || is_settled(ask, &decision))
		return decision;
	if (!policies_engine(policies, tenant, &engine))
		return unavailable();
	return engine ? by_engine(engine, arena, ask, decision, &answer) : decision;
}

/* --- a change that is about to be made --- */

int policies_would_be(struct policies *policies, struct arena *arena, const char *tenant,
                      const struct policies_would *would, struct engine **ret_engine,
                      struct err *err)
{
	return make(policies, arena, tenant, would, ret_engine, err);
}

int policies_check(struct policies *policies, struct arena *arena, const char *tenant,
                   const char *name, const char *text, const struct asker *asker, int64_t now_ms,
                   struct err *err)
{
	AUTO(engine) *engine = NULL;
	const struct engine_policy change = { name, text };
	const struct policies_would would = { .changes = &change, .count = 1 };
	const struct policies_ask ask = { .asker = asker, .action = ACTION_POLICY_WRITE,
		                          .target = { .tenant = tenant, .whole = true },
		                          .now_ms = now_ms };
	struct engine_answer answer = { .allowed = false };
	struct decision decision = policy_decide(asker, ask.action, &ask.target);
	if (!policies)
		return 0;
	TRY(make(policies, arena, tenant, &would, &engine, err));
	if (is_settled(&ask, &decision))
		return 0;
	const struct engine_ask asked = engine_ask_of(&ask);
	TRY(engine_decide(engine, arena, &asked, &answer, err));
	if (answer.allowed)
		return 0;
	return err_set(err, E_CONFLICT, "with this policy %s/%s could not change policies any more "
	               "(%s): leave administrators out of it, or let the platform's operator "
	               "apply it", asker->tenant, asker->principal, rules_text(arena, &answer));
}
