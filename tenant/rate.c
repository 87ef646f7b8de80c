/* rate.c - amounts of every dimension, and what they cost. The dimensions are rows of dims.def. */
#include "common/defs.h"
#include "tenant/quota.h"

const struct dim_info dim_info[DIM_COUNT_] = {
#define DIM(id, name, field, factor, rate, per, how) \
	[DIM_##id] = { #name, field, factor, rate, per, HOW_##how },
#include "tenant/dims.def"
#undef DIM
};

static int64_t add_capped(int64_t a, int64_t b)
{
	int64_t sum = 0;
	if (!__builtin_add_overflow(a, b, &sum))
		return sum;
	return b > 0 ? INT64_MAX : INT64_MIN;
}

void amounts_add(struct amounts *to, const struct amounts *more)
{
	for (int i = 0; i < DIM_COUNT_; i++)
		to->v[i] = add_capped(to->v[i], more->v[i]);
}

void amounts_sub(struct amounts *to, const struct amounts *less)
{
	for (int i = 0; i < DIM_COUNT_; i++)
		if (__builtin_sub_overflow(to->v[i], less->v[i], &to->v[i]))
			to->v[i] = less->v[i] > 0 ? INT64_MIN : INT64_MAX;
}

bool amounts_zero(const struct amounts *amounts)
{
	for (int i = 0; i < DIM_COUNT_; i++)
		if (amounts->v[i] != 0)
			return false;
	return true;
}

struct value *amounts_value(struct arena *arena, const struct amounts *amounts)
{
	struct value *map = value_map(arena);
	for (int i = 0; map && i < DIM_COUNT_; i++)
		if (amounts->v[i] != 0)
			value_set_int(map, dim_info[i].name, amounts->v[i]);
	return map;
}

void amounts_read(const struct value *map, struct amounts *ret_amounts)
{
	for (int i = 0; i < DIM_COUNT_; i++)
		ret_amounts->v[i] = value_get_int(map, dim_info[i].name, 0);
}

/* 128 bits hold any price times any amount. */
static int64_t price_of(int64_t price, int64_t amount, int64_t per)
{
	if (price <= 0 || amount <= 0)
		return 0;
	__int128 micros = ((__int128)price * amount + per / 2) / per;
	return micros > INT64_MAX ? INT64_MAX : (int64_t)micros;
}

int64_t rate_cost(const struct value *rate_card_spec, const struct amounts *amounts)
{
	int64_t cost = 0;
	for (int i = 0; i < DIM_COUNT_; i++) {
		const struct dim_info *dim = &dim_info[i];
		if (!dim->rate_field)
			continue;
		int64_t price = value_get_int(rate_card_spec, dim->rate_field, 0);
		cost = add_capped(cost, price_of(price, amounts->v[i], dim->per));
	}
	return cost;
}
