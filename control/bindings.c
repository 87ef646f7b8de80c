/* bindings.c - two maps: sources (a resource's key to what it claims) and subjects (to the claims
 * about them). Invariants: an edge of a subject is a claim of a source that is in the map, once; a
 * change first takes away what the source claimed, which needs no memory, then adds. */
#include "common/defs.h"
#include "control/bindings.h"

#include "common/log.h"
#include "common/text.h"
#include "common/crypto.h"
#include "control/hashmap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLAIM_ARENA = 4 * 1024 * 1024, SUBJECT_MAX = 2 * (NAME_MAX_LEN + 1) + 8 };

enum claim_kind {
	CLAIM_ROLE,   /* the subject has role name in domain */
	CLAIM_MEMBER, /* the subject is in the group of that name */
	CLAIM_IS      /* the subject is there and not disabled */
};

struct claim {
	enum claim_kind kind;
	bool own;            /* by the subject's own resource */
	const char *subject; /* "TENANT/NAME" or "TENANT/group:NAME" */
	const char *name;
	const char *domain; /* NULL: all of the tenant */
	const char *at_kind, *at_name; /* only at that resource of it; NULL: all of it */
};

struct claims {
	struct claim *items;
	size_t count, cap;
};

struct edge {
	const struct source *source;
	const struct claim *claim;
};

struct subject {
	struct hash_node node;
	struct edge *edges;
	size_t count, cap;
	char key[];
};

struct source {
	struct hash_node node;
	struct claims claims; /* one block, the texts behind the items */
	char key[];
};

struct bindings {
	pthread_rwlock_t lock; /* guards all below */
	struct hashmap sources, subjects;
};

int bindings_new(struct bindings **ret_bindings, struct err *err)
{
	struct bindings *bindings = calloc(1, sizeof *bindings);
	uint64_t seed[2];
	if (!bindings)
		return err_set(err, E_NOMEM, "no memory for the bindings");
	random_bytes(seed, sizeof seed);
	pthread_rwlock_init(&bindings->lock, NULL);
	hashmap_init(&bindings->sources, seed[0]);
	hashmap_init(&bindings->subjects, seed[1]);
	*ret_bindings = bindings;
	return 0;
}

static void source_free(struct source *source)
{
	free(source->claims.items);
	free(source);
}

void bindings_free(struct bindings *bindings)
{
	if (!bindings)
		return;
	for (size_t i = 0; i < bindings->subjects.cap; i++)
		for (struct hash_node *node = bindings->subjects.slots[i], *next; node;
		     node = next) {
			struct subject *subject = HASH_OWNER(node, struct subject, node);
			next = node->next;
			free(subject->edges);
			free(subject);
		}
	for (size_t i = 0; i < bindings->sources.cap; i++)
		for (struct hash_node *node = bindings->sources.slots[i], *next; node;
		     node = next) {
			next = node->next;
			source_free(HASH_OWNER(node, struct source, node));
		}
	hashmap_release(&bindings->sources);
	hashmap_release(&bindings->subjects);
	pthread_rwlock_destroy(&bindings->lock);
	free(bindings);
}

/* --- what a resource claims --- */

struct reading {
	struct arena *arena;
	const char *tenant;
	struct claims *claims;
	bool failed;
};

static void claim(struct reading *reading, enum claim_kind kind, const char *subject,
                  const char *name, const char *domain)
{
	struct claims *claims = reading->claims;
	if (reading->failed || !subject || !name || claims->count == claims->cap)
		return;
	struct claim *item = &claims->items[claims->count++];
	*item = (struct claim){
		.kind = kind,
		.subject = arena_printf(reading->arena, "%s/%s", reading->tenant, subject),
		.name = arena_strdup(reading->arena, name),
		.domain = domain ? arena_strdup(reading->arena, domain) : NULL,
	};
	if (!item->subject || !item->name || (domain && !item->domain))
		reading->failed = true;
}

/* The last claims, but the first `from`, are only for one resource. */
static void narrow_to(struct reading *reading, size_t from, const struct value *resource)
{
	const char *kind = value_get_str(resource, "kind"), *name = value_get_str(resource, "name");
	for (size_t i = from; resource && i < reading->claims->count; i++) {
		struct claim *item = &reading->claims->items[i];
		item->at_kind = arena_strdup(reading->arena, kind ? kind : "");
		item->at_name = arena_strdup(reading->arena, name ? name : "");
		if (!item->at_kind || !item->at_name)
			reading->failed = true;
	}
}

