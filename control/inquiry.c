/* inquiry.c - see inquiry.h. */
#include "common/defs.h"
#include "control/inquiry.h"

#include "control/bindings.h"
#include "control/may.h"
#include "control/policy_review.h"
#include "control/reading.h"
#include "control/snapshots.h"
#include "control/tagging.h"

#include <string.h>

enum { FILTER_TEXT_MAX = 64 * 1024 };

static int no_room(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory left to say who may do what");
}

/* --- what is asked about --- */

static int find_schema(struct inquiry *inquiry, struct err *err)
{
	const struct value *spec = value_get(inquiry->stored, "spec");
	const struct dataset_at at = { inquiry->tenant, inquiry->resource.domain,
		                       inquiry->resource.name };
	struct snapshot *snapshot = NULL;
	struct value *made = NULL;
	int64_t revision = 0;
	if (inquiry->kind == KIND_FEATUREVIEW) {
		TRY(reading_view_schema(inquiry->arena, "", "string", value_get(spec, "features"),
		                        &made, err));
		inquiry->schema = made;
	}
	if (inquiry->kind != KIND_DATASET)
		return 0;
	inquiry->schema = value_get(spec, "schema");
	if (value_len(inquiry->schema))
		return 0;
	TRY(snapshots_current(inquiry->control->catalog, inquiry->arena, &at, &snapshot, NULL,
	                      &revision, err));
	inquiry->schema = snapshot ? snapshot->schema : NULL;
	return 0;
}

static int find_tags(struct inquiry *inquiry, struct err *err)
{
	struct tags tags = { 0 };
	const char *domain = inquiry->resource.domain, *name = inquiry->resource.name;
	if (inquiry->kind == KIND_DATASET)
		TRY(tags_of(inquiry->control, inquiry->arena, inquiry->tenant, domain, name, &tags,
		            err));
	if (inquiry->kind == KIND_FEATUREVIEW)
		TRY(tags_of_view(inquiry->control, inquiry->arena, inquiry->tenant, domain, name,
		                 &tags, err));
	inquiry->tags = tags.dataset;
	return 0;
}

static int find_stored(struct inquiry *inquiry, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	const struct engine_resource *resource = &inquiry->resource;
	size_t len = strlen(inquiry->tenant) + (resource->domain ? strlen(resource->domain) : 0) +
		(resource->name ? strlen(resource->name) : 0);
	inquiry->kind = resource->name ? kind_by_name(resource->kind) : KIND_NONE;
	if (inquiry->kind == KIND_NONE || len + 64 > sizeof key)
		return 0;
	catalog_key(key, inquiry->kind, inquiry->tenant, resource->domain, resource->name);
	if (catalog_get(inquiry->control->catalog, inquiry->arena, key, &stored, NULL, NULL) < 0)
		return 0;
	inquiry->stored = stored;
	TRY(find_schema(inquiry, err));
	return find_tags(inquiry, err);
}

/* Where it lies; what of principals and bindings belongs to a domain, lies there. */
static struct target target_of(const struct inquiry *inquiry)
{
	const struct engine_resource *resource = &inquiry->resource;
	const char *own = value_get_str(value_get(inquiry->stored, "spec"), "domain");
	bool by_spec = inquiry->kind == KIND_PRINCIPAL || inquiry->kind == KIND_ROLEBINDING;
	return (struct target){
		.tenant = resource->platform ? NULL : inquiry->tenant,
		.domain = by_spec ? own : resource->domain,
		.whole = by_spec ? !own : resource->whole,
	};
}

static int read_circumstances(const struct request *request, struct inquiry *inquiry,
                              struct err *err)
{
	const char *at = request_query(request, "at");
	const char *purpose = request_query(request, "purpose");
	inquiry->now_ms = request->now_ms;
	inquiry->address = request_query(request, "address");
	inquiry->purpose = purpose ? purpose : request_header(request, PURPOSE_HEADER);
	if (at && time_parse(at, &inquiry->now_ms, err) < 0)
		return err_prefix(err, "at");
	return 0;
}

static int need(const char *text, const char *what, struct err *err)
{
	if (text && *text)
		return 0;
	return err_set(err, E_INVALID, "%s: is missing; say what is asked about, as in "
	               "?action=dataset:read&resource=DOMAIN.NAME", what);
}

int inquiry_about(struct inquiry *inquiry, struct err *err)
{
	TRY(find_stored(inquiry, err));
	inquiry->target = target_of(inquiry);
	return 0;
}

