/* record.h - the journal's records: what happened in the task plane, as durable as the journal.
 * A record is a map with "t", its type. Applying the records in order gives the state (control/shard.h);
 * nothing else changes it.
 *
 *   accepted  {t, id, tenant, domain, type, spec, limits, principal, at, key?, key_hash?, reserve}
 *   attempt   {t, id, tenant, domain, attempt, code, text, at, usage}     a failed attempt, to be retried
 *   outcome   {t, id, tenant, domain, attempt, state, code?, text?, at, usage, rows, outputs?}
 *   cancel    {t, id, tenant, at, principal}
 *   usage     {t, id, tenant, domain, at, amounts, cost, source}           once per id
 *   audit     {t, seq, tenant, at, actor, action, resource, result, rule?, code?, request?, task?}
 *   meter     {t, worker, incarnation, seq, at}                            online reads counted up to here
 */
#ifndef RECORD_H
#define RECORD_H

#include "common/value.h"

enum record_type {
	RECORD_UNKNOWN, RECORD_ACCEPTED, RECORD_ATTEMPT, RECORD_OUTCOME, RECORD_CANCEL, RECORD_USAGE,
	RECORD_AUDIT, RECORD_METER
};
enum record_type record_type(const struct value *record);

#endif
