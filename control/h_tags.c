/* h_tags.c - the tags of a dataset, and decisions to lift what it inherits. Where a tag comes from
 * is told as far as the caller may read datasets there; of others only in which domain they are. */
#include "common/defs.h"
#include "control/resource.h"

#include "control/lifts.h"
#include "control/may.h"
#include "control/tagging.h"

#include <stdio.h>
#include <string.h>

handler_fn h_tags_get, h_tags_lift, h_tags_unlift;

static const struct field lift_fields[] = {
	{ FIELD_NAME, true, "tag", NULL, NULL, "that it inherits" },
	{ FIELD_TEXT, false, "column", "128", NULL, "of which" },
	{ FIELD_TEXT, true, "reason", "1024", NULL, "why" },
	{ FIELD_TEXT, false, "lineage", "64", NULL, "as it was looked at" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};
static const struct field unlift_fields[] = {
	{ FIELD_NAME, true, "tag", NULL, NULL, "that was lifted" },
	{ FIELD_TEXT, false, "column", "128", NULL, "of which" },
	{ FIELD_TEXT, false, NULL, NULL, NULL, NULL }
};

struct asked {
	struct control *control;
	struct request *request;
	struct dataset_at at;
	const char *whole;           /* "TENANT/DOMAIN/NAME" */
	struct tagnode node;
	const struct value *schema;  /* declared; NULL: none */
};

static int open_dataset(struct control *control, struct request *request, struct asked *ret_asked,
                        struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	struct asked asked = { .control = control, .request = request,
		               .at = { request->tenant, request->domain, request->name } };
	catalog_key(key, KIND_DATASET, request->tenant, request->domain, request->name);
	TRY(catalog_get(control->catalog, request->arena, key, &stored, NULL, err));
	TRY(tagging_node(control, request->arena, &asked.at, &asked.node, err));
	asked.schema = value_get(value_get(stored, "spec"), "schema");
	asked.whole = arena_printf(request->arena, "%s/%s/%s", request->tenant, request->domain,
	                           request->name);
	if (!asked.whole)
		return err_set(err, E_NOMEM, "no memory to show a dataset's tags");
	*ret_asked = asked;
	return 0;
}

/* --- how they are shown --- */

/* "TENANT/DOMAIN/DATASET.COLUMN" cut to what the caller may know. */
static const char *shown_origin(const struct asked *asked, const char *origin)
{
	char tenant[64], domain[64], name[64];
	const struct request *request = asked->request;
	if (sscanf(origin, "%63[^/]/%63[^/]/%63[^.]", tenant, domain, name) != 3)
		return origin;
	/* Another tenant's is one that it shares with this one. */
	if (strcmp(tenant, request->tenant) != 0 ||
	    (strcmp(domain, request->domain) == 0 && strcmp(name, request->name) == 0))
		return origin;
	const struct target target = { .tenant = request->tenant,
		                       .domain = arena_strdup(request->arena, domain) };
	if (target.domain && may_request(asked->control, request, ACTION_DATASET_READ, &target,
	                                 KIND_DATASET, arena_strdup(request->arena, name), NULL)
	                             .allowed)
		return origin;
	return arena_strndup(request->arena, origin, strlen(tenant) + 1 + strlen(domain));
}

static bool is_own(const struct asked *asked, const char *origin)
{
	size_t len = strlen(asked->whole);
	return strncmp(origin, asked->whole, len) == 0 && (!origin[len] || origin[len] == '.');
}

static bool holds(const struct value *list, const char *text)
{
	for (size_t i = 0; text && i < value_len(list); i++)
		if (strcmp(value_as_str(value_at(list, i)), text) == 0)
			return true;
	return false;
}

static struct value *shown_tag(const struct asked *asked, const char *tag,
                               const struct value *origins, bool influence)
{
	struct arena *arena = asked->request->arena;
	struct value *map = value_map(arena), *from = value_list(arena);
	bool own = false;
	for (size_t i = 0; i < value_len(origins); i++) {
		const char *origin = value_as_str(value_at(origins, i));
		const char *shown = shown_origin(asked, origin);
		own |= is_own(asked, origin);
		if (!shown || !holds(from, shown))
			value_add(from, value_str(arena, shown ? shown : origin));
	}
	value_set_str(map, "tag", tag);
	value_set_str(map, "how", own ? "declared" : influence ? "influence" : "inherited");
	value_set(map, "from", from);
	return map;
}

static void show_tags(const struct asked *asked, const struct value *map, bool influence,
                      struct value *list)
{
	for (size_t i = 0; i < value_len(map); i++) {
		const char *tag = NULL;
		const struct value *origins = value_member(map, i, &tag);
		value_add(list, shown_tag(asked, tag, origins, influence));
	}
}

static struct value *show_columns(const struct asked *asked)
{
	struct arena *arena = asked->request->arena;
	struct value *list = value_list(arena);
	for (size_t i = 0; i < value_len(asked->node.columns); i++) {
		const char *name = NULL;
		const struct value *map = value_member(asked->node.columns, i, &name);
		struct value *column = value_map(arena), *tags = value_list(arena);
		show_tags(asked, map, false, tags);
		value_set_str(column, "name", name);
		value_set(column, "tags", tags);
		if (value_len(map))
			value_add(list, column);
	}
	return list;
}

static struct value *show_lifts(const struct asked *asked)
{
	static const char *const members[] = { "tag", "column", "by", "at", "reason", "state" };
	struct arena *arena = asked->request->arena;
	struct value *list = value_list(arena);
	for (size_t i = 0; i < value_len(asked->node.lifts); i++) {
		struct value *map = value_map(arena);
		for (size_t k = 0; k < ARRAY_LEN(members); k++)
			value_set_str(map, members[k],
			              value_get_str(value_at(asked->node.lifts, i), members[k]));
		value_add(list, map);
	}
	return list;
}

static int show(struct control *control, struct request *request, struct err *err)
{
	struct asked asked;
	struct arena *arena = request->arena;
	struct value *body = value_map(arena), *tags = value_list(arena), *rest = value_list(arena);
	TRY(open_dataset(control, request, &asked, err));
	show_tags(&asked, asked.node.flow, false, tags);
	show_tags(&asked, asked.node.influence, true, tags);
	show_tags(&asked, asked.node.rest, false, rest);
	const char *name = arena_printf(arena, "%s.%s", request->domain, request->name);
	value_set(body, "dataset", value_str(arena, name ? name : ""));
	if (*asked.node.state)
		value_set_str(body, "lineage", asked.node.state);
	value_set(body, "tags", tags);
	value_set(body, "columns", show_columns(&asked));
	value_set(body, "rest", rest);
	value_set(body, "lifts", show_lifts(&asked));
	return request_reply(request, 200, body, err);
}

int h_tags_get(struct control *control, struct request *request, struct err *err)
{
	return show(control, request, err);
}

/* --- lifting --- */

/* Where the tag comes from, of the column or of the whole. */
static int origins_of(const struct asked *asked, const char *column, const char *tag,
                      struct value **ret_origins, struct err *err)
{
	struct arena *arena = asked->request->arena;
	struct value *map = value_map(arena);
	if (column) {
		tagmap_merge(arena, map, tagnode_column(&asked->node, column));
	} else {
		tagmap_merge(arena, map, asked->node.flow);
		tagmap_merge(arena, map, asked->node.influence);
	}
	TRY(value_check(map, err));
	*ret_origins = value_get_mut(map, tag);
	if (*ret_origins)
		return 0;
	return err_set(err, E_NOT_FOUND, "the %s does not carry the tag %s; GET its tags to see "
	               "which it does", column ? "column" : "dataset", tag);
}

static int check_origins(const struct asked *asked, const struct value *origins, const char *tag,
                         struct err *err)
{
	for (size_t i = 0; i < value_len(origins); i++) {
		const char *origin = value_as_str(value_at(origins, i));
		if (is_own(asked, origin))
			return err_set(err, E_CONFLICT, "the tag %s is declared on the dataset, "
			               "not inherited: take it out of its manifest", tag);
		if (strcmp(origin, "...") == 0)
			return err_set(err, E_CONFLICT, "the tag %s comes from more than %d "
			               "places; lift it nearer to where it comes from",
			               tag, TAG_ORIGINS_MAX);
	}
	return 0;
}

static int check_lineage(const struct asked *asked, struct err *err)
{
	const char *seen = value_get_str(asked->request->body, "lineage");
	if (!seen || strcmp(seen, asked->node.state) == 0)
		return 0;
	return err_set(err, E_CONFLICT, "lineage: the dataset is made otherwise by now; look at "
	               "its tags again");
}

static int make_lift(const struct asked *asked, const struct value *origins,
                     struct value **ret_lift, struct err *err)
{
	char at[TIME_TEXT_MAX];
	const struct request *request = asked->request;
	const struct value *body = request->body;
	struct value *lift = value_map(request->arena);
	value_set_str(lift, "tag", value_get_str(body, "tag"));
	value_set_str(lift, "column", value_get_str(body, "column"));
	value_set_str(lift, "reason", value_get_str(body, "reason"));
	const char *by = arena_printf(request->arena, "%s/%s", request->asker.tenant,
	                              request->asker.principal);
	value_set(lift, "by", value_str(request->arena, by ? by : ""));
	value_set_str(lift, "at", time_print_ms(request->now_ms, at));
	value_set_str(lift, "state", asked->node.state);
	value_set(lift, "origins", value_copy(request->arena, origins));
	TRY(value_check(lift, err));
	*ret_lift = lift;
	return 0;
}

/* What was decided, for the log, which keeps it when it has been taken back. */
static int tell(struct request *request, const char *decision, struct err *err)
{
	static const char *const members[] = { "tag", "column", "reason" };
	struct value *detail = value_map(request->arena);
	value_set_str(detail, "decision", decision);
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		value_set_str(detail, members[i], value_get_str(request->body, members[i]));
	request->detail = detail;
	return value_check(detail, err);
}

int h_tags_lift(struct control *control, struct request *request, struct err *err)
{
	struct asked asked;
	struct value *origins = NULL, *lift = NULL;
	struct change *change = NULL;
	TRY(request_needs_lead(request, err));
	TRY(open_dataset(control, request, &asked, err));
	TRY(fields_check(lift_fields, request->body, "", err));
	const char *column = value_get_str(request->body, "column");
	const char *tag = value_get_str(request->body, "tag");
	TRY(check_lineage(&asked, err));
	TRY(origins_of(&asked, column, tag, &origins, err));
	TRY(check_origins(&asked, origins, tag, err));
	TRY(make_lift(&asked, origins, &lift, err));
	TRY(tell(request, "lift", err));
	request->finish = show;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return lifts_put(control, change, &asked.at, column, tag, lift, err);
}

int h_tags_unlift(struct control *control, struct request *request, struct err *err)
{
	struct asked asked;
	struct change *change = NULL;
	const struct value *lifts = NULL;
	int64_t revision = 0;
	TRY(request_needs_lead(request, err));
	TRY(open_dataset(control, request, &asked, err));
	TRY(fields_check(unlift_fields, request->body, "", err));
	const char *column = value_get_str(request->body, "column");
	const char *tag = value_get_str(request->body, "tag");
	TRY(lifts_get(control, request->arena, &asked.at, &lifts, &revision, err));
	if (!lifts_find(lifts, column, tag))
		return err_set(err, E_NOT_FOUND, "no lift of the tag %s of that %s is there", tag,
		               column ? "column" : "dataset");
	TRY(tell(request, "unlift", err));
	request->finish = show;
	if (request->dry_run)
		return 0;
	TRY(request_change(request, &change, err));
	return lifts_put(control, change, &asked.at, column, tag, NULL, err);
}
