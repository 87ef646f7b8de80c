/* restore.h - a backup's archive into an empty store. What is written is whole or marked as
 * unfinished, which control refuses to start on; the same restore run again goes on. */
#ifndef RESTORE_H
#define RESTORE_H

#include "control/backup.h"
#include "control/era.h"

/* now_ms: unix. E_CONFLICT: the store is not empty, or holds another's unfinished restore;
 * nothing was written then. */
MUST_USE int restore(struct store *store, const uint8_t state_key[KEY_BYTES],
                     struct backup *backup, int64_t now_ms, struct era *ret_era,
                     struct err *err);

/* The objects that the archive's snapshots name: in folder (an object store's) with the length
 * they were written with. Told are those that are not. */
struct restore_objects {
	uint64_t named, bytes, missing;
	char example[512];           /* the first that is missing */
};
MUST_USE int restore_objects(struct backup *backup, const uint8_t state_key[KEY_BYTES],
                             const char *folder, struct restore_objects *ret_objects,
                             struct err *err);

#endif
