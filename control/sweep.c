/* sweep.c - see sweep.h. */
#include "common/defs.h"
#include "control/sweep.h"

#include "common/crypto.h"
#include "common/log.h"
#include "control/archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 64, PAGE_ARENA = 64 * 1024 * 1024, FIRST_CAP = 256, KEPT_BYTES_MAX = 1890000 };
#define MINUTE_MS INT64_C(60000)

struct value *sweep_spec(struct arena *arena)
{
	struct value *spec = value_map(arena);
	value_set_int(spec, "graceMs", SWEEP_GRACE_MS);
	return spec;
}

/* --- what stays --- */

struct kept {
	struct token *tokens;
	size_t count, cap;
	char last[STORE_KEY_MAX];
	struct arena *arena;         /* of one page */
};

static int keep(void *context, const struct token *token, struct err *err)
{
	struct kept *kept = context;
	if (kept->count == kept->cap) {
		size_t cap = kept->cap ? kept->cap * 2 : FIRST_CAP;
		struct token *tokens = realloc(kept->tokens, cap * sizeof *tokens);
		if (!tokens)
			return err_set(err, E_NOMEM, "no memory for the folders that stay");
		kept->tokens = tokens;
		kept->cap = cap;
	}
	kept->tokens[kept->count++] = *token;
	return 0;
}

static int keep_head(void *context, const char *key, const struct value *head, int64_t revision,
                     struct err *err)
{
	struct kept *kept = context;
	(void)revision;
	snprintf(kept->last, sizeof kept->last, "%s", key);
	return snapshots_kept(kept->arena, head, keep, kept, err);
}

static int keep_heads(struct control *control, const char *tenant, struct kept *kept,
                      struct err *err)
{
	char prefix[STORE_KEY_MAX], after[STORE_KEY_MAX];
	AUTO(arena) *arena = NULL;
	snprintf(prefix, sizeof prefix, "r/head/%s/", tenant);
	TRY(arena_new(PAGE_ARENA, &arena, err));
	kept->arena = arena;
	for (bool more = true; more; arena_reset(arena)) {
		memcpy(after, kept->last, sizeof after);
		TRY(catalog_list(control->catalog, arena, prefix, after[0] ? after : NULL, 1,
		                 keep_head, kept, &more, err));
	}
	return 0;
}

