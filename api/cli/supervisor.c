/* supervisor.c - keeps children running. A child that dies soon after its start is started again
 * after a growing pause; ten such deaths in a row end the whole. */
#include "common/defs.h"
#include "api/cli/supervisor.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { QUICK_DEATH_MS = 5000, QUICK_DEATHS_MAX = 10, PAUSE_MS = 200, POLL_MS = 50 };

struct running_child {
	struct child child;
	pid_t pid; /* 0: not running */
	int64_t started_ms;
	int64_t restart_ms; /* when to start it again; 0: runs */
	int quick_deaths;
};

struct supervisor {
	struct running_child children[CHILDREN_MAX];
	int count;
	sigset_t signals;
};

int supervisor_new(struct supervisor **ret_supervisor, struct err *err)
{
	struct supervisor *supervisor = calloc(1, sizeof *supervisor);
	if (!supervisor)
		return err_set(err, E_NOMEM, "no memory for the supervisor");
	sigemptyset(&supervisor->signals);
	sigaddset(&supervisor->signals, SIGINT);
	sigaddset(&supervisor->signals, SIGTERM);
	sigaddset(&supervisor->signals, SIGHUP);
	sigaddset(&supervisor->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &supervisor->signals, NULL);
	*ret_supervisor = supervisor;
	return 0;
}

static int64_t now_ms(void)
{
	return clock_mono_ms(clock_system());
}

/* In the child. A group of its own keeps the terminal's Ctrl-C from it: we end it, in order. */
NORETURN static void become(const struct child *child, pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	int log = open(child->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(child->argv[0], (char *const *)child->argv);
	fprintf(stderr, "%s: %s\n", child->argv[0], strerror(errno));
	_exit(127);
}

static int spawn(struct running_child *running, struct err *err)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(err, errno, "%s cannot be started", running->child.name);
	if (pid == 0)
		become(&running->child, parent);
	running->pid = pid;
	running->started_ms = now_ms();
	running->restart_ms = 0;
	return 0;
}

int supervisor_start(struct supervisor *supervisor, const struct child *child, struct err *err)
{
	REQUIRE(supervisor->count < CHILDREN_MAX);
	struct running_child *running = &supervisor->children[supervisor->count];
	*running = (struct running_child){.child = *child};
	TRY(spawn(running, err));
	supervisor->count++;
	return 0;
}

static struct running_child *child_of(struct supervisor *supervisor, pid_t pid)
{
	for (int i = 0; i < supervisor->count; i++)
		if (supervisor->children[i].pid == pid)
			return &supervisor->children[i];
	return NULL;
}

/* Notes who has died and when it is to be started again. */
static int reap(struct supervisor *supervisor, struct err *err)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		struct running_child *running = child_of(supervisor, pid);
		if (!running)
			continue;
		int64_t now = now_ms();
		bool quick = now - running->started_ms < QUICK_DEATH_MS;
		running->quick_deaths = quick ? running->quick_deaths + 1 : 0;
		running->pid = 0;
		running->restart_ms = now + PAUSE_MS * running->quick_deaths;
		fprintf(stderr, "freehold: %s ended (%s %d), starting it again\n",
		        running->child.name, WIFSIGNALED(status) ? "signal" : "exit code",
		        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		if (running->quick_deaths >= QUICK_DEATHS_MAX)
			return err_set(err, E_UNAVAILABLE, "%s does not stay up; see %s",
			               running->child.name, running->child.log_file);
	}
	return 0;
}

static int restart_due(struct supervisor *supervisor, struct err *err)
{
	int64_t now = now_ms();
	for (int i = 0; i < supervisor->count; i++) {
		struct running_child *running = &supervisor->children[i];
		if (running->pid == 0 && now >= running->restart_ms)
			TRY(spawn(running, err));
	}
	return 0;
}

/* True when a signal asks for the end. */
static bool wait_signal(struct supervisor *supervisor, int ms)
{
	struct timespec most = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	int signal = sigtimedwait(&supervisor->signals, NULL, &most);
	return signal == SIGINT || signal == SIGTERM || signal == SIGHUP;
}

int supervisor_await(struct supervisor *supervisor, const char *name, supervisor_ready_fn *ready,
                     void *context, int timeout_ms, struct err *err)
{
	int64_t deadline = now_ms() + timeout_ms;
	while (ready(context, err) < 0) {
		if (wait_signal(supervisor, POLL_MS))
			return err_set(err, E_CANCELLED, "interrupted while %s was starting", name);
		for (int i = 0; i < supervisor->count; i++) {
			struct running_child *running = &supervisor->children[i];
			if (running->pid && waitpid(running->pid, NULL, WNOHANG) == running->pid) {
				running->pid = 0;
				return err_set(err, E_UNAVAILABLE, "%s did not start; see %s",
				               running->child.name, running->child.log_file);
			}
		}
		if (now_ms() > deadline)
			return err_prefix(err, "%s is not ready after %d s", name,
			                  timeout_ms / 1000);
	}
	return 0;
}

int supervisor_run(struct supervisor *supervisor, struct err *err)
{
	while (!wait_signal(supervisor, 200)) {
		TRY(reap(supervisor, err));
		TRY(restart_due(supervisor, err));
	}
	return 0;
}

static void end_child(struct running_child *running)
{
	if (running->pid == 0)
		return;
	kill(running->pid, SIGTERM);
	int64_t deadline = now_ms() + running->child.stop_ms;
	while (waitpid(running->pid, NULL, WNOHANG) == 0) {
		if (now_ms() > deadline)
			kill(running->pid, SIGKILL);
		struct timespec pause = {.tv_nsec = 5000000};
		nanosleep(&pause, NULL);
	}
	running->pid = 0;
}

void supervisor_free(struct supervisor *supervisor)
{
	if (!supervisor)
		return;
	for (int i = supervisor->count; i-- > 0;)
		end_child(&supervisor->children[i]);
	sigprocmask(SIG_UNBLOCK, &supervisor->signals, NULL);
	free(supervisor);
}
