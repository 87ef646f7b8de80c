/* rules.c - the rules for writing. Existence is asked of the catalog of the leader, where it is
 * current: all writes go through it; intents close the gap between the look and the commit. */
#include "common/defs.h"
#include "control/rules.h"

#include "api/hosts.h"
#include "control/home.h"
#include "api/graph.h"
#include "control/grants.h"
#include "control/intents.h"
#include "control/logins.h"
#include "control/may.h"
#include "control/placeholder.h"
#include "control/reading.h"
#include "control/refs.h"
#include "control/rules_policy.h"
#include "control/rules_sharing.h"
#include "control/rules_schedule.h"
#include "control/sharing.h"
#include "control/snapshots.h"
#include "policy/attributes.h"

#include <stdio.h>
#include <inttypes.h>
#include <string.h>

enum { RESTS_MAX = FIELD_LIST_MAX + 16 };

/* The keys a write rests on. */
struct rests {
	struct arena *arena;
	const char **keys;
	size_t count;
};

static int rest_on(struct rests *rests, const char *key, struct err *err)
{
	char *copy = arena_strdup(rests->arena, key);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for what the write rests on");
	if (rests->count == RESTS_MAX)
		return err_set(err, E_TOO_LARGE, "a resource refers to at most %d others",
		               RESTS_MAX);
	rests->keys[rests->count++] = copy;
	return 0;
}

static int rests_new(struct arena *arena, struct rests *ret_rests, struct err *err)
{
	const char **keys = arena_alloc(arena, RESTS_MAX * sizeof *keys);
	if (!keys)
		return err_set(err, E_NOMEM, "no memory for what the write rests on");
	*ret_rests = (struct rests){ .arena = arena, .keys = keys };
	return 0;
}

static const enum action read_action[] = {
#define SUBTABLE(name, FIELDS)
#define KIND(id, Kind, plural, scope, name, FIELDS) [KIND_##id] = ACTION_##id##_READ,
#include "api/kinds.def"
#undef KIND
#undef SUBTABLE
};

static const enum action write_action[] = {
#define SUBTABLE(name, FIELDS)
#define KIND(id, Kind, plural, scope, name, FIELDS) [KIND_##id] = ACTION_##id##_WRITE,
#include "api/kinds.def"
#undef KIND
#undef SUBTABLE
};

/* --- references --- */

struct check {
	struct control *control;
	struct request *request;
	struct rests *rests;         /* NULL: nothing is registered */
	enum kind owner;             /* KIND_NONE: a task's spec */
};

/* What a Source or Transformation puts its rows into. */
static bool writes_to(enum kind owner, const char *field)
{
	return (owner == KIND_SOURCE && strcmp(field, "dataset") == 0) ||
	       (owner == KIND_TRANSFORMATION && strcmp(field, "output") == 0);
}

static enum action action_for(const struct check *check, const struct ref *ref)
{
	if (check->owner == KIND_NONE)
		return ACTION_TASK_RUN;
	return writes_to(check->owner, ref->field) ? write_action[ref->kind]
	                                           : read_action[ref->kind];
}

/* What can be another domain's or tenant's by an offer: datasets that are only read. */
static bool shares(const struct check *check, const struct ref *ref)
{
	bool reads = check->owner == KIND_FEATUREVIEW || check->owner == KIND_TRANSFORMATION;
	return reads && ref->kind == KIND_DATASET && !writes_to(check->owner, ref->field);
}

static bool is_alias(const struct check *check, const struct ref *ref)
{
	const struct reader reader = { check->request->tenant, check->request->domain };
	return shares(check, ref) && sharing_is_alias(check->control, &reader, ref->domain);
}

/* Allowed by an offer inside the tenant: kept with the resource, to be looked at for every task. */
static bool is_offered(const struct check *check, const struct ref *ref)
{
	struct request *request = check->request;
	const struct reader reader = { request->tenant, request->domain };
	if (!shares(check, ref) || !sharing_offers(check->control, request->arena, &reader,
	                                           ref->kind, ref->domain, ref->name))
		return false;
	if (!request->via)
		request->via = value_list(request->arena);
	value_add_str(request->via, arena_printf(request->arena, "%s.%s", ref->domain, ref->name));
	return value_check(request->via, NULL) == 0;
}

