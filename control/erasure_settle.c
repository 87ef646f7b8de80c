/* erasure_settle.c - the end of an erasure: what its certificate needs is taken, memory and the
 * store forget, and the certificate is signed. */
#include "common/defs.h"
#include "control/erasure_impl.h"

#include "api/manifest.h"
#include "control/audit.h"
#include "control/record.h"
#include "control/shard_archive.h"
#include "control/shard_tenant.h"
#include "control/signer.h"

#include <string.h>

enum { CHECKPOINTS = 2, CHECKPOINT_MAX = 4096 };

static int forget(struct erasing *erasing, struct change *change, struct err *err)
{
	struct value *record = record_new(change_arena(change), RECORD_ERASED, erasing->now_ms);
	TRY(value_check(record, err));
	value_set_str(record, "tenant", erasing->tenant);
	return change_record(change, record, err);
}

static int take_audit(struct erasing *erasing, struct err *err)
{
	struct audit_tree tree;
	struct value *audit = value_map(erasing->arena);
	const char *origin = certificate_origin(erasing->arena, erasing->uid);
	AUTO_BUF note;
	buf_init(&note, CHECKPOINT_MAX);
	if (!origin)
		return err_set(err, E_NOMEM, "no memory for a checkpoint");
	shard_audit_tree(erasing->part->shard, erasing->tenant, &tree);
	TRY(signer_checkpoint(erasing->control, origin, &tree.range, &note, err));
	value_set(audit, "checkpoint",
	          value_strn(erasing->arena, (const char *)note.data, note.len));
	value_set_int(audit, "from", tree.from);
	value_set(erasing->record, "audit", audit);
	return value_check(erasing->record, err);
}

static void take_usage(struct erasing *erasing)
{
	struct value *usage = shard_usage(erasing->part->shard, erasing->arena, erasing->tenant);
	const struct value *total = value_get(usage, "total");
	value_set(erasing->record, "usage",
	          total ? value_copy(erasing->arena, total) : value_map(erasing->arena));
}

int erasure_forget(struct erasing *erasing, struct err *err)
{
	AUTO(change) *change = NULL;
	struct value *census = shard_tenant_census(erasing->part->shard, erasing->arena,
	                                           erasing->tenant);
	take_usage(erasing);
	TRY(take_audit(erasing, err));
	TRY(change_new(&change, err));
	TRY(forget(erasing, change, err));
	return erasure_advance(erasing, change, "settle", census, err);
}

/* --- the certificate --- */

static void set_time(struct value *map, const struct value *record, const char *name)
{
	char text[TIME_TEXT_MAX];
	value_set_str(map, name, time_print_ms(value_get_int(record, name, 0), text));
}

/* A list becomes a map by number: "01", "02", ... */
static struct value *numbered(struct arena *arena, const struct value *list)
{
	struct value *map = value_map(arena);
	for (size_t i = 0; i < value_len(list); i++) {
		const char *number = arena_printf(arena, "%02zu", i + 1);
		value_set(map, number ? number : "", number ? value_copy(arena, value_at(list, i))
		                                            : NULL);
	}
	return map;
}

int erasure_certificate(struct erasing *erasing, struct buf *out, struct err *err)
{
	static const char *const copied[] = { "requestedBy", "reason", "keys", "workers", "usage",
	                                      "audit" };
	char now[TIME_TEXT_MAX];
	struct arena *arena = erasing->arena;
	const struct value *record = erasing->record;
	struct value *certificate = value_map(arena), *tenant = value_map(arena);
	value_set_str(tenant, "name", erasing->tenant);
	value_set_str(tenant, "uid", erasing->uid);
	value_set_str(tenant, "createdAt", value_get_str(record, "createdAt"));
	value_set_str(certificate, "apiVersion", API_VERSION);
	value_set_str(certificate, "kind", CERTIFICATE_KIND);
	value_set(certificate, "tenant", tenant);
	set_time(certificate, record, "requestedAt");
	set_time(certificate, record, "dueAt");
	value_set_str(certificate, "completedAt", time_print_ms(erasing->now_ms, now));
	value_set(certificate, "performed", numbered(arena, value_get(record, "performed")));
	for (size_t i = 0; i < ARRAY_LEN(copied); i++)
		value_set(certificate, copied[i], value_copy(arena, value_get(record, copied[i])));
	TRY(value_check(certificate, err));
	return signer_certificate(erasing->control, arena, certificate, out, err);
}

/* --- settle --- */

/* Two checkpoints after now: the first may have begun before, and the store is compacted up to
 * where the one before the last stood. */
static bool is_settled(struct erasing *erasing)
{
	struct journal_stats stats;
	journal_stats(erasing->part->journal, &stats);
	if (!erasing->note->checkpoints)
		erasing->note->checkpoints = stats.checkpoints + CHECKPOINTS;
	if (stats.checkpoints >= erasing->note->checkpoints)
		return true;
	journal_checkpoint(erasing->part->journal);
	return false;
}

static int add_event(struct erasing *erasing, struct change *change, struct err *err)
{
	const struct audit_event event = {
		.tenant = "platform", .actor = PLATFORM_PRINCIPAL, .action = "tenant:erase",
		.resource = erasing->uid, .result = "succeeded", .at_ms = erasing->now_ms,
	};
	return audit_add(change, &event, err);
}

static int put_done(struct erasing *erasing, const struct buf *note, struct change *change,
                    struct err *err)
{
	static const char *const texts[] = { "tenant", "uid", "requestedBy", "reason" };
	char key[STORE_KEY_MAX];
	struct value *done = value_map(erasing->arena);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		value_set_str(done, texts[i], value_get_str(erasing->record, texts[i]));
	value_set_int(done, "requestedAt", value_get_int(erasing->record, "requestedAt", 0));
	value_set_int(done, "completedAt", erasing->now_ms);
	value_set(done, "certificate",
	          value_strn(erasing->arena, (const char *)note->data, note->len));
	TRY(value_check(done, err));
	return change_put(change, erasure_done_key(key, erasing->uid), done, -1, err);
}

static int end(struct erasing *erasing, struct err *err)
{
	AUTO(change) *change = NULL;
	char key[STORE_KEY_MAX];
	AUTO_BUF note;
	buf_init(&note, NOTE_BYTES_MAX);
	TRY(erasure_certificate(erasing, &note, err));
	TRY(change_new(&change, err));
	TRY(put_done(erasing, &note, change, err));
	TRY(change_delete(change, erasure_key(key, erasing->tenant), erasing->revision, err));
	TRY(change_delete(change, catalog_key(key, KIND_TENANT, NULL, NULL, erasing->tenant), -1,
	                  err));
	TRY(forget(erasing, change, err));
	TRY(add_event(erasing, change, err));
	return journal_commit(erasing->part->journal, change, err);
}

int erasure_settle(struct erasing *erasing, struct err *err)
{
	size_t count = 0;
	TRY(erasure_sweep(erasing, &count, err));    /* what was being written when it began */
	if (count > 0)
		return 1;
	if (!is_settled(erasing))
		return 0;
	TRY(store_compact(erasing->control->store, catalog_revision(erasing->control->catalog),
	                  err));
	TRY(end(erasing, err));
	*erasing->note = (struct erasure_note){ .checkpoints = 0 };
	journal_checkpoint(erasing->part->journal);  /* in which its name is not either */
	return 0;
}
