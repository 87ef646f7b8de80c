/* h_lineage.c - what a dataset is made of, and what is made of it. Steps whose datasets the caller
 * may not read are there without a name; another tenant's is where it ends. */
#include "common/defs.h"
#include "control/resource.h"

#include "control/lineage.h"
#include "control/may.h"
#include "control/sharing.h"

#include <stdio.h>
#include <string.h>

handler_fn h_lineage_get;

enum { STEPS_MAX = 1000, DEPTH_MAX = 32, PAGE = 64, PAGE_ARENA = 64 * MIB, EDGES_MAX = 20000 };

struct shown {
	struct control *control;
	struct request *request;
	struct value *list;
	const char *seen[STEPS_MAX];
	size_t seen_count;
};

static bool may_read(const struct shown *shown, const struct dataset_at *at, enum kind kind)
{
	const struct request *request = shown->request;
	const struct target target = { .tenant = at->tenant, .domain = at->domain };
	enum action action = kind == KIND_DATASET ? ACTION_DATASET_READ : ACTION_FEATUREVIEW_READ;
	if (strcmp(at->tenant, request->tenant) != 0)
		return true;         /* it is shared, or was: the lineage is the caller's own */
	return may_request(shown->control, request, action, &target, kind, at->name, NULL).allowed;
}

static const char *text_of(struct arena *arena, const struct dataset_at *at)
{
	const char *text = arena_printf(arena, "%s/%s/%s", at->tenant, at->domain, at->name);
	return text ? text : "";
}

/* True: it was not shown before, and its own steps are to be. */
static bool add_step(struct shown *shown, const struct dataset_at *at, enum kind kind, int depth,
                     struct value **ret_step)
{
	struct arena *arena = shown->request->arena;
	struct value *step = value_map(arena);
	const char *text = text_of(arena, at);
	bool readable = may_read(shown, at, kind), again = false;
	if (readable)
		value_set_str(step, kind == KIND_DATASET ? "dataset" : "view", text);
	value_set_int(step, "depth", depth);
	for (size_t i = 0; i < shown->seen_count && !again; i++)
		again = strcmp(shown->seen[i], text) == 0;
	if (again)
		value_set_bool(step, "again", true);
	else if (kind == KIND_DATASET && shown->seen_count < STEPS_MAX)
		shown->seen[shown->seen_count++] = text;
	value_add(shown->list, step);
	*ret_step = step;
	return readable && !again && kind == KIND_DATASET && depth < DEPTH_MAX &&
	       value_len(shown->list) < STEPS_MAX;
}

static struct dataset_at at_of(const struct value *input)
{
	return (struct dataset_at){ value_get_str(input, "tenant"), value_get_str(input, "domain"),
		                    value_get_str(input, "name") };
}

static int lineage_now(struct shown *shown, const struct dataset_at *at,
                       const struct value **ret_lineage, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	*ret_lineage = NULL;
	catalog_key(key, KIND_DATASET, at->tenant, at->domain, at->name);
	int rc = catalog_get(shown->control->catalog, shown->request->arena, key, &stored, NULL,
	                     err);
	if (rc < 0)
		return rc == E_NOT_FOUND ? 0 : rc;
	return lineage_get(shown->control, shown->request->arena, at,
	                   value_get_str(value_get(stored, "metadata"), "uid"), ret_lineage, err);
}

static int show_up(struct shown *shown, const struct value *lineage, int depth, struct err *err)
{
	const struct value *inputs = value_get(lineage, "inputs");
	for (size_t i = 0; i < value_len(inputs); i++) {
		const struct value *input = value_at(inputs, i), *next = NULL;
		const struct dataset_at at = at_of(input);
		struct value *step = NULL;
		if (!at.tenant || !at.domain || !at.name || !lineage_reads(input))
			continue;
		bool own = strcmp(at.tenant, shown->request->tenant) == 0;
		bool goes_on = add_step(shown, &at, KIND_DATASET, depth, &step) && own;
		if (value_get(step, "dataset") && value_get_int(input, "snapshot", 0))
			value_set_int(step, "snapshot", value_get_int(input, "snapshot", 0));
		if (goes_on)
			TRY(lineage_now(shown, &at, &next, err));
		value_set_str(step, "by", value_get_str(next, "by"));
		if (next)
			TRY(show_up(shown, next, depth + 1, err));
	}
	return value_check(shown->list, err);
}

