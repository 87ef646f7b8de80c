/* relay.c - see relay.h. */
#include "common/defs.h"
#include "tests/support/relay.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 4 * 1024 * 1024, PATHS_MAX = 4096, PATH_LEN = 64, POLL_MS = 20 };

struct relay {
	int listener;
	int server_port;
	char url[64];
	pthread_t thread;
	pthread_mutex_t mutex;     /* guards what follows */
	bool stopping;
	enum relay_loss loss;
	char part[PATH_LEN];
	int left;
	relay_hook_fn *hook;
	void *context;
	char paths[PATHS_MAX][PATH_LEN];
	int path_count;
};

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

/* A whole request: head and Content-Length bytes. 0 when the client went away. */
static size_t read_request(int fd, char *text)
{
	size_t got = 0, need = 0;
	while (got < MESSAGE_MAX - 1 && (need == 0 || got < need)) {
		ssize_t n = recv(fd, text + got, MESSAGE_MAX - 1 - got, 0);
		if (n <= 0)
			return 0;
		got += (size_t)n;
		text[got] = 0;
		const char *end = strstr(text, "\r\n\r\n");
		if (!end || need)
			continue;
		const char *length = strcasestr(text, "\r\nContent-Length:");
		size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
		need = (size_t)(end + 4 - text) + body;
	}
	return got;
}

static int dial(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Asks the server, telling it to close afterwards: the answer ends with the connection. */
static size_t ask(const struct relay *relay, const char *request, size_t len, char *answer)
{
	const char *line_end = strstr(request, "\r\n");
	int fd = dial(relay->server_port);
	size_t got = 0;
	ssize_t n;
	if (!line_end || fd < 0)
		goto out;
	size_t line = (size_t)(line_end + 2 - request);
	static const char closing[] = "Connection: close\r\n";
	if (!send_all(fd, request, line) || !send_all(fd, closing, strlen(closing)) ||
	    !send_all(fd, request + line, len - line))
		goto out;
	while (got < MESSAGE_MAX && (n = recv(fd, answer + got, MESSAGE_MAX - got, 0)) > 0)
		got += (size_t)n;
out:
	if (fd >= 0)
		close(fd);
	return got;
}

/* Notes the path; says what is to happen to this request. */
static enum relay_loss note(struct relay *relay, const char *request, relay_hook_fn **ret_hook,
			    void **ret_context)
{
	char path[PATH_LEN] = "";
	enum relay_loss loss = RELAY_LOSE_NOTHING;
	*ret_hook = NULL;
	sscanf(request, "%*s %63s", path);
	pthread_mutex_lock(&relay->mutex);
	if (relay->path_count < PATHS_MAX)
		memcpy(relay->paths[relay->path_count++], path, sizeof path);
	if (relay->left > 0 && strstr(path, relay->part)) {
		relay->left--;
		loss = relay->loss;
		*ret_hook = relay->hook;
		*ret_context = relay->context;
	}
	pthread_mutex_unlock(&relay->mutex);
	return loss;
}

static void serve(struct relay *relay, int client, char *request, char *answer)
{
	relay_hook_fn *hook = NULL;
	void *context = NULL;
	size_t len = read_request(client, request);
	if (len == 0)
		return;
	enum relay_loss loss = note(relay, request, &hook, &context);
	if (loss == RELAY_LOSE_REQUEST)
		return;
	size_t got = ask(relay, request, len, answer);
	if (hook)
		hook(context);
	if (loss == RELAY_LOSE_NOTHING)
		send_all(client, answer, got);
}

static bool stopped(struct relay *relay)
{
	pthread_mutex_lock(&relay->mutex);
	bool stopping = relay->stopping;
	pthread_mutex_unlock(&relay->mutex);
	return stopping;
}

static void *relay_main(void *context)
{
	struct relay *relay = context;
	char *request = malloc(MESSAGE_MAX), *answer = malloc(MESSAGE_MAX);
	REQUIRE(request && answer);
	while (!stopped(relay)) {
		struct pollfd waiting = { .fd = relay->listener, .events = POLLIN };
		if (poll(&waiting, 1, POLL_MS) != 1)
			continue;
		int client = accept(relay->listener, NULL, NULL);
		if (client < 0)
			continue;
		serve(relay, client, request, answer);
		close(client);
	}
	free(request);
	free(answer);
	return NULL;
}

struct relay *relay_start(const char *server_url)
{
	struct relay *relay = calloc(1, sizeof *relay);
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof address;
	cr_assert_not_null(relay);
	cr_assert_eq(sscanf(server_url, "http://127.0.0.1:%d", &relay->server_port), 1);
	relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(relay->listener >= 0 &&
		  bind(relay->listener, (struct sockaddr *)&address, len) == 0 &&
		  listen(relay->listener, 64) == 0 &&
		  getsockname(relay->listener, (struct sockaddr *)&address, &len) == 0);
	snprintf(relay->url, sizeof relay->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
	pthread_mutex_init(&relay->mutex, NULL);
	cr_assert_eq(pthread_create(&relay->thread, NULL, relay_main, relay), 0);
	return relay;
}

const char *relay_url(const struct relay *relay)
{
	return relay->url;
}

void relay_lose(struct relay *relay, enum relay_loss loss, const char *part, int count,
		relay_hook_fn *hook, void *context)
{
	pthread_mutex_lock(&relay->mutex);
	relay->loss = loss;
	snprintf(relay->part, sizeof relay->part, "%s", part);
	relay->left = count;
	relay->hook = hook;
	relay->context = context;
	pthread_mutex_unlock(&relay->mutex);
}

int relay_seen(struct relay *relay, const char *part)
{
	int seen = 0;
	pthread_mutex_lock(&relay->mutex);
	for (int i = 0; i < relay->path_count; i++)
		seen += strstr(relay->paths[i], part) != NULL;
	pthread_mutex_unlock(&relay->mutex);
	return seen;
}

void relay_stop(struct relay *relay)
{
	pthread_mutex_lock(&relay->mutex);
	relay->stopping = true;
	pthread_mutex_unlock(&relay->mutex);
	pthread_join(relay->thread, NULL);
	close(relay->listener);
	pthread_mutex_destroy(&relay->mutex);
	free(relay);
}
