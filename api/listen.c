/* listen.c - where the HTTP door stands: the address as text, bound and listening. */
#include "common/defs.h"
#include "api/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, HOST_MAX = 256, PORT_MAX = 8 };

/* An address that is being opened, as its owner wrote it. */
struct place {
	char host[HOST_MAX];
	char port[PORT_MAX];
};

static int malformed(struct err *err)
{
	return err_set(err, E_INVALID, "listen: write HOST:PORT with a port from 0 to 65535, as in "
	               "127.0.0.1:7070 or [::]:443");
}

static bool port_valid(const char *port)
{
	size_t len = strspn(port, "0123456789");
	if (len == 0 || len > 5 || port[len])
		return false;
	long number = 0;
	for (size_t i = 0; i < len; i++)
		number = number * 10 + (port[i] - '0');
	return number <= 65535;
}

static int place_read(const char *address, struct place *ret_place, struct err *err)
{
	const char *colon = address ? strrchr(address, ':') : NULL;
	if (!colon || !port_valid(colon + 1))
		return malformed(err);
	const char *host = address;
	size_t len = (size_t)(colon - address);
	if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		return malformed(err);
	}
	if (len == 0 || len >= HOST_MAX)
		return malformed(err);
	*ret_place = (struct place){ 0 };
	memcpy(ret_place->host, host, len);
	memcpy(ret_place->port, colon + 1, strlen(colon + 1));
	return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}

static int open_one(const struct addrinfo *info, const struct place *place, int *ret_fd,
                    struct err *err)
{
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, errno, "listen: cannot make a socket");
	int on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		int code = err_errno(err, errno, "listen: cannot listen on %s port %s; choose "
		                     "another address or port, or stop what uses it", place->host,
		                     place->port);
		close(fd);
		return code;
	}
	*ret_fd = fd;
	return 0;
}

static int port_of(int fd, int *ret_port, struct err *err)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof bound;
	if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
		return err_errno(err, errno, "listen: cannot read the port that was chosen");
	*ret_port = ntohs(bound.ss_family == AF_INET6
	                  ? ((const struct sockaddr_in6 *)&bound)->sin6_port
	                  : ((const struct sockaddr_in *)&bound)->sin_port);
	return 0;
}

int listen_open(const char *address, bool loopback_only, int *ret_fd, int *ret_port,
                struct err *err)
{
	struct place place;
	TRY(place_read(address, &place, err));
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *info = NULL;
	int failed = getaddrinfo(place.host, place.port, &hints, &info);
	if (failed)
		return err_set(err, E_INVALID, "listen: %s is no address of this machine: %s",
		               place.host, gai_strerror(failed));
	int fd = -1;
	int rc;
	if (loopback_only && !is_loopback(info->ai_addr))
		rc = err_set(err, E_INVALID, "listen: plain HTTP is served on loopback only, and "
		             "%s is not; give a certificate and its key, or listen on 127.0.0.1:%s",
		             place.host, place.port);
	else
		rc = open_one(info, &place, &fd, err);
	freeaddrinfo(info);
	TRY(rc);
	rc = port_of(fd, ret_port, err);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}
