/* Settings: a flag wins over the environment, that over the default; what is wrong is named. */
#include "common/defs.h"
#include "worker/worker_conf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct worker_conf conf;

/* Nothing of this machine's, whatever runs the tests. */
static void setup(void)
{
#define SETTING(kind, name, flag, env, fallback, doc) unsetenv(env);
#include "worker/conf.def"
#undef SETTING
	memset(&conf, 0xff, sizeof conf);
}
TestSuite(worker_conf, .init = setup);

static int read_args(struct err *err, const char *a, const char *b, const char *c, const char *d)
{
	char *argv[] = {
		(char *)"freehold-worker", (char *)a, (char *)b, (char *)c, (char *)d, NULL
	};
	int argc = 1;
	while (argv[argc])
		argc++;
	return worker_conf_read(argc, argv, &conf, err);
}

static void refuse(const char *text, const char *a, const char *b)
{
	struct worker_conf before = conf;
	struct err err = { 0 };
	cr_expect_eq(read_args(&err, a, b, NULL, NULL), E_INVALID, "%s", a);
	cr_expect_not_null(strstr(err.text, text), "\"%s\" is not in: %s", text, err.text);
	cr_expect_arr_eq(&conf, &before, sizeof conf, "%s: the output was touched", a);
}

Test(worker_conf, defaults_start_a_worker_on_this_machine)
{
	struct err err = { 0 };
	cr_assert_eq(read_args(&err, NULL, NULL, NULL, NULL), 0, "%s", err.text);
	cr_expect_str_eq(conf.name, "worker-1");
	cr_expect_str_eq(conf.listen, "127.0.0.1:7072");
	cr_expect_eq(conf.slots, 0);
	cr_expect_str_eq(conf.pool, "default");
	cr_expect_eq(conf.memory_mib, 0);
	cr_expect(!conf.help && !conf.version);
}

Test(worker_conf, empty_text_is_none)
{
	cr_assert_eq(read_args(NULL, NULL, NULL, NULL, NULL), 0);
	cr_expect_null(conf.files);
	setenv("FREEHOLD_FILES", "/data", 1);
	cr_assert_eq(read_args(NULL, NULL, NULL, NULL, NULL), 0);
	cr_expect_str_eq(conf.files, "/data");
	cr_assert_eq(read_args(NULL, "--files", "", NULL, NULL), 0);
	cr_expect_null(conf.files);
}

Test(worker_conf, a_flag_wins_over_the_environment_and_that_over_the_default)
{
	setenv("FREEHOLD_WORKER_NAME", "from-env", 1);
	setenv("FREEHOLD_SLOTS", "7", 1);
	cr_assert_eq(read_args(NULL, "--name", "from-flag", NULL, NULL), 0);
	cr_expect_str_eq(conf.name, "from-flag");
	cr_expect_eq(conf.slots, 7);
	cr_assert_eq(read_args(NULL, "--slots", "1", "--slots", "3"), 0);
	cr_expect_eq(conf.slots, 3, "the last one given counts");
	cr_expect_str_eq(conf.name, "from-env");
}

