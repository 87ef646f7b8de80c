/* tagnode.c - see tagnode.h. Datasets may be made of each other in a circle: what is in the circle
 * is worked out again, from what was found before, until nothing is added. Tags are only ever
 * added in that, so it ends. Lifts that hold in a circle are judged by the last round. */
#include "common/defs.h"
#include "control/tagnode.h"

#include "common/crypto.h"
#include "common/text.h"
#include "control/lifts.h"
#include "control/sharing.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ROUNDS_MAX = 32, NAME_BYTES = 200 };

/* A dataset that was come by. */
struct met {
	struct met *next;
	const char *key;
	struct tagnode node;         /* of this round, when done; else of the last */
	bool known, done, busy, cut;
};

struct graph {
	struct control *control;
	struct arena *arena;
	struct met *first;
	size_t count;
	int depth;
	bool cut, grew;
};

static int no_memory(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory for a dataset's tags");
}

/* A tag that memory was missing for must not be taken as absent: whoever checks the map is told. */
static void spoil(struct value *map)
{
	value_set(map, "", NULL);
}

/* --- maps of tags --- */

void tagmap_add(struct arena *arena, struct value *map, const char *tag, const char *origin)
{
	struct value *list = value_get_mut(map, tag);
	if (!list) {
		list = value_list(arena);
		value_set(map, tag, list);
	}
	for (size_t i = 0; i < value_len(list); i++)
		if (strcmp(value_as_str(value_at(list, i)), origin) == 0)
			return;
	if (value_len(list) < TAG_ORIGINS_MAX)
		value_add_str(list, origin);
	else if (value_len(list) == TAG_ORIGINS_MAX)
		value_add_str(list, "...");      /* which no lift is for */
}

void tagmap_merge(struct arena *arena, struct value *map, const struct value *other)
{
	for (size_t i = 0; i < value_len(other); i++) {
		const char *tag = NULL;
		const struct value *origins = value_member(other, i, &tag);
		for (size_t k = 0; k < value_len(origins); k++)
			tagmap_add(arena, map, tag, value_as_str(value_at(origins, k)));
	}
}

struct value *tagmap_names(struct arena *arena, const struct value *map)
{
	struct value *list = value_list(arena);
	for (size_t i = 0; i < value_len(map); i++) {
		const char *tag = NULL;
		(void)value_member(map, i, &tag);
		value_add_str(list, tag);
	}
	return list;
}

const struct value *column_get(const struct value *columns, const char *name)
{
	for (size_t i = 0; name && i < value_len(columns); i++) {
		const char *other = NULL;
		const struct value *member = value_member(columns, i, &other);
		if (strcasecmp(other, name) == 0)
			return member;
	}
	return NULL;
}

const struct value *tagnode_column(const struct tagnode *node, const char *column)
{
	const struct value *found = column_get(node->columns, column);
	return found ? found : node->rest;
}

/* Of the columns' own maps: made when it is not there, beginning with what every column has. */
static struct value *column_map(struct graph *graph, struct tagnode *node, const char *name)
{
	struct value *map = NULL;
	for (size_t i = 0; !map && i < value_len(node->columns); i++) {
		const char *other = NULL;
		(void)value_member(node->columns, i, &other);
		if (strcasecmp(other, name) == 0)
			map = value_get_mut(node->columns, other);
	}
	if (!map) {
		map = value_map(graph->arena);
		value_set(node->columns, name, map);
	}
	return map;
}

/* --- declared --- */

static void add_list(struct graph *graph, struct value *map, const struct value *tags,
                     const char *origin)
{
	for (size_t i = 0; i < value_len(tags); i++) {
		const char *tag = value_as_str(value_at(tags, i));
		if (tag)
			tagmap_add(graph->arena, map, tag, origin);
	}
}

static void declare_columns(struct graph *graph, struct tagnode *node, const char *whole,
                            const struct value *columns)
{
	for (size_t i = 0; i < value_len(columns); i++) {
		const struct value *column = value_at(columns, i);
		const char *name = value_get_str(column, "name");
		const char *origin = arena_printf(graph->arena, "%s.%s", whole, name ? name : "");
		if (!origin)
			spoil(node->columns);
		else if (name)
			add_list(graph, column_map(graph, node, name), value_get(column, "tags"),
			         origin);
	}
}

