/* inputs.c - see inputs.h. */
#include "common/defs.h"
#include "control/inputs.h"

#include "control/behalf.h"
#include "control/may.h"
#include "control/sharing.h"

#include <string.h>

static bool is_platforms(enum task_type type)
{
	return type == TASK_ARCHIVE || type == TASK_HISTORY || type == TASK_AUDIT ||
	       type == TASK_EVENTS || type == TASK_SWEEP || type == TASK_REKEY ||
	       type == TASK_ERASE;
}

/* A schedule of before its writer was kept reads for nobody: for all of its domain where roles
 * alone decide, for none where policies speak of people. */
static int find_asker(struct inputs *inputs, struct err *err)
{
	const struct work *work = inputs->work;
	struct policies *policies = inputs->control->policies;
	inputs->known = true;
	if (work->asker) {
		inputs->asker = *work->asker;
		return 0;
	}
	inputs->nobody = !policies || (strncmp(work->principal, "system/", 7) == 0 &&
	                               !work->reader &&
	                               !policies_in_force(policies, work->tenant));
	if (inputs->nobody)
		return 0;
	return behalf_asker(inputs->control, inputs->arena, work, &inputs->asker, err);
}

/* An offer to a domain is for whoever may read there. */
static bool is_offered(const struct inputs *inputs, const struct input *input)
{
	const struct reader reader = { inputs->work->tenant, input->by };
	const struct target target = { .tenant = reader.tenant, .domain = reader.domain };
	return strcmp(input->by, input->domain) != 0 &&
	       sharing_offers(inputs->control, inputs->arena, &reader, KIND_DATASET, input->domain,
	                      input->name) &&
	       may_asker(inputs->control, inputs->arena, &inputs->asker, ACTION_DATASET_READ,
	                 &target, KIND_NONE, NULL).allowed;
}

static struct reading_ask ask_of(const struct inputs *inputs, const struct input *input)
{
	return (struct reading_ask){
		.asker = &inputs->asker, .tenant = input->tenant, .domain = input->domain,
		.kind = KIND_DATASET, .name = input->name, .stored = input->stored,
		.schema = input->schema, .purpose = inputs->work->purpose,
		.now_ms = clock_unix_ms(inputs->control->clock),
	};
}

static int decide(const struct inputs *inputs, const struct reading_ask *ask,
                  struct reading *ret_reading, struct err *err)
{
	return reading_decide(inputs->control, inputs->arena, ask, ret_reading, err);
}

static int read_own(const struct inputs *inputs, const struct input *input,
                    struct reading *ret_reading, struct err *err)
{
	struct reading_ask ask = ask_of(inputs, input);
	const char *what = arena_printf(inputs->arena, "the dataset %s.%s", input->domain,
	                                input->name);
	if (!what)
		return err_set(err, E_NOMEM, "no memory to decide what a task may read");
	if (inputs->nobody)
		return reading_purpose(input->stored, what, inputs->work->purpose, err);
	ask.offered = is_offered(inputs, input);
	return decide(inputs, &ask, ret_reading, err);
}

/* First what leaves its owner, whoever in the tenant reads it; then what the reader's own tenant
 * lets that one see of it. */
static int read_shared(const struct inputs *inputs, const struct input *input,
                       struct reading *ret_reading, struct err *err)
{
	const struct asker away = { .tenant = inputs->work->tenant, .principal = READING_ANYONE };
	struct reading given, own = { .rule = NULL };
	struct reading_ask ask = ask_of(inputs, input);
	ask.asker = &away;
	ask.offered = true;
	TRY(decide(inputs, &ask, &given, err));
	ask = ask_of(inputs, input);
	ask.tenant = inputs->work->tenant;
	ask.domain = input->by;
	ask.name = arena_printf(inputs->arena, "%s.%s", input->alias, input->name);
	if (!ask.name)
		return err_set(err, E_NOMEM, "no memory to decide what a task may read");
	if (!inputs->nobody)
		TRY(decide(inputs, &ask, &own, err));
	return reading_both(inputs->arena, &given, &own, ret_reading, err);
}

int inputs_restrict(struct inputs *inputs, const struct input *input,
                    struct restriction *ret_restriction, struct err *err)
{
	struct reading reading = { .rule = NULL };
	if (is_platforms(inputs->work->type))
		return 0;
	if (!inputs->known)
		TRY(find_asker(inputs, err));
	TRY(input->alias ? read_shared(inputs, input, &reading, err)
	                 : read_own(inputs, input, &reading, err));
	*ret_restriction = reading.restriction;
	return 0;
}
