/* A tunnel: what goes in at one end comes out at the other, for those who may use it. */
#include "common/defs.h"
#include "api/tunnel.h"
#include "api/tunnel_impl.h"

#include "common/clock.h"
#include "tests/support/folder.h"
#include "tests/support/pems.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGE = 3 * 1024 * 1024 + 17, WAIT_MS = 30000 };

/* A listener in place of nng's, a tunnel that accepts before it, and one that goes there. */
struct way {
	char dir[64];
	int listener;
	struct cert_tls *server_tls, *client_tls;
	struct tunnel *in, *out;
};

static struct cert_tls *load(const char *dir, const char *name, bool accepts)
{
	const struct pem_paths paths = pems_paths(dir, name);
	struct cert_tls *tls = NULL;
	struct err err = {0};
	cr_assert_eq(pems_load(&paths, accepts, &tls, &err), 0, "%s", err.text);
	return tls;
}

static struct tunnel *dig(const struct tunnel_conf *conf, struct cert_tls *tls)
{
	struct tunnel *tunnel = NULL;
	struct err err = {0};
	cr_assert_eq(tunnel_new(conf, tls, &tunnel, &err), 0, "%s", err.text);
	return tunnel;
}

static void way_open(struct way *way)
{
	struct err err = {0};
	snprintf(way->dir, sizeof way->dir, "/tmp/tunnel-XXXXXX");
	pems_both_sides(way->dir, "DNS:localhost");
	way->server_tls = load(way->dir, "control", true);
	way->client_tls = load(way->dir, "worker", false);
	cr_assert_eq(end_listen("127.0.0.1", 0, &way->listener, &err), 0, "%s", err.text);
	const struct tunnel_conf in = {
		.accepts = true, .host = "127.0.0.1", .plain_port = end_port(way->listener),
	};
	way->in = dig(&in, way->server_tls);
	const struct tunnel_conf out = {
		.host = "127.0.0.1", .port = tunnel_port(way->in), .name = "localhost",
	};
	way->out = dig(&out, way->client_tls);
}

static void way_close(struct way *way)
{
	tunnel_free(way->out);
	tunnel_free(way->in);
	cert_tls_free(way->server_tls);
	cert_tls_free(way->client_tls);
	close(way->listener);
	folder_remove(way->dir);
}

static bool wait_for(int fd, short what)
{
	struct pollfd poll_fd = {fd, what, 0};
	return poll(&poll_fd, 1, WAIT_MS) == 1;
}

static void block(int fd)
{
	cr_assert_geq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), 0);
}

static int call_port(int port)
{
	int fd = end_call("127.0.0.1", port, 0);
	cr_assert_geq(fd, 0);
	block(fd);
	cr_assert(wait_for(fd, POLLOUT));
	return fd;
}

static int take_call(const struct way *way)
{
	cr_assert(wait_for(way->listener, POLLIN), "nothing comes out of the tunnel");
	int fd = end_accept(way->listener);
	cr_assert_geq(fd, 0);
	block(fd);
	return fd;
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

struct sender {
	int fd;
	size_t len;
};

static void *send_all(void *arg)
{
	const struct sender *sender = arg;
	uint8_t *data = malloc(sender->len);
	for (size_t i = 0; i < sender->len; i++)
		data[i] = byte_at(i);
	size_t sent = 0;
	for (ssize_t n = 1; n > 0 && sent < sender->len; sent += n > 0 ? (size_t)n : 0)
		n = send(sender->fd, data + sent, sender->len - sent, MSG_NOSIGNAL);
	free(data);
	return NULL;
}

/* It begins to read when the tunnel is full already. */
static void receive_all(int fd, size_t len)
{
	uint8_t data[4096];
	size_t got = 0;
	bool same = true;
	for (ssize_t n = 1; n > 0 && got < len;) {
		cr_assert(wait_for(fd, POLLIN), "%zu of %zu bytes came", got, len);
		n = recv(fd, data, sizeof data, 0);
		for (ssize_t i = 0; i < n; i++)
			same &= data[i] == byte_at(got + (size_t)i);
		got += n > 0 ? (size_t)n : 0;
	}
	cr_expect_eq(got, len);
	cr_expect(same, "other bytes came than were sent");
}

Test(tunnel, hands_on_every_byte_in_both_directions_at_once)
{
	struct way way;
	way_open(&way);
	int near = call_port(tunnel_port(way.out)), far = take_call(&way);
	struct sender senders[] = {{near, LARGE}, {far, LARGE}};
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, send_all, &senders[i]);
	receive_all(far, LARGE);
	receive_all(near, LARGE);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	close(near);
	close(far);
	way_close(&way);
}

