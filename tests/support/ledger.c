/* ledger.c - see ledger.h. */
#include "common/defs.h"
#include "tests/support/ledger.h"

#include "common/json.h"
#include "common/store_mem.h"
#include "control/lead.h"
#include "control/record.h"
#include "control/shard.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DATASETS_MAX = 64, READINGS_MAX = 20, PAUSE_NS = 50000000 };

struct entry {
	char id[ID_LEN + 1];
	int accepted, outcomes;
	/* As a checkpoint says; its rows are counted in the order of the ends. */
	bool succeeded;
	int64_t rows;     /* of its output; -1: it has none */
};
struct table_rows {
	const char *tenant, *uid;
	int64_t rows;
};
struct bill {
	const char *tenant;
	struct amounts sum;
};

struct ledger {
	struct stage *stage;
	struct arena *arena;
	struct shard *fresh;
	struct entry *entries;
	size_t entry_count;
	struct table_rows tables[DATASETS_MAX];
	size_t table_count;
	struct bill bills[8];
	size_t bill_count;
	const char *broken; /* the first */
};

__attribute__((format(printf, 2, 3))) static void broken(struct ledger *ledger, const char *fmt,
                                                         ...)
{
	char text[4096];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (!ledger->broken)
		ledger->broken = arena_strdup(ledger->arena, text);
}

/* --- the journal's records, one by one --- */

static struct entry *entry_of(struct ledger *ledger, const char *id)
{
	for (size_t i = 0; i < ledger->entry_count; i++)
		if (strcmp(ledger->entries[i].id, id) == 0)
			return &ledger->entries[i];
	cr_assert_lt(ledger->entry_count, LEDGER_TASKS_MAX);
	struct entry *entry = &ledger->entries[ledger->entry_count++];
	snprintf(entry->id, sizeof entry->id, "%s", id);
	return entry;
}

static struct act *act_of(const struct ledger *ledger, int64_t cpu_ms)
{
	for (struct act *act = ledger->stage->acts; act; act = act->next)
		if (act->ended && act->usage.cpu_ms == cpu_ms)
			return act;
	return NULL;
}

static struct bill *bill_of(struct ledger *ledger, const char *tenant)
{
	for (size_t i = 0; i < ledger->bill_count; i++)
		if (strcmp(ledger->bills[i].tenant, tenant) == 0)
			return &ledger->bills[i];
	cr_assert_lt(ledger->bill_count, ARRAY_LEN(ledger->bills));
	struct bill *bill = &ledger->bills[ledger->bill_count++];
	bill->tenant = arena_strdup(ledger->arena, tenant);
	return bill;
}

static void see_usage(struct ledger *ledger, const struct value *record)
{
	const char *id = value_get_str(record, "id"), *source = value_get_str(record, "source");
	struct amounts amounts;
	amounts_read(value_get(record, "amounts"), &amounts);
	amounts.v[DIM_COST_MICROS] = value_get_int(record, "cost", 0);
	amounts_add(&bill_of(ledger, value_get_str(record, "tenant"))->sum, &amounts);
	if (strcmp(source, "task") != 0 || amounts.v[DIM_CPU_MS] == 0 || !ledger->stage->acts)
		return;
	struct act *act = act_of(ledger, amounts.v[DIM_CPU_MS]);
	if (!act || strncmp(act->task, id, strlen(act->task)) != 0)
		broken(ledger, "usage %s is of no report of that task", id);
	else if (act->billed)
		broken(ledger, "usage %s is billed twice", id);
	else if (amounts.v[DIM_ROWS] != act->usage.rows ||
	         amounts.v[DIM_BYTES_WRITTEN] != act->usage.bytes_written ||
	         amounts.v[DIM_BYTES_READ] != act->usage.bytes_read)
		broken(ledger, "usage %s is not what was reported", id);
	if (act)
		act->billed = true;
}

static void see_written(struct ledger *ledger, const struct act *act)
{
	struct table_rows *at = ledger->tables, *end = at + ledger->table_count;
	while (at < end && strcmp(at->uid, act->uid) != 0)
		at++;
	if (at == end) {
		cr_assert_lt(ledger->table_count, DATASETS_MAX);
		ledger->table_count++;
		*at = (struct table_rows){.tenant = act->tenant, .uid = act->uid};
	}
	at->rows = (act->replace ? 0 : at->rows) + act->usage.rows;
}

