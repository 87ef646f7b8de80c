/* tagging.c - see tagging.h. What was found of a dataset is kept packed, with the count of changes
 * of the catalog that it was found after; a later change makes it worth nothing. */
#include "common/defs.h"
#include "control/tagging.h"

#include "common/crypto.h"
#include "common/pack.h"
#include "control/hashmap.h"
#include "control/sharing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SHOWED_MAX = 16, ENTRIES_MAX = 20000, NODE_BYTES_MAX = 1024 * 1024,
	GRAPH_ARENA = 256 * MIB
};

struct entry {
	struct hash_node by_key;
	struct entry *next;
	uint64_t changes;            /* it was made after so many */
	uint8_t *packed;
	size_t len;
	char key[];
};

struct tagging {
	_Atomic uint64_t changes;
	pthread_mutex_t mutex;       /* guards all below */
	struct hashmap entries;
	struct entry *first;
};

int tagging_new(struct tagging **ret_tagging, struct err *err)
{
	uint64_t seed = 0;
	struct tagging *tagging = calloc(1, sizeof *tagging);
	if (!tagging)
		return err_set(err, E_NOMEM, "no memory for tags");
	random_bytes(&seed, sizeof seed);
	pthread_mutex_init(&tagging->mutex, NULL);
	hashmap_init(&tagging->entries, seed);
	*ret_tagging = tagging;
	return 0;
}

static void forget_all(struct tagging *tagging)
{
	for (struct entry *at = tagging->first, *next = NULL; at; at = next) {
		next = at->next;
		hashmap_remove(&tagging->entries, &at->by_key);
		free(at->packed);
		free(at);
	}
	tagging->first = NULL;
}

void tagging_free(struct tagging *tagging)
{
	if (!tagging)
		return;
	forget_all(tagging);
	hashmap_release(&tagging->entries);
	pthread_mutex_destroy(&tagging->mutex);
	free(tagging);
}

bool tagging_changed(struct tagging *tagging, const char *key)
{
	static const char *const prefixes[] = {
		"r/dataset/", "r/lineage/", "r/lift/", "r/offer/", "r/acceptance/", "r/tenant/",
	};
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0) {
			if (tagging)
				tagging->changes++;
			return true;
		}
	return false;
}

/* --- what is kept --- */

static struct entry *entry_of(struct tagging *tagging, const char *key)
{
	struct hash_node *node = hashmap_find(&tagging->entries, key);
	return node ? HASH_OWNER(node, struct entry, by_key) : NULL;
}

static struct entry *entry_make(struct tagging *tagging, const char *key)
{
	struct entry *entry = entry_of(tagging, key);
	size_t len = strlen(key) + 1;
	if (entry)
		return entry;
	if (tagging->entries.len >= ENTRIES_MAX)
		forget_all(tagging);
	entry = calloc(1, sizeof *entry + len);
	if (!entry)
		return NULL;
	memcpy(entry->key, key, len);
	if (!hashmap_add(&tagging->entries, &entry->by_key, entry->key)) {
		free(entry);
		return NULL;
	}
	entry->next = tagging->first;
	tagging->first = entry;
	return entry;
}

static void keep(struct tagging *tagging, const char *key, const struct value *node,
                 uint64_t changes)
{
	AUTO_BUF packed;
	buf_init(&packed, NODE_BYTES_MAX);
	if (pack_write(node, &packed, NULL) < 0 || buf_check(&packed, NULL) < 0)
		return;                      /* found again each time */
	pthread_mutex_lock(&tagging->mutex);
	struct entry *entry = entry_make(tagging, key);
	if (entry) {
		free(entry->packed);
		entry->packed = packed.data;
		entry->len = packed.len;
		entry->changes = changes;
		packed.data = NULL;
	}
	pthread_mutex_unlock(&tagging->mutex);
}

/* A copy, so that it is read without the mutex; NULL: not kept, or no more. */
static const struct value *kept(struct tagging *tagging, struct arena *arena, const char *key,
                                uint64_t changes)
{
	struct value *node = NULL;
	void *copy = NULL;
	pthread_mutex_lock(&tagging->mutex);
	const struct entry *entry = entry_of(tagging, key);
	size_t len = entry && entry->changes == changes ? entry->len : 0;
	if (len)
		copy = arena_alloc(arena, len);
	if (copy)
		memcpy(copy, entry->packed, len);
	pthread_mutex_unlock(&tagging->mutex);
	return copy && pack_read(arena, copy, len, &node, NULL) == 0 ? node : NULL;
}

