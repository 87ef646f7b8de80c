/* tenancy.c - the state of a tenant. Undecided means sealed: a state of another version's making
 * forbids everything. */
#include "common/defs.h"
#include "control/tenancy.h"

#include "common/log.h"
#include "common/text.h"
#include "control/dispatch.h"
#include "control/schedule.h"
#include "control/shard_tenant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_MAX = 1024 * 1024, REASON_TOLD_MAX = 96 };

static const char *const names[TENANT_STATES_] = {
	[TENANT_ACTIVE] = "active",
	[TENANT_SUSPENDED] = "suspended",
	[TENANT_SEALED] = "sealed",
	[TENANT_DELETING] = "deleting",
};

const char *tenant_state_name(enum tenant_state state)
{
	return names[state];
}

static enum tenant_state state_is(const struct value *state)
{
	const char *is = value_get_str(state, "is");
	if (!state)
		return TENANT_ACTIVE;
	for (int i = 0; is && i < TENANT_STATES_; i++)
		if (strcmp(is, names[i]) == 0)
			return (enum tenant_state)i;
	return TENANT_SEALED;
}

enum tenant_state tenant_state_of(const struct value *tenant)
{
	return state_is(value_get(tenant, "state"));
}

/* --- what a state forbids --- */

/* A deletion that waits forbids what a suspension does, and what the state before it did. */
static bool is_locked(const struct value *state)
{
	enum tenant_state is = state_is(state);
	if (is == TENANT_DELETING)
		return value_get(state, "erasingAt") || is_locked(value_get(state, "before"));
	return is == TENANT_SEALED;
}

static bool forbids(const struct value *state, enum tenancy_need need)
{
	if (state_is(state) == TENANT_ACTIVE)
		return false;
	if (need == TENANCY_WRITE)
		return value_get(state, "erasingAt") != NULL;
	return need == TENANCY_RUN || is_locked(state);
}

static const char *way_out(const struct value *state)
{
	switch (state_is(state)) {
	case TENANT_SUSPENDED:
		return "the platform operator can resume it";
	case TENANT_SEALED:
		return "the platform operator can unseal it";
	default:
		return value_get(state, "erasingAt")
			? "nothing of it comes back; its erasure certificate will say what is gone"
			: "the platform operator can cancel the deletion until it is due";
	}
}

/* As much as an error has room for; never half a character. */
static int cut(const char *text)
{
	size_t len = strnlen(text, REASON_TOLD_MAX + 1);
	if (len <= REASON_TOLD_MAX)
		return (int)len;
	len = REASON_TOLD_MAX;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return (int)len;
}

static int refuse(const char *name, const struct value *state, struct err *err)
{
	char since[TIME_TEXT_MAX], due[TIME_TEXT_MAX];
	const char *by = value_get_str(state, "by"), *reason = value_get_str(state, "reason");
	reason = reason ? reason : "no reason";
	int64_t due_ms = value_get_int(state, "dueAt", 0);
	time_print_ms(value_get_int(state, "since", 0), since);
	return err_set(err, E_CONFLICT, "the tenant %s is %s since %s, by %.130s (%.*s)%s%s; %s",
	               name ? name : "", names[state_is(state)], since, by ? by : "unknown",
	               cut(reason), reason, due_ms ? ", and will be erased from " : "",
	               due_ms ? time_print_ms(due_ms, due) : "", way_out(state));
}

int tenancy_allows(const struct value *tenant, enum tenancy_need need, struct err *err)
{
	const struct value *state = value_get(tenant, "state");
	if (!forbids(state, need))
		return 0;
	return refuse(value_get_str(value_get(tenant, "metadata"), "name"), state, err);
}

/* --- made and shown --- */

