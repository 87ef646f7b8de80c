/* worker_conf.c - one table, two sources. */
#include "common/defs.h"
#include "worker/worker_conf.h"

#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 1 << 30 };
enum setting_kind { SETTING_TEXT, SETTING_INT };

struct setting {
	enum setting_kind kind;
	size_t offset;               /* in struct worker_conf */
	const char *flag, *env, *fallback, *doc;
};

static const struct setting settings[] = {
#define SETTING(kind, name, flag, env, fallback, doc) \
	{ SETTING_##kind, offsetof(struct worker_conf, name), flag, env, fallback, doc },
#include "worker/conf.def"
#undef SETTING
};

static int set(struct worker_conf *conf, const struct setting *setting, const char *text,
               struct err *err)
{
	void *at = (char *)conf + setting->offset;
	if (setting->kind == SETTING_TEXT) {
		*(const char **)at = *text ? text : NULL;
		return 0;
	}
	char *end = NULL;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (!*text || *end || errno || number < 0 || number > NUMBER_MAX)
		return err_set(err, E_INVALID, "--%s is a whole number from 0 to %d", setting->flag,
		               NUMBER_MAX);
	*(int *)at = (int)number;
	return 0;
}

static const struct setting *find(const char *flag)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (strncmp(flag, "--", 2) == 0 && strcmp(settings[i].flag, flag + 2) == 0)
			return &settings[i];
	return NULL;
}

static int unknown(const char *flag, struct err *err)
{
	const char *flags[ARRAY_LEN(settings)];
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		flags[i] = settings[i].flag;
	const char *near = name_nearest(flag + strspn(flag, "-"), flags, ARRAY_LEN(settings));
	return err_set(err, E_INVALID, "there is no setting %.60s%s%s; --help lists them", flag,
	               near ? "; did you mean --" : "", near ? near : "");
}

static int read_flags(int argc, char *const *argv, struct worker_conf *conf, struct err *err)
{
	for (int i = 1; i < argc; i++) {
		conf->help |= strcmp(argv[i], "--help") == 0;
		conf->version |= strcmp(argv[i], "--version") == 0;
		if (conf->help || conf->version)
			return 0;
		const struct setting *setting = find(argv[i]);
		if (!setting)
			return unknown(argv[i], err);
		if (i + 1 == argc)
			return err_set(err, E_INVALID, "%s needs a value", argv[i]);
		TRY(set(conf, setting, argv[++i], err));
	}
	return 0;
}

static int check(const struct worker_conf *conf, struct err *err)
{
	if (!conf->name || !conf->control || !conf->objects || !conf->online || !conf->listen ||
	    !conf->signing_public_file)
		return err_set(err, E_INVALID, "--name, --control, --objects, --online, --listen "
		               "and --signing-public-file need a value");
	return name_check("--name", conf->name, err);
}

int worker_conf_read(int argc, char *const *argv, struct worker_conf *ret_conf, struct err *err)
{
	struct worker_conf conf = { .help = false };
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const char *env = getenv(settings[i].env);
		TRY(set(&conf, &settings[i], env ? env : settings[i].fallback, err));
	}
	TRY(read_flags(argc, argv, &conf, err));
	if (!conf.help && !conf.version)
		TRY(check(&conf, err));
	*ret_conf = conf;
	return 0;
}

void worker_conf_help(struct buf *out)
{
	buf_puts(out, "freehold-worker: runs tasks and answers online reads\n\n");
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		buf_printf(out, "  --%s VALUE\n        %s%s%s\n        (%s)\n", settings[i].flag,
		           settings[i].doc, *settings[i].fallback ? "; default " : "",
		           settings[i].fallback, settings[i].env);
	buf_puts(out, "  --version, --help\n");
}

int worker_conf_log_level(const struct worker_conf *conf, enum log_level *ret_level,
                          struct err *err)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	for (size_t i = 0; conf->log_level && i < ARRAY_LEN(names); i++)
		if (strcmp(conf->log_level, names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return err_set(err, E_INVALID, "--log-level is debug, info, warn or error");
}
