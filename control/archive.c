/* archive.c - see archive.h. */
#include "common/defs.h"
#include "control/archive.h"

#include "common/log.h"
#include "control/auditstore.h"
#include "control/auditlog.h"
#include "control/dispatch.h"
#include "control/record.h"
#include "control/rekey.h"
#include "control/sweep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	FILES_BEFORE_JOIN = 256, LOOK_MS = 1000, AGAIN_MS = 250, ARENA_MAX = 256 * 1024 * 1024
};
#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

struct archive {
	struct part *part;
	struct archive_conf conf;
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;       /* guards all below */
	pthread_cond_t moved;
	bool ending;
};

/* --- rows --- */

static int add_task(struct shard *shard, struct arena *arena, const struct work *work,
                    const char *id, struct value *rows, struct err *err)
{
	const struct value *task = shard_task(shard, arena, work->tenant, NULL, id);
	if (!value_get(task, "endedAt"))
		return err_set(err, E_CONFLICT, "the task %s has not ended any more; it is "
		               "archived later", id);
	enum task_type type = task_by_name(value_get_str(task, "type"));
	if (type != TASK_NONE && task_info[type].platform)
		return 0;                    /* it leaves without a trace */
	return home_row(arena, home_columns, task, rows, err);
}

int archive_rows(struct control *control, struct arena *arena, const struct work *work,
                 const char **ret_rows, struct err *err)
{
	struct shard *shard = part_of(control, work->tenant)->shard;
	const char *at = value_get_str(work->spec, "tasks");
	struct value *rows = value_list(arena);
	char id[ID_LEN + 1];
	for (; at && strlen(at) >= ID_LEN; at += ID_LEN + (at[ID_LEN] == ' ')) {
		memcpy(id, at, ID_LEN);
		id[ID_LEN] = 0;
		TRY(add_task(shard, arena, work, id, rows, err));
	}
	return home_rows_print(arena, rows, ret_rows, err);
}

bool archive_joins(const struct snapshot *history)
{
	return history && history->file_count >= FILES_BEFORE_JOIN;
}

/* --- submitting --- */

static int commit(struct part *part, struct arena *arena, const struct platform_task *made,
                  struct err *err)
{
	AUTO(change) *change = NULL;
	TRY(change_new(&change, err));
	TRY(home_make(part->control, arena, made->tenant, change, err));
	TRY(shard_submit_platform(part->shard, made, change, err));
	int rc = journal_commit(part->journal, change, err);
	if (rc < 0)
		shard_withdraw(part->shard, made->id);
	return rc;
}

int archive_submit(struct part *part, const struct platform_task *made, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(16 * MIB, &arena, err));
	TRY(commit(part, arena, made, err));
	if (part->dispatch)
		dispatch_wake(part->dispatch);
	return 0;
}

static int submit_archive(struct part *part, struct arena *arena, const struct leaving *leaving,
                          struct err *err)
{
	char id[ID_LEN + 1];
	uint8_t random[10];
	int64_t now_ms = clock_unix_ms(part->control->clock);
	struct value *spec = value_map(arena);
	value_set_str(spec, "tasks", leaving->ids);
	TRY(value_check(spec, err));
	random_bytes(random, sizeof random);
	id_make(now_ms, random, id);
	const struct platform_task made = { id, leaving->tenant, TASK_ARCHIVE, spec, now_ms };
	TRY(archive_submit(part, &made, err));
	log_debug(&(struct log_context){ .tenant = leaving->tenant, .task = id },
	          "archive_submitted", "tasks=%zu", leaving->count);
	return 0;
}

/* The tenant was deleted. */
static int let_go(struct part *part, const char *tenant, struct err *err)
{
	AUTO(change) *change = NULL;
	char key[STORE_KEY_MAX];
	TRY(change_new(&change, err));
	struct value *record = record_new(change_arena(change), RECORD_GONE,
	                                  clock_unix_ms(part->control->clock));
	value_set_str(record, "tenant", tenant);
	TRY(value_check(record, err));
	TRY(change_expect(change, catalog_key(key, KIND_TENANT, NULL, NULL, tenant), 0, err));
	TRY(change_record(change, record, err));
	return journal_commit(part->journal, change, err);
}

int archive_look(struct part *part, const struct leave_rules *rules, size_t *ret_submitted,
                 struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct leaving leaving[LEAVING_MAX];
	size_t count = 0, submitted = 0;
	TRY(part_needs_lead(part, err));
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(shard_leaving(part->shard, rules, clock_unix_ms(part->control->clock), arena, leaving,
	                  &count, err));
	for (size_t i = 0; i < count; i++) {
		int rc = submit_archive(part, arena, &leaving[i], err);
		submitted += rc == 0;
		if (rc == E_NOT_FOUND)
			rc = let_go(part, leaving[i].tenant, err);
		/* Somebody was faster; the others' go on. */
		if (rc < 0 && rc != E_CONFLICT && rc != E_PRECONDITION)
			return rc;
	}
	*ret_submitted = submitted;
	return 0;
}

/* --- the thread --- */

