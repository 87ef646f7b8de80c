/* sched_class.c - shapes of tasks: what they ask of a worker. Which workers could hold a class
 * when empty is found once, when the class or the worker comes. A class without tasks stays
 * while its pool has workers, until the place is needed. */
#include "common/defs.h"
#include "control/sched_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHAPE_MAX = 160 + LABELS_MAX * 2 * (LABEL_TEXT_MAX + 1) + 1 };

struct label *labels_copy(const struct label *labels, size_t count)
{
	struct label *copy = calloc(count > 0 ? count : 1, sizeof *copy);
	for (size_t i = 0; copy && i < count; i++) {
		copy[i].key = strdup(labels[i].key);
		copy[i].value = strdup(labels[i].value);
		if (!copy[i].key || !copy[i].value) {
			labels_free(copy, i + 1);
			return NULL;
		}
	}
	return copy;
}

void labels_free(struct label *labels, size_t count)
{
	for (size_t i = 0; labels && i < count; i++) {
		free((char *)labels[i].key);
		free((char *)labels[i].value);
	}
	free(labels);
}

static int label_order(const void *a, const void *b)
{
	const struct label *const *first = a, *const *second = b;
	return strcmp((*first)->key, (*second)->key);
}

/* The same for one shape, whatever order its selector has. */
static const char *shape_of(char out[SHAPE_MAX], const struct sched_spec *spec)
{
	const struct label *sorted[LABELS_MAX];
	size_t count = spec->selector_count < LABELS_MAX ? spec->selector_count : LABELS_MAX;
	int at = snprintf(out, SHAPE_MAX, "%.80s\n%" PRIx64 " %" PRIx64 " %" PRIx64 "%s",
	                  spec->pool ? spec->pool : "default", spec->demand.v[RES_CPU],
	                  spec->demand.v[RES_MEMORY], spec->demand.v[RES_SLOTS],
	                  spec->serves ? " s" : "");
	for (size_t i = 0; i < count; i++)
		sorted[i] = &spec->selector[i];
	qsort(sorted, count, sizeof sorted[0], label_order);
	for (size_t i = 0; i < count; i++)
		at += snprintf(out + at, SHAPE_MAX - (size_t)at, "\n%.*s=%.*s", LABEL_TEXT_MAX,
		               sorted[i]->key, LABEL_TEXT_MAX, sorted[i]->value);
	return out;
}

struct sched_class *class_find(const struct sched *sched, const struct sched_spec *spec)
{
	char shape[SHAPE_MAX];
	struct hash_node *node = hashmap_find(&sched->classes, shape_of(shape, spec));
	return node ? HASH_OWNER(node, struct sched_class, by_shape) : NULL;
}

/* --- which workers could hold it --- */

static bool has_label(const struct sched_site *site, const struct label *label)
{
	for (size_t i = 0; i < site->label_count; i++)
		if (strcmp(site->labels[i].key, label->key) == 0)
			return strcmp(site->labels[i].value, label->value) == 0;
	return false;
}

bool class_matches(const struct sched_class *class, const struct sched_site *site)
{
	if ((class->serves && !site->serves) || !capacity_fits(&class->demand, &site->total))
		return false;
	for (size_t i = 0; i < class->selector_count; i++)
		if (!has_label(site, &class->selector[i]))
			return false;
	return true;
}

void class_meets(struct sched_class *class, struct sched_site *site, bool there)
{
	bool matches = there && class_matches(class, site), matched = site_may_hold(site, class);
	uint64_t bit = (uint64_t)1 << class->id % 64;
	if (matches == matched)
		return;
	site->fits[class->id / 64] ^= bit;
	class->sites += matches ? 1u : -1u;
}

/* --- made and ended --- */

void class_drop(struct sched *sched, struct sched_class *class)
{
	for (struct sched_site *at = class->pool->sites; at; at = at->next)
		class_meets(class, at, false);
	*(class->prev ? &class->prev->next : &class->pool->classes) = class->next;
	if (class->next)
		class->next->prev = class->prev;
	class->pool->class_count--;
	sched->by_id[class->id] = NULL;
	hashmap_remove(&sched->classes, &class->by_shape);
	labels_free(class->selector, class->selector_count);
	heap_release(&class->cohorts);
	heap_release(&class->ages);
	free(class);
}

void class_put(struct sched *sched, struct sched_class *class)
{
	if (class->members == 0 && !class->pool->sites)
		class_drop(sched, class);
}

static bool id_free(struct sched *sched, uint16_t *ret_id)
{
	for (uint32_t i = 0; i < CLASSES_MAX; i++) {
		uint32_t id = (sched->next_class + i) % CLASSES_MAX;
		if (sched->by_id[id])
			continue;
		sched->next_class = id + 1;
		*ret_id = (uint16_t)id;
		return true;
	}
	return false;
}

static bool id_take(struct sched *sched, uint16_t *ret_id)
{
	if (id_free(sched, ret_id))
		return true;
	for (int id = 0; id < CLASSES_MAX; id++)
		if (sched->by_id[id]->members == 0)
			class_drop(sched, sched->by_id[id]);
	return id_free(sched, ret_id);
}

static struct sched_class *class_make(struct sched *sched, struct sched_pool *pool,
                                      const struct sched_spec *spec)
{
	char shape[SHAPE_MAX];
	size_t len = strlen(shape_of(shape, spec)) + 1;
	struct sched_class *class = calloc(1, sizeof *class + len);
	struct label *selector = labels_copy(spec->selector, spec->selector_count);
	if (class)
		memcpy(class->shape, shape, len);
	if (!class || !selector ||
	    !hashmap_add(&sched->classes, &class->by_shape, class->shape)) {
		labels_free(selector, spec->selector_count);
		free(class);
		return NULL;
	}
	class->selector = selector;
	class->selector_count = spec->selector_count;
	class->demand = spec->demand;
	class->serves = spec->serves;
	class->pool = pool;
	return class;
}

int class_get(struct sched *sched, struct sched_pool *pool, const struct sched_spec *spec,
              struct sched_class **ret_class, struct err *err)
{
	struct sched_class *class = class_find(sched, spec);
	uint16_t id = 0;
	if (class) {
		*ret_class = class;
		return 0;
	}
	if (!id_take(sched, &id))
		return err_set(
			err, E_BUSY,
			"tasks of %d shapes (demand, pool and selector) are "
			"known at one time, which is the most; use a shape that others have, "
			"or submit it when some have ended",
			CLASSES_MAX);
	class = class_make(sched, pool, spec);
	if (!class)
		return err_set(err, E_NOMEM, "no memory for a shape of tasks");
	class->id = id;
	sched->by_id[id] = class;
	class->next = pool->classes;
	if (pool->classes)
		pool->classes->prev = class;
	pool->classes = class;
	pool->class_count++;
	for (struct sched_site *at = pool->sites; at; at = at->next)
		class_meets(class, at, true);
	*ret_class = class;
	return 0;
}

void class_active(struct sched_class *class)
{
	struct sched_pool *pool = class->pool;
	bool ready = class->cohorts.len > 0;
	if (ready && class->active == 0) {
		pool->active[pool->active_count++] = class;
		class->active = pool->active_count;
	} else if (!ready && class->active > 0) {
		struct sched_class *last = pool->active[--pool->active_count];
		pool->active[class->active - 1] = last;
		last->active = class->active;
		class->active = 0;
	}
}
