/* tasks.c - tasks.def as tables, and the limits any task may ask for. */
#include "common/defs.h"
#include "api/tasks.h"

#include "common/clock.h"
#include "common/text.h"

#include <inttypes.h>
#include <string.h>

#define REQUIRED true
#define OPTIONAL false
#define ROW(kind, name, need, arg, sub, doc) { FIELD_##kind, need, #name, arg, sub, doc },
#define FIELD_END { FIELD_TEXT, false, NULL, NULL, NULL, NULL }

#define TASK(id, name, action, FIELDS) \
	static const struct field name##_fields[] = { FIELDS(ROW) FIELD_END };
#include "api/tasks.def"
#undef TASK

const struct task_info task_info[TASK_COUNT_] = {
#define TASK(id, name, action, FIELDS) { #name, name##_fields, false },
#define PLATFORM_TASK(id, name, FIELDS) { #name, name##_fields, true },
#include "api/tasks.def"
#undef TASK
};

#define SECOND_MS INT64_C(1000)
#define DAY_MS (24 * 3600 * SECOND_MS)
#define MEMORY_MIN (64 * MIB)

static const struct field retry_fields[] = {
	{ FIELD_DURATION, false, "firstDelay", NULL, NULL,
	  "before the second attempt, half of it random; doubles with each; 100ms to 1h" },
	{ FIELD_DURATION, false, "mostDelay", NULL, NULL, "not doubled beyond; 100ms to 24h" },
	FIELD_END
};

const struct field task_limit_fields[] = {
	{ FIELD_DURATION, false, "deadline", NULL, NULL,
	  "of one attempt, 1s to 24h; default 10m" },
	{ FIELD_INT, false, "memoryBytes", "1099511627776", NULL,
	  "of one attempt, at least 67108864; default 1073741824" },
	{ FIELD_INT, false, "threads", "256", NULL, "of one attempt, at least 1; default 2" },
	{ FIELD_INT, false, "cpuSeconds", "1000000", NULL,
	  "reserved at admission, and an attempt ends at it; at least 1; default 60" },
	{ FIELD_INT, false, "attempts", "10", NULL,
	  "before the task is dead; at least 1; default 3" },
	{ FIELD_OBJECT, false, "retry", NULL, retry_fields,
	  "delays between attempts; default by what failed" },
	FIELD_END
};

const struct field task_placement_fields[] = {
	{ FIELD_NAME, false, "pool", NULL, NULL, "the workers' pool; default default" },
	{ FIELD_MAP, false, "selector", NULL, NULL,
	  "labels that the worker must have, at most 16" },
	{ FIELD_ENUM, false, "priority", "low|normal|high|urgent", NULL,
	  "within the domain; default normal; urgent may end others" },
	{ FIELD_TEXT, false, "concurrencyKey", "63", NULL,
	  "tasks of the tenant with this key share a limit" },
	{ FIELD_INT, false, "concurrency", "10000", NULL,
	  "of them run at one time; at least 1; default 1" },
	{ FIELD_TEXT, false, "notBefore", "32", NULL,
	  "not started earlier, as 2026-01-31T08:00:00Z" },
	{ FIELD_DURATION, false, "expires", NULL, NULL,
	  "after acceptance it is ended, 1s to 8760h; absent: never" },
	FIELD_END
};

static const char *const priority_names[PRIORITY_COUNT_] = { "low", "normal", "high", "urgent" };

const char *priority_name(enum priority priority)
{
	return priority_names[priority];
}

int priority_by_name(const char *name)
{
	for (int i = 0; name && i < PRIORITY_COUNT_; i++)
		if (strcmp(name, priority_names[i]) == 0)
			return i;
	return -1;
}

enum task_type task_by_name(const char *name)
{
	for (int i = 0; name && i < TASK_COUNT_; i++)
		if (strcmp(name, task_info[i].name) == 0)
			return i;
	return TASK_NONE;
}

void limits_default(struct limits *limits)
{
	*limits = (struct limits){
		.deadline_ms = 600 * SECOND_MS, .memory_bytes = 1024 * MIB, .threads = 2,
		.cpu_ms = 60 * SECOND_MS, .attempts_max = 3
	};
}

static int at_least(const struct value *map, const char *name, int64_t least, struct err *err)
{
	if (value_get(map, name) && value_get_int(map, name, 0) < least)
		return err_set(err, E_INVALID, "limits.%s: must be at least %" PRId64, name, least);
	return 0;
}

static int read_deadline(const struct value *map, int64_t *ms, struct err *err)
{
	const char *text = value_get_str(map, "deadline");
	if (!text)
		return 0;
	int64_t asked;
	TRY(duration_parse(text, &asked, err));
	if (asked < SECOND_MS || asked > DAY_MS)
		return err_set(err, E_INVALID, "limits.deadline: must be from 1s to 24h");
	*ms = asked;
	return 0;
}

static int read_delay(const struct value *retry, const char *name, int64_t most_ms, int *ret_ms,
                      struct err *err)
{
	const char *text = value_get_str(retry, name);
	int64_t ms = 0;
	if (!text)
		return 0;
	TRY(duration_parse(text, &ms, err));
	if (ms < 100 || ms > most_ms)
		return err_set(err, E_INVALID, "limits.retry.%s: must be from 100ms to %dh", name,
		               (int)(most_ms / (3600 * SECOND_MS)));
	*ret_ms = (int)ms;
	return 0;
}