int inquiry_begin(struct control *control, struct request *request, const char *tenant,
                  const char *action, const char *resource, struct inquiry *ret_inquiry,
                  struct err *err)
{
	const struct model *model = NULL;
	struct inquiry inquiry = { .control = control, .arena = request->arena, .tenant = tenant };
	TRY(need(action, "action", err));
	TRY(need(resource, "resource", err));
	TRY(naming_action(action, &inquiry.action, err));
	TRY(review_model(request->arena, &model, err));
	TRY(naming_resource(model, request->arena, tenant, inquiry.action, resource,
	                    &inquiry.resource, err));
	TRY(read_circumstances(request, &inquiry, err));
	TRY(inquiry_about(&inquiry, err));
	if (!policies_engine(control->policies, inquiry.target.tenant ? tenant : "platform",
	                     &inquiry.engine))
		return err_set(err, E_UNAVAILABLE, "the policies of %s cannot be asked now; try "
		               "again", tenant);
	*ret_inquiry = inquiry;
	return 0;
}

void inquiry_turn(struct inquiry *inquiry, enum action action)
{
	inquiry->action = action;
}

void inquiry_end(struct inquiry *inquiry)
{
	engine_free(inquiry->engine);
	inquiry->engine = NULL;
}

/* --- where roles come from --- */

struct origins {
	const struct inquiry *inquiry;
	struct value *list;
};

static void add_origin(const struct origins *origins, const struct bindings_origin *origin,
                       const char *from)
{
	const char *domain = origins->inquiry->target.domain;
	struct value *item = value_map(origins->inquiry->arena);
	if (!role_has_action(origin->role, origins->inquiry->action) ||
	    (origin->domain && domain && strcmp(origin->domain, domain) != 0))
		return;
	value_set_str(item, "role", origin->role);
	value_set_str(item, "domain", origin->domain);
	value_set_str(item, "from", from);
	value_set_str(item, "group", origin->group);
	value_add(origins->list, item);
}

/* "r/rolebinding/acme/x" is told as "rolebinding/x". */
static void visit_origin(void *context, const struct bindings_origin *origin)
{
	const struct origins *origins = context;
	const char *kind = origin->source + strcspn(origin->source, "/");
	kind += *kind == '/';
	const char *name = strrchr(origin->source, '/');
	const char *from = arena_printf(origins->inquiry->arena, "%.*s%s",
	                                (int)strcspn(kind, "/"), kind, name ? name : "");
	add_origin(origins, origin, from);
}

/* Roles of a login are in no resource's name: what is bound and nobody's is told as such. */
static struct value *origins_of(const struct inquiry *inquiry, const struct asker *asker)
{
	struct origins origins = { inquiry, value_list(inquiry->arena) };
	if (inquiry->control->bindings)
		bindings_origins(inquiry->control->bindings, asker, visit_origin, &origins);
	for (size_t i = 0; strchr(asker->principal, ':') && i < asker->binding_count; i++) {
		const struct binding *binding = &asker->bindings[i];
		add_origin(&origins, &(struct bindings_origin){ .role = binding->role,
		                                                .domain = binding->domain },
		           "login");
	}
	return origins.list;
}

/* --- data --- */

static bool is_data(const struct inquiry *inquiry)
{
	enum action action = inquiry->action;
	if (inquiry->kind == KIND_DATASET)
		return action == ACTION_DATASET_READ || action == ACTION_COLUMN_READ ||
		       action == ACTION_DATASET_QUERY;
	return inquiry->kind == KIND_FEATUREVIEW &&
		(action == ACTION_FEATURES_READ || action == ACTION_COLUMN_READ);
}

/* Whether one pair of parentheses is around all of it; what is quoted is no parenthesis. */
static bool wraps(const char *text, size_t len)
{
	size_t depth = 0;
	char quote = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (quote || c == '\'' || c == '"')
			quote = !quote ? c : c == quote ? 0 : quote;
		else if (c == '(' || c == ')')
			depth = c == '(' ? depth + 1 : depth - 1;
		if (depth == 0)
			return i > 0 && i + 1 == len;
	}
	return false;
}

static int rows_text(struct arena *arena, const struct value *filter, const char **ret_text,
                     struct err *err)
{
	AUTO_BUF sql;
	buf_init(&sql, FILTER_TEXT_MAX);
	*ret_text = "all";
	if (!filter || rowfilter_is(filter, true))
		return 0;
	if (rowfilter_sql(filter, &sql, err) < 0)
		return 0;
	TRY(buf_check(&sql, err));
	/* The parentheses around the whole are for SQL that goes on. */
	const char *text = (const char *)sql.data;
	bool wrapped = wraps(text, sql.len);
	*ret_text = arena_strndup(arena, text + wrapped, sql.len - 2 * (size_t)wrapped);
	return *ret_text ? 0 : no_room(err);
}