static void see_outcome(struct ledger *ledger, const struct value *record)
{
	const char *id = value_get_str(record, "id"), *state = value_get_str(record, "state");
	if (++entry_of(ledger, id)->outcomes > 1)
		broken(ledger, "task %s has two outcomes", id);
	if (strcmp(state, "succeeded") != 0 || !ledger->stage->acts)
		return;
	int64_t cpu_ms = value_get_int(value_get(record, "usage"), "cpuMs", 0);
	struct act *act = act_of(ledger, cpu_ms);
	if (!act || strcmp(act->task, id) != 0 || act->outcome != OUTCOME_SUCCEEDED)
		broken(ledger, "task %s succeeded and no attempt of it did", id);
	else if (act->published)
		broken(ledger, "a report of task %s succeeded twice", id);
	else if (!act->billed && !task_info[act->type].platform)
		broken(ledger, "task %s succeeded and is not billed", id);
	else if (act->writes)
		see_written(ledger, act);
	if (act)
		act->published = true;
}

/* --- a checkpoint's, which has what came of the records before it --- */

static void see_task(struct ledger *ledger, const struct value *record)
{
	const char *state = value_get_str(value_get(record, "was"), "state");
	struct entry *entry = entry_of(ledger, value_get_str(record, "id"));
	if (++entry->accepted > 1)
		broken(ledger, "task %s is there twice", entry->id);
	entry->outcomes += task_state_final((enum task_state)task_state_by_name(state));
	entry->succeeded = strcmp(state, "succeeded") == 0;
	const struct value *outputs = value_get(value_get(record, "was"), "outputs");
	entry->rows = value_get_int(value_at(outputs, 0), "rows", -1);
}

/* One of its acts whose report may be the one that was taken: a late one may say the same. */
static bool may_be_of(const struct act *act, const struct entry *entry)
{
	return act->ended && act->outcome == OUTCOME_SUCCEEDED &&
	       strcmp(act->task, entry->id) == 0 &&
	       (!act->writes || act->usage.rows == entry->rows);
}

static void see_ended(struct ledger *ledger, const char *id)
{
	const struct entry *entry = entry_of(ledger, id);
	struct act *act = ledger->stage->acts;
	if (!entry->succeeded || !act)
		return;
	while (act && !may_be_of(act, entry))
		act = act->next;
	if (!act) {
		broken(ledger, "task %s succeeded and no attempt of it did", id);
		return;
	}
	act->billed = act->published = true;
	if (act->writes)
		see_written(ledger, act);
}

static void see_all_ended(struct ledger *ledger, const struct value *ids)
{
	for (size_t i = 0; i < value_len(ids); i++)
		see_ended(ledger, value_as_str(value_at(ids, i)));
}

static void see_tally(struct ledger *ledger, const struct value *record)
{
	struct amounts amounts;
	if (strcmp(value_get_str(record, "window"), "total") != 0)
		return;
	amounts_read(value_get(record, "amounts"), &amounts);
	amounts_add(&bill_of(ledger, value_get_str(record, "tenant"))->sum, &amounts);
}

static void see(void *context, const struct value *record)
{
	struct ledger *ledger = context;
	switch (record_type(record)) {
	case RECORD_ACCEPTED:
		if (++entry_of(ledger, value_get_str(record, "id"))->accepted > 1)
			broken(ledger, "task %s was accepted twice", value_get_str(record, "id"));
		break;
	case RECORD_USAGE:
		see_usage(ledger, record);
		break;
	case RECORD_OUTCOME:
		see_outcome(ledger, record);
		break;
	case RECORD_TASK:
		see_task(ledger, record);
		break;
	case RECORD_ENDED:
		see_all_ended(ledger, value_get(record, "ids"));
		break;
	case RECORD_TALLY:
		see_tally(ledger, record);
		break;
	default:
		break;
	}
	shard_record(ledger->fresh, record);
}

static void begin_reading(struct ledger *ledger)
{
	memset(ledger->entries, 0, LEDGER_TASKS_MAX * sizeof *ledger->entries);
	memset(ledger->tables, 0, sizeof ledger->tables);
	memset(ledger->bills, 0, sizeof ledger->bills);
	ledger->entry_count = ledger->table_count = ledger->bill_count = 0;
	ledger->broken = NULL;
	shard_clear(ledger->fresh);
	for (struct act *act = ledger->stage->acts; act; act = act->next)
		act->billed = act->published = false;
}

/* A journal that only reads: it leads an epoch that is nobody's, and is given nothing to write.
 * Again when a checkpoint took the place of what it was reading. */
