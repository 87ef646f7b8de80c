/* grant.c - task grants. What is signed was checked by the same rules that the worker checks: a
 * grant that no worker would take is an error where it is made. */
#include "common/defs.h"
#include "api/grant.h"

#include "api/signed.h"
#include "api/table.h"
#include "api/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL "freehold-task-grant-v1"

enum {
	TASK_ID_MAX = 64, UID_MAX = 64, PATH_MAX_LEN = 400, COLUMNS_MAX = 4096, ATTEMPTS_MAX = 1000,
	WORK_MEMBERS_MAX = 32, SLEEP_MS_MAX = 600000, BODY_ARENA_MAX = 32 * 1024 * 1024
};
#define DEADLINE_MS_MAX (INT64_C(31) * 24 * 3600 * 1000)

static const char *const task_names[] = {
#define TASK(id, name, action, FIELDS) #name,
#include "api/tasks.def"
#undef TASK
	NULL
};

/* ---- work, by type ---- */

#define REQUIRED true
#define OPTIONAL false
#define F(kind, name, need, arg, sub, doc) { FIELD_##kind, need, #name, arg, sub, doc },
#define F_END { FIELD_TEXT, false, NULL, NULL, NULL, NULL }

static const struct field egress_fields[] = {
	F(TEXT, host,    REQUIRED, "253", NULL, "a name, *.NAME or an address")
	F(ENUM, scheme,  OPTIONAL, "https|http", NULL, "default https")
	F(INT,  port,    OPTIONAL, "65535", NULL, "default the scheme's")
	F(TEXT, network, OPTIONAL, "64", NULL, "a private range it may lead to")
	F_END
};
static const struct field ingest_fields[] = {
	F(ENUM, connector,   REQUIRED, "file|http", NULL, "a row of worker/connectors.def")
	F(TEXT, path,        REQUIRED, "2047", NULL, "what the connector opens: a path or a URL")
	F(OBJECTS, egress,   OPTIONAL, NULL, egress_fields, "hosts that may be called")
	F(ENUM, format,      REQUIRED, "csv|jsonl|parquet", NULL, "how the bytes read")
	F(ENUM, compression, OPTIONAL, "none|gzip|zstd", NULL, "default: by the path's ending")
	F(ENUM, mode,        REQUIRED, "append|replace", NULL, "what happens to the rows before")
	F(TEXT, delimiter,   OPTIONAL, "4", NULL, "csv")
	F(BOOL, header,      OPTIONAL, NULL, NULL, "csv")
	F(TEXT, nullText,    OPTIONAL, "32", NULL, "csv")
	F(INT,  rejectLimit, OPTIONAL, NULL, NULL, "bad rows kept aside before the task fails")
	F_END
};
static const struct field transform_fields[] = {
	F(TEXT, sql, REQUIRED, "65536", NULL, "one SELECT over the inputs")
	F(TEXT, intervalStart, OPTIONAL, "32", NULL, "RFC 3339: getvariable('interval_start')")
	F(TEXT, intervalEnd,   OPTIONAL, "32", NULL, "RFC 3339: getvariable('interval_end')")
	F_END
};
static const struct field feature_fields[] = {
	F(TEXT, name, REQUIRED, "128", NULL, "column of the input")
	F(TYPE, type, REQUIRED, NULL, NULL, "as a column's")
	F_END
};
static const struct field materialize_fields[] = {
	F(TEXT,    view,           REQUIRED, "128", NULL, "name of the view")
	F(TEXT,    joinKey,        REQUIRED, "128", NULL, "column with the entity's key")
	F(ENUM,    keyType,        REQUIRED, "string|int64", NULL, "of the join key")
	F(TEXT,    timestampField, REQUIRED, "128", NULL, "column with the event time")
	F(OBJECTS, features,       REQUIRED, NULL, feature_fields, "in the view's order")
	F_END
};
static const struct field probe_fields[] = {
	F(INT, sleepMs, OPTIONAL, NULL, NULL, "stay busy that long")
	F_END
};
static const struct field archive_fields[] = {
	F(ENUM, mode, REQUIRED, "append|replace", NULL, "replace: also all that is there already")
	F(TEXT, rows, REQUIRED, "1900000", NULL, "JSON: a list of rows, each a list by column")
	F(TEXT, since, OPTIONAL, "32", NULL, "what is there already and older is left out")
	F_END
};
static const struct field history_fields[] = {
	F(TEXT,  domain,   OPTIONAL, "64", NULL, "only of that domain")
	F(NAMES, states,   OPTIONAL, NULL, NULL, "only in one of those")
	F(TEXT,  type,     OPTIONAL, "64", NULL, "only of that type")
	F(TEXT,  run,      OPTIONAL, "32", NULL, "only of that run")
	F(TEXT,  schedule, OPTIONAL, "64", NULL, "only of that schedule")
	F(TEXT,  id,       OPTIONAL, "32", NULL, "only that one")
	F(TEXT,  from,     OPTIONAL, "32", NULL, "only that id and those after it")
	F(TEXT,  before,   OPTIONAL, "32", NULL, "only ids before that one")
	F(INT,   limit,    REQUIRED, "1000", NULL, "rows at most")
	F_END
};
static const struct field events_fields[] = {
	EVENTS_FIELDS(F)
	F_END
};
static const struct field sweep_fields[] = {
	F(TEXT, kept,    OPTIONAL, "1900000", NULL, "folders that stay, EPOCH-COUNTER, in order")
	F(TEXT, from,    OPTIONAL, "64", NULL, "EPOCH-COUNTER: folders before that stay")
	F(TEXT, below,   REQUIRED, "64", NULL, "EPOCH-COUNTER: that and later folders stay")
	F(INT,  graceMs, REQUIRED, NULL, NULL, "what is younger stays")
	F_END
};
static const struct field erase_fields[] = {
	F(TEXT, uid, REQUIRED, "32", NULL, "of the tenant that is erased")
	F_END
};
static const struct field query_fields[] = {
	F(TEXT, sha256,  REQUIRED, "64", NULL, "of the only SQL it is for, in hex")
	F(TEXT, account, REQUIRED, "64", NULL, "the domain that pays")
	F_END
};
static const struct field rekey_fields[] = {
	F_END
};

