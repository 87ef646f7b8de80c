/* executor.c - one job, one process. A second thread says how far it is and notices when the agent
 * has gone; it ends with the process. Until there is a job the process has one thread, and may
 * fork. */
#include "common/defs.h"
#include "worker/executor.h"
#include "worker/cage.h"
#include "worker/channel.h"
#include "worker/duck.h"
#include "worker/lens.h"
#include "worker/shop.h"
#include "worker/t_query.h"
#include "worker/types.h"
#include "worker/veil.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	JOB_ARENA_MAX = 256 * 1024 * 1024,
	WATCH_ARENA_MAX = 64 * 1024,
	WATCH_MS = 200,
	THREADS_MAX = 256
};

static int send_event(struct shop *shop, struct value *message, const char *event, struct err *err)
{
	value_set_str(message, "event", event);
	TRY(value_check(message, err));
	pthread_mutex_lock(&shop->mutex);
	int rc = channel_send(shop->socket, message, NULL, 0, err);
	pthread_mutex_unlock(&shop->mutex);
	return rc;
}

int shop_send_rows(struct shop *shop, struct value *rows, struct err *err)
{
	return send_event(shop, rows, "rows", err);
}

int shop_ask(struct shop *shop, struct value *question, struct err *err)
{
	struct value *job = NULL;
	int *fds = arena_alloc(shop->arena, CHANNEL_FDS_MAX * sizeof *fds);
	if (!fds)
		return err_set(err, E_NOMEM, "no memory for a job's descriptors");
	TRY(send_event(shop, question, "ask", err));
	TRY(channel_receive(shop->socket, shop->arena, &job, fds, CHANNEL_FDS_MAX, &shop->fd_count,
	                    err));
	shop->job = job;
	shop->fds = fds;
	return 0;
}

static void tell_progress(struct shop *shop)
{
	AUTO(arena) *arena = NULL;
	if (arena_new(WATCH_ARENA_MAX, &arena, NULL) < 0)
		return;
	pthread_mutex_lock(&shop->mutex);
	const char *phase = shop->phase;
	pthread_mutex_unlock(&shop->mutex);
	struct value *message = value_map(arena);
	value_set_str(message, "phase", phase);
	value_set_int(message, "bytes", (int64_t)lens_bytes());
	value_set_int(message, "percent", duck_percent(shop->duck));
	(void)!send_event(shop, message, "progress", NULL);
}

static void *watch(void *context)
{
	struct shop *shop = context;
	for (;;) {
		struct pollfd agent = {.fd = shop->socket, .events = POLLRDHUP};
		int n = poll(&agent, 1, WATCH_MS);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != 0)
			_exit(1);
		tell_progress(shop);
	}
	return NULL;
}

/* Sealed files: from here on their descriptors read as plaintext. */
static int open_sealed(struct shop *shop, struct err *err)
{
	const struct value *sealed = value_get(shop->job, "sealed");
	for (size_t i = 0; i < value_len(sealed); i++) {
		size_t len = 0;
		const uint8_t *ticket = value_get_bin(value_at(sealed, i), "ticket", &len);
		int64_t index = value_get_int(value_at(sealed, i), "fd", -1);
		if (!ticket || len != OPENER_TICKET_BYTES || index < 0 ||
		    (size_t)index >= shop->fd_count)
			return err_set(err, E_INTERNAL, "the job's file %zu has no ticket", i);
		struct opener *opener = NULL;
		TRY(opener_from_ticket(ticket, &opener, err));
		TRY(lens_take(shop->fds[index], opener, err));
	}
	return 0;
}

static int begin(struct shop *shop, struct err *err)
{
	int rc = open_sealed(shop, err);
	channel_wipe(shop->job);
	TRY(rc);
	for (size_t i = 0; i < shop->fd_count; i++)
		TRY(lens_grant(shop->fds[i], err));
	TRY(lens_shut(err));
	int64_t threads = value_get_int(shop->job, "threads", 1);
	struct duck_limits limits = {
		.threads = (int)(threads < THREADS_MAX ? threads : THREADS_MAX),
		.memory_bytes = (uint64_t)value_get_int(shop->job, "memory", 0),
		.rows_hidden = veil_hides_rows(value_get(shop->job, "tables")),
	};
	TRY(duck_lock(shop->duck, &limits, shop->fds, shop->fd_count, err));
	return shop_tables(shop, err);
}

int executor_work(struct shop *shop, struct err *err)
{
	enum task_type type = task_by_name(value_get_str(shop->job, "type"));
	if (type == TASK_NONE)
		return err_set(err, E_INVALID, "this worker's release knows no such type of task");
	if (type == TASK_QUERY)
		TRY(query_ask(shop, err));
	TRY(begin(shop, err));
	pthread_t watcher;
	if (pthread_create(&watcher, NULL, watch, shop) != 0)
		return err_set(err, E_RESOURCES, "the executor could not start a thread");
	pthread_detach(watcher);
	int rc = task_side(type)->work(shop, err);
	/* A file that does not verify is the cause, whatever the engine says of it. */
	int broken = lens_failure(rc < 0 ? err : NULL);
	return rc < 0 && broken ? broken : rc;
}

static int answer(struct shop *shop, int rc, const struct err *why)
{
	if (rc >= 0) {
		value_set_int(shop->result, "readBytes", (int64_t)lens_bytes());
		return send_event(shop, shop->result, "result", NULL);
	}
	struct value *failed = value_map(shop->arena);
	value_set_str(failed, "code", err_name(why->code));
	value_set_str(failed, "text", why->text);
	value_set_int(failed, "readBytes", (int64_t)lens_bytes());
	return send_event(shop, failed, "error", NULL);
}