static void claim_all(struct reading *reading, const struct value *subjects, enum claim_kind kind,
                      const char *name, const char *domain)
{
	for (size_t i = 0; i < value_len(subjects); i++)
		claim(reading, kind, value_as_str(value_at(subjects, i)), name, domain);
}

static void read_principal(struct reading *reading, const char *name, const struct value *spec)
{
	const struct value *roles = value_get(spec, "roles");
	const char *domain = value_get_str(spec, "domain");
	for (size_t i = 0; i < value_len(roles); i++)
		claim(reading, CLAIM_ROLE, name, value_as_str(value_at(roles, i)), domain);
	for (size_t i = 0; i < reading->claims->count; i++)
		reading->claims->items[i].own = true;
	if (!value_get_bool(spec, "disabled", false))
		claim(reading, CLAIM_IS, name, name, NULL);
}

static void read_group(struct reading *reading, const char *name, const struct value *spec)
{
	char subject[SUBJECT_MAX];
	const struct value *roles = value_get(spec, "roles");
	snprintf(subject, sizeof subject, GROUP_SUBJECT "%s", name);
	claim_all(reading, value_get(spec, "members"), CLAIM_MEMBER, name, NULL);
	for (size_t i = 0; i < value_len(roles); i++)
		claim(reading, CLAIM_ROLE, subject, value_get_str(value_at(roles, i), "role"),
		      value_get_str(value_at(roles, i), "domain"));
}

static bool split(const char *key, enum kind *ret_kind, char tenant[NAME_MAX_LEN + 1],
                  const char **ret_name)
{
	static const enum kind kinds[] = {KIND_PRINCIPAL, KIND_GROUP, KIND_ROLEBINDING,
	                                  KIND_DOMAIN};
	for (size_t i = 0; i < ARRAY_LEN(kinds) && strncmp(key, "r/", 2) == 0; i++) {
		const char *kind = kind_info[kinds[i]].name;
		size_t len = strlen(kind);
		if (strncmp(key + 2, kind, len) != 0 || key[2 + len] != '/')
			continue;
		const char *rest = key + 2 + len + 1;
		size_t tenant_len = strcspn(rest, "/");
		if (!rest[tenant_len] || tenant_len > NAME_MAX_LEN)
			return false;
		snprintf(tenant, NAME_MAX_LEN + 1, "%.*s", (int)tenant_len, rest);
		*ret_name = rest + tenant_len + 1;
		*ret_kind = kinds[i];
		return true;
	}
	return false;
}

static size_t claims_most(const struct value *spec)
{
	return value_len(value_get(spec, "roles")) + value_len(value_get(spec, "members")) +
	       value_len(value_get(spec, "subjects")) + value_len(value_get(spec, "owners")) + 1;
}

/* value NULL: no claims. */
static int read_claims(struct arena *arena, const char *key, const struct value *value,
                       struct claims *ret_claims, struct err *err)
{
	char tenant[NAME_MAX_LEN + 1];
	enum kind kind = KIND_NONE;
	const char *name = NULL;
	const struct value *spec = value_get(value, "spec");
	struct claims claims = {.cap = claims_most(spec)};
	struct reading reading = {arena, tenant, &claims, false};
	claims.items = arena_alloc(arena, claims.cap * sizeof *claims.items);
	if (!claims.items)
		return err_set(err, E_NOMEM, "no memory for what a resource grants");
	if (value && split(key, &kind, tenant, &name)) {
		if (kind == KIND_PRINCIPAL)
			read_principal(&reading, name, spec);
		if (kind == KIND_GROUP)
			read_group(&reading, name, spec);
		if (kind == KIND_ROLEBINDING) {
			claim_all(&reading, value_get(spec, "subjects"), CLAIM_ROLE,
			          value_get_str(spec, "role"), value_get_str(spec, "domain"));
			narrow_to(&reading, 0, value_get(spec, "resource"));
		}
		if (kind == KIND_DOMAIN)
			claim_all(&reading, value_get(spec, "owners"), CLAIM_ROLE, "domain-owner",
			          name);
	}
	*ret_claims = claims;
	return reading.failed ? err_set(err, E_NOMEM, "no memory for what a resource grants") : 0;
}

