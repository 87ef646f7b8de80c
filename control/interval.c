/* interval.c - see interval.h. Invariants: the running intervals of a ledger do not overlap; there
 * is room in its stretches for the end of each, so that an end cannot fail. */
#include "common/defs.h"
#include "control/interval_impl.h"

#include "common/pack.h"
#include "control/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_BYTES_MAX = 256 * 1024 };

static const char *const redo_names[] = {
	[REDO_MISSING] = "missing", [REDO_FAILED] = "failed", [REDO_ALL] = "all",
};

int redo_by_name(const char *name)
{
	for (int i = 0; name && i < (int)ARRAY_LEN(redo_names); i++)
		if (strcmp(name, redo_names[i]) == 0)
			return i;
	return -1;
}

static int nomem(struct err *err)
{
	return err_set(err, E_NOMEM, "no memory for a ledger of intervals");
}

/* --- the book --- */

static void moved_remove(struct book *book, const struct ledger *ledger);

int book_new(uint64_t seed, struct book **ret_book, struct err *err)
{
	struct book *book = calloc(1, sizeof *book);
	if (!book)
		return nomem(err);
	hashmap_init(&book->ledgers, seed);
	hashmap_init(&book->running, seed);
	*ret_book = book;
	return 0;
}

static void entry_drop(struct book *book, struct entry *entry)
{
	struct ledger *ledger = entry->ledger;
	if (entry->prev)
		entry->prev->next = entry->next;
	else
		ledger->running = entry->next;
	if (entry->next)
		entry->next->prev = entry->prev;
	ledger->running_count--;
	hashmap_remove(&book->running, &entry->by_id);
	free(entry);
}

static void ledger_drop(struct book *book, struct ledger *ledger)
{
	while (ledger->running)
		entry_drop(book, ledger->running);
	for (struct ledger **at = &book->first; *at; at = &(*at)->next)
		if (*at == ledger) {
			*at = ledger->next;
			break;
		}
	hashmap_remove(&book->ledgers, &ledger->by_uid);
	stretches_release(&ledger->stretches);
	buf_release(&ledger->seen);
	free(ledger);
}

void book_clear(struct book *book)
{
	book->moved = NULL;
	while (book->first)
		ledger_drop(book, book->first);
}

void book_forget(struct book *book, const char *tenant)
{
	for (struct ledger *at = book->first, *next = NULL; at; at = next) {
		next = at->next;
		if (strcmp(at->tenant, tenant) != 0)
			continue;
		moved_remove(book, at);
		ledger_drop(book, at);
	}
}

void book_free(struct book *book)
{
	if (!book)
		return;
	book_clear(book);
	hashmap_release(&book->ledgers);
	hashmap_release(&book->running);
	free(book);
}

struct ledger *ledger_find(const struct book *book, const char *uid)
{
	struct hash_node *node = uid ? hashmap_find(&book->ledgers, uid) : NULL;
	return node ? HASH_OWNER(node, struct ledger, by_uid) : NULL;
}

static struct entry *entry_find(const struct book *book, const char *id)
{
	struct hash_node *node = hashmap_find(&book->running, id);
	return node ? HASH_OWNER(node, struct entry, by_id) : NULL;
}

int ledger_get(struct book *book, const char *uid, struct ledger **ret_ledger, struct err *err)
{
	struct ledger *ledger = ledger_find(book, uid);
	if (!ledger) {
		ledger = calloc(1, sizeof *ledger);
		if (!ledger)
			return nomem(err);
		snprintf(ledger->uid, sizeof ledger->uid, "%s", uid);
		buf_init(&ledger->seen, SEEN_BYTES_MAX);
		ledger->until_ms = INT64_MIN;
		if (!hashmap_add(&book->ledgers, &ledger->by_uid, ledger->uid)) {
			free(ledger);
			return nomem(err);
		}
		ledger->next = book->first;
		book->first = ledger;
	}
	*ret_ledger = ledger;
	return 0;
}

