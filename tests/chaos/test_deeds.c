/* test_deeds.c - the history checker finds each planted fault, and nothing in a sound history. */
#include "common/defs.h"
#include "tests/support/deeds.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { COUNT = 40, ROWS = 3 };

struct planted {
	struct deed deeds[COUNT];
	struct found found[COUNT + 1];
	struct deeds all;
	char out[DEEDS_TEXT_MAX];
};

static void sound(struct planted *planted)
{
	memset(planted, 0, sizeof *planted);
	planted->all = (struct deeds){.deeds = planted->deeds,
	                              .deed_count = COUNT,
	                              .found = planted->found,
	                              .found_count = COUNT,
	                              .rows_each = ROWS};
	for (int i = 0; i < COUNT; i++) {
		struct deed *deed = &planted->deeds[i];
		struct found *found = &planted->found[COUNT - 1 - i];
		snprintf(deed->key, sizeof deed->key, "key-%d", i);
		snprintf(deed->id, sizeof deed->id, "task-%04d", i * 7 % COUNT);
		memcpy(found->id, deed->id, sizeof found->id);
		deed->tenant = found->tenant = i % DEEDS_TENANTS;
		found->ended = true;
		found->succeeded = i % 5 != 0;
		found->writes = i % 3 == 0;
		found->rows = found->writes && found->succeeded ? ROWS : 0;
		found->used.v[DIM_CPU_MS] = i;
		found->used.v[DIM_TASKS] = 1;
		planted->all.dataset_rows += found->rows;
		amounts_add(&planted->all.used[found->tenant], &found->used);
	}
}

static const char *fault(struct planted *planted)
{
	cr_assert_not(deeds_check(&planted->all, planted->out), "the fault was not seen");
	return planted->out;
}

Test(deeds, a_sound_history_is_let_pass)
{
	struct planted planted;
	sound(&planted);
	cr_expect(deeds_check(&planted.all, planted.out), "%s", planted.out);
}

Test(deeds, a_lost_task_is_found)
{
	struct planted planted;
	sound(&planted);
	snprintf(planted.found[7].id, sizeof planted.found[7].id, "another");
	cr_expect(strstr(fault(&planted), "is lost"), "%s", planted.out);
}

Test(deeds, one_task_for_two_submissions_is_found)
{
	struct planted planted;
	sound(&planted);
	memcpy(planted.deeds[3].id, planted.deeds[5].id, sizeof planted.deeds[3].id);
	cr_expect(strstr(fault(&planted), "are one task"), "%s", planted.out);
}

Test(deeds, two_tasks_for_one_submission_are_found)
{
	struct planted planted;
	sound(&planted);
	planted.found[COUNT] = planted.found[0];
	snprintf(planted.found[COUNT].id, sizeof planted.found[0].id, "task-9999");
	planted.found[COUNT].used = (struct amounts){{0}};
	planted.found[COUNT].writes = false;
	planted.all.found_count++;
	cr_expect(strstr(fault(&planted), "were asked for"), "%s", planted.out);
}

Test(deeds, an_effect_that_happened_twice_is_found)
{
	struct planted planted;
	sound(&planted);
	planted.all.dataset_rows += ROWS;
	cr_expect(strstr(fault(&planted), "the dataset has"), "%s", planted.out);
}

Test(deeds, an_effect_that_is_missing_is_found)
{
	struct planted planted;
	sound(&planted);
	planted.all.dataset_rows -= ROWS;
	cr_expect(strstr(fault(&planted), "the dataset has"), "%s", planted.out);
}

Test(deeds, a_task_that_does_not_end_is_found)
{
	struct planted planted;
	sound(&planted);
	planted.found[5].ended = false;
	cr_expect(strstr(fault(&planted), "does not end"), "%s", planted.out);
}

Test(deeds, usage_that_drifts_by_one_is_found)
{
	struct planted planted;
	sound(&planted);
	planted.all.used[1].v[DIM_CPU_MS]++;
	cr_expect(strstr(fault(&planted), "the bill says"), "%s", planted.out);
}

Test(deeds, a_task_in_another_tenants_list_is_found)
{
	struct planted planted;
	sound(&planted);
	planted.found[2].tenant = !planted.found[2].tenant;
	cr_expect(strstr(fault(&planted), "another tenant's"), "%s", planted.out);
}

Test(deeds, an_unanswered_submission_is_found)
{
	struct planted planted;
	sound(&planted);
	planted.deeds[9].id[0] = '\0';
	cr_expect(strstr(fault(&planted), "never answered"), "%s", planted.out);
}
