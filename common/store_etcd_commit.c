/* store_etcd_commit.c - transactions on etcd, and what became of one whose answer was lost.
 *
 * A lost answer means: it happened, it did not, or it is still under way and may happen yet.
 *
 * Fenced transactions. When a transaction compares a key and its own success makes that compare
 * false (compare absence and put; compare a mod revision and put or delete), it can happen once at
 * most, so it is simply sent again. If the second one succeeds, the first did not happen and never
 * will. If its compare fails, the first put key decides (below).
 *
 * Other transactions are sent again only after the first put key has shown that they did not
 * happen. The one that is still under way may then happen as well; it writes the same values.
 * Whoever cannot bear that fences: compares the key it writes.
 *
 * What the first put key shows. Etcd keeps history, so its versions are read backwards, from now to
 * `floor`, a revision the store had before the transaction was sent. A version with our value: it
 * happened, at that revision. None: it did not, and a failed compare is E_PRECONDITION. When that
 * chain is cut (the key was deleted, history compacted, too many versions) nothing is known, and
 * E_UNKNOWN_OUTCOME is the honest answer; it is never reported as E_PRECONDITION. That another
 * writer puts the very same value in that time is the one case that reads wrong, and the reason
 * why values carry ids. */
#include "common/defs.h"
#include "common/store_etcd_impl.h"

#include "common/text.h"

#include <inttypes.h>
#include <string.h>

enum { HISTORY_STEPS = 32, BODY_MAX = 4 * 1024 * 1024, ROUND_MS = 50 };

/* ABSENT: there is no such key now; it never was, or it was and is deleted. */
enum verdict { HAPPENED, NOT_HAPPENED, ABSENT, IN_DOUBT };

struct commit {
	struct store_etcd *etcd;
	const struct store_txn *txn;
	const struct store_op *probe;      /* first put, else first delete; NULL: no writes */
	bool fenced;
	int64_t floor;                     /* what happened has a higher revision */
	int64_t deadline_mono_ms;
	struct buf body;
	int64_t revision;                  /* when it happened */
	struct err lost;                   /* why the answer is unknown */
};

/* --- encoding --- */

static void print_compare(struct buf *out, const struct store_etcd *etcd, const struct store_op *op)
{
	bool mod = op->kind == STORE_IF_MOD;
	buf_printf(out, "{\"result\":\"EQUAL\",\"target\":\"%s\",", mod ? "MOD" : "CREATE");
	etcd_print_key(out, etcd, "key", op->key);
	buf_printf(out, ",\"%s\":\"%" PRId64 "\"}", mod ? "mod_revision" : "create_revision",
		   op->revision);
}

static void print_write(struct buf *out, const struct store_etcd *etcd, const struct store_op *op)
{
	buf_puts(out, op->kind == STORE_PUT ? "{\"request_put\":{" : "{\"request_delete_range\":{");
	etcd_print_key(out, etcd, "key", op->key);
	if (op->kind == STORE_PUT) {
		buf_puts(out, ",\"value\":\"");
		base64_print(op->value, op->value_len, out);
		buf_puts(out, "\"");
	} else if (op->kind == STORE_DELETE_PREFIX) {
		buf_puts(out, ",");
		etcd_print_end(out, etcd, op->key);
	} else if (op->kind == STORE_DELETE_RANGE) {
		buf_puts(out, ",");
		etcd_print_key(out, etcd, "range_end", (const char *)op->value);
	}
	buf_puts(out, "}}");
}

static void print_ops(struct buf *out, const struct store_etcd *etcd, const struct store_txn *txn,
		      bool writes)
{
	bool first = true;
	for (size_t i = 0; i < txn->count; i++) {
		const struct store_op *op = &txn->ops[i];
		if (store_op_writes(op) != writes)
			continue;
		if (!first)
			buf_puts(out, ",");
		first = false;
		if (writes)
			print_write(out, etcd, op);
		else
			print_compare(out, etcd, op);
	}
}

static int encode(struct commit *commit, struct err *err)
{
	struct buf *out = &commit->body;
	buf_puts(out, "{\"compare\":[");
	print_ops(out, commit->etcd, commit->txn, false);
	buf_puts(out, "],\"success\":[");
	print_ops(out, commit->etcd, commit->txn, true);
	buf_puts(out, "]}");
	return buf_check(out, err);
}

/* --- sending --- */

/* 0: answered, *ret_held says whether the compares held. */
static int send_once(struct commit *commit, bool *ret_held, struct err *err)
{
	AUTO_ETCD_ANSWER answer = { 0 };
	struct etcd_call call = {
		.path = "/v3/kv/txn", .body = &commit->body,
		.deadline_mono_ms = commit->deadline_mono_ms,
		.repeatable = commit->probe == NULL,
	};
	TRY(etcd_call(commit->etcd, &call, &answer, err));
	*ret_held = value_get_bool(answer.root, "succeeded", false);
	commit->revision = answer.revision;
	return 0;
}

static int report_compare(struct err *err)
{
	return err_set(err, E_PRECONDITION, "a compared key was changed in between; read it again "
		       "and retry");
}

static int report_doubt(const struct commit *commit, struct err *err)
{
	return err_set(err, E_UNKNOWN_OUTCOME, "it is not known whether the store took a write: %s",
		       commit->lost.text);
}

/* --- what became of it --- */

