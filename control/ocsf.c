/* ocsf.c - see ocsf.h. Format 1 is OCSF 1.3.0. Invariants: members come in one order and only if
 * they have something to say; whatever is no text in the record is left out; nothing here asks for
 * the time, the settings or the version of this build. */
#include "common/defs.h"
#include "control/ocsf.h"

#include "common/json.h"
#include "policy/policy.h"

#include <inttypes.h>
#include <string.h>

/* --- classes and activities --- */

enum class {
	CLASS_ACCOUNT = 3001, CLASS_AUTHENTICATION = 3002, CLASS_ENTITY = 3004,
	CLASS_ACCESS = 3005, CLASS_GROUP = 3006, CLASS_API = 6003, CLASS_DATASTORE = 6005
};
enum doing {
	DOING_OTHER, DOING_CREATE, DOING_READ, DOING_UPDATE, DOING_DELETE, DOING_LIST, DOING_QUERY,
	DOING_WRITE, DOING_ENCRYPT, DOING_DECRYPT, DOING_LOGON, DOING_COUNT_
};
enum { OTHER = 99, CATEGORY = 1000, TYPE = 100 };

static const struct {
	enum class class;
	const char *name;
	uint8_t activity[DOING_COUNT_];      /* 0: it has none, which is "other" */
} classes[] = {
	{ CLASS_ACCOUNT, "Account Change", { [DOING_CREATE] = 1, [DOING_DELETE] = 6 } },
	{ CLASS_AUTHENTICATION, "Authentication", { [DOING_LOGON] = 1 } },
	{ CLASS_ENTITY, "Entity Management",
	  { [DOING_CREATE] = 1, [DOING_READ] = 2, [DOING_UPDATE] = 3, [DOING_DELETE] = 4,
	    [DOING_LIST] = 2, [DOING_QUERY] = 2, [DOING_WRITE] = 3 } },
	{ CLASS_ACCESS, "User Access Management",
	  { [DOING_CREATE] = 1, [DOING_UPDATE] = 1, [DOING_DELETE] = 2 } },
	{ CLASS_GROUP, "Group Management", { [DOING_CREATE] = 6, [DOING_DELETE] = 5 } },
	{ CLASS_API, "API Activity",
	  { [DOING_CREATE] = 1, [DOING_READ] = 2, [DOING_UPDATE] = 3, [DOING_DELETE] = 4,
	    [DOING_LIST] = 2, [DOING_QUERY] = 2, [DOING_WRITE] = 3 } },
	{ CLASS_DATASTORE, "Datastore Activity",
	  { [DOING_CREATE] = 6, [DOING_READ] = 1, [DOING_UPDATE] = 2, [DOING_DELETE] = 7,
	    [DOING_LIST] = 8, [DOING_QUERY] = 4, [DOING_WRITE] = 5, [DOING_ENCRYPT] = 9,
	    [DOING_DECRYPT] = 10 } },
};

struct mapping {
	const char *action;          /* NULL: a policy's action, of the row's number */
	enum class class;
	enum doing doing;
	const char *meaning;
};

/* By action: a row that is missing in ocsf.def is no member of this enum. */
enum row_number {
#define OCSF(id, class, activity) ROW_##id,
#define OCSF_EVENT(id, name, class, activity, meaning) ROW_##id,
#include "policy/ocsf.def"
#undef OCSF
#undef OCSF_EVENT
	ROW_COUNT_
};
static const uint8_t row_of_action[] = {
#define ACTION(id, name, meaning) [ACTION_##id] = ROW_##id,
#include "policy/actions.def"
#undef ACTION
};
static const struct mapping rows[] = {
#define OCSF(id, class, activity) \
	[ROW_##id] = { NULL, CLASS_##class, DOING_##activity, NULL },
#define OCSF_EVENT(id, name, class, activity, meaning) \
	[ROW_##id] = { name, CLASS_##class, DOING_##activity, meaning },
#include "policy/ocsf.def"
#undef OCSF
#undef OCSF_EVENT
};

static const struct mapping *row_find(const char *action)
{
	for (size_t i = 0; i < ACTION_COUNT_; i++)
		if (strcmp(action_name((enum action)i), action) == 0)
			return &rows[row_of_action[i]];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].action && strcmp(rows[i].action, action) == 0)
			return &rows[i];
	return NULL;
}

