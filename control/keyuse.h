/* keyuse.h - when API keys were last used, coarsely: noted in this replica's memory, written to
 * r/keyuse/ID ({at, tenant}, unix ms) at most every few minutes a key by a thread of its own, and
 * never waited for. A hint for people: no decision rests on it. Any thread. */
#ifndef KEYUSE_H
#define KEYUSE_H

#include "common/text.h"
#include "control/catalog.h"

enum { KEYUSE_WRITE_MS = 5 * 60 * 1000, KEYUSE_LOOK_MS = 60 * 1000, KEYUSE_MOST = 8192 };

struct keyuse;
struct keyuse_conf {             /* all outlive it */
	struct clock *clock;
	struct store *store;
	struct catalog *catalog;
	const uint8_t *state_key;
};
MUST_USE int keyuse_new(const struct keyuse_conf *conf, struct keyuse **ret_keyuse,
                        struct err *err);
void keyuse_free(struct keyuse *keyuse);
DEFINE_AUTO(keyuse)

/* Of more than KEYUSE_MOST keys in use at one time some are not noted. */
void keyuse_note(struct keyuse *keyuse, const char *id, int64_t now_ms);
/* Unix ms of the last use that is known here; 0: none is. */
int64_t keyuse_last(struct keyuse *keyuse, struct arena *arena, const char *id);
/* Writes what is due, as the thread does by itself; what the thread has begun is written too
 * then. */
void keyuse_write(struct keyuse *keyuse);
/* "r/keyuse/ID". */
const char *keyuse_key(char out[STORE_KEY_MAX], const char *id);

#endif
