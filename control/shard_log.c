/* shard_log.c - see shard_log.h. Invariants: heads are in order of size, and of number; every head
 * that was compared with the tree is one of its prefixes, or ring->forked is set. */
#include "common/defs.h"
#include "control/shard_impl.h"

#include "common/pack.h"
#include "control/ocsf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	NODES_A_RECORD = 4096, HEADS_ALL = 8, HEADS_MAX = 256, NOTE_MAX = 4096,
	EVENT_ARENA_MAX = 256 * 1024
};

static int leaf_of(const struct value *event, uint8_t out[MERKLE_BYTES], struct err *err)
{
	AUTO_BUF line;
	buf_init(&line, OCSF_LINE_MAX);
	TRY(ocsf_print(event, &line, err));
	TRY(buf_check(&line, err));
	merkle_leaf(line.data, line.len, out);
	return 0;
}

/* --- the tree --- */

static uint64_t head_size(const struct audit_ring *ring)
{
	return ring->head_count ? ring->heads[ring->head_count - 1].size : 0;
}

int log_grow(struct audit_ring *ring, const struct value *event, struct err *err)
{
	uint8_t leaf[MERKLE_BYTES];
	TRY(leaf_of(event, leaf, err));
	TRY(logtree_append(&ring->tree, leaf, err));
	if (ring->tree.size == 1)
		ring->tree_from = value_get_int(event, "seq", 1);
	if (ring->tree.size == head_size(ring) + 1)
		ring->waiting_ms = value_get_int(event, "at", 0);
	return 0;
}

/* Index of the oldest entry that is in memory; the size: none is. */
static uint64_t held_from(const struct audit_ring *ring)
{
	uint64_t size = ring->tree.size;
	return ring->len < size ? size - ring->len : 0;
}

static int event_at(const struct audit_ring *ring, struct arena *arena, uint64_t index,
                    struct value **ret_event, struct err *err)
{
	size_t back = (size_t)(ring->tree.size - index);
	const struct audit_entry *entry = audit_entry_at(ring, ring->len - back);
	return pack_read(arena, entry->packed, entry->len, ret_event, err);
}

static int leaves_at(const struct audit_ring *ring, uint64_t from, size_t count,
                     uint8_t (*out)[MERKLE_BYTES], struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(EVENT_ARENA_MAX, &arena, err));
	for (size_t i = 0; i < count; i++) {
		struct value *event = NULL;
		arena_reset(arena);
		TRY(event_at(ring, arena, from + i, &event, err));
		TRY(leaf_of(event, out[i], err));
	}
	return 0;
}

/* The root at an earlier size. E_CONFLICT: some leaf that it takes is not in memory. */
static int root_at(const struct audit_ring *ring, uint64_t size, uint8_t out[MERKLE_BYTES],
                   struct err *err)
{
	uint8_t leaves[TILE_WIDTH][MERKLE_BYTES];
	struct merkle_range range;
	uint64_t from = size - size % TILE_WIDTH;
	bool has = logtree_has(&ring->tree, size);
	if (!has && from < held_from(ring))
		return err_set(err, E_CONFLICT, "leaves are not kept");
	if (!has)
		TRY(leaves_at(ring, from, (size_t)(size - from), leaves, err));
	logtree_range(&ring->tree, size, has ? NULL : (const uint8_t(*)[MERKLE_BYTES])leaves,
	              &range);
	merkle_root(&range, out);
	return 0;
}

/* --- heads --- */

static void head_free(struct kept_head *head)
{
	free(head->note);
}

void log_clear(struct audit_ring *ring)
{
	logtree_clear(&ring->tree);
	for (size_t i = 0; i < ring->head_count; i++)
		head_free(&ring->heads[i]);
	free(ring->heads);
	ring->heads = NULL;
	ring->head_count = 0;
	ring->tree_from = 0;
	ring->waiting_ms = 0;
	ring->before = (struct log_before){ 0 };
	ring->forked = false;
	ring->forked_size = 0;
}

/* Among the newest, or one in 2^k among 2^k as many. */
static bool stays(uint64_t number, uint64_t newest)
{
	int zeros = number ? __builtin_ctzll(number) : 63;
	return zeros >= 60 || newest - number < (uint64_t)HEADS_ALL << zeros;
}

static void thin(struct audit_ring *ring)
{
	size_t kept = 0;
	uint64_t newest = ring->heads[ring->head_count - 1].number;
	for (size_t i = 0; i < ring->head_count; i++) {
		if (stays(ring->heads[i].number, newest))
			ring->heads[kept++] = ring->heads[i];
		else
			head_free(&ring->heads[i]);
	}
	ring->head_count = kept;
}

