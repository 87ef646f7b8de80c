/* poll.c - the tables of the two exchanges. They are not strict: a newer peer may say more; and
 * what came after the first version is optional: an older one does not say it. */
#include "common/defs.h"
#include "api/poll.h"

#include "api/wire.h"

#include <string.h>

enum {
	TASK_ID_MAX = 64, PHASE_MAX = 31, PATH_MAX_LEN = 400, UID_MAX = 64, TEXT_MAX = 480,
	OUTPUTS_MAX = 64, READS_MAX = 4096, GRANTS_MAX = 256,
	TOKENS_MAX = 4096, DROPS_MAX = 4096, VIEWS_MAX = 64, CREDENTIAL_MAX = 8192,
	COLUMNS_MAX = 4096, RESULT_MEMBERS_MAX = 16, LABEL_MAX = 63, LINEAGE_MEMBERS_MAX = 16,
	ADDRESS_MAX = 64, DIMENSION_MAX = 32
};
#define CPU_MILLIS_MAX INT64_C(1000000000)

/* As W_INT32 and the like, for what an older peer does not say. */
#define LATER(type, field, key, kind_, lo, hi) \
	{ W_AT(type, field, key, kind_, lo, hi), .optional = true }
#define LATER_LIST(type, field, count, key, kind_, hi, table) \
	{ W_AT(type, field, key, kind_, 0, hi), .count_offset = offsetof(type, count), \
	  .optional = true, .sub = (table) }

static const struct wire_member token_members[] = {
	W_INT(struct token, epoch, "epoch", 0, INT64_MAX),
	W_INT(struct token, counter, "counter", 0, INT64_MAX),
	W_END
};
static const struct wire token_wire = { "token", sizeof(struct token), false, token_members };

static const struct wire_member progress_members[] = {
	W_TEXT_OPT(struct progress, phase, "phase", 0, PHASE_MAX),
	W_INT(struct progress, rows, "rows", 0, INT64_MAX),
	W_INT(struct progress, bytes, "bytes", 0, INT64_MAX),
	W_INT32(struct progress, percent, "percent", -1, 100),
	W_END
};
static const struct wire progress_wire = {
	"progress", sizeof(struct progress), false, progress_members
};

static const struct wire_member running_members[] = {
	W_TEXT(struct running, task, "task", 1, TASK_ID_MAX),
	W_STRUCT(struct running, token, "token", &token_wire),
	W_STRUCT(struct running, progress, "progress", &progress_wire),
	W_END
};
static const struct wire running_wire = {
	"running", sizeof(struct running), false, running_members
};

static const struct wire_member file_members[] = {
	W_TEXT(struct table_file, path, "path", 1, PATH_MAX_LEN),
	W_INT(struct table_file, rows, "rows", 0, INT64_MAX),
	W_INT(struct table_file, bytes, "bytes", 0, INT64_MAX),
	W_INT(struct table_file, plain_bytes, "plain", 0, INT64_MAX),
	W_VALUE_OPT(struct table_file, stats, "stats", WIRE_MAP_OF, 0, COLUMNS_MAX),
	W_END
};
static const struct wire file_wire = { "file", sizeof(struct table_file), false, file_members };

static const struct wire_member output_members[] = {
	W_TEXT(struct output, uid, "uid", 1, UID_MAX),
	W_BOOL(struct output, replace, "replace"),
	W_INT(struct output, base_snapshot, "base", 0, INT64_MAX),
	W_STRUCTS(struct output, files, file_count, "files", 0, TABLE_FILES_MAX, &file_wire),
	W_VALUE_OPT(struct output, schema, "schema", WIRE_LIST_OF, 0, COLUMNS_MAX),
	W_INT(struct output, rejected_rows, "rejected", 0, INT64_MAX),
	W_TEXT_OPT(struct output, rejects_path, "rejects", 1, PATH_MAX_LEN),
	W_VALUE_OPT(struct output, lineage, "lineage", WIRE_MAP_OF, 0, LINEAGE_MEMBERS_MAX),
	W_END
};
static const struct wire output_wire = { "output", sizeof(struct output), false, output_members };

