/* meter.h - counts online reads, and what queries take, so that nothing is lost or billed twice
 * when this process is killed.
 *
 * The counters lie in a shared file mapping: what was counted survives SIGKILL (a power failure
 * may take what the kernel had not written yet). A report covers the counters up to a mark and
 * keeps its number and amounts until control acknowledges it, across restarts. */
#ifndef METER_H
#define METER_H

#include "api/poll.h"

struct meter;
/* One process at a time: E_CONFLICT otherwise. */
MUST_USE int meter_new(const char *path, struct meter **ret_meter, struct err *err);
void meter_free(struct meter *meter);
DEFINE_AUTO(meter)

/* Where a tenant's domain is counted. E_RESOURCES when the file is full. Any thread, as all
 * here. */
MUST_USE int meter_slot(struct meter *meter, const char *tenant, const char *domain,
                        size_t *ret_slot, struct err *err);
/* The same for another amount than online reads. */
enum meter_what { METER_ONLINE_READS, METER_QUERIES, METER_CPU_MS, METER_BYTES_READ, METER_COUNT_ };
MUST_USE int meter_slot_of(struct meter *meter, enum meter_what what, const char *tenant,
                           const char *domain, size_t *ret_slot, struct err *err);
void meter_add(struct meter *meter, size_t slot, int64_t amount);  /* no lock */

/* What is to be told: the report under way, or a new one (now_ms begins its number). ret_seq 0:
 * nothing was read. The texts live as long as the meter, the list as long as the arena. */
MUST_USE int meter_report(struct meter *meter, int64_t now_ms, struct arena *arena,
                          int64_t *ret_seq, const struct reads **ret_reads, size_t *ret_count,
                          struct err *err);
void meter_ack(struct meter *meter, int64_t seq);   /* another number than the present: ignored */
int64_t meter_total(struct meter *meter);      /* online reads ever counted in this file */

#endif
