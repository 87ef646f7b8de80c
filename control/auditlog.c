/* auditlog.c - see auditlog.h. Entries are made again out of events: those of memory, or of where
 * older ones went. Whatever they come from, a whole bundle's hashes are compared with the tree. */
#include "common/defs.h"
#include "control/auditlog.h"

#include "api/certificate.h"
#include "common/log.h"
#include "control/ocsf.h"
#include "control/record.h"
#include "control/signer.h"

#include <inttypes.h>
#include <string.h>

enum { NOTE_BYTES = 4096, LINE_BYTES_MAX = OCSF_LINE_MAX, SIGNED_AT_ONCE = 1000,
       UNSIGNED_MS = 60000, UNSIGNED_EVENTS = 10000 };

int auditlog_open(struct control *control, struct arena *arena, const char *tenant,
                  struct auditlog *ret_log, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *resource = NULL;
	struct auditlog log = { .control = control, .part = part_of(control, tenant),
		                .arena = arena, .tenant = tenant };
	catalog_key(key, KIND_TENANT, NULL, NULL, tenant);
	TRY(catalog_get(control->catalog, arena, key, &resource, NULL, err));
	const char *uid = value_get_str(value_get(resource, "metadata"), "uid");
	if (!uid)
		return err_set(err, E_NOT_FOUND, "the tenant %s does not exist", tenant);
	log.origin = certificate_origin(arena, uid);
	if (!log.origin)
		return err_set(err, E_NOMEM, "no memory for an audit log");
	TRY(shard_log(log.part->shard, arena, tenant, &log.state, err));
	*ret_log = log;
	return 0;
}

/* --- lines --- */

int auditlog_print(const struct value *list, uint64_t index, audit_line_fn *line, void *context,
                   struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, LINE_BYTES_MAX);
	for (size_t i = 0; i < value_len(list); i++) {
		buf_clear(&text);
		TRY(ocsf_print(value_at(list, i), &text, err));
		TRY(buf_check(&text, err));
		TRY(line(context, index + i, (const char *)text.data, text.len, err));
	}
	return 0;
}

static int lines(const struct auditlog *log, uint64_t index, size_t count, audit_line_fn *line,
                 void *context, struct err *err)
{
	const struct audit_older *older = log->control->audit_older;
	struct value *list = NULL;
	int rc = shard_log_events(log->part->shard, log->arena, log->tenant, index, count, &list,
	                          err);
	if (rc == 0)
		return auditlog_print(list, index, line, context, err);
	if (rc != E_CONFLICT)
		return rc;
	if (older)
		return older->lines(older->context, log->tenant, index, count, line, context,
		                    err);
	return err_set(err, E_NOT_FOUND, "the events %" PRId64 " to %" PRId64 " have left memory, "
	               "which goes back to %" PRId64 "; export the log before they do",
	               log->state.from + (int64_t)index,
	               log->state.from + (int64_t)(index + count) - 1,
	               log->state.from + (int64_t)log->state.held);
}

int auditlog_lines(const struct auditlog *log, uint64_t index, size_t count, audit_line_fn *line,
                   void *context, struct err *err)
{
	return lines(log, index, count, line, context, err);
}

struct bundle {
	uint8_t hashes[TILE_WIDTH][MERKLE_BYTES];
	size_t count;
	struct buf *entries;         /* NULL: nobody wants them */
	struct buf *kept;            /* the line at `wanted`; NULL */
	uint64_t wanted;
};

static int add_line(void *context, uint64_t index, const char *line, size_t len, struct err *err)
{
	struct bundle *bundle = context;
	if (bundle->count == TILE_WIDTH)
		return err_set(err, E_INTERNAL, "more events than were asked for");
	merkle_leaf(line, len, bundle->hashes[bundle->count++]);
	if (bundle->kept && index == bundle->wanted)
		buf_put(bundle->kept, line, len);
	return bundle->entries ? tile_entry_put(bundle->entries, line, len, err) : 0;
}

