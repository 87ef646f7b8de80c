/* part.c - the parts of a control plane: which one a tenant is in, and whether it is led here. */
#include "common/defs.h"
#include "control/control.h"

#include <stdatomic.h>
#include <stdio.h>

struct part *part_of(const struct control *control, const char *tenant)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (; *tenant; tenant++)
		hash = (hash ^ (uint8_t)*tenant) * UINT64_C(0x100000001b3);
	return &control->parts[hash % (uint64_t)control->part_count];
}

void part_init(struct part *part, struct control *control, int index)
{
	part->control = control;
	part->index = index;
	snprintf(part->leader_key, sizeof part->leader_key, "leader/%d", index);
	snprintf(part->journal_prefix, sizeof part->journal_prefix, "journal/%d/", index);
	snprintf(part->checkpoint_prefix, sizeof part->checkpoint_prefix, "checkpoint/%d/", index);
}

bool part_leads(const struct part *part)
{
	int64_t epoch = journal_epoch(part->journal);
	return epoch != 0 && epoch == atomic_load(&part->led);
}

int part_needs_lead(const struct part *part, struct err *err)
{
	if (part_leads(part))
		return 0;
	return err_set(err, E_NOT_LEADER,
	               "the replica %s does not lead; ask again, or another replica",
	               part->control->replica);
}
