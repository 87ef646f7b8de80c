/* conf.h - the settings of conf.def, from flags and the environment. */
#ifndef CONF_H
#define CONF_H

#include "common/buf.h"
#include "common/log.h"

struct conf {
#define CONF_TEXT const char *
#define CONF_INT int
#define CONF_BOOL bool
#define SETTING(kind, name, flag, env, fallback, doc) CONF_##kind name;
#include "control/conf.def"
#undef SETTING
#undef CONF_TEXT
#undef CONF_INT
#undef CONF_BOOL
	bool help, version;          /* --help, --version */
};

/* Text is borrowed from argv and the environment; empty text is NULL. E_INVALID names the setting.
 */
MUST_USE int conf_read(int argc, char *const *argv, struct conf *ret_conf, struct err *err);
void conf_help(struct buf *out);
/* Where other replicas reach this one's API: --advertise-url, or --listen as a URL; "" when that is
 * a wildcard or any free port, and nobody can tell. E_INVALID: it is no http:// or https:// URL. */
MUST_USE int conf_advertise(const struct conf *conf, char ret_url[256], struct err *err);
/* What workers that join are told to dial: --worker-links, or --link unless that is a wildcard or
 * any free port; then NULL, and they are to be told by hand. */
const char *conf_worker_links(const struct conf *conf);
MUST_USE int conf_log_level(const struct conf *conf, enum log_level *ret_level, struct err *err);

#endif