static const char *text_of(struct arena *arena, const struct dataset_at *at)
{
	return arena_printf(arena, "%s/%s/%s", at->tenant, at->domain, at->name);
}

static int node_check(const struct tagnode *node, struct err *err)
{
	TRY(value_check(node->flow, err));
	TRY(value_check(node->influence, err));
	TRY(value_check(node->rest, err));
	TRY(value_check(node->lifts, err));
	return value_check(node->columns, err);
}

/* --- inherited --- */

static int walk(struct graph *graph, const struct dataset_at *at, struct tagnode *ret_node,
                struct err *err);

/* Told of another tenant's: no farther than what it shares. */
static struct value *reorigin(struct arena *arena, const struct value *map, const char *origin)
{
	struct value *new = value_map(arena);
	for (size_t i = 0; i < value_len(map); i++) {
		const char *tag = NULL;
		(void)value_member(map, i, &tag);
		tagmap_add(arena, new, tag, origin);
	}
	return new;
}

int tagnode_close(struct arena *arena, const struct dataset_at *at, struct tagnode *node,
                  struct err *err)
{
	const char *whole = text_of(arena, at);
	struct value *columns = value_map(arena);
	if (!whole)
		return no_memory(err);
	for (size_t i = 0; i < value_len(node->columns); i++) {
		const char *name = NULL;
		const struct value *map = value_member(node->columns, i, &name);
		const char *origin = arena_printf(arena, "%s.%s", whole, name);
		value_set(columns, name, origin ? reorigin(arena, map, origin) : NULL);
	}
	node->flow = reorigin(arena, node->flow, whole);
	node->influence = reorigin(arena, node->influence, whole);
	node->rest = reorigin(arena, node->rest, whole);
	node->columns = columns;
	return node_check(node, err);
}

/* Whether the reader's acceptance still gives it that dataset. */
static int is_given(struct graph *graph, const char *alias, const struct dataset_at *at,
                    const struct reader *reader, bool *ret_given, struct err *err)
{
	struct shared shared;
	int rc = sharing_resolve(graph->control, graph->arena, reader, KIND_DATASET, alias,
	                         at->name, &shared, err);
	if (rc == E_INPUT)
		return 0;
	TRY(rc);
	*ret_given = shared.tenant && strcmp(shared.tenant, at->tenant) == 0 &&
	             strcmp(shared.domain, at->domain) == 0;
	return 0;
}

/* Whether what an input names is what it named, and may be seen from there. */
static int is_visible(struct graph *graph, const struct value *input, const struct dataset_at *at,
                      const struct reader *reader, bool *ret_visible, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *dataset = NULL;
	const char *alias = value_get_str(input, "alias"), *uid = value_get_str(input, "uid");
	*ret_visible = false;
	catalog_key(key, KIND_DATASET, at->tenant, at->domain, at->name);
	int rc = catalog_get(graph->control->catalog, graph->arena, key, &dataset, NULL, err);
	if (rc < 0)
		return rc == E_NOT_FOUND ? 0 : rc;
	const char *now = value_get_str(value_get(dataset, "metadata"), "uid");
	if (!uid || !now || strcmp(uid, now) != 0)
		return 0;
	if (alias)
		return is_given(graph, alias, at, reader, ret_visible, err);
	*ret_visible = strcmp(at->tenant, reader->tenant) == 0;
	return 0;
}

static struct value *map_or_empty(struct graph *graph, const struct value *map)
{
	return map ? value_copy(graph->arena, map) : value_map(graph->arena);
}

static int known_node(struct graph *graph, const struct value *known, struct tagnode *ret_node,
                      struct err *err)
{
	*ret_node = (struct tagnode){
		.flow = map_or_empty(graph, value_get(known, "flow")),
		.influence = map_or_empty(graph, value_get(known, "influence")),
		.rest = map_or_empty(graph, value_get(known, "rest")),
		.columns = map_or_empty(graph, value_get(known, "columns")),
		.lifts = value_list(graph->arena), .state = "known",
	};
	return node_check(ret_node, err);
}

