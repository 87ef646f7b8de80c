/* h_policy_diff.c - what would change if these policies were written. Nothing is. The replay tells
 * of others' deeds: it needs audit:read, too. */
#include "common/defs.h"
#include "control/may.h"

#include "control/policy_replay.h"
#include "control/policy_review.h"

#include <string.h>

handler_fn h_policy_diff;

enum { LIST_BYTES = 128 * MIB, CANDIDATES_MAX = 1000 };

struct candidates {
	struct review review;
	struct engine_policy *items;
	size_t count;
	struct value *changes, *errors, *warnings;
};

static const char *stored_text(const struct candidates *candidates, const char *name,
                               struct value **ret_stored)
{
	char key[STORE_KEY_MAX];
	const struct review *review = &candidates->review;
	catalog_key(key, KIND_POLICY, review->tenant, NULL, name);
	if (catalog_get(review->control->catalog, review->arena, key, ret_stored, NULL, NULL) < 0)
		return NULL;
	return value_get_str(value_get(*ret_stored, "spec"), "text");
}

static int add_change(struct candidates *candidates, const char *name, const char *text,
                      struct err *err)
{
	struct value *stored = NULL, *item = value_map(candidates->review.arena);
	const char *old = stored_text(candidates, name, &stored);
	bool equal = old && text && strcmp(old, text) == 0;
	value_set_str(item, "policy", name);
	value_set_str(item, "change",
	              equal || (!old && !text) ? "unchanged"
	              : !old                   ? "added"
	              : !text                  ? "removed"
	                                       : "changed");
	if (!equal) {
		value_set_str(item, "old", old);
		value_set_str(item, "new", text);
	}
	value_add(candidates->changes, item);
	return value_check(candidates->changes, err);
}

static int read_candidates(const struct request *request, struct candidates *candidates,
                           struct err *err)
{
	const struct value *policies = value_get(request->body, "policies");
	size_t count = value_len(policies);
	if (!count || count > CANDIDATES_MAX)
		return err_set(err, E_INVALID,
		               "policies: holds %zu; 1 to %d are compared at one "
		               "time",
		               count, CANDIDATES_MAX);
	candidates->items = arena_alloc(request->arena, count * sizeof *candidates->items);
	if (!candidates->items)
		return err_set(err, E_NOMEM, "no memory for the policies that would be");
	for (size_t i = 0; i < count; i++) {
		const struct value *item = value_at(policies, i);
		const char *name = value_get_str(item, "name"), *text = value_get_str(item, "text");
		if (name_check("policies.name", name ? name : "", err) < 0)
			return err->code;
		candidates->items[candidates->count++] = (struct engine_policy){name, text};
		TRY(add_change(candidates, name, text, err));
		if (text)
			TRY(review_policy(&candidates->review, name, text, candidates->errors,
			                  candidates->warnings, err));
	}
	return 0;
}

static int may_replay(struct control *control, const struct request *request, struct err *err)
{
	const struct target target = {.tenant = request->tenant};
	if (may_request(control, request, ACTION_AUDIT_READ, &target, KIND_NONE, NULL, NULL)
	            .allowed)
		return 0;
	return err_set(err, E_DENIED,
	               "%s/%s may not audit:read, which a replay of audited "
	               "decisions needs; say last=0 to compare the texts alone",
	               request->asker.tenant, request->asker.principal);
}

static int replay(struct control *control, struct request *request,
                  const struct candidates *candidates, int64_t last, struct value *body,
                  struct err *err)
{
	AUTO(arena) *scratch = NULL;
	AUTO(engine) *now = NULL;
	AUTO(engine) *would_be = NULL;
	const struct policies_would would = {.changes = candidates->items,
	                                     .count = candidates->count};
	TRY(arena_new(LIST_BYTES, &scratch, err));
	TRY(policies_would_be(control->policies, scratch, request->tenant, &would, &would_be, err));
	if (!policies_engine(control->policies, request->tenant, &now))
		return err_set(err, E_UNAVAILABLE,
		               "the policies of %s cannot be asked now; try "
		               "again",
		               request->tenant);
	const struct replay_ask ask = {.control = control,
	                               .part = request->part,
	                               .tenant = request->tenant,
	                               .now = now,
	                               .candidate = would_be,
	                               .last = last};
	return policy_replay(&ask, request->arena, body, err);
}

int h_policy_diff(struct control *control, struct request *request, struct err *err)
{
	struct arena *arena = request->arena;
	struct value *body = value_map(arena);
	struct candidates candidates = {
		.review = {.control = control, .arena = arena, .tenant = request->tenant},
		.changes = value_list(arena),
		.errors = value_list(arena),
		.warnings = value_list(arena),
	};
	int64_t last = value_get_int(request->body, "last", REPLAY_DEFAULT);
	TRY(request_needs_lead(request, err));
	if (last < 0 || last > REPLAY_MAX)
		return err_set(err, E_INVALID, "last: 0 to %d audit events are replayed",
		               REPLAY_MAX);
	if (last > 0)
		TRY(may_replay(control, request, err));
	TRY(review_model(arena, &candidates.review.model, err));
	TRY(read_candidates(request, &candidates, err));
	value_set(body, "policies", candidates.changes);
	if (value_len(candidates.errors))
		value_set(body, "errors", candidates.errors);
	if (value_len(candidates.warnings))
		value_set(body, "warnings", candidates.warnings);
	TRY(replay(control, request, &candidates, last, body, err));
	return request_reply(request, 200, body, err);
}
