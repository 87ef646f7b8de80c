/* run.c - RUN: the five steps of an attempt.
 * Invariants: what was not in the grant is not touched; a step that fails ends the attempt and the
 * rest is not run; keys are wiped and descriptors closed on every way out. Objects of an attempt
 * that ends between seal and report are orphans under its own token's path. */
#include "common/defs.h"
#include "worker/run_impl.h"
#include "worker/channel.h"
#include "common/log.h"
#include "common/pack.h"
#include "worker/online.h"
#include "worker/recent.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void note_tables(const struct runner *runner, const struct grant *grant,
                        const struct grant_table *tables, size_t count)
{
	char name[RECENT_NAME_LEN + 1];
	for (size_t i = 0; i < count; i++) {
		if (tables[i].tenant)        /* others' names are not this tenant's to place by */
			continue;
		snprintf(name, sizeof name, "%s/%s/%s", grant->tenant, tables[i].domain,
		         tables[i].name);
		recent_add(runner->recent, name);
	}
}

static void note_datasets(const struct runner *runner, const struct grant *grant)
{
	if (!runner->recent)
		return;
	note_tables(runner, grant, grant->inputs, grant->input_count);
	note_tables(runner, grant, grant->outputs, grant->output_count);
}

static int run_verify(struct run *run, struct err *err)
{
	TRY(grant_open(&run->runner->opener, clock_unix_ms(run->runner->clock), run->arena,
	               run->bytes, run->len, &run->grant, err));
	if (run->grant->token.epoch <= atomic_load(&run->runner->era))
		return err_set(err, E_DENIED, "the grant is of before the control plane was "
		               "restored from a backup");
	attempt_progress(run->attempt, "starting", 0, 0, -1);
	note_datasets(run->runner, run->grant);
	return 0;
}

int run_open_nothing(struct run *run, struct err *err)
{
	(void)run;
	(void)err;
	return 0;
}

static int run_open(struct run *run, struct err *err)
{
	const struct grant *grant = run->grant;
	run->job = value_map(run->arena);
	value_set_str(run->job, "type", task_info[grant->type].name);
	value_set_int(run->job, "threads", grant->limits.threads);
	value_set_int(run->job, "memory", (int64_t)grant->limits.memory_bytes);
	value_set_str(run->job, "domain", grant->domain);
	value_set(run->job, "work", value_copy(run->arena, grant->work));
	if (grant->type != TASK_REKEY)       /* which looks at the objects of its tables itself */
		TRY(run_add_tables(run, err));
	TRY(task_side(grant->type)->open(run, err));
	return value_check(run->job, err);
}

static int take_rows(void *context, const struct value *rows, struct err *err)
{
	struct run *run = context;
	return task_side(run->grant->type)->rows(run, rows, err);
}

static int run_run(struct run *run, struct err *err)
{
	struct pool_job job = {.message = run->job,
	                       .fds = run->fds,
	                       .fd_count = run->fd_count,
	                       .rows = task_side(run->grant->type)->rows ? take_rows : NULL,
	                       .context = run,
	                       .limits = &run->grant->limits};
	struct outlet *outlets[] = {&run->data, &run->rejects};
	for (size_t i = 0; i < ARRAY_LEN(outlets); i++)
		if (outlets[i]->read_fd >= 0)
			job.drains[job.drain_count++] =
				(struct pool_drain){.fd = outlets[i]->read_fd,
			                            .sink = outlet_sink,
			                            .context = outlets[i]};
	struct value *result = NULL;
	run->fd_count = 0; /* the pool's from here */
	TRY(pool_run(run->runner->pool, &job, run->attempt, run->arena, &result, &run->usage, err));
	run->result = result;
	return 0;
}

static int run_seal(struct run *run, struct err *err)
{
	const struct task_side *side = task_side(run->grant->type);
	attempt_progress(run->attempt, "sealing", 0, run->data.sealed_bytes, -1);
	return side->seal ? side->seal(run, err) : 0;
}

/* Too late is as good as never: control has given the task to somebody else by then. */
static int run_report(struct run *run, struct err *err)
{
	return attempt_goes_on(run->attempt, err);
}

struct run_step {
	const char *name;
	int (*step)(struct run *run, struct err *err);
};