Test(worker_conf, every_setting_is_read_from_its_flag_and_its_variable)
{
#define SAME_TEXT(name) cr_expect_str_eq(conf.name, "word-1")
#define SAME_INT(name) cr_expect_eq(conf.name, 41)
#define VALUE_TEXT "word-1"
#define VALUE_INT "41"
#define SETTING(kind, name, flag, env, fallback, doc) \
	cr_assert_eq(read_args(NULL, "--" flag, VALUE_##kind, NULL, NULL), 0, flag); \
	SAME_##kind(name); \
	setenv(env, VALUE_##kind, 1); \
	cr_assert_eq(read_args(NULL, NULL, NULL, NULL, NULL), 0, env); \
	SAME_##kind(name); \
	unsetenv(env);
#include "worker/conf.def"
#undef SETTING
}

Test(worker_conf, refuses_what_is_no_whole_number_naming_the_flag)
{
	cr_assert_eq(read_args(NULL, NULL, NULL, NULL, NULL), 0);
	refuse("--slots is a whole number from 0 to 1073741824", "--slots", "many");
	refuse("--slots", "--slots", "");
	refuse("--slots", "--slots", "-1");
	refuse("--slots", "--slots", "1.5");
	refuse("--slots", "--slots", "1073741825");
	refuse("--slots", "--slots", "99999999999999999999");
	setenv("FREEHOLD_SLOTS", "2 ", 1);
	refuse("--slots", NULL, NULL);
}

Test(worker_conf, refuses_unknown_flags_with_the_nearest_one)
{
	cr_assert_eq(read_args(NULL, NULL, NULL, NULL, NULL), 0);
	refuse("there is no setting --slot; did you mean --slots", "--slot", "2");
	refuse("there is no setting --qqqqqqqq; --help", "--qqqqqqqq", "2");
	refuse("there is no setting slots", "slots", "2");
	refuse("--slots needs a value", "--slots", NULL);
}

Test(worker_conf, refuses_to_go_without_what_a_worker_needs)
{
	cr_assert_eq(read_args(NULL, NULL, NULL, NULL, NULL), 0);
	refuse("--signing-public-file", "--signing-public-file", "");
	refuse("--name", "--name", "No Name");
}

Test(worker_conf, help_and_version_need_nothing_else)
{
	cr_assert_eq(read_args(NULL, "--name", "", "--help", NULL), 0);
	cr_expect(conf.help && !conf.version);
	cr_assert_eq(read_args(NULL, "--version", "--nonsense", NULL, NULL), 0);
	cr_expect(conf.version && !conf.help);
}

Test(worker_conf, help_lists_every_setting_with_its_default_and_variable)
{
	AUTO_BUF out;
	buf_init(&out, MIB);
	worker_conf_help(&out);
	cr_assert_eq(buf_check(&out, NULL), 0);
	const char *text = (const char *)out.data;
#define SETTING(kind, name, flag, env, fallback, doc) \
	cr_expect_not_null(strstr(text, "--" flag " VALUE"), flag); \
	cr_expect_not_null(strstr(text, "(" env ")"), env);
#include "worker/conf.def"
#undef SETTING
	cr_expect_not_null(strstr(text, "; default 127.0.0.1:7072"));
}

Test(worker_conf, the_log_level_is_one_of_four_words)
{
	static const struct {
		const char *word;
		enum log_level level;
	} rows[] = {
		{ "debug", LOG_DEBUG }, { "info", LOG_INFO }, { "warn", LOG_WARN },
		{ "error", LOG_ERROR },
	};
	enum log_level level = LOG_INFO;
	struct err err = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		conf.log_level = rows[i].word;
		cr_assert_eq(worker_conf_log_level(&conf, &level, NULL), 0, "%s", rows[i].word);
		cr_expect_eq(level, rows[i].level, "%s", rows[i].word);
	}
	conf.log_level = "loud";
	cr_expect_eq(worker_conf_log_level(&conf, &level, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "--log-level"), "%s", err.text);
	conf.log_level = NULL;
	cr_expect_eq(worker_conf_log_level(&conf, &level, NULL), E_INVALID);
	cr_expect_eq(level, LOG_ERROR, "untouched by a failure");
}

Test(worker_conf, labels_are_cut_at_commas_and_at_the_first_equals_sign)
{
	struct worker_labels labels;
	struct err err = { 0 };
	cr_assert_eq(read_args(&err, "--label", "zone=a,disk=nvme=2, gpu=", NULL, NULL), 0, "%s",
	             err.text);
	cr_assert_eq(worker_conf_labels(&conf, &labels, &err), 0, "%s", err.text);
	cr_assert_eq(labels.count, 3);
	cr_expect_str_eq(labels.labels[0].key, "zone");
	cr_expect_str_eq(labels.labels[0].value, "a");
	cr_expect_str_eq(labels.labels[1].value, "nvme=2");
	cr_expect_str_eq(labels.labels[2].key, "gpu");
	cr_expect_str_eq(labels.labels[2].value, "");
}

Test(worker_conf, a_label_a_pool_or_a_number_that_cannot_be_is_refused)
{
	static const char *const wrong[][2] = {
		{ "zone", "must be KEY=VALUE" }, { "=a", "must be KEY=VALUE" },
		{ "zone=a,zone=b", "zone is said twice" },
		{ "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1",
		  "at most 16 labels" },
	};
	cr_assert_eq(read_args(NULL, NULL, NULL, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct worker_labels labels;
		struct err err = { 0 };
		conf.label = wrong[i][0];
		cr_expect_eq(worker_conf_labels(&conf, &labels, &err), E_INVALID);
		cr_expect_not_null(strstr(err.text, wrong[i][1]), "%s", err.text);
	}
	refuse("--pool", "--pool", "No Pool");
	refuse("--slots is from 0 to 256, not 257", "--slots", "257");
	refuse("--cpus is from 0 to 4096, not 5000", "--cpus", "5000");
}
