/* cedar_cases.h - cases in the format of Cedar's integration tests: folders of JSON files, each
 * with policies, entities, a schema, requests and what is expected of them. */
#ifndef CEDAR_CASES_H
#define CEDAR_CASES_H

#include "common/defs.h"

#include <stdio.h>

enum cedar_check { CHECK_DECISION, CHECK_REASONS, CHECK_ERRORS, CHECK_VALIDATION, CHECK_COUNT_ };

struct cedar_tally {
	FILE *report;                /* where differences go; NULL: nowhere */
	size_t cases, unreadable;
	size_t passed[CHECK_COUNT_], failed[CHECK_COUNT_];
};

const char *cedar_check_name(enum cedar_check check);
/* All cases in the folder and below. False when it cannot be read. */
bool cedar_cases_run(const char *folder, struct cedar_tally *tally);
/* Unreadable cases count as failed. */
size_t cedar_tally_passed(const struct cedar_tally *tally);
size_t cedar_tally_failed(const struct cedar_tally *tally);

#endif