static const struct run_step steps[] = {
	{"verify", run_verify}, /* the grant: signature, worker, expiry, every field */
	{"open", run_open},     /* keys, inputs, the source; the executor's job */
	{"run", run_run},       /* an executor does it; its output is sealed as it comes */
	{"seal", run_seal},     /* outputs become durable */
	{"report", run_report}, /* what happened, for SETTLE */
};

/* Task and token out of a grant that was refused, so that its refusal can be reported. */
static int read_refused(struct run *run, struct report *report, struct err *err)
{
	struct value *outer, *body;
	struct err why = {0};
	size_t len = 0;
	if (pack_read(run->arena, run->bytes, run->len, &outer, &why) < 0)
		return err->code;
	const void *inner = value_get_bin(outer, "body", &len);
	if (!inner || pack_read(run->arena, inner, len, &body, &why) < 0)
		return err->code;
	const struct value *token = value_get(body, "token");
	report->task = value_get_str(body, "task");
	report->token.epoch = value_get_int(token, "epoch", 0);
	report->token.counter = value_get_int(token, "counter", 0);
	return report->task && report->token.epoch > 0 ? 0 : err->code;
}

static int64_t thread_cpu_ms(void)
{
	struct rusage used;
	if (getrusage(RUSAGE_THREAD, &used) != 0)
		return 0;
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
	       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

static void fill_report(struct run *run, int rc, const struct err *why, struct report *report)
{
	report->outcome = rc >= 0             ? OUTCOME_SUCCEEDED
	                  : rc == E_CANCELLED ? OUTCOME_CANCELLED
	                                      : OUTCOME_FAILED;
	report->code = rc >= 0 ? 0 : rc;
	const char *text = rc < 0 ? arena_strdup(run->arena, why->text) : NULL;
	report->text = rc < 0 ? text ? text : err_title(rc) : NULL;
	report->usage = run->usage;
	report->result = rc >= 0 ? run->told : NULL;
	if (rc >= 0 && run->produced) {
		report->outputs = &run->output;
		report->output_count = 1;
	}
}

static void run_release(struct run *run)
{
	channel_wipe(run->job);
	for (size_t i = 0; i < run->fd_count; i++)
		close(run->fds[i]);
	outlet_release(&run->data);
	outlet_release(&run->rejects);
	online_batch_free(run->batch);
	online_view_free(run->view);
	if (run->grant)
		grant_wipe(run->grant);
}

/* What is said of a task's SQL quotes it: that is for its owner alone. What its cage stopped is the
 * operator's to know. */
static bool quotes_sql(const struct run_step *step, int code, const struct err *err)
{
	return code == E_INVALID || (code == E_DENIED && step->step == run_run &&
	                             strncmp(err->text, "cage: ", 6) != 0);
}

static int run_steps(struct run *run, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int rc = steps[i].step(run, err);
		if (rc >= 0)
			continue;
		struct log_context context = {.tenant = run->grant ? run->grant->tenant : NULL,
		                              .task = run->grant ? run->grant->task : NULL};
		log_warn(&context, "attempt_ended", "step=%s code=%s reason=\"%s\"", steps[i].name,
		         err_name(rc), quotes_sql(&steps[i], rc, err) ? "told to its owner"
		                                                      : err->text);
		return rc;
	}
	return 0;
}

int run_grant(struct runner *runner, struct attempt *attempt, struct arena *arena,
              const uint8_t *grant, size_t len, struct report *ret_report, struct err *err)
{
	struct run *run = arena_alloc(arena, sizeof *run);
	if (!run)
		return err_set(err, E_NOMEM, "no memory for an attempt");
	int64_t cpu_ms = thread_cpu_ms(), started_ms = clock_mono_ms(runner->clock);
	*run = (struct run){
		.runner = runner, .attempt = attempt, .arena = arena, .bytes = grant, .len = len};
	outlet_init(&run->data);
	outlet_init(&run->rejects);
	struct err why = {0};
	int rc = run_steps(run, &why);
	struct report report = {0};
	run->usage.cpu_ms += thread_cpu_ms() - cpu_ms;
	run->usage.wall_ms = clock_mono_ms(runner->clock) - started_ms;
	fill_report(run, rc, &why, &report);
	int told = 0;
	if (run->grant) {
		report.task = run->grant->task;
		report.token = run->grant->token;
	} else {
		if (err)
			*err = why;
		told = read_refused(run, &report, &why);
	}
	run_release(run);
	if (told >= 0)
		*ret_report = report;
	return told;
}