/* Codes travel by name: their numbers are each version's own. */
static struct value *code_write(struct arena *arena, const void *member)
{
	int code = *(const int *)member;
	return code < 0 ? value_str(arena, err_name(code)) : NULL;
}

static int code_read(struct arena *arena, const struct value *value, void *ret_member,
                     struct err *err)
{
	(void)arena;
	const char *name = value_as_str(value);
	if (!name)
		return err_set(err, E_INVALID, "must be the name of an error code");
	*(int *)ret_member = err_by_name(name);
	return 0;
}

static const struct wire_hook code_hook = { code_write, code_read };

static struct value *usage_write_member(struct arena *arena, const void *member)
{
	return usage_value(arena, member);
}

static int usage_read_member(struct arena *arena, const struct value *value, void *ret_member,
                             struct err *err)
{
	(void)arena;
	if (value_kind(value) != VALUE_MAP)
		return err_set(err, E_INVALID, "must be a map");
	usage_read(value, ret_member);
	return 0;
}

static const struct wire_hook usage_hook = { usage_write_member, usage_read_member };
static const char *const outcomes[] = { "succeeded", "failed", "cancelled", NULL };

static const struct wire_member report_members[] = {
	W_TEXT(struct report, task, "task", 1, TASK_ID_MAX),
	W_STRUCT(struct report, token, "token", &token_wire),
	W_ENUM(struct report, outcome, "outcome", outcomes),
	W_HOOK(struct report, code, "code", &code_hook),
	LATER(struct report, handed_back, "handedBack", WIRE_BOOL, 0, 1),
	W_TEXT_OPT(struct report, text, "text", 0, TEXT_MAX),
	W_HOOK(struct report, usage, "usage", &usage_hook),
	W_STRUCTS(struct report, outputs, output_count, "outputs", 0, OUTPUTS_MAX, &output_wire),
	W_VALUE_OPT(struct report, result, "result", WIRE_MAP_OF, 0, RESULT_MEMBERS_MAX),
	W_END
};
static const struct wire report_wire = { "report", sizeof(struct report), false, report_members };

static const struct wire_member reads_members[] = {
	W_NAME(struct reads, tenant, "tenant"),
	W_NAME(struct reads, domain, "domain"),
	W_INT(struct reads, count, "count", 0, INT64_MAX),
	W_TEXT_OPT(struct reads, dimension, "dimension", 1, DIMENSION_MAX),
	W_END
};
static const struct wire reads_wire = { "reads", sizeof(struct reads), false, reads_members };

static const struct wire_member label_members[] = {
	W_TEXT(struct poll_label, key, "key", 1, LABEL_MAX),
	W_TEXT(struct poll_label, value, "value", 0, LABEL_MAX),
	W_END
};
static const struct wire label_wire = {
	"label", sizeof(struct poll_label), false, label_members
};

static const struct wire_member erased_members[] = {
	W_NAME(struct erased, tenant, "tenant"),
	W_TEXT(struct erased, uid, "uid", 1, UID_MAX),
	W_INT(struct erased, rows, "rows", 0, INT64_MAX),
	W_END
};
static const struct wire erased_wire = { "erased", sizeof(struct erased), false, erased_members };

static const struct wire_member erasure_members[] = {
	W_NAME(struct erasure, tenant, "tenant"),
	W_TEXT(struct erasure, uid, "uid", 1, UID_MAX),
	W_END
};
static const struct wire erasure_wire = {
	"erasure", sizeof(struct erasure), false, erasure_members
};