/* --- changes; the lock is held --- */

static struct subject *subject_find(const struct bindings *bindings, const char *key)
{
	struct hash_node *node = hashmap_find(&bindings->subjects, key);
	return node ? HASH_OWNER(node, struct subject, node) : NULL;
}

static struct subject *subject_of(struct bindings *bindings, const char *key)
{
	struct subject *subject = subject_find(bindings, key);
	size_t len = strlen(key) + 1;
	if (subject)
		return subject;
	subject = calloc(1, sizeof *subject + len);
	if (!subject)
		return NULL;
	memcpy(subject->key, key, len);
	if (hashmap_add(&bindings->subjects, &subject->node, subject->key))
		return subject;
	free(subject);
	return NULL;
}

static void drop_edges(struct bindings *bindings, const struct source *source, const char *key)
{
	struct subject *subject = subject_find(bindings, key);
	size_t kept = 0;
	for (size_t i = 0; subject && i < subject->count; i++)
		if (subject->edges[i].source != source)
			subject->edges[kept++] = subject->edges[i];
	if (!subject || (subject->count = kept) > 0)
		return;
	hashmap_remove(&bindings->subjects, &subject->node);
	free(subject->edges);
	free(subject);
}

static void source_drop(struct bindings *bindings, const char *key)
{
	struct hash_node *node = hashmap_find(&bindings->sources, key);
	if (!node)
		return;
	struct source *source = HASH_OWNER(node, struct source, node);
	for (size_t i = 0; i < source->claims.count; i++)
		drop_edges(bindings, source, source->claims.items[i].subject);
	hashmap_remove(&bindings->sources, &source->node);
	source_free(source);
}

static bool edge_add(struct bindings *bindings, const struct source *source,
                     const struct claim *claim)
{
	struct subject *subject = subject_of(bindings, claim->subject);
	if (!subject)
		return false;
	if (subject->count == subject->cap) {
		size_t cap = subject->cap ? subject->cap * 2 : 4;
		struct edge *edges = realloc(subject->edges, cap * sizeof *edges);
		if (!edges)
			return false;
		subject->edges = edges;
		subject->cap = cap;
	}
	subject->edges[subject->count++] = (struct edge){source, claim};
	return true;
}

/* Takes the source. */
static bool source_add(struct bindings *bindings, struct source *source)
{
	if (!hashmap_add(&bindings->sources, &source->node, source->key)) {
		source_free(source);
		return false;
	}
	for (size_t i = 0; i < source->claims.count; i++)
		if (!edge_add(bindings, source, &source->claims.items[i])) {
			source_drop(bindings, source->key);
			return false;
		}
	return true;
}