static int seen(const struct inquiry *inquiry, struct arena *scratch, const struct asker *asker,
                struct value **ret_seen, struct err *err)
{
	struct reading reading = { .rule = NULL };
	struct value *map = value_map(inquiry->arena);
	const char *rows = NULL;
	struct err why = { 0 };
	const struct reading_ask ask = {
		.asker = asker, .tenant = inquiry->tenant, .domain = inquiry->target.domain,
		.kind = inquiry->kind, .name = inquiry->resource.name, .stored = inquiry->stored,
		.schema = inquiry->schema, .purpose = inquiry->purpose, .now_ms = inquiry->now_ms,
	};
	int rc = reading_decide(inquiry->control, scratch, &ask, &reading, &why);
	value_set_bool(map, "readable", rc == 0);
	if (rc < 0) {
		value_set_str(map, "reason", why.text);
	} else {
		const struct restriction *restriction = &reading.restriction;
		TRY(rows_text(inquiry->arena, restriction->filter, &rows, err));
		value_set_str(map, "rows", rows);
		if (restriction->masks)
			value_set(map, "masks", value_copy(inquiry->arena, restriction->masks));
		if (restriction->hidden)
			value_set(map, "hidden", value_copy(inquiry->arena, restriction->hidden));
		value_set_str(map, "rule", reading.rule);
	}
	*ret_seen = map;
	return value_check(map, err);
}

/* Of one column: it is there, and not hidden. */
static bool column_seen(const struct inquiry *inquiry, const struct value *data)
{
	const struct value *hidden = value_get(data, "hidden");
	const char *column = inquiry->resource.column;
	for (size_t i = 0; column && i < value_len(hidden); i++)
		if (strcmp(value_as_str(value_at(hidden, i)), column) == 0)
			return false;
	return value_get_bool(data, "readable", false);
}

/* --- the answer --- */

struct decision inquiry_decide(const struct inquiry *inquiry, const struct engine *engine,
                               struct arena *scratch, const struct asker *asker,
                               struct engine_answer *ret_answer)
{
	const struct policies_ask ask = {
		.asker = asker, .action = inquiry->action, .target = inquiry->target,
		.kind = inquiry->kind == KIND_NONE ? NULL : kind_info[inquiry->kind].kind,
		.name = inquiry->resource.name, .resource = inquiry->stored, .tags = inquiry->tags,
		.now_ms = inquiry->now_ms, .address = inquiry->address,
		.purpose = inquiry->purpose,
	};
	return policies_decide_by(engine, scratch, &ask, ret_answer);
}

static void tell(const struct inquiry *inquiry, const struct decision *decision,
                 const struct engine_answer *answer, struct value *map)
{
	struct value *policies = value_list(inquiry->arena);
	value_set_str(map, "action", action_name(inquiry->action));
	value_set_str(map, "resource",
	              naming_uid(inquiry->arena, inquiry->tenant, &inquiry->resource));
	value_set_bool(map, "allowed", decision->allowed);
	value_set_str(map, "rule", decision->rule);
	for (size_t i = 0; i < decision->policy_count; i++)
		value_add_str(policies, decision->policies[i]);
	if (value_len(policies))
		value_set(map, "policies", policies);
	if (!answer->of_rows || !is_data(inquiry))
		value_set_str(map, "failure", answer->failure);
}

int inquiry_answer(const struct inquiry *inquiry, struct arena *scratch, const struct asker *asker,
                   struct value **ret_answer, struct err *err)
{
	struct engine_answer answer = { .allowed = false };
	struct value *map = value_map(inquiry->arena), *data = NULL;
	struct decision decision =
		inquiry_decide(inquiry, inquiry->engine, scratch, asker, &answer);
	struct value *roles = origins_of(inquiry, asker);
	tell(inquiry, &decision, &answer, map);
	if (value_len(roles))
		value_set(map, "roles", roles);
	if (is_data(inquiry)) {
		TRY(seen(inquiry, scratch, asker, &data, err));
		value_set(map, "data", data);
		bool allowed = column_seen(inquiry, data);
		if (!decision.allowed && allowed)
			value_set_str(map, "rule", value_get_str(data, "rule"));
		if (inquiry->action == ACTION_COLUMN_READ || inquiry->resource.column)
			decision.allowed = allowed;
		value_set_bool(map, "allowed", decision.allowed || allowed);
	}
	*ret_answer = map;
	return value_check(map, err);
}
