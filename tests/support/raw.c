/* raw.c - see raw.h. */
#include "common/defs.h"
#include "tests/support/raw.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { PATIENCE_S = 20 };

struct raw {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
};

static int dial(const struct raw_to *to)
{
	struct sockaddr_in server = {.sin_family = AF_INET,
	                             .sin_port = htons((uint16_t)to->port),
	                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in own = {.sin_family = AF_INET};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	own.sin_addr.s_addr = htonl(0x7f000000u | (uint32_t)to->from);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if ((!to->from || bind(fd, (struct sockaddr *)&own, sizeof own) == 0) &&
	    connect(fd, (struct sockaddr *)&server, sizeof server) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool shake_hands(struct raw *raw, const struct raw_to *to)
{
	raw->context = SSL_CTX_new(TLS_client_method());
	cr_assert_not_null(raw->context);
	if (to->cert)
		cr_assert(SSL_CTX_use_certificate_chain_file(raw->context, to->cert) == 1 &&
		          SSL_CTX_use_PrivateKey_file(raw->context, to->key, SSL_FILETYPE_PEM) ==
		                  1);
	raw->ssl = SSL_new(raw->context);
	cr_assert_not_null(raw->ssl);
	SSL_set_fd(raw->ssl, raw->fd);
	return SSL_connect(raw->ssl) == 1;
}

struct raw *raw_dial(const struct raw_to *to)
{
	struct raw *raw = calloc(1, sizeof *raw);
	cr_assert_not_null(raw);
	signal(SIGPIPE, SIG_IGN);
	raw->fd = dial(to);
	if (raw->fd >= 0 && (!to->tls || shake_hands(raw, to)))
		return raw;
	raw_close(raw);
	return NULL;
}

void raw_close(struct raw *raw)
{
	if (!raw)
		return;
	SSL_free(raw->ssl);
	SSL_CTX_free(raw->context);
	if (raw->fd >= 0)
		close(raw->fd);
	free(raw);
}

bool raw_say(struct raw *raw, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = raw->ssl ? SSL_write(raw->ssl, at, (int)len)
		                     : send(raw->fd, at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool raw_says(struct raw *raw, const char *text)
{
	return raw_say(raw, text, strlen(text));
}

/* -1: nothing came within ms; 0: the end. */
static ssize_t hear_some(struct raw *raw, char *out, size_t size, int ms)
{
	struct pollfd ready = {.fd = raw->fd, .events = POLLIN};
	if (!(raw->ssl && SSL_pending(raw->ssl) > 0) && poll(&ready, 1, ms) != 1)
		return -1;
	ssize_t n = raw->ssl ? SSL_read(raw->ssl, out, (int)size) : recv(raw->fd, out, size, 0);
	return n > 0 ? n : 0;
}

bool raw_hear(struct raw *raw, char *out, size_t size, int ms)
{
	size_t len = 0;
	ssize_t n = 1;
	out[0] = 0;
	while (len + 1 < size && (n = hear_some(raw, out + len, size - 1 - len, ms)) > 0)
		out[len += (size_t)n] = 0;
	return n == 0;
}

static bool whole(const char *text, size_t len)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *declared = strcasestr(text, "\r\ncontent-length:");
	if (!end || !declared || declared > end)
		return end != NULL && !declared;
	return len >= (size_t)(end + 4 - text) + strtoul(declared + 17, NULL, 10);
}

const char *raw_answer(struct raw *raw, char *out, size_t size, int ms)
{
	size_t len = 0;
	ssize_t n = 1;
	out[0] = 0;
	while (len + 1 < size && !whole(out, len) &&
	       (n = hear_some(raw, out + len, size - 1 - len, ms)) > 0)
		out[len += (size_t)n] = 0;
	return out;
}

int64_t raw_memory(int pid)
{
	char path[64];
	long long pages = 0;
	snprintf(path, sizeof path, "/proc/%d/statm", pid);
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file);
	cr_assert_eq(fscanf(file, "%*s %lld", &pages), 1);
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

int raw_files(int pid)
{
	char path[64];
	int count = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *folder = opendir(path);
	cr_assert_not_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count - 2;
}
