/* quota.h - what a tenant may still spend: reserve before work, settle after; one routine for every
 * dimension of dims.def. Amounts are integers in the dimension's unit; money is micro-units.
 *
 * Invariants: reserved == the sum of the open holds; used is only changed by quota_charge (from a
 * usage record). Not thread-safe: the shard's mutex guards it. */
#ifndef QUOTA_H
#define QUOTA_H

#include "common/value.h"

enum dim {
#define DIM(id, name, field, factor, rate, per, how) DIM_##id,
#include "tenant/dims.def"
#undef DIM
	DIM_COUNT_
};
enum dim_how { HOW_SPENT, HOW_HELD, HOW_RUNNING };

struct dim_info {
	const char *name;
	const char *quota_field;
	int64_t factor;
	const char *rate_field;
	int64_t per;
	enum dim_how how;
};
extern const struct dim_info dim_info[DIM_COUNT_];

struct amounts { int64_t v[DIM_COUNT_]; };
void amounts_add(struct amounts *to, const struct amounts *more);
void amounts_sub(struct amounts *to, const struct amounts *less);
bool amounts_zero(const struct amounts *amounts);
/* The non-zero ones. */
struct value *amounts_value(struct arena *arena, const struct amounts *amounts);
void amounts_read(const struct value *map, struct amounts *ret_amounts);

/* The ledger of one tenant: limits from any number of Quota resources (each for the tenant or for
 * one of its domains), spent and reserved amounts by domain. */
struct quota;
MUST_USE int quota_new(const char *tenant, struct quota **ret_quota, struct err *err);
void quota_free(struct quota *quota);
DEFINE_AUTO(quota)

/* Sets (or with spec NULL removes) the limits of one Quota resource. */
MUST_USE int quota_limit(struct quota *quota, const char *name, const struct value *spec,
                         struct err *err);
/* The limits of another ledger; to must have none yet. */
MUST_USE int quota_limits_copy(struct quota *to, const struct quota *from, struct err *err);

/* A hold on amounts of one domain. E_QUOTA says: quota's name, whose, dimension, used, reserved,
 * asked, limit, window and when it starts anew, and whom to ask. */
struct hold { struct amounts amounts; uint32_t share; bool open; };      /* share: quota's own */
MUST_USE int quota_reserve(struct quota *quota, const char *domain, const struct amounts *amounts,
                           int64_t now_ms, struct hold *ret_hold, struct err *err);
/* The same question without taking anything: what would be refused, and why. */
MUST_USE int quota_check(const struct quota *quota, const char *domain,
                         const struct amounts *amounts, int64_t now_ms, struct err *err);
/* The same without asking: for what is already true (a replayed task, one that waits again). */
MUST_USE int quota_take(struct quota *quota, const char *domain, const struct amounts *amounts,
                        struct hold *ret_hold, struct err *err);
/* Changes what an open hold holds, without asking. */
void quota_rehold(struct quota *quota, struct hold *hold, const struct amounts *amounts);
void quota_release(struct quota *quota, struct hold *hold);               /* gives it back */
/* Charges what was measured; SPENT adds to the window of at_ms, HELD to the level. */
MUST_USE int quota_charge(struct quota *quota, const char *domain, const struct amounts *measured,
                          int64_t at_ms, struct err *err);
/* The i-th domain that used or holds anything; NULL: there are no more. */
const char *quota_domain(const struct quota *quota, size_t i);
void quota_reserved(const struct quota *quota, struct amounts *ret_amounts);
/* domain NULL: of all; window "day", "month" or "total": the one now_ms lies in. */
void quota_used(const struct quota *quota, const char *domain, int64_t now_ms,
                const char *window, struct amounts *ret_amounts);

/* What was spent, as it is kept: of one domain in one window ("day", "month" or "total"), which has
 * a number. For a checkpoint and from one; the i-th, false: there are no more. */
struct quota_tally { const char *domain, *window; int64_t number; struct amounts amounts; };
bool quota_tally(const struct quota *quota, size_t i, struct quota_tally *ret_tally);
MUST_USE int quota_tally_restore(struct quota *quota, const struct quota_tally *tally,
                                 struct err *err);

/* What amounts cost by a RateCard spec (NULL: nothing), in micro-units, rounded half up per
 * dimension; saturates. */
int64_t rate_cost(const struct value *rate_card_spec, const struct amounts *amounts);

#endif
