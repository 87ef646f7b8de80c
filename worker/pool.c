/* pool.c - executors kept ready, and one job in one of them.
 * Invariants: an executor takes one job; nothing it says is believed beyond its channel's bounds;
 * it has been killed before pool_run returns, and one that answered is buried by the keeper. A job
 * that was not read to its end has not begun: until it is, the message and the descriptors stay as
 * they are, for another one, and no longer: there are keys in it.
 * Waiting children are the keeper thread's: the kernel kills an executor when the thread that
 * started it ends, and the keeper lives as long as the pool. */
#include "common/defs.h"
#include "worker/pool.h"
#include "common/log.h"
#include "worker/cage_group.h"
#include "worker/channel.h"
#include "worker/run.h"
#include "worker/spawn.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	READY_MAX = 64,
	DEAD_MAX = 64,
	TICK_MS = 20,
	RETRY_MS = 1000,
	DRAIN_BYTES = 256 * 1024,
	MESSAGE_ARENA = 128 * 1024 * 1024
};

/* What every kernel gives that this is built for. */
#define ALWAYS (1u << CAGE_SECCOMP | 1u << CAGE_PRIVILEGES | 1u << CAGE_LIMITS)

struct pool {
	struct pool_conf conf;
	char *program;
	pthread_t keeper;
	bool kept; /* the keeper was started */
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool stopping; /* guarded by mutex, as what follows */
	struct child ready[READY_MAX];
	int ready_count;
	struct child dead[DEAD_MAX]; /* killed, not yet waited for */
	int dead_count;
	pthread_mutex_t zygote_mutex; /* held over a fork; before mutex, where both are */
	struct child zygote;          /* guarded by zygote_mutex; pid -1: none */
	struct cage_groups *groups;   /* NULL: none */
	char no_groups[CAGE_WHY_MAX];
	bool told;                    /* guarded by mutex: cage is one that was */
	struct cage_report cage;
	struct err failure;           /* of the latest start that failed; code 0: none did */
};

/* The keeper. */

static int start_cold(struct pool *pool, const char *role, struct child *ret_child,
                      struct err *err)
{
	struct child child;
	TRY(child_start(pool->program, role, &child, err));
	int rc = child_ready(&child, err);
	if (rc < 0)
		child_end(&child, NULL, NULL);
	else
		*ret_child = child;
	return rc;
}

/* One more out of the zygote, which the keeper makes anew when it is gone; zygote_mutex held. */
static int fork_one(struct pool *pool, struct child *ret_child, struct err *err)
{
	if (pool->zygote.pid >= 0 && !child_alive(&pool->zygote))
		child_end(&pool->zygote, NULL, NULL);
	if (pool->zygote.pid < 0 && !pthread_equal(pthread_self(), pool->keeper))
		return err_set(err, E_UNAVAILABLE, "no executor can be forked now");
	if (pool->zygote.pid < 0)
		TRY(start_cold(pool, "zygote", &pool->zygote, err));
	int rc = child_fork(&pool->zygote, ret_child, err);
	if (rc < 0)
		child_end(&pool->zygote, NULL, NULL);
	return rc;
}

static void end_child(struct pool *pool, struct child *child, struct usage *usage, int *ret_status)
{
	int pid = (int)child->pid;
	child_end(child, usage, ret_status);
	if (pool->groups)
		cage_groups_drop(pool->groups, pid);
}

/* Nobody's data goes where a layer is missing that was asked for. */
static int vet(struct pool *pool, struct child *child, struct err *err)
{
	if (pool->groups)
		cage_report_on(&child->cage, CAGE_CGROUP);
	else
		cage_report_off(&child->cage, CAGE_CGROUP, "%s", pool->no_groups);
	int rc = cage_report_check(&child->cage, pool->conf.required | ALWAYS, err);
	if (rc < 0) {
		child_end(child, NULL, NULL);
		return rc;
	}
	pthread_mutex_lock(&pool->mutex);
	pool->cage = child->cage;
	pool->told = true;
	pthread_mutex_unlock(&pool->mutex);
	return 0;
}

