/* filter.c - see filter.h. Times become ids: a task's id begins with when it was accepted. */
#include "common/defs.h"
#include "control/filter.h"

#include "api/tasks.h"

#include <string.h>

static int read_state(const char *name, uint32_t *states, struct err *err)
{
	const char *names[STATE_DEAD + 1];
	int state = task_state_by_name(name);
	if (state >= 0) {
		*states |= 1u << state;
		return 0;
	}
	for (int i = 0; i <= STATE_DEAD; i++)
		names[i] = task_state_name((enum task_state)i);
	const char *nearest = name_nearest(name, names, ARRAY_LEN(names));
	return err_set(err, E_INVALID, "state: %.32s is no state of a task%s%s; give one or more "
	               "of blocked, queued, running, succeeded, failed, cancelled and dead, with "
	               "commas between", name, nearest ? "; did you mean " : "",
	               nearest ? nearest : "");
}

static int read_states(struct request *request, uint32_t *ret_states, struct err *err)
{
	const char *text = request_query(request, "state");
	uint32_t states = 0;
	while (text) {
		size_t len = strcspn(text, ",");
		const char *name = arena_strndup(request->arena, text, len);
		if (!name)
			return err_set(err, E_NOMEM, "no memory for a filter");
		TRY(read_state(name, &states, err));
		text = text[len] ? text + len + 1 : NULL;
	}
	*ret_states = states;
	return 0;
}

/* The least id of what is accepted at that time or after it. */
static int read_time(struct request *request, const char *name, const char **ret_id,
                     struct err *err)
{
	static const uint8_t least[10];
	const char *text = request_query(request, name);
	char id[ID_LEN + 1];
	int64_t at_ms = 0;
	*ret_id = NULL;
	if (!text)
		return 0;
	if (time_parse(text, &at_ms, NULL) < 0 || at_ms < 0)
		return err_set(err, E_INVALID, "%s is a time as in 2026-01-31T08:00:00Z", name);
	id_make(at_ms, least, id);
	*ret_id = arena_strdup(request->arena, id);
	return *ret_id ? 0 : err_set(err, E_NOMEM, "no memory for a filter");
}

static int read_type(struct request *request, const char **ret_type, struct err *err)
{
	const char *type = request_query(request, "type");
	*ret_type = type;
	if (!type || task_by_name(type) != TASK_NONE)
		return 0;
	return err_set(err, E_INVALID, "type: %.32s is no type of task; see the reference of tasks",
	               type);
}

int filter_read(struct request *request, struct task_filter *ret_filter, struct err *err)
{
	const char *place = request_query(request, "continue");
	struct task_filter filter = {
		.domain = request->domain, .run = request_query(request, "run"),
		.schedule = request_query(request, "schedule"),
	};
	TRY(read_states(request, &filter.states, err));
	TRY(read_type(request, &filter.type, err));
	TRY(read_time(request, "since", &filter.from_id, err));
	TRY(read_time(request, "until", &filter.before_id, err));
	if (filter.run && !id_valid(filter.run))
		return err_set(err, E_INVALID, "run is the id of a run, as in the list of runs");
	if (filter.schedule)
		TRY(name_check("schedule", filter.schedule, err));
	if (place && !id_valid(place))
		return err_set(err, E_INVALID, "continue is not a token of this list; begin again "
		               "without it");
	if (place && (!filter.before_id || strcmp(place, filter.before_id) < 0))
		filter.before_id = place;
	*ret_filter = filter;
	return 0;
}

void filter_spec(const struct task_filter *filter, struct value *spec, struct arena *arena)
{
	struct value *states = value_list(arena);
	for (int i = 0; i <= STATE_DEAD; i++)
		if (filter->states & 1u << i)
			value_add_str(states, task_state_name((enum task_state)i));
	value_set_str(spec, "domain", filter->domain);
	value_set_str(spec, "type", filter->type);
	value_set_str(spec, "run", filter->run);
	value_set_str(spec, "schedule", filter->schedule);
	value_set_str(spec, "from", filter->from_id);
	value_set_str(spec, "before", filter->before_id);
	if (value_len(states) > 0)
		value_set(spec, "states", states);
}

bool filter_ends(const struct task_filter *filter)
{
	bool ends = filter->states == 0;
	for (int i = 0; i <= STATE_DEAD; i++)
		ends |= (filter->states & 1u << i) && task_state_final((enum task_state)i);
	return ends;
}
