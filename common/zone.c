/* zone.c - TZif files, decoded and asked. Invariants of a zone: changes ascend strictly; each names
 * a kind that is there; every offset is within 26 hours. The rule of the footer holds from the last
 * change on, as RFC 9636 has it. */
#include "common/defs.h"
#include "common/zone_impl.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEADER_BYTES = 44, CHANGES_MAX = 4096, KINDS_MAX = 256, NAMES_BYTES_MAX = 2048,
	SPAN_S = OFFSET_MOST_S + 3600
};

struct zone {
	size_t change_count, kind_count;
	int64_t *at;                 /* instants of the changes */
	uint8_t *kind;               /* from that change on */
	int32_t offset[KINDS_MAX];   /* of a kind */
	bool has_rule;
	struct zone_rule rule;
};

struct reader { const uint8_t *at; size_t left; };

struct counts { uint32_t ut, std, leap, change, kind, chars; };

static int corrupt(struct err *err, const char *what)
{
	return err_set(err, E_CORRUPT, "the time zone file %s", what);
}

static uint32_t read_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t read_i64(const uint8_t *p)
{
	return (int64_t)((uint64_t)read_u32(p) << 32 | read_u32(p + 4));
}

/* NULL: there are not so many bytes left. */
static const uint8_t *take(struct reader *reader, size_t len)
{
	const uint8_t *at = reader->at;
	if (len > reader->left)
		return NULL;
	reader->at += len;
	reader->left -= len;
	return at;
}

static int read_header(struct reader *reader, struct counts *ret, struct err *err)
{
	const uint8_t *p = take(reader, HEADER_BYTES);
	if (!p || memcmp(p, "TZif", 4) != 0)
		return corrupt(err, "does not begin as one");
	if (p[4] < '2')
		return corrupt(err, "is of version 1; install one of version 2 or later");
	*ret = (struct counts){ read_u32(p + 20), read_u32(p + 24), read_u32(p + 28),
	                        read_u32(p + 32), read_u32(p + 36), read_u32(p + 40) };
	bool fits = ret->change <= CHANGES_MAX && ret->kind <= KINDS_MAX &&
		ret->chars <= NAMES_BYTES_MAX && ret->ut <= ret->kind && ret->std <= ret->kind &&
		ret->leap <= CHANGES_MAX;
	return fits ? 0 : corrupt(err, "says to hold more than one does");
}

/* What comes after the kinds is not needed here: names of offsets, leap seconds, flags. */
static size_t rest_bytes(const struct counts *n, size_t time_bytes)
{
	return n->chars + n->leap * (time_bytes + 4) + n->std + n->ut;
}

static int read_changes(struct zone *zone, struct reader *reader, struct err *err)
{
	const uint8_t *times = take(reader, zone->change_count * 8);
	const uint8_t *kinds = take(reader, zone->change_count);
	if (!times || !kinds)
		return corrupt(err, "ends too early");
	for (size_t i = 0; i < zone->change_count; i++) {
		zone->at[i] = read_i64(times + i * 8);
		zone->kind[i] = kinds[i];
		if (kinds[i] >= zone->kind_count)
			return corrupt(err, "names an offset that it does not hold");
		if (i && zone->at[i] <= zone->at[i - 1])
			return corrupt(err, "holds changes that do not ascend");
	}
	return 0;
}

static int read_kinds(struct zone *zone, struct reader *reader, struct err *err)
{
	const uint8_t *kinds = take(reader, zone->kind_count * 6);
	if (!kinds)
		return corrupt(err, "ends too early");
	for (size_t i = 0; i < zone->kind_count; i++) {
		zone->offset[i] = (int32_t)read_u32(kinds + i * 6);
		if (zone->offset[i] < -OFFSET_MOST_S || zone->offset[i] > OFFSET_MOST_S)
			return corrupt(err, "holds an offset over 26 hours");
	}
	return 0;
}

