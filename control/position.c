/* position.c - see position.h. */
#include "common/defs.h"
#include "control/position.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int position_compare(const struct position *a, const struct position *b)
{
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return 0;
}

const char *position_key(const char *prefix, const struct position *position,
                         char out[JOURNAL_KEY_MAX])
{
	snprintf(out, JOURNAL_KEY_MAX, "%s%016" PRIx64 "-%016" PRIx64, prefix,
	         (uint64_t)position->epoch, position->seq);
	return out;
}

int position_read(const char *prefix, const char *key, struct position *ret_position,
                  struct err *err)
{
	char again[JOURNAL_KEY_MAX];
	uint64_t epoch = 0, seq = 0;
	size_t len = strlen(prefix);
	bool fits = strncmp(key, prefix, len) == 0 &&
		sscanf(key + len, "%16" SCNx64 "-%16" SCNx64, &epoch, &seq) == 2;
	struct position position = { .epoch = (int64_t)epoch, .seq = seq };
	if (!fits || position.epoch <= 0 ||
	    strcmp(position_key(prefix, &position, again), key) != 0)
		return err_set(err, E_CORRUPT, "%s is no key of the journal", key);
	*ret_position = position;
	return 0;
}
