/* agent.c - invariants, under the mutex: queued + running jobs <= slots; a job is in the list
 * from the grant's arrival until its outcome is acknowledged (or there is nothing to report). A
 * line is the polling of one shard's leader: in_flight polls <= POLLERS, and owed counts the polls
 * that have to tell what happened. Every shard is offered all that is free; what was given away
 * meanwhile is not taken, so that its shard gives it to another. */
#include "common/defs.h"
#include "worker/agent.h"

#include "common/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	POLLERS = 2, ANSWER_MARGIN_MS = 5000, PROGRESS_MS = 1000, RETRY_MIN_MS = 50,
	RETRY_MAX_MS = 2000, CANCEL_GRACE_MS = 5000, STOP_STEP_MS = 50,
	DRAIN_TOLD_MS = 300, SEEN_MAX = 1024,
	TASK_ROOM = 65
};
#define JOB_ARENA_MAX (256 * MIB)
#define POLL_ARENA_MAX (64 * MIB)

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

struct job {
	struct job *next;
	int shard;                       /* whose leader gave it */
	enum job_state state;
	struct token token;
	char task[TASK_ROOM];
	uint64_t memory_bytes;
	int64_t cpu_millis;
	bool back;                       /* it is ended to be handed back */
	struct attempt attempt;
	int64_t told_rows, told_bytes;   /* progress the last poll carried */
	struct arena *arena;             /* the run's, and its report's */
	struct report report;
	struct buf grant;
};

/* The polls of one shard's leader. Its agent's mutex guards it. */
struct line {
	struct agent *agent;
	int shard;
	int owed;                        /* polls to be sent at once: something happened */
	bool connected;
	bool drain_sent;                 /* a poll that says draining is on its way */
	int in_flight;
	int failures;                    /* polls in a row that no leader answered */
	int told_code;                   /* of the last failure that was logged */
	int64_t retry_at_ms, told_at_ms;
	size_t done_max;                 /* reports in one poll; fewer when they grow too large */
	int64_t meter_acked;             /* the number of reads that this shard's leader has */
	pthread_t threads[POLLERS];
	int thread_count;                /* that were started */
};

struct agent {
	struct agent_conf conf;
	pthread_mutex_t mutex;           /* guards all below */
	pthread_cond_t work;             /* a job was queued */
	pthread_cond_t news;             /* something for the pollers, or for who drains */
	struct job *jobs;                /* in order of arrival */
	struct token seen[SEEN_MAX];     /* grants that came, as a ring: a repeat starts nothing */
	size_t seen_count;
	struct gone gone;
	bool draining, stopping, removed;
	int pollers;                     /* threads that poll */
	int64_t polls, tasks;
	struct line *lines[POLL_SHARDS_MAX];
	int line_count;                  /* 1 until an answer says that there are more */
	pthread_t slot_threads[AGENT_SLOTS_MAX];
	int slot_count;                  /* threads that were started */
};

/* ---- jobs ---- */

static void job_free(struct job *job)
{
	if (!job)
		return;
	buf_release(&job->grant);
	arena_free(job->arena);
	attempt_release(&job->attempt);
	free(job);
}

static int job_new(const struct poll_task *task, const struct grant_hint *hint,
                   struct job **ret_job, struct err *err)
{
	struct job *job = calloc(1, sizeof *job);
	if (!job)
		return err_set(err, E_NOMEM, "no memory for a task");
	attempt_init(&job->attempt);
	buf_init(&job->grant, GRANT_BYTES_MAX);
	job->token = hint->token;
	job->memory_bytes = hint->memory_bytes;
	job->cpu_millis = (int64_t)hint->threads * 1000;
	strncpy(job->task, hint->task, TASK_ROOM - 1);
	buf_put(&job->grant, task->grant, task->grant_len);
	int rc = buf_check(&job->grant, err);
	if (rc == 0)
		rc = arena_new(JOB_ARENA_MAX, &job->arena, err);
	if (rc < 0) {
		job_free(job);
		return rc;
	}
	*ret_job = job;
	return 0;
}

static bool same(struct token a, struct token b)
{
	return a.epoch == b.epoch && a.counter == b.counter;
}

