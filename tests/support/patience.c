/* patience.c - how long a test may take that says nothing of it, so that one that hangs fails:
 * Criterion's --timeout only cuts short what tests and suites say themselves. */
#include "common/defs.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>

enum { PATIENCE_S = 240 };

static void give(const struct criterion_suite_set *suite)
{
	double own = suite->suite.data ? suite->suite.data->timeout : 0;
	FOREACH_SET(struct criterion_test *test, suite->tests)
		if (own <= 0 && test->data->timeout <= 0)
			test->data->timeout = PATIENCE_S;
}

ReportHook(PRE_ALL)(struct criterion_test_set *all)
{
	FOREACH_SET(struct criterion_suite_set *suite, all->suites)
		if (suite->tests)
			give(suite);
}
