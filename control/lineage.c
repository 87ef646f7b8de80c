/* lineage.c - see lineage.h. Invariant: what a report says of columns is taken only when it is
 * whole and names nothing but the inputs of its grant; otherwise everything is made of everything.
 */
#include "common/defs.h"
#include "control/lineage.h"

#include "common/clock.h"
#include "common/pack.h"
#include "control/tagging.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 4096, NAME_BYTES_MAX = 256, LINEAGE_BYTES_MAX = 512 * 1024 };

const char *lineage_key(char out[STORE_KEY_MAX], const struct dataset_at *at)
{
	snprintf(out, STORE_KEY_MAX, "r/lineage/%s/%s/%s", at->tenant, at->domain, at->name);
	return out;
}

static int get(struct control *control, struct arena *arena, const char *key,
               struct value **ret_value, int64_t *ret_revision, struct err *err)
{
	*ret_value = NULL;
	*ret_revision = 0;
	int rc = catalog_get(control->catalog, arena, key, ret_value, ret_revision, err);
	return rc == E_NOT_FOUND ? 0 : rc;
}

int lineage_get(struct control *control, struct arena *arena, const struct dataset_at *at,
                const char *uid, const struct value **ret_lineage, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *value = NULL;
	int64_t revision = 0;
	TRY(get(control, arena, lineage_key(key, at), &value, &revision, err));
	const char *whose = value_get_str(value, "uid");
	*ret_lineage = whose && uid && strcmp(whose, uid) == 0 ? value : NULL;
	return 0;
}

bool lineage_reads(const struct value *input)
{
	return value_get_bool(input, "reads", true);
}

const char *lineage_domain(struct arena *arena, const struct value *lineage)
{
	const char *by = value_get_str(lineage, "by");
	return by ? arena_strndup(arena, by, strcspn(by, ".")) : NULL;
}

int lineage_delete(struct control *control, struct change *change, const struct dataset_at *at,
                   struct err *err)
{
	char key[STORE_KEY_MAX];
	lineage_key(key, at);
	return catalog_has(control->catalog, key) ? change_delete(change, key, -1, err) : 0;
}

/* --- what was read --- */

/* An attempt's output, while its lineage is put together. */
struct making {
	struct control *control;
	struct arena *arena;
	const struct work *work;
	char domain[64], name[64];   /* of the transformation */
	struct value *inputs;
};

static int changed(const char *domain, const char *name, struct err *err)
{
	return err_set(err, E_CONFLICT, "the dataset %s.%s that it read is another one now, or "
	               "gone; it is tried again", domain, name);
}

/* Where another tenant's dataset really is. */
static int owner_of(const struct making *making, const char *alias, const char *name,
                    struct dataset_at *ret_at, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *acceptance = NULL;
	int64_t revision = 0;
	catalog_key(key, KIND_ACCEPTANCE, making->work->tenant, making->domain, alias);
	TRY(get(making->control, making->arena, key, &acceptance, &revision, err));
	const struct value *from = value_get(value_get(acceptance, "spec"), "from");
	*ret_at = (struct dataset_at){ value_get_str(from, "tenant"),
		                       value_get_str(from, "domain"), name };
	return ret_at->tenant && ret_at->domain ? 0 : changed(alias, name, err);
}

/* uid NULL: whichever it is now. */
static int add_input(struct making *making, const struct dataset_at *at, const char *alias,
                     const char *uid, int64_t snapshot, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *dataset = NULL, *input = value_map(making->arena), *known = NULL;
	int64_t revision = 0;
	catalog_key(key, KIND_DATASET, at->tenant, at->domain, at->name);
	TRY(get(making->control, making->arena, key, &dataset, &revision, err));
	const char *now = value_get_str(value_get(dataset, "metadata"), "uid");
	if (!now || (uid && strcmp(uid, now) != 0))
		return changed(alias ? alias : at->domain, at->name, err);
	TRY(tagging_known(making->control, making->arena, at, making->work->tenant, &known, err));
	value_set_str(input, "tenant", at->tenant);
	value_set_str(input, "domain", at->domain);
	value_set_str(input, "name", at->name);
	value_set_str(input, "alias", alias);
	value_set_str(input, "uid", now);
	value_set_int(input, "snapshot", snapshot);
	value_set(input, "known", known);
	value_add(making->inputs, input);
	return value_check(making->inputs, err);
}

