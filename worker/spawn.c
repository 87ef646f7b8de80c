/* spawn.c - processes of executors. posix_spawn does not copy the agent's memory, however large it
 * is. */
#include "common/defs.h"
#include "worker/spawn.h"
#include "common/arena.h"
#include "worker/channel.h"
#include "worker/executor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A sanitizer takes memory for its shadows, and reports in a way of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

enum {
	START_MS_MAX = 30000,
	READY_ARENA = 64 * 1024,
	ENV_MAX = 8,
	SAID_MAX = 256, /* bytes of what one printed that could not start */
	SAID_MS = 200,
	MEMORY_SPARE_BYTES = 128 * 1024 * 1024,
	THREAD_BYTES = 16 * 1024 * 1024
};

static int make_actions(posix_spawn_file_actions_t *actions, int socket, int errors)
{
	if (posix_spawn_file_actions_init(actions) != 0)
		return -1;
	if (posix_spawn_file_actions_adddup2(actions, socket, EXECUTOR_SOCKET) == 0 &&
	    (errors < 0 ||
	     posix_spawn_file_actions_adddup2(actions, errors, STDERR_FILENO) == 0) &&
	    posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0) == 0 &&
	    posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0) == 0)
		return 0;
	posix_spawn_file_actions_destroy(actions);
	return -1;
}

static int make_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawnattr_init(attributes) != 0)
		return -1;
	if (posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
	                                                 POSIX_SPAWN_SETSIGDEF) == 0 &&
	    posix_spawnattr_setsigmask(attributes, &none) == 0 &&
	    posix_spawnattr_setsigdefault(attributes, &all) == 0)
		return 0;
	posix_spawnattr_destroy(attributes);
	return -1;
}

/* What a loader or a sanitizer needs, and nothing else. */
static void make_environment(const char *out[ENV_MAX + 1])
{
	static const char *const kept[] = {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS",
	                                   "TSAN_OPTIONS", "LSAN_OPTIONS"};
	size_t count = 0;
	out[count++] = "TZ=UTC";
	out[count++] = "LC_ALL=C.UTF-8";
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const char *text = getenv(kept[i]);
		if (text)
			out[count++] = text - strlen(kept[i]) - 1;
	}
	out[count] = NULL;
}