static struct job **job_at(struct agent *agent, struct token token)
{
	struct job **at = &agent->jobs;
	while (*at && !same((*at)->token, token))
		at = &(*at)->next;
	return at;
}

static void job_remove(struct agent *agent, struct job *job)
{
	struct job **at = job_at(agent, job->token);
	*at = job->next;
	job_free(job);
	pthread_cond_broadcast(&agent->news);
}

static int count_jobs(const struct agent *agent, bool done)
{
	int count = 0;
	for (const struct job *job = agent->jobs; job; job = job->next)
		count += (job->state == JOB_DONE) == done;
	return count;
}

static bool was_seen(const struct agent *agent, struct token token)
{
	size_t count = agent->seen_count < SEEN_MAX ? agent->seen_count : SEEN_MAX;
	for (size_t i = 0; i < count; i++)
		if (same(agent->seen[i], token))
			return true;
	return false;
}

/* What is free, or runs, is another now: every leader hears of it. */
static void tell(struct agent *agent)
{
	for (int i = 0; i < agent->line_count; i++)
		if (agent->lines[i]->owed == 0)
			agent->lines[i]->owed = 1;
	pthread_cond_broadcast(&agent->news);
}

static void tell_others(struct line *line)
{
	int owed = line->owed;
	if (line->agent->line_count > 1)
		tell(line->agent);
	line->owed = owed;
}

/* ---- slots ---- */

static struct job *take_job(struct agent *agent)
{
	for (;;) {
		for (struct job *job = agent->jobs; job; job = job->next)
			if (job->state == JOB_QUEUED)
				return job;
		if (agent->stopping)
			return NULL;
		pthread_cond_wait(&agent->work, &agent->mutex);
	}
}

static void run_job(struct agent *agent, struct job *job)
{
	const struct log_context context = { .task = job->task };
	struct err err = { 0 };
	job->state = JOB_RUNNING;
	pthread_mutex_unlock(&agent->mutex);
	int rc = agent->conf.run(agent->conf.runner, &job->attempt, job->arena, job->grant.data,
	                         job->grant.len, &job->report, &err);
	if (rc < 0)
		log_error(&context, "task_not_reportable", "code=%s reason=\"%s\"", err_name(rc),
		          err.text);
	pthread_mutex_lock(&agent->mutex);
	agent->tasks++;
	tell(agent);
	job->report.handed_back = job->back && job->report.outcome == OUTCOME_CANCELLED;
	if (rc < 0)
		job_remove(agent, job);
	else
		job->state = JOB_DONE;
	pthread_cond_broadcast(&agent->news);
}

static void *slot_main(void *arg)
{
	struct agent *agent = arg;
	struct job *job;
	pthread_mutex_lock(&agent->mutex);
	while ((job = take_job(agent)))
		run_job(agent, job);
	pthread_mutex_unlock(&agent->mutex);
	return NULL;
}

/* ---- what a poll says; mutex held ---- */

static int fill_running(struct line *line, struct arena *arena, struct poll *poll,
                        struct err *err)
{
	struct agent *agent = line->agent;
	struct running *running = arena_alloc(arena, POLL_RUNNING_MAX * sizeof *running);
	if (!running)
		return err_set(err, E_NOMEM, "no memory for a poll");
	size_t count = 0;
	for (struct job *job = agent->jobs; job && count < POLL_RUNNING_MAX; job = job->next) {
		if (job->state == JOB_DONE || job->shard != line->shard)
			continue;
		struct running *one = &running[count++];
		pthread_mutex_lock(&job->attempt.mutex);
		*one = (struct running) { job->task, job->token, job->attempt.progress };
		if (one->progress.phase)
			one->progress.phase = arena_strdup(arena, one->progress.phase);
		pthread_mutex_unlock(&job->attempt.mutex);
		job->told_rows = one->progress.rows;
		job->told_bytes = one->progress.bytes;
	}
	poll->running = running;
	poll->running_count = count;
	return 0;
}