/* How many tables of each sort a task of a type has. */
struct work_shape {
	const struct field *fields;
	size_t inputs_min, inputs_max, outputs;
	bool shares;                 /* an input may be another tenant's */
};

static const struct work_shape shapes[TASK_COUNT_] = {
	[TASK_INGEST] = { ingest_fields, 0, 0, 1, false },
	[TASK_TRANSFORM] = { transform_fields, 0, GRANT_TABLES_MAX, 1, true },
	[TASK_MATERIALIZE] = { materialize_fields, 1, 1, 1, true },
	[TASK_PROBE] = { probe_fields, 0, 0, 0, false },
	[TASK_ARCHIVE] = { archive_fields, 0, 1, 1, false },
	[TASK_HISTORY] = { history_fields, 1, 1, 0, false },
	[TASK_AUDIT] = { archive_fields, 0, 1, 1, false },
	[TASK_EVENTS] = { events_fields, 1, 1, 0, false },
	[TASK_SWEEP] = { sweep_fields, 0, 0, 0, false },
	[TASK_REKEY] = { rekey_fields, 0, GRANT_TABLES_MAX, 0, false },
	[TASK_ERASE] = { erase_fields, 0, 0, 0, false },
	[TASK_QUERY] = { query_fields, 0, GRANT_TABLES_MAX, 0, true },
};

const struct field *grant_work_fields(enum task_type type)
{
	REQUIRE(type > TASK_NONE && type < TASK_COUNT_ && shapes[type].fields);
	return shapes[type].fields;
}

/* ---- the body ---- */