/* --- down: every lineage and view of the tenant, looked through once --- */

struct edge {
	const char *from;            /* "TENANT/DOMAIN/NAME" */
	struct dataset_at to;
	enum kind kind;
	const char *by;
};

struct edges {
	struct shown *shown;
	struct edge *items;
	size_t count, room;
	enum kind kind;
	char last[STORE_KEY_MAX];
};

static int add_edge(struct edges *edges, const struct edge *edge, struct err *err)
{
	struct arena *arena = edges->shown->request->arena;
	if (edges->count == EDGES_MAX)
		return err_set(err, E_TOO_LARGE, "lineage: the tenant's datasets are made of each "
		               "other in more than %d ways", EDGES_MAX);
	if (edges->count == edges->room) {
		size_t room = edges->room ? 2 * edges->room : 64;
		struct edge *items = arena_alloc(arena, room * sizeof *items);
		if (!items)
			return err_set(err, E_NOMEM, "no memory for a tenant's lineage");
		if (edges->count)
			memcpy(items, edges->items, edges->count * sizeof *items);
		edges->items = items;
		edges->room = room;
	}
	edges->items[edges->count++] = *edge;
	return 0;
}

/* Copies into the request's arena: the page's is reset. */
static bool edge_to(struct edges *edges, const char *key, struct edge *edge)
{
	struct arena *arena = edges->shown->request->arena;
	const char *name = strrchr(key, '/') + 1, *domain = strchr(strchr(key + 2, '/') + 1, '/');
	size_t len = domain ? strcspn(domain + 1, "/") : 0;
	edge->to = (struct dataset_at){ edges->shown->request->tenant,
		                        domain ? arena_strndup(arena, domain + 1, len) : NULL,
		                        arena_strdup(arena, name) };
	edge->kind = edges->kind;
	return edge->to.domain && edge->to.name;
}

static int see_lineage(struct edges *edges, const char *key, const struct value *lineage,
                       struct err *err)
{
	const struct value *inputs = value_get(lineage, "inputs");
	const char *by = value_get_str(lineage, "by");
	struct edge edge = { .by = by ? arena_strdup(edges->shown->request->arena, by) : NULL };
	if (!edge_to(edges, key, &edge))
		return err_set(err, E_NOMEM, "no memory for a tenant's lineage");
	for (size_t i = 0; i < value_len(inputs); i++) {
		const struct dataset_at at = at_of(value_at(inputs, i));
		if (!at.tenant || !at.domain || !at.name || !lineage_reads(value_at(inputs, i)))
			continue;
		edge.from = text_of(edges->shown->request->arena, &at);
		TRY(add_edge(edges, &edge, err));
	}
	return 0;
}

static int see_view(struct edges *edges, const char *key, const struct value *view,
                    struct err *err)
{
	char domain[64], name[64];
	struct edge edge = { .by = NULL };
	const char *ref = value_get_str(value_get(view, "spec"), "dataset");
	if (!edge_to(edges, key, &edge))
		return err_set(err, E_NOMEM, "no memory for a tenant's lineage");
	if (!ref || catalog_ref(ref, edge.to.domain, domain, name, NULL) < 0)
		return 0;
	const struct dataset_at from = { edge.to.tenant, domain, name };
	edge.from = text_of(edges->shown->request->arena, &from);
	return add_edge(edges, &edge, err);
}

static int see(void *context, const char *key, const struct value *value, int64_t revision,
               struct err *err)
{
	struct edges *edges = context;
	(void)revision;
	snprintf(edges->last, sizeof edges->last, "%s", key);
	return edges->kind == KIND_DATASET ? see_lineage(edges, key, value, err)
	                                   : see_view(edges, key, value, err);
}

static int gather(struct edges *edges, enum kind kind, const char *word, struct err *err)
{
	char prefix[STORE_KEY_MAX], after[STORE_KEY_MAX];
	AUTO(arena) *page = NULL;
	TRY(arena_new(PAGE_ARENA, &page, err));
	snprintf(prefix, sizeof prefix, "r/%s/%s/", word, edges->shown->request->tenant);
	edges->kind = kind;
	edges->last[0] = 0;
	for (bool more = true; more; arena_reset(page)) {
		snprintf(after, sizeof after, "%s", edges->last);
		TRY(catalog_list(edges->shown->control->catalog, page, prefix,
		                 after[0] ? after : NULL, PAGE, see, edges, &more, err));
	}
	return 0;
}