/* --- nodes --- */

static struct value *copy_or_empty(struct arena *arena, const struct value *value)
{
	return value ? value_copy(arena, value) : value_map(arena);
}

static int node_value(struct arena *arena, const struct tagnode *node, struct value **ret_value,
                      struct err *err)
{
	struct value *value = value_map(arena);
	value_set(value, "flow", value_copy(arena, node->flow));
	value_set(value, "influence", value_copy(arena, node->influence));
	value_set(value, "rest", value_copy(arena, node->rest));
	value_set(value, "columns", value_copy(arena, node->columns));
	TRY(value_check(value, err));
	*ret_value = value;
	return 0;
}

static int node_read(struct arena *arena, const struct value *value, struct tagnode *ret_node,
                     struct err *err)
{
	const char *state = value_get_str(value, "state");
	const struct value *lifts = value_get(value, "lifts");
	*ret_node = (struct tagnode){
		.flow = copy_or_empty(arena, value_get(value, "flow")),
		.influence = copy_or_empty(arena, value_get(value, "influence")),
		.rest = copy_or_empty(arena, value_get(value, "rest")),
		.columns = copy_or_empty(arena, value_get(value, "columns")),
		.lifts = lifts ? value_copy(arena, lifts) : value_list(arena),
		.state = state ? state : "",
	};
	TRY(value_check(ret_node->flow, err));
	TRY(value_check(ret_node->influence, err));
	TRY(value_check(ret_node->rest, err));
	TRY(value_check(ret_node->lifts, err));
	return value_check(ret_node->columns, err);
}

/* The graph may be large: it is walked in memory of its own. */
static int find(struct control *control, struct arena *arena, const struct dataset_at *at,
                struct value **ret_value, struct err *err)
{
	AUTO(arena) *scratch = NULL;
	struct tagnode node;
	TRY(arena_new(GRAPH_ARENA, &scratch, err));
	TRY(tagnode_make(control, scratch, at, &node, err));
	TRY(node_value(arena, &node, ret_value, err));
	value_set_str(*ret_value, "state", node.state);
	value_set(*ret_value, "lifts", value_copy(arena, node.lifts));
	return value_check(*ret_value, err);
}

static int own_node(struct control *control, struct arena *arena, const struct dataset_at *at,
                    struct tagnode *ret_node, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *made = NULL;
	struct tagging *tagging = control->tagging;
	uint64_t changes = tagging ? tagging->changes : 0;
	snprintf(key, sizeof key, "%s/%s/%s", at->tenant, at->domain, at->name);
	const struct value *value = tagging ? kept(tagging, arena, key, changes) : NULL;
	if (value)
		return node_read(arena, value, ret_node, err);
	TRY(find(control, arena, at, &made, err));
	if (tagging)
		keep(tagging, key, made, changes);
	return node_read(arena, made, ret_node, err);
}

int tagging_node(struct control *control, struct arena *arena, const struct dataset_at *at,
                 struct tagnode *ret_node, struct err *err)
{
	const char *dot = strchr(at->name, '.');
	if (!dot)
		return own_node(control, arena, at, ret_node, err);
	const struct reader reader = { at->tenant, at->domain };
	const char *alias = arena_strndup(arena, at->name, (size_t)(dot - at->name));
	struct shared shared;
	if (!alias)
		return err_set(err, E_NOMEM, "no memory for tags");
	TRY(sharing_resolve(control, arena, &reader, KIND_DATASET, alias, dot + 1, &shared, err));
	const struct dataset_at owner = { shared.tenant, shared.domain, shared.name };
	TRY(own_node(control, arena, &owner, ret_node, err));
	return strcmp(shared.tenant, at->tenant) != 0
	               ? tagnode_close(arena, &owner, ret_node, err)
	               : 0;
}

int tagging_known(struct control *control, struct arena *arena, const struct dataset_at *at,
                  const char *reader, struct value **ret_known, struct err *err)
{
	struct tagnode node;
	TRY(own_node(control, arena, at, &node, err));
	if (strcmp(reader, at->tenant) != 0)
		TRY(tagnode_close(arena, at, &node, err));
	return node_value(arena, &node, ret_known, err);
}

/* --- tags alone --- */

