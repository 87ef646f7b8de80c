/* t_probe.c - a task that does nothing but pass through every part: sleepMs long. */
#include "common/defs.h"
#include "worker/run_impl.h"
#include "worker/shop.h"

#include <errno.h>
#include <time.h>

static int probe_work(struct shop *shop, struct err *err)
{
	(void)err;
	int64_t ms = value_get_int(value_get(shop->job, "work"), "sleepMs", 0);
	struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
	shop_phase(shop, "sleeping");
	while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
		;
	return 0;
}

const struct task_side probe_side = {run_open_nothing, probe_work, NULL, NULL};
