/* test_issuers.c - where this process may be sent by what a tenant says of its issuer. */
#include "common/defs.h"
#include "control/issuers.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_at(int *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof at;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	cr_assert_eq(listen(fd, 4), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static bool is_called(int fd, int ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	return poll(&ready, 1, ms) == 1;
}

static int ask(const char *networks, int port, bool wait, struct issuers **ret_issuers)
{
	const struct issuers_conf conf = {.clock = clock_system(), .networks = networks};
	char url[64];
	struct jwks *jwks = NULL;
	struct err err = {0};
	snprintf(url, sizeof url, "https://127.0.0.1:%d", port);
	const struct issuer issuer = {.id = "acme/corp", .url = url, .may_wait = wait};
	cr_assert_eq(issuers_new(&conf, ret_issuers, &err), 0, "%s", err.text);
	return issuers_find(*ret_issuers, &issuer, "k1", SIGNATURE_ES256, &jwks, &err);
}

Test(issuers, an_address_inside_is_not_called_unless_the_operator_says_so)
{
	struct issuers *issuers = NULL;
	int port = 0, fd = listen_at(&port);
	cr_expect_eq(ask(NULL, port, true, &issuers), E_UNAVAILABLE);
	cr_expect_not(is_called(fd, 0), "a tenant has sent control to a port of its machine");
	issuers_free(issuers);
	cr_expect_eq(ask("127.0.0.0/8", port, false, &issuers), E_UNAVAILABLE);
	cr_expect(is_called(fd, 20000));
	close(fd);
	issuers_free(issuers);
}

Test(issuers, networks_are_ranges)
{
	const struct issuers_conf conf = {.clock = clock_system(), .networks = "10.0.0.1/8"};
	struct issuers *issuers = NULL;
	struct err err = {0};
	cr_expect_eq(issuers_new(&conf, &issuers, &err), E_INVALID);
	cr_expect(strstr(err.text, "--issuer-networks"), "%s", err.text);
}