static int spawn(const char *program, const char *role, int socket, int errors, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	if (make_actions(&actions, socket, errors) != 0)
		return ENOMEM;
	if (make_attributes(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return ENOMEM;
	}
	const char *environment[ENV_MAX + 1];
	make_environment(environment);
	const char *args[] = {"freehold-worker", role, NULL};
	int rc = posix_spawn(ret_pid, program, &actions, &attributes, (char *const *)args,
	                     (char *const *)environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* What an executor prints goes to us, not into a file: it may write none. A sanitizer's report has
 * a way of its own. */
static void open_errors(int errors[2])
{
	if (SANITIZED || pipe2(errors, O_CLOEXEC | O_NONBLOCK) != 0)
		errors[0] = errors[1] = -1;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int child_start(const char *program, const char *role, struct child *ret_child, struct err *err)
{
	int pair[2], errors[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_errno(err, errno, "an executor's channel");
	open_errors(errors);
	struct child child = {
		.pid = -1, .pidfd = -1, .socket = pair[0], .errors = errors[0]};
	int rc = spawn(program ? program : "/proc/self/exe", role, pair[1], errors[1], &child.pid);
	close(pair[1]);
	shut(&errors[1]);
	if (rc == 0)
		child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	if (rc == 0 && child.pidfd >= 0) {
		*ret_child = child;
		return 0;
	}
	int code = err_errno(err, rc ? rc : errno, "an executor could not be started");
	if (rc == 0) {
		kill(child.pid, SIGKILL);
		waitpid(child.pid, NULL, 0);
	}
	close(pair[0]);
	shut(&errors[0]);
	return code;
}

int child_adopt(struct err *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return err_errno(err, errno, "executors could not be made children of the worker");
	return 0;
}

/* "failed" is what it said of itself, and is told as it is. */
static int take_ready(const struct value *message, struct child *child, pid_t *ret_pid,
                      struct err *err)
{
	const char *event = value_get_str(message, "event"), *text = value_get_str(message, "text");
	if (event && text && strcmp(event, "failed") == 0)
		return err_set(err, err_by_name(value_get_str(message, "code")),
		               "an executor did not start: %s", text);
	if (!event || strcmp(event, "ready") != 0)
		return err_set(err, E_INTERNAL, "an executor did not begin with \"ready\"");
	cage_report_read(value_get(message, "cage"), &child->cage);
	*ret_pid = (pid_t)value_get_int(message, "pid", -1);
	return 0;
}

/* Waits for "ready"; ret_pid is the process's own word for who it is. */
static int await_ready(struct child *child, pid_t *ret_pid, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(READY_ARENA, &arena, err));
	struct pollfd wait = {.fd = child->socket, .events = POLLIN};
	int n;
	do
		n = poll(&wait, 1, START_MS_MAX);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(err, E_TIMEOUT, "an executor was not ready within %d ms",
		               START_MS_MAX);
	struct value *message;
	TRY(channel_receive(child->socket, arena, &message, NULL, 0, NULL, err));
	return take_ready(message, child, ret_pid, err);
}

/* Behind an error that says no more than that it is gone: what it printed, a line of it. */
static void add_said(const struct child *child, struct err *err)
{
	char said[SAID_MAX + 1];
	struct pollfd wait = {.fd = child->errors, .events = POLLIN};
	if (!err || child->errors < 0 || poll(&wait, 1, SAID_MS) <= 0)
		return;
	ssize_t len = read(child->errors, said, SAID_MAX);
	for (ssize_t i = 0; i < len; i++)
		if (said[i] < ' ' || said[i] > '~')
			said[i] = ' ';
	if (len <= 0)
		return;
	said[len] = 0;
	char text[sizeof err->text];
	snprintf(text, sizeof text, "%.200s: it printed: %s", err->text, said);
	(void)err_set(err, err->code, "%s", text);
}

int child_ready(struct child *child, struct err *err)
{
	pid_t pid;
	int rc = await_ready(child, &pid, err);
	if (rc < 0)
		add_said(child, err);
	shut(&child->errors);
	return rc;
}

static int ask_fork(const struct child *zygote, int socket, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(READY_ARENA, &arena, err));
	struct value *message = value_map(arena);
	value_set_str(message, "event", "fork");
	TRY(value_check(message, err));
	return channel_send(zygote->socket, message, &socket, 1, err);
}

/* Only a child of ours can be waited for, whatever it says of itself. */
static bool is_ours(int pidfd)
{
	siginfo_t info;
	return waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

int child_fork(const struct child *zygote, struct child *ret_child, struct err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return err_errno(err, errno, "an executor's channel");
	struct child child = {.pid = -1, .pidfd = -1, .socket = pair[0], .errors = -1};
	int rc = ask_fork(zygote, pair[1], err);
	close(pair[1]);
	if (rc >= 0)
		rc = await_ready(&child, &child.pid, err);
	if (rc >= 0)
		child.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	if (rc >= 0 && (child.pidfd < 0 || !is_ours(child.pidfd)))
		rc = err_set(err, E_INTERNAL, "an executor that was forked is no child of ours");
	if (rc >= 0) {
		*ret_child = child;
		return 0;
	}
	if (child.pidfd >= 0)
		close(child.pidfd);
	close(pair[0]);   /* which ends it, if it is there */
	return rc;
}

bool child_alive(const struct child *child)
{
	struct pollfd ended = {.fd = child->pidfd, .events = POLLIN};
	return poll(&ended, 1, 0) == 0;
}

int64_t child_cpu_ms(const struct child *child)
{
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(child->pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return -1;
	return used.tv_sec * 1000 + (used.tv_nsec + 999999) / 1000000;
}

int64_t child_memory_bytes(const struct child *child)
{
	char path[40], text[128];
	snprintf(path, sizeof path, "/proc/%d/statm", (int)child->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t len = read(fd, text, sizeof text - 1);
	close(fd);
	long size, resident, shared;
	text[len > 0 ? len : 0] = 0;
	if (sscanf(text, "%ld %ld %ld", &size, &resident, &shared) != 3)
		return -1;
	return (int64_t)(resident - shared) * sysconf(_SC_PAGESIZE);
}

/* VmHWM, in KiB. */
static int64_t peak_bytes(const struct child *child)
{
	char path[40], line[256];
	long kib = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)child->pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmHWM: %ld kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return (int64_t)kib * 1024;
}

void child_usage(const struct child *child, struct usage *usage)
{
	int64_t cpu_ms = child_cpu_ms(child);
	usage->cpu_ms += cpu_ms > 0 ? cpu_ms : 0;
	usage->memory_peak_bytes = peak_bytes(child);
}

/* Behind the agent's own look, should the agent be slow: what a process asks for beyond this is not
 * given. Stacks of threads count too, so there is room above the task's own figure. */
static void limit_memory(const struct child *child, uint64_t memory_bytes, int threads)
{
	rlim_t most = memory_bytes + MEMORY_SPARE_BYTES + (rlim_t)threads * THREAD_BYTES;
	struct rlimit limit = {most, most};
	if (!SANITIZED)
		(void)!prlimit(child->pid, RLIMIT_DATA, &limit, NULL);
}

void child_limit(const struct child *child, const struct limits *limits)
{
	rlim_t seconds = (rlim_t)(limits->cpu_ms / 1000 + 2);
	struct rlimit limit = {seconds, seconds};
	(void)!prlimit(child->pid, RLIMIT_CPU, &limit, NULL);
	limit_memory(child, limits->memory_bytes, (int)limits->threads);
}

void child_kill(const struct child *child)
{
	(void)!syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

static int64_t timeval_ms(struct timeval time)
{
	return time.tv_sec * 1000 + time.tv_usec / 1000;
}

void child_end(struct child *child, struct usage *usage, int *ret_status)
{
	struct rusage used = {0};
	int status = 0;
	child_kill(child);
	while (wait4(child->pid, &status, 0, &used) < 0 && errno == EINTR)
		;
	if (usage) {
		usage->cpu_ms += timeval_ms(used.ru_utime) + timeval_ms(used.ru_stime);
		usage->memory_peak_bytes = used.ru_maxrss * 1024;
	}
	if (ret_status)
		*ret_status = status;
	close(child->pidfd);
	close(child->socket);
	shut(&child->errors);
	*child = (struct child){.pid = -1, .pidfd = -1, .socket = -1, .errors = -1};
}
