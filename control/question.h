/* question.h - what only a worker can tell, because control has no engine: a platform task that is
 * in no journal, whose answer comes in the report while the request is held
 * (control/shard_archive.h). */
#ifndef QUESTION_H
#define QUESTION_H

#include "control/control.h"

struct question {
	const char *tenant;
	enum task_type type;         /* task_is_question */
	const struct value *spec;
};
/* Blocks, QUESTION_WAIT_MS at most. E_UNAVAILABLE: no worker answered in time, or as many requests
 * wait as may; ask again. */
enum { QUESTION_WAIT_MS = 10000 };
MUST_USE int question_ask(struct part *part, struct arena *arena, const struct question *question,
                          struct value **ret_result, struct err *err);

#endif
