/* quota.c - the ledger of one tenant. Invariants: a domain's `reserved` is the sum of its open
 * holds; `used` changes by quota_charge alone. A window is kept by its number (day or month
 * since 1970): an amount of an earlier window than the kept one counts for longer windows only;
 * when the wall clock steps back the kept one still counts. */
#include "common/defs.h"
#include "tenant/quota.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LEVEL_WAIT_S = 5,            /* what is held may be given back at any time */
	TOTAL_WAIT_S = 3600          /* only the operator changes that */
};
enum window { WINDOW_DAY, WINDOW_MONTH, WINDOW_TOTAL, WINDOW_COUNT_ };
enum { LIMITS_MAX = 64, DOMAINS_MAX = 4096, DAY_MS = 86400000 };

struct tally {
	int64_t number;              /* which day or month; 0 for the total */
	struct amounts amounts;
};

struct share {                       /* of one domain */
	char domain[64];
	struct amounts reserved;
	struct tally used[WINDOW_COUNT_];
};

struct limit_set {                   /* of one Quota resource */
	char name[64];
	char domain[64];             /* empty: of the whole tenant */
	enum window window;
	int64_t most[DIM_COUNT_];    /* in our units; -1: no limit */
};

struct quota {
	char tenant[64];
	struct share *shares;
	size_t share_count, share_cap;
	struct limit_set *limits;
	size_t limit_count;
};

static void name_copy(char out[64], const char *name)
{
	snprintf(out, 64, "%s", name ? name : "");
}

int quota_new(const char *tenant, struct quota **ret_quota, struct err *err)
{
	struct quota *quota = calloc(1, sizeof *quota);
	if (!quota)
		return err_set(err, E_NOMEM, "no memory for a tenant's quota");
	name_copy(quota->tenant, tenant);
	*ret_quota = quota;
	return 0;
}

void quota_free(struct quota *quota)
{
	if (!quota)
		return;
	free(quota->shares);
	free(quota->limits);
	free(quota);
}

/* --- windows --- */

static const char *const window_names[WINDOW_COUNT_] = { "day", "month", "total" };

static enum window window_by_name(const char *name)
{
	for (int i = 0; name && i < WINDOW_COUNT_; i++)
		if (strcmp(window_names[i], name) == 0)
			return (enum window)i;
	return WINDOW_DAY;
}

static int64_t day_of(int64_t unix_ms)
{
	return (unix_ms >= 0 ? unix_ms : unix_ms - (DAY_MS - 1)) / DAY_MS;
}

/* Months since year 0, by the calendar in UTC. */
static int64_t month_of(int64_t unix_ms)
{
	char text[TIME_TEXT_MAX];
	int year = 0, month = 0;
	time_print_s(unix_ms, text);
	REQUIRE(sscanf(text, "%4d-%2d", &year, &month) == 2);
	return (int64_t)year * 12 + month - 1;
}

static int64_t window_number(enum window window, int64_t unix_ms)
{
	switch (window) {
	case WINDOW_DAY: return day_of(unix_ms);
	case WINDOW_MONTH: return month_of(unix_ms);
	default: return 0;
	}
}

static const char *window_end(enum window window, int64_t now_ms, char out[TIME_TEXT_MAX])
{
	if (window == WINDOW_DAY)
		return time_print_s((day_of(now_ms) + 1) * DAY_MS, out);
	int64_t next = month_of(now_ms) + 1;
	snprintf(out, TIME_TEXT_MAX, "%04d-%02d-01T00:00:00Z", (int)(next / 12),
	         (int)(next % 12) + 1);
	return out;
}

/* --- shares --- */

static struct share *share_find(const struct quota *quota, const char *domain)
{
	for (size_t i = 0; i < quota->share_count; i++)
		if (strcmp(quota->shares[i].domain, domain) == 0)
			return &quota->shares[i];
	return NULL;
}