static int check_head(struct audit_ring *ring, uint64_t size, const uint8_t *root,
                      struct err *err)
{
	uint8_t own[MERKLE_BYTES];
	bool held = size <= ring->tree.size;
	int rc = held ? root_at(ring, size, own, err) : 0;
	if (rc < 0)
		return rc == E_CONFLICT ? 0 : rc;
	if (held && bytes_equal(own, root, MERKLE_BYTES))
		return 0;
	if (!ring->forked)
		ring->forked_size = size;
	ring->forked = true;
	return 0;
}

static int keep_head(struct audit_ring *ring, const struct kept_head *head, const char *note,
                     struct err *err)
{
	struct kept_head *heads = realloc(ring->heads, (ring->head_count + 1) * sizeof *heads);
	if (!heads)
		return err_set(err, E_NOMEM, "no memory for an audit log's checkpoint");
	ring->heads = heads;
	char *copy = strdup(note);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for an audit log's checkpoint");
	heads[ring->head_count] = *head;
	heads[ring->head_count++].note = copy;
	thin(ring);
	ring->waiting_ms = head->at_ms;
	return 0;
}

static int ring_of(struct shard *shard, const struct value *record, struct audit_ring **ret_ring,
                   struct err *err)
{
	struct account *account = NULL;
	const char *tenant = value_get_str(record, "tenant");
	if (!tenant)
		return err_set(err, E_CORRUPT, "an audit log's record lacks its tenant");
	TRY(account_get(shard, tenant, &account, err));
	*ret_ring = &account->audit;
	return 0;
}

static int read_root(const struct value *record, uint8_t out[MERKLE_BYTES], struct err *err)
{
	size_t len = 0;
	const void *root = value_get_bin(record, "root", &len);
	if (!root || len != MERKLE_BYTES)
		return err_set(err, E_CORRUPT, "an audit log's record lacks its root");
	memcpy(out, root, MERKLE_BYTES);
	return 0;
}

/* A journal's is compared with the tree as it is now; a checkpoint's (it has its number) comes
 * before the tree's end, and only the newest is compared, by log_restore. */
int log_apply_head(struct shard *shard, const struct value *record, struct err *err)
{
	struct audit_ring *ring = NULL;
	const char *note = value_get_str(record, "note");
	TRY(ring_of(shard, record, &ring, err));
	const struct kept_head *newest = ring->head_count
		? &ring->heads[ring->head_count - 1] : NULL;
	struct kept_head head = {
		.number = (uint64_t)value_get_int(record, "number",
		                                  newest ? (int64_t)newest->number + 1 : 0),
		.size = (uint64_t)value_get_int(record, "size", 0),
		.at_ms = value_get_int(record, "at", 0),
	};
	TRY(read_root(record, head.root, err));
	if (!note || strlen(note) > NOTE_MAX || ring->head_count >= HEADS_MAX)
		return err_set(err, E_CORRUPT, "an audit log's checkpoint is damaged");
	if (!value_get(record, "number"))
		TRY(check_head(ring, head.size, head.root, err));
	if (newest && (head.size <= newest->size || head.number <= newest->number))
		return 0;                    /* two were signed at once */
	return keep_head(ring, &head, note, err);
}

/* --- a checkpoint's records --- */

static void read_before(struct audit_ring *ring, const struct value *record)
{
	const struct value *map = value_get(record, "before");
	struct log_before before = { .size = (uint64_t)value_get_int(map, "size", 0),
		                     .from = value_get_int(map, "from", 0) };
	if (map && read_root(map, before.root, NULL) == 0)
		ring->before = before;
}

/* Of a version that hashed other bytes of an event: its root is kept, and the tree begins again
 * with the events that came along. */
static int begin_again(struct audit_ring *ring, const struct value *record, struct err *err)
{
	AUTO(arena) *arena = NULL;
	size_t len = 0;
	const void *edge = value_get_bin(record, "edge", &len);
	struct merkle_range range;
	TRY(merkle_range_read((uint64_t)value_get_int(record, "size", 0), edge, len, &range, err));
	TRY(arena_new(EVENT_ARENA_MAX, &arena, err));
	log_clear(ring);
	ring->before = (struct log_before){ .size = range.size,
		                            .from = ring->seq - (int64_t)range.size + 1 };
	merkle_root(&range, ring->before.root);
	for (size_t i = 0; i < ring->len; i++) {
		const struct audit_entry *entry = audit_entry_at(ring, i);
		struct value *event = NULL;
		arena_reset(arena);
		TRY(pack_read(arena, entry->packed, entry->len, &event, err));
		TRY(log_grow(ring, event, err));
	}
	return 0;
}