static void ledger_name(struct ledger *ledger, const char *tenant, const char *domain,
                        const char *schedule)
{
	snprintf(ledger->tenant, sizeof ledger->tenant, "%s", tenant ? tenant : "");
	snprintf(ledger->domain, sizeof ledger->domain, "%s", domain ? domain : "");
	snprintf(ledger->schedule, sizeof ledger->schedule, "%s", schedule ? schedule : "");
}

/* --- running --- */

struct entry_new {
	const char *id, *backfill;
	int64_t from_ms, to_ms;
	bool is_run, credited;
};

static int entry_add(struct book *book, struct ledger *ledger, const struct entry_new *made,
                     struct entry **ret_entry, struct err *err)
{
	struct ledger *own = NULL;
	TRY(stretches_reserve(&ledger->stretches, ledger->running_count + 1, err));
	if (made->backfill) {
		TRY(ledger_get(book, made->backfill, &own, err));
		own->is_backfill = true;
		TRY(stretches_reserve(&own->stretches, ledger->running_count + 1, err));
	}
	struct entry *entry = calloc(1, sizeof *entry);
	if (!entry)
		return nomem(err);
	entry->ledger = ledger;
	entry->from_ms = made->from_ms;
	entry->to_ms = made->to_ms;
	entry->is_run = made->is_run;
	entry->credited = made->credited;
	snprintf(entry->id, sizeof entry->id, "%s", made->id);
	snprintf(entry->backfill, sizeof entry->backfill, "%s",
	         made->backfill ? made->backfill : "");
	if (!hashmap_add(&book->running, &entry->by_id, entry->id)) {
		free(entry);
		return nomem(err);
	}
	entry->next = ledger->running;
	if (entry->next)
		entry->next->prev = entry;
	ledger->running = entry;
	ledger->running_count++;
	*ret_entry = entry;
	return 0;
}

static void ledger_moved(struct book *book, struct ledger *ledger)
{
	if (ledger->moved)
		return;
	ledger->moved = true;
	ledger->next_moved = book->moved;
	book->moved = ledger;
}

bool book_take_moved(struct book *book, char uid[ID_LEN + 1])
{
	struct ledger *ledger = book->moved;
	if (!ledger)
		return false;
	book->moved = ledger->next_moved;
	ledger->moved = false;
	memcpy(uid, ledger->uid, ID_LEN + 1);
	return true;
}

/* Out of the list of those that moved, before it is dropped. */
static void moved_remove(struct book *book, const struct ledger *ledger)
{
	for (struct ledger **at = &book->moved; *at; at = &(*at)->next_moved)
		if (*at == ledger) {
			*at = ledger->next_moved;
			return;
		}
}

bool book_ended(struct book *book, const char *id, bool succeeded, int64_t at_ms)
{
	struct entry *entry = entry_find(book, id);
	if (!entry || !entry->durable)
		return false;
	struct ledger *ledger = entry->ledger, *own = NULL;
	struct stretch stretch = { entry->from_ms, entry->to_ms, 1,
	                           succeeded ? STRETCH_DONE : STRETCH_FAILED };
	stretches_set(&ledger->stretches, &stretch);
	ledger->last_ms = at_ms;
	own = entry->backfill[0] ? ledger_find(book, entry->backfill) : NULL;
	if (own) {
		stretches_set(&own->stretches, &stretch);
		own->last_ms = at_ms;
	}
	ledger_moved(book, ledger);
	entry_drop(book, entry);
	return true;
}

/* --- records --- */

static int damaged(struct err *err)
{
	return err_set(err, E_CORRUPT, "an interval record of the journal lacks a member");
}

static int seen_set(struct ledger *ledger, const struct value *seen, struct err *err)
{
	if (!seen)
		return 0;
	buf_clear(&ledger->seen);
	TRY(pack_write(seen, &ledger->seen, err));
	return buf_check(&ledger->seen, err);
}

