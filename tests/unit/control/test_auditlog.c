/* test_auditlog.c - a tenant's audit log over the API: what is served is a log (C2SP tlog-tiles)
 * whose checkpoints are signed, kept, and never of another log than before. */
#include "common/defs.h"
#include "control/auditlog.h"

#include "common/store_mem.h"
#include "common/text.h"
#include "control/audit.h"
#include "control/ocsf.h"
#include "control/record.h"
#include "tests/support/plane.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define AUDIT "/v1/tenants/acme/audit/"

static struct answer get(struct plane *plane, const char *what)
{
	return plane_call(plane, plane->operator_key, "GET",
	                  arena_printf(plane->arena, AUDIT "%s", what), NULL);
}

/* The event's name is in it, so that no two are the same. */
static void add_events(struct plane *plane, int count)
{
	AUTO(change) *change = NULL;
	struct err err = {0};
	cr_assert_eq(change_new(&change, &err), 0);
	for (int i = 0; i < count; i++) {
		const struct audit_event event = {.tenant = "acme",
		                                  .actor = "acme/ada",
		                                  .action = "task:run",
		                                  .resource = arena_printf(plane->arena, "t-%d", i),
		                                  .result = "allowed",
		                                  .at_ms = clock_unix_ms(plane->control->clock)};
		cr_assert_eq(audit_add(change, &event, &err), 0, "%s", err.text);
	}
	cr_assert_eq(journal_commit(plane->part->journal, change, &err), 0, "%s", err.text);
}

static struct note_verifier verifier_of(struct plane *plane)
{
	struct note_verifier verifier;
	struct answer log = get(plane, "log");
	cr_assert_eq(log.status, 200, "%s", log.text);
	cr_assert_eq(note_verifier_read(value_get_str(log.body, "key"), &verifier, NULL), 0);
	return verifier;
}

static struct note_checkpoint checkpoint_of(struct plane *plane, const char **ret_note)
{
	struct note_verifier verifier = verifier_of(plane);
	struct note_checkpoint checkpoint;
	struct err err = {0};
	struct answer answer = get(plane, "checkpoint");
	cr_assert_eq(answer.status, 200, "%s", answer.text);
	cr_assert_str_eq(answer.content_type, "text/plain; charset=utf-8");
	cr_assert_eq(logproof_checkpoint(&verifier, answer.text, answer.text_len, &checkpoint,
	                                 &err), 0, "%s", err.text);
	if (ret_note)
		*ret_note = answer.text;
	return checkpoint;
}

/* --- what anybody does with a log --- */

static struct answer tile_at(struct plane *plane, const struct tile *tile)
{
	char path[TILE_PATH_MAX];
	tile_path(tile, path);
	struct answer answer = get(plane, path);
	cr_assert_eq(answer.status, 200, "%s: %s", path, answer.text);
	cr_assert_str_eq(answer.content_type, "application/octet-stream");
	return answer;
}

static int read_tile(void *context, const struct tile *tile, uint8_t *out, struct err *err)
{
	struct answer answer = tile_at(context, tile);
	(void)err;
	cr_assert_eq(answer.text_len, (size_t)tile->width * MERKLE_BYTES);
	memcpy(out, answer.text, answer.text_len);
	return 0;
}

/* The range of all entries, hashed here. */
static struct merkle_range read_entries(struct plane *plane, uint64_t size)
{
	struct merkle_range range = {0};
	for (uint64_t index = 0; index < size; index += TILE_WIDTH) {
		const struct tile tile = tile_of(TILE_ENTRIES, index, size);
		struct answer answer = tile_at(plane, &tile);
		const uint8_t *bytes = (const uint8_t *)answer.text, *data = NULL;
		uint8_t leaf[MERKLE_BYTES];
		size_t at = 0, len = 0;
		while (tile_entry_next(bytes, answer.text_len, &at, &data, &len)) {
			merkle_leaf(data, len, leaf);
			cr_assert_eq(merkle_append(&range, leaf, NULL), 0);
		}
		cr_assert_eq(at, answer.text_len);
	}
	return range;
}

