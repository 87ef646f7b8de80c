/* h_usage.c - what was used and what it cost. */
#include "common/defs.h"
#include "control/admit.h"
#include "control/forward.h"
#include "control/may.h"

#include <inttypes.h>
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

static bool may_read(struct control *control, const struct request *request, const char *domain)
{
	const struct target target = { .tenant = request->tenant, .domain = domain,
	                               .whole = !domain };
	return may_request(control, request, ACTION_USAGE_READ, &target, KIND_NONE, NULL, NULL)
		.allowed;
}

static void add_to(struct value *total, const struct value *domain)
{
	for (size_t i = 0; i < value_len(domain); i++) {
		const char *name = NULL;
		const struct value *member = value_member(domain, i, &name);
		if (value_kind(member) == VALUE_INT)
			value_set_int(total, name, value_get_int(total, name, 0) +
			                           value_as_int(member, 0));
	}
}

/* What someone sees who may not read all of the tenant's: the domains it may, and their sum. */
static struct value *only_domains(struct control *control, const struct request *request,
                                  const struct value *usage)
{
	struct arena *arena = request->arena;
	const struct value *domains = value_get(usage, "domains");
	struct value *map = value_map(arena), *list = value_list(arena), *total = value_map(arena);
	for (size_t i = 0; i < value_len(domains); i++) {
		const char *name = value_get_str(value_at(domains, i), "domain");
		if (!name || !may_read(control, request, name))
			continue;
		value_add(list, value_copy(arena, value_at(domains, i)));
		add_to(total, value_at(domains, i));
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
	if (!may_read(control, request, NULL))
		usage = only_domains(control, request, usage);
	TRY(value_check(usage, err));
	set_currency(control, request->arena, usage);
	return request_reply(request, 200, usage, err);
}

struct all {
	struct control *control;
	const struct request *request;
	const struct part *only;     /* NULL: every shard's tenants */
	struct value *items;
	const struct value *others[PARTS_MAX];       /* what the leaders of other shards said */
	const char *last;
};

/* Of a shard that is led elsewhere. NULL: its leader does not know of the tenant yet. */
static struct value *told_usage(const struct all *all, const struct part *part, const char *name)
{
	const struct value *items = value_get(all->others[part->index], "items");
	for (size_t i = 0; i < value_len(items); i++) {
		const char *tenant = value_get_str(value_at(items, i), "tenant");
		if (tenant && strcmp(tenant, name) == 0)
			return value_copy(all->request->arena, value_at(items, i));
	}
	return NULL;
}

static int add_tenant(void *context, const char *key, const struct value *tenant, int64_t revision,
                      struct err *err)
{
	struct all *all = context;
	const char *name = value_get_str(value_get(tenant, "metadata"), "name");
	const struct part *part = part_of(all->control, name ? name : "");
	struct arena *arena = all->request->arena;
	(void)revision;
	all->last = key;
	if (!name || (all->only && all->only != part))
		return 0;
	bool elsewhere = all->others[part->index] != NULL;
	struct value *usage = elsewhere ? told_usage(all, part, name)
	                                : shard_usage(part->shard, arena, name);
	if (elsewhere && !usage)
		return 0;
	TRY(value_check(usage, err));
	set_currency(all->control, arena, usage);
	value_add(all->items, usage);
	return 0;
}

/* The same page of the tenants, from the leader of each shard that is led elsewhere. */
static int ask_others(struct all *all, int64_t limit, struct err *err)
{
	const struct request *request = all->request;
	struct control *control = all->control;
	const char *token = request_query(request, "continue");
	for (int i = 0; i < control->part_count; i++) {
		struct part *part = &control->parts[i];
		struct value *answer = NULL;
		if (part_leads(part) || (all->only && all->only != part))
			continue;
		if (!control->forward || all->only)
			return part_needs_lead(part, err);
		const char *target = arena_printf(
			request->arena, "/v1/usage?shard=%d&limit=%" PRId64 "%s%s", i, limit,
			token ? "&continue=" : "", token ? token : "");
		if (!target)
			return err_set(err, E_NOMEM, "no memory to ask the other shards");
		TRY(forward_get(control->forward, part, request, target, &answer, err));
		all->others[i] = answer;
	}
	return 0;
}

int h_usage_all(struct control *control, struct request *request, struct err *err)
{
	struct all all = { .control = control, .request = request,
	                   .items = value_list(request->arena) };
	int64_t limit = 0;
	bool more = false;
	const char *after = NULL, *resume = NULL;
	if (request_query(request, "shard"))
		all.only = request->part;
	TRY(request_number(request, "limit", 1, LIST_MOST, LIST_DEFAULT, &limit, err));
	TRY(request_after(request, "r/tenant/", &after, err));
	TRY(ask_others(&all, limit, err));
	TRY(catalog_list(control->catalog, request->arena, "r/tenant/", after, (size_t)limit,
	                 add_tenant, &all, &more, err));
	if (more)
		TRY(request_resume(request, "r/tenant/", all.last, &resume, err));
	return request_reply_list(request, all.items, resume, err);
}
