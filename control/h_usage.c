/* h_usage.c - what was used and what it cost. */
#include "common/defs.h"
#include "control/admit.h"

#include <string.h>

handler_fn h_usage_tenant, h_usage_all;

static void set_currency(struct control *control, struct arena *arena, struct value *usage)
{
	char key[STORE_KEY_MAX];
	struct value *card = NULL;
	catalog_key(key, KIND_RATECARD, NULL, NULL, "default");
	if (catalog_get(control->catalog, arena, key, &card, NULL, NULL) == 0)
		value_set_str(usage, "currency",
		              value_get_str(value_get(card, "spec"), "currency"));
}

/* What a principal of one domain sees: that domain's share, and nothing of the rest. */
static struct value *only_domain(struct arena *arena, const struct value *usage,
                                 const char *domain)
{
	const struct value *domains = value_get(usage, "domains");
	struct value *map = value_map(arena), *list = value_list(arena), *total = value_map(arena);
	for (size_t i = 0; i < value_len(domains); i++) {
		const char *name = value_get_str(value_at(domains, i), "domain");
		if (!name || strcmp(name, domain) != 0)
			continue;
		value_add(list, value_copy(arena, value_at(domains, i)));
		total = value_copy(arena, value_at(domains, i));
		value_remove(total, "domain");
	}
	value_set_str(map, "tenant", value_get_str(usage, "tenant"));
	value_set(map, "total", total);
	value_set(map, "domains", list);
	return map;
}

int h_usage_tenant(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	TRY(request_needs_lead(request, err));
	catalog_key(key, KIND_TENANT, NULL, NULL, request->tenant);
	if (!catalog_has(control->catalog, key))
		return err_set(err, E_NOT_FOUND, "the tenant %s does not exist", request->tenant);
	struct value *usage = shard_usage(request->part->shard, request->arena, request->tenant);
	TRY(value_check(usage, err));
	if (request->asker.domain)
		usage = only_domain(request->arena, usage, request->asker.domain);
	TRY(value_check(usage, err));
	set_currency(control, request->arena, usage);
	return request_reply(request, 200, usage, err);
}

struct all {
	struct control *control;
	struct arena *arena;
	struct value *items;
	const char *last;
};

static int add_tenant(void *context, const char *key, const struct value *tenant, int64_t revision,
                      struct err *err)
{
	struct all *all = context;
	const char *name = value_get_str(value_get(tenant, "metadata"), "name");
	(void)revision;
	const struct part *part = part_of(all->control, name ? name : "");
	struct value *usage = shard_usage(part->shard, all->arena, name ? name : "");
	TRY(value_check(usage, err));
	set_currency(all->control, all->arena, usage);
	value_add(all->items, usage);
	all->last = key;
	return 0;
}

int h_usage_all(struct control *control, struct request *request, struct err *err)
{
	struct all all = { control, request->arena, value_list(request->arena), NULL };
	int64_t limit = 0;
	bool more = false;
	const char *after = NULL, *resume = NULL;
	for (int i = 0; i < control->part_count; i++)
		TRY(part_needs_lead(&control->parts[i], err));
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	TRY(request_after(request, "r/tenant/", &after, err));
	TRY(catalog_list(control->catalog, request->arena, "r/tenant/", after, (size_t)limit,
	                 add_tenant, &all, &more, err));
	if (more)
		TRY(request_resume(request, "r/tenant/", all.last, &resume, err));
	return request_reply_list(request, all.items, resume, err);
}
