/* process.c - see process.h. */
#include "common/defs.h"
#include "tests/support/process.h"

#include "tests/support/follow.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP_MS = 10, FILE_MAX = 64 * 1024 * 1024 };

bool wait_until(until_fn *ready, void *context, int ms)
{
	for (int64_t deadline = mono_ms() + ms; !ready(context); wait_ms(STEP_MS))
		if (mono_ms() > deadline)
			return false;
	return true;
}

NORETURN static void become(const char *const *argv, const char *log, const char *input,
                            pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	int in = open(input ? input : "/dev/null", O_RDONLY);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	execvp(argv[0], (char *const *)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

pid_t process_start(const char *const *argv, const char *log, const char *input)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	cr_assert(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0)
		become(argv, log, input, parent);
	return pid;
}

int process_wait(pid_t pid, int ms)
{
	int status = 0;
	for (int64_t deadline = mono_ms() + ms; waitpid(pid, &status, WNOHANG) != pid;
	     wait_ms(STEP_MS))
		if (mono_ms() > deadline)
			return -1;
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

void process_kill(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

enum { STAT_MAX = 512 };

/* What a file of /proc says, from behind the name on; NULL when there is nobody. */
static const char *read_stat_at(const char *path, char text[STAT_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, STAT_MAX - 1);
	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return NULL;
	text[len] = 0;
	const char *name_end = strrchr(text, ')');
	return name_end ? name_end + 1 : NULL;
}

static const char *read_stat(pid_t pid, char text[STAT_MAX])
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	return read_stat_at(path, text);
}

static bool thread_busy(pid_t pid, pid_t tid)
{
	char path[64], text[STAT_MAX];
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	const char *stat = tid == gettid() ? NULL : read_stat_at(path, text);
	return stat && *stat && strchr("RD", stat[1]);
}

static bool children_busy(pid_t pid, pid_t tid)
{
	char path[64];
	int child;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)tid);
	FILE *children = fopen(path, "re");
	bool busy = false;
	while (children && !busy && fscanf(children, "%d", &child) == 1)
		busy = process_busy((pid_t)child);
	if (children)
		fclose(children);
	return busy;
}

bool process_busy(pid_t pid)
{
	char path[64];
	bool busy = false;
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *threads = opendir(path);
	for (struct dirent *thread; threads && !busy && (thread = readdir(threads));) {
		pid_t tid = (pid_t)atoi(thread->d_name);
		busy = tid > 0 && (thread_busy(pid, tid) || children_busy(pid, tid));
	}
	if (threads)
		closedir(threads);
	return busy;
}

/* The state letter and the parent; false when there is no such process. */
static bool process_stat(pid_t pid, char *ret_state, pid_t *ret_parent)
{
	char text[STAT_MAX];
	const char *stat = read_stat(pid, text);
	return stat && sscanf(stat, " %c %d", ret_state, ret_parent) == 2;
}

int64_t process_cpu_ms(pid_t pid)
{
	char text[STAT_MAX];
	long user = 0, system = 0, ticks = sysconf(_SC_CLK_TCK);
	const char *stat = read_stat(pid, text);
	/* state parent group session tty tty-group flags, four counts of page faults */
	if (!stat || sscanf(stat, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user,
	                    &system) != 2)
		return 0;
	return (int64_t)(user + system) * 1000 / ticks;
}

bool process_alive(pid_t pid)
{
	char state;
	pid_t parent;
	return process_stat(pid, &state, &parent) && state != 'Z' && state != 'X';
}

size_t process_children(pid_t pid, pid_t *out, size_t cap)
{
	size_t count = 0;
	DIR *dir = opendir("/proc");
	cr_assert_not_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		char state;
		pid_t parent = 0, other = (pid_t)atoi(entry->d_name);
		if (other <= 0 || !process_stat(other, &state, &parent) || parent != pid)
			continue;
		if (count < cap)
			out[count] = other;
		count++;
	}
	closedir(dir);
	return count;
}

void process_pause(pid_t pid)
{
	siginfo_t info;
	cr_assert(pid > 0 && kill(pid, SIGSTOP) == 0);
	int rc;
	do
		rc = waitid(P_PID, (id_t)pid, &info, WSTOPPED);
	while (rc < 0 && errno == EINTR);
	cr_assert_eq(rc, 0, "%s", strerror(errno));
}

/* Somebody else's child cannot be waited for. */
static bool stands_still(void *context)
{
	char state = 0;
	pid_t parent;
	return !process_stat(*(pid_t *)context, &state, &parent) || strchr("TtZX", state);
}

enum { CHILDREN_MAX = 256, STOP_MS = 60000 };

static size_t signal_children(pid_t pid, int sig, pid_t children[CHILDREN_MAX])
{
	size_t count = process_children(pid, children, CHILDREN_MAX);
	if (count > CHILDREN_MAX)
		count = CHILDREN_MAX;
	for (size_t i = 0; i < count; i++)
		kill(children[i], sig);
	return count;
}

void process_pause_children(pid_t pid)
{
	pid_t children[CHILDREN_MAX];
	size_t count = signal_children(pid, SIGSTOP, children);
	for (size_t i = 0; i < count; i++)
		cr_assert(wait_until(stands_still, &children[i], STOP_MS), "%d runs on",
		          (int)children[i]);
}

void process_pause_tree(pid_t pid)
{
	process_pause(pid);                      /* it makes no more of them */
	process_pause_children(pid);
}

void process_resume_tree(pid_t pid)
{
	pid_t children[CHILDREN_MAX];
	cr_assert_eq(kill(pid, SIGCONT), 0);
	signal_children(pid, SIGCONT, children);
}

const char *file_text(struct arena *arena, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > FILE_MAX) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	char *text = arena_alloc(arena, (size_t)st.st_size + 1);
	cr_assert_not_null(text);
	ssize_t len = read(fd, text, (size_t)st.st_size);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	return text;
}

void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0, "%s: %s", path, strerror(errno));
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}
