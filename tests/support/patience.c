/* patience.c - ends a hanging test with SIGKILL from the kernel: whatever it blocks, and when it
 * is stopped too. Criterion's own timeout is for no test here: the thread that counts its time and
 * the one that takes it back wait for each other for ever, now and then (Criterion issue 345). */
#include "common/defs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 240 };

/* Criterion runs each test in a process of this name. */
__attribute__((constructor)) static void count_the_time(void)
{
	if (strcmp(program_invocation_name, "boxfort-worker") != 0)
		return;
	const char *said = getenv("PATIENCE_S");
	struct sigevent kill_it = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	struct itimerspec once = {.it_value.tv_sec = said ? atoi(said) : PATIENCE_S};
	timer_t timer;
	if (timer_create(CLOCK_MONOTONIC, &kill_it, &timer) != 0 ||
	    timer_settime(timer, 0, &once, NULL) != 0)
		abort();
}
