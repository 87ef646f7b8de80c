/* measure.c - how figures are taken: turns, quantiles, child processes. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 64 };

double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double quantile(double *samples, size_t count, double q)
{
	REQUIRE(count > 0);
	qsort(samples, count, sizeof *samples, by_size);
	size_t at = (size_t)(q * (double)count);
	return samples[at < count ? at : count - 1];
}

int bench_turns(size_t rounds, measure_fn *value, measure_fn *floor, void *context,
		double *ret_value, double *ret_floor, struct err *err)
{
	double values[ROUNDS_MAX], floors[ROUNDS_MAX];
	REQUIRE(rounds > 0 && rounds <= ROUNDS_MAX);
	TRY(floor(context, floors, err));
	TRY(value(context, values, err));
	for (size_t i = 0; i < rounds; i++) {
		TRY(floor(context, &floors[i], err));
		TRY(value(context, &values[i], err));
	}
	*ret_value = quantile(values, rounds, 0.5);
	*ret_floor = quantile(floors, rounds, 0.5);
	return 0;
}

/* ---- ports ---- */

static bool port_free(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	if (fd >= 0)
		close(fd);
	return bound;
}

int ports_free(int first, int last, int count)
{
	for (int port = first; port < last; port += count) {
		int free = 0;
		while (free < count && port_free(port + free))
			free++;
		if (free == count)
			return port;
	}
	return 0;
}

/* ---- children ---- */

/* In the child: fd becomes its output. Never returns. */
NORETURN static void become(const char *const *argv, const char *env, int out, bool errors)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	if (errors)
		dup2(out, STDERR_FILENO);
	if (env)
		putenv((char *)env);
	execvp(argv[0], (char *const *)argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int ended_well(const char *name, int status, const char *said, struct err *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	size_t len = strlen(said);
	return err_set(err, E_INTERNAL, "%s ended with status %d: %s", name,
		       WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
		       said + (len > 300 ? len - 300 : 0));
}

int process_run(const char *const *argv, const char *env, char *out, size_t cap, struct err *err)
{
	int ends[2], status = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(err, errno, "a pipe");
	pid_t pid = fork();
	if (pid == 0)
		become(argv, env, ends[1], true);
	close(ends[1]);
	size_t len = 0;
	ssize_t n = 1;
	char rest[4096];
	while (pid > 0 && n > 0) {
		bool room = len < cap - 1;
		n = read(ends[0], room ? out + len : rest, room ? cap - 1 - len : sizeof rest);
		len += room && n > 0 ? (size_t)n : 0;
	}
	close(ends[0]);
	out[len] = 0;
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_errno(err, errno, "a child process");
	return ended_well(argv[0], status, out, err);
}

int process_start(const char *const *argv, const char *log, int *ret_pid, struct err *err)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, errno, "%s", log);
	pid_t pid = fork();
	if (pid == 0)
		become(argv, NULL, fd, true);
	close(fd);
	if (pid < 0)
		return err_errno(err, errno, "a child process");
	*ret_pid = pid;
	return 0;
}

int process_stop(int pid, int signal, struct err *err)
{
	int status = 0;
	if (kill(pid, signal) < 0 || waitpid(pid, &status, 0) < 0)
		return err_errno(err, errno, "ending a child process");
	return 0;
}

static int parent_of(int pid)
{
	char path[64];
	int parent = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	if (file && fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1)
		parent = 0;
	if (file)
		fclose(file);
	return parent;
}

size_t process_list(int parent, int *ret_pids, size_t max)
{
	size_t count = 0;
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	while (processes && count < max && (entry = readdir(processes))) {
		int pid = atoi(entry->d_name);
		if (pid > 0 && parent_of(pid) == parent)
			ret_pids[count++] = pid;
	}
	if (processes)
		closedir(processes);
	return count;
}
