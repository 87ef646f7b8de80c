/* late.c - see late.h. */
#include "common/defs.h"
#include "control/late.h"

#include "common/crypto.h"
#include "common/log.h"
#include "common/text.h"
#include "control/erasure.h"
#include "control/lead.h"
#include "control/record.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { PAGE = 50, PAGES = 40, PAGE_ARENA = 4 * 1024 * 1024 };

static const char prefix[] = "r/late/";

/* --- writing --- */

/* Each takes its place in time; a second's worth may come at once. */
static int take_turn(struct control *control, struct err *err)
{
	int64_t now_ms = clock_mono_ms(control->clock);
	int64_t due = atomic_load(&control->late_due_ms), next;
	do {
		next = (due > now_ms ? due : now_ms) + 1000 / LATE_PER_SECOND;
		if (next - now_ms > 1000)
			return err_set(err, E_UNAVAILABLE,
			               "over %d events a second wait for a leader of their audit "
			               "logs, which is the most that may; ask again in a second",
			               LATE_PER_SECOND);
	} while (!atomic_compare_exchange_weak(&control->late_due_ms, &due, next));
	return 0;
}

static int store_it(struct control *control, const struct audit_event *event, struct err *err)
{
	char key[STORE_KEY_MAX], id[ID_LEN + 1];
	uint8_t random[10];
	AUTO(change) *change = NULL;
	struct value *record = NULL;
	TRY(take_turn(control, err));
	TRY(change_new(&change, err));
	TRY(audit_record(change_arena(change), event, &record, err));
	random_bytes(random, sizeof random);
	id_make(event->at_ms, random, id);
	snprintf(key, sizeof key, "%s%s/%s", prefix, event->tenant, id);
	TRY(change_put(change, key, record, 0, err));
	return change_store(change, control->store, keyring_state_key(control->keyring), err);
}

int late_post(struct control *control, const struct audit_event *event, struct err *err)
{
	struct part *part = part_of(control, event->tenant);
	AUTO(change) *change = NULL;
	if (!part_leads(part))
		return store_it(control, event, err);
	TRY(change_new(&change, err));
	TRY(audit_add(change, event, err));
	int code = journal_commit(part->journal, change, err);
	return code == E_NOT_LEADER ? store_it(control, event, err) : code;
}

/* --- moving --- */

struct moving {
	struct part *part;
	char last[STORE_KEY_MAX];    /* the key that was looked at last */
};

bool late_keeps(struct control *control, struct arena *arena, const char *tenant)
{
	char key[STORE_KEY_MAX], erasing[STORE_KEY_MAX];
	struct value *stored = NULL;
	catalog_key(key, KIND_TENANT, NULL, NULL, tenant);
	if (!catalog_has(control->catalog, key))
		return false;
	if (!catalog_has(control->catalog, erasure_key(erasing, tenant)))
		return true;
	if (catalog_get(control->catalog, arena, key, &stored, NULL, NULL) < 0)
		return false;
	return !value_get(value_get(stored, "state"), "erasingAt");
}

static int move(void *context, const char *key, const struct value *value, int64_t revision,
                struct err *err)
{
	struct moving *moving = context;
	struct part *part = moving->part;
	const char *tenant = value_get_str(value, "tenant");
	AUTO(change) *change = NULL;
	snprintf(moving->last, sizeof moving->last, "%s", key);
	if (!tenant || part_of(part->control, tenant) != part)
		return 0;
	TRY(change_new(&change, err));
	if (late_keeps(part->control, change_arena(change), tenant))
		TRY(change_record(change, value_copy(change_arena(change), value), err));
	TRY(change_delete(change, key, revision, err));
	int code = journal_commit(part->journal, change, err);
	return code == E_PRECONDITION ? 0 : code;    /* it was moved already */
}

static int collect(struct part *part, struct err *err)
{
	struct moving moving = { .part = part };
	bool more = true;
	for (int i = 0; more && i < PAGES; i++) {
		AUTO(arena) *arena = NULL;
		TRY(arena_new(PAGE_ARENA, &arena, err));
		TRY(catalog_list(part->control->catalog, arena, prefix,
		                 moving.last[0] ? moving.last : NULL, PAGE, move, &moving, &more,
		                 err));
	}
	return 0;
}

void late_collect(struct part *part)
{
	struct err err = { 0 };
	if (!catalog_has_prefix(part->control->catalog, prefix))
		return;
	if (collect(part, &err) < 0)
		log_warn(NULL, "late_events_wait", "shard=%d reason=\"%s\"", part->index, err.text);
}

void late_changed(struct control *control, const char *key, const struct value *value)
{
	char tenant[64];
	if (!value || strncmp(key, prefix, strlen(prefix)) != 0)
		return;
	const char *rest = key + strlen(prefix);
	snprintf(tenant, sizeof tenant, "%.*s", (int)strcspn(rest, "/"), rest);
	struct part *part = part_of(control, tenant);
	if (part->lead && part_leads(part))
		lead_look(part->lead);
}
