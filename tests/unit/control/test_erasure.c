/* test_erasure.c - the records of erasures and what signs them; erasing itself is a journey
 * (tests/journey/test_erasing.c). */
#include "common/defs.h"
#include "control/erasure.h"

#include "common/store_mem.h"
#include "control/erasure_impl.h"
#include "control/record.h"
#include "control/signer.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 60000 };

Test(erasure, a_record_begins_by_waiting_and_shows_who_asked_and_when_it_is_due)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	char key[STORE_KEY_MAX];
	struct value *tenant = NULL;
	catalog_key(key, KIND_TENANT, NULL, NULL, "acme");
	cr_assert_eq(catalog_get(plane->control->catalog, plane->arena, key, &tenant, NULL, NULL),
	             0);
	const struct erasure_asked asked = {
		.tenant = "acme", .by = "platform/ann", .reason = "the contract ended",
		.resource = tenant, .now_ms = 1700000000000, .due_ms = 1700000060000,
	};
	struct value *shown = erasure_show(plane->control, plane->arena,
	                                   erasure_record(plane->arena, &asked));
	cr_assert_str_eq(value_get_str(shown, "step"), "wait");
	cr_assert_str_eq(value_get_str(shown, "dueAt"), "2023-11-14T22:14:20.000Z");
	cr_assert_str_eq(value_get_str(shown, "requestedBy"), "platform/ann");
	cr_assert(id_valid(value_get_str(shown, "uid")));
	plane_stop(plane);
}

Test(erasure, every_replica_and_every_start_signs_with_one_key)
{
	struct plane *plane = plane_start();
	struct note_verifier one, two;
	cr_assert_eq(signer_verifier(plane->control, &one, NULL), 0);
	plane_restart(plane);
	cr_assert_eq(signer_verifier(plane->control, &two, NULL), 0);
	cr_assert_arr_eq(one.key, two.key, SIGN_PUBLIC_BYTES);
	cr_assert(memcmp(one.key, plane->control->signer_public, SIGN_PUBLIC_BYTES) != 0,
	          "certificates and grants are signed with keys of their own");
	plane_stop(plane);
}

Test(erasure, who_is_not_of_the_platform_reads_no_certificates)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	const char *auditor = plane_principal(plane, "acme", "eve", "'auditor'", NULL);
	const char *own = plane_principal(plane, "platform", "max", "'auditor'", NULL);
	cr_assert_eq(plane_call(plane, auditor, "GET", "/v1/erasures", NULL).status, 403);
	cr_assert_eq(plane_call(plane, own, "GET", "/v1/erasures", NULL).status, 200);
	cr_assert_eq(plane_call(plane, plane->operator_key, "GET", "/v1/erasures",
	                        NULL).status, 200);
	cr_assert_eq(plane_call(plane, plane->operator_key, "GET",
	                        "/v1/erasures/01hqzx3vxw5n2k8r9d4m6t7b0c", NULL).status, 404);
	plane_stop(plane);
}

Test(erasure, a_deletion_may_be_asked_to_wait_longer_and_not_shorter_than_the_installation_says)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	plane->control->erase_after_ms = 3600000;
	struct answer answer = plane_call(plane, plane->operator_key, "POST",
	                                  "/v1/tenants/acme/deletion",
	                                  "{'name':'acme','reason':'x','after':'59m'}");
	cr_assert_eq(answer.status, 400, "%s", answer.text);
	cr_assert(strstr(answer.detail, "--erase-after-s"), "%s", answer.detail);
	answer = plane_call(plane, plane->operator_key, "POST", "/v1/tenants/acme/deletion",
	                    "{'name':'acme','reason':'x','after':'61m'}");
	cr_assert_eq(answer.status, 202, "%s", answer.text);
	answer = plane_call(plane, plane->operator_key, "POST", "/v1/tenants/platform/deletion",
	                    "{'name':'platform','reason':'x'}");
	cr_assert_eq(answer.status, 409, "%s", answer.text);
	plane_stop(plane);
}

static uint64_t checkpoints_of(const struct plane *plane)
{
	struct journal_stats stats;
	journal_stats(plane->part->journal, &stats);
	return stats.checkpoints;
}

static void forget(struct plane *plane, const char *tenant)
{
	AUTO(change) *change = NULL;
	struct err err = { 0 };
	cr_assert_eq(change_new(&change, &err), 0);
	struct value *record = record_new(change_arena(change), RECORD_ERASED, 1);
	value_set_str(record, "tenant", tenant);
	cr_assert_eq(change_record(change, record, &err), 0);
	cr_assert_eq(journal_commit(plane->part->journal, change, &err), 0, "%s", err.text);
}

/* By itself a journal as short as this one is kept for five minutes. */
Test(erasure, who_leads_after_its_end_keeps_no_journal_that_names_the_tenant)
{
	struct plane *plane = plane_start();
	forget(plane, "acme");
	uint64_t before = checkpoints_of(plane);
	store_mem_depose(plane->store, plane->part->leader_key);
	for (int i = 0; i < PATIENCE && checkpoints_of(plane) == before; i++)
		usleep(1000);
	cr_expect_gt(checkpoints_of(plane), before);
	plane_stop(plane);
}