/* Hashes of a whole bundle, or of as much of the last one as there is, must be the tree's. */
static int check_bundle(const struct auditlog *log, uint64_t index, const struct bundle *bundle,
                        struct err *err)
{
	struct shard *shard = log->part->shard;
	uint8_t row[TILE_WIDTH][MERKLE_BYTES], root[MERKLE_BYTES];
	const struct tile tail = { 0, index, (int)bundle->count };
	const struct tile above = { 1, index / TILE_WIDTH, (int)(index % TILE_WIDTH) + 1 };
	size_t last = index % TILE_WIDTH;
	bool whole = bundle->count == TILE_WIDTH;
	if (!whole && shard_log_tile(shard, log->tenant, &tail, row[0], NULL) < 0)
		return 0;                    /* the caller compares what it makes of them */
	if (whole) {
		TRY(shard_log_tile(shard, log->tenant, &above, row[0], err));
		tile_fold((const uint8_t(*)[MERKLE_BYTES])bundle->hashes, TILE_HEIGHT, root);
	}
	if (whole ? bytes_equal(root, row[last], MERKLE_BYTES)
	          : bytes_equal(row, bundle->hashes, bundle->count * MERKLE_BYTES))
		return 0;
	return err_set(err, E_CORRUPT, "the events %" PRId64 " to %" PRId64 " are not those that "
	               "the audit log's tree was made of",
	               log->state.from + (int64_t)index * TILE_WIDTH,
	               log->state.from + (int64_t)index * TILE_WIDTH + (int64_t)bundle->count - 1);
}

/* A part of a whole bundle is compared by way of all of it. */
static int load_bundle(const struct auditlog *log, const struct tile *tile, struct bundle *bundle,
                       struct err *err)
{
	bundle->count = 0;
	TRY(lines(log, tile->index * TILE_WIDTH, (size_t)tile->width, add_line, bundle, err));
	if (bundle->count != (size_t)tile->width)
		return err_set(err, E_INTERNAL, "fewer events than were asked for");
	return check_bundle(log, tile->index, bundle, err);
}

/* --- tiles --- */

static int read_tile(void *context, const struct tile *tile, uint8_t *out, struct err *err)
{
	const struct auditlog *log = context;
	struct bundle bundle = { .entries = NULL };
	int rc = shard_log_tile(log->part->shard, log->tenant, tile, out, err);
	if (rc != E_CONFLICT)
		return rc;
	TRY(load_bundle(log, tile, &bundle, err));
	memcpy(out, bundle.hashes, bundle.count * MERKLE_BYTES);
	return 0;
}

static int no_tile(const struct auditlog *log, struct err *err)
{
	return err_set(err, E_NOT_FOUND, "a log of %" PRIu64 " entries has no such tile",
	               log->state.size);
}

int auditlog_tile(const struct auditlog *log, const struct tile *tile, struct buf *out,
                  struct err *err)
{
	struct bundle bundle = { .entries = out };
	uint8_t hashes[TILE_WIDTH][MERKLE_BYTES];
	int level = tile->level == TILE_ENTRIES ? 0 : tile->level;
	struct tile most = tile_of(level, tile->index * TILE_WIDTH, log->state.size);
	if (tile->index >> MERKLE_DEPTH_MAX || tile->width > most.width)
		return no_tile(log, err);
	if (tile->level == TILE_ENTRIES)
		return load_bundle(log, tile, &bundle, err);
	TRY(read_tile((void *)(uintptr_t)log, tile, hashes[0], err));
	buf_put(out, hashes, (size_t)tile->width * MERKLE_BYTES);
	return buf_check(out, err);
}

/* --- proofs --- */

static int reader_of(const struct auditlog *log, uint64_t size, struct tile_reader **ret_reader,
                     struct err *err)
{
	struct tile_reader *reader = arena_alloc(log->arena, sizeof *reader);
	if (!reader)
		return err_set(err, E_NOMEM, "no memory for a proof");
	tile_reader_init(reader, size, read_tile, (void *)(uintptr_t)log);
	*ret_reader = reader;
	return 0;
}

int auditlog_consistency(const struct auditlog *log, uint64_t old, uint64_t size,
                         struct merkle_proof *ret_proof, struct err *err)
{
	struct tile_reader *reader = NULL;
	if (size > log->state.size)
		return err_set(err, E_INVALID, "the log has %" PRIu64 " entries, not %" PRIu64,
		               log->state.size, size);
	TRY(reader_of(log, size, &reader, err));
	const struct merkle_source source = tile_source(reader);
	return merkle_consistency(&source, old, size, ret_proof, err);
}

static int line_at(const struct auditlog *log, uint64_t index, struct buf *out, struct err *err)
{
	struct bundle bundle = { .kept = out, .wanted = index };
	const struct tile tile = tile_of(TILE_ENTRIES, index, log->state.size);
	TRY(load_bundle(log, &tile, &bundle, err));
	return buf_check(out, err);
}