/* "\n", the rule, "\n"; an empty rule: none. */
static int read_footer(struct zone *zone, struct reader *reader, struct err *err)
{
	char text[RULE_TEXT_MAX + 1];
	const uint8_t *end = NULL;
	if (reader->left < 2 || *reader->at != '\n' ||
	    !(end = memchr(reader->at + 1, '\n', reader->left - 1)))
		return corrupt(err, "has no footer");
	size_t len = (size_t)(end - reader->at) - 1;
	if (len > RULE_TEXT_MAX)
		return corrupt(err, "has a footer that is too long");
	memcpy(text, reader->at + 1, len);
	text[len] = 0;
	zone->has_rule = len > 0;
	if (len && !zone_rule_parse(text, &zone->rule))
		return corrupt(err, "has a footer that is no rule");
	return 0;
}

static int read_body(struct zone *zone, struct reader *reader, const struct counts *counts,
                     struct err *err)
{
	if (!counts->kind)
		return corrupt(err, "holds no offset");
	if (counts->leap)
		return corrupt(err, "counts leap seconds; use the one without right/");
	zone->change_count = counts->change;
	zone->kind_count = counts->kind;
	zone->at = calloc(counts->change + 1, sizeof *zone->at);
	zone->kind = calloc(counts->change + 1, 1);
	if (!zone->at || !zone->kind)
		return err_set(err, E_NOMEM, "no memory for a time zone");
	TRY(read_changes(zone, reader, err));
	TRY(read_kinds(zone, reader, err));
	if (!take(reader, rest_bytes(counts, 8)))
		return corrupt(err, "ends too early");
	return read_footer(zone, reader, err);
}

int zone_parse(const void *data, size_t len, struct zone **ret_zone, struct err *err)
{
	struct reader reader = { data, len };
	struct counts old, counts;
	TRY(read_header(&reader, &old, err));
	/* The first block is for readers of 32-bit times. */
	if (!take(&reader, (size_t)old.change * 5 + old.kind * 6 + rest_bytes(&old, 4)))
		return corrupt(err, "ends too early");
	TRY(read_header(&reader, &counts, err));
	AUTO(zone) *zone = calloc(1, sizeof *zone);
	if (!zone)
		return err_set(err, E_NOMEM, "no memory for a time zone");
	TRY(read_body(zone, &reader, &counts, err));
	*ret_zone = MOVE(zone);
	return 0;
}

int zone_utc(struct zone **ret_zone, struct err *err)
{
	struct zone *zone = calloc(1, sizeof *zone);
	if (!zone)
		return err_set(err, E_NOMEM, "no memory for a time zone");
	zone->kind_count = 1;
	*ret_zone = zone;
	return 0;
}

void zone_free(struct zone *zone)
{
	if (!zone)
		return;
	free(zone->at);
	free(zone->kind);
	free(zone);
}

/* --- asked --- */

/* How many changes are at or before the instant. */
static size_t changes_until(const struct zone *zone, int64_t unix_s)
{
	size_t low = 0, high = zone->change_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (zone->at[middle] <= unix_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int zone_offset_s(const struct zone *zone, int64_t unix_s)
{
	size_t count = changes_until(zone, unix_s);
	if (count == zone->change_count && zone->has_rule)
		return zone_rule_offset_s(&zone->rule, unix_s);
	return zone->offset[count ? zone->kind[count - 1] : 0];
}

int64_t zone_next_change(const struct zone *zone, int64_t unix_s)
{
	size_t count = changes_until(zone, unix_s);
	if (count < zone->change_count)
		return zone->at[count];
	return zone->has_rule ? zone_rule_next_change(&zone->rule, unix_s) : INT64_MAX;
}

/* Looks through the stretches of one offset that could hold it. */
void zone_instant(const struct zone *zone, int64_t local_s, struct zone_instant *ret_instant)
{
	struct zone_instant found = { .count = 0, .unix_s = local_s };
	int64_t from = local_s - SPAN_S, until = local_s + SPAN_S;
	int before = zone_offset_s(zone, from);
	for (int64_t at = from; at <= until && found.count < 2;) {
		int64_t next = zone_next_change(zone, at);
		int offset = zone_offset_s(zone, at);
		int64_t candidate = local_s - offset;
		if (!found.count && at + before <= local_s && local_s < at + offset)
			found.unix_s = at;   /* the gap it lies in, if it lies in one */
		if (candidate >= at && candidate < next && found.count++ == 0)
			found.unix_s = candidate;
		else if (candidate >= at && candidate < next)
			found.second_unix_s = candidate;
		before = offset;
		if (next > until)
			break;
		at = next;
	}
	*ret_instant = found;
}