static size_t text_len(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *text_move(char **at, const char *text)
{
	char *to = *at;
	if (!text)
		return NULL;
	memcpy(to, text, strlen(text) + 1);
	*at += strlen(text) + 1;
	return to;
}

/* Into one block. */
static bool claims_copy(const struct claims *from, struct claims *ret_claims)
{
	size_t len = from->count * sizeof *from->items;
	for (size_t i = 0; i < from->count; i++)
		len += text_len(from->items[i].subject) + text_len(from->items[i].name) +
		       text_len(from->items[i].domain) + text_len(from->items[i].at_kind) +
		       text_len(from->items[i].at_name);
	struct claim *items = malloc(len ? len : 1);
	if (!items)
		return false;
	char *at = (char *)(items + from->count);
	for (size_t i = 0; i < from->count; i++) {
		items[i] = from->items[i];
		items[i].subject = text_move(&at, from->items[i].subject);
		items[i].name = text_move(&at, from->items[i].name);
		items[i].domain = text_move(&at, from->items[i].domain);
		items[i].at_kind = text_move(&at, from->items[i].at_kind);
		items[i].at_name = text_move(&at, from->items[i].at_name);
	}
	*ret_claims = (struct claims){items, from->count, from->count};
	return true;
}

static struct source *source_new(const char *key, const struct value *value)
{
	AUTO(arena) *arena = NULL;
	struct claims claims = {.count = 0};
	struct source *source = calloc(1, sizeof *source + strlen(key) + 1);
	if (!source)
		return NULL;
	memcpy(source->key, key, strlen(key) + 1);
	if (arena_new(CLAIM_ARENA, &arena, NULL) == 0 &&
	    read_claims(arena, key, value, &claims, NULL) == 0 &&
	    claims_copy(&claims, &source->claims))
		return source;
	free(source);
	return NULL;
}

void bindings_changed(struct bindings *bindings, const char *key, const struct value *value)
{
	char tenant[NAME_MAX_LEN + 1];
	enum kind kind = KIND_NONE;
	const char *name = NULL;
	if (!bindings || !split(key, &kind, tenant, &name))
		return;
	struct source *source = value ? source_new(key, value) : NULL;
	bool none = source && source->claims.count == 0, added = source != NULL;
	pthread_rwlock_wrlock(&bindings->lock);
	source_drop(bindings, key);
	if (source && !none)
		added = source_add(bindings, source);
	pthread_rwlock_unlock(&bindings->lock);
	if (none)
		source_free(source);
	if (value && !added)
		log_error(&(struct log_context){.tenant = tenant}, "roles_dropped", "key=%s reason="
		          "\"no memory; it grants nothing until it is applied again\"", key);
}

/* --- looking; the lock is held --- */

/* What is looked at: the index, and the change that is thought of. */
struct look {
	struct bindings *bindings;
	const char *tenant;
	const char *key;      /* of the change; NULL: none */
	struct claims claims; /* its */
};

typedef int claim_fn(void *context, const struct claim *claim, struct err *err);

static int look_at(const struct look *look, const char *subject_key, claim_fn *visit, void *context,
                   struct err *err)
{
	const struct subject *subject = subject_find(look->bindings, subject_key);
	for (size_t i = 0; subject && i < subject->count; i++)
		if (!look->key || strcmp(subject->edges[i].source->key, look->key) != 0)
			TRY(visit(context, subject->edges[i].claim, err));
	for (size_t i = 0; i < look->claims.count; i++)
		if (strcmp(look->claims.items[i].subject, subject_key) == 0)
			TRY(visit(context, &look->claims.items[i], err));
	return 0;
}

static const char *subject_key(char out[SUBJECT_MAX], const char *tenant, const char *prefix,
                               const char *name)
{
	snprintf(out, SUBJECT_MAX, "%s/%s%s", tenant, prefix, name);
	return out;
}

struct gathering {
	const struct look *look;
	bindings_fn *visit;
	void *context;
	size_t bindings, groups;
	bool present;
};

static int gather_roles(void *context, const struct claim *claim, struct err *err)
{
	struct gathering *gathering = context;
	if (claim->kind != CLAIM_ROLE)
		return 0;
	gathering->bindings++;
	const struct binding binding = {claim->name, claim->domain, claim->at_kind, claim->at_name};
	return gathering->visit ? gathering->visit(gathering->context, &binding, err) : 0;
}

static int gather(void *context, const struct claim *claim, struct err *err)
{
	struct gathering *gathering = context;
	char key[SUBJECT_MAX];
	gathering->present |= claim->kind == CLAIM_IS;
	if (claim->kind != CLAIM_MEMBER)
		return gather_roles(context, claim, err);
	gathering->groups++;
	subject_key(key, gathering->look->tenant, GROUP_SUBJECT, claim->name);
	return look_at(gathering->look, key, gather_roles, context, err);
}

static int look_begin(struct bindings *bindings, struct arena *arena, const char *tenant,
                      const struct what_if *what_if, struct look *ret_look, struct err *err)
{
	struct look look = {.bindings = bindings, .tenant = tenant};
	if (what_if) {
		look.key = what_if->key;
		TRY(read_claims(arena, what_if->key, what_if->value, &look.claims, err));
	}
	*ret_look = look;
	return 0;
}

int bindings_each(struct bindings *bindings, struct arena *arena, const char *tenant,
                  const char *subject, const struct what_if *what_if, bindings_fn *visit,
                  void *context, struct err *err)
{
	char key[SUBJECT_MAX];
	struct look look;
	TRY(look_begin(bindings, arena, tenant, what_if, &look, err));
	struct gathering gathering = {&look, visit, context, 0, 0, false};
	pthread_rwlock_rdlock(&bindings->lock);
	int code = look_at(&look, subject_key(key, tenant, "", subject), gather, &gathering, err);
	pthread_rwlock_unlock(&bindings->lock);
	return code;
}

/* --- where they come from --- */

static void origins_at(struct bindings *bindings, const char *key, const char *group,
                       bindings_origin_fn *visit, void *context)
{
	const struct subject *subject = subject_find(bindings, key);
	for (size_t i = 0; subject && i < subject->count; i++) {
		const struct claim *claim = subject->edges[i].claim;
		const char *key_of = subject->edges[i].source->key;
		const struct bindings_origin origin = { claim->name, claim->domain, key_of, group };
		if (claim->kind == CLAIM_ROLE)
			visit(context, &origin);
	}
}

void bindings_origins(struct bindings *bindings, const struct asker *asker,
                      bindings_origin_fn *visit, void *context)
{
	char key[SUBJECT_MAX];
	pthread_rwlock_rdlock(&bindings->lock);
	subject_key(key, asker->tenant, "", asker->principal);
	origins_at(bindings, key, NULL, visit, context);
	for (size_t i = 0; i < asker->group_count; i++) {
		subject_key(key, asker->tenant, GROUP_SUBJECT, asker->groups[i]);
		origins_at(bindings, key, asker->groups[i], visit, context);
	}
	pthread_rwlock_unlock(&bindings->lock);
}

/* --- room --- */

static int check_principal(const struct look *look, const char *key, struct err *err)
{
	struct gathering gathering = {look, NULL, NULL, 0, 0, false};
	TRY(look_at(look, key, gather, &gathering, err));
	const char *name = strchr(key, '/') + 1;
	if (gathering.bindings > BINDINGS_MAX)
		return err_set(err, E_INVALID, "the principal %s would have %zu roles by itself, "
		               "its groups, bindings and domains; at most %d are looked at: take "
		               "some away, or bind one role for the whole tenant", name,
		               gathering.bindings, BINDINGS_MAX);
	if (gathering.groups > GROUPS_MAX)
		return err_set(err, E_INVALID, "the principal %s would be in %zu groups; at most "
		               "%d are looked at: take it out of some", name, gathering.groups,
		               GROUPS_MAX);
	return 0;
}

/* Every member of a group, as the change has it or the index. */
static int check_members(const struct look *look, const char *group, struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_GROUP, look->tenant, NULL, group);
	bool changed = look->key && strcmp(look->key, key) == 0;
	struct hash_node *node = hashmap_find(&look->bindings->sources, key);
	const struct claims *claims = changed ? &look->claims :
		node ? &HASH_OWNER(node, struct source, node)->claims : NULL;
	for (size_t i = 0; claims && i < claims->count; i++)
		if (claims->items[i].kind == CLAIM_MEMBER)
			TRY(check_principal(look, claims->items[i].subject, err));
	return 0;
}