/* By a permit with a condition on rows, which is none of the whole. */
static bool reads_some(const struct check *check, const struct ref *ref)
{
	char key[STORE_KEY_MAX];
	const struct request *request = check->request;
	const struct dataset_at at = { request->tenant, ref->domain, ref->name };
	struct value *stored = NULL;
	struct snapshot *snapshot = NULL;
	struct reading reading;
	int64_t revision = 0;
	if (!shares(check, ref) ||
	    !policies_in_force(check->control->policies, request->tenant))
		return false;
	catalog_key(key, KIND_DATASET, request->tenant, ref->domain, ref->name);
	if (catalog_get(check->control->catalog, request->arena, key, &stored, NULL, NULL) < 0 ||
	    snapshots_current(check->control->catalog, request->arena, &at, &snapshot, NULL,
	                      &revision, NULL) < 0)
		return false;
	const struct reading_ask ask = {
		.asker = &request->asker, .tenant = request->tenant, .domain = ref->domain,
		.kind = KIND_DATASET, .name = ref->name, .stored = stored,
		.schema = snapshot && snapshot->schema ? snapshot->schema
		          : value_get(value_get(stored, "spec"), "schema"),
		.purpose = request_header(request, PURPOSE_HEADER), .now_ms = request->now_ms,
	};
	return reading_decide(check->control, request->arena, &ask, &reading, NULL) == 0;
}

/* Asked only of other domains: within its own, who may write may refer. */
static int may_use(void *context, const struct ref *ref, struct err *err)
{
	const struct check *check = context;
	const struct request *request = check->request;
	if (home_is(ref->domain) && writes_to(check->owner, ref->field))
		return err_set(err, E_DENIED,
		               "%s: the domain %s is the platform's own; its data is read, not "
		               "written", ref->path, PLATFORM_DOMAIN);
	if (strcmp(ref->domain, request->domain) == 0 || is_alias(check, ref))
		return 0;
	const struct target target = { .tenant = request->tenant, .domain = ref->domain };
	enum action action = action_for(check, ref);
	if (may_request(check->control, request, action, &target, ref->kind, ref->name, NULL)
	            .allowed ||
	    is_offered(check, ref) || reads_some(check, ref))
		return 0;
	return err_set(err, E_DENIED, "%s: refers to the domain %s, where %s/%s may not %s; a "
	               "tenant-admin of %s can grant it", ref->path, ref->domain,
	               request->asker.tenant, request->asker.principal, action_name(action),
	               request->tenant);
}

static int note(void *context, const struct ref *ref, struct err *err)
{
	const struct check *check = context;
	char key[STORE_KEY_MAX];
	TRY(may_use(context, ref, err));
	if (!check->rests)
		return 0;
	catalog_key(key, ref->kind, check->request->tenant, ref->domain, ref->name);
	if (is_alias(check, ref))
		catalog_key(key, KIND_ACCEPTANCE, check->request->tenant, check->request->domain,
		            ref->domain);
	return rest_on(check->rests, key, err);
}

/* For a dry run: {path, kind, tenant, domain, name}. */
static int add_missing(struct request *request, const char *path, const struct manifest *what,
                       struct err *err)
{
	struct value *item = value_map(request->arena);
	if (!request->missing)
		request->missing = value_list(request->arena);
	value_set_str(item, "path", path);
	value_set_str(item, "kind", kind_info[what->kind].kind);
	value_set_str(item, "tenant", what->tenant);
	value_set_str(item, "domain", what->domain);
	value_set_str(item, "name", what->name);
	value_add(request->missing, item);
	return value_check(request->missing, err);
}

static int must_exist(void *context, const struct ref *ref, struct err *err)
{
	const struct check *check = context;
	struct request *request = check->request;
	char key[STORE_KEY_MAX];
	const struct reader reader = { request->tenant, request->domain };
	struct shared shared;
	if (is_alias(check, ref))
		return sharing_resolve(check->control, request->arena, &reader, ref->kind,
		                       ref->domain, ref->name, &shared, err) < 0
		       ? err_prefix(err, "%s", ref->path) : 0;
	catalog_key(key, ref->kind, request->tenant, ref->domain, ref->name);
	if (catalog_has(check->control->catalog, key))
		return 0;
	const struct manifest what = { .kind = ref->kind, .tenant = request->tenant,
	                               .domain = ref->domain, .name = ref->name };
	if (request->dry_run && check->owner != KIND_NONE)
		return add_missing(request, ref->path, &what, err);
	return err_set(err, E_INVALID, "%s: there is no %s %s in the domain %s; apply it first",
	               ref->path, kind_info[ref->kind].name, ref->name, ref->domain);
}