static int node_of_input(struct graph *graph, const struct value *input,
                         const struct reader *reader, struct tagnode *ret_node, struct err *err)
{
	const struct dataset_at at = { value_get_str(input, "tenant"),
		                       value_get_str(input, "domain"),
		                       value_get_str(input, "name") };
	if (!at.tenant || !at.domain || !at.name)
		return err_set(err, E_CORRUPT, "a dataset's lineage names an input without a name");
	bool visible = false;
	TRY(is_visible(graph, input, &at, reader, &visible, err));
	if (!visible)
		return known_node(graph, value_get(input, "known"), ret_node, err);
	TRY(walk(graph, &at, ret_node, err));
	return strcmp(at.tenant, reader->tenant) != 0
	               ? tagnode_close(graph->arena, &at, ret_node, err)
	               : 0;
}

/* Everything that a column of it may have. */
static void add_any_column(struct graph *graph, struct value *map, const struct tagnode *node)
{
	tagmap_merge(graph->arena, map, node->rest);
	for (size_t i = 0; i < value_len(node->columns); i++)
		tagmap_merge(graph->arena, map, value_member(node->columns, i, NULL));
}

static void add_refs(struct graph *graph, struct value *map, const struct value *refs,
                     const struct tagnode *sources, size_t count)
{
	for (size_t i = 0; i < value_len(refs); i++) {
		const struct value *ref = value_at(refs, i);
		size_t input = (size_t)value_as_int(value_at(ref, 0), INT64_MAX);
		if (input >= count)
			continue;
		if (value_len(ref) == 1)
			add_any_column(graph, map, &sources[input]);
		for (size_t c = 1; c < value_len(ref); c++)
			tagmap_merge(graph->arena, map,
			             tagnode_column(&sources[input],
			                            value_as_str(value_at(ref, c))));
	}
}

static void inherit_exactly(struct graph *graph, struct tagnode *node, const struct value *lineage,
                            const struct tagnode *sources, size_t count)
{
	const struct value *columns = value_get(lineage, "columns");
	for (size_t i = 0; i < value_len(columns); i++) {
		const char *name = NULL;
		const struct value *refs = value_member(columns, i, &name);
		add_refs(graph, column_map(graph, node, name), refs, sources, count);
	}
	add_refs(graph, node->influence, value_get(lineage, "influence"), sources, count);
}

static void inherit_all(struct graph *graph, struct tagnode *node, const struct tagnode *sources,
                        size_t count)
{
	for (size_t i = 0; i < count; i++) {
		add_any_column(graph, node->rest, &sources[i]);
		add_any_column(graph, node->influence, &sources[i]);
	}
}

/* What a lift is given for: the SQL and the inputs of it and of all that it is made of. */
static int state_of(struct graph *graph, const struct value *lineage, const struct tagnode *sources,
                    const char **ret_state, struct err *err)
{
	uint8_t sum[32];
	char *hex = arena_alloc(graph->arena, TAG_STATE_MAX);
	const struct value *inputs = value_get(lineage, "inputs");
	AUTO_BUF text;
	buf_init(&text, MIB);
	buf_printf(&text, "%s %s %s", value_get_str(lineage, "uid"), value_get_str(lineage, "by"),
	           value_get_str(lineage, "sql"));
	for (size_t i = 0; i < value_len(inputs); i++)
		buf_printf(&text, "\n%s %s", value_get_str(value_at(inputs, i), "uid"),
		           sources[i].state);
	TRY(buf_check(&text, err));
	if (!hex)
		return no_memory(err);
	sha256(text.data, text.len, sum);
	hex_print(sum, sizeof sum, hex);
	*ret_state = hex;
	return 0;
}

static int inherit(struct graph *graph, const struct dataset_at *at, const char *uid,
                   struct tagnode *node, struct err *err)
{
	const struct value *lineage = NULL;
	TRY(lineage_get(graph->control, graph->arena, at, uid, &lineage, err));
	if (!lineage)
		return 0;
	const struct value *inputs = value_get(lineage, "inputs");
	const struct reader reader = { at->tenant, lineage_domain(graph->arena, lineage) };
	size_t count = value_len(inputs);
	struct tagnode *sources = arena_alloc(graph->arena, (count + 1) * sizeof *sources);
	if (!sources || (!reader.domain && value_get_str(lineage, "by")))
		return no_memory(err);
	for (size_t i = 0; i < count; i++) {
		TRY(node_of_input(graph, value_at(inputs, i), &reader, &sources[i], err));
		if (!lineage_reads(value_at(inputs, i)))
			continue;
		tagmap_merge(graph->arena, node->flow, sources[i].flow);
		tagmap_merge(graph->arena, node->influence, sources[i].influence);
	}
	if (value_get_bool(lineage, "exact", false))
		inherit_exactly(graph, node, lineage, sources, count);
	else
		inherit_all(graph, node, sources, count);
	return state_of(graph, lineage, sources, &node->state, err);
}

