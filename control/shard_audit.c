/* shard_audit.c - the newest audit events of each tenant, in a ring: AUDIT_MAX of one,
 * AUDIT_ALL_MAX of all, of which whoever has most gives up its oldest, so that memory and
 * checkpoints are bounded whatever the number of tenants. Invariants: entries are in order of seq,
 * oldest at `first`; shard->audit_len is the sum of the rings' len. */
#include "common/defs.h"
#include "control/shard_impl.h"

#include "common/pack.h"

#include <stdlib.h>
#include <string.h>

enum { DROP_PART = 16, RING_FIRST = 64, EVENT_BYTES_MAX = 16384, PAGE_MAX = 1000 };

struct audit_entry *audit_entry_at(const struct audit_ring *ring, size_t i)
{
	return &ring->entries[(ring->first + i) % ring->cap];
}

void audit_drop_oldest(struct shard *shard, struct audit_ring *ring)
{
	free(audit_entry_at(ring, 0)->packed);
	ring->first = (ring->first + 1) % ring->cap;
	ring->len--;
	shard->audit_len--;
}

void audit_clear(struct shard *shard, struct audit_ring *ring)
{
	while (ring->len > 0)
		audit_drop_oldest(shard, ring);
	ring->first = 0;
	ring->seq = 0;
	ring->stored = 0;
	ring->store_after_mono_ms = 0;
	log_clear(ring);
}

static int grow(struct audit_ring *ring, struct err *err)
{
	if (ring->len < ring->cap || ring->cap == AUDIT_MAX)
		return 0;
	size_t cap = ring->cap ? ring->cap * 2 : RING_FIRST;
	if (cap > AUDIT_MAX)
		cap = AUDIT_MAX;
	struct audit_entry *entries = calloc(cap, sizeof *entries);
	if (!entries)
		return err_set(err, E_NOMEM, "no memory for audit events");
	for (size_t i = 0; i < ring->len; i++)
		entries[i] = *audit_entry_at(ring, i);
	free(ring->entries);
	ring->entries = entries;
	ring->cap = cap;
	ring->first = 0;
	return 0;
}

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (; text && *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
	return hash;
}

/* What is kept, and hashed: without its type, with its number. */
static int numbered(struct arena *arena, const struct value *record, int64_t seq,
                    struct value **ret_event, struct err *err)
{
	struct value *event = value_copy(arena, record);
	TRY(value_check(event, err));
	value_set_int(event, "seq", seq);
	value_remove(event, "t");
	*ret_event = event;
	return value_check(event, err);
}

static int pack_event(const struct value *event, uint8_t **ret_packed, size_t *ret_len,
                      struct err *err)
{
	AUTO_BUF packed;
	buf_init(&packed, EVENT_BYTES_MAX);
	TRY(pack_write(event, &packed, err));
	TRY(buf_check(&packed, err));
	uint8_t *copy = malloc(packed.len + 1);
	if (!copy)
		return err_set(err, E_NOMEM, "no memory for audit events");
	memcpy(copy, packed.data, packed.len);
	*ret_packed = copy;
	*ret_len = packed.len;
	return 0;
}

/* Of two with as many the one whose name sorts first: a replay finds the same. */
static bool has_more(const struct account *a, const struct account *b)
{
	if (a->audit.len != b->audit.len)
		return a->audit.len > b->audit.len;
	return strcmp(a->name, b->name) < 0;
}

static void make_room(struct shard *shard)
{
	struct account *most = shard->account_list;
	for (struct account *at = most; at; at = at->next)
		if (has_more(at, most))
			most = at;
	for (size_t drop = most->audit.len / DROP_PART + 1; drop > 0; drop--)
		audit_drop_oldest(shard, &most->audit);
}

static int make_entry(struct audit_ring *ring, const struct value *record,
                      struct audit_entry *entry, struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *event = NULL;
	TRY(arena_new(4 * EVENT_BYTES_MAX, &arena, err));
	TRY(numbered(arena, record, entry->seq, &event, err));
	TRY(pack_event(event, &entry->packed, &entry->len, err));
	/* What a checkpoint brings is in the tree that it brings as well. */
	int rc = value_get(record, "seq") ? 0 : log_grow(ring, event, err);
	if (rc < 0)
		free(entry->packed);
	return rc;
}

int audit_append(struct shard *shard, struct account *account, const struct value *record,
                 struct err *err)
{
	struct audit_ring *ring = &account->audit;
	struct audit_entry entry = {
		.seq = value_get_int(record, "seq", ring->seq + 1),    /* a checkpoint's has it */
		.at_ms = value_get_int(record, "at", 0),
		.actor = hash_text(value_get_str(record, "actor")),
		.action = hash_text(value_get_str(record, "action")),
		.result = hash_text(value_get_str(record, "result")),
	};
	TRY(grow(ring, err));
	TRY(make_entry(ring, record, &entry, err));
	if (ring->len == ring->cap)
		audit_drop_oldest(shard, ring);
	*audit_entry_at(ring, ring->len++) = entry;
	ring->seq = entry.seq;
	if (++shard->audit_len > AUDIT_ALL_MAX)
		make_room(shard);
	return 0;
}

void shard_audit_tree(struct shard *shard, const char *tenant, struct audit_tree *ret_tree)
{
	*ret_tree = (struct audit_tree){ .from = 1 };
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	if (account) {
		const struct audit_ring *ring = &account->audit;
		logtree_range(&ring->tree, ring->tree.size, NULL, &ret_tree->range);
		ret_tree->from = ring->tree.size ? ring->tree_from : ring->seq + 1;
	}
	shard_unlock(shard);
}

static bool text_matches(const char *wanted, const struct value *event, const char *member)
{
	const char *text = value_get_str(event, member);
	return !wanted || (text && strcmp(text, wanted) == 0);
}

static bool maybe_matches(const struct audit_query *query, const struct audit_entry *entry)
{
	return (!query->actor || hash_text(query->actor) == entry->actor) &&
		(!query->action || hash_text(query->action) == entry->action) &&
		(!query->result || hash_text(query->result) == entry->result) &&
		(query->before_seq <= 0 || entry->seq < query->before_seq);
}

static int collect(const struct audit_ring *ring, const struct audit_query *query,
                   struct arena *arena, struct value *list, bool *ret_more, struct err *err)
{
	size_t limit = query->limit > 0 && query->limit < PAGE_MAX ? query->limit : PAGE_MAX;
	for (size_t i = ring->len; i-- > 0;) {
		const struct audit_entry *entry = audit_entry_at(ring, i);
		struct value *event = NULL;
		if (!maybe_matches(query, entry))
			continue;
		TRY(pack_read(arena, entry->packed, entry->len, &event, err));
		if (!text_matches(query->actor, event, "actor") ||
		    !text_matches(query->action, event, "action") ||
		    !text_matches(query->result, event, "result"))
			continue;
		if (value_len(list) == limit) {
			*ret_more = true;
			return 0;
		}
		value_add(list, event);
	}
	return 0;
}

int shard_audit(struct shard *shard, struct arena *arena, const struct audit_query *query,
                struct value **ret_list, bool *ret_more, struct err *err)
{
	struct value *list = value_list(arena);
	bool more = false;
	TRY(value_check(list, err));
	shard_lock(shard);
	const struct account *account = account_find(shard, query->tenant);
	int rc = account ? collect(&account->audit, query, arena, list, &more, err) : 0;
	shard_unlock(shard);
	TRY(rc);
	TRY(value_check(list, err));
	*ret_list = list;
	*ret_more = more;
	return 0;
}