/* Where executors are kept ready there is a zygote; if it fails, the long way still works. */
static int start_one(struct pool *pool, struct child *ret_child, struct err *err)
{
	struct child child;
	int rc = E_UNAVAILABLE;
	if (pool->conf.ready > 0) {
		pthread_mutex_lock(&pool->zygote_mutex);
		rc = fork_one(pool, &child, err);
		pthread_mutex_unlock(&pool->zygote_mutex);
	}
	if (rc < 0)
		TRY(start_cold(pool, "executor", &child, err));
	TRY(vet(pool, &child, err));
	*ret_child = child;
	return 0;
}

static void bury(struct pool *pool)
{
	struct child dead[DEAD_MAX];
	pthread_mutex_lock(&pool->mutex);
	int count = pool->dead_count;
	memcpy(dead, pool->dead, sizeof dead[0] * (size_t)count);
	pool->dead_count = 0;
	pthread_mutex_unlock(&pool->mutex);
	for (int i = 0; i < count; i++)
		end_child(pool, &dead[i], NULL, NULL);
}

/* Outside the mutex: starting takes its time. */
static bool fill_one(struct pool *pool)
{
	struct child child;
	struct err err = {0};
	if (start_one(pool, &child, &err) < 0) {
		log_warn(NULL, "executor_not_started", "code=%s reason=\"%s\"", err_name(err.code),
		         err.text);
		pthread_mutex_lock(&pool->mutex);
		pool->failure = err;
		pthread_cond_broadcast(&pool->cond);
		pthread_mutex_unlock(&pool->mutex);
		return false;
	}
	pthread_mutex_lock(&pool->mutex);
	pool->ready[pool->ready_count++] = child;
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->mutex);
	return true;
}

static void *keep(void *context)
{
	struct pool *pool = context;
	pthread_mutex_lock(&pool->mutex);
	while (!pool->stopping) {
		if (pool->ready_count >= pool->conf.ready && pool->dead_count == 0) {
			pthread_cond_wait(&pool->cond, &pool->mutex);
			continue;
		}
		bool fill = pool->ready_count < pool->conf.ready;
		pthread_mutex_unlock(&pool->mutex);
		bool filled = !fill || fill_one(pool);
		bury(pool);
		pthread_mutex_lock(&pool->mutex);
		int64_t deadline = clock_mono_ms(pool->conf.clock) + RETRY_MS;
		while (!filled && !pool->stopping &&
		       clock_wait(pool->conf.clock, &pool->cond, &pool->mutex, deadline))
			;
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

static void open_groups(struct pool *pool)
{
	struct err why = {.text = "the worker was not asked to make control groups"};
	if (!pool->conf.groups || cage_groups_new("", &pool->groups, &why) < 0)
		snprintf(pool->no_groups, sizeof pool->no_groups, "%.150s", why.text);
}

int pool_new(const struct pool_conf *conf, struct pool **ret_pool, struct err *err)
{
	AUTO(pool) *pool = calloc(1, sizeof *pool);
	if (!pool)
		return err_set(err, E_NOMEM, "no memory for the executors' pool");
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_mutex_init(&pool->zygote_mutex, NULL);
	clock_cond_init(&pool->cond);
	pool->zygote = (struct child){.pid = -1, .pidfd = -1, .socket = -1, .errors = -1};
	pool->conf = *conf;
	if (conf->ready < 0 || conf->ready > READY_MAX)
		return err_set(err, E_INVALID, "executors kept ready: 0 to %d, not %d", READY_MAX,
		               conf->ready);
	if (conf->program && !(pool->program = strdup(conf->program)))
		return err_set(err, E_NOMEM, "no memory for the executors' pool");
	open_groups(pool);
	if (conf->ready > 0) {
		TRY(child_adopt(err));
		if (pthread_create(&pool->keeper, NULL, keep, pool) != 0)
			return err_set(err, E_RESOURCES,
			               "the executors' pool could not start a thread");
		pool->kept = true;
	}
	*ret_pool = MOVE(pool);
	return 0;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->mutex);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->mutex);
	if (pool->kept)
		pthread_join(pool->keeper, NULL);
	for (int i = 0; i < pool->ready_count; i++)
		child_end(&pool->ready[i], NULL, NULL);
	bury(pool);
	if (pool->zygote.pid >= 0)
		child_end(&pool->zygote, NULL, NULL);
	pthread_mutex_destroy(&pool->zygote_mutex);
	pthread_cond_destroy(&pool->cond);
	pthread_mutex_destroy(&pool->mutex);
	cage_groups_free(pool->groups);
	free(pool->program);
	free(pool);
}

