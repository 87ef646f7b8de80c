/* log.h - one JSON object a line on standard error. Only control/ and worker/ log, once, where a
 * failure is handled. Constant event name, then key=value fields (values quoted where they hold
 * spaces); never data, SQL, keys or tokens. */
#ifndef LOG_H
#define LOG_H

#include "common/defs.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Whose failure it is; any member may be NULL. */
struct log_context {
	const char *tenant;
	const char *request;
	const char *task;
};

void log_start(const char *process, enum log_level least);   /* once, from main */
void log_write(enum log_level level, const struct log_context *context, const char *event,
	       const char *fmt, ...) PRINTF(4, 5);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

#endif
