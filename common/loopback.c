/* loopback.c - see loopback.h. */
#include "common/defs.h"
#include "common/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { HOST_MAX = 64 };

bool loopback_host(const char *host, size_t len)
{
	char text[HOST_MAX];
	struct in_addr v4;
	struct in6_addr v6;
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof text)
		return false;
	memcpy(text, host, len);
	text[len] = 0;
	if (strcmp(text, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* The host of what follows "http://": up to the port, the path or the end. */
static size_t host_len(const char *from)
{
	const char *end = from + strcspn(from, "/?#");
	if (*from == '[')
		return strcspn(from, "]") + (strchr(from, ']') != NULL);
	const char *colon = memchr(from, ':', (size_t)(end - from));
	return (size_t)((colon ? colon : end) - from);
}

int loopback_check_url(const char *what, const char *url, struct err *err)
{
	if (strncmp(url, "https://", 8) == 0)
		return 0;
	if (strncmp(url, "http://", 7) != 0)
		return err_set(err, E_INVALID, "%s begins with https://, or http:// on loopback",
		               what);
	if (!strchr(url, '@') && loopback_host(url + 7, host_len(url + 7)))
		return 0;
	return err_set(err, E_INVALID, "%s: http:// is not encrypted, which is allowed on loopback "
	               "only; use https://", what);
}
