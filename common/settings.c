/* settings.c - see settings.h. */
#include "common/defs.h"
#include "common/settings.h"

#include "common/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int set_int(const struct setting *setting, const char *text, int *out, struct err *err)
{
	char *end = NULL;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (!*text || *end || errno || number < 0 || number > SETTING_INT_MAX)
		return err_set(err, E_INVALID, "--%s is a whole number from 0 to %d", setting->flag,
		               SETTING_INT_MAX);
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

static int set(void *conf, const struct setting *setting, const char *text, struct err *err)
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

static const struct setting *find(const struct settings *settings, const char *flag)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strncmp(flag, "--", 2) == 0 && strcmp(settings->rows[i].flag, flag + 2) == 0)
			return &settings->rows[i];
	return NULL;
}

static int unknown(const struct settings *settings, const char *flag, struct err *err)
{
	const char *flags[SETTINGS_MAX];
	for (size_t i = 0; i < settings->count; i++)
		flags[i] = settings->rows[i].flag;
	const char *near = name_nearest(flag + strspn(flag, "-"), flags, settings->count);
	return err_set(err, E_INVALID, "there is no setting %.60s%s%s; --help lists them", flag,
	               near ? "; did you mean --" : "", near ? near : "");
}

static int read_flags(const struct settings *settings, int argc, char *const *argv, void *conf,
                      struct err *err)
{
	for (int i = 1; i < argc; i++) {
		const struct setting *setting = find(settings, argv[i]);
		if (!setting)
			return unknown(settings, argv[i], err);
		if (i + 1 == argc)
			return err_set(err, E_INVALID, "%s needs a value", argv[i]);
		TRY(set(conf, setting, argv[++i], err));
	}
	return 0;
}

int settings_read(const struct settings *settings, int argc, char *const *argv, void *conf,
                  struct settings_asked *ret_asked, struct err *err)
{
	struct settings_asked asked = { false, false };
	REQUIRE(settings->count <= SETTINGS_MAX);
	for (int i = 1; i < argc; i++) {
		asked.help |= strcmp(argv[i], "--help") == 0;
		asked.version |= strcmp(argv[i], "--version") == 0;
	}
	*ret_asked = asked;
	if (asked.help || asked.version)
		return 0;
	for (size_t i = 0; i < settings->count; i++) {
		const char *env = getenv(settings->rows[i].env);
		TRY(set(conf, &settings->rows[i], env ? env : settings->rows[i].fallback, err));
	}
	return read_flags(settings, argc, argv, conf, err);
}

void settings_help(const struct settings *settings, struct buf *out)
{
	buf_printf(out, "%s\n\n", settings->about);
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = &settings->rows[i];
		buf_printf(out, "  --%s VALUE\n        %s%s%s\n        (%s)\n", row->flag, row->doc,
		           *row->fallback ? "; default " : "", row->fallback, row->env);
	}
	buf_puts(out, "  --version, --help\n");
}

int settings_log_level(const char *text, enum log_level *ret_level, struct err *err)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	for (size_t i = 0; text && i < ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return err_set(err, E_INVALID, "--log-level is debug, info, warn or error");
}
