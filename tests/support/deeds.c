/* deeds.c - the rules: nothing acknowledged is lost, nothing is done twice, every task ends, the
 * bill is the sum of what was measured. */
#include "common/defs.h"
#include "tests/support/deeds.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool broken(char out[DEEDS_TEXT_MAX], const char *format, ...) PRINTF(2, 3);
static bool broken(char out[DEEDS_TEXT_MAX], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(out, DEEDS_TEXT_MAX, format, args);
	va_end(args);
	return false;
}

static int by_deed(const void *a, const void *b)
{
	return strcmp(((const struct deed *)a)->id, ((const struct deed *)b)->id);
}

static int by_found(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->id, ((const struct found *)b)->id);
}

static const struct found *find(const struct deeds *deeds, const char *id)
{
	struct found wanted;
	snprintf(wanted.id, sizeof wanted.id, "%s", id);
	return deeds->found_count == 0 ? NULL
	                               : bsearch(&wanted, deeds->found, deeds->found_count,
	                                         sizeof wanted, by_found);
}

static bool check_deeds(const struct deeds *deeds, char out[DEEDS_TEXT_MAX])
{
	for (size_t i = 0; i < deeds->deed_count; i++) {
		const struct deed *deed = &deeds->deeds[i];
		if (!deed->id[0])
			return broken(out, "the submission %s was never answered", deed->key);
		if (i > 0 && strcmp(deed[-1].id, deed->id) == 0)
			return broken(out, "the submissions %s and %s are one task, %s",
			              deed[-1].key, deed->key, deed->id);
		const struct found *found = find(deeds, deed->id);
		if (!found)
			return broken(out, "the acknowledged task %s of %s is lost", deed->id,
			              deed->key);
		if (found->tenant != deed->tenant)
			return broken(out, "the task %s is another tenant's", deed->id);
	}
	return true;
}

static bool check_found(const struct deeds *deeds, char out[DEEDS_TEXT_MAX])
{
	int64_t rows = 0;
	for (size_t i = 0; i < deeds->found_count; i++) {
		const struct found *found = &deeds->found[i];
		if (i > 0 && strcmp(found[-1].id, found->id) == 0)
			return broken(out, "the task %s is listed twice", found->id);
		if (!found->ended)
			return broken(out, "the task %s does not end: %s", found->id, found->state);
		if (found->writes && found->succeeded && found->rows != deeds->rows_each)
			return broken(out, "the task %s wrote %" PRId64 " rows and not %" PRId64,
			              found->id, found->rows, deeds->rows_each);
		rows += found->writes && found->succeeded ? found->rows : 0;
	}
	if (deeds->found_count != deeds->deed_count)
		return broken(out, "%zu tasks were asked for and there are %zu", deeds->deed_count,
		              deeds->found_count);
	if (rows != deeds->dataset_rows)
		return broken(out,
		              "tasks that succeeded wrote %" PRId64
		              " rows and the dataset has %" PRId64,
		              rows, deeds->dataset_rows);
	return true;
}

static bool check_bill(const struct deeds *deeds, char out[DEEDS_TEXT_MAX])
{
	struct amounts sums[DEEDS_TENANTS] = {{{0}}};
	for (size_t i = 0; i < deeds->found_count; i++)
		amounts_add(&sums[deeds->found[i].tenant], &deeds->found[i].used);
	for (int t = 0; t < DEEDS_TENANTS; t++)
		for (int dim = 0; dim < DIM_COUNT_; dim++)
			if (sums[t].v[dim] != deeds->used[t].v[dim])
				return broken(out,
				              "tenant %d: the bill says %s %" PRId64 " and its "
				              "tasks add up to %" PRId64,
				              t, dim_info[dim].name, deeds->used[t].v[dim],
				              sums[t].v[dim]);
	return true;
}

bool deeds_check(struct deeds *deeds, char out[DEEDS_TEXT_MAX])
{
	if (deeds->deed_count > 0)
		qsort(deeds->deeds, deeds->deed_count, sizeof *deeds->deeds, by_deed);
	if (deeds->found_count > 0)
		qsort(deeds->found, deeds->found_count, sizeof *deeds->found, by_found);
	return check_deeds(deeds, out) && check_found(deeds, out) && check_bill(deeds, out);
}
