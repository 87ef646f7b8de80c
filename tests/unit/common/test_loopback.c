/* test_loopback.c - what may go in the clear. */
#include "common/defs.h"
#include "common/loopback.h"

#include <criterion/criterion.h>
#include <string.h>

Test(loopback, only_this_machines_own_addresses_may_go_in_the_clear)
{
	static const char *const good[] = {
		"http://127.0.0.1:2379", "http://127.9.9.9", "http://localhost:1/x",
		"http://[::1]:2",
		"https://example.com", "https://10.0.0.1:2379",
	};
	static const char *const bad[] = {
		"http://example.com", "http://10.0.0.1:2379", "http://0.0.0.0:2379",
		"http://[::]:1",
		"http://localhost.example.com", "http://127.0.0.1.example.com", "http://",
		"ftp://x",
		"http://127.0.0.1@example.com", "http://[::1", "http://128.0.0.1", "127.0.0.1:1",
	};
	struct err err;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect_eq(loopback_check_url("--etcd", good[i], &err), 0, "%s: %s", good[i],
		             err.text);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_expect_eq(loopback_check_url("--etcd", bad[i], &err), E_INVALID, "%s", bad[i]);
		cr_expect_not_null(strstr(err.text, "--etcd"));
	}
}