static int add_told(struct making *making, const struct value *told, struct err *err)
{
	struct dataset_at at = { making->work->tenant, value_get_str(told, "domain"),
		                 value_get_str(told, "name") };
	const char *tenant = value_get_str(told, "tenant"), *alias = tenant ? at.domain : NULL;
	if (!at.domain || !at.name || !value_get_str(told, "uid"))
		return err_set(err, E_INVALID, "the report names an input without its name");
	if (tenant)
		TRY(owner_of(making, alias, at.name, &at, err));
	if (tenant && strcmp(tenant, at.tenant) != 0)
		return changed(alias, at.name, err);
	return add_input(making, &at, alias, value_get_str(told, "uid"),
	                 value_get_int(told, "snapshot", 0), err);
}

/* What the transformation names, where its worker did not say what it read. */
static int add_declared(struct making *making, struct err *err)
{
	char key[STORE_KEY_MAX], domain[64], name[64];
	struct value *stored = NULL;
	int64_t revision = 0;
	catalog_key(key, KIND_TRANSFORMATION, making->work->tenant, making->domain, making->name);
	TRY(get(making->control, making->arena, key, &stored, &revision, err));
	const struct value *refs = value_get(value_get(stored, "spec"), "inputs");
	for (size_t i = 0; i < value_len(refs); i++) {
		struct dataset_at at = { making->work->tenant, domain, name };
		TRY(catalog_ref(value_as_str(value_at(refs, i)), making->domain, domain, name,
		                err));
		catalog_key(key, KIND_ACCEPTANCE, making->work->tenant, making->domain, domain);
		bool alias = catalog_has(making->control->catalog, key);
		if (alias)
			TRY(owner_of(making, domain, name, &at, err));
		TRY(add_input(making, &at, alias ? domain : NULL, NULL, 0, err));
	}
	return 0;
}

/* --- what is said of columns --- */

static bool is_ref(const struct value *ref, size_t inputs)
{
	int64_t input = value_as_int(value_at(ref, 0), -1);
	bool good = value_kind(ref) == VALUE_LIST && input >= 0 && (size_t)input < inputs;
	for (size_t i = 1; good && i < value_len(ref); i++)
		good = value_as_str(value_at(ref, i)) != NULL;
	return good;
}

static bool are_refs(const struct value *refs, size_t inputs)
{
	bool good = value_kind(refs) == VALUE_LIST && value_len(refs) <= inputs;
	for (size_t i = 0; good && i < value_len(refs); i++)
		good = is_ref(value_at(refs, i), inputs);
	return good;
}

static bool is_whole(const struct value *told, const struct output *output, size_t inputs)
{
	const struct value *columns = value_get(told, "columns");
	bool good = value_get_bool(told, "exact", false) && value_kind(columns) == VALUE_MAP &&
		value_len(columns) == value_len(output->schema) &&
		are_refs(value_get(told, "influence"), inputs) &&
		value_kind(value_get(told, "inputs")) == VALUE_LIST;
	for (size_t i = 0; good && i < value_len(columns); i++)
		good = are_refs(value_member(columns, i, NULL), inputs);
	for (size_t i = 0; good && i < value_len(output->schema); i++) {
		const char *name = value_get_str(value_at(output->schema, i), "name");
		good = name && value_get(columns, name);
	}
	return good;
}

