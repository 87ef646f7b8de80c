/* cedar_set.c - the policies, the index and the decision.
 *
 * Every policy is filed under three keys: of its principal's scope (an entity, a type, or any),
 * of its resource's, and of its action's. A request has few keys of each kind: itself, its
 * ancestors, its type, any. The first two levels hold only that something lies below, so
 * combinations nobody wrote are left early. Keys are hashes; a collision costs a check, because
 * scopes are checked again. */
#include "common/defs.h"
#include "policy/cedar_set.h"

#include "policy/cedar_lex.h"
#include "policy/cedar_parse.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ACTIONS_FILED = 16 };     /* a longer list of actions is filed under any */
enum { KEY_ANY = 1, KEY_TYPE = 2, KEY_UID = 3 };

struct filed {
	uint32_t policy;
	uint32_t next;               /* 1 + place in the list; 0: none */
};

struct slot {
	uint64_t key;                /* 0: free */
	uint32_t first;              /* 1 + place in the list; 0: only a mark */
};

struct cedar_set {
	atomic_uint holds;
	size_t bytes_max;
	struct arena *arena;
	const struct cedar_policy **policies;    /* in the arena; the list is not */
	size_t count, room;
	size_t slot_count;
	struct slot *slots;
	size_t filed_count, filed_max;
	struct filed *filed;
	bool closed;
};

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "the policies do not fit into the memory set aside for them");
}

int cedar_set_new(size_t bytes_max, struct cedar_set **ret_set, struct err *err)
{
	struct cedar_set *set = calloc(1, sizeof *set);
	if (!set)
		return no_room(err);
	atomic_init(&set->holds, 1);
	set->bytes_max = bytes_max;
	int rc = arena_new(bytes_max, &set->arena, err);
	if (rc < 0) {
		free(set);
		return rc;
	}
	*ret_set = set;
	return 0;
}

void cedar_set_hold(struct cedar_set *set)
{
	atomic_fetch_add(&set->holds, 1);
}

void cedar_set_free(struct cedar_set *set)
{
	if (!set || atomic_fetch_sub(&set->holds, 1) != 1)
		return;
	arena_free(set->arena);
	free(set->policies);
	free(set);
}

static bool widen(struct cedar_set *set)
{
	size_t room = set->room ? set->room + set->room / 2 : 64;
	if (room >= UINT32_MAX || room * sizeof *set->policies > set->bytes_max)
		return false;
	const struct cedar_policy **wider = realloc(set->policies, room * sizeof *wider);
	if (!wider)
		return false;
	set->policies = wider;
	set->room = room;
	return true;
}

/* The policy lies in the arena. */
static int append(struct cedar_set *set, const struct cedar_policy *policy, struct err *err)
{
	if (set->count == set->room && !widen(set))
		return no_room(err);
	set->policies[set->count++] = policy;
	return 0;
}

int cedar_set_add(struct cedar_set *set, const char *text, size_t len, const char *prefix,
		  struct err *err)
{
	struct cedar_policies parsed;
	REQUIRE(!set->closed);
	TRY(cedar_parse_policies(set->arena, text, len, &parsed, err));
	for (size_t i = 0; i < parsed.count; i++) {
		const char *id = arena_printf(set->arena, "%s%zu", prefix, i);
		if (!id)
			return no_room(err);
		parsed.items[i].id = cedar_str(id);
		TRY(append(set, &parsed.items[i], err));
	}
	return 0;
}

static int copy_uid(struct cedar_set *set, const struct cedar_uid *uid,
		    const struct cedar_uid **ret_uid, struct err *err)
{
	struct cedar_str type, id;
	*ret_uid = NULL;
	if (!uid)
		return 0;
	struct cedar_uid *copy = arena_alloc(set->arena, sizeof *copy);
	if (!copy)
		return no_room(err);
	TRY(cedar_str_copy(set->arena, uid->type, &type, err));
	TRY(cedar_str_copy(set->arena, uid->id, &id, err));
	cedar_uid_init(copy, type, id);
	*ret_uid = copy;
	return 0;
}

