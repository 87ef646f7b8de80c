/* one_thread.h - for tests that are much work of one thread: ThreadSanitizer finds nothing in it,
 * and takes fifteen times as long. To be said first in such a test. */
#ifndef ONE_THREAD_H
#define ONE_THREAD_H

#include <criterion/criterion.h>

#ifdef __SANITIZE_THREAD__
#define ONE_THREAD() cr_skip_test("one thread's work")
#else
#define ONE_THREAD() ((void)0)
#endif

#endif
