/* test_cedar.c - Cedar's own cases: the hand-written ones, and the corpus (3,957 cases of eight
 * requests), which is kept packed. The counts are held, so that a case that is not read is
 * noticed. */
#include "common/defs.h"
#include "tests/support/cedar_cases.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDER "tests/conformance/cedar"

static void run(const char *folder, struct cedar_tally *tally)
{
	tally->report = stderr;
	cr_assert(cedar_cases_run(folder, tally), "%s cannot be read", folder);
	cr_assert_eq(cedar_tally_failed(tally), 0, "%zu differ", cedar_tally_failed(tally));
}

Test(cedar, decides_the_hand_written_cases)
{
	struct cedar_tally tally = { 0 };
	run(FOLDER "/tests", &tally);
	cr_assert_eq(tally.cases, 22, "%zu cases", tally.cases);
	cr_assert_eq(tally.passed[CHECK_DECISION], 74);
	cr_assert_eq(tally.passed[CHECK_VALIDATION], 22);
}

Test(cedar, decides_and_validates_the_corpus)
{
	struct cedar_tally tally = { 0 };
	char folder[] = "/tmp/freehold-cedar-XXXXXX", command[256];
	cr_assert_not_null(mkdtemp(folder));
	snprintf(command, sizeof command, "tar -xzf " FOLDER "/corpus.tar.gz -C %s", folder);
	cr_assert_eq(system(command), 0, "tar fails");
	bool read = cedar_cases_run(folder, &tally);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
	cr_assert(read);
	cr_assert_eq(tally.cases, 3957, "%zu cases", tally.cases);
	cr_assert_eq(cedar_tally_failed(&tally), 0, "%zu differ", cedar_tally_failed(&tally));
	cr_assert_eq(tally.passed[CHECK_DECISION], 3957 * 8);
	cr_assert_eq(tally.passed[CHECK_VALIDATION], 3957);
}

Test(cedar, tells_a_wrong_expectation)
{
	struct cedar_tally tally = { 0 };
	char folder[] = "/tmp/freehold-cedar-XXXXXX", command[512];
	cr_assert_not_null(mkdtemp(folder));
	snprintf(command, sizeof command, "cp -r " FOLDER "/sample-data " FOLDER "/tests %s && "
	         "sed -i 's/\"decision\": \"allow\"/\"decision\": \"deny\"/' %s/tests/ip/1.json",
	         folder,
	         folder);
	cr_assert_eq(system(command), 0);
	bool read = cedar_cases_run(folder, &tally);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
	cr_assert(read);
	cr_assert_gt(tally.failed[CHECK_DECISION], 0);
	cr_assert_eq(tally.failed[CHECK_REASONS], 0);
}
