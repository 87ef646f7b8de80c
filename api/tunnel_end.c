/* tunnel_end.c - the ends of a tunnel: sockets that are listened at, called and recognised. */
#include "common/defs.h"
#include "api/tunnel_impl.h"

#include "common/netaddr.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 512, KEEP_IDLE_S = 30, KEEP_EVERY_S = 10, KEEP_TIMES = 3 };

static int new_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* An end that has gone without a word is missed. */
static void settle(int fd)
{
	const struct { int level, name, value; } options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, KEEP_EVERY_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEP_TIMES },
	};
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
		                 sizeof options[i].value);
}

/* In brackets, or not. */
static struct addrinfo *find(const char *host, int port, int flags)
{
	char name[256], service[16];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	struct addrinfo *found = NULL;
	size_t len = strlen(host);
	bool bare = len > 1 && host[0] == '[' && host[len - 1] == ']';
	snprintf(name, sizeof name, "%.*s", (int)(bare ? len - 2 : len), bare ? host + 1 : host);
	snprintf(service, sizeof service, "%d", port);
	return getaddrinfo(name, service, &hints, &found) == 0 ? found : NULL;
}

static int listen_at(const struct addrinfo *at)
{
	int yes = 1, no = 0, fd = new_socket(at->ai_family);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (at->ai_family == AF_INET6)       /* both families, where nothing else is said */
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
	if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	int why = errno;
	close(fd);
	return -why;
}

/* A descriptor, or why not: -errno. */
static int listen_at_any(const char *host, int port)
{
	struct addrinfo *found = find(host, port, AI_PASSIVE);
	int fd = -EADDRNOTAVAIL;
	for (const struct addrinfo *at = found; at && fd < 0 && fd != -EADDRINUSE; at = at->ai_next)
		fd = listen_at(at);
	if (found)
		freeaddrinfo(found);
	return fd;
}

int end_listen(const char *host, int port, int *ret_fd, struct err *err)
{
	bool any = !*host || strcmp(host, "*") == 0;
	int fd = listen_at_any(any ? "::" : host, port);
	if (any && fd < 0 && fd != -EADDRINUSE)      /* a machine without IPv6 */
		fd = listen_at_any("0.0.0.0", port);
	if (fd == -EADDRNOTAVAIL)
		return err_set(err, E_INVALID, "link: %s is no address of this machine to listen "
		               "at", host);
	if (fd == -EADDRINUSE)
		return err_set(err, E_CONFLICT, "link: port %d of %s is in use", port, host);
	if (fd < 0)
		return err_errno(err, -fd, "link: listen at port %d of %s", port, host);
	*ret_fd = fd;
	return 0;
}

static int port_of(const struct sockaddr_storage *at)
{
	if (at->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)at)->sin_port);
	if (at->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)at)->sin6_port);
	return 0;
}

int end_port(int fd)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof at;
	return getsockname(fd, (struct sockaddr *)&at, &len) == 0 ? port_of(&at) : 0;
}

int end_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		settle(fd);
	return fd;
}

static const struct addrinfo *pick(const struct addrinfo *found, unsigned turn)
{
	unsigned count = 0;
	for (const struct addrinfo *at = found; at; at = at->ai_next)
		count++;
	for (unsigned i = turn % count; i > 0; i--)
		found = found->ai_next;
	return found;
}

int end_call(const char *host, int port, unsigned turn)
{
	struct addrinfo *found = find(host, port, 0);
	if (!found)
		return -1;
	const struct addrinfo *at = pick(found, turn);
	int fd = new_socket(at->ai_family);
	bool begun = fd >= 0 &&
		(connect(fd, at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS);
	freeaddrinfo(found);
	if (begun) {
		settle(fd);
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

enum end_state end_connected(int fd)
{
	struct sockaddr_storage at;
	int why = 0;
	socklen_t len = sizeof why, at_len = sizeof at;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0 || why != 0)
		return END_FAILED;
	return getpeername(fd, (struct sockaddr *)&at, &at_len) == 0 ? END_STANDS : END_BEGUN;
}

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_family == AF_INET && b->sin_family == AF_INET && a->sin_port == b->sin_port &&
	       a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* fd's two addresses, the other way round. */
static bool is_other_end(int candidate, const struct sockaddr_in *own,
                         const struct sockaddr_in *peer)
{
	struct sockaddr_in name = { 0 }, far = { 0 };
	socklen_t name_len = sizeof name, far_len = sizeof far;
	return getsockname(candidate, (struct sockaddr *)&name, &name_len) == 0 &&
	       getpeername(candidate, (struct sockaddr *)&far, &far_len) == 0 &&
	       same(&name, peer) && same(&far, own);
}

/* What another process holds is not among this one's descriptors, whatever it says of itself. */
bool end_is_own(int fd)
{
	struct sockaddr_in own = { 0 }, peer = { 0 };
	socklen_t own_len = sizeof own, peer_len = sizeof peer;
	if (getsockname(fd, (struct sockaddr *)&own, &own_len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)
		return false;
	DIR *fds = opendir("/proc/self/fd");
	bool found = false;
	for (const struct dirent *entry; fds && !found && (entry = readdir(fds));)
		if (entry->d_name[0] != '.')
			found = is_other_end(atoi(entry->d_name), &own, &peer);
	if (fds)
		closedir(fds);
	return found;
}

void end_print_peer(int fd, char out[TUNNEL_PEER_LEN])
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof at;
	struct netaddr address;
	char text[NETADDR_TEXT];
	*out = '\0';
	if (getpeername(fd, (struct sockaddr *)&at, &len) < 0 ||
	    !netaddr_of((struct sockaddr *)&at, &address))
		return;
	const struct in6_addr *six = &((const struct sockaddr_in6 *)&at)->sin6_addr;
	if (at.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six)) {
		address.bits = 32;
		memcpy(address.bytes, &six->s6_addr[12], 4);
	}
	netaddr_print(&address, text);
	snprintf(out, TUNNEL_PEER_LEN, address.bits == 32 ? "%s:%d" : "[%s]:%d", text,
	         port_of(&at));
}
