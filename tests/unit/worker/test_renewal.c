/* test_renewal.c - when a certificate is renewed, and that its file is taken up. */
#include "common/defs.h"
#include "worker/renewal.h"

#include <criterion/criterion.h>

Test(renewal, is_due_when_a_third_of_the_time_is_left)
{
	cr_expect_eq(renewal_due_ms(0, 3000), 2000);
	cr_expect_eq(renewal_due_ms(1000, 1000 + 86400000), 1000 + 57600000);
}

Test(renewal, a_worker_without_certificates_has_nothing_to_renew)
{
	static const char *const urls[] = { "inproc://renewal-none", NULL };
	const struct peer_conf with = { .link = { .urls = urls }, .worker = "w1",
	                                .incarnation = 1 };
	struct peer *peer = NULL;
	struct renewal *renewal = NULL;
	struct err err;
	cr_assert_eq(peer_new(&with, &peer, &err), 0, "%s", err.text);
	const struct renewal_conf conf = { .peer = peer, .name = "w1" };
	cr_assert_eq(renewal_new(&conf, &renewal, &err), 0, "%s", err.text);
	renewal_free(renewal);
	peer_free(peer);
}
