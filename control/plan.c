/* plan.c - what one attempt may do: one function a task type, which fills the grant's work,
 * inputs and outputs (api/grant.h). Keys are opened last, and wiped if anything fails. */
#include "common/defs.h"
#include "control/plan.h"

#include "control/archive.h"
#include "control/auditstore.h"
#include "control/inputs.h"
#include "control/keys.h"
#include "control/placeholder.h"
#include "control/rekey.h"
#include "control/sharing.h"
#include "control/snapshots.h"
#include "control/sweep.h"

#include <stdio.h>
#include <string.h>

enum { GRACE_MS = 60000 };           /* between the deadline and the grant's expiry */

struct plan {
	struct control *control;
	struct arena *arena;
	const struct work *work;
	struct value *done;          /* the grant's `work` */
	struct grant_table *inputs, *outputs;
	size_t input_count, output_count;
	struct inputs reader;        /* what of its inputs it may read */
	struct shared_read *reads;   /* of the inputs those that another tenant shares */
	size_t read_count;
	struct secret *keys;         /* room for two a table */
	size_t keys_used;
};

/* A resource that a task names, as the catalog has it. */
struct thing {
	enum kind kind;
	const char *tenant;
	char domain[64], name[64];
	const char *alias;           /* what the reader calls the domain; NULL: by its name */
	const char *key;
	struct value *resource;
	const struct value *spec;
	int64_t revision;
};

static int nomem(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory to plan a task");
}

/* tenant, domain, name (and alias) are set: reads the rest. */
static int thing_get(struct control *control, struct arena *arena, struct thing *thing,
                     struct err *err)
{
	char key[STORE_KEY_MAX];
	enum kind kind = thing->kind;
	catalog_key(key, kind, thing->tenant, thing->domain, thing->name);
	int rc = catalog_get(control->catalog, arena, key, &thing->resource, &thing->revision,
	                     err);
	if (rc == E_NOT_FOUND)
		return err_set(err, E_NOT_FOUND, "the %s %s.%s does not exist; apply it and run "
		               "the task again", kind_info[kind].name,
		               thing->alias ? thing->alias : thing->domain, thing->name);
	TRY(rc);
	thing->key = arena_strdup(arena, key);
	if (!thing->key)
		return nomem(err);
	thing->spec = value_get(thing->resource, "spec");
	return 0;
}

static int thing_find(struct control *control, struct arena *arena, const char *tenant,
                      enum kind kind, const char *ref, const char *own_domain,
                      struct thing *ret_thing, struct err *err)
{
	struct thing thing = { .kind = kind, .tenant = tenant };
	if (!ref)
		return err_set(err, E_INVALID, "the task names no %s", kind_info[kind].name);
	TRY(catalog_ref(ref, own_domain, thing.domain, thing.name, err));
	TRY(thing_get(control, arena, &thing, err));
	*ret_thing = thing;
	return 0;
}

static int plan_find(const struct plan *plan, enum kind kind, const char *ref,
                     const char *own_domain, struct thing *ret_thing, struct err *err)
{
	return thing_find(plan->control, plan->arena, plan->work->tenant, kind, ref, own_domain,
	                  ret_thing, err);
}

static const char *uid_of(const struct thing *thing)
{
	return value_get_str(value_get(thing->resource, "metadata"), "uid");
}

/* --- tables --- */

/* {name, type, required} only: that is what a grant's schema holds. */
static int schema_of(struct arena *arena, const struct value *columns,
                     const struct value **ret_schema, struct err *err)
{
	struct value *schema = value_list(arena);
	if (!schema)
		return nomem(err);
	for (size_t i = 0; i < value_len(columns); i++) {
		const struct value *column = value_at(columns, i);
		struct value *map = value_map(arena);
		if (!map)
			return nomem(err);
		value_set_str(map, "name", value_get_str(column, "name"));
		value_set_str(map, "type", value_get_str(column, "type"));
		if (value_get_bool(column, "required", false))
			value_set_bool(map, "required", true);
		value_add(schema, map);
	}
	TRY(value_check(schema, err));
	*ret_schema = schema;
	return 0;
}