int cedar_set_link(struct cedar_set *set, const char *template_id, const char *id,
		   const struct cedar_uid *principal, const struct cedar_uid *resource,
		   struct err *err)
{
	const struct cedar_policy *template = NULL;
	struct cedar_policy *linked = arena_alloc(set->arena, sizeof *linked);
	struct cedar_str copy;
	const struct cedar_uid *who = NULL, *what = NULL;
	REQUIRE(!set->closed);
	for (size_t i = 0; i < set->count && !template; i++)
		if (cedar_str_is(set->policies[i]->id, template_id))
			template = set->policies[i];
	if (!linked)
		return no_room(err);
	if (!template)
		return err_set(err, E_NOT_FOUND, "there is no template `%.64s` to link",
			template_id);
	TRY(copy_uid(set, principal, &who, err));
	TRY(copy_uid(set, resource, &what, err));
	TRY(cedar_str_copy(set->arena, cedar_str(id), &copy, err));
	TRY(cedar_policy_link(set->arena, template, copy, who, what, linked, err));
	return append(set, linked, err);
}

static uint64_t join(uint64_t a, uint64_t b)
{
	uint64_t key = (a ^ (b + 0x9e3779b97f4a7c15u)) * 0xd6e8feb86659fd93u;
	key ^= key >> 32;
	return key ? key : 1;
}

static uint64_t type_key(uint64_t type_hash)
{
	return join(type_hash, KEY_TYPE);
}

static uint64_t uid_key(const struct cedar_uid *uid)
{
	return join(uid->hash, KEY_UID);
}

static uint64_t scope_key(const struct cedar_scope *scope)
{
	if (scope->count == 1)
		return uid_key(scope->uids[0]);
	bool typed = scope->kind == CEDAR_SCOPE_IS || scope->kind == CEDAR_SCOPE_IS_IN;
	return typed ? type_key(cedar_hash(0, scope->type)) : KEY_ANY;
}

static struct slot *slot_of(const struct cedar_set *set, uint64_t key)
{
	size_t mask = set->slot_count - 1, i = key & mask;
	while (set->slots[i].key && set->slots[i].key != key)
		i = (i + 1) & mask;
	return &set->slots[i];
}

static struct slot *mark(struct cedar_set *set, uint64_t key)
{
	struct slot *slot = slot_of(set, key);
	slot->key = key;
	return slot;
}

static void file_under(struct cedar_set *set, uint32_t policy, uint64_t pair, uint64_t action)
{
	struct slot *slot = mark(set, join(pair, action));
	set->filed[set->filed_count] = (struct filed){ policy, slot->first };
	slot->first = (uint32_t)++set->filed_count;
}

static size_t files_of(const struct cedar_policy *policy)
{
	size_t count = policy->action.count;
	return count && count <= ACTIONS_FILED ? count : 1;
}

static void file(struct cedar_set *set, uint32_t i)
{
	const struct cedar_policy *policy = set->policies[i];
	uint64_t who = join(KEY_ANY, scope_key(&policy->principal));
	uint64_t pair = join(who, scope_key(&policy->resource));
	mark(set, who);
	mark(set, pair);
	/* `action in []` holds for nothing, yet it stays under any: the scope refuses it. */
	if (!policy->action.count || policy->action.count > ACTIONS_FILED) {
		file_under(set, i, pair, KEY_ANY);
		return;
	}
	for (size_t a = 0; a < policy->action.count; a++)
		file_under(set, i, pair, uid_key(policy->action.uids[a]));
}

static int by_id(const void *a, const void *b)
{
	const struct cedar_policy *left = *(const struct cedar_policy *const *)a;
	const struct cedar_policy *right = *(const struct cedar_policy *const *)b;
	return cedar_str_compare(left->id, right->id);
}

static int check_ids(struct cedar_set *set, struct err *err)
{
	const struct cedar_policy **all = calloc(set->count + 1, sizeof *all);
	int rc = 0;
	if (!all)
		return no_room(err);
	for (size_t i = 0; i < set->count; i++)
		all[i] = set->policies[i];
	qsort(all, set->count, sizeof *all, by_id);
	for (size_t i = 1; i < set->count && !rc; i++)
		if (cedar_str_equal(all[i - 1]->id, all[i]->id))
			rc = err_set(err, E_INVALID, "two policies have the id `%s`; ids are "
				"unique",
			             cedar_str_show(set->arena, all[i]->id));
	free(all);
	return rc;
}