static int await_first(struct pool *pool, struct cage_report *ret_cage, struct err *err)
{
	pthread_mutex_lock(&pool->mutex);
	while (!pool->told && pool->failure.code == 0)
		pthread_cond_wait(&pool->cond, &pool->mutex);
	int rc = pool->told ? 0 : pool->failure.code;
	if (rc == 0)
		*ret_cage = pool->cage;
	else if (err)
		*err = pool->failure;
	pthread_mutex_unlock(&pool->mutex);
	return rc;
}

int pool_cage(struct pool *pool, struct cage_report *ret_cage, struct err *err)
{
	struct child child;
	if (pool->kept)
		return await_first(pool, ret_cage, err);
	TRY(start_one(pool, &child, err));
	*ret_cage = child.cage;
	child_end(&child, NULL, NULL);
	return 0;
}

int pool_ready(struct pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	int count = pool->ready_count;
	pthread_mutex_unlock(&pool->mutex);
	return count;
}

/* Another is made when a job turns out to take its time, or is over: a small one would share its
 * core with it otherwise. */
static void refill(struct pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	pthread_cond_broadcast(&pool->cond);
	pthread_mutex_unlock(&pool->mutex);
}

/* One that waits, or a new one. */
static int claim(struct pool *pool, struct child *ret_child, struct err *err)
{
	for (;;) {
		struct child child = {.pid = -1};
		pthread_mutex_lock(&pool->mutex);
		if (pool->ready_count > 0)
			child = pool->ready[--pool->ready_count];
		pthread_mutex_unlock(&pool->mutex);
		if (child.pid < 0)
			return start_one(pool, ret_child, err);
		if (child_alive(&child)) {
			*ret_child = child;
			return 0;
		}
		child_end(&child, NULL, NULL);
	}
}

/* One job. */

struct job_run {
	struct pool *pool;
	struct pool_job *job;
	struct attempt *attempt;
	struct arena *arena;   /* of the caller, for the result */
	struct arena *scratch; /* of one message */
	struct child child;
	bool taken;            /* child has read the job to its end */
	bool gone;             /* child's end of the channel is closed */
	bool unread;           /* and it had not read the job */
	int64_t started_ms;
	bool drained[POOL_DRAINS_MAX];
	uint8_t *bytes;       /* DRAIN_BYTES */
	struct value *result; /* NULL: not yet */
	int64_t read_bytes;
	struct err *err;
};

static void close_fds(struct pool_job *job)
{
	for (size_t i = 0; i < job->fd_count; i++)
		close(job->fds[i]);
	job->fd_count = 0;
}

/* From here on attempt_cancel reaches the executor. */
static int watch_cancel(struct job_run *run)
{
	pthread_mutex_lock(&run->attempt->mutex);
	bool cancelled = run->attempt->cancelled;
	run->attempt->executor_fd = cancelled ? -1 : run->child.pidfd;
	pthread_mutex_unlock(&run->attempt->mutex);
	return cancelled ? err_set(run->err, E_CANCELLED, "the task was cancelled") : 0;
}

static bool unwatch_cancel(struct job_run *run)
{
	pthread_mutex_lock(&run->attempt->mutex);
	bool cancelled = run->attempt->cancelled;
	run->attempt->executor_fd = -1;
	pthread_mutex_unlock(&run->attempt->mutex);
	return cancelled;
}

