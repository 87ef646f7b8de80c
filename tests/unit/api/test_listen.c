/* test_listen.c - addresses to listen on. */
#include "common/defs.h"
#include "api/listen.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

Test(listen, opens_loopback_addresses_and_tells_the_port)
{
	static const char *const good[] = { "127.0.0.1:0", "localhost:0", "127.9.9.9:0" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct err err;
		int fd = -1, port = 0, listening = 0;
		socklen_t len = sizeof listening;
		cr_assert_eq(listen_open(good[i], true, &fd, &port, &err), 0, "%s", err.text);
		cr_expect(port > 0 && port < 65536);
		cr_expect_eq(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len), 0);
		cr_expect(listening);
		close(fd);
	}
}

Test(listen, refuses_other_addresses_where_only_loopback_will_do)
{
	struct err err;
	int fd = -1, port = 0;
	cr_expect_eq(listen_open("0.0.0.0:0", true, &fd, &port, &err), E_INVALID);
	cr_expect(strstr(err.text, "plain HTTP is served on loopback only"), "%s", err.text);
	cr_expect_eq(fd, -1);
	cr_assert_eq(listen_open("0.0.0.0:0", false, &fd, &port, &err), 0, "%s", err.text);
	close(fd);
}

Test(listen, refuses_what_is_no_address)
{
	static const char *const bad[] = {
		NULL, "", "80", "h:", ":80", "h:x", "h:65536", "h:123456", "a:b:80",
		"::1:80", "[]:80"
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err;
		int fd = -1, port = 0;
		cr_expect_eq(listen_open(bad[i], true, &fd, &port, &err), E_INVALID);
		cr_expect(strstr(err.text, "write HOST:PORT"), "%s: %s", bad[i], err.text);
	}
}

Test(listen, tells_when_the_machine_has_no_such_address)
{
	struct err err;
	int fd = -1, port = 0;
	cr_expect_lt(listen_open("203.0.113.7:0", false, &fd, &port, &err), 0);
	cr_expect(strstr(err.text, "203.0.113.7"), "%s", err.text);
}