int cedar_set_close(struct cedar_set *set, struct err *err)
{
	TRY(check_ids(set, err));
	for (size_t i = 0; i < set->count; i++)
		set->filed_max += files_of(set->policies[i]);
	if (set->filed_max >= UINT32_MAX / 8)
		return err_set(err, E_TOO_LARGE, "the policies have %zu pairs with an action; "
			"at most %u", set->filed_max, UINT32_MAX / 8);
	set->slot_count = 16;
	while (set->slot_count < 2 * (set->filed_max + 2 * set->count))
		set->slot_count *= 2;
	set->slots = arena_alloc(set->arena, set->slot_count * sizeof *set->slots);
	set->filed = arena_alloc(set->arena, (set->filed_max + 1) * sizeof *set->filed);
	if (!set->slots || !set->filed)
		return no_room(err);
	for (size_t i = 0; i < set->count; i++)
		if (!cedar_policy_is_template(set->policies[i]))
			file(set, (uint32_t)i);
	set->closed = true;
	return 0;
}

size_t cedar_set_count(const struct cedar_set *set)
{
	return set->count;
}

const struct cedar_policy *cedar_set_at(const struct cedar_set *set, size_t i)
{
	return i < set->count ? set->policies[i] : NULL;
}

size_t cedar_set_bytes(const struct cedar_set *set)
{
	return arena_used(set->arena) + set->room * sizeof *set->policies;
}

/* The keys under which policies may lie that concern an entity: any, type, itself, ancestors. */
struct reach {
	size_t count;
	const uint64_t *keys;
};

struct found {
	uint32_t policy;
	const char *reason;      /* NULL: it applies */
};

struct search {
	const struct cedar_set *set;
	struct cedar_env env;
	struct err err;
	bool scope_only;
	struct reach resource, action;
	struct found *found;
	size_t count;
};

static int note(struct search *search, uint32_t policy, const char *reason)
{
	search->found = cedar_grow(search->env.arena, search->found, search->count,
	                           sizeof *search->found);
	if (!search->found)
		return E_NOMEM;
	search->found[search->count++] = (struct found){ policy, reason };
	return 0;
}

static int try_policy(struct search *search, uint32_t i)
{
	bool applies = false;
	if (search->scope_only)
		return cedar_policy_concerns(&search->env, search->set->policies[i])
		               ? note(search, i, NULL) : 0;
	int rc = cedar_policy_applies(&search->env, search->set->policies[i], &applies);
	if (rc == E_NOMEM)
		return rc;
	if (rc < 0) {
		const char *reason = arena_strdup(search->env.arena, search->err.text);
		return reason ? note(search, i, reason) : E_NOMEM;
	}
	return applies ? note(search, i, NULL) : 0;
}

static int try_slot(struct search *search, uint64_t key)
{
	const struct cedar_set *set = search->set;
	for (uint32_t at = slot_of(set, key)->first; at; at = set->filed[at - 1].next)
		TRY(try_policy(search, set->filed[at - 1].policy));
	return 0;
}

static int try_pair(struct search *search, uint64_t pair)
{
	for (size_t i = 0; i < search->action.count; i++)
		TRY(try_slot(search, join(pair, search->action.keys[i])));
	return 0;
}

static int try_principal(struct search *search, uint64_t who)
{
	for (size_t i = 0; i < search->resource.count; i++) {
		uint64_t pair = join(who, search->resource.keys[i]);
		if (slot_of(search->set, pair)->key)
			TRY(try_pair(search, pair));
	}
	return 0;
}

static int reach_of(struct search *search, const struct cedar_uid *uid,
		    const struct cedar_entity *entity, struct reach *ret_reach)
{
	size_t ancestors = entity ? entity->ancestor_count : 0;
	uint64_t *keys = arena_alloc(search->env.arena, (3 + ancestors) * sizeof *keys);
	if (!keys)
		return E_NOMEM;
	keys[0] = KEY_ANY;
	keys[1] = type_key(uid->type_hash);
	keys[2] = uid_key(uid);
	for (size_t i = 0; i < ancestors; i++)
		keys[3 + i] = uid_key(entity->ancestors[i]);
	*ret_reach = (struct reach){ 3 + ancestors, keys };
	return 0;
}

