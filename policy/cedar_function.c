/* cedar_function.c - the table of extension functions. */
#include "common/defs.h"
#include "policy/cedar_function.h"

#include "policy/cedar_ip.h"
#include "policy/cedar_number.h"

#define DAY_MS ((int64_t)86400000)

/* Told apart by its address: a want of memory must never pass for a policy's own failure. */
static const char no_memory[] = "no memory left for an IP address";

static const char *give(struct cedar_value *ret, enum cedar_kind kind, int64_t i)
{
	*ret = (struct cedar_value){ .kind = kind, .i = i };
	return NULL;
}

static const char *answer(struct cedar_value *ret, bool b)
{
	*ret = (struct cedar_value){ .kind = CEDAR_BOOL, .b = b };
	return NULL;
}

static const char *decimal(struct arena *arena, const struct cedar_value *args,
			   struct cedar_value *ret)
{
	(void)arena;
	int64_t units = 0;
	if (!cedar_decimal_parse(args[0].str, &units))
		return "text that is no decimal: digits, a point, 1 to 4 digits, within range";
	return give(ret, CEDAR_DECIMAL, units);
}

static const char *datetime(struct arena *arena, const struct cedar_value *args,
			    struct cedar_value *ret)
{
	(void)arena;
	int64_t ms = 0;
	if (!cedar_datetime_parse(args[0].str, &ms))
		return "text that is no datetime: YYYY-MM-DD, or with Thh:mm:ss[.SSS] and a zone";
	return give(ret, CEDAR_DATETIME, ms);
}

static const char *duration(struct arena *arena, const struct cedar_value *args,
			    struct cedar_value *ret)
{
	(void)arena;
	int64_t ms = 0;
	if (!cedar_duration_parse(args[0].str, &ms))
		return "text that is no duration: as in 1d2h3m4s5ms, within range";
	return give(ret, CEDAR_DURATION, ms);
}

static const char *ip(struct arena *arena, const struct cedar_value *args,
		      struct cedar_value *ret)
{
	struct cedar_ip parsed;
	if (!cedar_ip_parse(args[0].str, &parsed))
		return "text that is no IP address, with or without a prefix length";
	struct cedar_ip *kept = arena_alloc(arena, sizeof *kept);
	if (!kept)
		return no_memory;
	*kept = parsed;
	*ret = (struct cedar_value){ .kind = CEDAR_IP, .ip = kept };
	return NULL;
}

#define CALL(name, expression) \
	static const char *name(struct arena *arena, const struct cedar_value *args, \
				struct cedar_value *ret) \
	{ \
		(void)arena; \
		return expression; \
	}
CALL(less_than, answer(ret, args[0].i < args[1].i))
CALL(less_than_or_equal, answer(ret, args[0].i <= args[1].i))
CALL(greater_than, answer(ret, args[0].i > args[1].i))
CALL(greater_than_or_equal, answer(ret, args[0].i >= args[1].i))
CALL(is_ipv4, answer(ret, !args[0].ip->v6))
CALL(is_ipv6, answer(ret, args[0].ip->v6))
CALL(is_loopback, answer(ret, cedar_ip_is_loopback(args[0].ip)))
CALL(is_multicast, answer(ret, cedar_ip_is_multicast(args[0].ip)))
CALL(is_in_range, answer(ret, cedar_ip_in_range(args[0].ip, args[1].ip)))
CALL(to_milliseconds, give(ret, CEDAR_LONG, args[0].i))
CALL(to_seconds, give(ret, CEDAR_LONG, args[0].i / 1000))
CALL(to_minutes, give(ret, CEDAR_LONG, args[0].i / 60000))
CALL(to_hours, give(ret, CEDAR_LONG, args[0].i / 3600000))
CALL(to_days, give(ret, CEDAR_LONG, args[0].i / DAY_MS))

/* What is left of the day, never negative. */
static int64_t past_midnight(int64_t ms)
{
	int64_t rest = ms % DAY_MS;
	return rest < 0 ? rest + DAY_MS : rest;
}

CALL(to_time, give(ret, CEDAR_DURATION, past_midnight(args[0].i)))

static const char *to_date(struct arena *arena, const struct cedar_value *args,
			   struct cedar_value *ret)
{
	(void)arena;
	int64_t ms = 0;
	if (__builtin_sub_overflow(args[0].i, past_midnight(args[0].i), &ms))
		return "overflow of a datetime";
	return give(ret, CEDAR_DATETIME, ms);
}

