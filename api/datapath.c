/* datapath.c - see datapath.h. */
#include "common/defs.h"
#include "api/datapath.h"

#include <stdio.h>
#include <string.h>

enum { SEGMENT_MAX = 64 };

/* The next segment of a path, which may be its last; false: there is none, or it is too long. */
static bool take(const char **at, char out[SEGMENT_MAX])
{
	*at += **at == '/';
	size_t len = strcspn(*at, "/");
	if (len == 0 || len >= SEGMENT_MAX)
		return false;
	memcpy(out, *at, len);
	out[len] = 0;
	*at += len;
	return true;
}

static bool take_word(const char **at, const char *word)
{
	char found[SEGMENT_MAX];
	return take(at, found) && strcmp(found, word) == 0;
}

bool datapath_needle(const char *path, char out[DATAPATH_MAX])
{
	char tenant[SEGMENT_MAX], domain[SEGMENT_MAX], kind[SEGMENT_MAX], name[SEGMENT_MAX];
	const char *at = path;
	if (!take_word(&at, "v1") || !take_word(&at, "tenants") || !take(&at, tenant) ||
	    !take_word(&at, "domains") || !take(&at, domain))
		return false;
	if (!take(&at, kind))
		snprintf(out, DATAPATH_MAX, "/%s.", domain);
	else if (!take(&at, name))
		snprintf(out, DATAPATH_MAX, " %s/%s.", kind, domain);
	else
		snprintf(out, DATAPATH_MAX, " %s/%s.%s ", kind, domain, name);
	at += *at == '/';
	return *at == 0;
}

bool datapath_matches(const char *path, const char *resource)
{
	char needle[DATAPATH_MAX], padded[4 * DATAPATH_MAX + 3];
	if (!resource || *resource == '/' || !datapath_needle(path, needle))
		return false;
	snprintf(padded, sizeof padded, " %s ", resource);
	return strstr(padded, needle) != NULL;
}