struct value *tenancy_state_new(struct arena *arena, enum tenant_state is, const char *by,
                                const char *reason, const struct value *before, int64_t now_ms)
{
	struct value *state = value_map(arena);
	value_set_str(state, "is", names[is]);
	value_set_int(state, "since", now_ms);
	value_set_str(state, "by", by);
	value_set_str(state, "reason", reason);
	if (before)
		value_set(state, "before", value_copy(arena, before));
	return state;
}

static void set_time(struct value *map, const char *name, const struct value *state,
                     const char *member)
{
	char text[TIME_TEXT_MAX];
	int64_t unix_ms = value_get_int(state, member, 0);
	if (unix_ms)
		value_set_str(map, name, time_print_ms(unix_ms, text));
}

struct value *tenancy_status(struct arena *arena, const struct value *tenant)
{
	struct value *status = value_map(arena);
	const struct value *state = value_get(tenant, "state");
	const struct value *before = value_get(state, "before");
	value_set_str(status, "state", names[state_is(state)]);
	set_time(status, "since", state, "since");
	value_set_str(status, "by", value_get_str(state, "by"));
	value_set_str(status, "reason", value_get_str(state, "reason"));
	set_time(status, "dueAt", state, "dueAt");
	set_time(status, "erasingAt", state, "erasingAt");
	if (before)
		value_set_str(status, "before", names[state_is(before)]);
	return status;
}

/* --- what follows --- */

static enum tenant_hold hold_of(const struct value *state)
{
	if (state_is(state) == TENANT_ACTIVE)
		return HOLD_NONE;
	if (value_get(state, "erasingAt"))
		return HOLD_ERASE;
	return is_locked(state) ? HOLD_ALL : HOLD_OWN;
}

void tenancy_changed(struct control *control, const char *tenant, const struct value *value)
{
	struct part *part = part_of(control, tenant);
	const struct value *state = value_get(value, "state");
	enum tenant_hold hold = hold_of(state);
	struct err why = { 0 }, err = { 0 };
	int refused = tenancy_allows(value, TENANCY_RUN, &why);
	int changed = shard_tenant_hold(part->shard, tenant, hold, refused ? why.text : NULL, &err);
	if (changed < 0)
		log_error(&(struct log_context){ .tenant = tenant }, "state_not_applied",
		          "reason=\"%s\"", err.text);
	if (hold >= HOLD_ALL || !value)
		keyring_forget(control->keyring, tenant);
	for (int i = 0; hold >= HOLD_ALL && i < control->part_count; i++)
		dispatch_seal(control->parts[i].dispatch, tenant);       /* what is lent, too */
	if (hold != HOLD_NONE || !value)
		dispatch_drop_access(part->dispatch, tenant);
	if (changed == 0)
		return;
	dispatch_wake(part->dispatch);
	schedules_reread(part->schedules);
}

/* --- of a tenant by name --- */

/* *ret_tenant NULL: there is none. */
static int look(struct control *control, struct arena *arena, const char *tenant,
                struct value **ret_tenant, struct err *err)
{
	char key[STORE_KEY_MAX];
	struct value *stored = NULL;
	catalog_key(key, KIND_TENANT, NULL, NULL, tenant);
	int code = catalog_get(control->catalog, arena, key, &stored, NULL, err);
	if (code < 0 && code != E_NOT_FOUND)
		return code;
	*ret_tenant = stored;
	return 0;
}

enum tenant_state tenant_state(struct control *control, const char *tenant)
{
	AUTO(arena) *arena = NULL;
	struct value *stored = NULL;
	if (arena_new(ARENA_MAX, &arena, NULL) < 0 ||
	    look(control, arena, tenant, &stored, NULL) < 0)
		return TENANT_SEALED;
	return tenant_state_of(stored);
}

int tenancy_needs(struct control *control, const char *tenant, enum tenancy_need need,
                  struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct value *stored = NULL;
	TRY(arena_new(ARENA_MAX, &arena, err));
	TRY(look(control, arena, tenant, &stored, err));
	return tenancy_allows(stored, need, err);
}