int log_restore_nodes(struct shard *shard, const struct value *record, struct err *err)
{
	struct audit_ring *ring = NULL;
	size_t len = 0;
	TRY(ring_of(shard, record, &ring, err));
	const void *hashes = value_get_bin(record, "hashes", &len);
	return logtree_put_nodes(&ring->tree, (uint64_t)value_get_int(record, "from", -1), hashes,
	                         len, err);
}

int log_restore(struct shard *shard, const struct value *record, struct err *err)
{
	struct audit_ring *ring = NULL;
	size_t len = 0;
	TRY(ring_of(shard, record, &ring, err));
	int64_t seq = value_get_int(record, "seq", 0);
	ring->seq = seq > ring->seq ? seq : ring->seq;
	if (value_get(record, "edge"))
		return begin_again(ring, record, err);
	const void *tail = value_get_bin(record, "tail", &len);
	TRY(logtree_put_tail(&ring->tree, (uint64_t)value_get_int(record, "size", -1), tail, len,
	                     err));
	ring->tree_from = value_get_int(record, "from", 1);
	ring->stored = value_get_int(record, "stored", 0);
	ring->forked = value_get(record, "forked");
	ring->forked_size = (uint64_t)value_get_int(record, "forked", 0);
	read_before(ring, record);
	if (ring->head_count == 0)
		return 0;
	const struct kept_head *newest = &ring->heads[ring->head_count - 1];
	return check_head(ring, newest->size, newest->root, err);
}

static struct value *record_of(struct arena *arena, enum record_type type, const char *tenant,
                               int64_t at_ms)
{
	struct value *record = record_new(arena, type, at_ms);
	value_set_str(record, "tenant", tenant);
	return record;
}

static int emit_nodes(struct arena *arena, const char *tenant, const struct audit_ring *ring,
                      int64_t at_ms, log_emit_fn *emit, void *context, struct err *err)
{
	const struct logtree_row *row = &ring->tree.rows[1];
	for (size_t from = 0; from < row->count; from += NODES_A_RECORD) {
		size_t left = row->count - from;
		size_t count = left < NODES_A_RECORD ? left : NODES_A_RECORD;
		struct value *record = record_of(arena, RECORD_NODES, tenant, at_ms);
		value_set_int(record, "from", (int64_t)from);
		value_set_bin(record, "hashes", row->hashes[from], count * MERKLE_BYTES);
		TRY(emit(context, record, err));
	}
	return 0;
}

static int emit_heads(struct arena *arena, const char *tenant, const struct audit_ring *ring,
                      log_emit_fn *emit, void *context, struct err *err)
{
	for (size_t i = 0; i < ring->head_count; i++) {
		const struct kept_head *head = &ring->heads[i];
		struct value *record = record_of(arena, RECORD_HEAD, tenant, head->at_ms);
		value_set_int(record, "number", (int64_t)head->number);
		value_set_int(record, "size", (int64_t)head->size);
		value_set_bin(record, "root", head->root, MERKLE_BYTES);
		value_set_str(record, "note", head->note);
		TRY(emit(context, record, err));
	}
	return 0;
}

static void set_before(struct arena *arena, struct value *record, const struct log_before *before)
{
	struct value *map = value_map(arena);
	value_set_int(map, "size", (int64_t)before->size);
	value_set_int(map, "from", before->from);
	value_set_bin(map, "root", before->root, MERKLE_BYTES);
	value_set(record, "before", map);
}

int log_emit(struct arena *arena, const char *tenant, const struct audit_ring *ring, int64_t at_ms,
             log_emit_fn *emit, void *context, struct err *err)
{
	const struct logtree *tree = &ring->tree;
	if (tree->size == 0 && ring->before.size == 0)
		return 0;
	TRY(emit_nodes(arena, tenant, ring, at_ms, emit, context, err));
	TRY(emit_heads(arena, tenant, ring, emit, context, err));
	struct value *record = record_of(arena, RECORD_LOG, tenant, at_ms);
	value_set_int(record, "seq", ring->seq);
	value_set_int(record, "size", (int64_t)tree->size);
	value_set_int(record, "from", ring->tree_from);
	value_set_int(record, "stored", ring->stored);
	size_t tail = tree->rows[0].count * MERKLE_BYTES;
	value_set_bin(record, "tail", tail ? tree->rows[0].hashes[0] : (const uint8_t *)"", tail);
	if (ring->before.size)
		set_before(arena, record, &ring->before);
	if (ring->forked)
		value_set_int(record, "forked", (int64_t)ring->forked_size);
	return emit(context, record, err);
}

/* --- reading --- */