static void roots_agree(struct plane *plane, const struct note_checkpoint *checkpoint)
{
	struct merkle_range entries = read_entries(plane, checkpoint->size), tiles;
	static struct tile_reader reader;
	uint8_t root[MERKLE_BYTES];
	cr_assert_eq(entries.size, checkpoint->size);
	merkle_root(&entries, root);
	cr_assert_arr_eq(root, checkpoint->root, MERKLE_BYTES);
	tile_reader_init(&reader, checkpoint->size, read_tile, plane);
	cr_assert_eq(tile_range(&reader, &tiles, NULL), 0);
	merkle_root(&tiles, root);
	cr_assert_arr_eq(root, checkpoint->root, MERKLE_BYTES);
}

Test(auditlog, entries_and_tiles_have_the_root_that_is_signed_and_go_on_as_the_log_grows)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	for (int i = 0; i < 4; i++) {
		add_events(plane, 177);
		struct note_checkpoint checkpoint = checkpoint_of(plane, NULL);
		cr_expect_geq(checkpoint.size, 177 * ((uint64_t)i + 1));
		add_events(plane, 3);        /* it is served though the log has grown since */
		roots_agree(plane, &checkpoint);
	}
	plane_stop(plane);
}

Test(auditlog, a_checkpoint_is_signed_once_for_a_size_kept_and_there_after_a_restart)
{
	struct plane *plane = plane_start();
	const char *first = NULL, *second = NULL, *third = NULL;
	plane_tenant(plane, "acme", "sales");
	struct note_checkpoint before = checkpoint_of(plane, &first);
	checkpoint_of(plane, &second);
	cr_expect_str_eq(first, second, "nothing has happened: looking is no event");
	plane_restart(plane);
	checkpoint_of(plane, &third);
	cr_expect_str_eq(first, third);
	add_events(plane, 300);
	struct note_checkpoint now = checkpoint_of(plane, NULL);
	cr_expect_gt(now.size, before.size);
	struct answer log = get(plane, "log");
	const struct value *kept = value_get(log.body, "checkpoints");
	cr_assert_eq(value_len(kept), 2);
	cr_expect_str_eq(value_get_str(value_at(kept, 1), "checkpoint"), first);
	plane_stop(plane);
}

Test(auditlog, what_was_signed_earlier_is_a_part_of_what_is_signed_later)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	for (int i = 0; i < 6; i++) {
		struct note_checkpoint old = checkpoint_of(plane, NULL);
		add_events(plane, 100);
		struct note_checkpoint now = checkpoint_of(plane, NULL);
		struct answer answer = get(plane, arena_printf(plane->arena,
			"consistency?old=%d&size=%d", (int)old.size, (int)now.size));
		const struct value *hashes = value_get(answer.body, "hashes");
		struct merkle_proof proof = {.count = value_len(hashes)};
		cr_assert_eq(answer.status, 200, "%s", answer.text);
		for (size_t j = 0; j < proof.count; j++) {
			const char *text = value_as_str(value_at(hashes, j));
			AUTO_BUF hash;
			buf_init(&hash, MERKLE_BYTES);
			cr_assert_eq(base64_parse(text, strlen(text), &hash, NULL), 0);
			memcpy(proof.hashes[j], hash.data, MERKLE_BYTES);
		}
		cr_expect(merkle_is_consistent(&proof, old.size, now.size, old.root, now.root));
	}
	plane_stop(plane);
}

Test(auditlog, every_event_is_proven_by_its_number)
{
	struct plane *plane = plane_start();
	struct err err = {0};
	plane_tenant(plane, "acme", "sales");
	add_events(plane, 290);
	struct note_verifier verifier = verifier_of(plane);
	for (int event = 1; event <= 290; event += 17) {
		struct logproof proof;
		struct note_checkpoint checkpoint;
		struct answer answer = get(plane, arena_printf(plane->arena, "proof?event=%d",
		                                               event));
		cr_assert_eq(answer.status, 200, "%s", answer.text);
		cr_assert_eq(logproof_read(plane->arena, answer.text, answer.text_len, &proof,
		                           &err), 0, "%s", err.text);
		cr_assert_eq(logproof_verify(&verifier, &proof, &checkpoint, &err), 0, "%s",
		             err.text);
		cr_expect_eq(proof.index, (uint64_t)event - 1);
	}
	cr_expect_eq(get(plane, "proof?event=100000").status, 404);
	cr_expect_eq(get(plane, "proof?event=0").status, 400);
	cr_expect_eq(get(plane, "proof").status, 404);
	cr_expect_eq(get(plane, "tile/0/001").status, 404, "the log has no such tile yet");
	cr_expect_eq(get(plane, "tile/0/1").status, 400);
	cr_expect_eq(get(plane, "tile/9/000").status, 400);
	cr_expect_eq(get(plane, "consistency?old=9&size=100000").status, 400);
	plane_stop(plane);
}

