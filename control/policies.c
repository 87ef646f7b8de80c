/* policies.c - see policies.h. One entry a tenant that was asked about; what decides there is its
 * view, made after so many changes of the catalog. A request reads table, entry and view without a
 * lock (control/grace.h) and holds the engine; a change makes the entry's next view, one at a time,
 * puts it in place and frees the old one when nobody can see it any more. Entries stay. Lock order:
 * an entry's `making`, then the mutex; the catalog is read under `making` only. */
#include "common/defs.h"
#include "control/policies.h"

#include "common/crypto.h"
#include "control/grace.h"
#include "policy/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES = 256 * MIB, SLOTS_FIRST = 64 };

struct view {
	struct engine *engine;           /* NULL: no policies */
	uint64_t made_at;                /* the entry's changes then */
	bool broken;                     /* it could not be made: everything is denied */
};

struct entry {
	struct entry *next;
	_Atomic(struct view *) view;     /* NULL: none yet */
	_Atomic uint64_t changes;        /* equal to the view's: it is as the catalog is */
	pthread_mutex_t making;
	char tenant[];
};

struct table {
	struct hash_key key;
	size_t mask;                     /* of a power of two; at most half of it is taken */
	_Atomic(struct entry *) slots[];
};

struct policies {
	struct catalog *catalog;
	struct grace grace;
	_Atomic(struct table *) table;
	pthread_mutex_t mutex;           /* who adds an entry; guards first and count */
	struct entry *first;
	size_t count;
	char digest[POLICY_DIGEST_TEXT]; /* where there are none: of the roles alone */
};

static struct table *table_new(size_t slots)
{
	struct table *table = calloc(1, sizeof *table + slots * sizeof table->slots[0]);
	if (!table)
		return NULL;
	table->key = hash_key_of_process();
	table->mask = slots - 1;
	return table;
}

int policies_new(struct catalog *catalog, struct policies **ret_policies, struct err *err)
{
	struct policies *policies = calloc(1, sizeof *policies);
	struct table *table = table_new(SLOTS_FIRST);
	if (!policies || !table || policy_digest(NULL, 0, policies->digest, NULL) < 0) {
		free(policies);
		free(table);
		return err_set(err, E_NOMEM, "no memory for policies");
	}
	policies->catalog = catalog;
	atomic_init(&policies->table, table);
	grace_init(&policies->grace);
	pthread_mutex_init(&policies->mutex, NULL);
	*ret_policies = policies;
	return 0;
}

static void view_free(struct view *view)
{
	if (view)
		engine_free(view->engine);
	free(view);
}

void policies_free(struct policies *policies)
{
	if (!policies)
		return;
	for (struct entry *at = policies->first, *next = NULL; at; at = next) {
		next = at->next;
		view_free(atomic_load(&at->view));
		pthread_mutex_destroy(&at->making);
		free(at);
	}
	free(atomic_load(&policies->table));
	grace_release(&policies->grace);
	pthread_mutex_destroy(&policies->mutex);
	free(policies);
}

/* Where the tenant is, or the free slot where it belongs. In a section, or under the mutex. */
static _Atomic(struct entry *) *slot_of(struct table *table, const char *tenant)
{
	size_t i = hash_short_by(&table->key, 0, tenant, strlen(tenant)) & table->mask;
	for (;; i = (i + 1) & table->mask) {
		struct entry *entry = atomic_load(&table->slots[i]);
		if (!entry || strcmp(entry->tenant, tenant) == 0)
			return &table->slots[i];
	}
}

/* Mutex held. False: no memory for a larger one, and this one is half full. */
static bool make_room(struct policies *policies)
{
	struct table *old = atomic_load(&policies->table);
	if (2 * (policies->count + 1) <= old->mask + 1)
		return true;
	struct table *table = table_new(2 * (old->mask + 1));
	if (!table)
		return false;
	for (struct entry *entry = policies->first; entry; entry = entry->next)
		atomic_store(slot_of(table, entry->tenant), entry);
	atomic_store(&policies->table, table);
	grace_wait(&policies->grace);
	free(old);
	return true;
}