static int check_all(const struct look *look, struct err *err)
{
	for (size_t i = 0; i < look->claims.count; i++) {
		const struct claim *claim = &look->claims.items[i];
		const char *name = strchr(claim->subject, '/') + 1;
		size_t len = strlen(GROUP_SUBJECT);
		if (strncmp(name, GROUP_SUBJECT, len) == 0)
			TRY(check_members(look, name + len, err));
		else
			TRY(check_principal(look, claim->subject, err));
	}
	return 0;
}

int bindings_check_room(struct bindings *bindings, struct arena *arena, const char *tenant,
                        const struct what_if *what_if, struct err *err)
{
	struct look look;
	TRY(look_begin(bindings, arena, tenant, what_if, &look, err));
	pthread_rwlock_rdlock(&bindings->lock);
	int code = check_all(&look, err);
	pthread_rwlock_unlock(&bindings->lock);
	return code;
}

/* --- who else has it --- */

struct holder {
	const char *role;
	bool has;
};

static int holds(void *context, const struct binding *binding, struct err *err)
{
	struct holder *holder = context;
	(void)err;
	holder->has |= !binding->domain && strcmp(binding->role, holder->role) == 0;
	return 0;
}

static int look_for_holder(const struct look *look, const char *role, bool *ret_has,
                           struct err *err)
{
	const struct hashmap *subjects = &look->bindings->subjects;
	size_t len = strlen(look->tenant);
	for (size_t i = 0; i < subjects->cap; i++)
		for (const struct hash_node *node = subjects->slots[i]; node; node = node->next) {
			struct holder holder = {role, false};
			struct gathering gathering = {look, holds, &holder, 0, 0, false};
			if (strncmp(node->key, look->tenant, len) != 0 || node->key[len] != '/')
				continue;
			TRY(look_at(look, node->key, gather, &gathering, err));
			if (holder.has && gathering.present) {
				*ret_has = true;
				return 0;
			}
		}
	return 0;
}