static int table_keys(struct plan *plan, const struct thing *thing, struct grant_table *table,
                      struct err *err)
{
	uint8_t *at = secret_data(plan->keys) + plan->keys_used * KEY_BYTES;
	struct key_pair pair = { .key = at, .old_key = at + KEY_BYTES };
	REQUIRE((plan->keys_used + 2) * KEY_BYTES <= secret_len(plan->keys));
	TRY(keys_open_pair(plan->control, plan->arena, thing->tenant, thing->resource, &pair,
	                   err));
	plan->keys_used += 2;
	table->key_version = pair.version;
	table->old_version = pair.old_version;
	table->key = at;
	table->old_key = pair.old_version ? at + KEY_BYTES : NULL;
	return 0;
}

static int table_name(struct plan *plan, const struct thing *thing, struct grant_table *table,
                      struct err *err)
{
	table->tenant = thing->alias ? thing->tenant : NULL;
	table->domain = arena_strdup(plan->arena, thing->alias ? thing->alias : thing->domain);
	table->name = arena_strdup(plan->arena, thing->name);
	table->uid = uid_of(thing);
	if (!table->domain || !table->name)
		return nomem(err);
	if (!table->uid)
		return err_set(err, E_CORRUPT, "the %s %s.%s has no uid",
		               kind_info[thing->kind].name, thing->domain, thing->name);
	return table_keys(plan, thing, table, err);
}

static int table_files(const struct plan *plan, const struct snapshot *snapshot,
                       struct grant_table *table, struct err *err)
{
	struct grant_file *files = arena_alloc(plan->arena,
	                                       (snapshot->file_count + 1) * sizeof *files);
	if (!files)
		return nomem(err);
	for (size_t i = 0; i < snapshot->file_count; i++)
		files[i] = (struct grant_file){ snapshot->files[i].path, snapshot->files[i].bytes,
		                                snapshot->files[i].rows };
	table->files = files;
	table->file_count = snapshot->file_count;
	return 0;
}

/* What is declared, or else what the data has. Files only where they are read. */
static int fill_dataset(struct plan *plan, const struct thing *thing, bool reads,
                        struct grant_table *table, struct err *err)
{
	struct dataset_at at = { thing->tenant, thing->domain, thing->name };
	const struct value *declared = value_get(thing->spec, "schema");
	struct snapshot *snapshot = NULL;
	int64_t revision = 0;
	TRY(snapshots_current(plan->control->catalog, plan->arena, &at, &snapshot, NULL, &revision,
	                      err));
	if (reads && !snapshot)
		return err_set(err, E_INPUT, "the dataset %s.%s has no data yet; load it first",
		               thing->alias ? thing->alias : thing->domain, thing->name);
	if (snapshot)
		table->snapshot = snapshot->id;
	if (reads)
		TRY(table_files(plan, snapshot, table, err));
	if (reads && snapshot->schema)
		TRY(schema_of(plan->arena, snapshot->schema, &table->schema, err));
	else if (declared || (snapshot && snapshot->schema))
		TRY(schema_of(plan->arena, declared ? declared : snapshot->schema, &table->schema,
		              err));
	return table_name(plan, thing, table, err);
}

/* What was allowed by an offer of its domain when `by` was applied is allowed as long as there is
 * one (h_resource_put.c keeps which these are). */
static int still_offered(const struct plan *plan, const struct thing *by, const char *domain,
                         const char *name, struct err *err)
{
	const struct reader reader = { plan->work->tenant, by->domain };
	const struct value *via = value_get(by->resource, "via");
	const char *ref = arena_printf(plan->arena, "%s.%s", domain, name);
	bool needed = !ref;
	for (size_t i = 0; ref && i < value_len(via); i++)
		needed |= strcmp(value_as_str(value_at(via, i)), ref) == 0;
	if (!needed || sharing_offers(plan->control, plan->arena, &reader, KIND_DATASET, domain,
	                              name))
		return 0;
	return err_set(err, E_INPUT, "%s.%s: the domain %s offers it to the domain %s no more; ask "
	               "its owners, or apply the %s again as somebody who may read there", domain,
	               name, domain, by->domain, kind_info[by->kind].name);
}

static void note_read(struct plan *plan, const struct shared *shared, const char *domain)
{
	const struct work *work = plan->work;
	plan->reads[plan->read_count++] = (struct shared_read){
		.reader = { work->tenant, domain }, .principal = work->principal, .task = work->id,
		.kind = KIND_DATASET, .shared = *shared,
		.at_ms = clock_unix_ms(plan->control->clock),
	};
}