static const struct wire_member token_members[] = {
	W_INT(struct token, epoch, "epoch", 1, INT64_MAX),
	W_INT(struct token, counter, "counter", 1, INT64_MAX),
	W_END
};
static const struct wire token_wire = { "token", sizeof(struct token), true, token_members };

static const struct wire_member file_members[] = {
	W_TEXT(struct grant_file, path, "path", 1, PATH_MAX_LEN),
	W_INT(struct grant_file, bytes, "bytes", 0, INT64_MAX),
	W_INT(struct grant_file, rows, "rows", 0, INT64_MAX),
	W_END
};
static const struct wire file_wire = { "file", sizeof(struct grant_file), true, file_members };

/* Only where there is one: a worker of an earlier release refuses members it does not know. */
static struct value *old_version_write(struct arena *arena, const void *member)
{
	const uint32_t *version = member;
	return *version ? value_int(arena, *version) : NULL;
}

static int old_version_read(struct arena *arena, const struct value *value, void *ret_member,
                            struct err *err)
{
	int64_t version = value_as_int(value, 0);
	(void)arena;
	if (version < 1 || version > UINT32_MAX)
		return err_set(err, E_INVALID, "must be from 1 to %u", UINT32_MAX);
	*(uint32_t *)ret_member = (uint32_t)version;
	return 0;
}

static const struct wire_hook old_version_hook = { old_version_write, old_version_read };

static const struct wire_member table_members[] = {
	W_NAME_OPT(struct grant_table, tenant, "tenant"),
	W_NAME(struct grant_table, domain, "domain"),
	W_NAME(struct grant_table, name, "name"),
	W_TEXT(struct grant_table, uid, "uid", 1, UID_MAX),
	W_INT(struct grant_table, snapshot, "snapshot", 0, INT64_MAX),
	W_UINT32(struct grant_table, key_version, "keyVersion", 0, UINT32_MAX),
	W_HOOK(struct grant_table, old_version, "oldKeyVersion", &old_version_hook),
	W_VALUE_OPT(struct grant_table, schema, "schema", WIRE_LIST_OF, 0, COLUMNS_MAX),
	W_STRUCTS(struct grant_table, files, file_count, "files", 0, TABLE_FILES_MAX, &file_wire),
	W_RESTRICTION(struct grant_table),
	W_END
};
static const struct wire table_wire = { "table", sizeof(struct grant_table), true, table_members };

static const struct wire_member limits_members[] = {
	W_INT(struct limits, deadline_ms, "deadlineMs", 1, DEADLINE_MS_MAX),
	W_UINT64(struct limits, memory_bytes, "memoryBytes", 1, INT64_C(1) << 50),
	W_INT32(struct limits, threads, "threads", 1, 1024),
	W_INT(struct limits, cpu_ms, "cpuMs", 1, INT64_MAX),
	W_INT32(struct limits, attempts_max, "attempts", 1, ATTEMPTS_MAX),
	W_END
};
static const struct wire limits_wire = { "limits", sizeof(struct limits), true, limits_members };

struct grant_form {
	struct grant grant;
	/* In a box: the inputs' keys, then the outputs', then in the same order the old ones. */
	const uint8_t *keys;
	size_t keys_len;
};