static const struct wire_member poll_members[] = {
	LATER(struct poll, shard, "shard", WIRE_INT32, 0, POLL_SHARDS_MAX - 1),
	W_INT32(struct poll, slots, "slots", 0, POLL_SLOTS_MAX),
	W_INT32(struct poll, slots_max, "slotsMax", 0, POLL_SLOTS_MAX),
	W_UINT64(struct poll, memory_bytes, "memoryBytes", 0, INT64_MAX),
	LATER(struct poll, memory_bytes_max, "memoryBytesMax", WIRE_UINT64, 0, INT64_MAX),
	LATER(struct poll, cpu_millis, "cpuMillis", WIRE_INT, 0, CPU_MILLIS_MAX),
	LATER(struct poll, cpu_millis_max, "cpuMillisMax", WIRE_INT, 0, CPU_MILLIS_MAX),
	LATER(struct poll, pool, "pool", WIRE_NAME, 0, 0),
	LATER_LIST(struct poll, labels, label_count, "labels", WIRE_STRUCTS, POLL_LABELS_MAX,
	           &label_wire),
	LATER_LIST(struct poll, caches, cache_count, "caches", WIRE_TEXTS, POLL_CACHES_MAX, NULL),
	LATER(struct poll, cage, "cage", WIRE_TEXT, 1, 160),
	LATER(struct poll, protocol, "protocol", WIRE_INT32, 0, INT32_MAX),
	W_FIXED(struct poll, box_public, "box", BOX_PUBLIC_BYTES),
	W_TEXT_OPT(struct poll, serve_url, "serveUrl", 1, 512),
	W_TEXT(struct poll, version, "version", 1, 64),
	W_BOOL(struct poll, draining, "draining"),
	W_STRUCTS(struct poll, running, running_count, "running", 0, POLL_RUNNING_MAX,
	          &running_wire),
	W_STRUCTS(struct poll, done, done_count, "done", 0, POLL_DONE_MAX, &report_wire),
	W_INT(struct poll, meter_seq, "meterSeq", 0, INT64_MAX),
	W_STRUCTS(struct poll, reads, reads_count, "reads", 0, READS_MAX, &reads_wire),
	LATER_LIST(struct poll, erased, erased_count, "erased", WIRE_STRUCTS, POLL_ERASED_MAX,
	           &erased_wire),
	W_END
};
static const struct wire poll_wire = { "poll", sizeof(struct poll), false, poll_members };

static const struct wire_member task_members[] = {
	W_BIN(struct poll_task, grant, grant_len, "grant", 1, GRANT_BYTES_MAX),
	W_END
};
static const struct wire task_wire = { "task", sizeof(struct poll_task), false, task_members };

static const struct wire_member answer_members[] = {
	W_BOOL(struct poll_answer, leader, "leader"),
	LATER(struct poll_answer, shards, "shards", WIRE_INT32, 0, POLL_SHARDS_MAX),
	LATER(struct poll_answer, era, "era", WIRE_INT, 0, INT64_MAX),
	W_STRUCTS(struct poll_answer, tasks, task_count, "tasks", 0, GRANTS_MAX, &task_wire),
	W_STRUCTS(struct poll_answer, cancels, cancel_count, "cancels", 0, TOKENS_MAX, &token_wire),
	LATER_LIST(struct poll_answer, backs, back_count, "handBack", WIRE_STRUCTS, TOKENS_MAX,
	           &token_wire),
	W_STRUCTS(struct poll_answer, acks, ack_count, "acks", 0, TOKENS_MAX, &token_wire),
	W_INT(struct poll_answer, meter_ack, "meterAck", 0, INT64_MAX),
	W_TEXTS(struct poll_answer, drop, drop_count, "drop", 0, DROPS_MAX),
	LATER_LIST(struct poll_answer, erase, erase_count, "erase", WIRE_STRUCTS, POLL_ERASED_MAX,
	           &erasure_wire),
	W_END
};
static const struct wire answer_wire = {
	"poll answer", sizeof(struct poll_answer), false, answer_members
};

