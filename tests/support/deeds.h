/* deeds.h - a history and its checker: what clients asked for and were told, what is found
 * afterwards, and the rules that must hold whatever happened in between. Knows nothing of how the
 * history came to be. */
#ifndef TESTS_SUPPORT_DEEDS_H
#define TESTS_SUPPORT_DEEDS_H

#include "common/text.h"
#include "tenant/quota.h"

enum { DEEDS_TENANTS = 2, DEEDS_TEXT_MAX = 320 };

/* A submission with its own Idempotency-Key, repeated until it was answered with an id. */
struct deed {
	char key[32], id[ID_LEN + 1]; /* id "": never answered */
	int tenant;
};

/* A task as it is found in the end. */
struct found {
	char id[ID_LEN + 1];
	int tenant;
	bool ended, succeeded, writes;
	int64_t rows;        /* of its outputs */
	struct amounts used; /* of all its attempts */
	char state[160];     /* as it is told, for who reads the fault */
};

struct deeds {
	struct deed *deeds;
	size_t deed_count;
	struct found *found;
	size_t found_count;
	int64_t rows_each;                  /* what a task that writes adds to its dataset */
	int64_t dataset_rows;               /* what the dataset has */
	struct amounts used[DEEDS_TENANTS]; /* as the bill says */
};

/* Sorts both lists by id. False: a rule does not hold, and out says which and where. */
bool deeds_check(struct deeds *deeds, char out[DEEDS_TEXT_MAX]);

#endif
