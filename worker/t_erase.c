/* t_erase.c - deletes every object of a tenant that is erased. What lies below its folder goes,
 * whatever it is: nothing there opens any more. It may run twice, late, or after half of it was
 * done: what is gone is not there. */
#include "common/defs.h"
#include "worker/run_impl.h"
#include "worker/shop.h"

#include <inttypes.h>

enum { TELL_EVERY = 256 };

struct erase {
	struct run *run;
	int64_t until_mono_ms;
	int64_t seen, deleted, deleted_bytes;
};

static int go_on(const struct erase *erase, struct err *err)
{
	TRY(attempt_goes_on(erase->run->attempt, err));
	if (clock_mono_ms(erase->run->runner->clock) > erase->until_mono_ms)
		return err_set(err, E_RESOURCES, "erasing took longer than its deadline; %" PRId64
		               " objects were deleted, and the next attempt goes on",
		               erase->deleted);
	return 0;
}

static int visit(void *context, const struct object_info *info, struct err *err)
{
	struct erase *erase = context;
	int64_t bytes = (int64_t)info->len;
	if (erase->seen++ % TELL_EVERY == 0) {
		TRY(go_on(erase, err));
		attempt_progress(erase->run->attempt, "erasing", erase->deleted,
		                 erase->deleted_bytes, -1);
	}
	int rc = object_delete(erase->run->runner->objects, info->path, err);
	if (rc < 0 && rc != E_NOT_FOUND)         /* that: another attempt did */
		return rc;
	erase->deleted += rc == 0;
	erase->deleted_bytes += rc == 0 ? bytes : 0;
	return 0;
}

/* --- its steps --- */

static int erase_work(struct shop *shop, struct err *err)
{
	(void)err;
	shop_phase(shop, "erasing");
	return 0;
}

/* In the agent: an executor sees no objects. */
static int erase_seal(struct run *run, struct err *err)
{
	struct erase erase = {
		.run = run,
		.until_mono_ms = clock_mono_ms(run->runner->clock) +
			run->grant->limits.deadline_ms,
	};
	struct value *told = value_map(run->arena);
	const char *prefix = arena_printf(run->arena, "%s/", run->grant->tenant);
	if (!prefix)
		return err_set(err, E_NOMEM, "no memory to erase a tenant's objects");
	TRY(object_list(run->runner->objects, prefix, visit, &erase, err));
	value_set_int(told, "objectsSeen", erase.seen);
	value_set_int(told, "objectsDeleted", erase.deleted);
	value_set_int(told, "bytesDeleted", erase.deleted_bytes);
	run->told = told;
	return value_check(told, err);
}

const struct task_side erase_side = {run_open_nothing, erase_work, NULL, erase_seal};
