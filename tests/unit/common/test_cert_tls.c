/* TLS over a socket: who shows what is asked is let in, and what is said arrives. */
#include "common/defs.h"
#include "common/cert_tls.h"

#include "tests/support/folder.h"
#include "tests/support/pems.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair {
	int fds[2];
	struct tls_session *server, *client;
};

/* The other side is trusted by what ca_dir says, not by its own folder. */
static int load(const char *ca_dir, const char *dir, const char *name, bool accepts,
                struct cert_tls **ret_tls, struct err *err)
{
	struct pem_paths paths = pems_paths(dir, name);
	memcpy(paths.ca, pems_paths(ca_dir, name).ca, sizeof paths.ca);
	return pems_load(&paths, accepts, ret_tls, err);
}

static struct pair connect_pair(struct cert_tls *server, struct cert_tls *client, const char *name)
{
	struct pair pair;
	struct err err = {0};
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.fds), 0);
	cr_assert_eq(tls_session_new(server, pair.fds[0], NULL, &pair.server, &err), 0);
	cr_assert_eq(tls_session_new(client, pair.fds[1], name, &pair.client, &err), 0);
	return pair;
}

static void drop_pair(struct pair *pair)
{
	tls_session_free(pair->server);
	tls_session_free(pair->client);
	close(pair->fds[0]);
	close(pair->fds[1]);
}

/* Both are done, or one has ended it: that is what it says. */
static enum tls_state shake(struct pair *pair)
{
	enum tls_state server = TLS_WANTS_READ, client = TLS_WANTS_READ;
	for (int i = 0; i < 100 && (server != TLS_DONE || client != TLS_DONE); i++) {
		client = tls_session_shake(pair->client);
		server = tls_session_shake(pair->server);
		if (client == TLS_ENDED || server == TLS_ENDED)
			return TLS_ENDED;
	}
	return server == TLS_DONE && client == TLS_DONE ? TLS_DONE : TLS_WANTS_READ;
}

static enum tls_state shake_between(const char *server_ca, const char *server_dir,
                                    const char *client_ca, const char *client_dir,
                                    const char *name)
{
	struct cert_tls *server = NULL, *client = NULL;
	struct err err = {0};
	cr_assert_eq(load(server_ca, server_dir, "control", true, &server, &err), 0, "%s",
	             err.text);
	cr_assert_eq(load(client_ca, client_dir, "worker", false, &client, &err), 0, "%s",
	             err.text);
	struct pair pair = connect_pair(server, client, name);
	enum tls_state state = shake(&pair);
	drop_pair(&pair);
	cert_tls_free(server);
	cert_tls_free(client);
	return state;
}

Test(cert_tls, only_those_of_each_others_authorities_and_of_the_right_name_shake_hands)
{
	char dir[] = "/tmp/cert-tls-XXXXXX", other[] = "/tmp/cert-tls-XXXXXX";
	pems_both_sides(dir, "DNS:localhost");
	pems_both_sides(other, "DNS:localhost");
	cr_expect_eq(shake_between(dir, dir, dir, dir, "localhost"), TLS_DONE);
	cr_expect_eq(shake_between(dir, dir, dir, dir, "elsewhere.example.com"), TLS_ENDED);
	cr_expect_eq(shake_between(dir, dir, dir, other, "localhost"), TLS_ENDED);
	cr_expect_eq(shake_between(dir, dir, other, dir, "localhost"), TLS_ENDED);
	folder_remove(dir);
	folder_remove(other);
}

/* As many bytes as fit at once, until all have come. */
static void send_through(struct tls_session *from, struct tls_session *to, size_t total)
{
	static uint8_t sent[200000], got[200000];
	size_t written = 0, read = 0, n = 0;
	for (size_t i = 0; i < total; i++)
		sent[i] = (uint8_t)(i * 31 + i / 251);
	for (int i = 0; i < 10000 && read < total; i++) {
		if (written < total &&
		    tls_session_write(from, sent + written, total - written, &n) == TLS_DONE)
			written += n;
		if (tls_session_read(to, got + read, sizeof got - read, &n) == TLS_DONE)
			read += n;
	}
	cr_expect_eq(read, total);
	cr_expect_eq(memcmp(sent, got, total), 0);
}

Test(cert_tls, what_is_written_is_read_and_the_end_is_told)
{
	char dir[] = "/tmp/cert-tls-XXXXXX";
	struct cert_tls *server = NULL, *client = NULL;
	struct err err = {0};
	uint8_t byte;
	size_t n = 1;
	pems_both_sides(dir, "DNS:localhost");
	cr_assert_eq(load(dir, dir, "control", true, &server, &err), 0, "%s", err.text);
	cr_assert_eq(load(dir, dir, "worker", false, &client, &err), 0, "%s", err.text);
	struct pair pair = connect_pair(server, client, "localhost");
	cr_assert_eq(shake(&pair), TLS_DONE);
	cr_expect_eq(tls_session_read(pair.server, &byte, 1, &n), TLS_WANTS_READ);
	cr_expect_eq(n, 0);
	send_through(pair.client, pair.server, 200000);
	send_through(pair.server, pair.client, 1);
	tls_session_bye(pair.client);
	cr_expect_eq(tls_session_read(pair.server, &byte, 1, &n), TLS_ENDED);
	drop_pair(&pair);
	cert_tls_free(server);
	cert_tls_free(client);
	folder_remove(dir);
}

Test(cert_tls, garbage_ends_it)
{
	char dir[] = "/tmp/cert-tls-XXXXXX";
	struct cert_tls *server = NULL;
	struct tls_session *session = NULL;
	struct err err = {0};
	int fds[2];
	pems_both_sides(dir, "DNS:localhost");
	cr_assert_eq(load(dir, dir, "control", true, &server, &err), 0, "%s", err.text);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	cr_assert_eq(tls_session_new(server, fds[0], NULL, &session, &err), 0);
	cr_expect_eq(tls_session_shake(session), TLS_WANTS_READ);
	cr_assert_eq(write(fds[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
	cr_expect_eq(tls_session_shake(session), TLS_ENDED);
	tls_session_free(session);
	cert_tls_free(server);
	close(fds[0]);
	close(fds[1]);
	folder_remove(dir);
}

Test(cert_tls, refuses_texts_that_are_no_certificates_and_keys_of_others)
{
	char dir[] = "/tmp/cert-tls-XXXXXX", path[128], key[8192], other_key[8192], cert[8192];
	const char *const names[] = {"control.key", "worker.key", "control.pem"};
	char *const texts[] = {key, other_key, cert};
	struct cert_tls *tls = NULL;
	struct err err = {0};
	pems_both_sides(dir, "DNS:localhost");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		FILE *file = fopen(path, "r");
		cr_assert_not_null(file);
		texts[i][fread(texts[i], 1, 8191, file)] = 0;
		fclose(file);
	}
	const struct cert_set bad[] = {
		{"", cert, key}, {"no authority", cert, key}, {cert, "no certificate", key},
		{cert, cert, "no key"}, {cert, cert, other_key}, {cert, key, cert},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(cert_tls_new(&bad[i], true, &tls, &err), E_INVALID, "set %zu", i);
		cr_expect_null(tls);
	}
	folder_remove(dir);
}