static const char *offset(struct arena *arena, const struct cedar_value *args,
			  struct cedar_value *ret)
{
	(void)arena;
	int64_t ms = 0;
	if (__builtin_add_overflow(args[0].i, args[1].i, &ms))
		return "overflow of a datetime";
	return give(ret, CEDAR_DATETIME, ms);
}

static const char *duration_since(struct arena *arena, const struct cedar_value *args,
				  struct cedar_value *ret)
{
	(void)arena;
	int64_t ms = 0;
	if (__builtin_sub_overflow(args[0].i, args[1].i, &ms))
		return "overflow of a duration";
	return give(ret, CEDAR_DURATION, ms);
}

static const struct cedar_function functions[] = {
	{ "decimal", false, 1, { CEDAR_STRING }, CEDAR_DECIMAL, decimal },
	{ "ip", false, 1, { CEDAR_STRING }, CEDAR_IP, ip },
	{ "datetime", false, 1, { CEDAR_STRING }, CEDAR_DATETIME, datetime },
	{ "duration", false, 1, { CEDAR_STRING }, CEDAR_DURATION, duration },
	{ "lessThan", true, 2, { CEDAR_DECIMAL, CEDAR_DECIMAL }, CEDAR_BOOL, less_than },
	{ "lessThanOrEqual", true, 2, { CEDAR_DECIMAL, CEDAR_DECIMAL }, CEDAR_BOOL,
	  less_than_or_equal },
	{ "greaterThan", true, 2, { CEDAR_DECIMAL, CEDAR_DECIMAL }, CEDAR_BOOL, greater_than },
	{ "greaterThanOrEqual", true, 2, { CEDAR_DECIMAL, CEDAR_DECIMAL }, CEDAR_BOOL,
	  greater_than_or_equal },
	{ "isIpv4", true, 1, { CEDAR_IP }, CEDAR_BOOL, is_ipv4 },
	{ "isIpv6", true, 1, { CEDAR_IP }, CEDAR_BOOL, is_ipv6 },
	{ "isLoopback", true, 1, { CEDAR_IP }, CEDAR_BOOL, is_loopback },
	{ "isMulticast", true, 1, { CEDAR_IP }, CEDAR_BOOL, is_multicast },
	{ "isInRange", true, 2, { CEDAR_IP, CEDAR_IP }, CEDAR_BOOL, is_in_range },
	{ "offset", true, 2, { CEDAR_DATETIME, CEDAR_DURATION }, CEDAR_DATETIME, offset },
	{ "durationSince", true, 2, { CEDAR_DATETIME, CEDAR_DATETIME }, CEDAR_DURATION,
	  duration_since },
	{ "toDate", true, 1, { CEDAR_DATETIME }, CEDAR_DATETIME, to_date },
	{ "toTime", true, 1, { CEDAR_DATETIME }, CEDAR_DURATION, to_time },
	{ "toMilliseconds", true, 1, { CEDAR_DURATION }, CEDAR_LONG, to_milliseconds },
	{ "toSeconds", true, 1, { CEDAR_DURATION }, CEDAR_LONG, to_seconds },
	{ "toMinutes", true, 1, { CEDAR_DURATION }, CEDAR_LONG, to_minutes },
	{ "toHours", true, 1, { CEDAR_DURATION }, CEDAR_LONG, to_hours },
	{ "toDays", true, 1, { CEDAR_DURATION }, CEDAR_LONG, to_days },
};

const struct cedar_function *cedar_function_find(struct cedar_str name)
{
	for (size_t i = 0; i < ARRAY_LEN(functions); i++)
		if (cedar_str_is(name, functions[i].name))
			return &functions[i];
	return NULL;
}

int cedar_function_call(const struct cedar_function *function, struct arena *arena,
			const struct cedar_value *args, struct cedar_value *ret_value,
			struct err *err)
{
	const char *reason = function->run(arena, args, ret_value);
	if (!reason)
		return 0;
	return err_set(err, reason == no_memory ? E_NOMEM : E_INVALID, "`%s`: %s", function->name,
	               reason);
}

bool cedar_function_makes(const struct cedar_function *function)
{
	return !function->method;
}
