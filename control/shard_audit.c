/* shard_audit.c - the newest audit events of each tenant, in a ring: AUDIT_MAX of one,
 * AUDIT_ALL_MAX of all, of which whoever has most gives up its oldest, so that memory and
 * checkpoints are bounded whatever the number of tenants. Invariants: entries are in order of seq,
 * oldest at `first`; shard->audit_len is the sum of the rings' len. */
#include "common/defs.h"
#include "control/shard_impl.h"

#include "api/datapath.h"
#include "common/pack.h"

#include <stdlib.h>
#include <string.h>

enum {
	DROP_PART = 16, RING_FIRST = 64, EVENT_BYTES_MAX = 16384, PAGE_MAX = 1000,
	OPENED_MAX = 5000    /* for one page */
};

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

size_t audit_stored_count(const struct audit_ring *ring)
{
	int64_t oldest = ring->len ? audit_entry_at(ring, 0)->seq : INT64_MAX;
	return ring->stored < oldest ? 0 : (size_t)(ring->stored - oldest + 1);
}

/* Of two with as many the one whose name sorts first: a replay finds the same. */
static bool has_more(const struct account *a, const struct account *b)
{
	size_t of_a = audit_stored_count(&a->audit), of_b = audit_stored_count(&b->audit);
	if (of_a != of_b)
		return of_a > of_b;
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
	size_t stored = audit_stored_count(&most->audit);
	for (size_t drop = (stored ? stored : most->audit.len) / DROP_PART + 1; drop > 0; drop--)
		audit_drop_oldest(shard, &most->audit);
}

static size_t waiting_in_all(const struct shard *shard)
{
	size_t stored = 0;
	for (const struct account *at = shard->account_list; at; at = at->next)
		stored += audit_stored_count(&at->audit);
	return shard->audit_len - stored;
}

bool shard_audit_has_room(struct shard *shard, const char *tenant)
{
	enum { MOST = AUDIT_MAX / 10 * 9, ALL_MOST = AUDIT_ALL_MAX / 10 * 9 };
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	bool room = !account || account->audit.len - audit_stored_count(&account->audit) < MOST;
	if (room && shard->audit_len >= ALL_MOST)
		room = waiting_in_all(shard) < ALL_MOST;
	shard_unlock(shard);
	return room;
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

/* The path itself, or what lies below it; or data that was read. */
static bool lies_in(const char *wanted, const char *path)
{
	size_t len = wanted ? strlen(wanted) : 0;
	if (!wanted || datapath_matches(wanted, path))
		return true;
	return path && strncmp(path, wanted, len) == 0 &&
		(!path[len] || path[len] == '/' || (len && wanted[len - 1] == '/'));
}

static bool maybe_matches(const struct audit_query *query, const struct audit_entry *entry)
{
	return (!query->actor || hash_text(query->actor) == entry->actor) &&
		(!query->action || hash_text(query->action) == entry->action) &&
		(!query->result || hash_text(query->result) == entry->result) &&
		(!query->from_ms || entry->at_ms >= query->from_ms) &&
		(!query->to_ms || entry->at_ms < query->to_ms) &&
		(query->before_seq <= 0 || entry->seq < query->before_seq);
}

static bool matches(const struct audit_query *query, const struct value *event)
{
	const struct { const char *wanted, *member; } texts[] = {
		{ query->actor, "actor" },     { query->action, "action" },
		{ query->result, "result" },   { query->purpose, "purpose" },
		{ query->request, "request" }, { query->task, "task" },
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!text_matches(texts[i].wanted, event, texts[i].member))
			return false;
	return lies_in(query->resource, value_get_str(event, "resource")) &&
		(!query->class_uid || value_get_int(event, "class", 0) == query->class_uid);
}

struct collecting {
	const struct audit_query *query;
	struct arena *arena, *scratch;
	struct value *list;
	size_t limit, opened;
	bool more;
};

static int collect_one(struct collecting *collecting, const struct audit_entry *entry,
                       struct err *err)
{
	struct value *event = NULL;
	arena_reset(collecting->scratch);
	TRY(pack_read(collecting->scratch, entry->packed, entry->len, &event, err));
	collecting->opened++;
	if (!matches(collecting->query, event))
		return 0;
	value_add(collecting->list, value_copy(collecting->arena, event));
	return value_check(collecting->list, err);
}

static int collect(const struct audit_ring *ring, struct collecting *collecting, struct err *err)
{
	const struct audit_query *query = collecting->query;
	int64_t last = 0;
	for (size_t i = ring->len; i-- > 0;) {
		const struct audit_entry *entry = audit_entry_at(ring, i);
		if (!maybe_matches(query, entry))
			continue;
		/* The list may end here whether or not what is left would match. */
		if (value_len(collecting->list) == collecting->limit ||
		    collecting->opened == OPENED_MAX) {
			collecting->more = true;
			if (query->ret_before)
				*query->ret_before = last;
			return 0;
		}
		TRY(collect_one(collecting, entry, err));
		last = entry->seq;
	}
	return 0;
}

int64_t shard_audit_oldest(struct shard *shard, const char *tenant, int64_t *ret_at_ms)
{
	int64_t seq = 0;
	*ret_at_ms = 0;
	shard_lock(shard);
	const struct account *account = account_find(shard, tenant);
	if (account && account->audit.len) {
		const struct audit_entry *entry = audit_entry_at(&account->audit, 0);
		seq = entry->seq;
		*ret_at_ms = entry->at_ms;
	}
	shard_unlock(shard);
	return seq;
}

int shard_audit(struct shard *shard, struct arena *arena, const struct audit_query *query,
                struct value **ret_list, bool *ret_more, struct err *err)
{
	AUTO(arena) *scratch = NULL;
	struct collecting collecting = {
		.query = query, .arena = arena, .list = value_list(arena),
		.limit = query->limit > 0 && query->limit < PAGE_MAX ? query->limit : PAGE_MAX,
	};
	TRY(value_check(collecting.list, err));
	TRY(arena_new(4 * EVENT_BYTES_MAX, &scratch, err));
	collecting.scratch = scratch;
	shard_lock(shard);
	const struct account *account = account_find(shard, query->tenant);
	int rc = account ? collect(&account->audit, &collecting, err) : 0;
	shard_unlock(shard);
	TRY(rc);
	*ret_list = collecting.list;
	*ret_more = collecting.more;
	return 0;
}
