/* worker_conf.c - the rows of conf.def, and what they are read into. */
#include "common/defs.h"
#include "worker/worker_conf.h"

#include "common/settings.h"
#include "common/text.h"

static const struct setting rows[] = {
#define SETTING(kind, name, flag, env, fallback, doc) \
	{ SETTING_##kind, offsetof(struct worker_conf, name), flag, env, fallback, doc },
#include "worker/conf.def"
#undef SETTING
};

static const struct settings settings = {
	rows, ARRAY_LEN(rows), "freehold-worker: runs tasks and answers online reads"
};

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
	struct settings_asked asked;
	TRY(settings_read(&settings, argc, argv, &conf, &asked, err));
	conf.help = asked.help;
	conf.version = asked.version;
	if (!conf.help && !conf.version)
		TRY(check(&conf, err));
	*ret_conf = conf;
	return 0;
}

void worker_conf_help(struct buf *out)
{
	settings_help(&settings, out);
}

int worker_conf_log_level(const struct worker_conf *conf, enum log_level *ret_level,
                          struct err *err)
{
	return settings_log_level(conf->log_level, ret_level, err);
}
