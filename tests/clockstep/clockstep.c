/* clockstep.c - preloaded into a process under test: its wall clock is the machine's plus a step
 * that the test writes into the file CLOCKSTEP_FILE (8 bytes, ms). The monotonic clock stays. */
#include "common/defs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *step_ms;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CLOCKSTEP_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *shared = fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (shared != MAP_FAILED)
		step_ms = shared;
	if (fd >= 0)
		close(fd);
}

static void add_step(struct timespec *time)
{
	int64_t step = step_ms ? *step_ms : 0;
	int64_t ns = time->tv_nsec + step % 1000 * 1000000;
	time->tv_sec += step / 1000 + (ns >= 1000000000) - (ns < 0);
	time->tv_nsec = ns >= 1000000000 ? ns - 1000000000 : ns < 0 ? ns + 1000000000 : ns;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, time);
	if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		add_step(time);
	return rc;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	time->tv_sec = now.tv_sec;
	time->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
