/* framing.c - see framing.h. Only ever stricter than what the server's library accepts. */
#include "common/defs.h"
#include "api/framing.h"

#include <string.h>
#include <strings.h>

static bool token_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!token_char((unsigned char)name[i]))
			return false;
	return len > 0;
}

static bool is_text(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
			return false;
	return strlen(value) == len;
}

static bool is(const char *name, size_t len, const char *wanted)
{
	return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

static const char *fault_of(struct framing *framing, const char *name, size_t name_len,
                            const char *value, size_t value_len)
{
	if (++framing->lines > FRAMING_HEADERS_MAX)
		return "a request may have 100 header lines at most";
	if (!is_token(name, name_len))
		return "a header's name has letters, digits and hyphens, and its colon follows at "
		       "once";
	if (!is_text(value, value_len))
		return "a header's value may hold no control characters";
	if (is(name, name_len, "host") && framing->hosts++)
		return "a request names one Host";
	if (is(name, name_len, "content-length") && framing->lengths++)
		return "a request has one Content-Length";
	if (!is(name, name_len, "transfer-encoding"))
		return NULL;
	framing->chunked = is(value, value_len, "chunked");
	return framing->codings++ || !framing->chunked
		? "the only Transfer-Encoding is chunked, said once" : NULL;
}

void framing_add(struct framing *framing, const char *name, size_t name_len, const char *value,
                 size_t value_len)
{
	const char *fault = fault_of(framing, name, name_len, value, value_len);
	if (!framing->fault)
		framing->fault = fault;
}

int framing_check(const struct framing *framing, bool old, struct err *err)
{
	const char *fault = framing->fault;
	if (!fault && framing->codings && framing->lengths)
		fault = "a body has either a Content-Length or chunks";
	if (!fault && framing->codings && old)
		fault = "HTTP/1.0 has no chunks; send a Content-Length";
	return fault ? err_set(err, E_INVALID, "%s", fault) : 0;
}

/* A slash that is escaped is none for a proxy that looks at the path. */
int framing_target(const char *target, struct err *err)
{
	size_t path = strcspn(target, "?");
	if (target[0] != '/')
		return err_set(err, E_INVALID, "a request's target is a path that begins with /");
	for (size_t i = 0; i + 2 < path; i++)
		if (strncasecmp(target + i, "%2f", 3) == 0 ||
		    strncasecmp(target + i, "%5c", 3) == 0)
			return err_set(err, E_INVALID, "a path's slashes are not escaped, and its "
			               "names hold none");
	if (memchr(target, '#', strlen(target)))
		return err_set(err, E_INVALID, "a request's target has no fragment");
	return 0;
}
