/* inputs.h - what of its inputs a task may read: what whoever it runs for may read by now
 * (control/behalf.h, control/reading.h). What the platform itself does reads everything: archives
 * and their history, rekeys, sweeps, erasures. */
#ifndef INPUTS_H
#define INPUTS_H

#include "control/reading.h"
#include "control/shard_work.h"

struct inputs {                      /* of one task; zero but for these three */
	struct control *control;
	struct arena *arena;
	const struct work *work;
	struct asker asker;              /* once known */
	bool known, nobody;
};
struct input {
	const char *by;                  /* domain of what names it, where an alias holds */
	const char *alias;               /* NULL: the reader's own tenant's */
	const char *tenant, *domain, *name;
	const struct value *stored, *schema;
};
/* E_DENIED, in a sentence for the task's owner. */
MUST_USE int inputs_restrict(struct inputs *inputs, const struct input *input,
			     struct restriction *ret_restriction, struct err *err);

#endif
