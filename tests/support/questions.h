/* questions.h - every text parameter of every GET of api/operations.def, for tests that cannot see
 * api/operation.h beside their own answers. */
#ifndef TESTS_SUPPORT_QUESTIONS_H
#define TESTS_SUPPORT_QUESTIONS_H

#include "common/defs.h"

typedef void question_fn(void *context, const char *path, const char *parameter);
void questions(question_fn *visit, void *context);

#endif
