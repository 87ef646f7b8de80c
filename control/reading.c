/* reading.c - see reading.h.
 * Invariant: whatever cannot be decided is not read. */
#include "common/defs.h"
#include "control/reading.h"

#include "common/log.h"
#include "common/rowfilter.h"
#include "control/home.h"
#include "control/policies.h"
#include "control/tagging.h"
#include "policy/engine_reading.h"

#include <string.h>

enum { PURPOSES_TEXT_MAX = 400 };

static int nomem(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory left to decide what may be read; nothing is");
}

/* --- purposes --- */

int reading_purpose(const struct value *stored, const char *what, const char *purpose,
                    struct err *err)
{
	const struct value *purposes = value_get(value_get(stored, "spec"), "purposes");
	AUTO_BUF text;
	buf_init(&text, PURPOSES_TEXT_MAX);
	if (!value_len(purposes))
		return 0;
	for (size_t i = 0; i < value_len(purposes); i++) {
		const char *one = value_as_str(value_at(purposes, i));
		if (one && purpose && strcmp(one, purpose) == 0)
			return 0;
		buf_printf(&text, "%s%s", i ? ", " : "", one ? one : "");
	}
	return err_set(err, E_DENIED, "%s is read for a purpose only, one of: %.*s; %s; say which "
	               "in the header Freehold-Purpose", what, (int)text.len,
	               text.data ? (const char *)text.data : "",
	               purpose ? "another was named" : "none was named");
}

/* --- what is asked --- */

struct decide {
	struct control *control;
	struct arena *arena;
	const struct reading_ask *ask;
	enum action action;
	const char *what;                /* "the dataset sales.orders" */
	const struct value *tags;        /* of the whole */
	const struct value *column_tags;
	const struct value *source_tags; /* of the whole of `source` */
	struct value *source;            /* a view's dataset; NULL: not known here */
	char source_domain[64], source_name[64];
	struct err *err;
};

static struct engine_ask engine_ask_of(const struct decide *decide)
{
	const struct reading_ask *ask = decide->ask;
	return (struct engine_ask){
		.asker = ask->asker, .action = action_name(decide->action),
		.resource = {
			.domain = ask->domain, .kind = kind_info[ask->kind].kind,
			.name = ask->name, .tags = decide->tags,
			.labels = value_get(value_get(ask->stored, "metadata"), "labels"),
		},
		.now_ms = ask->now_ms, .address = ask->asker->address, .purpose = ask->purpose,
	};
}

/* What a tenant's policies permit is for its own people as themselves (control/policies.h). */
static bool is_given_nothing(const struct reading_ask *ask)
{
	return ask->asker->confined || strcmp(ask->asker->tenant, ask->tenant) != 0;
}

static int denied(const struct decide *decide, const char *rule)
{
	const struct asker *asker = decide->ask->asker;
	return err_set(decide->err, E_DENIED, "%s/%s may not %s %s (%s); a tenant-admin of %s can "
	               "grant it, or change the policy", asker->tenant, asker->principal,
	               action_name(decide->action), decide->what, rule, decide->ask->tenant);
}

/* --- a view's dataset, and tags --- */

/* A view that another tenant shares is known here by what its owner says of it alone. */
static bool is_shared_view(const struct reading_ask *ask)
{
	return ask->kind == KIND_FEATUREVIEW && strchr(ask->name, '.');
}

/* Of the view's own tenant; another's has been decided on when it was materialized. */
static int find_source(struct decide *decide)
{
	char key[STORE_KEY_MAX];
	const struct reading_ask *ask = decide->ask;
	const char *ref = value_get_str(value_get(ask->stored, "spec"), "dataset");
	if (ask->kind != KIND_FEATUREVIEW || is_shared_view(ask) || !ref)
		return 0;
	TRY(catalog_ref(ref, ask->domain, decide->source_domain, decide->source_name,
	                decide->err));
	catalog_key(key, KIND_DATASET, ask->tenant, decide->source_domain, decide->source_name);
	int rc = catalog_get(decide->control->catalog, decide->arena, key, &decide->source, NULL,
	                     decide->err);
	return rc == E_NOT_FOUND ? 0 : rc;
}