static struct ocsf_type type_of(enum class class, enum doing doing)
{
	struct ocsf_type type = { class, OTHER };
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (classes[i].class == class && classes[i].activity[doing])
			type.activity_id = classes[i].activity[doing];
	return type;
}

struct ocsf_type ocsf_type(const char *action, enum audit_verb verb)
{
	static const enum doing doings[] = {
		[VERB_CREATE] = DOING_CREATE, [VERB_READ] = DOING_READ,
		[VERB_UPDATE] = DOING_UPDATE, [VERB_DELETE] = DOING_DELETE,
		[VERB_LIST] = DOING_LIST,     [VERB_READ_DATA] = DOING_READ,
		[VERB_QUERY_DATA] = DOING_QUERY, [VERB_WRITE_DATA] = DOING_WRITE,
	};
	const struct mapping *row = row_find(action);
	enum class class = row ? row->class : CLASS_API;
	enum doing doing = verb != VERB_NONE ? doings[verb] : row ? row->doing : DOING_OTHER;
	bool data = verb == VERB_READ_DATA || verb == VERB_QUERY_DATA || verb == VERB_WRITE_DATA;
	return type_of(data ? CLASS_DATASTORE : class, doing);
}

const char *ocsf_class_name(int class_uid)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if ((int)classes[i].class == class_uid)
			return classes[i].name;
	return NULL;
}

bool ocsf_row(size_t i, struct ocsf_row *ret_row)
{
	size_t actions = ACTION_COUNT_, events = 0;
	for (size_t at = 0; at < ARRAY_LEN(rows); at++) {
		const struct mapping *row = &rows[at];
		if (i < actions)
			row = &rows[row_of_action[i]];
		else if (!row->action || events++ != i - actions)
			continue;
		*ret_row = (struct ocsf_row){
			.action = row->action ? row->action : action_name((enum action)i),
			.class_name = ocsf_class_name(row->class), .meaning = row->meaning,
			.type = type_of(row->class, row->doing),
		};
		return true;
	}
	return false;
}

/* --- members --- */

/* Before every member but an object's first. */
static void begin(struct buf *out, const char *name)
{
	if (out->len && out->data[out->len - 1] != '{' && out->data[out->len - 1] != '[')
		buf_putc(out, ',');
	if (name)
		buf_printf(out, "\"%s\":", name);
}

static void put_strn(struct buf *out, const char *name, const char *text, size_t len)
{
	begin(out, name);
	json_print_str(text, len, out);
}

/* text NULL: nothing. */
static void put_str(struct buf *out, const char *name, const char *text)
{
	if (text)
		put_strn(out, name, text, strlen(text));
}

static void put_int(struct buf *out, const char *name, int64_t number)
{
	begin(out, name);
	buf_printf(out, "%" PRId64, number);
}

static void open_map(struct buf *out, const char *name)
{
	begin(out, name);
	buf_putc(out, '{');
}

static void close_map(struct buf *out)
{
	buf_putc(out, '}');
}

/* The member whose name follows `after` (NULL: the first) in order of bytes; NULL: the last was. */
static const char *next_name(const struct value *map, const char *after)
{
	const char *best = NULL, *name = NULL;
	for (size_t i = 0; i < value_len(map); i++) {
		value_member(map, i, &name);
		bool later = !after || strcmp(name, after) > 0;
		if (later && (!best || strcmp(name, best) < 0))
			best = name;
	}
	return best;
}

/* Names in order: a record's are put in order when it is stored. */
static void print_ordered(struct buf *out, const struct value *value, int depth)
{
	bool map = value_kind(value) == VALUE_MAP, list = value_kind(value) == VALUE_LIST;
	if ((!map && !list) || depth > VALUE_DEPTH_MAX) {
		json_print(value, out);
		return;
	}
	buf_putc(out, map ? '{' : '[');
	for (const char *name = map ? next_name(value, NULL) : NULL; name;
	     name = next_name(value, name)) {
		begin(out, NULL);
		json_print_str(name, strlen(name), out);
		buf_putc(out, ':');
		print_ordered(out, value_get(value, name), depth + 1);
	}
	for (size_t i = 0; list && i < value_len(value); i++) {
		begin(out, NULL);
		print_ordered(out, value_at(value, i), depth + 1);
	}
	buf_putc(out, map ? '}' : ']');
}

static void put_value(struct buf *out, const char *name, const struct value *value)
{
	if (!value)
		return;
	begin(out, name);
	print_ordered(out, value, 0);
}

