/* core.h - what a core of a process would hold, without the kernel writing one: every mapping that
 * can be read, but for those left out of cores (MADV_DONTDUMP: "dd" in /proc/PID/smaps). It is more
 * than a real core has, which leaves most files' mappings out. The process should be stopped. */
#ifndef TESTS_SUPPORT_CORE_H
#define TESTS_SUPPORT_CORE_H

#include "common/defs.h"

#include <sys/types.h>

enum { NEEDLES_MAX = 4096, NEEDLE_MAX = 64 };

struct needle {
	char name[64];
	uint8_t bytes[NEEDLE_MAX];
	size_t len;                  /* 16 at least */
};
struct needles {
	struct needle at[NEEDLES_MAX];
	size_t count;
};
/* Adds both halves of a key, each by itself: a half would be a find, too. */
void needle_key(struct needles *needles, const char *name, const uint8_t *key, size_t len);
void needle_text(struct needles *needles, const char *name, const char *text);

/* Adds what a process keeps in locked memory (crypto.h), whatever it is, in blocks of 16 bytes:
 * those that are not text and are not among the known ones, which are public. false: this process
 * may not read that one's memory. */
bool core_locked(pid_t pid, const char *what, const struct needles *known,
                 struct needles *needles);

struct core_found { size_t mappings, bytes, left_out, hits; char text[4096]; };
/* false: this process may not read that one's memory. what: of the process, for the text. */
bool core_hunt(pid_t pid, const char *what, const struct needles *needles,
               struct core_found *found);

#endif
