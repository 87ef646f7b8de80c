/* refusals.c - see refusals.h. Invariants, under the mutex: a slot in use has a window that began
 * at since_ms; count is what came since its last event. Nothing is written under the mutex. */
#include "common/defs.h"
#include "control/refusals.h"

#include "common/log.h"
#include "control/identity.h"
#include "control/late.h"
#include "tenant/apikey.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 320 };

struct slot {
	bool used;
	int64_t since_ms;            /* of the clock's mono time */
	int64_t count;               /* those that no event tells of yet */
	char tenant[64], actor[TEXT_MAX], address[64], action[64], code[32], result[16];
	char credential[ID_LEN + 1];
};
struct refusals {
	pthread_mutex_t mutex;       /* guards all below */
	int64_t due_ms;              /* when the next event would be in time (GCRA) */
	struct slot slots[REFUSALS_KINDS_MAX];
	struct slot others;          /* those that found no slot */
};

int refusals_new(struct refusals **ret_refusals, struct err *err)
{
	struct refusals *refusals = calloc(1, sizeof *refusals);
	if (!refusals)
		return err_set(err, E_NOMEM, "no memory to count refusals");
	pthread_mutex_init(&refusals->mutex, NULL);
	*ret_refusals = refusals;
	return 0;
}

void refusals_free(struct refusals *refusals)
{
	if (!refusals)
		return;
	pthread_mutex_destroy(&refusals->mutex);
	free(refusals);
}

/* --- slots; the mutex is held --- */

static void keep(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%.*s", (int)size - 1, text ? text : "");
}

static void fill(struct slot *slot, const struct audit_event *event, int64_t now_ms)
{
	*slot = (struct slot){ .used = true, .since_ms = now_ms };
	keep(slot->tenant, sizeof slot->tenant, event->tenant);
	keep(slot->actor, sizeof slot->actor, event->actor);
	keep(slot->address, sizeof slot->address, event->address);
	keep(slot->action, sizeof slot->action, event->action);
	keep(slot->code, sizeof slot->code, event->code);
	keep(slot->result, sizeof slot->result, event->result);
	keep(slot->credential, sizeof slot->credential, event->credential);
}

static bool is_alike(const struct slot *slot, const struct slot *other)
{
	return slot->used && !strcmp(slot->tenant, other->tenant) &&
		!strcmp(slot->actor, other->actor) && !strcmp(slot->address, other->address) &&
		!strcmp(slot->action, other->action) && !strcmp(slot->code, other->code);
}

/* A free slot when there is none like it; NULL: there is neither. */
static struct slot *find(struct refusals *refusals, const struct slot *wanted)
{
	struct slot *free_slot = NULL;
	for (size_t i = 0; i < REFUSALS_KINDS_MAX; i++) {
		if (is_alike(&refusals->slots[i], wanted))
			return &refusals->slots[i];
		if (!refusals->slots[i].used)
			free_slot = &refusals->slots[i];
	}
	return free_slot;
}

static bool take_turn(struct refusals *refusals, int64_t now_ms)
{
	int64_t from = refusals->due_ms > now_ms ? refusals->due_ms : now_ms;
	if (from - now_ms > 1000)
		return false;
	refusals->due_ms = from + 1000 / REFUSALS_PER_SECOND;
	return true;
}

/* Whether it is an event now. */
static bool count_it(struct refusals *refusals, const struct audit_event *event, int64_t now_ms)
{
	struct slot wanted;
	fill(&wanted, event, now_ms);
	struct slot *slot = find(refusals, &wanted);
	if (slot && !slot->used) {
		*slot = wanted;
		if (take_turn(refusals, now_ms))
			return true;
	}
	if (!slot) {
		slot = &refusals->others;
		if (!slot->used) {
			*slot = wanted;
			keep(slot->tenant, sizeof slot->tenant, "platform");
			keep(slot->actor, sizeof slot->actor, "unknown");
			slot->address[0] = slot->credential[0] = 0;
		}
	}
	slot->count++;
	return false;
}

/* --- writing --- */

int refusals_post(struct control *control, const struct audit_event *event, struct err *err)
{
	struct refusals *refusals = control->refusals;
	if (!refusals)
		return late_post(control, event, err);
	pthread_mutex_lock(&refusals->mutex);
	bool now = count_it(refusals, event, clock_mono_ms(control->clock));
	pthread_mutex_unlock(&refusals->mutex);
	return now ? late_post(control, event, err) : 0;
}

static int post_count(struct control *control, const struct slot *slot, struct err *err)
{
	AUTO(arena) *arena = NULL;
	TRY(arena_new(4096, &arena, err));
	struct value *detail = value_map(arena);
	value_set_int(detail, "count", slot->count);
	value_set_int(detail, "windowMs", REFUSALS_WINDOW_MS);
	TRY(value_check(detail, err));
	const struct audit_event event = {
		.tenant = slot->tenant, .actor = slot->actor, .action = slot->action,
		.address = slot->address[0] ? slot->address : NULL,
		.credential = slot->credential[0] ? slot->credential : NULL,
		.code = slot->code[0] ? slot->code : NULL, .result = slot->result,
		.operation = "refusals", .detail = detail,
		.at_ms = clock_unix_ms(control->clock),
	};
	return late_post(control, &event, err);
}

/* One whose minute is over, out of its slot; false: there is none. */
static bool take_ended(struct refusals *refusals, int64_t now_ms, struct slot *ret_slot)
{
	for (size_t i = 0; i <= REFUSALS_KINDS_MAX; i++) {
		struct slot *slot =
			i < REFUSALS_KINDS_MAX ? &refusals->slots[i] : &refusals->others;
		if (!slot->used || now_ms - slot->since_ms < REFUSALS_WINDOW_MS)
			continue;
		*ret_slot = *slot;
		slot->used = false;
		slot->count = 0;
		if (ret_slot->count)
			return true;
	}
	return false;
}

void refusals_flush(struct control *control)
{
	struct refusals *refusals = control->refusals;
	struct slot slot;
	struct err err = { 0 };
	for (size_t i = 0; refusals && i <= REFUSALS_KINDS_MAX; i++) {
		pthread_mutex_lock(&refusals->mutex);
		bool found = take_ended(refusals, clock_mono_ms(control->clock), &slot);
		pthread_mutex_unlock(&refusals->mutex);
		if (!found)
			return;
		if (post_count(control, &slot, &err) < 0)
			log_warn(NULL, "refusals_not_audited", "count=%lld reason=\"%s\"",
			         (long long)slot.count, err.text);
	}
}

/* --- sign-ins --- */

/* The id of a key that there is; anything else is the sender's own text. */
static bool id_of(struct control *control, const char *credential, char id[ID_LEN + 1])
{
	char key[STORE_KEY_MAX];
	return credential && apikey_id(credential, id, NULL) == 0 &&
		catalog_has(control->catalog, identity_key(key, id));
}

void refusals_sign_in(struct control *control, const char *credential, const char *address,
                      const char *path, int64_t now_ms)
{
	char id[ID_LEN + 1];
	struct err err = { 0 };
	bool known = id_of(control, credential, id);
	const struct audit_event event = {
		.tenant = "platform", .actor = "unknown", .action = "sign-in:refused",
		.credential = known ? id : NULL, .resource = path, .result = "denied",
		.code = err_name(E_UNAUTHENTICATED), .address = address, .at_ms = now_ms,
	};
	if (refusals_post(control, &event, &err) < 0)
		log_warn(NULL, "refusals_not_audited", "count=1 reason=\"%s\"", err.text);
}