/* True: there is more to do soon. */
static bool look(struct archive *archive, int64_t from_ms, int64_t to_ms)
{
	struct err err = { 0 };
	size_t submitted = 0;
	int rc = archive_look(archive->part, &archive->conf.rules, &submitted, &err);
	if (rc == 0 && archive->conf.sweep_every_ms > 0)
		rc = sweep_look(archive->part, archive->conf.sweep_every_ms, from_ms, to_ms, &err);
	if (rc == 0)
		rc = rekey_look(archive->part, &err);
	size_t stored = 0;
	if (rc == 0)
		rc = auditstore_look(archive->part, &archive->conf.audit, &stored, &err);
	submitted += stored;
	if (rc < 0 && rc != E_NOT_LEADER)
		log_warn(NULL, "archive_not_submitted", "code=%s reason=\"%s\"", err_name(rc),
		         err.text);
	int signed_rc = auditlog_look(archive->part, &err);
	if (signed_rc < 0 && signed_rc != E_NOT_LEADER)
		log_warn(NULL, "audit_log_not_signed", "code=%s reason=\"%s\"",
		         err_name(signed_rc), err.text);
	return rc == 0 && submitted > 0;
}

static void *run(void *context)
{
	struct archive *archive = context;
	struct clock *clock = archive->part->control->clock;
	int64_t from_ms = clock_unix_ms(clock);
	pthread_mutex_lock(&archive->mutex);
	for (int64_t wait_ms = archive->conf.look_ms; !archive->ending;) {
		if (clock_wait(clock, &archive->moved, &archive->mutex,
		               clock_mono_ms(clock) + wait_ms))
			continue;            /* ended, or for nothing */
		int64_t to_ms = clock_unix_ms(clock);
		pthread_mutex_unlock(&archive->mutex);
		bool soon = part_leads(archive->part) && look(archive, from_ms, to_ms);
		pthread_mutex_lock(&archive->mutex);
		wait_ms = soon && AGAIN_MS < archive->conf.look_ms ? AGAIN_MS :
			archive->conf.look_ms;
		from_ms = to_ms;
	}
	pthread_mutex_unlock(&archive->mutex);
	return NULL;
}

static bool is_said(const struct leave_rules *rules)
{
	return rules->enough || rules->young_ms || rules->old_ms || rules->dead_ms;
}

static int check_rules(const struct leave_rules *rules, struct err *err)
{
	if (!is_said(rules))
		return 0;
	if (rules->enough < 1 || rules->enough > ARCHIVE_ROWS_MAX)
		return err_set(err, E_INVALID, "--history-batch is from 1 to %d, the rows of one "
		               "archive task", ARCHIVE_ROWS_MAX);
	if (rules->young_ms < 0 || rules->dead_ms < 0)
		return err_set(err, E_INVALID, "--history-after-s and --history-dead-after-s may "
		               "not be negative");
	if (rules->old_ms < rules->young_ms)
		return err_set(err, E_INVALID, "--history-within-s is %" PRId64 ", less than "
		               "--history-after-s, %" PRId64 "; raise the former",
		               rules->old_ms / 1000, rules->young_ms / 1000);
	return 0;
}

static struct archive_conf with_defaults(const struct archive_conf *given)
{
	struct archive_conf conf = *given;
	if (!is_said(&conf.rules))
		conf.rules = (struct leave_rules){ 1000, MINUTE_MS, HOUR_MS, 7 * DAY_MS };
	if (!conf.audit.enough)
		conf.audit = (struct store_rules){ 1000, 5 * MINUTE_MS };
	if (!conf.look_ms)
		conf.look_ms = LOOK_MS;
	if (!conf.sweep_every_ms)
		conf.sweep_every_ms = DAY_MS;
	return conf;
}

int64_t archive_young_ms(const struct part *part)
{
	return part->archive ? part->archive->conf.rules.young_ms : MINUTE_MS;
}

int archive_new(struct part *part, const struct archive_conf *conf, struct archive **ret_archive,
                struct err *err)
{
	TRY(check_rules(&conf->rules, err));
	AUTO(archive) *archive = calloc(1, sizeof *archive);
	if (!archive)
		return err_set(err, E_NOMEM, "no memory for the archive");
	archive->part = part;
	archive->conf = with_defaults(conf);
	pthread_mutex_init(&archive->mutex, NULL);
	clock_cond_init(&archive->moved);
	int code = pthread_create(&archive->thread, NULL, run, archive);
	if (code)
		return err_errno(err, code, "cannot start the archive's thread");
	archive->started = true;
	*ret_archive = MOVE(archive);
	return 0;
}

void archive_free(struct archive *archive)
{
	if (!archive)
		return;
	pthread_mutex_lock(&archive->mutex);
	archive->ending = true;
	pthread_cond_broadcast(&archive->moved);
	pthread_mutex_unlock(&archive->mutex);
	if (archive->started)
		pthread_join(archive->thread, NULL);
	pthread_cond_destroy(&archive->moved);
	pthread_mutex_destroy(&archive->mutex);
	free(archive);
}