/* --- what was touched --- */

struct touched {
	const char *path;
	const char *type, *name;     /* the path's last segments; name may be empty */
	size_t type_len, name_len;
};

/* "/v1/tenants/acme/domains/sales/datasets/orders" is datasets, orders; a list's path ends with
 * what it lists; what is no path is an id of the action's noun: "task:outcome" of a task. */
static struct touched touched_of(const struct value *record)
{
	const char *path = value_get_str(record, "resource");
	const char *action = value_get_str(record, "action");
	struct touched touched = { .path = path ? path : "", .type = "", .name = "" };
	const char *at = touched.path;
	if (*at != '/') {
		touched.type = action ? action : "";
		touched.type_len = strcspn(touched.type, ":");
		touched.name = touched.path;
		touched.name_len = strlen(touched.path);
		return touched;
	}
	at += strncmp(at, "/v1/", 4) == 0 ? 4 : 1;
	while (*at) {
		touched.type = at;
		touched.type_len = strcspn(at, "/");
		at += touched.type_len;
		at += *at == '/';
		touched.name = at;
		touched.name_len = strcspn(at, "/");
		at += touched.name_len;
		at += *at == '/';
	}
	return touched;
}

static void put_touched(struct buf *out, const char *name, const struct touched *touched)
{
	open_map(out, name);
	if (touched->name_len)
		put_strn(out, "name", touched->name, touched->name_len);
	if (touched->type_len)
		put_strn(out, "type", touched->type, touched->type_len);
	put_str(out, "uid", touched->path);
	close_map(out);
}

/* OCSF wants to know whose account, access, group or which entity was changed. */
static void put_object(struct buf *out, int class, const struct value *record,
                       const struct touched *touched)
{
	const char *name = class == CLASS_ENTITY ? "entity"
	                   : class == CLASS_GROUP ? "group"
	                   : class == CLASS_ACCOUNT || class == CLASS_ACCESS ? "user" : NULL;
	if (class == CLASS_AUTHENTICATION) {
		open_map(out, "user");
		put_str(out, "name", value_get_str(record, "actor"));
		close_map(out);
	}
	if (name)
		put_touched(out, name, touched);
	if (class == CLASS_ACCESS || class == CLASS_GROUP) {
		const struct value *detail = value_get(record, "detail");
		begin(out, "privileges");
		buf_putc(out, '[');
		put_str(out, NULL, value_get_str(detail, "role"));
		buf_putc(out, ']');
	}
}

/* --- who --- */

/* One for each policy that decided; the rule where they are not known. */
static void put_authorizations(struct buf *out, const struct value *record)
{
	const char *result = value_get_str(record, "result");
	const char *rule = value_get_str(record, "rule");
	const char *decision = result && strcmp(result, "denied") == 0 ? "denied" : "allowed";
	const struct value *policies = value_get(record, "policies");
	size_t count = value_len(policies) ? value_len(policies) : rule != NULL;
	if (!count)
		return;
	begin(out, "authorizations");
	buf_putc(out, '[');
	for (size_t i = 0; i < count; i++) {
		const char *id = value_as_str(value_at(policies, i));
		open_map(out, NULL);
		put_str(out, "decision", decision);
		open_map(out, "policy");
		put_str(out, "uid", id ? id : rule);
		put_str(out, "version", value_get_str(record, "digest"));
		close_map(out);
		close_map(out);
	}
	buf_putc(out, ']');
}

/* "acme/alice" is a User (1); the platform itself and its workers are System (3). */
static void put_actor(struct buf *out, const struct value *record)
{
	const char *actor = value_get_str(record, "actor");
	const char *slash = actor ? strchr(actor, '/') : NULL;
	bool system = actor && (!strncmp(actor, "system", 6) || !strncmp(actor, "worker/", 7));
	open_map(out, "actor");
	put_authorizations(out, record);
	open_map(out, "user");
	put_str(out, "credential_uid", value_get_str(record, "credential"));
	put_str(out, "name", slash && !system ? slash + 1 : actor);
	put_str(out, "type", system ? "System" : "User");
	put_int(out, "type_id", system ? 3 : 1);
	put_str(out, "uid", actor);
	close_map(out);
	close_map(out);
}

/* --- what became of it --- */

