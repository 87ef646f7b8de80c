/* policy_replay.c - see policy_replay.h. */
#include "common/defs.h"
#include "control/policy_replay.h"

#include "control/auditstore.h"
#include "control/identity.h"
#include "control/inquiry.h"

#include <string.h>

enum {
	PAGE = 500,
	PAGE_BYTES = 32 * MIB,
	SCRATCH_BYTES = 16 * MIB,
	REASONS_MAX = 16,
	SEGMENTS_MAX = 12
};

struct tally {
	const char *reason;
	int64_t count;
};

struct run {
	const struct replay_ask *ask;
	struct arena *arena, *scratch;
	struct value *decisions;
	int64_t events, replayed, changed, drifted;
	struct tally left_out[REASONS_MAX];
	size_t reason_count;
};

/* --- what an event was about --- */

static size_t segments_of(struct arena *arena, const char *path, const char *segments[SEGMENTS_MAX])
{
	size_t count = 0;
	for (path += *path == '/'; *path && *path != '?' && count < SEGMENTS_MAX;) {
		size_t len = strcspn(path, "/?");
		segments[count] = arena_strndup(arena, path, len);
		if (!segments[count++])
			return 0;
		path += len + (path[len] == '/');
	}
	return count;
}

/* PLURAL or PLURAL/NAME...: of a kind, or of nothing that policies know. */
static void name_kind(const char *const *segments, size_t count, struct engine_resource *resource)
{
	enum kind kind = count >= 2 ? kind_by_plural(segments[0]) : KIND_NONE;
	if (kind == KIND_NONE)
		return;
	resource->kind = kind_info[kind].kind;
	resource->name = segments[1];
}

bool policy_replay_resource(struct arena *arena, const char *tenant, const char *path,
                            struct engine_resource *ret_resource)
{
	const char *segments[SEGMENTS_MAX];
	size_t count = segments_of(arena, path, segments);
	*ret_resource = (struct engine_resource){.domain = NULL};
	if (count < 3 || strcmp(segments[0], "v1") != 0 || strcmp(segments[1], "tenants") != 0 ||
	    strcmp(segments[2], tenant) != 0)
		return false;
	if (count >= 5 && strcmp(segments[3], "domains") == 0) {
		ret_resource->domain = segments[4];
		name_kind(segments + 5, count - 5, ret_resource);
		return true;
	}
	name_kind(segments + 3, count - 3, ret_resource);
	return true;
}

/* --- one event --- */

static void leave_out(struct run *run, const char *reason)
{
	for (size_t i = 0; i < run->reason_count; i++)
		if (strcmp(run->left_out[i].reason, reason) == 0) {
			run->left_out[i].count++;
			return;
		}
	if (run->reason_count < REASONS_MAX)
		run->left_out[run->reason_count++] = (struct tally){reason, 1};
}

static bool is_decision(const char *result)
{
	return result && (strcmp(result, "allowed") == 0 || strcmp(result, "denied") == 0);
}

/* Whose the decision was: "acme/alice". */
static bool asker_of(struct run *run, const struct value *event, struct asker *ret_asker)
{
	const char *behalf = value_get_str(event, "onBehalfOf");
	const char *actor = behalf ? behalf : value_get_str(event, "actor");
	const char *slash = actor ? strchr(actor, '/') : NULL;
	struct err ignored;
	if (!slash)
		return false;
	const struct identity_name who = {
		arena_strndup(run->scratch, actor, (size_t)(slash - actor)), slash + 1, NULL};
	*ret_asker = (struct asker){.auth = strchr(slash, ':') ? AUTH_OIDC : AUTH_KEY};
	return who.tenant && strcmp(who.tenant, "worker") != 0 &&
	       identity_named(run->ask->control, run->scratch, &who, ret_asker, &ignored) == 0;
}

static const char *word(bool allowed)
{
	return allowed ? "allowed" : "denied";
}

static bool same(const struct value *a, const char *name, const char *text)
{
	const char *other = value_get_str(a, name);
	return other && text && strcmp(other, text) == 0;
}

/* Alike ones once, the newest first. */
static int tell(struct run *run, const struct value *event, const struct decision *would,
                struct err *err)
{
	char time[TIME_TEXT_MAX];
	const char *actor = value_get_str(event, "actor"), *action = value_get_str(event, "action");
	const char *resource = value_get_str(event, "resource");
	for (size_t i = 0; i < value_len(run->decisions); i++) {
		struct value *item = (struct value *)(uintptr_t)value_at(run->decisions, i);
		if (same(item, "actor", actor) && same(item, "action", action) &&
		    same(item, "resource", resource) &&
		    same(item, "wouldBe", word(would->allowed))) {
			value_set_int(item, "count", value_get_int(item, "count", 0) + 1);
			return 0;
		}
	}
	if (value_len(run->decisions) >= REPLAY_TOLD_MAX)
		return 0;
	struct value *item = value_map(run->arena);
	value_set_str(item, "time", time_print_ms(value_get_int(event, "at", 0), time));
	value_set_str(item, "actor", actor);
	value_set_str(item, "action", action);
	value_set_str(item, "resource", resource);
	value_set_str(item, "was", value_get_str(event, "result"));
	value_set_str(item, "wouldBe", word(would->allowed));
	value_set_str(item, "by", would->rule);
	value_set_int(item, "count", 1);
	value_add(run->decisions, item);
	return value_check(run->decisions, err);
}