int rules_task(struct control *control, struct request *request, const struct field *fields,
               const struct value *spec, struct err *err)
{
	struct check check = { .control = control, .request = request, .owner = KIND_NONE };
	if (home_is(request->domain))
		return err_set(err, E_DENIED, "only the platform runs tasks in the domain %s; use "
		               "one of your own", PLATFORM_DOMAIN);
	TRY(refs_visit(fields, spec, "spec", request->domain, note, &check, err));
	return refs_visit(fields, spec, "spec", request->domain, must_exist, &check, err);
}

int rules_graph(struct control *control, struct request *request, const struct value *tasks,
                const char *path, bool exist, struct err *err)
{
	struct check check = { .control = control, .request = request, .owner = KIND_NONE };
	struct graph graph;
	TRY(graph_read(request->arena, tasks, path, &graph, err));
	for (size_t i = 0; i < graph.count; i++) {
		const struct task_request *task = &graph.tasks[i].request;
		const struct field *fields = task_info[task->type].fields;
		int rc = refs_visit(fields, task->spec, "spec", request->domain, note, &check, err);
		if (rc == 0 && exist)
			rc = refs_visit(fields, task->spec, "spec", request->domain, must_exist,
			                &check, err);
		if (rc < 0)
			return err_prefix(err, "%s[%zu]", path, i);
	}
	return 0;
}

/* --- scopes --- */

static int scope_rests(const struct manifest *manifest, struct rests *rests, struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct kind_info *info = &kind_info[manifest->kind];
	const char *domain = value_get_str(manifest->spec, "domain");
	if (info->scope != SCOPE_PLATFORM)
		TRY(rest_on(rests, catalog_key(key, KIND_TENANT, NULL, NULL, manifest->tenant),
		            err));
	if (info->scope == SCOPE_DOMAIN)
		TRY(rest_on(rests, catalog_key(key, KIND_DOMAIN, manifest->tenant, NULL,
		                               manifest->domain), err));
	if (manifest->kind == KIND_PRINCIPAL && domain)
		TRY(rest_on(rests, catalog_key(key, KIND_DOMAIN, manifest->tenant, NULL, domain),
		            err));
	return 0;
}

/* What a dry run's scope lacks. */
static int scope_missing(struct control *control, struct request *request,
                         const struct manifest *manifest, struct err *err)
{
	char key[STORE_KEY_MAX];
	enum kind_scope scope = kind_info[manifest->kind].scope;
	const struct manifest tenant = { .kind = KIND_TENANT, .name = manifest->tenant };
	const struct manifest domain = { .kind = KIND_DOMAIN, .tenant = manifest->tenant,
	                                 .name = manifest->domain };
	if (scope != SCOPE_PLATFORM &&
	    !catalog_has(control->catalog, catalog_key(key, KIND_TENANT, NULL, NULL, tenant.name)))
		TRY(add_missing(request, "metadata.tenant", &tenant, err));
	if (scope == SCOPE_DOMAIN &&
	    !catalog_has(control->catalog,
	                 catalog_key(key, KIND_DOMAIN, domain.tenant, NULL, domain.name)))
		TRY(add_missing(request, "metadata.domain", &domain, err));
	return 0;
}

static int scope_exists(struct control *control, struct request *request,
                        const struct manifest *manifest, struct err *err)
{
	char key[STORE_KEY_MAX];
	enum kind_scope scope = kind_info[manifest->kind].scope;
	if (request->dry_run)
		return scope_missing(control, request, manifest, err);
	if (scope != SCOPE_PLATFORM &&
	    !catalog_has(control->catalog,
	                 catalog_key(key, KIND_TENANT, NULL, NULL, manifest->tenant)))
		return err_set(err, E_NOT_FOUND, "the tenant %s does not exist", manifest->tenant);
	if (scope == SCOPE_DOMAIN &&
	    !catalog_has(control->catalog, catalog_key(key, KIND_DOMAIN, manifest->tenant, NULL,
	                                               manifest->domain)))
		return err_set(err, E_NOT_FOUND, "the domain %s does not exist; apply it first",
		               manifest->domain);
	return 0;
}

/* --- principals --- */

static bool has_role(const struct value *spec, const char *role)
{
	const struct value *roles = value_get(spec, "roles");
	for (size_t i = 0; i < value_len(roles); i++) {
		const char *one = value_as_str(value_at(roles, i));
		if (one && strcmp(one, role) == 0)
			return true;
	}
	return false;
}

