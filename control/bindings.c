/* bindings.c - two maps: sources (a resource's key to what it claims) and subjects (to the claims
 * about them). Invariants: an edge of a subject is a claim of a source that is in the map, once; a
 * change first takes away what the source claimed, which needs no memory, then adds. */
#include "common/defs.h"
#include "control/bindings_impl.h"

#include "common/log.h"
#include "common/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLAIM_ARENA = 4 * 1024 * 1024 };

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

/* --- changes; the lock is held --- */

struct subject *subject_find(const struct bindings *bindings, const char *key)
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

static struct source *source_new(const char *key, const struct value *value)
{
	AUTO(arena) *arena = NULL;
	struct claims claims = {.count = 0};
	struct source *source = calloc(1, sizeof *source + strlen(key) + 1);
	if (!source)
		return NULL;
	memcpy(source->key, key, strlen(key) + 1);
	if (arena_new(CLAIM_ARENA, &arena, NULL) == 0 &&
	    claims_read(arena, key, value, &claims, NULL) == 0 &&
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
	if (!bindings || !source_split(key, &kind, tenant, &name))
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

/* --- who names it --- */

const char *subject_key(char out[SUBJECT_MAX], const char *tenant, const char *prefix,
                        const char *name)
{
	snprintf(out, SUBJECT_MAX, "%s/%s%s", tenant, prefix, name);
	return out;
}

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
			if (source_split(node->key, &kind, in, &name) && strcmp(in, tenant) == 0 &&
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
