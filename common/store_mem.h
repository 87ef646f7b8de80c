/* store_mem.h - the in-memory reference of store.h, for unit tests and simulation only. */
#ifndef STORE_MEM_H
#define STORE_MEM_H

#include "common/clock.h"
#include "common/store.h"

MUST_USE int store_mem_new(struct clock *clock, struct store **ret_store, struct err *err);

/* Fault injection: the n-th (from 1) of the public calls that follow returns code and does not
 * happen (E_UNKNOWN_OUTCOME: a write happens, and its answer is lost). n 0 turns it off. Calls are
 * counted anew from here: reads, commits, compactions, watches and campaigns begun. */
void store_mem_fail(struct store *store, uint64_t n, int code);
uint64_t store_mem_calls(struct store *store);
/* Ends the lease of whoever leads, as a partition would. */
void store_mem_depose(struct store *store, const char *key);

#endif