static const struct wire_member grant_members[] = {
	W_TEXT(struct grant_form, grant.task, "task", 1, TASK_ID_MAX),
	W_STRUCT(struct grant_form, grant.token, "token", &token_wire),
	W_INT32(struct grant_form, grant.attempt, "attempt", 1, ATTEMPTS_MAX),
	W_NAME(struct grant_form, grant.worker, "worker"),
	W_NAME(struct grant_form, grant.tenant, "tenant"),
	W_NAME(struct grant_form, grant.domain, "domain"),
	W_ENUM(struct grant_form, grant.type, "type", task_names),
	W_VALUE(struct grant_form, grant.work, "work", WIRE_MAP_OF, 0, WORK_MEMBERS_MAX),
	W_STRUCTS(struct grant_form, grant.inputs, grant.input_count, "inputs", 0, GRANT_TABLES_MAX,
	          &table_wire),
	W_STRUCTS(struct grant_form, grant.outputs, grant.output_count, "outputs", 0,
	          GRANT_TABLES_MAX, &table_wire),
	W_STRUCT(struct grant_form, grant.limits, "limits", &limits_wire),
	W_INT(struct grant_form, grant.expires_ms, "expires", 1, INT64_MAX),
	W_TEXT(struct grant_form, grant.output_prefix, "outputPrefix", 1, GRANT_PREFIX_MAX),
	W_BIN(struct grant_form, keys, keys_len, "keys", BOX_OVERHEAD,
	      BOX_OVERHEAD + 4 * GRANT_TABLES_MAX * KEY_BYTES),
	W_END
};
static const struct wire grant_wire = {
	"grant", sizeof(struct grant_form), true, grant_members
};

/* ---- rules beyond types and bounds ---- */

void grant_prefix(const char *tenant, const char *domain, struct token token,
                  char out[GRANT_PREFIX_MAX])
{
	snprintf(out, GRANT_PREFIX_MAX, "%s/%s/%" PRId64 "-%" PRId64, tenant, domain, token.epoch,
	         token.counter);
}

/* As common/object.h says: segments of a small alphabet, none empty or beginning with a dot. */
static bool path_valid(const char *path)
{
	bool first = true;
	for (; *path; path++) {
		if (first && (*path == '.' || *path == '/'))
			return false;
		first = *path == '/';
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=-/",
		            *path))
			return false;
	}
	return !first;
}

static bool path_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* Only what is read may be another's, and nothing says so of its own. */
static int check_tenant(const struct grant *grant, const struct grant_table *table, bool input,
                        struct err *err)
{
	if (!table->tenant)
		return 0;
	if (!input || !shapes[grant->type].shares)
		return err_set(err, E_INVALID, "grant: \"%s\" may not be another tenant's; only "
		               "an input of a transform, materialize or query may", table->name);
	if (strcmp(table->tenant, grant->tenant) == 0)
		return err_set(err, E_INVALID, "grant: the input \"%s\" is its own tenant's; its "
		               "tenant is left out", table->name);
	return 0;
}

static int check_files(const struct grant *grant, const struct grant_table *table, struct err *err)
{
	const char *tenant = table->tenant ? table->tenant : grant->tenant;
	for (size_t i = 0; i < table->file_count; i++)
		if (!path_valid(table->files[i].path) ||
		    !path_below(table->files[i].path, tenant))
			return err_set(err, E_INVALID, "grant: a file of \"%s\" must be an object "
			               "path below \"%s/\"", table->name, tenant);
	return 0;
}

static int check_restriction(const struct grant_table *table, bool input, struct err *err)
{
	if (!input && restriction_any(&table->restriction))
		return err_set(err, E_INVALID, "grant: the output \"%s\" cannot be restricted; "
		               "only what is read can", table->name);
	int rc = restriction_check(&table->restriction, table->schema, err);
	return rc < 0 ? err_prefix(err, "grant: \"%s\"", table->name) : 0;
}

static int check_names(const struct grant *grant, struct err *err)
{
	for (size_t i = 0; i < grant->input_count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(grant->inputs[i].name, grant->inputs[j].name) == 0 &&
			    strcmp(grant->inputs[i].domain, grant->inputs[j].domain) == 0)
				return err_set(err, E_INVALID, "grant: the input \"%s.%s\" is "
				               "named twice", grant->inputs[i].domain,
				               grant->inputs[i].name);
	return 0;
}