/* by: what names it, in whose domain the name holds. */
static int add_input(struct plan *plan, const char *ref, const struct thing *by, struct err *err)
{
	struct thing thing = { .kind = KIND_DATASET, .tenant = plan->work->tenant };
	const struct reader reader = { plan->work->tenant, by->domain };
	struct shared shared;
	char domain[64];
	if (!ref)
		return err_set(err, E_INVALID, "the task names no dataset");
	TRY(catalog_ref(ref, by->domain, domain, thing.name, err));
	TRY(sharing_resolve(plan->control, plan->arena, &reader, KIND_DATASET, domain, thing.name,
	                    &shared, err));
	TRY(still_offered(plan, by, domain, thing.name, err));
	thing.tenant = shared.tenant;
	snprintf(thing.domain, sizeof thing.domain, "%s", shared.domain);
	if (shared.offer) {
		thing.alias = arena_strdup(plan->arena, domain);
		shared.name = arena_strdup(plan->arena, thing.name);
		if (!thing.alias || !shared.name)
			return nomem(err);
		note_read(plan, &shared, by->domain);
	}
	TRY(thing_get(plan->control, plan->arena, &thing, err));
	struct grant_table *table = &plan->inputs[plan->input_count++];
	TRY(fill_dataset(plan, &thing, true, table, err));
	const struct input input = {
		.by = by->domain, .alias = thing.alias, .tenant = thing.tenant,
		.domain = thing.domain, .name = thing.name, .stored = thing.resource,
		.schema = table->schema,
	};
	return inputs_restrict(&plan->reader, &input, &table->restriction, err);
}

static int tables_new(struct plan *plan, size_t inputs, size_t outputs, struct err *err)
{
	if (inputs > GRANT_TABLES_MAX)
		return err_set(err, E_TOO_LARGE, "the task reads %zu datasets; at most %d are "
		               "allowed", inputs, GRANT_TABLES_MAX);
	plan->inputs = arena_alloc(plan->arena, (inputs + 1) * sizeof *plan->inputs);
	plan->outputs = arena_alloc(plan->arena, (outputs + 1) * sizeof *plan->outputs);
	plan->reads = arena_alloc(plan->arena, (inputs + 1) * sizeof *plan->reads);
	if (!plan->inputs || !plan->outputs || !plan->reads)
		return nomem(err);
	return inputs + outputs ? secret_new(2 * (inputs + outputs) * KEY_BYTES, &plan->keys, err)
	                        : 0;
}

/* --- task types --- */

typedef int plan_fn(struct plan *plan, struct err *err);

static void copy_members(struct value *to, const struct value *from, const char *const *names,
                         size_t count, struct arena *arena)
{
	for (size_t i = 0; i < count; i++)
		if (value_get(from, names[i]))
			value_set(to, names[i], value_copy(arena, value_get(from, names[i])));
}

/* The hosts that the tenant's tasks may call, as its resource says now. */
static int fill_egress(struct plan *plan, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *tenant = NULL;
	catalog_key(key, KIND_TENANT, plan->work->tenant, NULL, plan->work->tenant);
	int rc = catalog_get(plan->control->catalog, plan->arena, key, &tenant, NULL, err);
	if (rc < 0 && rc != E_NOT_FOUND)
		return rc;
	const struct value *egress = value_get(value_get(tenant, "spec"), "egress");
	if (egress)
		value_set(plan->done, "egress", value_copy(plan->arena, egress));
	return 0;
}

/* The data interval that the path or URL may hold. */
static int fill_path(struct plan *plan, const struct value *source, struct err *err)
{
	int64_t from_ms = 0, to_ms = 0;
	const struct value *interval = plan->work->interval;
	const char *connector = value_get_str(source, "connector");
	bool http = connector && strcmp(connector, "http") == 0;
	const char *path = value_get_str(source, http ? "url" : "path");
	if (http)
		TRY(fill_egress(plan, err));
	if (interval)
		TRY(time_parse(value_get_str(interval, "from"), &from_ms, err));
	if (interval)
		TRY(time_parse(value_get_str(interval, "to"), &to_ms, err));
	TRY(placeholder_fill(plan->arena, path ? path : "", interval ? &from_ms : NULL,
	                     interval ? &to_ms : NULL, &path, err));
	value_set_str(plan->done, "path", path);
	return 0;
}

