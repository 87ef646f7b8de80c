/* h_worker.c - the workers as they are now, beside what the operator has said of them (kind Worker,
 * control/h_resource*.c). */
#include "common/defs.h"
#include "control/admit.h"

#include "control/dispatch.h"
#include "control/hashmap.h"

#include <string.h>

enum { ABSENT_MAX = 4096 };

handler_fn h_workers;

struct gathering {
	struct control *control;
	struct arena *arena;
	struct value *items;
	struct hashmap by_name;      /* of the items */
};

struct seen {                        /* in the arena */
	struct hash_node by_name;
	struct value *item;
};

static struct value *item_of(const struct gathering *gathering, const char *name)
{
	struct hash_node *node = hashmap_find(&gathering->by_name, name);
	return node ? HASH_OWNER(node, struct seen, by_name)->item : NULL;
}

static int add(struct gathering *gathering, struct value *item, struct err *err)
{
	struct seen *seen = arena_alloc(gathering->arena, sizeof *seen);
	const char *name = value_get_str(item, "name");
	if (!seen || !name || !hashmap_add(&gathering->by_name, &seen->by_name, name))
		return err_set(err, E_NOMEM, "no memory for the list of workers");
	seen->item = item;
	value_add(gathering->items, item);
	return 0;
}

/* The same worker polls every part's leader; each knows of its own tasks there. */
static int add_part(struct gathering *gathering, struct part *part, struct err *err)
{
	struct value *list = NULL;
	TRY(dispatch_workers(part->dispatch, gathering->arena, &list, err));
	for (size_t i = 0; i < value_len(list); i++) {
		const struct value *row = value_at(list, i);
		struct value *item = item_of(gathering, value_get_str(row, "name"));
		if (!item)
			TRY(add(gathering, value_copy(gathering->arena, row), err));
		else
			value_set_int(item, "running", value_get_int(item, "running", 0) +
			              value_get_int(row, "running", 0));
	}
	return 0;
}

/* Of one that does not poll there is only what was said of it. */
static int add_absent(void *context, const char *key, const struct value *stored,
                      int64_t revision, struct err *err)
{
	struct gathering *gathering = context;
	const char *name = value_get_str(value_get(stored, "metadata"), "name");
	const struct value *spec = value_get(stored, "spec");
	(void)key;
	(void)revision;
	if (!name || item_of(gathering, name))
		return 0;
	struct value *item = value_map(gathering->arena);
	bool drain = value_get_bool(spec, "drain", false);
	value_set_str(item, "name", name);
	value_set_int(item, "running", 0);
	value_set_bool(item, "cordoned", drain || value_get_bool(spec, "cordoned", false));
	value_set_bool(item, "draining", drain);
	value_set_bool(item, "connected", false);
	return add(gathering, item, err);
}

/* What is known of its identity, beside what it says of itself; one that has only that is listed
 * too. */
static int add_node(void *context, const char *key, const struct value *record, int64_t revision,
                    struct err *err)
{
	struct gathering *gathering = context;
	const char *name = value_get_str(record, "name");
	char text[TIME_TEXT_MAX];
	int64_t until_ms = value_get_int(record, "certificateUntil", 0);
	(void)key;
	(void)revision;
	struct value *item = name ? item_of(gathering, name) : NULL;
	if (name && !item) {
		item = value_map(gathering->arena);
		value_set_str(item, "name", name);
		value_set_str(item, "pool", value_get_str(record, "pool"));
		value_set_int(item, "running", 0);
		value_set_bool(item, "cordoned", false);
		value_set_bool(item, "draining", false);
		value_set_bool(item, "connected", false);
		TRY(add(gathering, item, err));
	}
	bool removed = value_get_int(record, "removedAt", 0) != 0;
	value_set_bool(item, "joined", !removed);
	value_set_bool(item, "removed", removed);
	if (until_ms)
		value_set_str(item, "certificateExpiresAt", time_print_ms(until_ms, text));
	return 0;
}

static int gather(struct gathering *gathering, struct request *request, struct err *err)
{
	struct control *control = gathering->control;
	bool any = false, more = false;
	for (int i = 0; i < control->part_count; i++) {
		if (!part_leads(&control->parts[i]))
			continue;
		TRY(add_part(gathering, &control->parts[i], err));
		any = true;
	}
	if (!any)
		return part_needs_lead(request->part, err);
	TRY(catalog_list(control->catalog, gathering->arena, "r/worker/", NULL, ABSENT_MAX,
	                 add_absent, gathering, &more, err));
	return catalog_list(control->catalog, gathering->arena, "r/node/", NULL, ABSENT_MAX,
	                    add_node, gathering, &more, err);
}

int h_workers(struct control *control, struct request *request, struct err *err)
{
	struct gathering gathering = {
		.control = control, .arena = request->arena, .items = value_list(request->arena),
	};
	hashmap_init(&gathering.by_name, 0);
	int rc = gather(&gathering, request, err);
	hashmap_release(&gathering.by_name);
	TRY(rc);
	return request_reply_list(request, gathering.items, NULL, err);
}