int bindings_has_holder(struct bindings *bindings, struct arena *arena, const char *tenant,
                        const char *role, const struct what_if *what_if, bool *ret_has,
                        struct err *err)
{
	struct look look;
	TRY(look_begin(bindings, arena, tenant, what_if, &look, err));
	*ret_has = false;
	pthread_rwlock_rdlock(&bindings->lock);
	int code = look_for_holder(&look, role, ret_has, err);
	pthread_rwlock_unlock(&bindings->lock);
	return code;
}

/* --- everybody --- */

struct person {
	const struct look *look;
	struct asker asker;
	bool present;
};

/* What is more than there may be is not looked at, as when it asks itself. */
static int add_claim(void *context, const struct claim *claim, struct err *err)
{
	struct person *person = context;
	struct asker *asker = &person->asker;
	char key[SUBJECT_MAX];
	person->present |= claim->kind == CLAIM_IS;
	if (claim->kind == CLAIM_ROLE)
		(void)asker_bind_at(asker, &(struct binding){claim->name, claim->domain,
		                                             claim->at_kind, claim->at_name});
	if (claim->kind != CLAIM_MEMBER || asker->group_count == GROUPS_MAX)
		return 0;
	asker->groups[asker->group_count++] = claim->name;
	subject_key(key, person->look->tenant, GROUP_SUBJECT, claim->name);
	return look_at(person->look, key, add_claim, person, err);
}

static int visit_all(const struct look *look, bindings_asker_fn *visit, void *context,
                     struct err *err)
{
	const struct hashmap *subjects = &look->bindings->subjects;
	size_t len = strlen(look->tenant);
	bool enough = false;
	for (size_t i = 0; i < subjects->cap && !enough; i++)
		for (const struct hash_node *node = subjects->slots[i]; node && !enough;
		     node = node->next) {
			const char *name = node->key + len + 1;
			if (strncmp(node->key, look->tenant, len) != 0 || node->key[len] != '/' ||
			    strchr(name, ':'))
				continue;
			struct person person = {look, {.tenant = look->tenant, .principal = name},
			                        false};
			TRY(look_at(look, node->key, add_claim, &person, err));
			if (person.present)
				TRY(visit(context, &person.asker, &enough, err));
		}
	return 0;
}

int bindings_askers(struct bindings *bindings, struct arena *arena, const char *tenant,
                    const struct what_if *what_if, bindings_asker_fn *visit, void *context,
                    struct err *err)
{
	struct look look;
	TRY(look_begin(bindings, arena, tenant, what_if, &look, err));
	pthread_rwlock_rdlock(&bindings->lock);
	int code = visit_all(&look, visit, context, err);
	pthread_rwlock_unlock(&bindings->lock);
	return code;
}

/* --- who names it --- */