int rules_operator(const struct request *request, const struct value *spec, const char *field,
                   struct err *err)
{
	if (!has_role(spec, "operator") || (request->rule && !strcmp(request->rule, "operator")))
		return 0;
	return err_set(err, E_DENIED,
	               "%s: only an operator of the tenant platform may make an operator "
	               "or its keys",
	               field);
}

static int principal_rules(struct control *control, struct request *request,
                           const struct manifest *manifest, const struct value *before,
                           struct err *err)
{
	char key[STORE_KEY_MAX];
	const char *domain = value_get_str(manifest->spec, "domain");
	TRY(attributes_check(value_get(manifest->spec, "attributes"), "spec.attributes", err));
	if (has_role(manifest->spec, "operator") && strcmp(manifest->tenant, "platform") != 0)
		return err_set(err, E_INVALID,
		               "spec.roles: operator is a role of the tenant platform only; "
		               "tenant-admin is the highest of a tenant");
	TRY(rules_operator(request, value_get(before, "spec"), "spec.roles", err));
	TRY(rules_operator(request, manifest->spec, "spec.roles", err));
	if (!domain)
		return 0;
	static const char *const whole[] = { "operator", "tenant-admin", "auditor" };
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		if (has_role(manifest->spec, whole[i]))
			return err_set(
				err, E_INVALID,
				"spec.domain: the role %s is for a whole tenant; "
				"leave the domain out, or use domain-owner, producer or consumer",
				whole[i]);
	const struct manifest what = { .kind = KIND_DOMAIN,
		                       .tenant = manifest->tenant,
		                       .name = domain };
	if (catalog_has(control->catalog,
	                catalog_key(key, KIND_DOMAIN, manifest->tenant, NULL, domain)))
		return 0;
	if (!request->dry_run)
		return err_set(err, E_INVALID, "spec.domain: there is no domain %s; apply it first",
		               domain);
	return add_missing(request, "spec.domain", &what, err);
}

/* --- columns --- */

/* The declared type of a column; NULL when the schema does not name it. */
static const char *column_type(const struct value *schema, const char *name)
{
	for (size_t i = 0; name && i < value_len(schema); i++) {
		const char *column = value_get_str(value_at(schema, i), "name");
		if (column && strcmp(column, name) == 0)
			return value_get_str(value_at(schema, i), "type");
	}
	return NULL;
}

static int need_column(const struct value *schema, const char *dataset, const char *path,
                       const char *name, const char *type, struct err *err)
{
	const char *found = column_type(schema, name);
	if (!found)
		return err_set(err, E_INVALID, "%s: the dataset %s declares no column %.80s", path,
		               dataset, name);
	if (type && strcmp(found, type) != 0)
		return err_set(err, E_INVALID,
		               "%s: the column %.80s of the dataset %s is %s, not %s", path, name,
		               dataset, found, type);
	return 0;
}

static int read_schema(struct control *control, struct request *request, const char *dataset,
                       const struct value **ret_schema, struct err *err)
{
	char domain[64], name[64], key[STORE_KEY_MAX];
	struct value *resource = NULL;
	const struct reader reader = { request->tenant, request->domain };
	struct shared shared;
	TRY(catalog_ref(dataset, request->domain, domain, name, err));
	TRY(sharing_resolve(control, request->arena, &reader, KIND_DATASET, domain, name, &shared,
	                    err));
	catalog_key(key, KIND_DATASET, shared.tenant, shared.domain, shared.name);
	*ret_schema = NULL;
	if (request->dry_run && !catalog_has(control->catalog, key))
		return 0;
	TRY(catalog_get(control->catalog, request->arena, key, &resource, NULL, err));
	*ret_schema = value_get(value_get(resource, "spec"), "schema");
	return 0;
}

static int view_rules(struct control *control, struct request *request,
                      const struct value *spec, struct err *err)
{
	const struct value *features = value_get(spec, "features"), *schema = NULL;
	const char *dataset = value_get_str(spec, "dataset");
	char path[64];
	if (value_len(value_get(spec, "entities")) != 1)
		return err_set(err, E_INVALID,
		               "spec.entities: names %zu entities; a view describes exactly "
		               "one",
		               value_len(value_get(spec, "entities")));
	if (!value_len(features))
		return err_set(err, E_INVALID, "spec.features: names at least one feature");
	TRY(read_schema(control, request, dataset, &schema, err));
	if (!value_len(schema))
		return 0;
	TRY(need_column(schema, dataset, "spec.timestampField",
	                value_get_str(spec, "timestampField"), "timestamp", err));
	for (size_t i = 0; i < value_len(features); i++) {
		const struct value *feature = value_at(features, i);
		snprintf(path, sizeof path, "spec.features[%zu].name", i);
		TRY(need_column(schema, dataset, path, value_get_str(feature, "name"),
		                value_get_str(feature, "type"), err));
	}
	return 0;
}