int auditlog_prove(const struct auditlog *log, uint64_t index, struct logproof *ret_proof,
                   struct err *err)
{
	struct tile_reader *reader = NULL;
	struct logproof proof = { .index = index, .note = log->state.note,
		                  .note_len = strlen(log->state.note) };
	AUTO_BUF line;
	buf_init(&line, LINE_BYTES_MAX);
	TRY(reader_of(log, log->state.head_size, &reader, err));
	const struct merkle_source source = tile_source(reader);
	TRY(merkle_inclusion(&source, index, log->state.head_size, &proof.hashes, err));
	TRY(line_at(log, index, &line, err));
	proof.line = arena_strndup(log->arena, (const char *)line.data, line.len);
	proof.line_len = line.len;
	if (!proof.line)
		return err_set(err, E_NOMEM, "no memory for a proof");
	*ret_proof = proof;
	return 0;
}

/* --- signing --- */

static int keep(const struct auditlog *log, const struct buf *note, int64_t now_ms,
                struct err *err)
{
	AUTO(change) *change = NULL;
	uint8_t root[MERKLE_BYTES];
	TRY(change_new(&change, err));
	struct value *record = record_new(change_arena(change), RECORD_HEAD, now_ms);
	merkle_root(&log->state.range, root);
	value_set_str(record, "tenant", log->tenant);
	value_set_int(record, "size", (int64_t)log->state.size);
	value_set_bin(record, "root", root, sizeof root);
	value_set(record, "note",
	          value_strn(change_arena(change), (const char *)note->data, note->len));
	TRY(value_check(record, err));
	TRY(change_record(change, record, err));
	return journal_commit(log->part->journal, change, err);
}

static int may_sign(const struct auditlog *log, struct err *err)
{
	const struct log_state *state = &log->state;
	if (state->forked)
		return err_set(err, E_CORRUPT, "the audit log of %s does not hold the %" PRIu64
		               " entries that a checkpoint was signed of: nothing more is signed; "
		               "compare it with an exported copy", log->tenant,
		               state->forked_size);
	if (state->erasing)
		return err_set(err, E_CONFLICT, "%s is being erased: the last checkpoint of its "
		               "audit log is in the certificate", log->tenant);
	return part_needs_lead(log->part, err);
}

int auditlog_sign(struct auditlog *log, struct err *err)
{
	struct log_state *state = &log->state;
	int64_t now_ms = clock_unix_ms(log->control->clock);
	AUTO_BUF note;
	buf_init(&note, NOTE_BYTES);
	TRY(may_sign(log, err));
	if (state->note && state->head_size == state->size)
		return 0;
	TRY(signer_log(log->control, log->origin, &state->range, &note, err));
	TRY(keep(log, &note, now_ms, err));
	state->head_size = state->size;
	state->head_at_ms = now_ms;
	state->note = arena_strndup(log->arena, (const char *)note.data, note.len);
	return state->note ? 0 : err_set(err, E_NOMEM, "no memory for a checkpoint");
}

static int sign_one(struct part *part, struct arena *arena, const char *tenant, struct err *err)
{
	struct auditlog log;
	arena_reset(arena);
	int rc = auditlog_open(part->control, arena, tenant, &log, err);
	if (rc == 0 && !log.state.erasing)
		rc = auditlog_sign(&log, err);
	return rc == E_NOT_FOUND ? 0 : rc;   /* it was deleted: nobody asks for it any more */
}

int auditlog_look(struct part *part, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct log_name *names = NULL;
	AUTO(arena) *list = NULL;
	TRY(arena_new(MIB, &arena, err));
	TRY(arena_new(MIB, &list, err));
	names = arena_alloc(list, SIGNED_AT_ONCE * sizeof *names);
	if (!names)
		return err_set(err, E_NOMEM, "no memory for audit logs' names");
	size_t count = shard_logs_due(part->shard, clock_unix_ms(part->control->clock),
	                              UNSIGNED_MS, UNSIGNED_EVENTS, names, SIGNED_AT_ONCE);
	for (size_t i = 0; i < count; i++)
		TRY(sign_one(part, arena, names[i].tenant, err));
	return 0;
}

void auditlog_report(struct part *part)
{
	struct log_name names[16];
	size_t count = shard_logs_forked(part->shard, names, ARRAY_LEN(names));
	for (size_t i = 0; i < count; i++)
		log_error(&(struct log_context){ .tenant = names[i].tenant }, "audit_log_forked",
		          "reason=\"it does not hold what a checkpoint was signed of; no more is "
		          "signed\"");
}
