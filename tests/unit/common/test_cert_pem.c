/* test_cert_pem.c - what the platform's authority signs, and what it does not. */
#include "common/defs.h"
#include "common/cert_pem.h"

#include <criterion/criterion.h>
#include <string.h>

struct authority {
	struct secret *key;
	struct buf pem;
};

static void authority_make(struct authority *ca)
{
	struct err err;
	*ca = (struct authority){ .key = NULL };
	buf_init(&ca->pem, CERT_PEM_MAX);
	cr_assert_eq(crypto_start(&err), 0, "%s", err.text);
	cr_assert_eq(cert_authority("freehold", 30, &ca->key, &ca->pem, &err), 0, "%s", err.text);
	buf_putc(&ca->pem, 0);
}

static void authority_free(struct authority *ca)
{
	secret_free(ca->key);
	buf_release(&ca->pem);
}

static struct cert_order order_of(const struct authority *ca, int64_t lifetime_s)
{
	return (struct cert_order){
		.ca_pem = (char *)ca->pem.data, .ca_key = ca->key, .name = "worker-1",
		.sans = "URI:freehold:worker/worker-1,DNS:localhost", .lifetime_s = lifetime_s,
	};
}

Test(cert_pem, a_request_is_signed_in_the_name_that_the_authority_says)
{
	struct authority ca;
	struct secret *key = NULL;
	AUTO_BUF request, cert;
	struct cert_facts facts;
	struct err err;
	buf_init(&request, CERT_REQUEST_MAX);
	buf_init(&cert, CERT_PEM_MAX);
	authority_make(&ca);
	cr_assert_eq(cert_request("somebody-else", &key, &request, &err), 0, "%s", err.text);
	const struct cert_order order = order_of(&ca, 3600);
	cr_assert_eq(cert_issue(&order, (char *)request.data, request.len, &cert, &err), 0, "%s",
	             err.text);
	cr_assert_eq(cert_facts((char *)cert.data, cert.len, &facts, &err), 0, "%s", err.text);
	cr_expect_str_eq(facts.name, "worker-1");
	cr_expect_eq(strlen(facts.serial), 32);
	cr_expect_eq(facts.until_ms - facts.from_ms, (3600 + 300) * 1000);
	buf_putc(&cert, 0);
	const struct cert_set set = { (char *)ca.pem.data, (char *)cert.data,
		                      (const char *)secret_bytes(key) };
	cr_expect_eq(cert_set_check(&set, &err), 0, "%s", err.text);
	/* another's key does not go with it */
	const struct cert_set wrong = { NULL, (char *)cert.data,
		                        (const char *)secret_bytes(ca.key) };
	cr_expect_eq(cert_set_check(&wrong, &err), E_INVALID);
	secret_free(key);
	authority_free(&ca);
}

Test(cert_pem, a_request_that_was_changed_is_not_signed)
{
	struct authority ca;
	struct secret *key = NULL;
	AUTO_BUF request, cert;
	struct err err;
	buf_init(&request, CERT_REQUEST_MAX);
	buf_init(&cert, CERT_PEM_MAX);
	authority_make(&ca);
	cr_assert_eq(cert_request("w", &key, &request, &err), 0);
	const struct cert_order order = order_of(&ca, 3600);
	int taken = 0;
	for (size_t i = 40; i + 40 < request.len; i += 7) {
		char was = (char)request.data[i];
		request.data[i] = was == 'A' ? 'B' : 'A';
		taken += was != 'A' && was != '\n' &&
			cert_issue(&order, (char *)request.data, request.len, &cert, &err) == 0;
		request.data[i] = (uint8_t)was;
	}
	cr_expect_eq(taken, 0);
	cr_expect_eq(cert_issue(&order, "", 0, &cert, &err), E_INVALID);
	secret_free(key);
	authority_free(&ca);
}

/* openssl req -new -newkey rsa:1024 -nodes -subj /CN=w */
static const char rsa_request[] =
	"-----BEGIN CERTIFICATE REQUEST-----\n"
	"MIIBSzCBtQIBADAMMQowCAYDVQQDDAF3MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB\n"
	"iQKBgQDFKe9zq2mvboim4knczEreHXhlHIFHuuPOmtGdKCACIpsE8l5YlwOL6B34\n"
	"HTO6+I+5TRVlHWdmWJNamVfm4ZKnVvO0qgWS0OYgVd5Zn0dLFWLrSKzJDFMfuhoA\n"
	"n1VxvwufwLwTMCP+u3QVKUqxhK3Hx+6Qd/eUwdvAQl0AkHI3YwIDAQABoAAwDQYJ\n"
	"KoZIhvcNAQELBQADgYEAO4PrURnmLXXqB1KmNX1AkG0we9OJajX/IL3VZ5B3Dzqk\n"
	"aEttWPnqj9rUWDM0LyJALQ9QRwBolBMdgStVCyNLpFaaM27/qZ52+BodoV7eUSb/\n"
	"wXy7nb/+UsHHuvJaibWSb3oY0W6OQGl2KUaB/bYX+c7wGkrMJepm2YTNJAPzGKs=\n"
	"-----END CERTIFICATE REQUEST-----\n";

Test(cert_pem, a_request_with_an_rsa_key_is_not_signed)
{
	struct authority ca;
	AUTO_BUF cert;
	struct err err;
	buf_init(&cert, CERT_PEM_MAX);
	authority_make(&ca);
	const struct cert_order order = order_of(&ca, 3600);
	cr_expect_eq(cert_issue(&order, rsa_request, strlen(rsa_request), &cert, &err), E_INVALID);
	cr_expect_not_null(strstr(err.text, "P-256"), "%s", err.text);
	authority_free(&ca);
}

Test(cert_pem, lifetimes_have_bounds)
{
	struct authority ca;
	struct secret *key = NULL;
	AUTO_BUF request, cert;
	struct err err;
	buf_init(&request, CERT_REQUEST_MAX);
	buf_init(&cert, CERT_PEM_MAX);
	authority_make(&ca);
	cr_assert_eq(cert_request("w", &key, &request, &err), 0);
	static const int64_t bad[] = { 0, -1, CERT_LIFETIME_MIN_S - 1, CERT_LIFETIME_MAX_S + 1 };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct cert_order order = order_of(&ca, bad[i]);
		cr_expect_eq(cert_issue(&order, (char *)request.data, request.len, &cert, &err),
		             E_INVALID);
	}
	secret_free(key);
	authority_free(&ca);
}
