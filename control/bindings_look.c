/* bindings_look.c - answers from the index: who has what, as it is or as a change would make it.
 * A look holds the lock for reading, and keeps nothing of the index after it. */
#include "common/defs.h"
#include "control/bindings_impl.h"

#include <stdio.h>
#include <string.h>

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
		TRY(claims_read(arena, what_if->key, what_if->value, &look.claims, err));
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

/* --- everybody of a tenant --- */

typedef int subject_fn(void *context, const struct look *look, const char *key, bool *ret_enough,
                       struct err *err);

/* The lock is held. */
static int each_subject(const struct look *look, subject_fn *visit, void *context, struct err *err)
{
	const struct hashmap *subjects = &look->bindings->subjects;
	size_t len = strlen(look->tenant);
	bool enough = false;
	for (size_t i = 0; i < subjects->cap && !enough; i++)
		for (const struct hash_node *node = subjects->slots[i]; node && !enough;
		     node = node->next)
			if (strncmp(node->key, look->tenant, len) == 0 && node->key[len] == '/')
				TRY(visit(context, look, node->key, &enough, err));
	return 0;
}

static int look_over(struct bindings *bindings, struct arena *arena, const char *tenant,
                     const struct what_if *what_if, subject_fn *visit, void *context,
                     struct err *err)
{
	struct look look;
	TRY(look_begin(bindings, arena, tenant, what_if, &look, err));
	pthread_rwlock_rdlock(&bindings->lock);
	int code = each_subject(&look, visit, context, err);
	pthread_rwlock_unlock(&bindings->lock);
	return code;
}

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

/* One by one, until somebody is it: `has` is of the last that was looked at. */
static int look_for_holder(void *context, const struct look *look, const char *key,
                           bool *ret_enough, struct err *err)
{
	struct holder *holder = context;
	struct gathering gathering = {look, holds, holder, 0, 0, false};
	holder->has = false;
	TRY(look_at(look, key, gather, &gathering, err));
	holder->has = *ret_enough = holder->has && gathering.present;
	return 0;
}

int bindings_has_holder(struct bindings *bindings, struct arena *arena, const char *tenant,
                        const char *role, const struct what_if *what_if, bool *ret_has,
                        struct err *err)
{
	struct holder holder = {role, false};
	TRY(look_over(bindings, arena, tenant, what_if, look_for_holder, &holder, err));
	*ret_has = holder.has;
	return 0;
}

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

struct visiting {
	bindings_asker_fn *visit;
	void *context;
};

static int visit_person(void *context, const struct look *look, const char *key, bool *ret_enough,
                        struct err *err)
{
	const struct visiting *visiting = context;
	const char *name = key + strlen(look->tenant) + 1;
	struct person person = {look, {.tenant = look->tenant, .principal = name}, false};
	if (strchr(name, ':'))               /* a group */
		return 0;
	TRY(look_at(look, key, add_claim, &person, err));
	return person.present ? visiting->visit(visiting->context, &person.asker, ret_enough, err)
	                      : 0;
}

int bindings_askers(struct bindings *bindings, struct arena *arena, const char *tenant,
                    const struct what_if *what_if, bindings_asker_fn *visit, void *context,
                    struct err *err)
{
	struct visiting visiting = {visit, context};
	return look_over(bindings, arena, tenant, what_if, visit_person, &visiting, err);
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