static int names_of(struct arena *arena, const struct tagnode *node, struct tags *ret_tags,
                    struct err *err)
{
	struct value *whole = value_map(arena), *columns = value_map(arena);
	tagmap_merge(arena, whole, node->flow);
	tagmap_merge(arena, whole, node->influence);
	for (size_t i = 0; i < value_len(node->columns); i++) {
		const char *name = NULL;
		const struct value *map = value_member(node->columns, i, &name);
		value_set(columns, name, tagmap_names(arena, map));
	}
	struct value *names = tagmap_names(arena, whole), *rest = tagmap_names(arena, node->rest);
	TRY(value_check(whole, err));
	TRY(value_check(names, err));
	TRY(value_check(rest, err));
	TRY(value_check(columns, err));
	*ret_tags = (struct tags){ names, columns, rest };
	return 0;
}

static void keep_names(struct tagging *tagging, struct arena *arena, const char *key,
                       const struct tags *tags, uint64_t changes)
{
	struct value *names = value_map(arena);
	value_set(names, "dataset", value_copy(arena, tags->dataset));
	value_set(names, "columns", value_copy(arena, tags->columns));
	value_set(names, "rest", value_copy(arena, tags->rest));
	if (value_check(names, NULL) == 0)
		keep(tagging, key, names, changes);
}

/* The names are kept by themselves: decisions ask for them alone. */
int tags_of(struct control *control, struct arena *arena, const char *tenant, const char *domain,
            const char *dataset, struct tags *ret_tags, struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct dataset_at at = { tenant, domain, dataset };
	struct tagnode node;
	struct tagging *tagging = strchr(dataset, '.') ? NULL : control->tagging;
	uint64_t changes = tagging ? tagging->changes : 0;
	snprintf(key, sizeof key, "names %s/%s/%s", tenant, domain, dataset);
	const struct value *names = tagging ? kept(tagging, arena, key, changes) : NULL;
	if (names) {
		*ret_tags = (struct tags){ value_get(names, "dataset"),
			                   value_get(names, "columns"),
			                   value_get(names, "rest") };
		return 0;
	}
	TRY(tagging_node(control, arena, &at, &node, err));
	TRY(names_of(arena, &node, ret_tags, err));
	if (tagging)
		keep_names(tagging, arena, key, ret_tags, changes);
	return 0;
}

/* What a view adds of its own. */
static int add_own(struct arena *arena, struct tagnode *node, const struct value *spec,
                   const char *whole, struct err *err)
{
	const struct value *features = value_get(spec, "features"), *tags = value_get(spec, "tags");
	struct value *own = value_map(arena);
	for (size_t i = 0; i < value_len(tags); i++)
		tagmap_add(arena, own, value_as_str(value_at(tags, i)), whole);
	TRY(value_check(own, err));
	tagmap_merge(arena, node->flow, own);
	tagmap_merge(arena, node->rest, own);
	for (size_t i = 0; i < value_len(features); i++) {
		const char *name = value_get_str(value_at(features, i), "name");
		const struct value *more = value_get(value_at(features, i), "tags");
		struct value *map = copy_or_empty(arena, tagnode_column(node, name));
		for (size_t k = 0; k < value_len(more); k++)
			tagmap_add(arena, map, value_as_str(value_at(more, k)), whole);
		tagmap_merge(arena, map, own);
		value_set(node->columns, name, map);
	}
	return 0;
}

static int view_node(struct control *control, struct arena *arena, const struct dataset_at *at,
                     const struct value *spec, struct tagnode *ret_node, struct err *err)
{
	char domain[64], name[64];
	const struct reader reader = { at->tenant, at->domain };
	struct shared shared;
	const char *ref = value_get_str(spec, "dataset");
	TRY(catalog_ref(ref ? ref : "", at->domain, domain, name, err));
	bool alias = sharing_is_alias(control, &reader, domain);
	TRY(sharing_resolve(control, arena, &reader, KIND_DATASET, domain, name, &shared, err));
	const struct dataset_at from = { shared.tenant, shared.domain, shared.name };
	TRY(own_node(control, arena, &from, ret_node, err));
	return alias ? tagnode_close(arena, &from, ret_node, err) : 0;
}

static int merge_node(struct arena *arena, struct tagnode *node, const struct value *known,
                      struct err *err)
{
	const struct value *columns = value_get(known, "columns");
	struct value *before = copy_or_empty(arena, node->rest);
	TRY(value_check(before, err));
	tagmap_merge(arena, node->flow, value_get(known, "flow"));
	tagmap_merge(arena, node->influence, value_get(known, "influence"));
	for (size_t i = 0; i < value_len(columns); i++) {
		const char *name = NULL;
		const struct value *more = value_member(columns, i, &name);
		const struct value *own = column_get(node->columns, name);
		struct value *map = copy_or_empty(arena, own ? own : before);
		tagmap_merge(arena, map, more);
		value_set(node->columns, name, map);
	}
	tagmap_merge(arena, node->rest, value_get(known, "rest"));
	for (size_t i = 0; i < value_len(node->columns); i++) {
		const char *name = NULL;
		(void)value_member(node->columns, i, &name);
		if (!column_get(columns, name))
			tagmap_merge(arena, value_get_mut(node->columns, name),
			             value_get(known, "rest"));
	}
	return 0;
}