static bool ends(int fd)
{
	uint8_t byte;
	return wait_for(fd, POLLIN) && recv(fd, &byte, 1, 0) <= 0;
}

Test(tunnel, an_end_at_either_side_ends_the_other)
{
	struct way way;
	way_open(&way);
	int near = call_port(tunnel_port(way.out)), far = take_call(&way);
	close(near);
	cr_expect(ends(far));
	close(far);
	near = call_port(tunnel_port(way.out));
	far = take_call(&way);
	close(far);
	cr_expect(ends(near));
	close(near);
	way_close(&way);
}

Test(tunnel, tells_where_a_connection_comes_from_and_knows_no_others)
{
	struct way way;
	struct sockaddr_in at;
	socklen_t len = sizeof at;
	char peer[TUNNEL_PEER_LEN];
	way_open(&way);
	int near = call_port(tunnel_port(way.out)), far = take_call(&way);
	cr_assert_eq(send(near, "", 1, MSG_NOSIGNAL), 1);    /* it is known when something comes */
	cr_assert_eq(recv(far, peer, 1, 0), 1);
	cr_assert_eq(getpeername(far, (struct sockaddr *)&at, &len), 0);
	cr_expect(tunnel_peer(way.in, ntohs(at.sin_port), peer));
	cr_expect_eq(strncmp(peer, "127.0.0.1:", 10), 0, "%s", peer);
	cr_expect_not(tunnel_peer(way.in, end_port(way.listener), peer));
	cr_expect_not(tunnel_peer(way.in, 0, peer));
	cr_expect_not(tunnel_peer(way.in, 70000, peer));
	close(near);
	cr_expect(ends(far));
	close(far);
	way_close(&way);
}

/* Another process of this machine would come to control under this one's name. */
Test(tunnel, no_other_process_may_use_it)
{
	struct way way;
	int status = 0;
	way_open(&way);
	pid_t child = fork();
	if (child == 0) {
		uint8_t byte;
		struct sockaddr_in at = {.sin_family = AF_INET};
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		at.sin_port = htons((uint16_t)tunnel_port(way.out));
		at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
			_exit(3);
		_exit(recv(fd, &byte, 1, 0) <= 0 ? 0 : 4);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	int near = call_port(tunnel_port(way.out)), far = take_call(&way);
	cr_expect_eq(end_accept(way.listener), -1, "the other process came through");
	close(near);
	close(far);
	way_close(&way);
}

static void speak_in_the_clear(const struct way *way)
{
	int fd = call_port(tunnel_port(way->in));
	cr_assert_eq(send(fd, "hello, let me in\n\n", 18, MSG_NOSIGNAL), 18);
	uint8_t bytes[256];
	for (ssize_t n = 1; n > 0;) {
		cr_assert(wait_for(fd, POLLIN));
		n = recv(fd, bytes, sizeof bytes, 0);
	}
	close(fd);
}

Test(tunnel, who_shows_no_good_certificate_comes_no_further)
{
	struct way way;
	char other[] = "/tmp/tunnel-XXXXXX", why[TUNNEL_WHY_LEN];
	way_open(&way);
	pems_both_sides(other, "DNS:localhost");
	speak_in_the_clear(&way);
	struct cert_tls *strange = load(other, "worker", false);
	const struct tunnel_conf conf = {
		.host = "127.0.0.1", .port = tunnel_port(way.in), .name = "localhost",
	};
	struct tunnel *stranger = dig(&conf, strange);
	int fd = call_port(tunnel_port(stranger));
	cr_expect(ends(fd));
	close(fd);
	cr_expect_eq(end_accept(way.listener), -1);
	tunnel_why(stranger, why);
	cr_expect_neq(why[0], '\0', "it does not say why");
	tunnel_free(stranger);
	cert_tls_free(strange);
	folder_remove(other);
	way_close(&way);
}

Test(tunnel, says_of_a_port_that_is_taken_or_a_host_that_is_not_here)
{
	struct way way;
	struct tunnel *tunnel = NULL;
	struct err err = {0};
	way_open(&way);
	struct tunnel_conf conf = {
		.accepts = true, .host = "127.0.0.1", .port = tunnel_port(way.in),
		.plain_port = end_port(way.listener),
	};
	cr_expect_eq(tunnel_new(&conf, way.server_tls, &tunnel, &err), E_CONFLICT, "%s", err.text);
	conf.host = "192.0.2.1";
	cr_expect_eq(tunnel_new(&conf, way.server_tls, &tunnel, &err), E_INVALID, "%s", err.text);
	cr_expect_null(tunnel);
	way_close(&way);
}
