/* names.h - texts that many hold, each kept once. Not thread-safe: its owner's mutex guards it. */
#ifndef NAMES_H
#define NAMES_H

#include "control/hashmap.h"

struct names { struct hashmap map; };

void names_init(struct names *names, uint64_t seed);
void names_release(struct names *names);         /* all, whoever still holds one */
/* The same pointer for the same text, until it was put as often as it was got. NULL: no memory. */
const char *names_get(struct names *names, const char *text);
void names_put(struct names *names, const char *text);   /* accepts NULL */

#endif