static const struct wire_member ask_query_members[] = {
	W_TEXT(struct access_query, id, "id", 1, TASK_ID_MAX),
	W_TEXTS(struct access_query, tables, table_count, "tables", 0, GRANT_TABLES_MAX),
	W_NAME_OPT(struct access_query, domain, "domain"),
	W_TEXT(struct access_query, sha256, "sha256", 64, 64),
	W_END
};
static const struct wire ask_query_wire = {
	"query", sizeof(struct access_query), false, ask_query_members
};

static const struct wire_member ask_members[] = {
	W_TEXT(struct access_ask, credential, "credential", 1, CREDENTIAL_MAX),
	W_TEXTS(struct access_ask, views, view_count, "views", 0, VIEWS_MAX),
	W_FIXED(struct access_ask, box_public, "box", BOX_PUBLIC_BYTES),
	W_TEXT_OPT(struct access_ask, purpose, "purpose", 1, PURPOSE_TEXT_MAX),
	W_TEXT_OPT(struct access_ask, address, "address", 1, ADDRESS_MAX),
	LATER_LIST(struct access_ask, query, query_count, "query", WIRE_STRUCTS, 1,
	           &ask_query_wire),
	W_END
};
static const struct wire ask_wire = {
	"access question", sizeof(struct access_ask), false, ask_members
};

static const struct wire_member granted_members[] = {
	W_BIN(struct access_answer, grant, grant_len, "grant", 1, GRANT_BYTES_MAX),
	W_END
};
static const struct wire granted_wire = {
	"access answer", sizeof(struct access_answer), false, granted_members
};

int poll_value(struct arena *arena, const struct poll *poll, struct value **ret_value,
               struct err *err)
{
	return wire_value(arena, &poll_wire, poll, ret_value, err);
}

int poll_read(struct arena *arena, const struct value *body, struct poll *ret_poll,
              struct err *err)
{
	struct poll poll;
	TRY(wire_read(arena, &poll_wire, body, &poll, err));
	*ret_poll = poll;
	return 0;
}

int poll_answer_value(struct arena *arena, const struct poll_answer *answer,
                      struct value **ret_value, struct err *err)
{
	return wire_value(arena, &answer_wire, answer, ret_value, err);
}

int poll_answer_read(struct arena *arena, const struct value *body,
                     struct poll_answer *ret_answer, struct err *err)
{
	struct poll_answer answer;
	TRY(wire_read(arena, &answer_wire, body, &answer, err));
	*ret_answer = answer;
	return 0;
}

int access_ask_value(struct arena *arena, const struct access_ask *ask, struct value **ret_value,
                     struct err *err)
{
	return wire_value(arena, &ask_wire, ask, ret_value, err);
}

int access_ask_read(struct arena *arena, const struct value *body, struct access_ask *ret_ask,
                    struct err *err)
{
	struct access_ask ask;
	TRY(wire_read(arena, &ask_wire, body, &ask, err));
	if (ask.query_count == 0)
		ask.query = NULL;            /* an empty list's items are nowhere, but not NULL */
	*ret_ask = ask;
	return 0;
}

int access_answer_value(struct arena *arena, const struct access_answer *answer,
                        struct value **ret_value, struct err *err)
{
	return wire_value(arena, &granted_wire, answer, ret_value, err);
}

int access_answer_read(struct arena *arena, const struct value *body,
                       struct access_answer *ret_answer, struct err *err)
{
	struct access_answer answer;
	TRY(wire_read(arena, &granted_wire, body, &answer, err));
	*ret_answer = answer;
	return 0;
}

struct value *link_problem_value(struct arena *arena, const struct err *problem)
{
	struct value *map = value_map(arena);
	value_set_str(map, "code", err_name(problem->code));
	value_set_str(map, "text", problem->text);
	return map;
}

void link_problem_read(const struct value *body, struct err *ret_problem)
{
	const char *code = value_get_str(body, "code");
	const char *text = value_get_str(body, "text");
	err_set(ret_problem, code ? err_by_name(code) : E_INTERNAL, "%s",
	        text ? text : "the control plane answered without a reason");
}