/* Those in force: declared, inherited, less what was lifted (control/tagging.h). */
static int find_tags(struct decide *decide)
{
	const struct reading_ask *ask = decide->ask;
	struct arena *arena = decide->arena;
	struct value *columns = value_map(arena);
	struct tags tags = { 0 }, source = { 0 };
	TRY(ask->kind == KIND_DATASET
	            ? tags_of(decide->control, arena, ask->tenant, ask->domain, ask->name, &tags,
	                      decide->err)
	            : tags_of_view(decide->control, arena, ask->tenant, ask->domain, ask->name,
	                           &tags, decide->err));
	for (size_t i = 0; i < value_len(ask->schema); i++) {
		const char *name = value_get_str(value_at(ask->schema, i), "name");
		if (name)
			value_set(columns, name, value_copy(arena, tags_of_column(&tags, name)));
	}
	TRY(value_check(columns, decide->err));
	if (decide->source)
		TRY(tags_of(decide->control, arena, ask->tenant, decide->source_domain,
		            decide->source_name, &source, decide->err));
	decide->tags = tags.dataset;
	decide->column_tags = columns;
	decide->source_tags = source.dataset;
	return 0;
}

/* --- decided --- */

static const char *rules_text(struct arena *arena, const struct engine_reading *read)
{
	const char *text = read->rule_count ? read->rules[0] : "default-deny";
	for (size_t i = 1; text && i < read->rule_count; i++)
		text = arena_printf(arena, "%s %s", text, read->rules[i]);
	return text ? text : "(no memory)";
}

static void tell_trouble(const struct decide *decide, const char *trouble)
{
	const struct log_context context = { .tenant = decide->ask->tenant };
	if (trouble)
		log_warn(&context, "policy_not_kept", "resource=%s/%s reason=\"%s\"",
		         decide->ask->domain, decide->ask->name, trouble);
}

/* The masks and hidden columns of a view's dataset, for the features of the same names. */
static int read_source(const struct decide *decide, const struct engine *engine,
                       const struct reading *own, struct reading *ret_reading)
{
	struct engine_ask asked = engine_ask_of(decide);
	struct engine_reading read;
	const struct engine_columns columns = { decide->ask->schema, decide->column_tags };
	asked.resource = (struct engine_resource){
		.domain = decide->source_domain, .kind = kind_info[KIND_DATASET].kind,
		.name = decide->source_name, .tags = decide->source_tags,
		.labels = value_get(value_get(decide->source, "metadata"), "labels"),
	};
	TRY(engine_read(engine, decide->arena, &asked, &columns, &read, decide->err));
	tell_trouble(decide, read.trouble);
	const struct reading source = { { .masks = read.masks, .hidden = read.hidden },
		                        own->rule };
	return reading_both(decide->arena, own, &source, ret_reading, decide->err);
}

static int by_policies(const struct decide *decide, const struct engine *engine,
                       struct reading *ret_reading)
{
	const struct reading_ask *ask = decide->ask;
	const struct engine_ask asked = engine_ask_of(decide);
	const struct engine_columns columns = { ask->schema, decide->column_tags };
	struct engine_reading read;
	if (!ask->schema)
		return err_set(decide->err, E_DENIED, "the columns of %s are not known yet, and "
		               "policies may speak of them; load it first", decide->what);
	TRY(engine_read(engine, decide->arena, &asked, &columns, &read, decide->err));
	tell_trouble(decide, read.trouble);
	const struct value *filter = ask->offered ? read.spared : read.filter;
	if (rowfilter_is(filter, false))
		return denied(decide, rules_text(decide->arena, &read));
	const struct reading own = {
		.restriction = { .filter = rowfilter_is(filter, true) ? NULL : filter,
		                 .masks = read.masks, .hidden = read.hidden },
		.rule = ask->offered ? "offer" : rules_text(decide->arena, &read),
	};
	*ret_reading = own;
	return decide->source ? read_source(decide, engine, &own, ret_reading) : 0;
}

static int check_purposes(const struct decide *decide)
{
	const struct reading_ask *ask = decide->ask;
	TRY(reading_purpose(ask->stored, decide->what, ask->purpose, decide->err));
	return decide->source
	               ? reading_purpose(decide->source, decide->what, ask->purpose, decide->err)
	               : 0;
}

static int decide_all(struct decide *decide, struct reading *ret_reading)
{
	AUTO(engine) *engine = NULL;
	const struct reading_ask *ask = decide->ask;
	struct policies *policies = decide->control->policies;
	const struct target target = { .tenant = ask->tenant, .domain = ask->domain,
	                               .kind = kind_info[ask->kind].kind, .name = ask->name };
	struct decision decision = policy_decide(ask->asker, decide->action, &target);
	bool by_roles = decision.allowed || ask->offered;
	if (!by_roles && (!decision.visible || strcmp(decision.rule, "token-scope") == 0))
		return denied(decide, decision.rule);
	if (policies && !policies_engine(policies, ask->tenant, &engine))
		return denied(decide, "policies-unavailable");
	if (!by_roles && (!engine || is_given_nothing(ask)))
		return denied(decide, decision.rule);
	TRY(find_source(decide));
	TRY(check_purposes(decide));
	*ret_reading = (struct reading){ .rule = ask->offered ? "offer" : decision.rule };
	if (!engine)
		return 0;
	TRY(find_tags(decide));
	return by_policies(decide, engine, ret_reading);
}