static int share_get(struct quota *quota, const char *domain, struct share **ret_share,
                     struct err *err)
{
	struct share *share = share_find(quota, domain);
	if (!share && quota->share_count == quota->share_cap) {
		if (quota->share_cap >= DOMAINS_MAX)
			return err_set(err, E_TOO_LARGE, "tenant %s has spent in %d domains, which "
			               "is the most that are counted", quota->tenant, DOMAINS_MAX);
		size_t cap = quota->share_cap ? quota->share_cap * 2 : 4;
		struct share *shares = realloc(quota->shares, cap * sizeof *shares);
		if (!shares)
			return err_set(err, E_NOMEM, "no memory for a domain's quota");
		quota->shares = shares;
		quota->share_cap = cap;
	}
	if (!share) {
		share = &quota->shares[quota->share_count++];
		memset(share, 0, sizeof *share);
		name_copy(share->domain, domain);
	}
	*ret_share = share;
	return 0;
}

const char *quota_domain(const struct quota *quota, size_t i)
{
	return i < quota->share_count ? quota->shares[i].domain : NULL;
}

static int64_t used_of(const struct share *share, int dim, enum window window, int64_t number)
{
	const struct tally *tally = &share->used[window];
	if (dim_info[dim].how != HOW_SPENT)
		return share->used[WINDOW_TOTAL].amounts.v[dim];    /* a level has no window */
	return tally->number >= number ? tally->amounts.v[dim] : 0;
}

static bool counts_for(const struct share *share, const char *domain)
{
	return !domain || !*domain || strcmp(share->domain, domain) == 0;
}

void quota_used(const struct quota *quota, const char *domain, int64_t now_ms, const char *window,
                struct amounts *ret_amounts)
{
	enum window kept = window_by_name(window);
	int64_t number = window_number(kept, now_ms);
	memset(ret_amounts, 0, sizeof *ret_amounts);
	for (size_t i = 0; i < quota->share_count; i++)
		for (int dim = 0; counts_for(&quota->shares[i], domain) && dim < DIM_COUNT_; dim++)
			ret_amounts->v[dim] += used_of(&quota->shares[i], dim, kept, number);
}

static void reserved_of(const struct quota *quota, const char *domain, struct amounts *ret_amounts)
{
	memset(ret_amounts, 0, sizeof *ret_amounts);
	for (size_t i = 0; i < quota->share_count; i++)
		if (counts_for(&quota->shares[i], domain))
			amounts_add(ret_amounts, &quota->shares[i].reserved);
}

void quota_reserved(const struct quota *quota, struct amounts *ret_amounts)
{
	reserved_of(quota, NULL, ret_amounts);
}

int quota_charge(struct quota *quota, const char *domain, const struct amounts *measured,
                 int64_t at_ms, struct err *err)
{
	struct share *share = NULL;
	TRY(share_get(quota, domain, &share, err));
	for (int i = 0; i < WINDOW_COUNT_; i++) {
		struct tally *tally = &share->used[i];
		int64_t number = window_number((enum window)i, at_ms);
		if (number > tally->number) {
			memset(&tally->amounts, 0, sizeof tally->amounts);
			tally->number = number;
		}
		if (number == tally->number)
			amounts_add(&tally->amounts, measured);
	}
	return 0;
}

bool quota_tally(const struct quota *quota, size_t i, struct quota_tally *ret_tally)
{
	if (i >= quota->share_count * WINDOW_COUNT_)
		return false;
	const struct share *share = &quota->shares[i / WINDOW_COUNT_];
	const struct tally *tally = &share->used[i % WINDOW_COUNT_];
	*ret_tally = (struct quota_tally){
		share->domain, window_names[i % WINDOW_COUNT_], tally->number, tally->amounts,
	};
	return true;
}

int quota_tally_restore(struct quota *quota, const struct quota_tally *tally, struct err *err)
{
	struct share *share = NULL;
	TRY(share_get(quota, tally->domain, &share, err));
	share->used[window_by_name(tally->window)] = (struct tally){
		tally->number, tally->amounts,
	};
	return 0;
}

