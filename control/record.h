/* record.h - the journal's records: what happened in the task plane, as durable as the journal. A
 * record is a map with "t", its type. Applying the records in order gives the state
 * (control/shard.h); nothing else changes it.
 *
 *   accepted  {t, id, tenant, domain, type, spec, limits, principal, at, key?, key_hash?, reserve,
 *             placement?, interval?, schedule?, backfill?}
 *   attempt   {t, id, tenant, domain, attempt, code?, text, at, started, epoch, counter, free?}
 *             it waits again; free: that attempt does not count against its limit
 *   outcome   {t, id, tenant, domain, attempt, state, code?, text?, at, started?, usage?, outputs?}
 *   cancel    {t, id, tenant, at, principal}
 *   usage     {t, id, tenant, domain, at, amounts, cost, source}
 *             source "task": id is TASK/ATTEMPT, counted once; "online": WORKER/INCARNATION/SEQ
 *   audit     {t, tenant, at, actor, action, resource, result, rule?, code?, request?, task?}
 *             the shard numbers a tenant's events in the order in which they are applied
 *   meter     {t, worker, incarnation, seq, at}      online reads counted up to here
 *   interval  {t, op, at, uid, ...}      a schedule's ledger: control/interval.h
 *
 * limits: {deadlineMs, memoryBytes, threads, cpuMs, attempts, retryFirstMs?, retryMostMs?}. usage: api/usage.h's map.
 * outputs: a list of {dataset, snapshot, rows, rejectedRows}. Codes are names
 * (common/errors.def). */
#ifndef RECORD_H
#define RECORD_H

#include "api/tasks.h"
#include "common/value.h"

enum record_type {
	RECORD_UNKNOWN, RECORD_ACCEPTED, RECORD_ATTEMPT, RECORD_OUTCOME, RECORD_CANCEL,
		RECORD_USAGE,
	RECORD_AUDIT, RECORD_METER, RECORD_INTERVAL
};
enum record_type record_type(const struct value *record);

/* A record of a type with its time; NULL when the arena is full. */
struct value *record_new(struct arena *arena, enum record_type type, int64_t at_ms);

struct value *record_limits(struct arena *arena, const struct limits *limits);
void record_limits_read(const struct value *map, struct limits *ret_limits);

#endif