int reading_decide(struct control *control, struct arena *arena, const struct reading_ask *ask,
                   struct reading *ret_reading, struct err *err)
{
	struct decide decide = {
		.control = control, .arena = arena, .ask = ask, .err = err,
		.action = ask->kind == KIND_FEATUREVIEW            ? ACTION_FEATURES_READ
		          : home_is_audit(ask->domain, ask->name) ? ACTION_AUDIT_READ
		                                                  : ACTION_DATASET_READ,
		.what = arena_printf(arena, "the %s %s.%s", kind_info[ask->kind].name, ask->domain,
		                     ask->name),
	};
	return decide.what ? decide_all(&decide, ret_reading) : nomem(err);
}

/* --- two of them --- */

static enum mask mask_in(const struct value *masks, const char *column)
{
	enum mask mask = MASK_NONE;
	const char *name = value_get_str(masks, column);
	return name && mask_by_name(name, &mask, NULL) == 0 ? mask : MASK_NONE;
}

static bool lists(const struct value *list, const char *name)
{
	for (size_t i = 0; i < value_len(list); i++)
		if (strcmp(value_as_str(value_at(list, i)), name) == 0)
			return true;
	return false;
}

static void mask_by(struct value *into, const struct value *masks, const struct value *hidden)
{
	for (size_t i = 0; i < value_len(masks); i++) {
		const char *column = NULL;
		const char *name = value_as_str(value_member(masks, i, &column));
		if (!lists(hidden, column) &&
		    mask_is_stricter(mask_in(masks, column), mask_in(into, column)))
			value_set_str(into, column, name);
	}
}

static void hide_by(struct value *into, const struct value *hidden)
{
	for (size_t i = 0; i < value_len(hidden); i++)
		if (!lists(into, value_as_str(value_at(hidden, i))))
			value_add_str(into, value_as_str(value_at(hidden, i)));
}

static int filter_both(struct arena *arena, const struct value *a, const struct value *b,
                       const struct value **ret_filter, struct err *err)
{
	*ret_filter = a && b ? rowfilter_both(arena, a, b) : a ? a : b;
	if (a && b && !*ret_filter)
		return nomem(err);
	return *ret_filter ? value_check(*ret_filter, err) : 0;
}

int reading_both(struct arena *arena, const struct reading *a, const struct reading *b,
                 struct reading *ret_both, struct err *err)
{
	struct value *masks = value_map(arena), *hidden = value_list(arena);
	const struct restriction *one = &a->restriction, *other = &b->restriction;
	struct reading both = { .rule = a->rule };
	hide_by(hidden, one->hidden);
	hide_by(hidden, other->hidden);
	TRY(value_check(hidden, err));
	mask_by(masks, one->masks, hidden);
	mask_by(masks, other->masks, hidden);
	TRY(value_check(masks, err));
	TRY(filter_both(arena, one->filter, other->filter, &both.restriction.filter, err));
	both.restriction.masks = value_len(masks) ? masks : NULL;
	both.restriction.hidden = value_len(hidden) ? hidden : NULL;
	*ret_both = both;
	return 0;
}

/* --- views --- */

static void add_column(struct arena *arena, struct value *schema, const char *name,
                       const char *type, bool required)
{
	struct value *column = value_map(arena);
	value_set_str(column, "name", name);
	value_set_str(column, "type", type);
	if (required)
		value_set_bool(column, "required", true);
	value_add(schema, column);
}

int reading_view_schema(struct arena *arena, const char *join_key, const char *key_type,
                        const struct value *features, struct value **ret_schema, struct err *err)
{
	struct value *schema = value_list(arena);
	add_column(arena, schema, join_key, key_type, true);
	for (size_t i = 0; i < value_len(features); i++) {
		const char *name = value_get_str(value_at(features, i), "name");
		if (name && join_key && strcmp(name, join_key) != 0)
			add_column(arena, schema, name,
			           value_get_str(value_at(features, i), "type"), false);
	}
	TRY(value_check(schema, err));
	*ret_schema = schema;
	return 0;
}
