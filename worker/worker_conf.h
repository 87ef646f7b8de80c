/* worker_conf.h - the settings of conf.def, from flags and the environment. */
#ifndef WORKER_CONF_H
#define WORKER_CONF_H

#include "api/poll.h"
#include "common/buf.h"
#include "common/log.h"

struct worker_conf {
#define CONF_TEXT const char *
#define CONF_INT int
#define SETTING(kind, name, flag, env, fallback, doc) CONF_##kind name;
#include "worker/conf.def"
#undef SETTING
#undef CONF_TEXT
#undef CONF_INT
	bool help, version;          /* --help, --version */
};

/* Text is borrowed from argv and the environment; empty text is NULL. E_INVALID names the
 * setting. */
MUST_USE int worker_conf_read(int argc, char *const *argv, struct worker_conf *ret_conf,
                              struct err *err);
void worker_conf_help(struct buf *out);
MUST_USE int worker_conf_log_level(const struct worker_conf *conf, enum log_level *ret_level,
                                   struct err *err);

/* What --label says, cut into its parts. */
struct worker_labels {
	char text[POLL_LABELS_MAX * 130];
	struct poll_label labels[POLL_LABELS_MAX];
	size_t count;
};
MUST_USE int worker_conf_labels(const struct worker_conf *conf, struct worker_labels *ret_labels,
                                struct err *err);

#endif