static void show_down(struct shown *shown, const struct edges *edges, const char *from, int depth)
{
	for (size_t i = 0; i < edges->count && value_len(shown->list) < STEPS_MAX; i++) {
		const struct edge *edge = &edges->items[i];
		struct value *step = NULL;
		if (strcmp(edge->from, from) != 0)
			continue;
		bool goes_on = add_step(shown, &edge->to, edge->kind, depth, &step);
		if (value_get(step, "dataset"))
			value_set_str(step, "by", edge->by);
		if (goes_on)
			show_down(shown, edges, text_of(shown->request->arena, &edge->to),
			          depth + 1);
	}
}

/* --- columns --- */

static void add_refs(const struct shown *shown, const struct value *inputs,
                     const struct value *refs, struct value *list)
{
	struct arena *arena = shown->request->arena;
	for (size_t i = 0; i < value_len(refs); i++) {
		const struct value *ref = value_at(refs, i);
		const struct dataset_at at =
			at_of(value_at(inputs, (size_t)value_as_int(value_at(ref, 0), -1)));
		if (!at.tenant || !at.domain || !at.name || !may_read(shown, &at, KIND_DATASET))
			continue;
		const char *whole = text_of(arena, &at);
		if (value_len(ref) == 1)
			value_add(list, value_str(arena, arena_printf(arena, "%s.*", whole)));
		for (size_t c = 1; c < value_len(ref); c++)
			value_add(list, value_str(arena, arena_printf(arena, "%s.%s", whole,
			                                              value_as_str(value_at(
			                                                      ref, c)))));
	}
}

static void show_columns(const struct shown *shown, const struct value *lineage, struct value *body)
{
	struct arena *arena = shown->request->arena;
	const struct value *inputs = value_get(lineage, "inputs");
	const struct value *columns = value_get(lineage, "columns");
	struct value *list = value_list(arena), *influence = value_list(arena);
	for (size_t i = 0; i < value_len(columns); i++) {
		const char *name = NULL;
		const struct value *refs = value_member(columns, i, &name);
		struct value *column = value_map(arena), *from = value_list(arena);
		add_refs(shown, inputs, refs, from);
		value_set_str(column, "name", name);
		value_set(column, "from", from);
		value_add(list, column);
	}
	add_refs(shown, inputs, value_get(lineage, "influence"), influence);
	value_set(body, "columns", list);
	value_set(body, "influence", influence);
}

static void describe(const struct value *lineage, struct value *body)
{
	static const char *const members[] = { "by", "task", "at", "sql" };
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		value_set_str(body, members[i], value_get_str(lineage, members[i]));
	value_set_int(body, "snapshot", value_get_int(lineage, "snapshot", 0));
	value_set_bool(body, "exact", value_get_bool(lineage, "exact", false));
}

int h_lineage_get(struct control *control, struct request *request, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct arena *arena = request->arena;
	const struct dataset_at at = { request->tenant, request->domain, request->name };
	const struct value *lineage = NULL;
	struct value *stored = NULL, *body = value_map(arena);
	struct shown *up = arena_alloc(arena, sizeof *up), *down = arena_alloc(arena, sizeof *down);
	catalog_key(key, KIND_DATASET, at.tenant, at.domain, at.name);
	TRY(catalog_get(control->catalog, arena, key, &stored, NULL, err));
	if (!up || !down)
		return err_set(err, E_NOMEM, "no memory for a dataset's lineage");
	*up = (struct shown){ .control = control, .request = request, .list = value_list(arena) };
	*down = *up;
	down->list = value_list(arena);
	struct edges edges = { .shown = down };
	TRY(lineage_now(up, &at, &lineage, err));
	TRY(show_up(up, lineage, 1, err));
	TRY(gather(&edges, KIND_DATASET, "lineage", err));
	TRY(gather(&edges, KIND_FEATUREVIEW, "featureview", err));
	show_down(down, &edges, text_of(arena, &at), 1);
	const char *name = arena_printf(arena, "%s.%s", at.domain, at.name);
	value_set(body, "dataset", value_str(arena, name ? name : ""));
	if (lineage)
		describe(lineage, body);
	value_set(body, "up", up->list);
	value_set(body, "down", down->list);
	if (lineage)
		show_columns(up, lineage, body);
	return request_reply(request, 200, body, err);
}