static int decide(struct run *run, const struct value *event, const struct inquiry *inquiry,
                  const struct asker *asker, struct err *err)
{
	struct engine_answer answer;
	struct decision now = inquiry_decide(inquiry, run->ask->now, run->scratch, asker, &answer);
	struct decision would =
		inquiry_decide(inquiry, run->ask->candidate, run->scratch, asker, &answer);
	run->replayed++;
	run->drifted += !same(event, "result", word(now.allowed));
	if (now.allowed == would.allowed)
		return 0;
	run->changed++;
	return tell(run, event, &would, err);
}

static int replay_event(struct run *run, const struct value *event, struct err *err)
{
	const char *name = value_get_str(event, "action");
	const char *path = value_get_str(event, "resource");
	struct inquiry inquiry = {.control = run->ask->control,
	                          .arena = run->scratch,
	                          .tenant = run->ask->tenant,
	                          .now_ms = value_get_int(event, "at", 0),
	                          .address = value_get_str(event, "address"),
	                          .purpose = value_get_str(event, "purpose")};
	struct asker asker;
	run->events++;
	if (!is_decision(value_get_str(event, "result"))) {
		leave_out(run, "it is no decision but an outcome");
		return 0;
	}
	if (!name || naming_action(name, &inquiry.action, NULL) < 0) {
		leave_out(run, "policies are not asked about its action");
		return 0;
	}
	if (!path ||
	    !policy_replay_resource(run->scratch, run->ask->tenant, path, &inquiry.resource)) {
		leave_out(run, "its resource is nothing of this tenant's that policies know");
		return 0;
	}
	if (!asker_of(run, event, &asker)) {
		leave_out(run, "who asked is the platform itself, gone or disabled now");
		return 0;
	}
	if (inquiry_about(&inquiry, NULL) < 0) {
		leave_out(run, "the tags of its resource cannot be said now");
		return 0;
	}
	return decide(run, event, &inquiry, &asker, err);
}

/* --- all --- */

static int replay_page(struct run *run, struct arena *page, int64_t *before, bool *more,
                       struct err *err)
{
	struct value *events = NULL;
	int64_t left = run->ask->last - run->events;
	const struct audit_query query = {.tenant = run->ask->tenant,
	                                  .before_seq = *before,
	                                  .limit = left < PAGE ? (size_t)left : PAGE};
	TRY(auditstore_search(run->ask->part, page, &query, &events, more, err));
	for (size_t i = 0; i < value_len(events); i++) {
		arena_reset(run->scratch);
		*before = value_get_int(value_at(events, i), "seq", 0);
		TRY(replay_event(run, value_at(events, i), err));
	}
	*more = *more && value_len(events) && *before > 0 && run->events < run->ask->last;
	return 0;
}

static void add_left_out(const struct run *run, struct value *map)
{
	struct value *list = value_list(run->arena);
	for (size_t i = 0; i < run->reason_count; i++) {
		struct value *item = value_map(run->arena);
		value_set_str(item, "reason", run->left_out[i].reason);
		value_set_int(item, "count", run->left_out[i].count);
		value_add(list, item);
	}
	value_set(map, "leftOut", list);
}

int policy_replay(const struct replay_ask *ask, struct arena *arena, struct value *map,
                  struct err *err)
{
	AUTO(arena) *page = NULL;
	AUTO(arena) *scratch = NULL;
	struct run run = {.ask = ask, .arena = arena, .decisions = value_list(arena)};
	int64_t before = 0;
	bool more = ask->last > 0;
	TRY(arena_new(PAGE_BYTES, &page, err));
	TRY(arena_new(SCRATCH_BYTES, &scratch, err));
	run.scratch = scratch;
	while (more) {
		arena_reset(page);
		TRY(replay_page(&run, page, &before, &more, err));
	}
	value_set_int(map, "events", run.events);
	value_set_int(map, "replayed", run.replayed);
	value_set_int(map, "changed", run.changed);
	value_set_int(map, "drifted", run.drifted);
	value_set(map, "decisions", run.decisions);
	add_left_out(&run, map);
	return value_check(map, err);
}
