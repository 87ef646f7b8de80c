/* question.c - see question.h. */
#include "common/defs.h"
#include "control/question.h"

#include "control/dispatch.h"
#include "control/shard_archive.h"
#include "control/tenancy.h"

#include <stdatomic.h>

static int ask_worker(struct part *part, struct arena *arena, const struct question *question,
                      struct value **ret_result, struct err *err)
{
	struct control *control = part->control;
	int64_t now_ms = clock_unix_ms(control->clock);
	char id[ID_LEN + 1];
	uint8_t random[10];
	TRY(tenancy_needs(control, question->tenant, TENANCY_READ, err));
	random_bytes(random, sizeof random);
	id_make(now_ms, random, id);
	const struct platform_task made = { id, question->tenant, question->type, question->spec,
	                                    now_ms };
	TRY(shard_question(part->shard, &made, err));
	dispatch_wake(part->dispatch);
	return shard_question_wait(part->shard, id,
	                           clock_mono_ms(control->clock) + QUESTION_WAIT_MS, arena,
	                           ret_result, err);
}

/* A held request takes a thread: only so many may be held. */
int question_ask(struct part *part, struct arena *arena, const struct question *question,
                 struct value **ret_result, struct err *err)
{
	struct control *control = part->control;
	int rc = 0;
	if (atomic_fetch_add(&control->held, 1) < control->held_max)
		rc = ask_worker(part, arena, question, ret_result, err);
	else
		rc = err_set(err, E_UNAVAILABLE, "%d requests wait already, which is the most that "
		             "may; the history is read when one of them has ended",
		             control->held_max);
	atomic_fetch_sub(&control->held, 1);
	return rc;
}
