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
#define TASK(id, name, action, FIELDS) { #name, name##_fields },
#include "api/tasks.def"
#undef TASK
};

#define SECOND_MS INT64_C(1000)
#define DAY_MS (24 * 3600 * SECOND_MS)
#define MEMORY_MIN (64 * MIB)

const struct field task_limit_fields[] = {
	{ FIELD_DURATION, false, "deadline", NULL, NULL,
	  "of one attempt, 1s to 24h; default 10m" },
	{ FIELD_INT, false, "memoryBytes", "1099511627776", NULL,
	  "of one attempt, at least 67108864; default 1073741824" },
	{ FIELD_INT, false, "threads", "256", NULL, "of one attempt, at least 1; default 2" },
	{ FIELD_INT, false, "cpuSeconds", "1000000", NULL,
	  "reserved at admission, and an attempt ends at it; at least 1; default 60" },
	{ FIELD_INT, false, "attempts", "10", NULL,
	  "before the task fails; at least 1; default 3" },
	FIELD_END
};

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
	if (value_get(map, "cpuSeconds"))
		read.cpu_ms = value_get_int(map, "cpuSeconds", 0) * SECOND_MS;
	*limits = read;
	return 0;
}

static int unknown_type(const char *given, struct err *err)
{
	const char *names[TASK_COUNT_];
	for (int i = 0; i < TASK_COUNT_; i++)
		names[i] = task_info[i].name;
	const char *nearest = name_nearest(given, names, TASK_COUNT_);
	if (nearest)
		return err_set(err, E_INVALID, "type: unknown task type; did you mean \"%s\"?",
		               nearest);
#define TASK(id, name, action, FIELDS) " " #name
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
		FIELD_END
	};
	TRY(fields_check(top, body, "", err));
	struct task_request request = { .spec = value_get(body, "spec") };
	request.type = task_by_name(value_get_str(body, "type"));
	if (request.type == TASK_NONE)
		return unknown_type(value_get_str(body, "type"), err);
	TRY(fields_check(task_info[request.type].fields, request.spec, "spec", err));
	limits_default(&request.limits);
	TRY(limits_read(value_get(body, "limits"), &request.limits, err));
	*ret_request = request;
	return 0;
}
