/* timetable.c - see timetable.h. */
#include "common/defs.h"
#include "control/timetable.h"

#include "common/clock.h"
#include "common/date.h"

#include <string.h>

static int read_time(const struct value *spec, const char *name, int64_t fallback,
                     int64_t *ret_ms, struct err *err)
{
	const char *text = value_get_str(spec, name);
	*ret_ms = fallback;
	if (!text || time_parse(text, ret_ms, err) == 0)
		return 0;
	return err_prefix(err, "spec.%s", name);
}

static int read_cron(const struct value *spec, struct timetable *timetable, struct err *err)
{
	const char *name = value_get_str(spec, "timeZone");
	timetable->pace = PACE_CRON;
	if (cron_parse(value_get_str(spec, "cron"), &timetable->cron, err) < 0)
		return err_prefix(err, "spec.cron");
	if (zone_open(name ? name : "UTC", &timetable->zone, err) < 0)
		return err_prefix(err, "spec.timeZone");
	return 0;
}

static int read_every(const struct value *spec, struct timetable *timetable, struct err *err)
{
	timetable->pace = PACE_EVERY;
	if (duration_parse(value_get_str(spec, "every"), &timetable->every_ms, err) < 0)
		return err_prefix(err, "spec.every");
	if (timetable->every_ms >= EVERY_LEAST_MS)
		return 0;
	return err_set(err, E_INVALID, "spec.every: is under 1s; give 1s or more");
}

static int read_pace(const struct value *spec, struct timetable *timetable, struct err *err)
{
	const char *trigger = value_get_str(spec, "trigger");
	bool cron = value_get(spec, "cron"), every = value_get(spec, "every");
	bool datasets = value_get(spec, "onDatasets");
	if (cron + every + datasets != 1)
		return err_set(err, E_INVALID, "spec: has %d of cron, every and onDatasets; give "
		               "exactly one", cron + every + datasets);
	if (value_get(spec, "timeZone") && !cron)
		return err_set(err, E_INVALID, "spec.timeZone: is for cron only; leave it out");
	if (trigger && !datasets)
		return err_set(err, E_INVALID, "spec.trigger: is for onDatasets only; leave it "
		               "out");
	timetable->all = trigger && strcmp(trigger, "all") == 0;
	timetable->pace = PACE_DATASETS;
	return cron ? read_cron(spec, timetable, err)
	            : every ? read_every(spec, timetable, err) : 0;
}

static enum catch_up catch_up_of(const char *name)
{
	if (name && strcmp(name, "latest") == 0)
		return CATCH_UP_LATEST;
	return name && strcmp(name, "none") == 0 ? CATCH_UP_NONE : CATCH_UP_ALL;
}

static int read_rest(const struct value *spec, int64_t created_ms, struct timetable *timetable,
                     struct err *err)
{
	int64_t active = value_get_int(spec, "maxActive", 1);
	TRY(read_time(spec, "start", created_ms, &timetable->start_ms, err));
	TRY(read_time(spec, "end", INT64_MAX, &timetable->end_ms, err));
	if (timetable->end_ms <= timetable->start_ms)
		return err_set(err, E_INVALID, "spec.end: lies before the start%s; give a later "
		               "end", value_get(spec, "start") ? "" : ", which is now");
	if (active < 1 || active > ACTIVE_MOST)
		return err_set(err, E_INVALID, "spec.maxActive: is %d to %d", 1, ACTIVE_MOST);
	timetable->active_max = (int)active;
	timetable->catch_up = catch_up_of(value_get_str(spec, "catchUp"));
	timetable->paused = value_get_bool(spec, "paused", false);
	return 0;
}

int timetable_read(const struct value *spec, int64_t created_ms,
                   struct timetable *ret_timetable, struct err *err)
{
	struct timetable timetable = { .pace = PACE_CRON };
	int rc = read_pace(spec, &timetable, err);
	if (rc == 0)
		rc = read_rest(spec, created_ms, &timetable, err);
	if (rc < 0)
		timetable_release(&timetable);
	else
		*ret_timetable = timetable;
	return rc;
}

void timetable_release(struct timetable *timetable)
{
	zone_free(timetable->zone);
	timetable->zone = NULL;
}

/* Of boundaries every so often: the last at or before. Far from the start they end. */
static int64_t last_every(const struct timetable *timetable, int64_t until_ms)
{
	int64_t distance = 0, steps = 0;
	if (__builtin_sub_overflow(until_ms, timetable->start_ms, &distance))
		return INT64_MIN;
	steps = date_floor(distance, timetable->every_ms);
	if (__builtin_mul_overflow(steps, timetable->every_ms, &distance) ||
	    __builtin_add_overflow(distance, timetable->start_ms, &distance))
		return INT64_MIN;
	return distance;
}

int64_t timetable_next(const struct timetable *timetable, int64_t after_ms)
{
	int64_t next = 0;
	if (timetable->pace == PACE_CRON)
		return cron_next(&timetable->cron, timetable->zone, after_ms);
	if (timetable->pace == PACE_DATASETS)
		return INT64_MAX;
	int64_t last = last_every(timetable, after_ms);
	bool over = __builtin_add_overflow(last, timetable->every_ms, &next);
	return last == INT64_MIN || over ? INT64_MAX : next;
}

int64_t timetable_last(const struct timetable *timetable, int64_t until_ms)
{
	if (timetable->pace == PACE_CRON)
		return cron_last(&timetable->cron, timetable->zone, until_ms);
	return timetable->pace == PACE_EVERY ? last_every(timetable, until_ms) : INT64_MIN;
}

bool timetable_whole(const struct timetable *timetable, int64_t from_ms, int64_t to_ms,
                     int64_t *ret_from_ms, int64_t *ret_to_ms)
{
	int64_t first = timetable_next(timetable, from_ms - 1);
	int64_t last = timetable_last(timetable, to_ms);
	if (first == INT64_MAX || last == INT64_MIN || first >= last)
		return false;
	*ret_from_ms = first;
	*ret_to_ms = last;
	return true;
}