/* --- lifted --- */

static bool lift_from(struct value *map, const struct value *lift, const char *state)
{
	const char *tag = value_get_str(lift, "tag");
	const struct value *origins = tag ? value_get(map, tag) : NULL;
	bool holds = origins && lifts_holds(lift, state, origins);
	if (holds)
		value_remove(map, tag);
	return holds;
}

/* Takes those origins away, and the tag when none is left. */
static void take_origins(struct graph *graph, struct value *map, const char *tag,
                         const struct value *gone)
{
	struct value *left = value_map(graph->arena);
	const struct value *origins = value_get(map, tag);
	for (size_t i = 0; i < value_len(origins); i++) {
		const char *origin = value_as_str(value_at(origins, i));
		bool stays = true;
		for (size_t k = 0; k < value_len(gone) && stays; k++)
			stays = strcmp(value_as_str(value_at(gone, k)), origin) != 0;
		if (stays)
			tagmap_add(graph->arena, left, tag, origin);
	}
	if (value_check(left, NULL) < 0)
		spoil(map);
	value_remove(map, tag);
	if (value_len(left))
		value_set(map, tag, value_get_mut(left, tag));
}

/* Columns that have it from a dataset as a whole have it no more; those that have it from a column
 * keep it. */
static bool lift_flow(struct graph *graph, struct tagnode *node, const struct value *lift)
{
	const char *tag = value_get_str(lift, "tag");
	const struct value *origins = tag ? value_get(node->flow, tag) : NULL;
	struct value *gone = origins ? value_copy(graph->arena, origins) : NULL;
	if (origins && !gone)
		spoil(node->flow);
	if (!lift_from(node->flow, lift, node->state))
		return false;
	take_origins(graph, node->rest, tag, gone);
	for (size_t i = 0; i < value_len(node->columns); i++) {
		const char *name = NULL;
		(void)value_member(node->columns, i, &name);
		take_origins(graph, value_get_mut(node->columns, name), tag, gone);
	}
	return true;
}

static bool lift_one(struct graph *graph, struct tagnode *node, const struct value *lift)
{
	const char *column = value_get_str(lift, "column");
	if (column)
		return lift_from(column_map(graph, node, column), lift, node->state);
	bool flow = lift_flow(graph, node, lift);
	return lift_from(node->influence, lift, node->state) || flow;
}

static void tell_lift(struct graph *graph, struct tagnode *node, const struct value *lift,
                      bool holds)
{
	struct value *told = value_copy(graph->arena, lift);
	value_remove(told, "origins");
	value_set_str(told, "state", holds ? "in force" : "lapsed");
	value_add(node->lifts, told);
}

static void lift_all(struct graph *graph, struct tagnode *node, const struct value *lifts,
                     bool columns)
{
	for (size_t i = 0; i < value_len(lifts); i++) {
		const struct value *lift = value_at(lifts, i);
		if ((value_get_str(lift, "column") != NULL) == columns)
			tell_lift(graph, node, lift, lift_one(graph, node, lift));
	}
}

/* --- a node --- */

/* Every column that is named has all that every column has. */
static void complete_columns(struct graph *graph, struct tagnode *node, const struct value *lifts)
{
	for (size_t i = 0; i < value_len(lifts); i++) {
		const char *column = value_get_str(value_at(lifts, i), "column");
		if (column)
			(void)column_map(graph, node, column);
	}
	tagmap_merge(graph->arena, node->rest, node->flow);
	for (size_t i = 0; i < value_len(node->columns); i++) {
		const char *name = NULL;
		(void)value_member(node->columns, i, &name);
		tagmap_merge(graph->arena, value_get_mut(node->columns, name), node->rest);
	}
}

