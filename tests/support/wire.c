/* wire.c - one thread a wire, which copies between the two ends of each connection. */
#include "common/defs.h"
#include "tests/support/wire.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, STEP_MS = 20, CHUNK = 65536, TO_SERVER = 0, TO_CLIENT = 1 };

struct pair {
	int ends[2];
	bool was_cut;
}; /* ends[0]: the client's; fd -1: free */

struct wire {
	int listener, port, server_port;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards what follows */
	bool cut[2], mending, stopping;
	struct pair pairs[PAIRS_MAX]; /* the thread's own */
};

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons((uint16_t)port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void pair_end(struct pair *pair)
{
	for (int i = 0; i < 2; i++)
		if (pair->ends[i] >= 0)
			close(pair->ends[i]);
	*pair = (struct pair){.ends = {-1, -1}};
}

static int dial(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void take_client(struct wire *wire)
{
	int client = accept4(wire->listener, NULL, NULL, SOCK_CLOEXEC);
	int server = client >= 0 ? dial(wire->server_port) : -1;
	for (int i = 0; server >= 0 && i < PAIRS_MAX; i++)
		if (wire->pairs[i].ends[0] < 0) {
			wire->pairs[i] = (struct pair){.ends = {client, server}};
			return;
		}
	if (client >= 0)
		close(client);
	if (server >= 0)
		close(server);
}

static bool send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* One direction of a pair; false: the connection is over. */
static bool copy(struct pair *pair, int from, bool cut, char *chunk)
{
	ssize_t n = recv(pair->ends[from], chunk, CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	pair->was_cut |= cut;
	return cut || send_all(pair->ends[!from], chunk, (size_t)n);
}

static void serve(struct wire *wire, const bool cut[2], bool mending, char *chunk)
{
	for (int i = 0; i < PAIRS_MAX; i++) {
		struct pair *pair = &wire->pairs[i];
		if (pair->ends[0] < 0)
			continue;
		bool over = mending && pair->was_cut;
		over = over || !copy(pair, 0, cut[TO_SERVER], chunk);
		over = over || !copy(pair, 1, cut[TO_CLIENT], chunk);
		if (over)
			pair_end(pair);
	}
}

static void await_something(const struct wire *wire)
{
	struct pollfd waiting[1 + 2 * PAIRS_MAX] = {{.fd = wire->listener, .events = POLLIN}};
	for (int i = 0; i < PAIRS_MAX; i++)
		for (int end = 0; end < 2; end++)
			waiting[1 + 2 * i + end] =
				(struct pollfd){.fd = wire->pairs[i].ends[end], .events = POLLIN};
	poll(waiting, ARRAY_LEN(waiting), STEP_MS);
}

static void *wire_run(void *context)
{
	struct wire *wire = context;
	char *chunk = malloc(CHUNK);
	REQUIRE(chunk);
	for (bool stopping = false; !stopping;) {
		bool cut[2], mending;
		await_something(wire);
		pthread_mutex_lock(&wire->mutex);
		cut[0] = wire->cut[0];
		cut[1] = wire->cut[1];
		mending = wire->mending;
		wire->mending = false;
		stopping = wire->stopping;
		pthread_mutex_unlock(&wire->mutex);
		struct pollfd coming = {.fd = wire->listener, .events = POLLIN};
		if (poll(&coming, 1, 0) == 1)
			take_client(wire);
		serve(wire, cut, mending, chunk);
	}
	for (int i = 0; i < PAIRS_MAX; i++)
		pair_end(&wire->pairs[i]);
	free(chunk);
	return NULL;
}

struct wire *wire_open(int server_port)
{
	struct wire *wire = calloc(1, sizeof *wire);
	struct sockaddr_in address = loopback(0);
	socklen_t len = sizeof address;
	cr_assert_not_null(wire);
	for (int i = 0; i < PAIRS_MAX; i++)
		wire->pairs[i] = (struct pair){.ends = {-1, -1}};
	wire->server_port = server_port;
	wire->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(wire->listener >= 0 &&
	          bind(wire->listener, (struct sockaddr *)&address, len) == 0 &&
	          listen(wire->listener, PAIRS_MAX) == 0 &&
	          getsockname(wire->listener, (struct sockaddr *)&address, &len) == 0);
	wire->port = ntohs(address.sin_port);
	pthread_mutex_init(&wire->mutex, NULL);
	cr_assert_eq(pthread_create(&wire->thread, NULL, wire_run, wire), 0);
	return wire;
}

int wire_port(const struct wire *wire)
{
	return wire->port;
}

void wire_cut(struct wire *wire, bool to_server, bool to_client)
{
	pthread_mutex_lock(&wire->mutex);
	wire->cut[TO_SERVER] = to_server;
	wire->cut[TO_CLIENT] = to_client;
	pthread_mutex_unlock(&wire->mutex);
}

void wire_mend(struct wire *wire)
{
	pthread_mutex_lock(&wire->mutex);
	wire->cut[TO_SERVER] = wire->cut[TO_CLIENT] = false;
	wire->mending = true;
	pthread_mutex_unlock(&wire->mutex);
}

void wire_close(struct wire *wire)
{
	if (!wire)
		return;
	pthread_mutex_lock(&wire->mutex);
	wire->stopping = true;
	pthread_mutex_unlock(&wire->mutex);
	pthread_join(wire->thread, NULL);
	close(wire->listener);
	pthread_mutex_destroy(&wire->mutex);
	free(wire);
}