Test(auditlog, is_for_auditors_and_reading_events_out_of_it_is_an_event)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	const char *auditor = plane_principal(plane, "acme", "aud", "'auditor'", NULL);
	const char *consumer = plane_principal(plane, "acme", "con", "'consumer'", NULL);
	static const struct {
		const char *path;
		bool tells;          /* events, so that reading is one */
	} all[] = {
		{"log", false}, {"checkpoint", false}, {"tile/0/000.p/1", false},
		{"tile/entries/000.p/1", true}, {"proof?event=1", true},
		{"consistency?old=1", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *path = arena_printf(plane->arena, AUDIT "%s", all[i].path);
		cr_expect_eq(plane_call(plane, consumer, "GET", path, NULL).status, 403);
		int64_t before = value_get_int(get(plane, "log").body, "size", 0);
		cr_expect_eq(plane_call(plane, auditor, "GET", path, NULL).status, 200, "%s", path);
		cr_expect_eq(value_get_int(get(plane, "log").body, "size", 0),
		             before + all[i].tells, "%s", path);
	}
	plane_stop(plane);
}

/* --- nothing happens that is not written down --- */

static size_t allowed_writes(struct plane *plane)
{
	struct answer list = plane_call(plane, plane->operator_key, "GET",
	                                "/v1/tenants/acme/audit?action=dataset:write&result="
	                                "allowed", NULL);
	return value_len(value_get(list.body, "items"));
}

Test(auditlog, what_cannot_be_written_down_does_not_happen_and_is_not_shown)
{
	struct clock *clock = NULL;          /* stands still: nobody else asks the store */
	cr_assert_eq(clock_new_simulated(1795348800000, &clock, NULL), 0);
	struct plane *plane = plane_start_at(clock);
	const char *admin = plane_tenant(plane, "acme", "sales");
	static const char path[] = "/v1/tenants/acme/domains/sales/datasets/orders";
	static const char body[] = "{'apiVersion':'freehold.io/v1','kind':'Dataset',"
		"'metadata':{'name':'orders'},'spec':{}}";
	for (int i = 0; i < 3; i++) {
		store_mem_fail(plane->store, 1, E_UNAVAILABLE);
		struct answer answer = i == 0 ? plane_call(plane, admin, "PUT", path, body)
			: i == 1 ? get(plane, "tile/entries/000.p/1") : get(plane, "proof?event=1");
		cr_expect_eq(answer.status, 503, "%d: %s", i, answer.text);
		cr_expect_null(strstr(answer.text, "operation"), "no event is shown");
		store_mem_fail(plane->store, 0, 0);
	}
	cr_expect_eq(allowed_writes(plane), 0);
	cr_expect_eq(plane_call(plane, admin, "GET", path, NULL).status, 404);
	cr_expect_eq(plane_call(plane, admin, "PUT", path, body).status, 201);
	cr_expect_eq(allowed_writes(plane), 1);
	plane_stop(plane);
	clock_free(clock);
}

/* --- forks --- */

static void claim(struct plane *plane, uint64_t size)
{
	AUTO(change) *change = NULL;
	uint8_t root[MERKLE_BYTES] = {1};
	cr_assert_eq(change_new(&change, NULL), 0);
	struct value *record = record_new(change_arena(change), RECORD_HEAD, 1);
	value_set_str(record, "tenant", "acme");
	value_set_int(record, "size", (int64_t)size);
	value_set_bin(record, "root", root, sizeof root);
	value_set_str(record, "note", "note");
	cr_assert_eq(change_record(change, record, NULL), 0);
	cr_assert_eq(journal_commit(plane->part->journal, change, NULL), 0);
}