static int say_ready(struct shop *shop, const struct cage_report *cage, struct err *err)
{
	struct value *ready = value_map(shop->arena);
	value_set_int(ready, "pid", getpid());
	if (cage)
		value_set(ready, "cage", cage_report_value(shop->arena, cage));
	return send_event(shop, ready, "ready", err);
}

static void say_failed(struct shop *shop, const struct err *why)
{
	struct value *failed = value_map(shop->arena);
	value_set_str(failed, "code", err_name(why->code));
	value_set_str(failed, "text", why->text);
	(void)!send_event(shop, failed, "failed", NULL);
}

/* What is printed from here on may be data. A sanitizer's report is wanted all the same. */
static void close_errors(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	(void)!dup2(STDOUT_FILENO, STDERR_FILENO);
#endif
}

/* Into the cage, and what may be done there before there is a job. */
static int go_in(struct shop *shop, struct cage *cage, int agent, struct err *err)
{
	close_errors();
	TRY(cage_enter(cage, agent, err));
	TRY(duck_prepare(shop->duck, err));
	return say_ready(shop, &cage->report, err);
}

/* In the new process: the agent's child from here on, on a channel and in a cage of its own. */
static int become_executor(struct shop *shop, struct cage *cage, int agent, int socket,
                           struct err *err)
{
	while (getppid() != agent) {
		if (getppid() == 1)
			return err_set(err, E_UNAVAILABLE, "the worker is gone");
		sched_yield();
	}
	if (dup2(socket, shop->socket) < 0 || close(socket) != 0 || setpgid(0, 0) != 0)
		return err_errno(err, errno, "an executor's channel");
	int rc = go_in(shop, cage, agent, err);
	if (rc < 0)
		say_failed(shop, err);
	return rc;
}

/* True in the new process. Its parent, the process between, ends at once, which makes it the
 * agent's: the nearest reaper above. */
static bool hatch(int socket)
{
	pid_t between = fork();
	if (between == 0) {
		pid_t child = fork();
		if (child == 0)
			return true;
		_exit(child < 0);
	}
	close(socket);
	while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	return false;
}

static bool is_fork(const struct value *message)
{
	const char *event = value_get_str(message, "event");
	return event && strcmp(event, "fork") == 0;
}

/* Forks as often as it is asked to; returns in a process that has a job. */
static int wait_for_job(struct shop *shop, struct cage *cage, int agent, int fds[CHANNEL_FDS_MAX],
                        struct err *err)
{
	for (;;) {
		struct value *message = NULL;
		TRY(channel_receive(shop->socket, shop->arena, &message, fds, CHANNEL_FDS_MAX,
		                    &shop->fd_count, err));
		shop->job = message;
		shop->fds = fds;
		if (!is_fork(message))
			return 0;
		if (shop->fd_count != 1)
			return err_set(err, E_INVALID, "a fork takes one channel");
		if (hatch(fds[0]))
			TRY(become_executor(shop, cage, agent, fds[0], err));
	}
}

/* Until there is a job; the zygote has none and stays outside: it has to fork. */
static int await_job(struct shop *shop, bool zygote, int fds[CHANNEL_FDS_MAX], struct err *err)
{
	struct cage cage;
	int agent = getppid();
	TRY(crypto_start(err));
	TRY(duck_new(&shop->duck, err));
	TRY(cage_prepare(&cage, EXECUTOR_SOCKET, err));
	int rc = zygote ? say_ready(shop, NULL, err) : go_in(shop, &cage, agent, err);
	if (rc == 0)
		rc = wait_for_job(shop, &cage, agent, fds, err);
	cage_release(&cage);
	return rc;
}

static int serve_one(struct shop *shop, bool zygote, executor_work_fn *work, struct err *err)
{
	int fds[CHANNEL_FDS_MAX];
	TRY(await_job(shop, zygote, fds, err));
	struct err why = {0};
	int rc = work(shop, &why);
	return answer(shop, rc, &why);
}

/* It ends by the agent's hand, which first drains its pipes and reads what it took. The engine is
 * left as it is: the kernel clears up faster, and the watcher still looks at it. */
static void await_end(void)
{
	close_range(EXECUTOR_SOCKET + 1, ~0U, 0);
	for (;;)
		pause();
}

static int start(bool zygote, executor_work_fn *work, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(JOB_ARENA_MAX, &arena, err));
	struct shop shop = {.arena = arena, .socket = EXECUTOR_SOCKET, .phase = "starting"};
	shop.result = value_map(arena);
	pthread_mutex_init(&shop.mutex, NULL);
	int rc = serve_one(&shop, zygote, work, err);
	if (rc >= 0)
		await_end();
	if (rc != E_UNAVAILABLE)
		say_failed(&shop, err);
	_exit(1);
}

const char *executor_role(int argc, char *const *argv)
{
	static const char *const roles[] = {"executor", "zygote"};
	for (size_t i = 0; argc == 2 && i < ARRAY_LEN(roles); i++)
		if (strcmp(argv[1], roles[i]) == 0)
			return roles[i];
	return NULL;
}

void executor_main(const char *role, executor_work_fn *work)
{
	struct err err = {0};
	close_range(EXECUTOR_SOCKET + 1, ~0U, 0);
	if (start(strcmp(role, "zygote") == 0, work, &err) < 0)
		dprintf(STDERR_FILENO, "freehold executor: %s\n", err.text);
	_exit(1);
}