static int fill_done(struct line *line, struct arena *arena, struct poll *poll, struct err *err)
{
	struct agent *agent = line->agent;
	struct report *done = arena_alloc(arena, POLL_DONE_MAX * sizeof *done);
	if (!done)
		return err_set(err, E_NOMEM, "no memory for a poll");
	size_t count = 0;
	for (struct job *job = agent->jobs; job && count < line->done_max; job = job->next)
		if (job->state == JOB_DONE && job->shard == line->shard)
			done[count++] = job->report;
	poll->done = done;
	poll->done_count = count;
	return 0;
}

static uint64_t free_memory(const struct agent *agent)
{
	uint64_t left = agent->conf.memory_bytes;
	for (const struct job *job = agent->jobs; job; job = job->next)
		if (job->state != JOB_DONE)
			left -= job->memory_bytes < left ? job->memory_bytes : left;
	return left;
}

static int64_t free_cpu(const struct agent *agent)
{
	int64_t left = agent->conf.cpu_millis;
	for (const struct job *job = agent->jobs; job; job = job->next)
		if (job->state != JOB_DONE)
			left -= job->cpu_millis < left ? job->cpu_millis : left;
	return left;
}

static int free_slots(const struct agent *agent)
{
	int taken = count_jobs(agent, false);
	bool full = agent->draining || count_jobs(agent, true) >= POLL_DONE_MAX;
	return full || taken >= agent->conf.slots ? 0 : agent->conf.slots - taken;
}

/* All of them go to every shard's leader; a shard takes what is its tenants'. */
static int fill_reads(struct line *line, struct arena *arena, struct poll *poll, struct err *err)
{
	struct agent *agent = line->agent;
	if (!agent->conf.meter)
		return 0;
	TRY(meter_report(agent->conf.meter, clock_unix_ms(agent->conf.clock), arena,
	                 &poll->meter_seq, &poll->reads, &poll->reads_count, err));
	if (poll->meter_seq == line->meter_acked)
		poll->reads_count = 0;
	return 0;
}

static int make_poll(struct line *line, struct arena *arena, struct value **ret_body,
                     struct err *err)
{
	struct agent *agent = line->agent;
	struct poll poll = {
		.shard = line->shard, .slots = free_slots(agent), .slots_max = agent->conf.slots,
		.memory_bytes = free_memory(agent), .box_public = agent->conf.box_public,
		.serve_url = agent->conf.serve_url, .version = FREEHOLD_VERSION,
		.cage = agent->conf.cage, .draining = agent->draining, .protocol = POLL_PROTOCOL,
		.pool = agent->conf.pool, .labels = agent->conf.labels,
		.label_count = agent->conf.label_count,
		.memory_bytes_max = agent->conf.memory_bytes,
		.cpu_millis = free_cpu(agent), .cpu_millis_max = agent->conf.cpu_millis,
	};
	if (agent->conf.recent)
		TRY(recent_list(agent->conf.recent, arena, &poll.caches, &poll.cache_count, err));
	TRY(fill_running(line, arena, &poll, err));
	TRY(fill_done(line, arena, &poll, err));
	TRY(fill_reads(line, arena, &poll, err));
	TRY(gone_fill(&agent->gone, line->shard, arena, &poll, err));
	return poll_value(arena, &poll, ret_body, err);
}

/* ---- what an answer says; mutex held ---- */

/* Another shard's leader may have given something meanwhile. */
static int check_free(const struct agent *agent, const struct grant_hint *hint, struct err *err)
{
	int taken = count_jobs(agent, false);
	if (agent->stopping || agent->removed)       /* what ran has been cancelled already */
		return err_set(err, E_CANCELLED, "this worker ends");
	if (taken >= agent->conf.slots)
		return err_set(err, E_BUSY, "all %d slots are taken", agent->conf.slots);
	if (taken > 0 && hint->memory_bytes > free_memory(agent))
		return err_set(err, E_BUSY, "the task wants %" PRIu64 " bytes of memory, and "
		               "%" PRIu64 " are free", hint->memory_bytes, free_memory(agent));
	return 0;
}

