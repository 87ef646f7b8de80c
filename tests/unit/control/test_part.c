/* test_part.c - control/part.c: where a tenant is, and whether that is led here. */
#include "common/defs.h"
#include "control/control.h"

#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>

Test(part, a_tenant_is_where_the_format_says)
{
	/* FNV-1a 64 by its reference vectors: another hash would lose what is stored. */
	struct part parts[PARTS_MAX];
	struct control control = { .parts = parts, .part_count = PARTS_MAX };
	for (int i = 0; i < PARTS_MAX; i++)
		part_init(&parts[i], &control, i);
	cr_assert_eq(part_of(&control, "")->index, 0x25);
	cr_assert_eq(part_of(&control, "a")->index, 0x0c);
	cr_assert_eq(part_of(&control, "foobar")->index, 0x28);
}

Test(part, has_the_keys_of_its_number)
{
	struct control control = { .part_count = 0 };
	struct part part;
	part_init(&part, &control, 63);
	cr_assert_str_eq(part.leader_key, "leader/63");
	cr_assert_str_eq(part.journal_prefix, "journal/63/");
}

Test(part, every_one_of_three_has_some_of_thirty_tenants)
{
	struct part parts[3];
	struct control control = { .parts = parts, .part_count = 3 };
	int counts[3] = { 0 };
	for (int i = 0; i < 30; i++) {
		char name[16];
		snprintf(name, sizeof name, "tenant-%d", i);
		counts[part_of(&control, name) - parts]++;
	}
	for (int i = 0; i < 3; i++)
		cr_assert_gt(counts[i], 3, "part %d has %d", i, counts[i]);
}

Test(part, is_led_only_while_journal_and_memory_agree)
{
	struct err err = { 0 };
	struct clock *clock = NULL;          /* stands: else it is looked at, and led again */
	cr_assert_eq(clock_new_simulated(1700000000000, &clock, NULL), 0);
	struct plane *plane = plane_start_at(clock);
	cr_assert(part_leads(plane->part));
	cr_assert_eq(part_needs_lead(plane->part, &err), 0);
	int64_t epoch = atomic_exchange(&plane->part->led, 1);
	cr_assert_not(part_leads(plane->part));
	cr_assert_eq(part_needs_lead(plane->part, &err), E_NOT_LEADER);
	atomic_store(&plane->part->led, epoch);
	plane_stop(plane);
	clock_free(clock);
}