static int check_limits(struct job_run *run)
{
	const struct limits *limits = run->job->limits;
	int64_t took_ms = clock_mono_ms(run->pool->conf.clock) - run->started_ms;
	if (took_ms > limits->deadline_ms)
		return err_set(run->err, E_RESOURCES,
		               "deadline: the attempt may take %" PRId64 " ms and was "
		               "ended after %" PRId64 " ms; raise limits.deadline",
		               limits->deadline_ms, took_ms);
	int64_t cpu_ms = child_cpu_ms(&run->child);
	if (cpu_ms > limits->cpu_ms)
		return err_set(run->err, E_RESOURCES,
		               "cpuSeconds: the attempt may take %" PRId64 " ms of cpu "
		               "and was ended at %" PRId64 " ms; raise limits.cpuSeconds",
		               limits->cpu_ms, cpu_ms);
	int64_t memory = child_memory_bytes(&run->child);
	if (memory > 0 && (uint64_t)memory > limits->memory_bytes)
		return err_set(run->err, E_RESOURCES,
		               "memoryBytes: the attempt may take %" PRIu64 " bytes and "
		               "was ended at %" PRId64 "; raise limits.memoryBytes",
		               limits->memory_bytes, memory);
	return 0;
}

static int send_job(struct job_run *run)
{
	struct pool_job *job = run->job;
	int rc = channel_send(run->child.socket, job->message, job->fds, job->fd_count, run->err);
	run->gone = run->unread = rc == E_UNAVAILABLE;
	return rc;
}

/* It has what was sent. */
static void let_go(struct pool_job *job)
{
	channel_wipe(job->message);
	close_fds(job);
}

/* What a closed end had not read is gone from the queue, too; but the kernel makes an error of it
 * before it takes it away. */
static bool is_read(int socket)
{
	int queued = 0;
	struct pollfd end = {.fd = socket};
	return ioctl(socket, SIOCOUTQ, &queued) == 0 && queued == 0 && poll(&end, 1, 0) == 0;
}

static void look_if_taken(struct job_run *run)
{
	if (run->taken || !is_read(run->child.socket))
		return;
	let_go(run->job);
	run->taken = true;
}

static int on_error(struct job_run *run, const struct value *message)
{
	const char *text = value_get_str(message, "text"), *name = value_get_str(message, "code");
	run->read_bytes = value_get_int(message, "readBytes", 0);
	int code = name ? err_by_name(name) : E_INTERNAL;
	if (code == E_RESOURCES && text)
		return err_set(run->err, code, "memoryBytes is %" PRIu64 ": %s",
		               run->job->limits->memory_bytes, text);
	return err_set(run->err, code, "%s", text ? text : "the executor failed without a reason");
}

/* The limits hold from its start: what is taken for it is not more than was said then. */
static int on_question(struct job_run *run, const struct value *question)
{
	struct pool_job *job = run->job;
	pool_ask_fn *ask = job->ask;
	job->ask = NULL;
	TRY(ask(job->context, question, job, run->err));
	TRY(send_job(run));
	let_go(job);
	return 0;
}

static int on_message(struct job_run *run, const struct value *message)
{
	const char *event = value_get_str(message, "event");
	if (!event)
		return err_set(run->err, E_INTERNAL, "an executor's message has no event");
	if (strcmp(event, "progress") == 0) {
		run->read_bytes = value_get_int(message, "bytes", 0);
		attempt_progress(run->attempt, value_get_str(message, "phase"),
		                 value_get_int(message, "rows", 0), run->read_bytes,
		                 (int)value_get_int(message, "percent", -1));
		return 0;
	}
	if (strcmp(event, "rows") == 0 && run->job->rows)
		return run->job->rows(run->job->context, message, run->err);
	if (strcmp(event, "ask") == 0 && run->job->ask)
		return on_question(run, message);
	if (strcmp(event, "error") == 0)
		return on_error(run, message);
	if (strcmp(event, "result") != 0)
		return err_set(run->err, E_INTERNAL, "an executor sent what it was not asked for");
	run->read_bytes = value_get_int(message, "readBytes", 0);
	run->result = value_copy(run->arena, message);
	return value_check(run->result, run->err);
}

static int on_socket(struct job_run *run)
{
	struct value *message;
	int socket = run->child.socket;
	arena_reset(run->scratch);
	int rc = channel_receive(socket, run->scratch, &message, NULL, 0, NULL, run->err);
	run->gone = rc == E_UNAVAILABLE;
	TRY(rc);
	if (!run->taken)
		let_go(run->job);
	run->taken = true;
	return on_message(run, message);
}