static bool is_read(const struct value *told, size_t input)
{
	const struct value *reads = value_get(told, "inputs");
	for (size_t i = 0; i < value_len(reads); i++)
		if (value_as_int(value_at(reads, i), -1) == (int64_t)input)
			return true;
	return false;
}

static struct value *mark_reads(struct making *making, const struct value *told)
{
	struct value *list = value_list(making->arena);
	for (size_t i = 0; i < value_len(making->inputs); i++) {
		struct value *input = value_copy(making->arena, value_at(making->inputs, i));
		value_set_bool(input, "reads", !told || is_read(told, i));
		value_add(list, input);
	}
	return list;
}

static int make(struct making *making, const struct output *output, bool columns,
                struct value *lineage, struct err *err)
{
	const struct value *told = output->lineage;
	columns = columns && is_whole(told, output, value_len(making->inputs));
	value_set(lineage, "inputs", mark_reads(making, columns ? told : NULL));
	value_set_bool(lineage, "exact", columns);
	if (columns) {
		value_set(lineage, "columns", value_copy(making->arena,
		                                         value_get(told, "columns")));
		value_set(lineage, "influence", value_copy(making->arena,
		                                           value_get(told, "influence")));
	} else {
		value_remove(lineage, "columns");
		value_remove(lineage, "influence");
	}
	return value_check(lineage, err);
}

static bool fits(const struct value *lineage)
{
	AUTO_BUF packed;
	buf_init(&packed, LINEAGE_BYTES_MAX);
	return pack_write(lineage, &packed, NULL) == 0 && buf_check(&packed, NULL) == 0;
}

static int gather(struct making *making, const struct output *output, struct err *err)
{
	const struct value *from = value_get(output->lineage, "from");
	making->inputs = value_list(making->arena);
	TRY(catalog_ref(value_get_str(making->work->spec, "transformation"), making->work->domain,
	                making->domain, making->name, err));
	if (!output->lineage || value_len(from) > GRANT_TABLES_MAX)
		return add_declared(making, err);
	for (size_t i = 0; i < value_len(from); i++)
		TRY(add_told(making, value_at(from, i), err));
	return 0;
}

static int describe(const struct making *making, const struct plan_output *planned,
                    const struct output *output, const struct snapshot *next,
                    struct value *lineage, struct err *err)
{
	char at[TIME_TEXT_MAX];
	const char *sql = value_get_str(output->lineage, "sql");
	const char *by = arena_printf(making->arena, "%s.%s", making->domain, making->name);
	value_set_str(lineage, "uid", planned->uid);
	value_set_int(lineage, "snapshot", next->id);
	value_set_str(lineage, "task", making->work->id);
	value_set_str(lineage, "at", time_print_ms(next->at_ms, at));
	value_set(lineage, "by", value_str(making->arena, by ? by : ""));
	value_set_str(lineage, "sql", sql ? sql : "");
	return value_check(lineage, err);
}

int lineage_publish(struct control *control, struct arena *arena, struct change *change,
                    const struct work *work, const struct plan_output *planned,
                    const struct output *output, const struct snapshot *next, struct err *err)
{
	char key[STORE_KEY_MAX];
	const struct dataset_at at = { work->tenant, planned->domain, planned->name };
	struct making making = { .control = control, .arena = arena, .work = work };
	struct value *lineage = value_map(arena), *before = NULL;
	int64_t revision = 0;
	if (work->type == TASK_INGEST && output->replace)
		return lineage_delete(control, change, &at, err);
	if (work->type != TASK_TRANSFORM)
		return 0;
	TRY(gather(&making, output, err));
	TRY(describe(&making, planned, output, next, lineage, err));
	TRY(make(&making, output, true, lineage, err));
	if (!fits(lineage))
		TRY(make(&making, output, false, lineage, err));
	TRY(get(control, arena, lineage_key(key, &at), &before, &revision, err));
	return change_put(change, key, lineage, revision, err);
}