static int read_retry(const struct value *retry, struct limits *limits, struct err *err)
{
	TRY(read_delay(retry, "firstDelay", 3600 * SECOND_MS, &limits->retry_first_ms, err));
	TRY(read_delay(retry, "mostDelay", DAY_MS, &limits->retry_most_ms, err));
	if (limits->retry_most_ms && limits->retry_most_ms < limits->retry_first_ms)
		return err_set(err, E_INVALID, "limits.retry.mostDelay: is shorter than "
		               "firstDelay");
	return 0;
}

int limits_read(const struct value *map, struct limits *limits, struct err *err)
{
	TRY(fields_check(task_limit_fields, map, "limits", err));
	TRY(at_least(map, "memoryBytes", MEMORY_MIN, err));
	TRY(at_least(map, "threads", 1, err));
	TRY(at_least(map, "cpuSeconds", 1, err));
	TRY(at_least(map, "attempts", 1, err));
	struct limits read = *limits;
	TRY(read_deadline(map, &read.deadline_ms, err));
	read.memory_bytes = (uint64_t)value_get_int(map, "memoryBytes", (int64_t)read.memory_bytes);
	read.threads = (int)value_get_int(map, "threads", read.threads);
	read.attempts_max = (int)value_get_int(map, "attempts", read.attempts_max);
	TRY(read_retry(value_get(map, "retry"), &read, err));
	if (value_get(map, "cpuSeconds"))
		read.cpu_ms = value_get_int(map, "cpuSeconds", 0) * SECOND_MS;
	*limits = read;
	return 0;
}

void placement_default(struct placement *placement)
{
	*placement = (struct placement){
		.pool = "default", .priority = PRIORITY_NORMAL, .key_most = 1,
	};
}

static bool labels_fit(const struct value *selector)
{
	for (size_t i = 0; i < value_len(selector); i++) {
		const char *name = NULL;
		const char *text = value_as_str(value_member(selector, i, &name));
		if (!text || strlen(text) > LABEL_TEXT_MAX || strlen(name) > LABEL_TEXT_MAX)
			return false;
	}
	return value_len(selector) <= LABELS_MAX;
}

static int read_times(const struct value *map, struct placement *placement, struct err *err)
{
	const char *begin = value_get_str(map, "notBefore"), *end = value_get_str(map, "expires");
	if (begin && time_parse(begin, &placement->not_before_ms, err) < 0)
		return err_prefix(err, "placement.notBefore");
	if (end)
		TRY(duration_parse(end, &placement->expires_ms, err));
	if (end && (placement->expires_ms < SECOND_MS || placement->expires_ms > 365 * DAY_MS))
		return err_set(err, E_INVALID, "placement.expires: must be from 1s to 8760h");
	return 0;
}

int placement_read(const struct value *map, struct placement *placement, struct err *err)
{
	TRY(fields_check(task_placement_fields, map, "placement", err));
	struct placement read = *placement;
	if (value_get_str(map, "pool"))
		read.pool = value_get_str(map, "pool");
	read.selector = value_get(map, "selector");
	if (!labels_fit(read.selector))
		return err_set(err, E_INVALID, "placement.selector: at most %d labels of at "
		               "most %d characters", LABELS_MAX, LABEL_TEXT_MAX);
	if (value_get_str(map, "priority"))
		read.priority = (enum priority)priority_by_name(value_get_str(map, "priority"));
	read.key = value_get_str(map, "concurrencyKey");
	read.key_most = (int)value_get_int(map, "concurrency", read.key_most);
	if (read.key_most < 1 || (value_get(map, "concurrency") && !read.key))
		return err_set(err, E_INVALID, "placement.concurrency: at least 1, and only with a "
		               "concurrencyKey");
	TRY(read_times(map, &read, err));
	*placement = read;
	return 0;
}

static int unknown_type(const char *given, struct err *err)
{
	const char *names[TASK_COUNT_];
	size_t count = 0;
	for (int i = 0; i < TASK_COUNT_; i++)
		if (!task_info[i].platform)
			names[count++] = task_info[i].name;
	const char *nearest = name_nearest(given, names, count);
	if (nearest)
		return err_set(err, E_INVALID, "type: unknown task type; did you mean \"%s\"?",
		               nearest);
#define TASK(id, name, action, FIELDS) " " #name
#define PLATFORM_TASK(id, name, FIELDS)
	return err_set(err, E_INVALID, "type: unknown task type; known:"
#include "api/tasks.def"
	               );
#undef TASK
}

int task_request_read(const struct value *body, struct task_request *ret_request,
                      struct err *err)
{
	static const struct field top[] = {
		{ FIELD_TEXT, true, "type", "64", NULL, "the task type, for example ingest" },
		{ FIELD_OBJECT, false, "spec", NULL, NULL, "what to do, by type" },
		{ FIELD_OBJECT, false, "limits", NULL, NULL, "what an attempt may take" },
		{ FIELD_OBJECT, false, "placement", NULL, NULL, "where and when it may run" },
		FIELD_END
	};
	TRY(fields_check(top, body, "", err));
	struct task_request request = { .spec = value_get(body, "spec") };
	request.type = task_by_name(value_get_str(body, "type"));
	if (request.type == TASK_NONE)
		return unknown_type(value_get_str(body, "type"), err);
	if (task_info[request.type].platform)
		return err_set(err, E_INVALID, "type: %s tasks keep a tenant's history and storage "
		               "in order; only the platform runs these",
		               task_info[request.type].name);
	TRY(fields_check(task_info[request.type].fields, request.spec, "spec", err));
	limits_default(&request.limits);
	TRY(limits_read(value_get(body, "limits"), &request.limits, err));
	placement_default(&request.placement);
	request.place = value_get(body, "placement");
	TRY(placement_read(request.place, &request.placement, err));
	*ret_request = request;
	return 0;
}