static int plan_ingest(struct plan *plan, struct err *err)
{
	static const char *const members[] = {
		"connector", "format", "compression", "mode", "delimiter", "header",
		"nullText",
		"rejectLimit",
	};
	struct thing source, dataset;
	TRY(plan_find(plan, KIND_SOURCE, value_get_str(plan->work->spec, "source"),
	              plan->work->domain, &source, err));
	TRY(plan_find(plan, KIND_DATASET, value_get_str(source.spec, "dataset"), source.domain,
	              &dataset, err));
	value_set_str(plan->done, "mode", "append");
	copy_members(plan->done, source.spec, members, ARRAY_LEN(members), plan->arena);
	TRY(fill_path(plan, source.spec, err));
	TRY(tables_new(plan, 0, 1, err));
	return fill_dataset(plan, &dataset, false, &plan->outputs[plan->output_count++], err);
}

static int plan_transform(struct plan *plan, struct err *err)
{
	struct thing transformation, output;
	TRY(plan_find(plan, KIND_TRANSFORMATION, value_get_str(plan->work->spec, "transformation"),
	              plan->work->domain, &transformation, err));
	const struct value *inputs = value_get(transformation.spec, "inputs");
	value_set_str(plan->done, "sql", value_get_str(transformation.spec, "sql"));
	value_set_str(plan->done, "intervalStart", value_get_str(plan->work->interval, "from"));
	value_set_str(plan->done, "intervalEnd", value_get_str(plan->work->interval, "to"));
	TRY(plan_find(plan, KIND_DATASET, value_get_str(transformation.spec, "output"),
	              transformation.domain, &output, err));
	TRY(tables_new(plan, value_len(inputs), 1, err));
	for (size_t i = 0; i < value_len(inputs); i++)
		TRY(add_input(plan, value_as_str(value_at(inputs, i)), &transformation, err));
	return fill_dataset(plan, &output, false, &plan->outputs[plan->output_count++], err);
}

static int features_of(struct plan *plan, const struct value *features, struct err *err)
{
	const struct value *list = NULL;
	TRY(schema_of(plan->arena, features, &list, err));
	value_set(plan->done, "features", value_copy(plan->arena, list));
	return 0;
}

static int plan_materialize(struct plan *plan, struct err *err)
{
	struct thing view, entity;
	TRY(plan_find(plan, KIND_FEATUREVIEW, value_get_str(plan->work->spec, "featureView"),
	              plan->work->domain, &view, err));
	TRY(plan_find(plan, KIND_ENTITY, value_as_str(value_at(value_get(view.spec, "entities"),
	                                                       0)),
	              view.domain, &entity, err));
	const char *type = value_get_str(entity.spec, "valueType");
	value_set_str(plan->done, "view", view.name);
	value_set_str(plan->done, "joinKey", value_get_str(entity.spec, "joinKey"));
	value_set_str(plan->done, "keyType", type ? type : "string");
	value_set_str(plan->done, "timestampField", value_get_str(view.spec, "timestampField"));
	TRY(features_of(plan, value_get(view.spec, "features"), err));
	TRY(tables_new(plan, 1, 1, err));
	TRY(add_input(plan, value_get_str(view.spec, "dataset"), &view, err));
	return table_name(plan, &view, &plan->outputs[plan->output_count++], err);
}

static int plan_probe(struct plan *plan, struct err *err)
{
	static const char *const members[] = { "sleepMs" };
	copy_members(plan->done, plan->work->spec, members, ARRAY_LEN(members), plan->arena);
	return tables_new(plan, 0, 0, err);
}

static int plan_archive(struct plan *plan, struct err *err)
{
	struct thing tasks;
	struct snapshot *history = NULL;
	const char *rows = NULL;
	TRY(plan_find(plan, KIND_DATASET, HOME_TASKS, PLATFORM_DOMAIN, &tasks, err));
	bool joins = home_history(plan->control, plan->arena, plan->work->tenant, &history) &&
		archive_joins(history);
	TRY(archive_rows(plan->control, plan->arena, plan->work, &rows, err));
	value_set_str(plan->done, "mode", joins ? "replace" : "append");
	value_set_str(plan->done, "rows", rows);
	TRY(tables_new(plan, 1, 1, err));
	if (joins)
		TRY(add_input(plan, HOME_TASKS, &tasks, err));
	return fill_dataset(plan, &tasks, false, &plan->outputs[plan->output_count++], err);
}

static int plan_history(struct plan *plan, struct err *err)
{
	static const char *const members[] = {
		"domain", "states", "type", "run", "schedule", "id", "from", "before", "limit",
	};
	copy_members(plan->done, plan->work->spec, members, ARRAY_LEN(members), plan->arena);
	struct thing tasks;
	TRY(plan_find(plan, KIND_DATASET, HOME_TASKS, PLATFORM_DOMAIN, &tasks, err));
	TRY(tables_new(plan, 1, 0, err));
	return add_input(plan, HOME_TASKS, &tasks, err);
}

