/* b_idle.c - what a Freehold that has been used and now rests takes of the machine, from the
 * kernel. */
#include "common/defs.h"
#include "tests/bench/bench.h"

#include "tests/bench/system.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SETTLE_S = 3, WATCH_S = 10, EXECUTORS_MAX = 64 };

/* user + system, seconds */
static double cpu_s(int pid)
{
	char path[64];
	unsigned long user = 0, kernel = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	if (file && fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			   &user, &kernel) != 2)
		user = kernel = 0;
	if (file)
		fclose(file);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* A line of /proc/PID/status, in MB. */
static double memory_mb(int pid, const char *member)
{
	char path[64], line[256], form[64];
	double kib = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	snprintf(form, sizeof form, "%s: %%lf kB", member);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, form, &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib * 1024 / 1e6;
}

static void rest(double seconds)
{
	struct timespec pause = {(time_t)seconds,
				 (long)((seconds - (double)(time_t)seconds) * 1e9)};
	nanosleep(&pause, NULL);
}

int bench_idle(struct bench *bench, struct err *err)
{
	struct bench_system *system;
	int executors[EXECUTORS_MAX];
	double executors_mb = 0;
	TRY(system_get(bench, &system, err));
	int control = system_process(system, "freehold-control");
	int worker = system_process(system, "freehold-worker");
	if (!control || !worker)
		return err_set(err, E_INTERNAL,
			       "freehold dev has no control or no worker below it");
	rest(SETTLE_S);
	double control_s = cpu_s(control), worker_s = cpu_s(worker), began = now_s();
	rest(bench->scale < 1 ? 2 : WATCH_S);
	double took = now_s() - began;
	control_s = cpu_s(control) - control_s;
	worker_s = cpu_s(worker) - worker_s;
	size_t count = process_list(worker, executors, EXECUTORS_MAX);
	for (size_t i = 0; i < count; i++)
		executors_mb += memory_mb(executors[i], "RssAnon");
	bench_figure(bench, FIGURE_idle_control_cpu, control_s / took * 100, 0);
	bench_figure(bench, FIGURE_idle_control_memory, memory_mb(control, "VmRSS"), 0);
	bench_figure(bench, FIGURE_idle_worker_cpu, worker_s / took * 100, 0);
	bench_figure(bench, FIGURE_idle_worker_memory, memory_mb(worker, "VmRSS"), 0);
	bench_figure(bench, FIGURE_idle_executors_memory, executors_mb, 0);
	return 0;
}