static void take_task(struct line *line, struct arena *arena, const struct poll_task *task)
{
	struct agent *agent = line->agent;
	struct grant_hint hint;
	struct job *job = NULL;
	struct err err = { 0 };
	int rc = grant_peek(arena, task->grant, task->grant_len, &hint, &err);
	if (rc == 0 && was_seen(agent, hint.token))
		return;
	if (rc == 0)
		rc = check_free(agent, &hint, &err);
	if (rc == 0)
		rc = job_new(task, &hint, &job, &err);
	if (rc < 0) {    /* control sees that the next polls do not name it */
		log_warn(NULL, "grant_not_taken", "code=%s reason=\"%s\"", err_name(rc), err.text);
		line->owed = POLLERS;
		return;
	}
	job->shard = line->shard;
	tell_others(line);
	agent->seen[agent->seen_count++ % SEEN_MAX] = hint.token;
	struct job **end = &agent->jobs;
	while (*end)
		end = &(*end)->next;
	*end = job;
	pthread_cond_signal(&agent->work);
}

static void hand_back(struct job *job)
{
	if (!job || job->state == JOB_DONE)
		return;
	job->back = true;
	attempt_cancel(&job->attempt);
}

/* Eras only rise: what a control plane of before a restore still says is known for what it is. */
static bool is_past(_Atomic int64_t *at, int64_t era)
{
	int64_t known = at ? atomic_load(at) : era;
	while (era > known)
		if (atomic_compare_exchange_weak(at, &known, era))
			return false;
	return era < known;
}

static void apply_answer(struct line *line, struct arena *arena, const struct poll_answer *answer)
{
	struct agent *agent = line->agent;
	for (size_t i = 0; i < answer->ack_count; i++) {
		struct job *job = *job_at(agent, answer->acks[i]);
		if (job && job->state == JOB_DONE)
			job_remove(agent, job);
	}
	for (size_t i = 0; i < answer->cancel_count; i++) {
		struct job *job = *job_at(agent, answer->cancels[i]);
		if (!job || job->state == JOB_DONE)
			continue;
		job->back = false;
		attempt_cancel(&job->attempt);
	}
	for (size_t i = 0; i < answer->back_count; i++)
		hand_back(*job_at(agent, answer->backs[i]));
	for (size_t i = 0; i < answer->task_count; i++)
		take_task(line, arena, &answer->tasks[i]);
	line->done_max = POLL_DONE_MAX;
	gone_heard(&agent->gone, line->shard, answer);
}

/* ---- polling ---- */

static void poll_answered(struct line *line)
{
	if (!line->connected)
		log_info(NULL, "control_answers", "shard=%d failures=%d", line->shard,
		         line->failures);
	line->connected = true;
	line->failures = 0;
	line->retry_at_ms = 0;
}

/* A report that does not fit into a message alone cannot be told: its attempt failed. */
static void shrink(struct line *line)
{
	if (line->done_max > 1) {
		line->done_max /= 2;
		return;
	}
	for (struct job *job = line->agent->jobs; job; job = job->next) {
		if (job->state != JOB_DONE || job->shard != line->shard)
			continue;
		job->report.outcome = OUTCOME_FAILED;
		job->report.code = E_TOO_LARGE;
		job->report.text = "the list of files that the task wrote is over the size of a "
			"message; let it "
			"write fewer, larger files";
		job->report.outputs = NULL;
		job->report.output_count = 0;
		return;
	}
}

/* While nobody leads, replicas fail by turns in these ways: said once. */
static bool says_more(int code)
{
	return code != E_NOT_LEADER && code != E_UNAVAILABLE && code != E_TIMEOUT;
}

