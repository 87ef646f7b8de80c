/* Settings out of a table: flag over environment over default; a wrong one is named. */
#include "common/defs.h"
#include "common/settings.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct sample { const char *name; int count; bool loud; };

static const struct setting rows[] = {
	{ SETTING_TEXT, offsetof(struct sample, name), "name", "SAMPLE_NAME", "nobody", "who" },
	{ SETTING_INT, offsetof(struct sample, count), "count", "SAMPLE_COUNT", "3", "how many" },
	{ SETTING_BOOL, offsetof(struct sample, loud), "loud", "SAMPLE_LOUD", "false", "how" },
};
static const struct settings settings = { rows, ARRAY_LEN(rows), "sample: a test" };

static int read_with(const char *a, const char *b, struct sample *sample, struct err *err)
{
	char *argv[] = { (char *)"sample", (char *)a, (char *)b, NULL };
	struct settings_asked asked;
	*sample = (struct sample){ .name = NULL };
	return settings_read(&settings, b ? 3 : a ? 2 : 1, argv, sample, &asked, err);
}

Test(settings, a_flag_wins_over_the_environment_and_that_over_the_default)
{
	struct sample sample;
	cr_assert_eq(read_with(NULL, NULL, &sample, NULL), 0);
	cr_expect_str_eq(sample.name, "nobody");
	cr_expect_eq(sample.count, 3);
	cr_expect(!sample.loud);
	setenv("SAMPLE_COUNT", "4", 1);
	setenv("SAMPLE_LOUD", "true", 1);
	cr_assert_eq(read_with("--count", "5", &sample, NULL), 0);
	cr_expect_eq(sample.count, 5);
	cr_expect(sample.loud);
	cr_assert_eq(read_with("--name", "", &sample, NULL), 0);
	cr_expect_null(sample.name);
	cr_expect_eq(sample.count, 4);
}

static void refused(const char *a, const char *b, const char *says)
{
	struct sample sample;
	struct err err = { 0 };
	cr_expect_eq(read_with(a, b, &sample, &err), E_INVALID, "%s", a);
	cr_expect(strstr(err.text, says), "%s", err.text);
}

Test(settings, refuses_what_it_cannot_read_and_names_it)
{
	refused("--count", "many", "--count is a whole number");
	refused("--count", "-1", "--count is a whole number");
	refused("--count", "1073741825", "to 1073741824");
	refused("--loud", "yes", "--loud is true or false");
	refused("--cuont", "1", "did you mean --count");
	refused("--name", NULL, "needs a value");
}

Test(settings, help_is_there_whatever_else_is_wrong)
{
	struct sample sample;
	struct settings_asked asked;
	char *argv[] = { (char *)"sample", (char *)"--nonsense", (char *)"--help", NULL };
	setenv("SAMPLE_COUNT", "many", 1);
	cr_assert_eq(settings_read(&settings, 3, argv, &sample, &asked, NULL), 0);
	cr_expect(asked.help);
	AUTO_BUF out;
	buf_init(&out, 4096);
	settings_help(&settings, &out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect(strstr((char *)out.data, rows[i].env), "%s", rows[i].env);
}

Test(settings, knows_four_levels_of_logging)
{
	enum log_level level;
	cr_expect_eq(settings_log_level("warn", &level, NULL), 0);
	cr_expect_eq(level, LOG_WARN);
	cr_expect_eq(settings_log_level("loud", &level, NULL), E_INVALID);
	cr_expect_eq(settings_log_level(NULL, &level, NULL), E_INVALID);
}