static int token_order(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

static void sort(struct kept *kept)
{
	size_t count = 0;
	if (kept->count > 1)
		qsort(kept->tokens, kept->count, sizeof *kept->tokens, token_order);
	for (size_t i = 0; i < kept->count; i++)
		if (count == 0 || token_order(&kept->tokens[count - 1], &kept->tokens[i]) != 0)
			kept->tokens[count++] = kept->tokens[i];
	kept->count = count;
}

static void set_token(struct value *done, const char *name, const struct token *token)
{
	char text[48];
	snprintf(text, sizeof text, "%" PRId64 "-%" PRId64, token->epoch, token->counter);
	value_set_str(done, name, text);
}

/* More than a grant can name: a stretch of them, another one each time. */
static void choose(struct kept *kept, struct value *done, struct token *below)
{
	uint32_t random = 0;
	if (kept->count <= SWEEP_FOLDERS_MAX)
		return;
	random_bytes(&random, sizeof random);
	size_t first = random % (kept->count - SWEEP_FOLDERS_MAX / 2);
	size_t left = kept->count - first;
	size_t take = left < SWEEP_FOLDERS_MAX ? left : SWEEP_FOLDERS_MAX;
	set_token(done, "from", &kept->tokens[first]);
	if (take < left && token_order(&kept->tokens[first + take], below) < 0)
		*below = kept->tokens[first + take];
	memmove(kept->tokens, kept->tokens + first, take * sizeof *kept->tokens);
	kept->count = take;
}

static int write_kept(const struct kept *kept, struct value *done, struct err *err)
{
	AUTO_BUF text;
	buf_init(&text, KEPT_BYTES_MAX);
	for (size_t i = 0; i < kept->count; i++)
		buf_printf(&text, "%s%" PRId64 "-%" PRId64, i ? " " : "", kept->tokens[i].epoch,
		           kept->tokens[i].counter);
	TRY(buf_check(&text, err));
	if (text.len > 0)
		value_set_str(done, "kept", (const char *)text.data);
	return value_check(done, err);
}

static int plan(struct control *control, const struct work *work, struct kept *kept,
                struct value *done, struct err *err)
{
	struct token below;
	/* Before the heads are read: what has published since is in them, for a change's resources
	 * are applied before its records. */
	if (!shard_token_floor(part_of(control, work->tenant)->shard, work->tenant, &below))
		return err_set(err, E_UNAVAILABLE, "the leader is reading its journal again");
	if (token_order(&work->token, &below) < 0)
		below = work->token;
	TRY(keep_heads(control, work->tenant, kept, err));
	sort(kept);
	choose(kept, done, &below);
	set_token(done, "below", &below);
	value_set_int(done, "graceMs", value_get_int(work->spec, "graceMs", SWEEP_GRACE_MS));
	return write_kept(kept, done, err);
}

int sweep_plan(struct control *control, struct arena *arena, const struct work *work,
               struct value *done, struct err *err)
{
	struct kept kept = { 0 };
	(void)arena;
	int rc = plan(control, work, &kept, done, err);
	free(kept.tokens);
	return rc;
}

/* --- when --- */

struct turn {
	struct part *part;
	int64_t every_ms, from_ms, to_ms;
	char last[STORE_KEY_MAX];
};

/* Tenants' turns are spread over the whole time, and follow from the clock alone. */
static bool is_due(const struct turn *turn, const char *tenant)
{
	uint64_t hash = 14695981039346656037u;
	for (const char *at = tenant; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 1099511628211u;
	int64_t shift = (int64_t)(hash % (uint64_t)turn->every_ms);
	return (turn->from_ms + shift) / turn->every_ms != (turn->to_ms + shift) / turn->every_ms;
}

static int submit(struct turn *turn, const char *tenant, struct err *err)
{
	AUTO(arena) *arena = NULL;
	char id[ID_LEN + 1];
	uint8_t random[10];
	int64_t now_ms = clock_unix_ms(turn->part->control->clock);
	TRY(arena_new(MIB, &arena, err));
	struct value *spec = sweep_spec(arena);
	TRY(value_check(spec, err));
	random_bytes(random, sizeof random);
	id_make(now_ms, random, id);
	const struct platform_task made = { id, tenant, TASK_SWEEP, spec, now_ms };
	int rc = archive_submit(turn->part, &made, err);
	/* One is under way, or the tenant is being deleted. */
	return rc == E_CONFLICT || rc == E_NOT_FOUND || rc == E_PRECONDITION ? 0 : rc;
}

struct due { struct turn *turn; const char *names[PAGE]; size_t count; };

static int see_tenant(void *context, const char *key, const struct value *tenant, int64_t revision,
                      struct err *err)
{
	struct due *due = context;
	const char *name = value_get_str(value_get(tenant, "metadata"), "name");
	(void)revision, (void)err;
	snprintf(due->turn->last, sizeof due->turn->last, "%s", key);
	if (name && part_of(due->turn->part->control, name) == due->turn->part &&
	    is_due(due->turn, name))
		due->names[due->count++] = name;     /* in the page's arena */
	return 0;
}

int sweep_look(struct part *part, int64_t every_ms, int64_t from_ms, int64_t to_ms,
               struct err *err)
{
	AUTO(arena) *arena = NULL;
	struct turn turn = { .part = part, .every_ms = every_ms };
	turn.from_ms = from_ms / MINUTE_MS * MINUTE_MS;
	turn.to_ms = to_ms / MINUTE_MS * MINUTE_MS;
	if (turn.from_ms >= turn.to_ms)      /* once a minute */
		return 0;
	TRY(arena_new(PAGE_ARENA, &arena, err));
	for (bool more = true; more; arena_reset(arena)) {
		struct due due = { .turn = &turn };
		char after[STORE_KEY_MAX];
		memcpy(after, turn.last, sizeof after);
		TRY(catalog_list(part->control->catalog, arena, "r/tenant/",
		                 after[0] ? after : NULL, PAGE, see_tenant, &due, &more, err));
		for (size_t i = 0; i < due.count; i++)
			TRY(submit(&turn, due.names[i], err));
	}
	return 0;
}
