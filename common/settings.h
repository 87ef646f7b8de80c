/* settings.h - a process's settings: one table of rows, two sources. A flag (--name VALUE) wins
 * over the environment, that over the row's default. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "common/buf.h"
#include "common/log.h"

enum setting_kind { SETTING_TEXT, SETTING_INT, SETTING_BOOL };
enum { SETTING_INT_MAX = 1 << 30, SETTINGS_MAX = 128 };

struct setting {
	enum setting_kind kind;
	size_t offset;               /* of a const char *, int or bool in the process's struct */
	const char *flag, *env, *fallback, *doc;
};
struct settings {
	const struct setting *rows;  /* SETTINGS_MAX at most */
	size_t count;
	const char *about;           /* "freehold-control: the control plane of Freehold" */
};
struct settings_asked { bool help, version; };   /* --help, --version: nothing else is read then */

/* Fills conf, the process's own struct. Text is borrowed from argv and the environment; empty text
 * is NULL. E_INVALID names the setting, and the nearest one for a flag that is none. */
MUST_USE int settings_read(const struct settings *settings, int argc, char *const *argv,
                           void *conf, struct settings_asked *ret_asked, struct err *err);
void settings_help(const struct settings *settings, struct buf *out);
MUST_USE int settings_log_level(const char *text, enum log_level *ret_level, struct err *err);

#endif