/* A column that is not there would be a tag that protects nothing. */
static int dataset_rules(const struct manifest *manifest, struct err *err)
{
	char path[64];
	const struct value *schema = value_get(manifest->spec, "schema");
	const struct value *tags = value_get(manifest->spec, "columnTags");
	for (size_t i = 0; value_len(schema) && i < value_len(tags); i++) {
		snprintf(path, sizeof path, "spec.columnTags[%zu].name", i);
		TRY(need_column(schema, manifest->name, path,
		                value_get_str(value_at(tags, i), "name"), NULL, err));
	}
	return 0;
}

/* --- sources and transformations --- */

static int url_rules(const struct value *spec, struct err *err)
{
	struct host_target target;
	const char *url = value_get_str(spec, "url");
	if (!url)
		return err_set(err, E_INVALID, "spec.url: is missing; connector http needs it");
	if (value_get(spec, "path"))
		return err_set(err, E_INVALID, "spec.path: connector http has url instead");
	if (placeholder_check(url, err) < 0)
		return err_prefix(err, "spec.url");
	/* What a schedule's interval fills in is looked at when it is. */
	return !strchr(url, '{') && host_target_parse(url, &target, err) < 0
		? err_prefix(err, "spec.url") : 0;
}

static int path_rules(const struct value *spec, struct err *err)
{
	const char *path = value_get_str(spec, "path");
	if (!path)
		return err_set(err, E_INVALID, "spec.path: is missing; connector file needs it");
	if (value_get(spec, "url"))
		return err_set(err, E_INVALID, "spec.url: connector file has path instead");
	for (const char *at = path; at && *at;) {
		size_t len = strcspn(at, "/");
		bool above = len == 2 && at[0] == '.' && at[1] == '.';
		if ((at == path && len == 0) || above)
			return err_set(err, E_INVALID,
			               "spec.path: is relative to the tenant's folder: no "
			               "leading / and no .. in it");
		at += len + (at[len] == '/');
	}
	return placeholder_check(path, err) < 0 ? err_prefix(err, "spec.path") : 0;
}

static int source_rules(const struct value *spec, struct err *err)
{
	bool http = strcmp(value_get_str(spec, "connector"), "http") == 0;
	return http ? url_rules(spec, err) : path_rules(spec, err);
}

struct written { char domain[64], name[64]; };

static int is_output(void *context, const struct ref *ref, struct err *err)
{
	const struct written *output = context;
	if (strcmp(ref->field, "inputs") != 0 || strcmp(ref->domain, output->domain) != 0 ||
	    strcmp(ref->name, output->name) != 0)
		return 0;
	return err_set(err, E_INVALID, "spec.output: is also read, as %s; a transformation writes "
	               "another dataset than it reads", ref->path);
}

static int transformation_rules(const struct manifest *manifest, struct err *err)
{
	struct written output;
	TRY(catalog_ref(value_get_str(manifest->spec, "output"), manifest->domain, output.domain,
	                output.name, err));
	return refs_visit(kind_info[manifest->kind].fields, manifest->spec, "spec",
	                  manifest->domain, is_output, &output, err);
}

static int share_rules(const struct value *spec, struct err *err)
{
	static const char *const pairs[][2] = {
		{ "guaranteedCpuMillis", "mostCpuMillis" },
		{ "guaranteedMemoryBytes", "mostMemoryBytes" },
		{ "guaranteedSlots", "mostSlots" },
	};
	if (value_get_int(spec, "weight", 1) < 1)
		return err_set(err, E_INVALID, "spec.weight: is 0; it is at least 1");
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		int64_t guaranteed = value_get_int(spec, pairs[i][0], 0);
		int64_t most = value_get_int(spec, pairs[i][1], INT64_MAX);
		if (guaranteed > most)
			return err_set(err, E_INVALID, "spec.%s: is %" PRId64 ", more than "
			               "spec.%s, %" PRId64 "; raise the latter",
			               pairs[i][0], guaranteed, pairs[i][1], most);
	}
	return 0;
}