static void read_journal(struct ledger *ledger)
{
	struct plane *plane = ledger->stage->plane;
	struct journal *journal = NULL;
	struct err err = {0};
	const struct journal_conf conf = {
		.store = plane->store,
		.clock = ledger->stage->clock,
		.state_key = keyring_state_key(plane->keyring),
		.leader_key = ledger->stage->plane->part->leader_key,
		.prefix = ledger->stage->plane->part->journal_prefix,
		.checkpoint_prefix = ledger->stage->plane->part->checkpoint_prefix,
		.ops = {.record = see, .context = ledger},
	};
	if (!ledger->fresh)
		cr_assert_eq(shard_new(ledger->stage->clock, &ledger->fresh, &err), 0);
	cr_assert_eq(journal_new(&conf, &journal, &err), 0, "%s", err.text);
	int rc = E_CONFLICT;
	while (rc == E_CONFLICT) {
		begin_reading(ledger);
		rc = journal_lead(journal, INT64_MAX, &err);
	}
	journal_free(journal);
	cr_assert_eq(rc, 0, "the journal cannot be read: %s", err.text);
	shard_ready(ledger->fresh);
}

/* --- compared with the leader's memory --- */

static const char *text_of(struct arena *arena, const struct value *value)
{
	struct buf out;
	buf_init(&out, 4 * MIB);
	json_print(value, &out);
	const char *text = arena_strndup(arena, (const char *)out.data, out.len);
	buf_release(&out);
	return text;
}

/* What is the leader's own view, and not in the journal. */
static struct value *durable_part(struct arena *arena, const struct value *task)
{
	static const char *const passing[] = {"version", "startedAt", "progress", "reason",
	                                      "worker"};
	struct value *map = value_copy(arena, task);
	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		value_remove(map, passing[i]);
	/* That it runs: only the platform's own tasks may still do so at the end. */
	if (!value_get(task, "endedAt")) {
		value_remove(map, "state");
		value_remove(map, "attempt");
		value_remove(map, "transitions");
	}
	return map;
}

static void compare_tasks(struct ledger *ledger, const char *tenant)
{
	struct shard *shards[] = {ledger->stage->plane->part->shard, ledger->fresh};
	struct value *lists[2] = {NULL, NULL};
	struct err err = {0};
	bool more = false;
	for (int i = 0; i < 2; i++)
		cr_assert_eq(shard_list(shards[i], ledger->arena, tenant,
		                        &(struct task_filter){ .domain = NULL }, 1000, &lists[i],
		                        &more, &err),
		             0, "%s", err.text);
	if (value_len(lists[0]) != value_len(lists[1])) {
		broken(ledger, "replayed, %s has %zu tasks and not %zu", tenant,
		       value_len(lists[1]), value_len(lists[0]));
		return;
	}
	for (size_t i = 0; i < value_len(lists[0]); i++) {
		struct value *live = durable_part(ledger->arena, value_at(lists[0], i));
		struct value *fresh = durable_part(ledger->arena, value_at(lists[1], i));
		if (!value_equal(live, fresh))
			broken(ledger, "replayed, a task is %s and not %s",
			       text_of(ledger->arena, fresh), text_of(ledger->arena, live));
	}
}

static void compare_rest(struct ledger *ledger, const char *tenant)
{
	struct shard *live = ledger->stage->plane->part->shard;
	struct arena *arena = ledger->arena;
	struct value *usage = shard_usage(live, arena, tenant), *events[2] = {NULL, NULL};
	struct value *replayed = shard_usage(ledger->fresh, arena, tenant);
	const struct audit_query query = {.tenant = tenant, .limit = 1000};
	struct err err = {0};
	struct amounts total;
	bool more = false;
	if (!value_equal(usage, replayed))
		broken(ledger, "replayed, the usage is %s and not %s", text_of(arena, replayed),
		       text_of(arena, usage));
	cr_assert_eq(shard_audit(live, arena, &query, &events[0], &more, &err), 0);
	cr_assert_eq(shard_audit(ledger->fresh, arena, &query, &events[1], &more, &err), 0);
	if (!value_equal(events[0], events[1]))
		broken(ledger, "replayed, the audit events of %s are others", tenant);
	amounts_read(value_get(usage, "total"), &total);
	struct amounts sum = bill_of(ledger, tenant)->sum;
	if (memcmp(&total, &sum, sizeof sum) != 0)
		broken(ledger, "the bill of %s is %s, its usage records say %s", tenant,
		       text_of(arena, value_get(usage, "total")),
		       text_of(arena, amounts_value(arena, &sum)));
	if (value_len(value_get(usage, "reserved")) != 0)
		broken(ledger, "nothing runs, and reserved is %s",
		       text_of(arena, value_get(usage, "reserved")));
}

/* --- compared with the catalog --- */