static int plan_audit(struct plan *plan, struct err *err)
{
	struct thing audit;
	struct audit_rows rows;
	TRY(plan_find(plan, KIND_DATASET, HOME_AUDIT, PLATFORM_DOMAIN, &audit, err));
	TRY(auditstore_rows(plan->control, plan->arena, plan->work, &rows, err));
	value_set_str(plan->done, "mode", rows.joins ? "replace" : "append");
	value_set_str(plan->done, "rows", rows.rows);
	value_set_str(plan->done, "since", rows.since);
	TRY(tables_new(plan, 1, 1, err));
	if (rows.joins)
		TRY(add_input(plan, HOME_AUDIT, &audit, err));
	return fill_dataset(plan, &audit, false, &plan->outputs[plan->output_count++], err);
}

static int plan_events(struct plan *plan, struct err *err)
{
	struct thing audit;
	plan->done = value_copy(plan->arena, plan->work->spec);
	TRY(plan_find(plan, KIND_DATASET, HOME_AUDIT, PLATFORM_DOMAIN, &audit, err));
	TRY(tables_new(plan, 1, 0, err));
	return add_input(plan, HOME_AUDIT, &audit, err);
}

static int plan_sweep(struct plan *plan, struct err *err)
{
	TRY(sweep_plan(plan->control, plan->arena, plan->work, plan->done, err));
	return tables_new(plan, 0, 0, err);
}

static int plan_rekey(struct plan *plan, struct err *err)
{
	const char *at = value_get_str(plan->work->spec, "datasets");
	struct rekey_name name;
	TRY(tables_new(plan, GRANT_TABLES_MAX, 0, err));
	while (plan->input_count < GRANT_TABLES_MAX && rekey_next(&at, &name)) {
		struct thing thing;
		int rc = plan_find(plan, KIND_DATASET, name.text, PLATFORM_DOMAIN, &thing, err);
		if (rc == E_NOT_FOUND || (rc == 0 && !keys_rotating(thing.resource)))
			continue;            /* deleted, destroyed or done meanwhile */
		TRY(rc);
		if (value_get_int(value_get(thing.resource, "key"), "version", 0) != name.version)
			continue;            /* begun anew: for another task */
		TRY(table_name(plan, &thing, &plan->inputs[plan->input_count++], err));
	}
	return 0;
}

static int plan_erase(struct plan *plan, struct err *err)
{
	static const char *const members[] = { "uid" };
	copy_members(plan->done, plan->work->spec, members, ARRAY_LEN(members), plan->arena);
	return tables_new(plan, 0, 0, err);
}

/* "READER/DOMAIN.NAME", which holds in the domain READER. */
static int add_queried(struct plan *plan, char *item, struct err *err)
{
	struct thing by = { .kind = KIND_DOMAIN, .tenant = plan->work->tenant };
	char *slash = strchr(item, '/');
	if (!slash)
		return err_set(err, E_INTERNAL, "a query names a dataset in no domain");
	*slash = 0;
	snprintf(by.domain, sizeof by.domain, "%s", item);
	return add_input(plan, slash + 1, &by, err);
}

/* Not a task: control/access_query.c has decided on each of them. */
static int plan_query(struct plan *plan, struct err *err)
{
	static const char *const members[] = { "sha256", "account" };
	const char *text = value_get_str(plan->work->spec, "datasets");
	char *names = arena_strdup(plan->arena, text ? text : ""), *rest = NULL;
	if (!names)
		return nomem(err);
	copy_members(plan->done, plan->work->spec, members, ARRAY_LEN(members), plan->arena);
	TRY(tables_new(plan, GRANT_TABLES_MAX, 0, err));
	for (char *item = strtok_r(names, " ", &rest); item; item = strtok_r(NULL, " ", &rest))
		TRY(add_queried(plan, item, err));
	return 0;
}

static plan_fn *const plan_by_type[TASK_COUNT_] = {
	[TASK_INGEST] = plan_ingest, [TASK_TRANSFORM] = plan_transform,
	[TASK_MATERIALIZE] = plan_materialize, [TASK_PROBE] = plan_probe,
	[TASK_ARCHIVE] = plan_archive, [TASK_HISTORY] = plan_history,
	[TASK_AUDIT] = plan_audit, [TASK_EVENTS] = plan_events,
	[TASK_SWEEP] = plan_sweep, [TASK_REKEY] = plan_rekey,
	[TASK_ERASE] = plan_erase, [TASK_QUERY] = plan_query,
};