/* --- limits --- */

static size_t limit_find(const struct quota *quota, const char *name)
{
	size_t i = 0;
	while (i < quota->limit_count && strcmp(quota->limits[i].name, name) != 0)
		i++;
	return i;
}

static void limit_read(struct limit_set *set, const char *name, const struct value *spec)
{
	memset(set, 0, sizeof *set);
	name_copy(set->name, name);
	name_copy(set->domain, value_get_str(spec, "domain"));
	set->window = window_by_name(value_get_str(spec, "window"));
	for (int i = 0; i < DIM_COUNT_; i++) {
		const char *field = dim_info[i].quota_field;
		int64_t most = field ? value_get_int(spec, field, -1) : -1;
		if (most < 0)
			most = -1;
		else if (__builtin_mul_overflow(most, dim_info[i].factor, &most))
			most = INT64_MAX;
		set->most[i] = most;
	}
}

int quota_limit(struct quota *quota, const char *name, const struct value *spec, struct err *err)
{
	size_t at = limit_find(quota, name);
	if (!spec) {
		if (at < quota->limit_count)
			quota->limits[at] = quota->limits[--quota->limit_count];
		return 0;
	}
	if (at == quota->limit_count) {
		if (at == LIMITS_MAX)
			return err_set(err, E_TOO_LARGE, "tenant %s has %d quotas, which is the "
			               "most; delete one first", quota->tenant, LIMITS_MAX);
		struct limit_set *limits = realloc(quota->limits, (at + 1) * sizeof *limits);
		if (!limits)
			return err_set(err, E_NOMEM, "no memory for a tenant's quota");
		quota->limits = limits;
		quota->limit_count++;
	}
	limit_read(&quota->limits[at], name, spec);
	return 0;
}

int quota_limits_copy(struct quota *to, const struct quota *from, struct err *err)
{
	REQUIRE(to->limit_count == 0);
	if (from->limit_count == 0)
		return 0;
	size_t bytes = from->limit_count * sizeof *from->limits;
	struct limit_set *limits = malloc(bytes);
	if (!limits)
		return err_set(err, E_NOMEM, "no memory for a tenant's quota");
	memcpy(limits, from->limits, bytes);
	free(to->limits);
	to->limits = limits;
	to->limit_count = from->limit_count;
	return 0;
}

/* In the unit of the manifest's field: "3.2" cpu seconds for 3200 ms. */
static const char *figure(int64_t amount, int64_t factor, char out[32])
{
	if (factor <= 1) {
		snprintf(out, 32, "%" PRId64, amount);
		return out;
	}
	int used = snprintf(out, 32, "%s%" PRId64 ".%03" PRId64, amount < 0 ? "-" : "",
	                    amount / factor * (amount < 0 ? -1 : 1),
	                    amount % factor * (amount < 0 ? -1 : 1) * 1000 / factor);
	while (used > 0 && out[used - 1] == '0')
		out[--used] = '\0';
	if (used > 0 && out[used - 1] == '.')
		out[--used] = '\0';
	return out;
}

struct question {
	const struct limit_set *set;
	int dim;
	int64_t used, reserved, asked;
};

/* When it is worth another try: as soon as the window starts anew, where there is one. */
static int64_t wait_s(const struct limit_set *set, bool spent, int64_t now_ms)
{
	char end[TIME_TEXT_MAX];
	int64_t end_ms = 0;
	if (!spent)
		return LEVEL_WAIT_S;
	if (set->window == WINDOW_TOTAL ||
	    time_parse(window_end(set->window, now_ms, end), &end_ms, NULL) < 0)
		return TOTAL_WAIT_S;
	return (end_ms - now_ms + 999) / 1000;
}