static int on_drain(struct job_run *run, size_t i)
{
	struct pool_drain *drain = &run->job->drains[i];
	ssize_t n = read(drain->fd, run->bytes, DRAIN_BYTES);
	if (n < 0)
		return errno == EINTR ? 0 : err_errno(run->err, errno, "an executor's output");
	if (n == 0)
		run->drained[i] = true;
	return n > 0 ? drain->sink(drain->context, run->bytes, (size_t)n, run->err) : 0;
}

static bool finished(const struct job_run *run)
{
	bool drained = true;
	for (size_t i = 0; i < run->job->drain_count; i++)
		drained = drained && run->drained[i];
	return run->result && drained;
}

/* Its descriptor, while there is something to read and room for it; -1 otherwise. */
static int drain_fd(const struct job_run *run, size_t i, bool *ret_full)
{
	const struct pool_drain *drain = &run->job->drains[i];
	if (run->drained[i])
		return -1;
	if (!drain->room || drain->room(drain->context))
		return drain->fd;
	*ret_full = true;
	return -1;
}

static int step(struct job_run *run)
{
	struct pollfd wait[1 + POOL_DRAINS_MAX] = {
		{.fd = run->result ? -1 : run->child.socket, .events = POLLIN}};
	bool full = false;
	look_if_taken(run);
	for (size_t i = 0; i < run->job->drain_count; i++)
		wait[1 + i] = (struct pollfd){.fd = drain_fd(run, i, &full), .events = POLLIN};
	int n = poll(wait, 1 + run->job->drain_count, full ? 0 : TICK_MS);
	if (n < 0 && errno != EINTR)
		return err_errno(run->err, errno, "waiting for an executor");
	for (size_t i = 0; n > 0 && i < run->job->drain_count; i++)
		if (wait[1 + i].revents)
			TRY(on_drain(run, i));
	/* The kernel makes an error of it when what was sent is not read before its end closes. */
	run->unread = n > 0 && wait[0].revents & POLLERR;
	if (n > 0 && wait[0].revents)
		TRY(on_socket(run));
	return 0;
}

static int hold(struct job_run *run)
{
	struct pool *pool = run->pool;
	struct err why = {0};
	if (!pool->groups ||
	    cage_groups_put(pool->groups, (int)run->child.pid, run->job->limits, &why) == 0)
		return 0;
	log_warn(NULL, "executor_without_group", "reason=\"%s\"", why.text);
	return pool->conf.required & 1u << CAGE_CGROUP ? err_set(run->err, why.code, "%s", why.text)
	                                               : 0;
}

static int converse(struct job_run *run)
{
	TRY(watch_cancel(run));
	TRY(hold(run));
	child_limit(&run->child, run->job->limits);
	TRY(send_job(run));
	int64_t looked_ms = run->started_ms;
	while (!finished(run)) {
		TRY(step(run));
		int64_t now_ms = clock_mono_ms(run->pool->conf.clock);
		if (now_ms - looked_ms < TICK_MS && now_ms != looked_ms)
			continue;
		looked_ms = now_ms;
		if (now_ms - run->started_ms >= TICK_MS)
			refill(run->pool);
		if (!run->result || run->job->wanted)   /* also while a reader is slow */
			TRY(check_limits(run));
		if (run->job->wanted && !run->job->wanted(run->job->context))
			return err_set(run->err, E_CANCELLED, "nobody waits for it any more");
	}
	return 0;
}

