/* logdir.h - a folder that holds a copy of a log, as a monitor keeps one:
 *
 *   key                the log's public key, as it was when the copy was begun
 *   checkpoint         the newest
 *   checkpoints/SIZE   every one that a copy was made of
 *   tile/...           tiles and entries (C2SP tlog-tiles)
 *
 * It is brought up to date only by a log that goes on from what is there. */
#ifndef LOGDIR_H
#define LOGDIR_H

#include "api/logcheck.h"

struct logdir;
/* make: creates what is missing. Else E_NOT_FOUND. */
MUST_USE int logdir_open(const char *path, bool make, struct logdir **ret_dir, struct err *err);
void logdir_free(struct logdir *dir);
DEFINE_AUTO(logdir)
struct log_files logdir_files(struct logdir *dir);       /* borrows it */

/* The text of its file "key"; E_NOT_FOUND. */
MUST_USE int logdir_key(struct logdir *dir, struct note_verifier *ret_verifier, struct err *err);
MUST_USE int logdir_set_key(struct logdir *dir, const struct note_verifier *verifier,
                            struct err *err);
/* All of it, with the checkpoints that it has kept and `since`, one more (NULL: none); files that
 * are no part of the log are found as well. */
MUST_USE int logdir_check(struct logdir *dir, const struct note_verifier *verifier,
                          const char *since, struct arena *arena,
                          struct logchecked *ret_checked, struct err *err);

struct logdir_updated { uint64_t before, size; };
/* Copies what is new. E_CORRUPT: the log there is not the one here with more behind it; what is
 * here stays as it is then. Whatever is interrupted, the same call goes on. */
MUST_USE int logdir_update(struct logdir *dir, const struct note_verifier *verifier,
                           const struct log_files *from, struct arena *arena,
                           struct logdir_updated *ret_updated, struct err *err);

#endif