struct head {
	struct ledger *ledger;
	const char *uid;
	int64_t rows;
};

static void compare_dataset(struct ledger *ledger, const struct company *company,
                            const struct value *manifest)
{
	struct plane *plane = ledger->stage->plane;
	const struct value *meta = value_get(manifest, "metadata");
	const char *name = value_get_str(meta, "name"), *uid = value_get_str(meta, "uid");
	int64_t rows = 0;
	for (size_t i = 0; i < ledger->table_count; i++)
		if (strcmp(ledger->tables[i].uid, uid) == 0)
			rows = ledger->tables[i].rows;
	struct answer answer = plane_call(
		plane, company->key, "GET",
		arena_printf(ledger->arena, "/v1/tenants/%s/domains/%s/datasets/%s/snapshots",
	                     company->tenant, company->domain, name),
		NULL);
	int64_t current = value_get_int(value_at(value_get(answer.body, "items"), 0), "rows", 0);
	if (answer.status != 200)
		broken(ledger, "the snapshots of %s cannot be read: %s", name, answer.text);
	else if (current != rows)
		broken(ledger,
		       "dataset %s of %s has %" PRId64 " rows, succeeded tasks wrote %" PRId64,
		       name, company->tenant, current, rows);
}

static void compare_datasets(struct ledger *ledger, const struct company *company)
{
	struct plane *plane = ledger->stage->plane;
	struct answer answer =
		plane_call(plane, company->key, "GET",
	                   arena_printf(ledger->arena, "/v1/tenants/%s/domains/%s/datasets",
	                                company->tenant, company->domain),
	                   NULL);
	const struct value *items = value_get(answer.body, "items");
	if (answer.status != 200)
		broken(ledger, "the datasets of %s cannot be listed: %s", company->tenant,
		       answer.text);
	for (size_t i = 0; i < value_len(items); i++)
		compare_dataset(ledger, company, value_at(items, i));
}

static void check_promises(struct ledger *ledger, const struct promised *promised, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct entry *entry = entry_of(ledger, promised[i].id);
		if (entry->accepted != 1 || entry->outcomes != 1)
			broken(ledger,
			       "task %s was acknowledged; the journal has it accepted %d times "
			       "with %d "
			       "outcomes",
			       promised[i].id, entry->accepted, entry->outcomes);
	}
}

/* --- compared at rest --- */

static int pass_by(void *context, const struct store_item *item, struct err *err)
{
	(void)context;
	(void)item;
	(void)err;
	return 0;
}

static int64_t revision_of(struct ledger *ledger)
{
	struct plane *plane = ledger->stage->plane;
	struct err err = {0};
	int64_t revision = 0;
	cr_assert_eq(store_list(plane->store, plane->part->leader_key, pass_by, NULL, &revision,
	                        &err),
	             0, "%s", err.text);
	return revision;
}

static void read_all(struct ledger *ledger, const struct promised *promised, size_t count,
                     const struct company *companies)
{
	read_journal(ledger);
	check_promises(ledger, promised, count);
	for (; companies->tenant; companies++) {
		compare_tasks(ledger, companies->tenant);
		compare_rest(ledger, companies->tenant);
		if (ledger->stage->acts)
			compare_datasets(ledger, companies);
	}
}

/* The journal is read at one moment and the leader asked at another: a worker's last report or a
 * task of the platform itself may come between. So what differs counts when the store was the same
 * from one whole reading to the next. */
static void read_at_rest(struct ledger *ledger, const struct promised *promised, size_t count,
                         const struct company *companies)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	int64_t before = -1, now = revision_of(ledger);
	read_all(ledger, promised, count, companies);
	for (int i = 0; i < READINGS_MAX && ledger->broken && before != now; i++) {
		before = now;
		nanosleep(&pause, NULL);
		stage_rest();
		read_all(ledger, promised, count, companies);
		now = revision_of(ledger);
	}
}

const char *ledger_check(struct stage *stage, struct arena *arena, const struct promised *promised,
                         size_t count, const struct company *companies)
{
	struct ledger ledger = {
		.stage = stage,
		.arena = arena,
		.entries = calloc(LEDGER_TASKS_MAX, sizeof *ledger.entries),
	};
	cr_assert_not_null(ledger.entries);
	stage->store_calls = store_mem_calls(stage->plane->store);
	store_mem_fail(stage->plane->store, 0, 0);
	read_at_rest(&ledger, promised, count, companies);
	if (stage->fault[0])
		broken(&ledger, "%s", stage->fault);
	shard_free(ledger.fresh);
	free(ledger.entries);
	return ledger.broken;
}
