/* cli.c - options and help, from the verbs' own tables. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include "common/clock.h"
#include "common/text.h"

#include <stdio.h>
#include <string.h>

#define VERB(name) extern const struct verb verb_##name;
#include "api/cli/verbs.def"
#undef VERB

const struct verb *const verbs[] = {
#define VERB(name) &verb_##name,
#include "api/cli/verbs.def"
#undef VERB
	NULL};

const struct option_row common_options[] = {
	{"output", "table|json|yaml", "how to print (-o); default table"},
	{"tenant", "NAME", "instead of the profile's (-t)"},
	{"domain", "NAME", "instead of the profile's (-d)"},
	{"profile", "NAME", "which login to use; default FREEHOLD_PROFILE, else the last login"},
	{"help", NULL, "help for the verb (-h)"},
	{NULL, NULL, NULL}};

static const struct {
	char letter;
	const char *name;
} short_names[] = {
	{'o', "output"}, {'t', "tenant"}, {'d', "domain"},
	{'h', "help"},   {'f', "file"},   {'w', "watch"},
};

static const struct option_row *row_in(const struct option_row *rows, const char *name, size_t len)
{
	for (; rows && rows->name; rows++)
		if (strlen(rows->name) == len && memcmp(rows->name, name, len) == 0)
			return rows;
	return NULL;
}

static const struct option_row *row_of(const struct verb *verb, const char *name, size_t len)
{
	const struct option_row *row = row_in(verb->options, name, len);
	return row ? row : row_in(common_options, name, len);
}

static int unknown_option(const struct verb *verb, const char *word, struct err *err)
{
	const char *names[OPTIONS_MAX * 2];
	size_t count = 0;
	for (const struct option_row *row = verb->options; row && row->name; row++)
		names[count++] = row->name;
	for (const struct option_row *row = common_options; row->name; row++)
		names[count++] = row->name;
	const char *nearest = name_nearest(word, names, count);
	return err_set(err, E_INVALID,
	               "--%s: no such option of `freehold %s`%s%s%s; see `freehold %s --help`",
	               word, verb->name, nearest ? "; did you mean --" : "", nearest ? nearest : "",
	               nearest ? "?" : "", verb->name);
}

static const char *long_name(const char *word)
{
	if (word[1] == '-')
		return word + 2;
	for (size_t i = 0; i < ARRAY_LEN(short_names); i++)
		if (word[1] == short_names[i].letter && !word[2])
			return short_names[i].name;
	return word + 1;
}

static int take_option(struct cli *cli, int argc, char **argv, int *i, struct err *err)
{
	const char *name = long_name(argv[*i]);
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_row *row = row_of(cli->verb, name, len);
	if (!row)
		return unknown_option(cli->verb, arena_strndup(cli->arena, name, len), err);
	const char *value = "";
	if (equals)
		value = equals + 1;
	else if (row->arg && *i + 1 < argc)
		value = argv[++*i];
	else if (row->arg)
		return err_set(err, E_INVALID, "--%s: needs %s", row->name, row->arg);
	if (cli->option_count == OPTIONS_MAX)
		return err_set(err, E_INVALID, "more than %d options", OPTIONS_MAX);
	cli->options[cli->option_count].name = row->name;
	cli->options[cli->option_count++].value = value;
	return 0;
}

static int find_verb(struct cli *cli, const char *word, struct err *err)
{
	const char *names[ARRAY_LEN(verbs)];
	size_t count = 0;
	for (const struct verb *const *verb = verbs; *verb; verb++) {
		names[count++] = (*verb)->name;
		if (strcmp((*verb)->name, word) == 0)
			cli->verb = *verb;
	}
	if (cli->verb)
		return 0;
	const char *nearest = name_nearest(word, names, count);
	return err_set(err, E_INVALID, "%s: no such verb%s%s%s; see `freehold help`", word,
	               nearest ? "; did you mean " : "", nearest ? nearest : "",
	               nearest ? "?" : "");
}

static int read_format(struct cli *cli, struct err *err)
{
	const char *text = cli_option(cli, "output");
	if (!text || strcmp(text, "table") == 0)
		cli->format = FORMAT_TABLE;
	else if (strcmp(text, "json") == 0)
		cli->format = FORMAT_JSON;
	else if (strcmp(text, "yaml") == 0)
		cli->format = FORMAT_YAML;
	else
		return err_set(err, E_INVALID, "--output: must be table, json or yaml, not %s",
		               text);
	return 0;
}

int cli_parse(struct cli *cli, int argc, char **argv, struct err *err)
{
	TRY(find_verb(cli, argv[1], err));
	bool only_words = false;
	for (int i = 2; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			TRY(take_option(cli, argc, argv, &i, err));
		} else if (cli->word_count == WORDS_MAX) {
			return err_set(err, E_INVALID, "more than %d words", WORDS_MAX);
		} else {
			cli->words[cli->word_count++] = argv[i];
		}
	}
	if (cli_switch(cli, "help"))
		return 0;
	TRY(read_format(cli, err));
	const struct verb *verb = cli->verb;
	if (cli->word_count < verb->words_min || cli->word_count > verb->words_max)
		return err_set(err, E_INVALID, "usage: freehold %s%s%s", verb->name,
		               *verb->words ? " " : "", verb->words);
	return 0;
}

const char *cli_option(const struct cli *cli, const char *name)
{
	for (int i = cli->option_count; i-- > 0;)
		if (strcmp(cli->options[i].name, name) == 0)
			return cli->options[i].value;
	return NULL;
}

bool cli_switch(const struct cli *cli, const char *name)
{
	return cli_option(cli, name) != NULL;
}

const char *cli_word(const struct cli *cli, int i)
{
	return i < cli->word_count ? cli->words[i] : NULL;
}

static int named(const struct cli *cli, const char *option, const char *fallback,
                 const char **ret_name, struct err *err)
{
	const char *name = cli_option(cli, option);
	if (!name)
		name = fallback;
	if (!name)
		return err_set(err, E_INVALID,
		               "which %s? give --%s NAME, or log in with one: "
		               "freehold login --%s NAME ...",
		               option, option, option);
	TRY(name_check(option, name, err));
	*ret_name = name;
	return 0;
}

int cli_tenant(const struct cli *cli, const char **ret_tenant, struct err *err)
{
	return named(cli, "tenant", cli->tenant, ret_tenant, err);
}

int cli_domain(const struct cli *cli, const char **ret_domain, struct err *err)
{
	return named(cli, "domain", cli->domain, ret_domain, err);
}

static int refuse_action(const struct cli *cli, const char *word, const char *const *actions,
                         struct err *err)
{
	const char *all = "";
	size_t count = 0;
	for (; actions[count]; count++) {
		const char *join = !count ? "" : actions[count + 1] ? ", " : " or ";
		all = arena_printf(cli->arena, "%s%s%s", all ? all : "", join, actions[count]);
	}
	const char *near = name_nearest(word, actions, count);
	return err_set(err, E_INVALID, "%s: must be %s%s%s%s", word, all ? all : "",
	               near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

int cli_action(const struct cli *cli, const char *const *actions, const char *what,
               struct err *err)
{
	const char *word = cli_word(cli, 0), *verb = cli->verb->name;
	bool known = false;
	for (size_t i = 0; actions[i]; i++)
		known = known || strcmp(actions[i], word) == 0;
	if (!known)
		return refuse_action(cli, word, actions, err);
	if (!cli_word(cli, 1))
		return err_set(err, E_INVALID, "%s: which %s? freehold %s %s NAME; `freehold %ss` "
		               "lists them", word, what, verb, word, what);
	return name_check("NAME", cli_word(cli, 1), err);
}

int cli_time(const struct cli *cli, const char *name, const char **ret_time, struct err *err)
{
	const char *text = cli_option(cli, name), *made = text;
	char out[TIME_TEXT_MAX];
	int64_t ms = 0;
	bool day = text && strlen(text) == 10 && strspn(text, "0123456789-") == 10;
	if (day)
		made = arena_printf(cli->arena, "%sT00:00:00Z", text);
	if (text && duration_parse(text, &ms, NULL) == 0) {
		time_print_ms(clock_unix_ms(clock_system()) - ms, out);
		made = arena_strdup(cli->arena, out);
	}
	if (text && !made)
		return err_set(err, E_NOMEM, "no memory for a time");
	if (made && time_parse(made, &ms, NULL) < 0)
		return err_set(err, E_INVALID, "--%s: must be a time as in 2026-01-31T08:00:00Z, a "
		               "day as in 2026-01-31, or how long ago, as in 2h; not %s", name,
		               text);
	*ret_time = made;
	return 0;
}

int cli_exit_code(const struct err *err)
{
	switch (err->code) {
	case E_NOT_FOUND:
		return EXIT_NOT_FOUND;
	case E_DENIED:
	case E_EXPIRED:
	case E_UNAUTHENTICATED:
		return EXIT_DENIED;
	case E_CONFLICT:
	case E_PRECONDITION:
		return EXIT_CONFLICT;
	case E_QUOTA:
	case E_BUSY:
		return EXIT_QUOTA;
	case E_UNAVAILABLE:
	case E_UNKNOWN_OUTCOME:
	case E_NOT_LEADER:
	case E_TIMEOUT:
		return EXIT_UNAVAILABLE;
	default:
		return EXIT_FAILED;
	}
}

static void help_overview(void)
{
	printf("freehold %s - the multi-tenant data platform for AI\n\n", FREEHOLD_VERSION);
	printf("usage: freehold VERB [words] [options]\n\n");
	for (const struct verb *const *verb = verbs; *verb; verb++)
		printf("  %-11s %s\n", (*verb)->name, (*verb)->summary);
	printf("\n`freehold VERB --help` tells more.\n"
	       "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 5 conflict,\n"
	       "  6 quota or queue full (try later), 7 not reachable, 10 the task failed.\n");
}

static void help_options(const char *title, const struct option_row *row)
{
	if (row && row->name)
		printf("\n%s\n", title);
	for (; row && row->name; row++) {
		char left[64];
		snprintf(left, sizeof left, "--%s%s%s", row->name, row->arg ? " " : "",
		         row->arg ? row->arg : "");
		printf("  %-28s %s\n", left, row->doc);
	}
}

void cli_help(const struct verb *verb)
{
	if (!verb) {
		help_overview();
		return;
	}
	printf("freehold %s%s%s\n\n%s\n", verb->name, *verb->words ? " " : "", verb->words,
	       verb->summary);
	help_options("options:", verb->options);
	help_options("common options:", common_options);
	if (verb->example)
		printf("\nexample:\n  %s\n", verb->example);
}