static int check_tables(const struct grant *grant, struct err *err)
{
	const struct work_shape *shape = &shapes[grant->type];
	if (grant->input_count < shape->inputs_min || grant->input_count > shape->inputs_max ||
	    grant->output_count != shape->outputs)
		return err_set(err, E_INVALID, "grant: a task \"%s\" has %zu to %zu inputs and %zu "
		               "outputs, this one has %zu and %zu", task_names[grant->type],
		               shape->inputs_min, shape->inputs_max, shape->outputs,
		               grant->input_count, grant->output_count);
	for (size_t i = 0; i < grant->input_count; i++) {
		TRY(check_tenant(grant, &grant->inputs[i], true, err));
		TRY(check_files(grant, &grant->inputs[i], err));
		TRY(check_restriction(&grant->inputs[i], true, err));
	}
	for (size_t i = 0; i < grant->output_count; i++) {
		TRY(check_tenant(grant, &grant->outputs[i], false, err));
		TRY(check_files(grant, &grant->outputs[i], err));
		TRY(check_restriction(&grant->outputs[i], false, err));
	}
	return check_names(grant, err);
}

static int check_grant(const struct grant *grant, struct err *err)
{
	char prefix[GRANT_PREFIX_MAX];
	grant_prefix(grant->tenant, grant->domain, grant->token, prefix);
	if (strcmp(prefix, grant->output_prefix) != 0)
		return err_set(err, E_INVALID, "grant: outputPrefix must be \"%s\", of its tenant, "
		               "domain and token", prefix);
	TRY(check_tables(grant, err));
	TRY(fields_check(shapes[grant->type].fields, grant->work, "work", err));
	if (value_get_int(grant->work, "sleepMs", 0) > SLEEP_MS_MAX)
		return err_set(err, E_INVALID, "work.sleepMs must be at most %d", SLEEP_MS_MAX);
	return 0;
}

/* ---- keys ---- */

static size_t table_count(const struct grant *grant)
{
	return grant->input_count + grant->output_count;
}

static const struct grant_table *table_at(const struct grant *grant, size_t i)
{
	return i < grant->input_count ? &grant->inputs[i] : &grant->outputs[i - grant->input_count];
}

static size_t key_count(const struct grant *grant)
{
	size_t count = table_count(grant);
	for (size_t i = 0; i < table_count(grant); i++)
		count += table_at(grant, i)->old_version > 0;
	return count;
}

static int gather_keys(const struct grant *grant, struct secret **ret_keys, struct err *err)
{
	AUTO(secret) *keys = NULL;
	size_t tables = table_count(grant), old = tables;
	TRY(secret_new(key_count(grant) * KEY_BYTES, &keys, err));
	for (size_t i = 0; i < tables; i++) {
		const struct grant_table *table = table_at(grant, i);
		if (!table->key || (table->old_version && !table->old_key))
			return err_set(err, E_INVALID, "grant: \"%s\" has no key", table->name);
		memcpy(secret_data(keys) + i * KEY_BYTES, table->key, KEY_BYTES);
		if (table->old_version)
			memcpy(secret_data(keys) + old++ * KEY_BYTES, table->old_key, KEY_BYTES);
	}
	*ret_keys = MOVE(keys);
	return 0;
}

static int box_keys(struct arena *arena, const uint8_t worker_box[BOX_PUBLIC_BYTES],
                    struct grant_form *form, struct err *err)
{
	AUTO(secret) *keys = NULL;
	TRY(gather_keys(&form->grant, &keys, err));
	return keys_seal(arena, worker_box, keys, &form->keys, &form->keys_len, err);
}

/* Locked memory costs more than the rest: none for no keys. */
static int lock_keys(struct arena *arena, const struct grant_seal *seal, struct grant_form *form,
                     struct err *err)
{
	AUTO(secret) *keys = NULL;
	if (key_count(&form->grant) > 0)
		TRY(gather_keys(&form->grant, &keys, err));
	return keys_seal_with(arena, seal, keys, &form->keys, &form->keys_len, err);
}