/* Whether success of the write makes the compare false. */
static bool fences(const struct store_op *compare, const struct store_op *write)
{
	if (!store_op_writes(write) || !store_op_covers(write, compare->key))
		return false;
	if (write->kind != STORE_PUT)
		return compare->revision != 0;
	return compare->kind == STORE_IF_MOD || compare->revision == 0;
}

static void study(struct commit *commit)
{
	const struct store_txn *txn = commit->txn;
	for (size_t i = 0; i < txn->count; i++) {
		const struct store_op *op = &txn->ops[i];
		bool better = !commit->probe ||
			(commit->probe->kind != STORE_PUT && op->kind == STORE_PUT);
		if (store_op_writes(op) && better)
			commit->probe = op;
		for (size_t j = 0; !store_op_writes(op) && j < txn->count; j++)
			commit->fenced = commit->fenced || fences(op, &txn->ops[j]);
	}
}

/* A compare on the probe's own mod revision is a floor too, and often a higher one. */
static void raise_floor(struct commit *commit)
{
	for (size_t i = 0; commit->probe && i < commit->txn->count; i++) {
		const struct store_op *op = &commit->txn->ops[i];
		if (op->kind == STORE_IF_MOD && op->revision > commit->floor &&
		    strcmp(op->key, commit->probe->key) == 0)
			commit->floor = op->revision;
	}
}

static bool ours(const struct commit *commit, const struct store_item *item)
{
	const struct store_op *probe = commit->probe;
	return probe->kind == STORE_PUT && item->value_len == probe->value_len &&
		(item->value_len == 0 || memcmp(item->value, probe->value, item->value_len) == 0);
}

/* Reads the probe's versions backwards. E_UNAVAILABLE etc. when the store is out of reach. */
static int investigate(struct commit *commit, enum verdict *ret_verdict, struct err *err)
{
	AUTO_ETCD_ITEM item;
	etcd_item_init(&item);
	int64_t at = 0;
	*ret_verdict = IN_DOUBT;
	if (commit->probe->kind >= STORE_DELETE_PREFIX)
		return 0;
	for (int step = 0; step < HISTORY_STEPS; step++) {
		bool found = false;
		int rc = etcd_read(commit->etcd, commit->probe->key, at, commit->deadline_mono_ms,
				   &item, &found, err);
		if (rc == E_CONFLICT)              /* compacted */
			return 0;
		TRY(rc);
		if (!found) {
			*ret_verdict = step == 0 ? ABSENT : IN_DOUBT;
			return 0;
		}
		if (item.item.mod_revision <= commit->floor) {
			*ret_verdict = NOT_HAPPENED;
			return 0;
		}
		if (ours(commit, &item.item)) {
			commit->revision = item.item.mod_revision;
			*ret_verdict = HAPPENED;
			return 0;
		}
		at = item.item.mod_revision - 1;
	}
	return 0;
}

/* One round: 1 it is decided and *ret_rc is the result; or a failure. */
static int resolve_round(struct commit *commit, int *ret_rc, struct err *err)
{
	enum verdict verdict = ABSENT;
	bool held = false;
	if (!commit->fenced)
		TRY(investigate(commit, &verdict, err));
	bool send = verdict == NOT_HAPPENED || verdict == ABSENT;
	if (send) {
		TRY(send_once(commit, &held, err));
		if (held)
			verdict = HAPPENED;
		else
			TRY(investigate(commit, &verdict, err));
	}
	if (verdict == HAPPENED)
		*ret_rc = 0;
	else if (verdict == NOT_HAPPENED)
		*ret_rc = report_compare(err);
	else
		*ret_rc = report_doubt(commit, err);
	return 1;
}

/* After a first sending whose answer was lost. */
static int resolve(struct commit *commit, struct err *err)
{
	struct err why = { 0 };
	int rc = 0;
	raise_floor(commit);
	while (clock_mono_ms(commit->etcd->clock) < commit->deadline_mono_ms) {
		int decided = resolve_round(commit, &rc, &why);
		if (decided > 0)
			return rc < 0 ? err_set(err, rc, "%s", why.text) : 0;
		if (decided != E_UNKNOWN_OUTCOME)
			break;
		etcd_wait(commit->etcd, clock_mono_ms(commit->etcd->clock) + ROUND_MS);
	}
	return report_doubt(commit, err);
}

int etcd_commit(struct store *store, const struct store_txn *txn, int64_t *ret_revision,
		struct err *err)
{
	struct store_etcd *etcd = (struct store_etcd *)store;
	struct commit commit = {
		.etcd = etcd, .txn = txn, .deadline_mono_ms = etcd_deadline(etcd),
	};
	bool held = false;
	study(&commit);
	pthread_mutex_lock(&etcd->mutex);
	commit.floor = etcd->seen_revision;
	pthread_mutex_unlock(&etcd->mutex);
	buf_init(&commit.body, BODY_MAX);
	int rc = encode(&commit, err);
	if (rc == 0) {
		rc = send_once(&commit, &held, &commit.lost);
		if (rc == E_UNKNOWN_OUTCOME)
			rc = resolve(&commit, err);
		else if (rc < 0)
			err_set(err, rc, "%s", commit.lost.text);
		else if (!held)
			rc = report_compare(err);
	}
	buf_release(&commit.body);
	if (rc == 0 && ret_revision)
		*ret_revision = commit.revision;
	return rc;
}
