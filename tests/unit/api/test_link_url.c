/* Addresses of the link: what one says, and which name a certificate must have for it. */
#include "common/defs.h"
#include "api/link_impl.h"

#include <criterion/criterion.h>

Test(link_url, says_host_port_and_whether_it_is_encrypted)
{
	const struct link_tls files = {"ca.pem", "control.pem", "control.key"};
	struct link_url url;
	struct err err = {0};
	cr_assert_eq(link_url_read("tls+tcp://control.example.com:7200", &files, &url, &err), 0,
	             "%s", err.text);
	cr_expect(url.tls);
	cr_expect_str_eq(url.host, "control.example.com");
	cr_expect_eq(url.port, 7200);
	cr_assert_eq(link_url_read("tcp://127.0.0.1:0", &files, &url, &err), 0, "%s", err.text);
	cr_expect_not(url.tls);
	cr_expect_eq(url.port, 0);
}

Test(link_url, wants_all_files_where_it_is_encrypted)
{
	const struct link_tls none = {0}, half = {"ca.pem", "control.pem", NULL};
	struct link_url url;
	struct err err = {0};
	cr_expect_eq(link_url_read("tls+tcp://localhost:1", &none, &url, &err), E_INVALID);
	cr_expect_eq(link_url_read("tls+tcp://localhost:1", &half, &url, &err), E_INVALID);
}

Test(link_url, a_certificate_is_for_a_name)
{
	char name[LINK_NAME_MAX];
	struct err err = {0};
	cr_assert_eq(link_tls_name("control.example.com", name, &err), 0);
	cr_expect_str_eq(name, "control.example.com");
	cr_assert_eq(link_tls_name("127.0.0.1", name, &err), 0);
	cr_expect_str_eq(name, "localhost");
	cr_expect_eq(link_tls_name("10.1.2.3", name, &err), E_INVALID);
	cr_expect_eq(link_tls_name("fd00::1", name, &err), E_INVALID);
}
