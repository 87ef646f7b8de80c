/* attempt.c - what an attempt's slot thread and the poll loop share; struct and contract in run.h.
 */
#include "common/defs.h"
#include "worker/run.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void attempt_init(struct attempt *attempt)
{
	*attempt = (struct attempt){.progress = {.percent = -1}, .executor_fd = -1};
	pthread_mutex_init(&attempt->mutex, NULL);
	attempt->progress.phase = attempt->phase;
}

void attempt_release(struct attempt *attempt)
{
	pthread_mutex_destroy(&attempt->mutex);
}

void attempt_cancel(struct attempt *attempt)
{
	pthread_mutex_lock(&attempt->mutex);
	attempt->cancelled = true;
	__atomic_store_n(&attempt->stop, 1, __ATOMIC_RELEASE);
	if (attempt->executor_fd >= 0)
		(void)!syscall(SYS_pidfd_send_signal, attempt->executor_fd, SIGKILL, NULL, 0);
	pthread_mutex_unlock(&attempt->mutex);
}

int attempt_goes_on(struct attempt *attempt, struct err *err)
{
	pthread_mutex_lock(&attempt->mutex);
	bool cancelled = attempt->cancelled;
	pthread_mutex_unlock(&attempt->mutex);
	return cancelled ? err_set(err, E_CANCELLED, "the task was cancelled") : 0;
}

void attempt_progress(struct attempt *attempt, const char *phase, int64_t rows, int64_t bytes,
                      int percent)
{
	pthread_mutex_lock(&attempt->mutex);
	if (phase)
		snprintf(attempt->phase, sizeof attempt->phase, "%s", phase);
	attempt->progress = (struct progress){attempt->phase, rows, bytes, percent};
	pthread_mutex_unlock(&attempt->mutex);
}
