/* h_auditlog.c - a tenant's audit log for whoever checks it: checkpoint, tiles, entries, proofs.
 * Entries and proofs show events: reading them is an event, too. */
#include "common/defs.h"
#include "control/admit.h"

#include "common/text.h"
#include "control/auditlog.h"
#include "control/signer.h"

#include <inttypes.h>
#include <string.h>

handler_fn h_auditlog_get, h_auditlog_checkpoint, h_auditlog_entries, h_auditlog_tile,
	h_auditlog_proof, h_auditlog_consistency;

static int open_log(struct control *control, struct request *request, struct auditlog *ret_log,
                    struct err *err)
{
	TRY(request_needs_lead(request, err));
	return auditlog_open(control, request->arena, request->tenant, ret_log, err);
}

static int reply_bytes(struct request *request, const char *type, struct err *err)
{
	request->reply->status = 200;
	request->reply->content_type = type;
	return buf_check(&request->reply->body, err);
}

static struct value *show_before(struct arena *arena, const struct log_before *before)
{
	struct value *map = value_map(arena);
	AUTO_BUF root;
	buf_init(&root, KIB);
	base64_print(before->root, MERKLE_BYTES, &root);
	value_set_int(map, "size", (int64_t)before->size);
	value_set_int(map, "from", before->from);
	value_set(map, "root", value_strn(arena, (const char *)root.data, root.len));
	return map;
}

int h_auditlog_get(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena), *heads = NULL;
	struct note_verifier verifier;
	char key[NOTE_VERIFIER_MAX];
	struct auditlog log;
	TRY(open_log(control, request, &log, err));
	TRY(signer_log_verifier(control, log.origin, &verifier, err));
	note_verifier_print(&verifier, key);
	TRY(shard_log_heads(log.part->shard, request->arena, log.tenant, &heads, err));
	value_set_str(body, "origin", log.origin);
	value_set_str(body, "key", key);
	value_set_int(body, "size", (int64_t)log.state.size);
	value_set_int(body, "from", log.state.from);
	value_set_int(body, "held", (int64_t)log.state.held);
	if (log.state.forked)
		value_set_int(body, "forked", (int64_t)log.state.forked_size);
	if (log.state.before.size)
		value_set(body, "before", show_before(request->arena, &log.state.before));
	value_set(body, "checkpoints", heads);
	return request_reply(request, 200, body, err);
}

int h_auditlog_checkpoint(struct control *control, struct request *request, struct err *err)
{
	struct auditlog log;
	TRY(open_log(control, request, &log, err));
	TRY(auditlog_sign(&log, err));
	buf_puts(&request->reply->body, log.state.note);
	return reply_bytes(request, "text/plain; charset=utf-8", err);
}

/* Both of entries and of hashes: the path says which. */
int h_auditlog_tile(struct control *control, struct request *request, struct err *err)
{
	static const char folder[] = "/audit/tile/";
	struct auditlog log;
	struct tile tile;
	const char *path = strstr(request->ask->path, folder);
	REQUIRE(path);
	TRY(tile_path_read(path + strlen("/audit/"), &tile, err));
	REQUIRE((tile.level == TILE_ENTRIES) == (request->route->handler == h_auditlog_entries));
	TRY(open_log(control, request, &log, err));
	TRY(auditlog_tile(&log, &tile, &request->reply->body, err));
	return reply_bytes(request, "application/octet-stream", err);
}

int h_auditlog_entries(struct control *control, struct request *request, struct err *err)
{
	return h_auditlog_tile(control, request, err);
}

int h_auditlog_proof(struct control *control, struct request *request, struct err *err)
{
	struct auditlog log;
	struct logproof proof;
	int64_t event = 0;
	TRY(request_number(request, "event", 1, INT64_MAX, 0, &event, err));
	TRY(open_log(control, request, &log, err));
	uint64_t index = (uint64_t)(event - log.state.from);
	if (event < log.state.from || index >= log.state.size)
		return err_set(err, E_NOT_FOUND, "event: the log has the events %" PRId64 " to %"
		               PRId64, log.state.from,
		               log.state.from + (int64_t)log.state.size - 1);
	if (index >= log.state.head_size)
		TRY(auditlog_sign(&log, err));
	TRY(auditlog_prove(&log, index, &proof, err));
	TRY(logproof_print(&proof, &request->reply->body, err));
	return reply_bytes(request, "text/plain; charset=utf-8", err);
}

int h_auditlog_consistency(struct control *control, struct request *request, struct err *err)
{
	struct value *body = value_map(request->arena), *hashes = value_list(request->arena);
	struct merkle_proof proof;
	struct auditlog log;
	int64_t old = 0, size = 0;
	TRY(request_number(request, "old", 1, INT64_MAX, 0, &old, err));
	TRY(open_log(control, request, &log, err));
	TRY(request_number(request, "size", 1, INT64_MAX, (int64_t)log.state.size, &size, err));
	TRY(auditlog_consistency(&log, (uint64_t)old, (uint64_t)size, &proof, err));
	for (size_t i = 0; i < proof.count; i++) {
		AUTO_BUF text;
		buf_init(&text, KIB);
		base64_print(proof.hashes[i], MERKLE_BYTES, &text);
		TRY(buf_check(&text, err));
		value_add_str(hashes, (const char *)text.data);
	}
	value_set_int(body, "old", old);
	value_set_int(body, "size", size);
	value_set(body, "hashes", hashes);
	return request_reply(request, 200, body, err);
}