static int run(struct search *search)
{
	const struct cedar_env *env = &search->env;
	const struct cedar_request *request = env->request;
	struct reach principal;
	TRY(reach_of(search, &request->principal, env->principal, &principal));
	TRY(reach_of(search, &request->resource, env->resource, &search->resource));
	TRY(reach_of(search, &request->action, env->action, &search->action));
	for (size_t i = 0; i < principal.count; i++) {
		uint64_t who = join(KEY_ANY, principal.keys[i]);
		if (slot_of(search->set, who)->key)
			TRY(try_principal(search, who));
	}
	return 0;
}

static int by_policy(const void *a, const void *b)
{
	const struct found *left = a, *right = b;
	return (left->policy > right->policy) - (left->policy < right->policy);
}

/* One policy may be found under several of its actions. */
static void tidy(struct search *search)
{
	size_t kept = 0;
	if (search->count > 1)
		qsort(search->found, search->count, sizeof *search->found, by_policy);
	for (size_t i = 0; i < search->count; i++)
		if (!kept || search->found[kept - 1].policy != search->found[i].policy)
			search->found[kept++] = search->found[i];
	search->count = kept;
}

/* Errors into the answer; whether a policy of that effect applies. */
static bool sift(const struct search *search, bool forbid, struct cedar_answer *answer)
{
	bool any = false;
	answer->error_count = 0;
	for (size_t i = 0; i < search->count; i++) {
		const struct found *found = &search->found[i];
		const struct cedar_policy *policy = search->set->policies[found->policy];
		if (found->reason)
			answer->errors[answer->error_count++] =
				(struct cedar_failure){ policy, found->reason };
		else if (policy->forbid == forbid)
			any = true;
	}
	return any;
}

static int conclude(const struct search *search, struct cedar_answer *answer)
{
	struct arena *arena = search->env.arena;
	answer->reasons = arena_alloc(arena, (search->count + 1) * sizeof *answer->reasons);
	answer->errors = arena_alloc(arena, (search->count + 1) * sizeof *answer->errors);
	if (!answer->reasons || !answer->errors)
		return E_NOMEM;
	bool forbidden = sift(search, true, answer);
	answer->allowed = sift(search, false, answer) && !forbidden;
	for (size_t i = 0; i < search->count; i++) {
		const struct found *found = &search->found[i];
		const struct cedar_policy *policy = search->set->policies[found->policy];
		if (!found->reason && policy->forbid == forbidden)
			answer->reasons[answer->reason_count++] = policy;
	}
	return 0;
}

int cedar_set_decide(const struct cedar_set *set, struct arena *arena,
		     const struct cedar_request *request, const struct cedar_entities *entities,
		     struct cedar_answer *ret_answer, struct err *err)
{
	struct search search = { .set = set };
	struct cedar_answer answer = { 0 };
	REQUIRE(set->closed);
	cedar_env_init(&search.env, arena, request, entities, &search.err);
	int rc = run(&search);
	if (!rc) {
		tidy(&search);
		rc = conclude(&search, &answer);
	}
	if (rc < 0)
		return err_set(err, E_NOMEM, "no memory left to decide a request; it is denied");
	*ret_answer = answer;
	return 0;
}

int cedar_set_concerned(const struct cedar_set *set, struct arena *arena,
			const struct cedar_request *request, const struct cedar_entities *entities,
			const struct cedar_policy ***ret_policies, size_t *ret_count,
			struct err *err)
{
	struct search search = { .set = set, .scope_only = true };
	REQUIRE(set->closed);
	cedar_env_init(&search.env, arena, request, entities, &search.err);
	int rc = run(&search);
	const struct cedar_policy **policies =
		rc < 0 ? NULL : arena_alloc(arena, (search.count + 1) * sizeof *policies);
	if (!policies)
		return err_set(err, E_NOMEM, "no memory left to find a request's policies");
	tidy(&search);
	for (size_t i = 0; i < search.count; i++)
		policies[i] = set->policies[search.found[i].policy];
	*ret_policies = policies;
	*ret_count = search.count;
	return 0;
}