/* Mutex held. NULL: no memory. */
static struct entry *entry_add(struct policies *policies, const char *tenant)
{
	size_t len = strlen(tenant) + 1;
	struct entry *entry = make_room(policies) ? calloc(1, sizeof *entry + len) : NULL;
	if (!entry)
		return NULL;
	memcpy(entry->tenant, tenant, len);
	atomic_init(&entry->changes, 1);
	pthread_mutex_init(&entry->making, NULL);
	entry->next = policies->first;
	policies->first = entry;
	policies->count++;
	atomic_store(slot_of(atomic_load(&policies->table), tenant), entry);
	return entry;
}

/* NULL: it was not asked about yet. */
static struct entry *entry_find(struct policies *policies, const char *tenant)
{
	struct section section = grace_enter(&policies->grace);
	struct entry *entry = atomic_load(slot_of(atomic_load(&policies->table), tenant));
	grace_leave(section);
	return entry;
}

/* NULL: no memory. */
static struct entry *entry_of(struct policies *policies, const char *tenant)
{
	struct entry *entry = entry_find(policies, tenant);
	if (entry)
		return entry;
	pthread_mutex_lock(&policies->mutex);
	entry = atomic_load(slot_of(atomic_load(&policies->table), tenant));
	if (!entry)
		entry = entry_add(policies, tenant);
	pthread_mutex_unlock(&policies->mutex);
	return entry;
}

/* Entries are only ever put before the first: those behind it can be walked without the mutex. */
static struct entry *all_of(struct policies *policies)
{
	pthread_mutex_lock(&policies->mutex);
	struct entry *first = policies->first;
	pthread_mutex_unlock(&policies->mutex);
	return first;
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
		struct entry *entry = entry_find(policies, tenant);
		if (entry)
			atomic_fetch_add(&entry->changes, 1);
		for (entry = strcmp(tenant, "platform") ? NULL : all_of(policies); entry;
		     entry = entry->next)
			atomic_fetch_add(&entry->changes, 1);
	}
}

void policies_tenants(struct policies *policies, const char *policy, policies_tenant_fn *visit,
                      void *context)
{
	bool all = strncmp(policy, "platform/", 9) == 0;
	for (struct entry *entry = policies ? all_of(policies) : NULL; entry; entry = entry->next) {
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

/* `making` is held. What changes meanwhile is found out by the next request. False: no memory for a
 * view, and there is still the old one. */
static bool renew(struct policies *policies, struct entry *entry)
{
	AUTO(arena) *arena = NULL;
	struct err err = { 0 };
	uint64_t changes = atomic_load(&entry->changes);
	struct view *old = atomic_load(&entry->view);
	if (old && old->made_at == changes)
		return true;
	struct view *view = calloc(1, sizeof *view);
	if (!view)
		return false;
	int rc = arena_new(LIST_BYTES, &arena, &err);
	if (rc == 0)
		rc = make(policies, arena, entry->tenant, NULL, &view->engine, &err);
	view->made_at = changes;
	view->broken = rc < 0;
	atomic_store(&entry->view, view);
	grace_wait(&policies->grace);
	view_free(old);
	return true;
}

enum known { KNOWN_NOT, KNOWN_BROKEN, KNOWN };

/* Of the entry's view: any, or only one that is as the catalog is. */
static enum known hold_engine(struct policies *policies, struct entry *entry, bool any,
                              struct engine **ret_engine)
{
	enum known known = KNOWN_NOT;
	struct section section = grace_enter(&policies->grace);
	const struct view *view = atomic_load(&entry->view);
	if (view && (any || view->made_at == atomic_load(&entry->changes))) {
		known = view->broken ? KNOWN_BROKEN : KNOWN;
		*ret_engine = view->engine;
		if (view->engine)
			engine_hold(view->engine);
	}
	grace_leave(section);
	return known;
}

bool policies_engine(struct policies *policies, const char *tenant, struct engine **ret_engine)
{
	struct entry *entry = entry_of(policies, tenant);
	*ret_engine = NULL;
	if (!entry)
		return false;
	enum known known = hold_engine(policies, entry, false, ret_engine);
	if (known != KNOWN_NOT)
		return known == KNOWN;
	pthread_mutex_lock(&entry->making);
	bool renewed = renew(policies, entry);
	pthread_mutex_unlock(&entry->making);
	return renewed && hold_engine(policies, entry, true, ret_engine) == KNOWN;
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
