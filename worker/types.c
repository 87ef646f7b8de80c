/* types.c - the table behind types.h. */
#include "common/defs.h"
#include "worker/types.h"

const struct task_side *task_side(enum task_type type)
{
	static const struct task_side *const sides[TASK_COUNT_] = {
#define TASK(id, name, action, FIELDS) [TASK_##id] = &name##_side,
#include "api/tasks.def"
#undef TASK
	};
	REQUIRE(type > TASK_NONE && type < TASK_COUNT_);
	return sides[type];
}
