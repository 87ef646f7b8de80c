/* record.h - the journal's records: what happened in the task plane, as durable as the journal. A
 * record is a map with "t", its type. Applying the records in order gives the state
 * (control/shard.h); nothing else changes it.
 *
 *   accepted  {t, id, tenant, domain, type, spec, limits, principal, at, key?, key_hash?, reserve,
 *             placement?, interval?, schedule?, backfill?, purpose?, reader?, run?, node?}
 *   run       {t, id, tenant, domain, principal, at, name?, pipeline?, key?, key_hash?, interval?,
 *             schedule?, backfill?, purpose?, reader?,
 *             tasks: [{name, id, deps: [[node, on]...], state?, skipped?}]}, before its tasks'
 *             accepted ones, which name it and their index (node) in tasks;
 *             state, skipped, the run's cancel and version: in a checkpoint
 *   replay    {t, tenant, at, principal, tasks: [id...], run?}      ended ones start anew
 *   attempt   {t, id, tenant, domain, attempt, code?, text, at, started, epoch, counter, free?}
 *             it waits again; free: that attempt does not count against its limit
 *   outcome   {t, id, tenant, domain, attempt, state, code?, text?, at, started?, usage?, outputs?}
 *   cancel    {t, id or run, tenant, at, principal}
 *   usage     {t, id, tenant, domain, at, amounts, cost, source}
 *             source "task": id is TASK/ATTEMPT, counted once; "online": WORKER/INCARNATION/SEQ
 *   audit     {t, tenant, at, format, class, activity, actor, onBehalfOf?, credential?, action,
 *             operation?, resource, result, rule?, policies?: [id...], digest?, purpose?,
 *             address?, code?, request?, task?, detail?: {...}}
 *             the shard numbers a tenant's events in the order in which they are applied (seq);
 *             format, class and activity: control/ocsf.h
 *   meter     {t, worker, incarnation, seq, at}      online reads counted up to here
 *   interval  {t, op, at, uid, ...}      a schedule's ledger: control/interval.h
 *   gone      {t, tenant, at}            it was deleted: its ended tasks leave, for nowhere
 *   stop      {t, tenant, at, principal} it is being erased: all that has not ended is cancelled
 *   erased    {t, tenant, at}            nothing of it is known any more
 *   head      {t, tenant, at, size, root, note, number?}
 *             a checkpoint of its audit log was signed; number: in a checkpoint
 *
 * Only in a checkpoint (control/shard_emit.h), which has run, audit (with seq), meter and interval
 * as well:
 *   task      accepted's members without key, and was: {state, attempts?, forgiven?, billed?,
 *             used?, deadEpoch?, deadCounter?, started?, ended?, due?, code?, text?, cancel?,
 *             expired?, peak?, wall?, version?, expires?, trail?, outputs?}
 *   ended     {t, at, ids}       tasks in the order in which they ended
 *   key       {t, at, tenant, key, key_hash, id}
 *   tally     {t, at, tenant, domain, window, number, amounts}     what was spent in a window
 *   nodes     {t, at, tenant, from, hashes}      roots of each 256 of a tenant's audit events, as
 *             many as fit (control/logtree.h); then its heads; then
 *   log       {t, at, tenant, seq, size, from, tail, before?: {size, from, root}, forked?}
 *             after its events; without one the tree begins with the next event. Older versions'
 *             has {seq, size, edge}: the Merkle range (common/merkle.h) over the packed events
 *
 * purpose, reader: control/behalf.h.
 * limits: {deadlineMs, memoryBytes, threads, cpuMs, attempts, retryFirstMs?, retryMostMs?}.
 * usage: api/usage.h's map. outputs: a list of {dataset, snapshot, rows, rejectedRows}. Codes are
 * names (common/errors.def). */
#ifndef RECORD_H
#define RECORD_H

#include "api/tasks.h"
#include "common/value.h"

enum record_type {
	RECORD_UNKNOWN, RECORD_ACCEPTED, RECORD_ATTEMPT, RECORD_OUTCOME, RECORD_CANCEL,
		RECORD_USAGE,
	RECORD_AUDIT, RECORD_METER, RECORD_INTERVAL, RECORD_RUN, RECORD_REPLAY, RECORD_TASK,
	RECORD_ENDED, RECORD_KEY, RECORD_TALLY, RECORD_GONE, RECORD_LOG, RECORD_STOP,
		RECORD_ERASED,
	RECORD_HEAD, RECORD_NODES
};
enum record_type record_type(const struct value *record);

/* A record of a type with its time; NULL when the arena is full. */
struct value *record_new(struct arena *arena, enum record_type type, int64_t at_ms);

struct value *record_limits(struct arena *arena, const struct limits *limits);
void record_limits_read(const struct value *map, struct limits *ret_limits);

#endif