static int showed_of(struct control *control, struct arena *arena, const struct value *before,
                     struct value *ret_showed, struct err *err)
{
	const struct value *metadata = value_get(before, "metadata");
	const struct dataset_at at = { value_get_str(metadata, "tenant"),
		                       value_get_str(metadata, "domain"), "" };
	const struct value *spec = value_get(before, "spec");
	struct tagnode node;
	struct value *known = NULL;
	if (view_node(control, arena, &at, spec, &node, err) < 0)
		return err_set(err, E_CONFLICT, "spec.dataset: what the view shows cannot be seen "
		               "any more, nor what tags it has; make a new view instead");
	TRY(node_value(arena, &node, &known, err));
	value_set_str(ret_showed, "dataset", value_get_str(spec, "dataset"));
	value_set(ret_showed, "known", known);
	return value_check(ret_showed, err);
}

int tagging_keep_showed(struct control *control, struct arena *arena, const struct value *before,
                        struct value *stored, struct err *err)
{
	const char *old = value_get_str(value_get(before, "spec"), "dataset");
	const char *now = value_get_str(value_get(stored, "spec"), "dataset");
	const struct value *kept_before = value_get(before, "showed");
	struct value *list = value_list(arena), *showed = value_map(arena);
	bool moves = old && now && strcmp(old, now) != 0;
	for (size_t i = 0; i < value_len(kept_before); i++)
		value_add(list, value_copy(arena, value_at(kept_before, i)));
	if (moves && value_len(list) >= SHOWED_MAX)
		return err_set(err, E_CONFLICT, "spec.dataset: the view has shown %d datasets "
		               "before; make a new view instead", SHOWED_MAX);
	if (moves)
		TRY(showed_of(control, arena, before, showed, err));
	if (moves)
		value_add(list, showed);
	if (value_len(list))
		value_set(stored, "showed", list);
	return value_check(stored, err);
}

static int own_view(struct control *control, struct arena *arena, const struct dataset_at *at,
                    struct tags *ret_tags, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	struct tagnode node;
	const char *whole = arena_printf(arena, "%s/%s/%s", at->tenant, at->domain, at->name);
	if (!whole)
		return err_set(err, E_NOMEM, "no memory for tags");
	catalog_key(key, KIND_FEATUREVIEW, at->tenant, at->domain, at->name);
	int rc = catalog_get(control->catalog, arena, key, &stored, NULL, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	TRY(node_read(arena, NULL, &node, err));
	if (rc == 0)
		TRY(view_node(control, arena, at, value_get(stored, "spec"), &node, err));
	const struct value *showed = value_get(stored, "showed");
	for (size_t i = 0; i < value_len(showed); i++)
		TRY(merge_node(arena, &node, value_get(value_at(showed, i), "known"), err));
	TRY(add_own(arena, &node, value_get(stored, "spec"), whole, err));
	return names_of(arena, &node, ret_tags, err);
}

int tags_of_view(struct control *control, struct arena *arena, const char *tenant,
                 const char *domain, const char *view, struct tags *ret_tags, struct err *err)
{
	const struct dataset_at at = { tenant, domain, view };
	const struct reader reader = { tenant, domain };
	const char *dot = strchr(view, '.');
	const char *alias = dot ? arena_strndup(arena, view, (size_t)(dot - view)) : NULL;
	struct shared shared;
	if (!dot)
		return own_view(control, arena, &at, ret_tags, err);
	if (!alias)
		return err_set(err, E_NOMEM, "no memory for tags");
	TRY(sharing_resolve(control, arena, &reader, KIND_FEATUREVIEW, alias, dot + 1, &shared,
	                    err));
	const struct dataset_at owner = { shared.tenant, shared.domain, shared.name };
	return own_view(control, arena, &owner, ret_tags, err);
}

const struct value *tags_of_column(const struct tags *tags, const char *column)
{
	const struct value *found = column_get(tags->columns, column);
	return found ? found : tags->rest;
}