static int unbox_keys(const struct grant_opener *opener, struct grant_form *form, struct err *err)
{
	struct grant *grant = &form->grant;
	size_t tables = table_count(grant), old = tables;
	TRY(keys_open(opener, form->keys, form->keys_len, key_count(grant), &grant->keys, err));
	const uint8_t *keys = secret_bytes(grant->keys);
	for (size_t i = 0; i < tables; i++) {
		/* The tables were made by wire_read, in our arena. */
		struct grant_table *table = (struct grant_table *)(uintptr_t)table_at(grant, i);
		table->key = keys + i * KEY_BYTES;
		if (table->old_version)
			table->old_key = keys + old++ * KEY_BYTES;
	}
	return 0;
}

/* ---- public ---- */

static int sign(const struct grant_signer *signer, const struct grant_form *form,
                struct arena *arena, struct buf *out, struct err *err)
{
	struct grant_form check;
	struct value *body;
	TRY(wire_value(arena, &grant_wire, form, &body, err));
	TRY(wire_read(arena, &grant_wire, body, &check, err));
	TRY(check_grant(&check.grant, err));
	return signed_write(signer, LABEL, body, out, err);
}

int grant_sign(const struct grant_signer *signer, const struct grant *grant,
               const uint8_t worker_box[BOX_PUBLIC_BYTES], struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct grant_form form = { .grant = *grant };
	TRY(arena_new(BODY_ARENA_MAX, &arena, err));
	TRY(box_keys(arena, worker_box, &form, err));
	return sign(signer, &form, arena, out, err);
}

int grant_sign_with(const struct grant_signer *signer, const struct grant *grant,
                    const struct grant_seal *seal, struct buf *out, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct grant_form form = { .grant = *grant };
	TRY(arena_new(BODY_ARENA_MAX, &arena, err));
	TRY(lock_keys(arena, seal, &form, err));
	return sign(signer, &form, arena, out, err);
}

int grant_open(const struct grant_opener *opener, int64_t now_ms, struct arena *arena,
               const void *data, size_t len, struct grant **ret_grant, struct err *err)
{
	struct value *body;
	struct grant_form *form = arena_alloc(arena, sizeof *form);
	if (!form)
		return err_set(err, E_NOMEM, "grant: no memory for it");
	TRY(signed_read(arena, opener->control_key, LABEL, data, len, &body, err));
	TRY(wire_read(arena, &grant_wire, body, form, err));
	TRY(signed_for(opener, form->grant.worker, form->grant.expires_ms, now_ms, err));
	TRY(check_grant(&form->grant, err));
	TRY(unbox_keys(opener, form, err));
	*ret_grant = &form->grant;
	return 0;
}

void grant_wipe(struct grant *grant)
{
	if (!grant)
		return;
	for (size_t i = 0; i < table_count(grant); i++) {
		struct grant_table *table = (struct grant_table *)(uintptr_t)table_at(grant, i);
		table->key = table->old_key = NULL;
	}
	secret_free(grant->keys);
	grant->keys = NULL;
}

int grant_peek(struct arena *arena, const void *data, size_t len, struct grant_hint *ret_hint,
               struct err *err)
{
	struct value *body;
	struct grant_hint hint = { 0 };
	TRY(signed_peek(arena, data, len, &body, err));
	TRY(wire_read(arena, &token_wire, value_get(body, "token"), &hint.token, err));
	hint.task = value_get_str(body, "task");
	if (!hint.task || !*hint.task || strlen(hint.task) > TASK_ID_MAX)
		return err_set(err, E_INVALID, "grant: task must have 1 to %d bytes", TASK_ID_MAX);
	int64_t memory = value_get_int(value_get(body, "limits"), "memoryBytes", 0);
	hint.memory_bytes = memory > 0 ? (uint64_t)memory : 0;
	int64_t threads = value_get_int(value_get(body, "limits"), "threads", 0);
	hint.threads = threads > 0 && threads <= INT16_MAX ? (int)threads : 0;
	*ret_hint = hint;
	return 0;
}
