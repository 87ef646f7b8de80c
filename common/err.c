/* err.c - error codes, their names and their HTTP status, all from errors.def. */
#include "common/defs.h"
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	int code;
	int http;
	bool retry;
	const char *name;
	const char *title;
};

static const struct row rows[] = {
#define ERROR(code, http, retry, category, title) { E_##code, http, retry, #code, title },
#include "common/errors.def"
#undef ERROR
};

static const struct row *row_of(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		err->code = code;
		err->after_s = 0;
		vsnprintf(err->text, sizeof err->text, fmt, ap);
		va_end(ap);
	}
	return code;
}

int err_after(struct err *err, int code, int64_t after_s)
{
	if (err)
		err->after_s = after_s < 1 ? 1 : after_s > INT32_MAX ? INT32_MAX : (int)after_s;
	return code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	if (!err)
		return E_INTERNAL;
	char what[sizeof err->text];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err->code;
	size_t used = (size_t)n < sizeof what ? (size_t)n : sizeof what - 1;
	snprintf(what + used, sizeof what - used, ": %s", err->text);
	memcpy(err->text, what, sizeof what);
	return err->code;
}

static int code_of_errno(int errno_value)
{
	switch (errno_value) {
	case ENOSPC:
	case EDQUOT: return E_NO_SPACE;
	case ENOENT: return E_NOT_FOUND;
	case ENOMEM: return E_NOMEM;
	default: return E_IO;
	}
}

int err_errno(struct err *err, int errno_value, const char *fmt, ...)
{
	int code = code_of_errno(errno_value);
	if (!err)
		return code;
	va_list ap;
	va_start(ap, fmt);
	err->code = code;
	int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	char why[80];
	const char *reason = strerror_r(errno_value, why, sizeof why);
	size_t used = n < 0 ? 0 : (size_t)n;
	if (used < sizeof err->text)
		snprintf(err->text + used, sizeof err->text - used, ": %s", reason);
	return code;
}

const char *err_name(int code)
{
	const struct row *row = row_of(code);
	return row ? row->name : "UNKNOWN";
}

const char *err_title(int code)
{
	const struct row *row = row_of(code);
	return row ? row->title : "unknown error";
}

int err_http(int code)
{
	const struct row *row = row_of(code);
	return row ? row->http : 500;
}

bool err_retryable(int code)
{
	const struct row *row = row_of(code);
	return row && row->retry;
}

int err_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (name && strcmp(rows[i].name, name) == 0)
			return rows[i].code;
	return E_INTERNAL;
}

void require_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "freehold: broken invariant: %s (%s:%d)\n", what, file, line);
	abort();
}
