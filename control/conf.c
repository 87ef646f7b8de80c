/* conf.c - the rows of conf.def, and what they are read into. */
#include "common/defs.h"
#include "control/conf.h"

#include "common/settings.h"

static const struct setting rows[] = {
#define SETTING(kind, name, flag, env, fallback, doc) \
	{ SETTING_##kind, offsetof(struct conf, name), flag, env, fallback, doc },
#include "control/conf.def"
#undef SETTING
};

static const struct settings settings = {
	rows, ARRAY_LEN(rows), "freehold-control: the control plane of Freehold"
};

int conf_read(int argc, char *const *argv, struct conf *ret_conf, struct err *err)
{
	struct conf conf = { .help = false };
	struct settings_asked asked;
	TRY(settings_read(&settings, argc, argv, &conf, &asked, err));
	conf.help = asked.help;
	conf.version = asked.version;
	*ret_conf = conf;
	return 0;
}

void conf_help(struct buf *out)
{
	settings_help(&settings, out);
}

int conf_log_level(const struct conf *conf, enum log_level *ret_level, struct err *err)
{
	return settings_log_level(conf->log_level, ret_level, err);
}