static int refuse(const struct quota *quota, const struct question *question, int64_t now_ms,
                  struct err *err)
{
	const struct limit_set *set = question->set;
	const struct dim_info *dim = &dim_info[question->dim];
	char used[32], reserved[32], asked[32], most[32], end[TIME_TEXT_MAX], when[96] = "";
	bool spent = dim->how == HOW_SPENT;
	const char *way = dim->how == HOW_RUNNING || question->dim == DIM_QUEUED ?
		"wait until a task ends" : "delete data";
	if (spent && set->window == WINDOW_TOTAL)
		way = "this quota does not start anew";
	else if (spent) {
		snprintf(when, sizeof when, " in the %s that ends %s", window_names[set->window],
		         window_end(set->window, now_ms, end));
		way = "wait until then";
	}
	err_set(err, E_QUOTA, "quota \"%s\" of tenant %s%s%s: %s used %s + reserved %s + asked %s "
	        "is over the limit %s%s; %s or ask the platform operator to raise it", set->name,
	        quota->tenant, *set->domain ? ", domain " : "", set->domain, dim->quota_field,
	        figure(question->used, dim->factor, used),
	        figure(question->reserved, dim->factor, reserved),
	        figure(question->asked, dim->factor, asked),
	        figure(set->most[question->dim], dim->factor, most), when, way);
	return err_after(err, E_QUOTA, wait_s(set, spent, now_ms));
}

static int check_set(const struct quota *quota, const struct limit_set *set,
                     const struct amounts *amounts, int64_t now_ms, struct err *err)
{
	struct amounts used, reserved;
	quota_used(quota, set->domain, now_ms, window_names[set->window], &used);
	reserved_of(quota, set->domain, &reserved);
	for (int i = 0; i < DIM_COUNT_; i++) {
		if (set->most[i] < 0 || amounts->v[i] <= 0)
			continue;
		__int128 sum = (__int128)used.v[i] + reserved.v[i] + amounts->v[i];
		if (sum <= set->most[i])
			continue;
		struct question question = { set, i, used.v[i], reserved.v[i], amounts->v[i] };
		return refuse(quota, &question, now_ms, err);
	}
	return 0;
}

int quota_check(const struct quota *quota, const char *domain, const struct amounts *amounts,
                int64_t now_ms, struct err *err)
{
	for (size_t i = 0; i < quota->limit_count; i++) {
		const struct limit_set *set = &quota->limits[i];
		if (!*set->domain || strcmp(set->domain, domain) == 0)
			TRY(check_set(quota, set, amounts, now_ms, err));
	}
	return 0;
}

/* --- holds --- */

int quota_take(struct quota *quota, const char *domain, const struct amounts *amounts,
               struct hold *ret_hold, struct err *err)
{
	struct share *share = NULL;
	TRY(share_get(quota, domain, &share, err));
	amounts_add(&share->reserved, amounts);
	*ret_hold = (struct hold){ .amounts = *amounts, .open = true,
	                           .share = (uint32_t)(share - quota->shares) };
	return 0;
}

int quota_reserve(struct quota *quota, const char *domain, const struct amounts *amounts,
                  int64_t now_ms, struct hold *ret_hold, struct err *err)
{
	TRY(quota_check(quota, domain, amounts, now_ms, err));
	return quota_take(quota, domain, amounts, ret_hold, err);
}

void quota_rehold(struct quota *quota, struct hold *hold, const struct amounts *amounts)
{
	REQUIRE(hold->open);
	REQUIRE(hold->share < quota->share_count);
	struct share *share = &quota->shares[hold->share];   /* they are only ever added to */
	amounts_sub(&share->reserved, &hold->amounts);
	amounts_add(&share->reserved, amounts);
	hold->amounts = *amounts;
}

void quota_release(struct quota *quota, struct hold *hold)
{
	if (!hold->open)
		return;
	static const struct amounts none;
	quota_rehold(quota, hold, &none);
	hold->open = false;
}