void bindings_user_of(struct bindings *bindings, const char *tenant, const char *subject,
                      char ret_key[STORE_KEY_MAX])
{
	char key[SUBJECT_MAX], own[STORE_KEY_MAX];
	size_t len = strlen(GROUP_SUBJECT);
	bool group = strncmp(subject, GROUP_SUBJECT, len) == 0;
	catalog_key(own, group ? KIND_GROUP : KIND_PRINCIPAL, tenant, NULL,
	            group ? subject + len : subject);
	ret_key[0] = 0;
	pthread_rwlock_rdlock(&bindings->lock);
	const struct subject *found = subject_find(bindings, subject_key(key, tenant, "", subject));
	for (size_t i = 0; found && i < found->count; i++)
		if (strcmp(found->edges[i].source->key, own) != 0)
			snprintf(ret_key, STORE_KEY_MAX, "%s", found->edges[i].source->key);
	pthread_rwlock_unlock(&bindings->lock);
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool gives_in(const struct source *source, const struct binding *place)
{
	for (size_t i = 0; i < source->claims.count; i++) {
		const struct claim *claim = &source->claims.items[i];
		if (same(claim->domain, place->domain) &&
		    (!place->name || (same(claim->at_kind, place->kind) &&
		                      same(claim->at_name, place->name))))
			return true;
	}
	return false;
}

void bindings_user_of_resource(struct bindings *bindings, const char *tenant,
                               const struct binding *place, char ret_key[STORE_KEY_MAX])
{
	char own[STORE_KEY_MAX], in[NAME_MAX_LEN + 1];
	enum kind kind = KIND_NONE;
	const char *name = NULL;
	catalog_key(own, KIND_DOMAIN, tenant, NULL, place->domain);
	ret_key[0] = 0;
	pthread_rwlock_rdlock(&bindings->lock);
	for (size_t i = 0; i < bindings->sources.cap; i++)
		for (struct hash_node *node = bindings->sources.slots[i]; node; node = node->next)
			if (split(node->key, &kind, in, &name) && strcmp(in, tenant) == 0 &&
			    strcmp(node->key, own) != 0 &&
			    gives_in(HASH_OWNER(node, struct source, node), place))
				snprintf(ret_key, STORE_KEY_MAX, "%s", node->key);
	pthread_rwlock_unlock(&bindings->lock);
}

void bindings_user_of_domain(struct bindings *bindings, const char *tenant, const char *domain,
                             char ret_key[STORE_KEY_MAX])
{
	const struct binding place = {.domain = domain};
	bindings_user_of_resource(bindings, tenant, &place, ret_key);
}

/* --- for a request; the lock is held --- */

struct filling {
	struct arena *arena;
	struct asker *asker;
};

static const char *interned(struct arena *arena, const char *role)
{
	const char *name = role_name(role);
	return name ? name : arena_strdup(arena, role);
}

static const char *kept(struct arena *arena, const char *text)
{
	return text ? arena_strdup(arena, text) : NULL;
}

static void add_group(const struct filling *filling, const char *group)
{
	struct asker *asker = filling->asker;
	for (size_t i = 0; i < asker->group_count; i++)
		if (strcmp(asker->groups[i], group) == 0)
			return;
	const char *name = arena_strdup(filling->arena, group);
	if (name && asker->group_count < GROUPS_MAX)
		asker->groups[asker->group_count++] = name;
}

static int fill_claim(void *context, const struct claim *claim, struct err *err)
{
	struct filling *filling = context;
	struct asker *asker = filling->asker;
	(void)err;
	if (claim->kind == CLAIM_MEMBER)
		add_group(filling, claim->name);
	if (claim->kind != CLAIM_ROLE || claim->own)
		return 0;
	const struct binding binding = {
		interned(filling->arena, claim->name), kept(filling->arena, claim->domain),
		kept(filling->arena, claim->at_kind), kept(filling->arena, claim->at_name)};
	bool whole = binding.role && (binding.domain || !claim->domain) &&
	             (binding.kind || !claim->at_kind) && (binding.name || !claim->at_name);
	if (whole)
		(void)asker_bind_at(asker, &binding); /* a full one is given no more: denied */
	return 0;
}

void bindings_fill(struct bindings *bindings, struct arena *arena, struct asker *asker)
{
	char key[SUBJECT_MAX];
	const struct look look = {.bindings = bindings, .tenant = asker->tenant};
	struct filling filling = {arena, asker};
	if (!bindings)
		return;
	pthread_rwlock_rdlock(&bindings->lock);
	(void)!look_at(&look, subject_key(key, asker->tenant, "", asker->principal), fill_claim,
	               &filling, NULL);
	for (size_t i = 0; i < asker->group_count; i++)
		(void)!look_at(&look,
		               subject_key(key, asker->tenant, GROUP_SUBJECT, asker->groups[i]),
		               fill_claim, &filling, NULL);
	pthread_rwlock_unlock(&bindings->lock);
}
