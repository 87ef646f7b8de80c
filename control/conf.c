/* conf.c - the rows of conf.def, and what they are read into. */
#include "common/defs.h"
#include "control/conf.h"

#include "common/loopback.h"
#include "common/settings.h"

#include <stdio.h>
#include <string.h>

static const struct setting rows[] = {
#define SETTING(kind, name, flag, env, fallback, doc) \
	{ SETTING_##kind, offsetof(struct conf, name), flag, env, fallback, doc },
#include "control/conf.def"
#undef SETTING
};

static const struct settings settings = {
	rows, ARRAY_LEN(rows),
	"freehold-control [restore | verify-backup]: the control plane of Freehold"
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

static bool is_reachable(const char *listen)
{
	static const char *const wild[] = { "0.0.0.0:", "[::]:", ":", "*:" };
	for (size_t i = 0; i < ARRAY_LEN(wild); i++)
		if (strncmp(listen, wild[i], strlen(wild[i])) == 0)
			return false;
	const char *port = strrchr(listen, ':');
	return port && strcmp(port, ":0") != 0;
}

int conf_advertise(const struct conf *conf, char ret_url[256], struct err *err)
{
	const char *url = conf->advertise_url;
	size_t len = url ? strlen(url) : 0;
	if (len)
		TRY(loopback_check_url("--advertise-url", url, err));
	while (len && url[len - 1] == '/')
		len--;
	if (len >= 256)
		return err_set(err, E_INVALID, "--advertise-url has %zu bytes; it may have 255",
		               len);
	ret_url[0] = 0;
	if (len)
		snprintf(ret_url, 256, "%.*s", (int)len, url);
	else if (is_reachable(conf->listen) && strlen(conf->listen) < 240)
		snprintf(ret_url, 256, "%s://%s", conf->cert_file ? "https" : "http",
		         conf->listen);
	return 0;
}

const char *conf_worker_links(const struct conf *conf)
{
	const char *host = conf->link ? strstr(conf->link, "://") : NULL;
	if (conf->worker_links)
		return conf->worker_links;
	return host && is_reachable(host + 3) ? conf->link : NULL;
}

int conf_log_level(const struct conf *conf, enum log_level *ret_level, struct err *err)
{
	return settings_log_level(conf->log_level, ret_level, err);
}
