/* tagging.c - see tagging.h. */
#include "common/defs.h"
#include "control/tagging.h"

#include <string.h>
#include <strings.h>

static void add_tags(struct value *list, const struct value *tags)
{
	for (size_t i = 0; i < value_len(tags); i++) {
		const char *tag = value_as_str(value_at(tags, i));
		bool there = !tag;
		for (size_t k = 0; !there && k < value_len(list); k++)
			there = strcmp(value_as_str(value_at(list, k)), tag) == 0;
		if (!there)
			value_add_str(list, tag);
	}
}

static void add_columns(struct arena *arena, struct value *map, const struct value *columns,
                        const struct value *rest)
{
	for (size_t i = 0; i < value_len(columns); i++) {
		const struct value *column = value_at(columns, i);
		const char *name = value_get_str(column, "name");
		const struct value *tags = value_get(column, "tags");
		if (!name || !value_len(tags))
			continue;
		struct value *list = value_get_mut(map, name);
		if (!list)
			list = value_copy(arena, rest);
		add_tags(list, tags);
		value_set(map, name, list);
	}
}

static int tags_from(struct control *control, struct arena *arena, const char *key,
                     const char *columns, struct tags *ret_tags, struct err *err)
{
	struct value *resource = NULL, *list = value_list(arena), *map = value_map(arena);
	int rc = catalog_get(control->catalog, arena, key, &resource, NULL, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	const struct value *spec = value_get(resource, "spec");
	add_tags(list, value_get(spec, "tags"));
	add_columns(arena, map, value_get(spec, columns), list);
	add_columns(arena, map, value_get(spec, "columnTags"), list);
	TRY(value_check(list, err));
	TRY(value_check(map, err));
	*ret_tags = (struct tags){ list, map, list };
	return 0;
}

int tags_of(struct control *control, struct arena *arena, const char *tenant, const char *domain,
            const char *dataset, struct tags *ret_tags, struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_DATASET, tenant, domain, dataset);
	return tags_from(control, arena, key, "schema", ret_tags, err);
}

int tags_of_view(struct control *control, struct arena *arena, const char *tenant,
                 const char *domain, const char *view, struct tags *ret_tags, struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_FEATUREVIEW, tenant, domain, view);
	return tags_from(control, arena, key, "features", ret_tags, err);
}

const struct value *tags_of_column(const struct tags *tags, const char *column)
{
	for (size_t i = 0; i < value_len(tags->columns); i++) {
		const char *name = NULL;
		const struct value *list = value_member(tags->columns, i, &name);
		if (strcasecmp(name, column) == 0)
			return list;
	}
	return tags->rest;
}