static int by_kind(struct control *control, struct request *request,
                   const struct manifest *manifest, const struct value *before, struct err *err)
{
	TRY(grants_put(control, request, manifest, before, err));
	switch (manifest->kind) {
	case KIND_PRINCIPAL:
		return principal_rules(control, request, manifest, before, err);
	case KIND_DATASET:
		return dataset_rules(manifest, err);
	case KIND_FEATUREVIEW:
		return view_rules(control, request, manifest->spec, err);
	case KIND_TENANT:
		return hosts_check(value_get(manifest->spec, "egress"), "spec.egress", err);
	case KIND_SOURCE:
		return source_rules(manifest->spec, err);
	case KIND_TRANSFORMATION:
		return transformation_rules(manifest, err);
	case KIND_IDENTITYPROVIDER:
		return logins_rules(control, request, manifest, before, err);
	case KIND_SHARE:
		return share_rules(manifest->spec, err);
	case KIND_POLICY:
		return rules_policy(control, request, manifest, before, err);
	case KIND_OFFER:
		return rules_offer(control, request, manifest, before, err);
	case KIND_ACCEPTANCE:
		return rules_acceptance(control, request, manifest, err);
	case KIND_PIPELINE:
		return rules_graph(control, request, value_get(manifest->spec, "tasks"),
		                   "spec.tasks", false, err);
	case KIND_SCHEDULE:
		return rules_schedule(control, request, manifest, before, err);
	case KIND_BACKFILL:
		return rules_backfill(control, request, manifest, before, err);
	default:
		return 0;
	}
}

int rules_home(const struct manifest *manifest, struct err *err)
{
	bool itself = manifest->kind == KIND_DOMAIN && home_is(manifest->name);
	if (!itself && !home_is(manifest->domain))
		return 0;
	return err_set(err, E_DENIED,
	               "the domain %s is the platform's own: its dataset %s can be read, and "
	               "nothing in it is changed by clients", PLATFORM_DOMAIN, HOME_TASKS);
}

/* In audit events system/PART and worker/NAME are no tenant's people. */
static int rules_tenant_name(const struct manifest *manifest, const struct value *before,
                             struct err *err)
{
	bool actor = strcmp(manifest->name, "system") == 0 ||
	             strcmp(manifest->name, "worker") == 0;
	if (manifest->kind != KIND_TENANT || before || !actor)
		return 0;
	return err_set(err, E_INVALID, "metadata.name: no tenant is named %s: in the audit log "
	               "that is who acts for the platform; name it otherwise", manifest->name);
}

/* A domain is a schema to SQL, and so is an acceptance's name: under one of these names a table is
 * another's, or not found. */
static int rules_reserved(const struct manifest *manifest, const struct value *before,
                          struct err *err)
{
	static const char *const reserved[] = {
		"system", "temp", "memory", "main", "information_schema", "pg_catalog",
	};
	bool schema = manifest->kind == KIND_DOMAIN || manifest->kind == KIND_ACCEPTANCE;
	for (size_t i = 0; schema && !before && i < ARRAY_LEN(reserved); i++)
		if (strcmp(manifest->name, reserved[i]) == 0)
			return err_set(err, E_INVALID, "metadata.name: %s is a catalog or schema "
			               "of SQL itself; no domain is named system, temp, memory, "
			               "main, information_schema or pg_catalog, name it otherwise",
			               reserved[i]);
	return rules_tenant_name(manifest, before, err);
}

int rules_put(struct control *control, struct request *request, const struct manifest *manifest,
              const struct value *before, struct err *err)
{
	const struct field *fields = kind_info[manifest->kind].fields;
	struct rests rests;
	TRY(rules_home(manifest, err));
	TRY(rules_reserved(manifest, before, err));
	if (manifest->kind == KIND_DOMAIN && !before)
		TRY(rules_alias_free(control, manifest, err));
	TRY(rests_new(request->arena, &rests, err));
	struct check check = { control, request, &rests, manifest->kind };
	TRY(scope_rests(manifest, &rests, err));
	TRY(refs_visit(fields, manifest->spec, "spec", manifest->domain, note, &check, err));
	TRY(intents_begin(control->intents, false, rests.keys, rests.count, &request->intent, err));
	TRY(scope_exists(control, request, manifest, err));
	TRY(refs_visit(fields, manifest->spec, "spec", manifest->domain, must_exist, &check, err));
	return by_kind(control, request, manifest, before, err);
}