/* --- the grant --- */

static int fill_grant(struct plan *plan, const char *worker, struct grant *grant, struct err *err)
{
	const struct work *work = plan->work;
	int64_t now_ms = clock_unix_ms(plan->control->clock);
	char *prefix = arena_alloc(plan->arena, GRANT_PREFIX_MAX);
	if (!prefix)
		return nomem(err);
	grant_prefix(work->tenant, work->domain, work->token, prefix);
	TRY(plan_by_type[work->type](plan, err));
	TRY(value_check(plan->done, err));
	*grant = (struct grant){
		.task = work->id, .token = work->token, .attempt = work->attempt, .worker = worker,
		.tenant = work->tenant, .domain = work->domain, .type = work->type,
		.work = plan->done, .inputs = plan->inputs, .input_count = plan->input_count,
		.outputs = plan->outputs, .output_count = plan->output_count,
		.limits = work->limits,
		.expires_ms = now_ms + work->limits.deadline_ms + GRACE_MS,
		.output_prefix = prefix,
	};
	return 0;
}

int plan_grant(struct control *control, struct arena *arena, const struct work *work,
               const char *worker, struct grant **ret_grant, struct err *err)
{
	struct plan_reads reads;
	return plan_grant_reads(control, arena, work, worker, ret_grant, &reads, err);
}

int plan_grant_reads(struct control *control, struct arena *arena, const struct work *work,
                     const char *worker, struct grant **ret_grant, struct plan_reads *ret_reads,
                     struct err *err)
{
	struct plan plan = {
		.control = control, .arena = arena, .work = work, .done = value_map(arena),
		.reader = { .control = control, .arena = arena, .work = work },
	};
	struct grant *grant = arena_alloc(arena, sizeof *grant);
	if (!plan.done || !grant)
		return nomem(err);
	int rc = fill_grant(&plan, worker, grant, err);
	if (rc < 0) {
		secret_free(plan.keys);
		return rc;
	}
	grant->keys = plan.keys;
	*ret_grant = grant;
	*ret_reads = (struct plan_reads){ plan.reads, plan.read_count };
	return 0;
}

/* --- what it writes --- */

static int home_output(struct control *control, struct arena *arena, const struct work *work,
                       struct plan_output *ret_output, struct err *err)
{
	struct thing dataset;
	struct snapshot *history = NULL;
	bool audit = work->type == TASK_AUDIT;
	const char *name = audit ? HOME_AUDIT : HOME_TASKS;
	TRY(thing_find(control, arena, work->tenant, KIND_DATASET, name, PLATFORM_DOMAIN, &dataset,
	               err));
	bool joins = audit ? auditstore_joins(control, arena, work->tenant) :
		home_history(control, arena, work->tenant, &history) && archive_joins(history);
	*ret_output = (struct plan_output){
		.domain = PLATFORM_DOMAIN, .name = name, .uid = uid_of(&dataset),
		.key = dataset.key, .revision = dataset.revision, .replace = joins,
	};
	return 0;
}

int plan_output(struct control *control, struct arena *arena, const struct work *work,
                struct plan_output *ret_output, struct err *err)
{
	struct thing by, dataset;
	bool ingest = work->type == TASK_INGEST;
	*ret_output = (struct plan_output){ 0 };
	if (work->type == TASK_ARCHIVE || work->type == TASK_AUDIT)
		return home_output(control, arena, work, ret_output, err);
	if (!ingest && work->type != TASK_TRANSFORM)
		return 0;
	TRY(thing_find(control, arena, work->tenant, ingest ? KIND_SOURCE : KIND_TRANSFORMATION,
	               value_get_str(work->spec, ingest ? "source" : "transformation"),
	               work->domain, &by, err));
	TRY(thing_find(control, arena, work->tenant, KIND_DATASET,
	               value_get_str(by.spec, ingest ? "dataset" : "output"), by.domain, &dataset,
	               err));
	const char *mode = value_get_str(by.spec, "mode");
	struct plan_output output = {
		.domain = arena_strdup(arena, dataset.domain), .name = arena_strdup(arena,
		                                                                    dataset.name),
		.uid = uid_of(&dataset), .key = dataset.key, .revision = dataset.revision,
		.replace = !ingest || (mode && strcmp(mode, "replace") == 0),
	};
	if (!output.domain || !output.name)
		return nomem(err);
	*ret_output = output;
	return 0;
}
