/* cedar_near.h - what a misspelt name may have meant. */
#ifndef CEDAR_NEAR_H
#define CEDAR_NEAR_H

#include "policy/cedar_value.h"

/* "; did you mean `x`?" of the candidate nearest to the word, or "" when none is near. first: a
 * struct cedar_str at the beginning of each of `count` things of `stride` bytes. */
const char *cedar_near(struct arena *arena, struct cedar_str word, const void *first, size_t stride,
		       size_t count);

#endif