static void state_of(const struct audit_ring *ring, struct log_state *state)
{
	*state = (struct log_state){
		.size = ring->tree.size, .held = held_from(ring), .forked = ring->forked,
		.from = ring->tree.size ? ring->tree_from : ring->seq + 1,
		.forked_size = ring->forked_size, .before = ring->before,
	};
	logtree_range(&ring->tree, ring->tree.size, NULL, &state->range);
}

int shard_log(struct shard *shard, struct arena *arena, const char *tenant,
              struct log_state *ret_state, struct err *err)
{
	struct log_state state = { .from = 1 };
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	if (account) {
		state_of(&account->audit, &state);
		state.erasing = account->held == HOLD_ERASE;
	}
	if (account && account->audit.head_count) {
		const struct audit_ring *ring = &account->audit;
		const struct kept_head *newest = &ring->heads[ring->head_count - 1];
		state.head_size = newest->size;
		state.head_at_ms = newest->at_ms;
		state.note = arena_strdup(arena, newest->note);
	}
	shard_unlock(shard);
	if (state.head_size && !state.note)
		return err_set(err, E_NOMEM, "no memory for an audit log's checkpoint");
	*ret_state = state;
	return 0;
}

int shard_log_heads(struct shard *shard, struct arena *arena, const char *tenant,
                    struct value **ret_list, struct err *err)
{
	struct value *list = value_list(arena);
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	for (size_t i = account ? account->audit.head_count : 0; i-- > 0;) {
		const struct kept_head *head = &account->audit.heads[i];
		struct value *item = value_map(arena);
		char time[TIME_TEXT_MAX];
		value_set_int(item, "size", (int64_t)head->size);
		value_set_str(item, "at", time_print_ms(head->at_ms, time));
		value_set_str(item, "checkpoint", head->note);
		value_add(list, item);
	}
	shard_unlock(shard);
	TRY(value_check(list, err));
	*ret_list = list;
	return 0;
}

static int no_log(struct err *err)
{
	return err_set(err, E_NOT_FOUND, "a log of 0 entries has no such tile");
}

int shard_log_tile(struct shard *shard, const char *tenant, const struct tile *tile, uint8_t *out,
                   struct err *err)
{
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	int rc = account ? logtree_tile(&account->audit.tree, tile, out, err) : no_log(err);
	shard_unlock(shard);
	return rc;
}

static int add_events(const struct audit_ring *ring, struct arena *arena, uint64_t index,
                      size_t count, struct value *list, struct err *err)
{
	if (index + count > ring->tree.size)
		return err_set(err, E_NOT_FOUND, "the log has %" PRIu64 " entries, not %" PRIu64,
		               ring->tree.size, index + count);
	if (index < held_from(ring))
		return err_set(err, E_CONFLICT, "the entry %" PRIu64 " is not in memory any more",
		               index);
	for (size_t i = 0; i < count; i++) {
		struct value *event = NULL;
		TRY(event_at(ring, arena, index + i, &event, err));
		value_add(list, event);
	}
	return 0;
}

int shard_log_events(struct shard *shard, struct arena *arena, const char *tenant, uint64_t index,
                     size_t count, struct value **ret_list, struct err *err)
{
	struct value *list = value_list(arena);
	TRY(value_check(list, err));
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	int rc = account ? add_events(&account->audit, arena, index, count, list, err)
	                 : no_log(err);
	shard_unlock(shard);
	TRY(rc);
	*ret_list = list;
	return value_check(list, err);
}

static bool is_due(const struct account *account, int64_t now_ms, int64_t max_age_ms,
                   uint64_t max_behind)
{
	const struct audit_ring *ring = &account->audit;
	if (ring->forked || account->held == HOLD_ERASE || head_size(ring) >= ring->tree.size)
		return false;
	return ring->tree.size - head_size(ring) >= max_behind ||
		now_ms - ring->waiting_ms >= max_age_ms;
}

size_t shard_logs_due(struct shard *shard, int64_t now_ms, int64_t max_age_ms, uint64_t max_behind,
                      struct log_name *names, size_t most)
{
	size_t count = 0;
	shard_lock(shard);
	for (const struct account *at = shard->account_list; at && count < most; at = at->next)
		if (is_due(at, now_ms, max_age_ms, max_behind))
			memcpy(names[count++].tenant, at->name, sizeof names->tenant);
	shard_unlock(shard);
	return count;
}

size_t shard_logs_forked(struct shard *shard, struct log_name *names, size_t most)
{
	size_t count = 0;
	shard_lock(shard);
	for (const struct account *at = shard->account_list; at && count < most; at = at->next)
		if (at->audit.forked)
			memcpy(names[count++].tenant, at->name, sizeof names->tenant);
	shard_unlock(shard);
	return count;
}