static void note_fired(struct book *book, struct entry *entry, int64_t at_ms)
{
	struct ledger *ledger = entry->ledger;
	struct ledger *own = entry->backfill[0] ? ledger_find(book, entry->backfill) : NULL;
	entry->durable = true;
	if (entry->to_ms > ledger->until_ms)
		ledger->until_ms = entry->to_ms;
	if (!ledger->first_ms)
		ledger->first_ms = at_ms;
	if (own && !own->first_ms)
		own->first_ms = at_ms;
}

static int read_entry(const struct value *map, struct entry_new *ret, struct err *err)
{
	*ret = (struct entry_new){
		.id = value_get_str(map, "id"), .backfill = value_get_str(map, "backfill"),
		.from_ms = value_get_int(map, "from", 0), .to_ms = value_get_int(map, "to", 0),
		.is_run = value_get_bool(map, "run", false),
		.credited = value_get_bool(map, "credited", false),
	};
	bool good = ret->id && strlen(ret->id) <= ID_LEN && ret->from_ms < ret->to_ms &&
		(!ret->backfill || strlen(ret->backfill) <= ID_LEN);
	return good ? 0 : damaged(err);
}

static int apply_fired(struct book *book, const struct value *record, struct err *err)
{
	const char *uid = value_get_str(record, "uid");
	struct ledger *ledger = NULL;
	struct entry_new made;
	TRY(read_entry(record, &made, err));
	if (!uid || strlen(uid) > ID_LEN)
		return damaged(err);
	struct entry *entry = entry_find(book, made.id);
	TRY(ledger_get(book, uid, &ledger, err));
	ledger_name(ledger, value_get_str(record, "tenant"), value_get_str(record, "domain"),
	            value_get_str(record, "schedule"));
	if (!entry)
		TRY(entry_add(book, ledger, &made, &entry, err));
	TRY(seen_set(ledger, value_get(record, "seen"), err));
	note_fired(book, entry, value_get_int(record, "at", 0));
	return 0;
}

static int apply_forget(struct book *book, const struct value *record)
{
	struct ledger *ledger = ledger_find(book, value_get_str(record, "uid"));
	if (!ledger)
		return 0;
	moved_remove(book, ledger);
	ledger_drop(book, ledger);
	return 0;
}

int book_apply(struct book *book, const struct value *record, struct err *err)
{
	const char *op = value_get_str(record, "op");
	if (op && strcmp(op, "fired") == 0)
		return apply_fired(book, record, err);
	if (op && strcmp(op, "forget") == 0)
		return apply_forget(book, record);
	if (op && strcmp(op, "ledger") == 0)
		return ledger_restore(book, record, err);
	return damaged(err);
}

int ledger_restore_running(struct book *book, struct ledger *ledger, const struct value *map,
                           struct err *err)
{
	struct entry_new made;
	struct entry *entry = NULL;
	TRY(read_entry(map, &made, err));
	if (entry_find(book, made.id))
		return 0;
	TRY(entry_add(book, ledger, &made, &entry, err));
	entry->durable = true;
	return 0;
}

void ledger_restore_name(struct ledger *ledger, const struct value *record)
{
	ledger_name(ledger, value_get_str(record, "tenant"), value_get_str(record, "domain"),
	            value_get_str(record, "schedule"));
}

/* --- claims --- */

static bool overlaps(int64_t from_ms, int64_t to_ms, const struct claim *claim)
{
	return from_ms < claim->to_ms && claim->from_ms < to_ms;
}

static int taken(const struct claim *claim, const char *state, struct err *err)
{
	return err_set(err, E_CONFLICT, "this interval of the schedule %s is %s", claim->schedule,
	               state);
}

