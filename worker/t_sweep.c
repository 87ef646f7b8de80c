/* t_sweep.c - deletes a tenant's objects that nothing names and nothing can come to name.
 * An object goes when all of this holds: it lies in a folder TENANT/DOMAIN/EPOCH-COUNTER; that
 * token is not among those that the grant keeps (the catalog names a file of theirs, or a snapshot
 * that is still kept did); it is before `below`, so that its attempt has ended for control and can
 * publish nothing any more; it is not before `from` (what is named there is not in this grant);
 * and it is older than the grace, for who still reads what was replaced.
 * Therefore a sweep may run twice, late, or beside another. */
#include "common/defs.h"
#include "worker/run_impl.h"
#include "worker/shop.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TELL_EVERY = 256 };

struct sweep {
	struct run *run;
	struct token *kept;              /* in order */
	size_t kept_count;
	struct token from, below;
	int64_t older_ms;                /* only what was complete before that */
	int64_t until_mono_ms;
	int64_t seen, deleted, deleted_bytes;
};

static int token_order(const void *a, const void *b)
{
	const struct token *x = a, *y = b;
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

static bool read_number(const char **at, int64_t *ret)
{
	int64_t n = 0;
	const char *first = *at;
	for (; **at >= '0' && **at <= '9'; ++*at)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **at - '0', &n))
			return false;
	*ret = n;
	return *at > first && (*first != '0' || *at == first + 1);
}

/* "EPOCH-COUNTER", as grant_prefix writes it and nothing else; *at ends behind it. */
static bool read_token(const char **at, struct token *ret)
{
	return read_number(at, &ret->epoch) && *(*at)++ == '-' && read_number(at, &ret->counter);
}

static int read_bound(const struct value *work, const char *name, struct token *ret,
                      struct err *err)
{
	const char *at = value_get_str(work, name);
	if (!at)
		return 0;
	if (!read_token(&at, ret) || *at)
		return err_set(err, E_INVALID, "%s: must be EPOCH-COUNTER", name);
	return 0;
}

static int read_kept(struct sweep *sweep, const char *text, struct err *err)
{
	size_t most = 1;
	for (const char *at = text; *at; at++)
		most += *at == ' ';
	sweep->kept = arena_alloc(sweep->run->arena, most * sizeof *sweep->kept);
	if (!sweep->kept)
		return err_set(err, E_NOMEM, "no memory for %zu folders", most);
	for (const char *at = text; *at;) {
		if (!read_token(&at, &sweep->kept[sweep->kept_count++]) || (*at && *at++ != ' '))
			return err_set(err, E_INVALID, "kept: must be EPOCH-COUNTER ...");
		const struct token *last = &sweep->kept[sweep->kept_count - 1];
		if (sweep->kept_count > 1 && token_order(last - 1, last) >= 0)
			return err_set(err, E_INVALID, "kept: must be in order, nothing twice");
	}
	return 0;
}

/* The token in "TENANT/DOMAIN/EPOCH-COUNTER/FILE"; false: another sort of path. */
static bool folder_token(const struct sweep *sweep, const char *path, struct token *ret)
{
	const char *at = path + strlen(sweep->run->grant->tenant) + 1;
	at += strcspn(at, "/");
	if (!*at)
		return false;
	at++;
	return read_token(&at, ret) && *at == '/' && !strchr(at + 1, '/');
}

static bool is_dead(const struct sweep *sweep, const struct object_info *info)
{
	struct token token;
	return folder_token(sweep, info->path, &token) && info->at_ms < sweep->older_ms &&
	       token_order(&token, &sweep->from) >= 0 &&
	       token_order(&token, &sweep->below) < 0 &&
	       (sweep->kept_count == 0 || !bsearch(&token, sweep->kept, sweep->kept_count,
	                                           sizeof token, token_order));
}

static int go_on(const struct sweep *sweep, struct err *err)
{
	TRY(attempt_goes_on(sweep->run->attempt, err));
	if (clock_mono_ms(sweep->run->runner->clock) > sweep->until_mono_ms)
		return err_set(err, E_RESOURCES, "sweeping took longer than its deadline; %" PRId64
		               " objects were deleted, and the next one goes on",
		               sweep->deleted);
	return 0;
}

static int visit(void *context, const struct object_info *info, struct err *err)
{
	struct sweep *sweep = context;
	if (sweep->seen++ % TELL_EVERY == 0) {
		TRY(go_on(sweep, err));
		attempt_progress(sweep->run->attempt, "sweeping", sweep->seen, sweep->deleted_bytes,
		                 -1);
	}
	if (!is_dead(sweep, info))
		return 0;
	int64_t bytes = (int64_t)info->len;
	int rc = object_delete(sweep->run->runner->objects, info->path, err);
	if (rc < 0 && rc != E_NOT_FOUND)         /* that: another sweep did */
		return rc;
	sweep->deleted += rc == 0;
	sweep->deleted_bytes += rc == 0 ? bytes : 0;
	return 0;
}

/* --- its steps --- */

static int sweep_work(struct shop *shop, struct err *err)
{
	(void)err;
	shop_phase(shop, "sweeping");
	return 0;
}

static int tell(const struct sweep *sweep, struct err *err)
{
	struct value *told = value_map(sweep->run->arena);
	value_set_int(told, "objectsSeen", sweep->seen);
	value_set_int(told, "objectsDeleted", sweep->deleted);
	value_set_int(told, "bytesDeleted", sweep->deleted_bytes);
	sweep->run->told = told;
	return value_check(told, err);
}

/* In the agent: an executor sees no objects. */
static int sweep_seal(struct run *run, struct err *err)
{
	const struct value *work = run->grant->work;
	const char *kept = value_get_str(work, "kept");
	struct clock *clock = run->runner->clock;
	struct sweep sweep = {
		.run = run,
		.older_ms = clock_unix_ms(clock) - value_get_int(work, "graceMs", 0),
		.until_mono_ms = clock_mono_ms(clock) + run->grant->limits.deadline_ms,
	};
	TRY(read_bound(work, "from", &sweep.from, err));
	TRY(read_bound(work, "below", &sweep.below, err));
	if (kept)
		TRY(read_kept(&sweep, kept, err));
	const char *prefix = arena_printf(run->arena, "%s/", run->grant->tenant);
	if (!prefix)
		return err_set(err, E_NOMEM, "no memory for a sweep");
	TRY(object_list(run->runner->objects, prefix, visit, &sweep, err));
	return tell(&sweep, err);
}

const struct task_side sweep_side = {run_open_nothing, sweep_work, NULL, sweep_seal};
