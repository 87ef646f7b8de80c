/* patience.c - ends a hanging test with SIGKILL from the kernel: whatever it blocks, and when it is
 * stopped too (Criterion's own timeout is a SIGPROF). Shortly before, it says where its threads
 * stand, for `addr2line -e PROGRAM +0x...`. */
#include "common/defs.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 240, LAST_WORDS_S = 5, FRAMES = 20, LINE_MAX = 1500, FILE_TEXT_MAX = 160 };

static void read_line(const char *tid, const char *name, char text[FILE_TEXT_MAX])
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%.20s/%s", tid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, FILE_TEXT_MAX - 1);
	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = 0;
	text[strcspn(text, "\n")] = 0;
}

static void say(char *line, size_t len)
{
	line[len] = '\n';
	(void)!write(STDERR_FILENO, line, len + 1);
}

static void say_own_stack(void)
{
	void *frames[FRAMES];
	char line[LINE_MAX];
	int count = backtrace(frames, FRAMES);
	size_t len = (size_t)snprintf(line, sizeof line, "[----] thread %d:", (int)gettid());
	for (int i = 1; i < count && len < LINE_MAX - 200; i++) {
		Dl_info in = {0};
		const char *base = dladdr(frames[i], &in) ? strrchr(in.dli_fname, '/') : NULL;
		len += (size_t)snprintf(line + len, 160, " %.40s %.60s+0x%zx", base ? base : "",
		                        in.dli_sname ? in.dli_sname : "",
		                        (size_t)((char *)frames[i] - (char *)in.dli_fbase));
	}
	say(line, len);
}

/* Each thread tells its own; of one that takes no signals the kernel tells the call it is in. */
static void ask_all(void)
{
	char name[FILE_TEXT_MAX], call[FILE_TEXT_MAX], line[LINE_MAX];
	DIR *threads = opendir("/proc/self/task");
	for (struct dirent *thread; threads && (thread = readdir(threads));) {
		pid_t tid = (pid_t)atoi(thread->d_name);
		if (tid <= 0)
			continue;
		read_line(thread->d_name, "comm", name);
		read_line(thread->d_name, "syscall", call);
		say(line, (size_t)snprintf(line, sizeof line, "[----] thread %d %s hangs: %s",
		                           (int)tid, name, call));
		if (tid != gettid())
			tgkill(getpid(), tid, SIGPROF);
	}
	if (threads)
		closedir(threads);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if (info->si_code == SI_TIMER)
		ask_all();
	say_own_stack();
}

static void after(int seconds, int number)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
	const struct itimerspec once = {.it_value.tv_sec = seconds};
	timer_t timer;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
	    timer_settime(timer, 0, &once, NULL) != 0)
		abort();
}

/* Criterion runs each test in a process of this name. */
__attribute__((constructor)) static void count_the_time(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	if (strcmp(program_invocation_name, "boxfort-worker") != 0)
		return;
	const char *said = getenv("PATIENCE_S");
	int seconds = said ? atoi(said) : PATIENCE_S;
	sigaction(SIGPROF, &action, NULL);
	after(seconds - LAST_WORDS_S, SIGPROF);
	after(seconds, SIGKILL);
}