static int fill(struct graph *graph, const struct dataset_at *at, struct tagnode *node,
                struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	const struct value *lifts = NULL;
	int64_t revision = 0;
	const char *whole = text_of(graph->arena, at);
	if (!whole)
		return no_memory(err);
	catalog_key(key, KIND_DATASET, at->tenant, at->domain, at->name);
	int rc = catalog_get(graph->control->catalog, graph->arena, key, &stored, NULL, err);
	if (rc < 0)
		return rc == E_NOT_FOUND ? node_check(node, err) : rc;
	const struct value *spec = value_get(stored, "spec");
	add_list(graph, node->flow, value_get(spec, "tags"), whole);
	declare_columns(graph, node, whole, value_get(spec, "schema"));
	declare_columns(graph, node, whole, value_get(spec, "columnTags"));
	TRY(inherit(graph, at, value_get_str(value_get(stored, "metadata"), "uid"), node, err));
	TRY(lifts_get(graph->control, graph->arena, at, &lifts, &revision, err));
	lift_all(graph, node, lifts, false);
	complete_columns(graph, node, lifts);
	lift_all(graph, node, lifts, true);
	return node_check(node, err);
}

static struct tagnode empty(struct arena *arena)
{
	return (struct tagnode){ value_map(arena), value_map(arena), value_map(arena),
		                 value_map(arena), value_list(arena), "" };
}

static struct met *find_met(const struct graph *graph, const char *key)
{
	struct met *met = graph->first;
	while (met && strcmp(met->key, key) != 0)
		met = met->next;
	return met;
}

static int meet(struct graph *graph, const char *key, struct met **ret_met, struct err *err)
{
	struct met *met = arena_alloc(graph->arena, sizeof *met);
	if (!met)
		return no_memory(err);
	*met = (struct met){ .next = graph->first, .key = arena_strdup(graph->arena, key),
		             .node = empty(graph->arena) };
	if (!met->key)
		return no_memory(err);
	TRY(node_check(&met->node, err));
	graph->first = met;
	graph->count++;
	*ret_met = met;
	return 0;
}

static bool same(const struct tagnode *a, const struct tagnode *b)
{
	return value_equal(a->flow, b->flow) && value_equal(a->influence, b->influence) &&
	       value_equal(a->rest, b->rest) && value_equal(a->columns, b->columns);
}

static int walk(struct graph *graph, const struct dataset_at *at, struct tagnode *ret_node,
                struct err *err)
{
	char key[STORE_KEY_MAX];
	catalog_key(key, KIND_DATASET, at->tenant, at->domain, at->name);
	struct met *met = find_met(graph, key);
	if ((!met && graph->count == TAG_NODES_MAX) || graph->depth == TAG_DEPTH_MAX)
		return err_set(err, E_TOO_LARGE, "tags: the dataset %s.%s is made of more than %d "
		               "datasets, or over more than %d steps", at->domain, at->name,
		               TAG_NODES_MAX, TAG_DEPTH_MAX);
	if (!met)
		TRY(meet(graph, key, &met, err));
	if (met->busy) {
		met->cut = graph->cut = true;
		*ret_node = met->node;
		ret_node->state = "circle";
		return 0;
	}
	if (!met->done) {
		struct tagnode node = empty(graph->arena);
		met->busy = true;
		graph->depth++;
		int rc = fill(graph, at, &node, err);
		graph->depth--;
		met->busy = false;
		TRY(rc);
		graph->grew |= met->cut && !same(&met->node, &node);
		met->node = node;
		met->done = true;
	}
	*ret_node = met->node;
	return 0;
}

int tagnode_make(struct control *control, struct arena *arena, const struct dataset_at *at,
                 struct tagnode *ret_node, struct err *err)
{
	struct graph graph = { .control = control, .arena = arena };
	for (int round = 0; round < ROUNDS_MAX; round++) {
		graph.grew = false;
		for (struct met *met = graph.first; met; met = met->next)
			met->done = false;
		TRY(walk(&graph, at, ret_node, err));
		if (!graph.grew)
			return 0;
	}
	return err_set(err, E_TOO_LARGE, "tags: the datasets that %s.%s is made of are made of "
	               "each other in too many ways", at->domain, at->name);
}