/* An executor that went without a word: why, as far as the kernel says. */
static int explain(struct job_run *run, int status, bool killed, int64_t cpu_ms)
{
	int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	bool spent = signal_number == SIGKILL && cpu_ms > run->job->limits->cpu_ms;
	if (signal_number == SIGSYS)
		return err_set(run->err, E_DENIED,
		               "cage: the attempt's process asked its kernel for what no task may "
		               "do, and was ended for it (seccomp)");
	if (killed)
		return err_set(run->err, E_RESOURCES,
		               "memoryBytes: the attempt took more than the %" PRIu64
		               " bytes it may; raise limits.memoryBytes",
		               run->job->limits->memory_bytes);
	if (signal_number == SIGXCPU || spent)
		return err_set(run->err, E_RESOURCES,
		               "cpuSeconds: the attempt took more than the %" PRId64
		               " ms of cpu it may; raise limits.cpuSeconds",
		               run->job->limits->cpu_ms);
	if (signal_number == SIGKILL)
		return err_set(
			run->err, E_DEAD_WORKER,
			"the executor was killed by the system, most likely "
			"because the machine is out of memory (limits.memoryBytes is %" PRIu64 ")",
			run->job->limits->memory_bytes);
	return err_set(run->err, E_INTERNAL, "the executor ended without an answer (%s %d)",
	               signal_number ? "signal" : "status",
	               signal_number ? signal_number : WEXITSTATUS(status));
}

/* Leaves one that has answered to the keeper: its memory takes longer to give back than a small
 * job takes. False: nobody would come for it. */
static bool leave_to_keeper(struct job_run *run, struct usage *usage)
{
	struct pool *pool = run->pool;
	child_usage(&run->child, usage);
	child_kill(&run->child);
	pthread_mutex_lock(&pool->mutex);
	bool left = pool->kept && pool->dead_count < DEAD_MAX;
	if (left)
		pool->dead[pool->dead_count++] = run->child;
	pthread_mutex_unlock(&pool->mutex);
	return left;
}

static int run_in_child(struct job_run *run, struct usage *usage)
{
	int rc = converse(run), status = 0;
	bool cancelled = unwatch_cancel(run);
	/* One that is gone by itself is waited for as it is; child_end's signal then comes too
	 * late. */
	struct pool *pool = run->pool;
	bool killed = false;
	if (rc < 0) {
		int pid = (int)run->child.pid;
		child_end(&run->child, usage, &status);
		killed = pool->groups && cage_groups_killed(pool->groups, pid);
		if (pool->groups)
			cage_groups_drop(pool->groups, pid);
	} else if (!leave_to_keeper(run, usage)) {
		end_child(pool, &run->child, NULL, NULL);
	}
	usage->bytes_read += run->read_bytes;
	if (rc < 0 && cancelled)
		return err_set(run->err, E_CANCELLED, "the task was cancelled");
	if (run->gone)
		return explain(run, status, killed, usage->cpu_ms);
	return rc;
}

/* One that waited may have been killed, or be dying, without being dead yet. It has not read its
 * job then, and the next one gets it: nothing has been done, so nobody needs to know. */
static int run_in_one(struct job_run *run, struct usage *usage)
{
	const struct usage before = *usage;
	for (int waiting = run->pool->conf.ready;; waiting--) {
		run->gone = run->unread = false;
		TRY(claim(run->pool, &run->child, run->err));
		int rc = run_in_child(run, usage);
		if (rc != E_DEAD_WORKER || run->taken || !run->unread || waiting == 0)
			return rc;
		log_warn(NULL, "executor_replaced", "reason=\"killed before it took its job\"");
		*usage = before;
	}
}

int pool_run(struct pool *pool, struct pool_job *job, struct attempt *attempt, struct arena *arena,
             struct value **ret_result, struct usage *usage, struct err *err)
{
	struct job_run run = {.pool = pool,
	                      .job = job,
	                      .attempt = attempt,
	                      .arena = arena,
	                      .err = err,
	                      .started_ms = clock_mono_ms(pool->conf.clock),
	                      .bytes = malloc(DRAIN_BYTES)};
	int rc = run.bytes ? 0 : err_set(err, E_NOMEM, "no memory for an executor's output");
	if (rc == 0)
		rc = arena_new(MESSAGE_ARENA, &run.scratch, err);
	if (rc == 0)
		rc = run_in_one(&run, usage);
	refill(pool);
	close_fds(job);
	arena_free(run.scratch);
	free(run.bytes);
	usage->wall_ms += clock_mono_ms(pool->conf.clock) - run.started_ms;
	if (rc >= 0)
		*ret_result = run.result;
	return rc < 0 ? rc : 0;
}
