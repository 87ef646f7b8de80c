/* cedar_conformance.c - runs folders of Cedar's cases: cedar-conformance DIR...
 * Prints each difference and counts per kind; exits with 1 on a difference. */
#include "common/defs.h"
#include "tests/support/cedar_cases.h"

int main(int argc, char **argv)
{
	struct cedar_tally tally = { .report = stdout };
	bool readable = argc > 1;
	if (argc < 2)
		fprintf(stderr, "usage: %s DIR...\n", argv[0]);
	for (int i = 1; i < argc; i++) {
		if (cedar_cases_run(argv[i], &tally))
			continue;
		fprintf(stderr, "%s: cannot be read as a folder of cases\n", argv[i]);
		readable = false;
	}
	printf("%-12s %zu, of which %zu unreadable\n", "cases", tally.cases, tally.unreadable);
	for (size_t i = 0; i < CHECK_COUNT_; i++)
		printf("%-12s %zu passed, %zu failed\n", cedar_check_name(i), tally.passed[i],
		       tally.failed[i]);
	printf("%zu passed, %zu failed\n", cedar_tally_passed(&tally), cedar_tally_failed(&tally));
	return readable && cedar_tally_failed(&tally) == 0 ? 0 : 1;
}