static bool is_one_of(const char *text, const char *const *words)
{
	for (; text && *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

/* 1: informational, 2: low, 3: medium. */
static int severity_of(const char *result)
{
	static const char *const low[] = { "refused", "failed", NULL };
	static const char *const medium[] = { "denied", "dead", NULL };
	return is_one_of(result, medium) ? 3 : is_one_of(result, low) ? 2 : 1;
}

static void put_status(struct buf *out, const struct value *record)
{
	static const char *const well[] = { "allowed", "succeeded", NULL };
	static const char *const badly[] = { "denied", "refused", "failed", "dead", NULL };
	const char *result = value_get_str(record, "result");
	put_int(out, "severity_id", severity_of(result));
	put_str(out, "status", result);
	put_str(out, "status_code", value_get_str(record, "code"));
	put_int(out, "status_id", is_one_of(result, well)    ? 1
	                          : is_one_of(result, badly) ? 2
	                                                     : OTHER);
}

/* --- the rest --- */

static void put_api(struct buf *out, const struct value *record)
{
	const char *operation = value_get_str(record, "operation");
	open_map(out, "api");
	put_str(out, "operation", operation ? operation : value_get_str(record, "action"));
	if (value_get_str(record, "request")) {
		open_map(out, "request");
		put_str(out, "uid", value_get_str(record, "request"));
		close_map(out);
	}
	close_map(out);
}

static void put_metadata(struct buf *out, const struct value *record)
{
	const char *tenant = value_get_str(record, "tenant");
	int64_t seq = value_get_int(record, "seq", 0);
	open_map(out, "metadata");
	put_str(out, "event_code", value_get_str(record, "action"));
	put_str(out, "log_name", "audit");
	put_str(out, "log_version", "1");
	open_map(out, "product");
	put_str(out, "name", "Freehold");
	put_str(out, "vendor_name", "Freehold");
	close_map(out);
	put_int(out, "sequence", seq);
	put_str(out, "tenant_uid", tenant);
	begin(out, "uid");
	buf_printf(out, "\"%s/%" PRId64 "\"", tenant ? tenant : "", seq);
	put_str(out, "version", "1.3.0");
	close_map(out);
}

static void put_unmapped(struct buf *out, const struct value *record)
{
	open_map(out, "unmapped");
	put_str(out, "code", value_get_str(record, "code"));
	put_value(out, "detail", value_get(record, "detail"));
	put_str(out, "on_behalf_of", value_get_str(record, "onBehalfOf"));
	put_value(out, "policies", value_get(record, "policies"));
	put_str(out, "policy_digest", value_get_str(record, "digest"));
	put_str(out, "purpose", value_get_str(record, "purpose"));
	put_str(out, "rule", value_get_str(record, "rule"));
	put_str(out, "task", value_get_str(record, "task"));
	close_map(out);
}

static void put_source(struct buf *out, const struct value *record)
{
	const char *address = value_get_str(record, "address");
	open_map(out, "src_endpoint");
	put_str(out, "ip", address);
	if (!address)
		put_str(out, "name", "unknown");
	close_map(out);
}

static void print_format_1(const struct value *record, struct buf *out)
{
	int class = (int)value_get_int(record, "class", CLASS_API);
	int activity = (int)value_get_int(record, "activity", OTHER);
	const char *operation = value_get_str(record, "operation");
	const struct touched touched = touched_of(record);
	buf_putc(out, '{');
	put_int(out, "activity_id", activity);
	if (activity == OTHER)
		put_str(out, "activity_name",
		        operation ? operation : value_get_str(record, "action"));
	put_actor(out, record);
	put_api(out, record);
	put_int(out, "category_uid", class / CATEGORY);
	put_int(out, "class_uid", class);
	put_metadata(out, record);
	put_object(out, class, record, &touched);
	begin(out, "resources");
	buf_putc(out, '[');
	put_touched(out, NULL, &touched);
	buf_putc(out, ']');
	put_status(out, record);
	put_source(out, record);
	put_int(out, "time", value_get_int(record, "at", 0));
	put_int(out, "type_uid", (int64_t)class * TYPE + activity);
	put_unmapped(out, record);
	buf_putc(out, '}');
}

int ocsf_print(const struct value *record, struct buf *out, struct err *err)
{
	int64_t format = value_get_int(record, "format", OCSF_FORMAT);
	if (format != OCSF_FORMAT)
		return err_set(err, E_CORRUPT,
		               "an audit event is of format %" PRId64 "; this build knows up to %d",
		               format, OCSF_FORMAT);
	print_format_1(record, out);
	return buf_check(out, err);
}
