/* backups.h - backups of the running control plane: the store at one revision, sealed, as a stream
 * to one client at a time. A thread of its own reads and seals as fast as the client takes. */
#ifndef BACKUPS_H
#define BACKUPS_H

#include "api/outflow.h"
#include "control/control.h"

#define BACKUP_TYPE "application/vnd.freehold.backup"
enum { BACKUPS_KEPT_MAX = 1024 * 1024 };         /* for http_answer_stream */

struct backups;
MUST_USE int backups_new(struct control *control, struct backups **ret_backups, struct err *err);
void backups_stop(struct backups *backups);      /* ends the one under way, for good */
void backups_free(struct backups *backups);      /* accepts NULL */
DEFINE_AUTO(backups)

/* E_BUSY: one is under way. */
MUST_USE int backups_check(struct backups *backups, struct err *err);
/* Writes one into outflow and ends that, which it takes over. What cannot be read to its end has no
 * trailer (control/backup.h), by which the client knows. */
void backups_pour(struct backups *backups, struct outflow *outflow);

#endif
