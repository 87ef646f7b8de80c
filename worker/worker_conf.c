/* worker_conf.c - the rows of conf.def, and what they are read into. */
#include "common/defs.h"
#include "worker/worker_conf.h"

#include "common/settings.h"
#include "common/text.h"

#include <string.h>

enum { SLOTS_MOST = 256, CPUS_MOST = 4096, LABEL_MOST = 63 };

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
	if (!conf->name || !conf->objects || !conf->online || !conf->listen ||
	    !conf->signing_public_file)
		return err_set(err, E_INVALID, "--name, --objects, --online, --listen "
		               "and --signing-public-file need a value");
	TRY(name_check("--name", conf->name, err));
	if (conf->pool)
		TRY(name_check("--pool", conf->pool, err));
	if (conf->slots < 0 || conf->slots > SLOTS_MOST)
		return err_set(err, E_INVALID, "--slots is from 0 to %d, not %d", SLOTS_MOST,
		               conf->slots);
	if (conf->cpus < 0 || conf->cpus > CPUS_MOST)
		return err_set(err, E_INVALID, "--cpus is from 0 to %d, not %d", CPUS_MOST,
		               conf->cpus);
	return 0;
}

static int add_label(struct worker_labels *labels, char *text, struct err *err)
{
	char *value = strchr(text, '=');
	if (!value || value == text || value - text > LABEL_MOST || strlen(value + 1) > LABEL_MOST)
		return err_set(err, E_INVALID,
		               "--label: \"%.64s\" must be KEY=VALUE, a key of 1 to %d bytes and a "
		               "value of at most %d", text, LABEL_MOST, LABEL_MOST);
	*value++ = 0;
	for (size_t i = 0; i < labels->count; i++)
		if (strcmp(labels->labels[i].key, text) == 0)
			return err_set(err, E_INVALID, "--label: %s is said twice", text);
	if (labels->count == POLL_LABELS_MAX)
		return err_set(err, E_INVALID, "--label: at most %d labels", POLL_LABELS_MAX);
	labels->labels[labels->count++] = (struct poll_label){ text, value };
	return 0;
}

int worker_conf_labels(const struct worker_conf *conf, struct worker_labels *ret_labels,
                       struct err *err)
{
	const char *said = conf->label ? conf->label : "";
	char *rest = NULL;
	ret_labels->count = 0;
	if (strlen(said) >= sizeof ret_labels->text)
		return err_set(err, E_INVALID, "--label: at most %zu bytes in all",
		               sizeof ret_labels->text - 1);
	strcpy(ret_labels->text, said);
	char *at = strtok_r(ret_labels->text, ", ", &rest);
	for (; at; at = strtok_r(NULL, ", ", &rest))
		TRY(add_label(ret_labels, at, err));
	return 0;
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