static void poll_failed(struct line *line, int rc, int replica, const struct err *err)
{
	struct agent *agent = line->agent;
	if (rc == E_TOO_LARGE)
		shrink(line);
	else
		peer_switch(agent->conf.peer, line->shard, replica);
	line->owed = 1;
	if (agent->stopping)
		return;
	bool first = line->connected || line->failures == 0;
	if (first || (says_more(rc) && rc != line->told_code)) {
		line->told_code = rc;
		log_warn(NULL, "poll_failed", "shard=%d replica=%d code=%s reason=\"%s\"",
		         line->shard, replica, err_name(rc), err->text);
	}
	line->connected = false;
	line->failures++;
	/* Every replica is tried before waiting; then ever longer. */
	int rounds = line->failures / peer_count(agent->conf.peer);
	int wait = rounds == 0 ? 0 : RETRY_MIN_MS << (rounds < 6 ? rounds - 1 : 5);
	line->retry_at_ms = clock_mono_ms(agent->conf.clock) +
		(wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
}

static int exchange(struct line *line, struct arena *arena, const struct value *body,
                    int *ret_replica, struct poll_answer *ret_answer, struct err *err)
{
	struct agent *agent = line->agent;
	const struct value *said;
	TRY(peer_ask(agent->conf.peer, line->shard, "poll", body,
	             POLL_HOLD_MS + ANSWER_MARGIN_MS, arena, &said, ret_replica, err));
	TRY(poll_answer_read(arena, said, ret_answer, err));
	/* Before anything else, and outside the mutex: reads must not outlive a revocation. */
	size_t drops = ret_answer->leader && agent->conf.drop ? ret_answer->drop_count : 0;
	for (size_t i = 0; i < drops; i++)
		agent->conf.drop(agent->conf.drop_context, ret_answer->drop[i]);
	if (ret_answer->leader && gone_take(&agent->gone, line->shard, ret_answer)) {
		pthread_mutex_lock(&agent->mutex);
		line->owed = 1;
		pthread_cond_broadcast(&agent->news);
		pthread_mutex_unlock(&agent->mutex);
	}
	return 0;
}

static void add_lines(struct agent *agent, int shards);

static void cancel_all(struct agent *agent)
{
	for (struct job *job = agent->jobs; job; job = job->next)
		if (job->state != JOB_DONE)
			attempt_cancel(&job->attempt);
}

/* Only control itself can have said so; nothing that this worker could do would be taken. The mutex
 * is held, but for the call. */
static void take_removal(struct agent *agent, const struct err *why)
{
	agent->removed = true;
	cancel_all(agent);
	pthread_cond_broadcast(&agent->news);
	if (!agent->conf.removed)
		return;
	pthread_mutex_unlock(&agent->mutex);
	agent->conf.removed(agent->conf.removed_context, why->text);
	pthread_mutex_lock(&agent->mutex);
}

/* What was read is told when every shard's leader has it. */
static void take_meter_ack(struct line *line, int64_t seq)
{
	struct agent *agent = line->agent;
	bool all = agent->conf.meter && seq != 0;
	if (seq > line->meter_acked)
		line->meter_acked = seq;
	for (int i = 0; i < agent->line_count; i++)
		all &= agent->lines[i]->meter_acked == seq;
	if (all)
		meter_ack(agent->conf.meter, seq);
}

static int take_answer(struct line *line, struct arena *arena, int replica,
                       const struct poll_answer *answer, struct err *err)
{
	if (is_past(line->agent->conf.era, answer->era) && answer->leader)
		return err_set(err, E_NOT_LEADER, "replica %d is of before a restore", replica);
	add_lines(line->agent, answer->shards);
	if (!answer->leader)
		return err_set(err, E_NOT_LEADER, "replica %d does not lead shard %d", replica,
		               line->shard);
	poll_answered(line);
	take_meter_ack(line, answer->meter_ack);
	apply_answer(line, arena, answer);
	return 0;
}

static void poll_once(struct line *line)
{
	AUTO(arena) *arena = NULL;
	struct agent *agent = line->agent;
	struct value *body;
	struct poll_answer answer;
	struct err err = { 0 };
	int replica = 0;
	if (line->owed > 0)
		line->owed--;
	line->told_at_ms = clock_mono_ms(agent->conf.clock);
	agent->polls++;
	int rc = arena_new(POLL_ARENA_MAX, &arena, &err);
	if (rc == 0)
		rc = make_poll(line, arena, &body, &err);
	if (rc == 0) {
		line->in_flight++;
		line->drain_sent = agent->draining;
		pthread_mutex_unlock(&agent->mutex);
		rc = exchange(line, arena, body, &replica, &answer, &err);
		pthread_mutex_lock(&agent->mutex);
		line->in_flight--;
		pthread_cond_broadcast(&agent->news);
	}
	if (rc == 0)
		rc = take_answer(line, arena, replica, &answer, &err);
	if (rc == E_UNAUTHENTICATED && peer_proves(agent->conf.peer))
		take_removal(agent, &err);
	else if (rc < 0)
		poll_failed(line, rc, replica, &err);
}

static bool progress_changed(struct line *line)
{
	bool changed = false;
	for (struct job *job = line->agent->jobs; job && !changed; job = job->next) {
		if (job->state != JOB_RUNNING || job->shard != line->shard)
			continue;
		pthread_mutex_lock(&job->attempt.mutex);
		changed = job->attempt.progress.rows != job->told_rows ||
			job->attempt.progress.bytes != job->told_bytes;
		pthread_mutex_unlock(&job->attempt.mutex);
	}
	return changed;
}

/* Whether to poll now; otherwise until when to wait for news. */
static bool poll_is_due(struct line *line, int64_t *ret_until_ms)
{
	struct agent *agent = line->agent;
	int64_t now = clock_mono_ms(agent->conf.clock);
	*ret_until_ms = now + POLL_HOLD_MS;
	if (line->retry_at_ms > now) {
		*ret_until_ms = line->retry_at_ms;
		return false;
	}
	if (line->in_flight == 0 || (line->owed > 0 && line->in_flight < POLLERS))
		return true;
	if (count_jobs(agent, false) == 0 || line->in_flight == POLLERS)
		return false;
	if (now >= line->told_at_ms + PROGRESS_MS && progress_changed(line))
		return true;
	*ret_until_ms = now + PROGRESS_MS;
	return false;
}

static void *poll_main(void *arg)
{
	struct line *line = arg;
	struct agent *agent = line->agent;
	pthread_mutex_lock(&agent->mutex);
	while (!agent->stopping && !agent->removed) {
		int64_t until;
		if (poll_is_due(line, &until))
			poll_once(line);
		else
			clock_wait(agent->conf.clock, &agent->news, &agent->mutex, until);
	}
	agent->pollers--;
	pthread_cond_broadcast(&agent->news);
	pthread_mutex_unlock(&agent->mutex);
	return NULL;
}

/* ---- life ---- */

/* Mutex held. A line is there with its first thread, or not at all. */
static int line_add(struct agent *agent, struct err *err)
{
	struct line *line = calloc(1, sizeof *line);
	if (!line)
		return err_set(err, E_NOMEM, "no memory to poll shard %d", agent->line_count);
	line->agent = agent;
	line->shard = agent->line_count;
	line->done_max = POLL_DONE_MAX;
	for (; line->thread_count < POLLERS; line->thread_count++) {
		int rc = pthread_create(&line->threads[line->thread_count], NULL, poll_main, line);
		if (rc && line->thread_count == 0) {
			free(line);
			return err_errno(err, rc, "start a polling thread");
		}
		if (rc)
			break;
		agent->pollers++;
	}
	agent->lines[agent->line_count++] = line;
	return 0;
}

/* Mutex held. What cannot be added now is added by a later answer. */
static void add_lines(struct agent *agent, int shards)
{
	struct err err;
	while (!agent->stopping && agent->line_count < shards)
		if (line_add(agent, &err) < 0) {
			log_warn(NULL, "shard_not_polled", "shard=%d reason=\"%s\"",
			         agent->line_count, err.text);
			return;
		}
}

static int start_threads(struct agent *agent, struct err *err)
{
	for (; agent->slot_count < agent->conf.slots; agent->slot_count++) {
		int rc = pthread_create(&agent->slot_threads[agent->slot_count], NULL, slot_main,
		                        agent);
		if (rc)
			return err_errno(err, rc, "start a thread for slot %d", agent->slot_count);
	}
	pthread_mutex_lock(&agent->mutex);
	int rc = line_add(agent, err);
	pthread_mutex_unlock(&agent->mutex);
	return rc;
}

int agent_new(const struct agent_conf *conf, struct agent **ret_agent, struct err *err)
{
	if (conf->slots < 1 || conf->slots > AGENT_SLOTS_MAX)
		return err_set(err, E_INVALID, "slots: must be 1 to %d, not %d", AGENT_SLOTS_MAX,
		               conf->slots);
	AUTO(agent) *agent = calloc(1, sizeof *agent);
	if (!agent)
		return err_set(err, E_NOMEM, "no memory for the agent");
	agent->conf = *conf;
	gone_init(&agent->gone, conf->drop, conf->erase, conf->drop_context);
	pthread_mutex_init(&agent->mutex, NULL);
	pthread_cond_init(&agent->work, NULL);
	clock_cond_init(&agent->news);
	TRY(start_threads(agent, err));
	*ret_agent = MOVE(agent);
	return 0;
}

static void wait_settled(struct agent *agent, int64_t until_ms)
{
	while (agent->jobs && clock_wait(agent->conf.clock, &agent->news, &agent->mutex, until_ms))
		;
}

/* The leader answers the older poll when the one that says draining has come: from then on it
 * gives us nothing. */
static bool all_told(const struct agent *agent)
{
	bool all = true;
	for (int i = 0; i < agent->line_count; i++) {
		const struct line *line = agent->lines[i];
		all &= !line->connected || (line->drain_sent && line->in_flight < POLLERS);
	}
	return all;
}

static void wait_told(struct agent *agent, int64_t until_ms)
{
	while (!all_told(agent) &&
	       clock_wait(agent->conf.clock, &agent->news, &agent->mutex, until_ms))
		;
}

void agent_drain(struct agent *agent, int grace_ms)
{
	pthread_mutex_lock(&agent->mutex);
	int64_t now = clock_mono_ms(agent->conf.clock), until = now + grace_ms;
	agent->draining = true;
	tell(agent);
	wait_told(agent, now + DRAIN_TOLD_MS);
	wait_settled(agent, until);
	if (agent->jobs) {
		log_warn(NULL, "drain_cut_short", "running=%d unacknowledged=%d", count_jobs(agent,
		                                                                             false),
		         count_jobs(agent, true));
		for (struct job *job = agent->jobs; job; job = job->next)
			hand_back(job);
		wait_settled(agent, until + CANCEL_GRACE_MS);
	}
	pthread_mutex_unlock(&agent->mutex);
}

static void stop(struct agent *agent)
{
	pthread_mutex_lock(&agent->mutex);
	agent->stopping = true;
	cancel_all(agent);
	pthread_cond_broadcast(&agent->work);
	pthread_cond_broadcast(&agent->news);
	/* A poller may be on its way into an exchange, where no interrupt reaches it yet. */
	while (agent->pollers > 0) {
		pthread_mutex_unlock(&agent->mutex);
		peer_interrupt(agent->conf.peer);
		pthread_mutex_lock(&agent->mutex);
		clock_wait(clock_system(), &agent->news, &agent->mutex,
		           clock_mono_ms(clock_system()) + STOP_STEP_MS);
	}
	pthread_mutex_unlock(&agent->mutex);
}

static void line_free(struct line *line)
{
	for (int i = 0; i < line->thread_count; i++)
		pthread_join(line->threads[i], NULL);
	free(line);
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	stop(agent);
	for (int i = 0; i < agent->slot_count; i++)  /* they tell the lines how they ended */
		pthread_join(agent->slot_threads[i], NULL);
	for (int i = 0; i < agent->line_count; i++)
		line_free(agent->lines[i]);
	while (agent->jobs)
		job_remove(agent, agent->jobs);
	gone_release(&agent->gone);
	pthread_cond_destroy(&agent->work);
	pthread_cond_destroy(&agent->news);
	pthread_mutex_destroy(&agent->mutex);
	free(agent);
}

static bool all_connected(const struct agent *agent)
{
	bool all = true;
	for (int i = 0; i < agent->line_count; i++)
		all &= agent->lines[i]->connected;
	return all;
}

void agent_status(struct agent *agent, struct agent_status *ret_status)
{
	pthread_mutex_lock(&agent->mutex);
	*ret_status = (struct agent_status) {
		.slots = agent->conf.slots, .running = count_jobs(agent, false),
		.unacknowledged = count_jobs(agent, true), .connected = all_connected(agent),
		.polls = agent->polls, .tasks = agent->tasks,
	};
	pthread_mutex_unlock(&agent->mutex);
}
