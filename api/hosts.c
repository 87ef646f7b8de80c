/* hosts.c - see hosts.h. "*.example.com" is every name below example.com, and not that one. */
#include "common/defs.h"
#include "api/hosts.h"

#include "common/err.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool label_valid(const char *label, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	for (size_t i = 0; i < len; i++)
		if (!strchr(letters, label[i]))
			return false;
	return len > 0 && len <= 63 && label[0] != '-' && label[len - 1] != '-';
}

/* A last label that begins with a digit would be an address in some odd form: 127.1, 0x7f.1. */
static bool name_valid(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > HOST_MAX)
		return false;
	for (const char *at = name;; at++) {
		size_t part = strcspn(at, ".");
		if (!label_valid(at, part))
			return false;
		if (!at[part])
			return at[0] < '0' || at[0] > '9';
		at += part;
	}
}

static bool host_valid(const char *host)
{
	struct netaddr address;
	return name_valid(host) || netaddr_parse(host, &address);
}

/* --- where a URL leads --- */

/* Lower case, and without the final dot of a name. */
static void tidy(char *host, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (host[i] >= 'A' && host[i] <= 'Z')
			host[i] = (char)(host[i] | 0x20);
	if (len && host[len - 1] == '.')
		host[len - 1] = 0;
}

/* "" or ":PORT". */
static bool parse_port(const char *text, const char *end, struct host_target *target)
{
	int port = 0;
	target->port = target->plain ? 80 : 443;
	if (text == end)
		return true;
	if (*text++ != ':' || text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || port > 6553)
			return false;
		port = port * 10 + *text - '0';
	}
	target->port = port;
	return port > 0 && port < 65536;
}

/* HOST, HOST:PORT, [ADDRESS], [ADDRESS]:PORT. */
static bool parse_authority(const char *text, size_t len, struct host_target *target)
{
	bool bracket = len && text[0] == '[';
	const char *end = text + len, *stop = memchr(text, bracket ? ']' : ':', len);
	if (bracket && !stop)
		return false;
	size_t host_len = (size_t)((stop ? stop : end) - text) - bracket;
	const char *port = stop ? stop + bracket : end;
	if (host_len > HOST_MAX || !parse_port(port, end, target))
		return false;
	snprintf(target->host, sizeof target->host, "%.*s", (int)host_len, text + bracket);
	tidy(target->host, host_len);
	return bracket == (strchr(target->host, ':') != NULL) && host_valid(target->host);
}

static bool text_valid(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr("\"<>\\^`{|}#", *text))
			return false;
	return true;
}

int host_target_parse(const char *url, struct host_target *ret_target, struct err *err)
{
	struct host_target target = {.plain = strncasecmp(url, "http://", 7) == 0};
	if (!target.plain && strncasecmp(url, "https://", 8) != 0)
		return err_set(err, E_INVALID, "begins with https:// or http://");
	if (strlen(url) >= HOST_URL_MAX)
		return err_set(err, E_INVALID, "has %zu bytes; it may have %d", strlen(url),
		               HOST_URL_MAX - 1);
	const char *authority = url + (target.plain ? 7 : 8);
	size_t len = strcspn(authority, "/?#");
	target.path = authority + len;
	if (memchr(authority, '@', len))
		return err_set(err, E_INVALID, "holds no user name and no password");
	if (!parse_authority(authority, len, &target))
		return err_set(err, E_INVALID,
		               "names a host of letters, digits, hyphens and dots, "
		               "or an address in its usual form, and maybe a port");
	if (!text_valid(target.path))
		return err_set(err, E_INVALID,
		               "is written in ASCII, percent-encoded, and without "
		               "a fragment");
	*ret_target = target;
	return 0;
}

void host_target_print(const struct host_target *target, char out[HOST_URL_MAX])
{
	bool six = strchr(target->host, ':') != NULL;
	char port[8] = "";
	if (target->port != (target->plain ? 80 : 443))
		snprintf(port, sizeof port, ":%d", target->port);
	snprintf(out, HOST_URL_MAX, "%s://%s%s%s%s%.*s", target->plain ? "http" : "https",
	         six ? "[" : "", target->host, six ? "]" : "", port,
	         (int)strcspn(target->path, "?"), target->path);
}

/* --- the list --- */

static int check_entry(const struct value *entry, struct err *err)
{
	const char *host = value_get_str(entry, "host"), *network = value_get_str(entry, "network");
	struct net_range range;
	size_t wild = host && strncmp(host, "*.", 2) == 0 ? 2 : 0;
	if (!host ||
	    !(wild ? name_valid(host + wild) && strchr(host + wild, '.') : host_valid(host)))
		return err_set(err, E_INVALID,
		               "host: is a name in lower case like "
		               "data.example.com, or *.example.com for all below it, or an "
		               "address");
	if (network && !net_range_parse(network, &range))
		return err_set(err, E_INVALID,
		               "network: is a range like 10.1.0.0/16, without bits "
		               "beyond its length");
	return 0;
}

int hosts_check(const struct value *list, const char *path, struct err *err)
{
	if (value_len(list) > HOSTS_MAX)
		return err_set(err, E_INVALID,
		               "%s: has %zu entries; it may have %d; use "
		               "*.DOMAIN for many hosts of one domain",
		               path, value_len(list), HOSTS_MAX);
	for (size_t i = 0; i < value_len(list); i++) {
		struct err why = {0};
		if (check_entry(value_at(list, i), &why) < 0)
			return err_set(err, E_INVALID, "%s[%zu].%s", path, i, why.text);
	}
	return 0;
}

static bool host_matches(const char *pattern, const char *host)
{
	struct netaddr address;
	if (strncmp(pattern, "*.", 2) != 0)
		return strcmp(pattern, host) == 0;
	size_t tail = strlen(pattern) - 1, len = strlen(host);
	return len > tail && strcmp(host + len - tail, pattern + 1) == 0 &&
	       !netaddr_parse(host, &address);
}

const struct value *hosts_find(const struct value *list, const struct host_target *target)
{
	for (size_t i = 0; i < value_len(list) && i < HOSTS_MAX; i++) {
		const struct value *entry = value_at(list, i);
		const char *host = value_get_str(entry, "host");
		const char *scheme = value_get_str(entry, "scheme");
		bool plain = scheme && strcmp(scheme, "http") == 0;
		if (host && plain == target->plain && host_matches(host, target->host) &&
		    value_get_int(entry, "port", plain ? 80 : 443) == target->port)
			return entry;
	}
	return NULL;
}
