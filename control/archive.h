/* archive.h - when and what leaves the leader's memory: a thread that submits archive tasks for
 * ended tasks, sweeps for orphaned objects and signs audit logs (control/auditlog.h), and what an
 * archive task's grant says. Ended tasks
 * become rows of the tenant's dataset freehold.tasks (control/home.h); the same commit that
 * publishes the rows ends the archive task, and with it the tasks leave. A crash before leaves
 * them in memory, a crash after in the history. */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include "control/home.h"
#include "control/shard_auditstore.h"

struct archive_conf {
	struct leave_rules rules;    /* all 0: 1,000 that ended a minute ago, or any that ended an
	                              * hour ago; dead ones after 7 days */
	int64_t look_ms;             /* between two looks; 0: 1 s */
	int64_t sweep_every_ms;      /* of a tenant's objects; 0: a day; negative: never */
	struct store_rules audit;    /* all 0: 1,000 events, or any that is 5 minutes old */
};
struct archive;
/* E_INVALID: the rules contradict each other; the sentence names their settings. */
MUST_USE int archive_new(struct part *part, const struct archive_conf *conf,
                         struct archive **ret_archive, struct err *err);
void archive_free(struct archive *archive);
DEFINE_AUTO(archive)

/* How long an ended task stays at least. archive NULL: the default. */
int64_t archive_young_ms(const struct part *part);
/* One look, at once: submits what is due, as the thread does. */
MUST_USE int archive_look(struct part *part, const struct leave_rules *rules, size_t *ret_submitted,
                          struct err *err);
/* Submits a platform task with what it needs of the tenant's home, and waits until it is durable.
 * E_CONFLICT: one is under way. */
MUST_USE int archive_submit(struct part *part, const struct platform_task *made, struct err *err);

/* For planning: the rows of the tasks that an archive task names. E_CONFLICT: one of them runs
 * again. */
MUST_USE int archive_rows(struct control *control, struct arena *arena, const struct work *work,
                          const char **ret_rows, struct err *err);
/* Whether the next archive task is to join the history's files into one. */
bool archive_joins(const struct snapshot *history);

#endif
