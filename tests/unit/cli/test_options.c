/* Options, words and help of the command line, from the verbs' own tables. */
#include "common/defs.h"
#include "api/cli/cli.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

static struct cli cli;
static struct arena *arena;

static void setup(void)
{
	cr_assert_eq(arena_new(MIB, &arena, NULL), 0);
	cli = (struct cli) { .arena = arena };
}
static void teardown(void)
{
	arena_free(arena);
}
TestSuite(options, .init = setup, .fini = teardown);

enum { LINE_WORDS = 40 };

/* Parses "get datasets -o json" anew. */
static int parse(const char *line, struct err *err)
{
	char *argv[LINE_WORDS + 1] = { (char *)"freehold" };
	int argc = 1;
	char *rest = arena_strdup(arena, line);
	for (char *word; (word = strsep(&rest, " ")) && argc < LINE_WORDS;)
		argv[argc++] = word;
	cli = (struct cli) { .arena = arena };
	return cli_parse(&cli, argc, argv, err);
}

static void take(const char *line)
{
	struct err err = { 0 };
	cr_assert_eq(parse(line, &err), 0, "%s: %s", line, err.text);
}

static void refuse(const char *line, const char *text)
{
	struct err err = { 0 };
	cr_expect_eq(parse(line, &err), E_INVALID, "%s", line);
	cr_expect_not_null(strstr(err.text, text), "\"%s\" is not in: %s", text, err.text);
}

Test(options, every_verb_is_found_by_its_name)
{
	size_t count = 0;
	for (const struct verb *const *verb = verbs; *verb; verb++, count++) {
		char line[64];
		snprintf(line, sizeof line, "%s --help", (*verb)->name);
		take(line);
		cr_expect_eq(cli.verb, *verb);
		cr_expect_not_null((*verb)->run, "%s", (*verb)->name);
		cr_expect_not_null((*verb)->words, "%s", (*verb)->name);
		cr_expect_not_null((*verb)->summary, "%s", (*verb)->name);
		cr_expect((*verb)->words_min <= (*verb)->words_max, "%s", (*verb)->name);
		cr_expect((*verb)->words_max <= WORDS_MAX, "%s", (*verb)->name);
	}
	cr_expect_geq(count, 10);
}

Test(options, no_option_of_a_verb_hides_a_common_one)
{
	for (const struct verb *const *verb = verbs; *verb; verb++)
		for (const struct option_row *own = (*verb)->options; own && own->name; own++)
			for (const struct option_row *row = common_options; row->name; row++)
				cr_expect_str_neq(own->name, row->name, "%s", (*verb)->name);
}

Test(options, words_and_options_may_be_mixed)
{
	take("get --tenant acme datasets -d sales flights -o json");
	cr_expect_eq(cli.word_count, 2);
	cr_expect_str_eq(cli_word(&cli, 0), "datasets");
	cr_expect_str_eq(cli_word(&cli, 1), "flights");
	cr_expect_null(cli_word(&cli, 2));
	cr_expect_str_eq(cli_option(&cli, "tenant"), "acme");
	cr_expect_str_eq(cli_option(&cli, "domain"), "sales");
	cr_expect_eq(cli.format, FORMAT_JSON);
	cr_expect_null(cli_option(&cli, "profile"));
}

Test(options, a_value_is_given_behind_a_blank_or_an_equals_sign)
{
	take("get datasets --output=yaml --tenant=a=b");
	cr_expect_eq(cli.format, FORMAT_YAML);
	cr_expect_str_eq(cli_option(&cli, "tenant"), "a=b");
	take("get datasets --tenant=");
	cr_expect_str_eq(cli_option(&cli, "tenant"), "");
	take("get datasets");
	cr_expect_eq(cli.format, FORMAT_TABLE);
}

Test(options, the_last_of_two_counts)
{
	take("get datasets -o json -o yaml");
	cr_expect_eq(cli.format, FORMAT_YAML);
}

Test(options, two_hyphens_end_the_options_and_one_is_a_word)
{
	take("get -- -o --help");
	cr_expect_eq(cli.word_count, 2);
	cr_expect_str_eq(cli_word(&cli, 0), "-o");
	cr_expect_not(cli_switch(&cli, "help"));
	take("get -");
	cr_expect_str_eq(cli_word(&cli, 0), "-");
	take("apply -f -");
	cr_expect_str_eq(cli_option(&cli, "file"), "-");
}

Test(options, unknown_verbs_are_refused_with_the_nearest)
{
	refuse("aply", "aply: no such verb; did you mean apply?");
	refuse("zzzzzzzzz", "zzzzzzzzz: no such verb; see `freehold help`");
	refuse("", "no such verb");
}

Test(options, unknown_options_are_refused_with_the_nearest)
{
	refuse("get datasets --tenent acme",
	       "--tenent: no such option of `freehold get`; did you mean --tenant?");
	refuse("get datasets --outputt=json", "--outputt: no such option of `freehold get`; did "
	       "you mean --output?");
	refuse("get datasets -x", "-x: no such option");
	refuse("get datasets --o json", "--o: no such option");
	refuse("get datasets --=x", "no such option");
}

Test(options, an_option_that_needs_a_value_says_so)
{
	refuse("get datasets --output", "--output: needs table|json|yaml");
	refuse("get datasets -t", "--tenant: needs NAME");
}

Test(options, formats_are_three)
{
	refuse("get datasets -o xml", "--output: must be table, json or yaml, not xml");
	refuse("get datasets -o JSON", "must be table, json or yaml");
}

Test(options, too_few_and_too_many_words_tell_the_usage)
{
	refuse("get", "usage: freehold get");
	refuse("version now", "usage: freehold version");
	refuse("get a a a a a a a a a a a a a a a a a", "more than 16 words");
}