static int set_allows(const struct stretches *stretches, const struct claim *claim,
                      struct err *err)
{
	if (stretches->floored && claim->from_ms < stretches->floor_ms)
		return taken(claim, "older than the ledger reaches", err);
	for (size_t i = stretches_at(stretches, claim->from_ms);
	     i < stretches->len && stretches->items[i].from_ms < claim->to_ms; i++) {
		enum stretch_state state = stretches->items[i].state;
		bool may = claim->redo == REDO_ALL ||
			(claim->redo == REDO_FAILED && state == STRETCH_FAILED);
		if (!may)
			return taken(claim, stretch_state_name(state), err);
	}
	return 0;
}

static int claim_allowed(const struct book *book, const struct ledger *ledger,
                         const struct claim *claim, struct err *err)
{
	const struct ledger *own = ledger_find(book, claim->backfill);
	for (const struct entry *at = ledger->running; at; at = at->next)
		if (overlaps(at->from_ms, at->to_ms, claim))
			return taken(claim, "running", err);
	if (ledger->running_count >= INTERVALS_RUNNING_MAX)
		return err_set(err, E_BUSY, "%zu intervals of the schedule %s run, which is the "
		               "most that may", ledger->running_count, claim->schedule);
	if (own && claim->redo != REDO_MISSING) {
		struct claim fresh = *claim;
		fresh.redo = REDO_MISSING;
		TRY(set_allows(&own->stretches, &fresh, err));
	}
	return set_allows(&ledger->stretches, claim, err);
}

static int add_fired(const struct claim *claim, struct change *change, struct err *err)
{
	struct arena *arena = change_arena(change);
	struct value *record = record_new(arena, RECORD_INTERVAL, claim->now_ms);
	value_set_str(record, "op", "fired");
	value_set_str(record, "tenant", claim->tenant);
	value_set_str(record, "domain", claim->domain);
	value_set_str(record, "schedule", claim->schedule);
	value_set_str(record, "uid", claim->uid);
	value_set_int(record, "from", claim->from_ms);
	value_set_int(record, "to", claim->to_ms);
	value_set_str(record, "id", claim->id);
	if (claim->is_run)
		value_set_bool(record, "run", true);
	value_set_str(record, "backfill", claim->backfill);
	if (claim->credited)
		value_set_bool(record, "credited", true);
	if (claim->seen)
		value_set(record, "seen", value_copy(arena, claim->seen));
	TRY(value_check(record, err));
	return change_record(change, record, err);
}

int book_claim(struct book *book, const struct claim *claim, struct change *change,
               struct err *err)
{
	struct ledger *ledger = NULL;
	struct entry *entry = NULL;
	const struct entry_new made = { claim->id, claim->backfill, claim->from_ms, claim->to_ms,
	                                claim->is_run, claim->credited };
	TRY(ledger_get(book, claim->uid, &ledger, err));
	TRY(claim_allowed(book, ledger, claim, err));
	TRY(entry_add(book, ledger, &made, &entry, err));
	int rc = add_fired(claim, change, err);
	if (rc < 0)
		entry_drop(book, entry);
	return rc;
}

void book_withdraw(struct book *book, const char *id)
{
	struct entry *entry = entry_find(book, id);
	if (entry && !entry->durable)
		entry_drop(book, entry);
}

static struct ledger *ledger_named(const struct book *book, const struct claim *claim)
{
	for (struct ledger *at = book->first; at; at = at->next)
		if (strcmp(at->schedule, claim->schedule) == 0 &&
		    strcmp(at->domain, claim->domain) == 0 &&
		    strcmp(at->tenant, claim->tenant) == 0)
			return at;
	return NULL;
}

int book_again(struct book *book, const struct claim *claim, bool durable, struct err *err)
{
	struct ledger *ledger = ledger_named(book, claim);
	struct entry *entry = entry_find(book, claim->id);
	const struct entry_new made = { claim->id, NULL, claim->from_ms, claim->to_ms,
	                                claim->is_run, false };
	if (!ledger || (entry && entry->durable))
		return 0;
	if (!entry) {
		TRY(claim_allowed(book, ledger, claim, err));
		TRY(entry_add(book, ledger, &made, &entry, err));
	}
	entry->durable = durable;
	return 0;
}