Test(auditlog, a_leader_whose_log_is_not_the_one_that_was_signed_signs_no_more_and_says_so)
{
	struct plane *plane = plane_start();
	plane_tenant(plane, "acme", "sales");
	struct note_checkpoint checkpoint = checkpoint_of(plane, NULL);
	add_events(plane, 5);
	claim(plane, checkpoint.size + 5);   /* as if another history had been signed */
	for (int i = 0; i < 2; i++) {
		struct answer answer = get(plane, "checkpoint");
		cr_expect_eq(answer.status, 500, "%s", answer.text);
		cr_expect_str_eq(answer.code, "CORRUPT");
		cr_expect_eq(value_get_int(get(plane, "log").body, "forked", 0),
		             (int64_t)checkpoint.size + 5);
		struct answer metrics = plane_call(plane, NULL, "GET", "/metrics", NULL);
		cr_expect_not_null(strstr(metrics.text, "freehold_audit_logs_forked 1\n"));
		plane_restart(plane);
	}
	plane_stop(plane);
}

Test(auditlog, changed_logs_are_signed_by_themselves_after_a_minute)
{
	struct clock *clock = NULL;
	struct err err = {0};
	cr_assert_eq(clock_new_simulated(1795348800000, &clock, &err), 0);
	struct plane *plane = plane_start_at(clock);
	plane_tenant(plane, "acme", "sales");
	cr_assert_eq(auditlog_look(plane->part, &err), 0, "%s", err.text);
	cr_expect_eq(value_len(value_get(get(plane, "log").body, "checkpoints")), 0);
	for (int i = 1; i <= 2; i++) {
		clock_advance(clock, 61000);
		cr_assert_eq(auditlog_look(plane->part, &err), 0, "%s", err.text);
		cr_assert_eq(auditlog_look(plane->part, &err), 0, "%s", err.text);
		cr_expect_eq(value_len(value_get(get(plane, "log").body, "checkpoints")),
		             (size_t)i);
		add_events(plane, 1);
	}
	plane_stop(plane);
	clock_free(clock);
}

/* --- events that are not in memory any more --- */

struct elsewhere {
	struct plane *plane;
	const struct value *events;
	bool changes;
	int asked;
};

static int give(void *context, const char *tenant, uint64_t index, size_t count,
                audit_line_fn *line, void *line_context, struct err *err)
{
	struct elsewhere *elsewhere = context;
	cr_expect_str_eq(tenant, "acme");
	elsewhere->asked++;
	for (size_t i = 0; i < count; i++) {
		AUTO_BUF text;
		buf_init(&text, 64 * KIB);
		TRY(ocsf_print(value_at(elsewhere->events, index + i), &text, err));
		text.data[9] ^= elsewhere->changes && i == 77;
		TRY(line(line_context, index + i, (const char *)text.data, text.len, err));
	}
	return 0;
}

/* Others' events push acme's out. */
static void push_out(struct plane *plane, size_t count)
{
	struct value *record = record_new(plane->arena, RECORD_AUDIT, 1);
	value_set_str(record, "tenant", "acme");
	value_set_str(record, "actor", "a");
	for (size_t i = 0; i < count; i++)
		shard_record(plane->part->shard, record);
}

Test(auditlog, older_events_come_from_where_they_went_and_are_compared_with_the_tree)
{
	struct plane *plane = plane_start();
	struct elsewhere elsewhere = {.plane = plane};
	struct value *events = NULL;
	struct audit_older older = {give, &elsewhere}, *own = plane->control->audit_older;
	plane_tenant(plane, "acme", "sales");
	add_events(plane, 600);
	cr_assert_eq(shard_log_events(plane->part->shard, plane->arena, "acme", 0, 600, &events,
	                              NULL), 0);
	elsewhere.events = events;
	push_out(plane, 100000);
	cr_expect_eq(get(plane, "tile/entries/000").status, 404);
	cr_expect_eq(get(plane, "tile/0/001").status, 404);
	cr_expect_eq(get(plane, "tile/1/000").status, 200, "upper nodes stay in memory");
	plane->control->audit_older = &older;
	cr_expect_eq(get(plane, "tile/entries/000").status, 200);
	cr_expect_eq(get(plane, "tile/0/001").text_len, 8192);
	cr_expect_eq(get(plane, "proof?event=300").status, 200);
	cr_expect_geq(elsewhere.asked, 3);
	elsewhere.changes = true;
	cr_expect_eq(get(plane, "tile/entries/000").status, 500);
	cr_expect_eq(get(plane, "tile/0/001").status, 500);
	cr_expect_eq(get(plane, "proof?event=300").status, 500);
	plane->control->audit_older = own;
	plane_stop(plane);
}