Test(options, too_many_options_are_refused)
{
	char line[256] = "get datasets";
	for (int i = 0; i < OPTIONS_MAX; i++)
		strcat(line, " -h");
	take(line);
	strcat(line, " -h");
	refuse(line, "more than 32 options");
}

Test(options, help_asks_for_no_words)
{
	take("get -h");
	cr_expect(cli_switch(&cli, "help"));
}

Test(options, a_tenant_comes_from_the_option_or_the_login)
{
	const char *tenant = NULL, *domain = NULL;
	struct err err = { 0 };
	take("get datasets");
	cr_expect_eq(cli_tenant(&cli, &tenant, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "--tenant NAME"), "%s", err.text);
	cr_expect_eq(cli_domain(&cli, &domain, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "--domain NAME"), "%s", err.text);
	cli.tenant = "acme";
	cli.domain = "sales";
	cr_expect_eq(cli_tenant(&cli, &tenant, NULL), 0);
	cr_expect_str_eq(tenant, "acme");
	cr_expect_eq(cli_domain(&cli, &domain, NULL), 0);
	cr_expect_str_eq(domain, "sales");
	take("get datasets -t globex");
	cli.tenant = "acme";
	cr_expect_eq(cli_tenant(&cli, &tenant, NULL), 0);
	cr_expect_str_eq(tenant, "globex");
	take("get datasets -t ../acme");
	cr_expect_eq(cli_tenant(&cli, &tenant, &err), E_INVALID);
	cr_expect_str_eq(tenant, "globex", "untouched by a failure");
}

Test(options, exit_codes_are_those_that_help_lists)
{
	static const struct {
		int code, exit;
	} rows[] = {
		{ E_NOT_FOUND, 3 }, { E_DENIED, 4 }, { E_UNAUTHENTICATED, 4 }, { E_EXPIRED, 4 },
		{ E_CONFLICT, 5 }, { E_PRECONDITION, 5 }, { E_QUOTA, 6 }, { E_BUSY, 6 },
		{ E_UNAVAILABLE, 7 }, { E_TIMEOUT, 7 }, { E_NOT_LEADER, 7 },
		{ E_UNKNOWN_OUTCOME, 7 }, { E_INVALID, 1 }, { E_INTERNAL, 1 }, { E_IO, 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = { .code = rows[i].code };
		cr_expect_eq(cli_exit_code(&err), rows[i].exit, "%s", err_name(rows[i].code));
	}
}

static void read_out(char *out, size_t len)
{
	FILE *file = cr_get_redirected_stdout();
	fflush(stdout);
	size_t got = fread(out, 1, len - 1, file);
	out[got] = 0;
}

Test(options, the_overview_lists_every_verb_and_the_exit_codes)
{
	static char out[65536];
	cr_redirect_stdout();
	cli_help(NULL);
	read_out(out, sizeof out);
	for (const struct verb *const *verb = verbs; *verb; verb++)
		cr_expect_not_null(strstr(out, (*verb)->summary), "%s", (*verb)->name);
	cr_expect_not_null(strstr(out, "3 not found, 4 denied, 5 conflict"), "%s", out);
	cr_expect_not_null(strstr(out, "10 the task failed"), "%s", out);
}

Test(options, help_of_a_verb_lists_its_options_and_an_example)
{
	static char out[65536];
	cr_redirect_stdout();
	take("apply --help");
	cli_help(cli.verb);
	read_out(out, sizeof out);
	for (const struct option_row *row = cli.verb->options; row->name; row++)
		cr_expect_not_null(strstr(out, row->doc), "%s", row->name);
	cr_expect_not_null(strstr(out, "--output table|json|yaml"), "%s", out);
	cr_expect_not_null(strstr(out, cli.verb->example), "%s", out);
}

static int act(const char *line, struct err *err)
{
	static const char *const actions[] = { "list", "cordon", "drain", NULL };
	TRY(parse(line, err));
	return cli_action(&cli, actions, "worker", err);
}

Test(options, an_action_that_is_none_names_those_there_are_and_the_nearest)
{
	struct err err = { 0 };
	cr_expect_eq(act("workers drian w", &err), E_INVALID);
	cr_expect_str_eq(err.text, "drian: must be list, cordon or drain; did you mean drain?");
	cr_expect_eq(act("workers drain", &err), E_INVALID);
	cr_expect_str_eq(err.text, "drain: which worker? freehold workers drain NAME; "
	                 "`freehold workers` lists them");
	cr_expect_eq(act("workers drain w", &err), 0);
}

static const char *since(const char *value, struct err *err)
{
	const char *time = NULL;
	const char *line = arena_printf(arena, "tasks --since %s", value);
	cr_assert_eq(parse(line, err), 0, "%s", err->text);
	return cli_time(&cli, "since", &time, err) == 0 ? time : NULL;
}

Test(options, a_time_is_a_time_or_a_day_or_how_long_ago)
{
	struct err err = { 0 };
	cr_expect_str_eq(since("2026-01-31T08:00:00Z", &err), "2026-01-31T08:00:00Z");
	cr_expect_str_eq(since("2026-01-31", &err), "2026-01-31T00:00:00Z");
	const char *ago = since("2h", &err);
	cr_assert_not_null(ago, "%s", err.text);
	cr_expect_eq(ago[10], 'T', "%s", ago);
	cr_expect_null(since("yesterday", &err));
	cr_expect_not_null(strstr(err.text, "--since: must be a time as in "), "%s", err.text);
	cr_expect_not_null(strstr(err.text, "not yesterday"), "%s", err.text);
	cr_expect_null(since("2026-13-31", &err));
}
