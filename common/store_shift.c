/* store_shift.c - see store_shift.h. Invariant: a revision of 0, which says that there is none,
 * stays 0 both ways; every other is base lower in the inner store. */
#include "common/defs.h"
#include "common/store_shift.h"

#include "common/store_impl.h"

#include <inttypes.h>
#include <stdlib.h>

struct shift {
	struct store store;
	struct store *inner;
	int64_t base;
};

static struct shift *of(struct store *store)
{
	return (struct shift *)store;
}

static int64_t outward(const struct shift *shift, int64_t revision)
{
	return revision ? revision + shift->base : 0;
}

static struct store_item shifted(const struct shift *shift, const struct store_item *item)
{
	struct store_item out = *item;
	out.mod_revision = outward(shift, item->mod_revision);
	out.create_revision = outward(shift, item->create_revision);
	return out;
}

/* --- reads --- */

struct visiting {
	const struct shift *shift;
	store_visit_fn *visit;
	void *context;
};

static int visit_shifted(void *context, const struct store_item *item, struct err *err)
{
	const struct visiting *visiting = context;
	const struct store_item out = shifted(visiting->shift, item);
	return visiting->visit(visiting->context, &out, err);
}

static int shift_get(struct store *store, const char *key, store_visit_fn *visit, void *context,
		     struct err *err)
{
	struct visiting visiting = { of(store), visit, context };
	struct store *inner = of(store)->inner;
	return inner->ops->get(inner, key, visit_shifted, &visiting, err);
}

static int shift_list(struct store *store, const char *prefix, const char *after,
		      store_visit_fn *visit, void *context, int64_t *ret_revision, struct err *err)
{
	struct visiting visiting = { of(store), visit, context };
	struct store *inner = of(store)->inner;
	int64_t revision = 0;
	TRY(inner->ops->list(inner, prefix, after, visit_shifted, &visiting, &revision, err));
	if (ret_revision)
		*ret_revision = outward(of(store), revision);
	return 0;
}

/* --- writes --- */

static bool compares(const struct store_op *op)
{
	return op->kind == STORE_IF_MOD || op->kind == STORE_IF_CREATE;
}

static int shift_commit(struct store *store, const struct store_txn *txn, int64_t *ret_revision,
			struct err *err)
{
	const struct shift *shift = of(store);
	struct store_op ops[STORE_OPS_MAX];
	struct store_txn inward = *txn;
	int64_t revision = 0;
	for (size_t i = 0; i < txn->count; i++) {
		ops[i] = txn->ops[i];
		if (!compares(&ops[i]) || ops[i].revision == 0)
			continue;
		if (ops[i].revision <= shift->base)
			return err_set(err, E_PRECONDITION, "what was read is of before the last "
				       "restore; read it again");
		ops[i].revision -= shift->base;
	}
	inward.ops = ops;
	TRY(shift->inner->ops->commit(shift->inner, &inward, &revision, err));
	if (ret_revision)
		*ret_revision = outward(shift, revision);
	return 0;
}

static int shift_compact(struct store *store, int64_t revision, struct err *err)
{
	const struct shift *shift = of(store);
	if (revision <= shift->base)
		return 0;
	return shift->inner->ops->compact(shift->inner, revision - shift->base, err);
}

static int shift_size(struct store *store, int64_t *ret_bytes, struct err *err)
{
	return store_size(of(store)->inner, ret_bytes, err);
}

/* --- watches --- */

struct shift_watch {
	struct store_watch watch;
	struct shift *shift;
	struct store_watch_ops ops;
	struct store_watch *inner;
};

static void on_event(void *context, const struct store_event *event)
{
	const struct shift_watch *watch = context;
	struct store_event out = *event;
	out.item = shifted(watch->shift, &event->item);
	out.revision = outward(watch->shift, event->revision);
	watch->ops.event(watch->ops.context, &out);
}

static void on_sync(void *context, const struct store_item *item, int64_t revision)
{
	const struct shift_watch *watch = context;
	struct store_item out;
	if (item)
		out = shifted(watch->shift, item);
	watch->ops.sync(watch->ops.context, item ? &out : NULL, outward(watch->shift, revision));
}

static int shift_watch_new(struct store *store, const char *prefix,
			   const struct store_watch_ops *ops, int64_t relist_ms,
			   struct store_watch **ret_watch, struct err *err)
{
	struct shift_watch *watch = calloc(1, sizeof *watch);
	if (!watch)
		return err_set(err, E_NOMEM, "no memory for a watch");
	*watch = (struct shift_watch){ { store }, of(store), *ops, NULL };
	const struct store_watch_ops own = { on_event, on_sync, watch };
	int rc = store_watch_new(of(store)->inner, prefix, &own, relist_ms, &watch->inner, err);
	if (rc < 0)
		free(watch);
	else
		*ret_watch = &watch->watch;
	return rc;
}

static void shift_watch_free(struct store_watch *store_watch)
{
	struct shift_watch *watch = (struct shift_watch *)store_watch;
	store_watch_free(watch->inner);
	free(watch);
}

/* --- leadership --- */

struct shift_lead {
	struct store_lead lead;
	struct shift *shift;
	store_lead_fn *change;
	void *context;
	struct store_lead *inner;
};

static void on_change(void *context, int64_t create_revision)
{
	const struct shift_lead *lead = context;
	lead->change(lead->context, outward(lead->shift, create_revision));
}

static int shift_lead_new(struct store *store, const char *key, const char *id, int ttl_s,
			  store_lead_fn *change, void *context, struct store_lead **ret_lead,
			  struct err *err)
{
	struct shift_lead *lead = calloc(1, sizeof *lead);
	if (!lead)
		return err_set(err, E_NOMEM, "no memory for a campaign");
	*lead = (struct shift_lead){ { store }, of(store), change, context, NULL };
	int rc = store_lead_new(of(store)->inner, key, id, ttl_s, on_change, lead, &lead->inner,
				err);
	if (rc < 0)
		free(lead);
	else
		*ret_lead = &lead->lead;
	return rc;
}

static void shift_lead_free(struct store_lead *store_lead)
{
	struct shift_lead *lead = (struct shift_lead *)store_lead;
	store_lead_free(lead->inner);
	free(lead);
}

/* --- life --- */

static void shift_free(struct store *store)
{
	store_free(of(store)->inner);
	free(store);
}

static const struct store_ops shift_ops = {
	.get = shift_get, .list = shift_list, .commit = shift_commit, .compact = shift_compact,
	.size = shift_size, .free = shift_free,
	.watch_new = shift_watch_new, .watch_free = shift_watch_free,
	.lead_new = shift_lead_new, .lead_free = shift_lead_free,
};

int store_shift_new(struct store *inner, int64_t base, struct store **ret_store, struct err *err)
{
	if (base < 0)
		return err_set(err, E_INVALID, "a store's base is %" PRId64 "; it may not be "
			       "negative", base);
	struct shift *shift = calloc(1, sizeof *shift);
	if (!shift)
		return err_set(err, E_NOMEM, "no memory for a store");
	*shift = (struct shift){ { &shift_ops }, inner, base };
	*ret_store = &shift->store;
	return 0;
}
