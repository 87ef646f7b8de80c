/* conf.c - one table, two sources. */
#include "common/defs.h"
#include "control/conf.h"

#include "common/text.h"

#include <stdlib.h>
#include <string.h>

enum setting_kind { SETTING_TEXT, SETTING_INT, SETTING_BOOL };

struct setting {
	enum setting_kind kind;
	size_t offset;               /* in struct conf */
	const char *flag, *env, *fallback, *doc;
};

static const struct setting settings[] = {
#define SETTING(kind, name, flag, env, fallback, doc) \
	{ SETTING_##kind, offsetof(struct conf, name), flag, env, fallback, doc },
#include "control/conf.def"
#undef SETTING
};

static int set_int(const struct setting *setting, const char *text, int *out, struct err *err)
{
	char *end = NULL;
	long number = strtol(text, &end, 10);
	if (!*text || *end || number < 0 || number > 1000000)
		return err_set(err, E_INVALID, "--%s is a whole number from 0 to 1000000",
		               setting->flag);
	*out = (int)number;
	return 0;
}

static int set_bool(const struct setting *setting, const char *text, bool *out, struct err *err)
{
	bool yes = strcmp(text, "true") == 0;
	if (!yes && strcmp(text, "false") != 0)
		return err_set(err, E_INVALID, "--%s is true or false", setting->flag);
	*out = yes;
	return 0;
}

static int set(struct conf *conf, const struct setting *setting, const char *text, struct err *err)
{
	void *at = (char *)conf + setting->offset;
	switch (setting->kind) {
	case SETTING_TEXT:
		*(const char **)at = *text ? text : NULL;
		return 0;
	case SETTING_INT:
		return set_int(setting, text, at, err);
	case SETTING_BOOL:
		return set_bool(setting, text, at, err);
	}
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

static int read_flags(int argc, char *const *argv, struct conf *conf, struct err *err)
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

int conf_read(int argc, char *const *argv, struct conf *ret_conf, struct err *err)
{
	struct conf conf = { .help = false };
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		const char *env = getenv(settings[i].env);
		TRY(set(&conf, &settings[i], env ? env : settings[i].fallback, err));
	}
	TRY(read_flags(argc, argv, &conf, err));
	*ret_conf = conf;
	return 0;
}

void conf_help(struct buf *out)
{
	buf_puts(out, "freehold-control: the control plane of Freehold\n\n");
	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		buf_printf(out, "  --%s VALUE\n        %s%s%s\n        (%s)\n", settings[i].flag,
		           settings[i].doc, *settings[i].fallback ? "; default " : "",
		           settings[i].fallback, settings[i].env);
	buf_puts(out, "  --version, --help\n");
}

int conf_log_level(const struct conf *conf, enum log_level *ret_level, struct err *err)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	for (size_t i = 0; conf->log_level && i < ARRAY_LEN(names); i++)
		if (strcmp(conf->log_level, names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return err_set(err, E_INVALID, "--log-level is debug, info, warn or error");
}
