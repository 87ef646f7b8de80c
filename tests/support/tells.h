/* tells.h - whether an answer says a word. Ids are random letters and digits: one may spell any
 * word of a few letters, and says nothing by it. */
#ifndef TESTS_SUPPORT_TELLS_H
#define TESTS_SUPPORT_TELLS_H

#include "common/defs.h"

/* The word stands somewhere, other than inside of what is as long as an id and as plain. text
 * NULL: it does not. */
bool tells(const char *text, const char *word);
bool tells_in(const void *bytes, size_t len, const char *word);

#endif
