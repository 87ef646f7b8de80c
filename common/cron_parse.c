/* cron_parse.c - the text of a cron expression. Every error names the character it begins at. */
#include "common/defs.h"
#include "common/cron.h"
#include "common/date.h"

#include <string.h>
#include <strings.h>

enum { FIELDS = 5, NAME_LEN = 3 };

struct field_row {
	const char *name;
	int least, most;
	const char *const *names;    /* of least, least + 1, ...; NULL: numbers only */
	int name_count;
};

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may", "jun",
	                                   "jul", "aug", "sep", "oct", "nov", "dec" };
static const char *const day_names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };

static const struct field_row rows[FIELDS] = {
	{ "minute", 0, 59, NULL, 0 },
	{ "hour", 0, 23, NULL, 0 },
	{ "day of month", 1, 31, NULL, 0 },
	{ "month", 1, 12, month_names, 12 },
	{ "day of week", 0, 7, day_names, 7 },
};

static const struct { const char *name, *means; } short_forms[] = {
	{ "@hourly", "0 * * * *" }, { "@daily", "0 0 * * *" }, { "@midnight", "0 0 * * *" },
	{ "@weekly", "0 0 * * 0" }, { "@monthly", "0 0 1 * *" }, { "@yearly", "0 0 1 1 *" },
	{ "@annually", "0 0 1 1 *" },
};

struct text {
	const char *from, *at;
	const struct field_row *row;
	uint64_t bits;
	bool star;                   /* the field begins with one */
};

static int wrong(const struct text *text, const char *at, const char *what, struct err *err)
{
	return err_set(err, E_INVALID, "character %d: the %s %s", (int)(at - text->from) + 1,
	               text->row->name, what);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int take_digits(struct text *text, int *ret_number, struct err *err)
{
	const char *from = text->at;
	int number = 0;
	for (; is_digit(*text->at); text->at++)
		number = number < 1000 ? number * 10 + (*text->at - '0') : number;
	if (text->at == from)
		return wrong(text, from, *from && !is_blank(*from)
		             ? "holds a character that is no number, name, * , - or /"
		             : "lacks a number", err);
	*ret_number = number;
	return 0;
}

static int take_name(struct text *text, int *ret_number, struct err *err)
{
	const struct field_row *row = text->row;
	const char *from = text->at;
	while (is_letter(*text->at))
		text->at++;
	for (int i = 0; i < row->name_count; i++) {
		if (text->at - from != NAME_LEN || strncasecmp(from, row->names[i], NAME_LEN) != 0)
			continue;
		*ret_number = row->least + i;
		return 0;
	}
	return wrong(text, from, row->names ? row->least ? "has no such name; it is jan to dec"
	             : "has no such name; it is sun to sat" : "is a number, not a name", err);
}

static int take_value(struct text *text, int *ret_number, struct err *err)
{
	const struct field_row *row = text->row;
	const char *from = text->at;
	if (is_letter(*from))
		return take_name(text, ret_number, err);
	TRY(take_digits(text, ret_number, err));
	if (*ret_number >= row->least && *ret_number <= row->most)
		return 0;
	return err_set(err, E_INVALID, "character %d: the %s %d is out of %d to %d",
	               (int)(from - text->from) + 1, row->name, *ret_number, row->least,
	               row->most);
}

static int take_step(struct text *text, int *ret_step, struct err *err)
{
	const char *from = text->at + 1;
	*ret_step = 1;
	if (*text->at != '/')
		return 0;
	text->at++;
	TRY(take_digits(text, ret_step, err));
	if (*ret_step >= 1 && *ret_step <= text->row->most)
		return 0;
	return err_set(err, E_INVALID, "character %d: the %s has a step of %d; it is 1 to %d",
	               (int)(from - text->from) + 1, text->row->name, *ret_step, text->row->most);
}

/* "*", "5", "1-5", "fri-sun", each with or without a step. 7 is a Sunday that ends a range. */
static int take_item(struct text *text, struct err *err)
{
	const struct field_row *row = text->row;
	const char *from = text->at;
	int first = row->least, last = row->most, step = 1;
	bool range = true;
	if (*from == '*') {
		text->at++;
	} else {
		TRY(take_value(text, &first, err));
		last = first;
		range = *text->at == '-';
		if (range) {
			text->at++;
			TRY(take_value(text, &last, err));
		}
	}
	if (!range && *text->at == '/')
		return wrong(text, text->at, "has a step without a range; write */N or A-B/N",
		             err);
	TRY(take_step(text, &step, err));
	if (last == 0 && first > 0 && row->names == day_names)
		last = 7;
	if (last < first)
		return wrong(text, from, "has a range that runs backwards", err);
	for (int i = first; i <= last; i += step)
		text->bits |= UINT64_C(1) << i;
	return 0;
}

static int take_field(struct text *text, const struct field_row *row, struct err *err)
{
	while (is_blank(*text->at))
		text->at++;
	text->row = row;
	text->bits = 0;
	text->star = *text->at == '*';
	if (!*text->at)
		return wrong(text, text->at, "is missing; there are five fields: minute, hour, day "
		             "of month, month, day of week", err);
	for (;; text->at++) {
		TRY(take_item(text, err));
		if (*text->at != ',')
			break;
	}
	if (*text->at && !is_blank(*text->at))
		return wrong(text, text->at, "holds a character that may not follow here", err);
	return 0;
}

/* February 30 and the like: no month of those has any of the days. */
static bool never(const struct cron *cron)
{
	static const int most[13] = { 0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (!cron->any_weekday)
		return false;
	for (int month = 1; month <= 12; month++)
		for (int day = 1; cron->months >> month & 1 && day <= most[month]; day++)
			if (cron->days >> day & 1)
				return false;
	return true;
}

static int parse_fields(struct text *text, struct cron *cron, struct err *err)
{
	TRY(take_field(text, &rows[0], err));
	cron->minutes = text->bits;
	TRY(take_field(text, &rows[1], err));
	cron->hours = (uint32_t)text->bits;
	cron->any_hour = text->star;
	TRY(take_field(text, &rows[2], err));
	const char *days_at = text->at;
	cron->days = (uint32_t)text->bits;
	cron->any_day = text->star;
	TRY(take_field(text, &rows[3], err));
	cron->months = (uint16_t)text->bits;
	TRY(take_field(text, &rows[4], err));
	cron->weekdays = (uint8_t)((text->bits | text->bits >> 7) & 0x7f);
	cron->any_weekday = text->star;
	while (is_blank(*text->at))
		text->at++;
	if (*text->at)
		return wrong(text, text->at, "is the last of five fields; leave out what follows",
		             err);
	text->row = &rows[2];
	return never(cron) ? wrong(text, days_at - 1, "is in none of the months", err) : 0;
}

int cron_parse(const char *text, struct cron *ret_cron, struct err *err)
{
	struct cron cron = { 0 };
	size_t len = strlen(text);
	if (len > CRON_TEXT_MAX)
		return err_set(err, E_INVALID, "a cron expression has at most %d characters, not "
		               "%zu", CRON_TEXT_MAX, len);
	struct text at = { .from = text, .at = text };
	for (size_t i = 0; i < ARRAY_LEN(short_forms); i++)
		if (strcmp(text, short_forms[i].name) == 0)
			at.from = at.at = short_forms[i].means;
	if (*at.at == '@')
		return err_set(err, E_INVALID, "character 1: the short forms are @hourly, @daily, "
		               "@midnight, @weekly, @monthly, @yearly and @annually");
	TRY(parse_fields(&at, &cron, err));
	*ret_cron = cron;
	return 0;
}
