/* test_cert.c - certificates that OpenSSL itself accepts, are left alone while good, and renewed.
 */
#include "common/defs.h"
#include "common/cert.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void start(void)
{
	strcpy(dir, "/tmp/test-cert-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void stop(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(cert, .init = start, .fini = stop);

#define SANS "DNS:localhost, IP:127.0.0.1"

static const char *at(const char *file, char out[128])
{
	snprintf(out, 128, "%s/%s", dir, file);
	return out;
}

static X509 *load(const char *file)
{
	char path[128];
	FILE *in = fopen(at(file, path), "r");
	cr_assert_not_null(in, "%s", path);
	X509 *cert = PEM_read_X509(in, NULL, NULL, NULL);
	fclose(in);
	cr_assert_not_null(cert);
	return cert;
}

static EVP_PKEY *load_key(const char *file)
{
	char path[128];
	FILE *in = fopen(at(file, path), "r");
	cr_assert_not_null(in);
	EVP_PKEY *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
	fclose(in);
	cr_assert_not_null(key);
	return key;
}

static void content(const char *file, char out[4096])
{
	char path[128];
	FILE *in = fopen(at(file, path), "r");
	cr_assert_not_null(in);
	out[fread(out, 1, 4095, in)] = 0;
	fclose(in);
}

/* The whole chain, as a TLS peer checks it. */
static bool trusted(const char *file, int purpose, const char *host)
{
	X509 *ca = load("ca.pem"), *leaf = load(file);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(check, store, leaf, NULL);
	X509_STORE_CTX_set_purpose(check, purpose);
	X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(check), X509_V_FLAG_X509_STRICT);
	bool ok = X509_verify_cert(check) == 1 &&
		  (!host || X509_check_host(leaf, host, 0, 0, NULL) == 1);
	X509_STORE_CTX_free(check);
	X509_STORE_free(store);
	X509_free(leaf);
	X509_free(ca);
	return ok;
}

static void make(void)
{
	struct err err;
	cr_assert_eq(cert_make_ca(dir, "freehold-dev", 3650, &err), 0, "%s", err.text);
	cr_assert_eq(cert_make(dir, "control", SANS, 90, &err), 0, "%s", err.text);
}

Test(cert, a_peer_trusts_what_the_authority_signed)
{
	make();
	cr_expect(trusted("control.pem", X509_PURPOSE_SSL_SERVER, "localhost"));
	cr_expect(trusted("control.pem", X509_PURPOSE_SSL_CLIENT, NULL));
	cr_expect_not(trusted("control.pem", X509_PURPOSE_SSL_SERVER, "example.org"));
	X509 *leaf = load("control.pem");
	cr_expect_eq(X509_check_ip_asc(leaf, "127.0.0.1", 0), 1);
	cr_expect_eq(X509_check_ca(leaf), 0, "a leaf signs nothing");
	X509_free(leaf);
}

Test(cert, the_keys_are_the_owners_alone_and_on_p256)
{
	char path[128];
	struct stat st;
	make();
	cr_assert_eq(stat(at("ca.key", path), &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(stat(at("control.key", path), &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	EVP_PKEY *key = load_key("control.key");
	char group[32];
	cr_expect_eq(EVP_PKEY_get_group_name(key, group, sizeof group, NULL), 1);
	cr_expect_str_eq(group, "prime256v1");
	EVP_PKEY_free(key);
}

Test(cert, what_is_good_is_left_alone)
{
	char ca[4096], leaf[4096], again[4096];
	make();
	content("ca.pem", ca);
	content("control.pem", leaf);
	make();
	content("ca.pem", again);
	cr_expect_str_eq(ca, again);
	content("control.pem", again);
	cr_expect_str_eq(leaf, again);
}

/* Signs control.pem again with other dates, in days from now. */
static void set_dates(const char *file, int from, int to)
{
	char path[128];
	X509 *cert = load(file);
	EVP_PKEY *key = load_key("ca.key");
	X509_gmtime_adj(X509_getm_notBefore(cert), from * 86400L);
	X509_gmtime_adj(X509_getm_notAfter(cert), to * 86400L);
	cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
	FILE *out = fopen(at(file, path), "w");
	PEM_write_X509(out, cert);
	fclose(out);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static bool renewed(void)
{
	char before[4096], after[4096];
	struct err err;
	content("control.pem", before);
	cr_assert_eq(cert_make(dir, "control", SANS, 90, &err), 0, "%s", err.text);
	content("control.pem", after);
	cr_expect(trusted("control.pem", X509_PURPOSE_SSL_SERVER, "localhost"));
	return strcmp(before, after) != 0;
}

Test(cert, is_renewed_when_less_than_a_third_of_its_time_is_left)
{
	make();
	set_dates("control.pem", -59, 31);
	cr_expect_not(renewed(), "31 of 90 days left");
	set_dates("control.pem", -61, 29);
	cr_expect(renewed(), "29 of 90 days left");
	set_dates("control.pem", -90, -1);
	cr_expect(renewed(), "expired");
}

Test(cert, is_renewed_for_another_name_authority_or_key)
{
	char path[128], other[128];
	struct err err;
	make();
	cr_assert_eq(cert_make(dir, "control", "DNS:example.org", 90, &err), 0);
	cr_expect(trusted("control.pem", X509_PURPOSE_SSL_SERVER, "example.org"));
	cr_expect(renewed(), "back to localhost");
	cr_assert_eq(cert_make(dir, "worker", NULL, 90, &err), 0);
	cr_assert_eq(rename(at("worker.key", path), at("control.key", other)), 0);
	cr_expect(renewed(), "its key is another");
	cr_assert_eq(unlink(at("control.key", path)), 0);
	cr_expect(renewed(), "its key is gone");
	cr_assert_eq(unlink(at("ca.pem", path)), 0);
	make();
	cr_expect(trusted("control.pem", X509_PURPOSE_SSL_SERVER, "localhost"), "a new authority");
}

Test(cert, an_expired_authority_is_made_anew)
{
	struct err err;
	make();
	set_dates("ca.pem", -10, -1);
	cr_expect_eq(cert_make(dir, "worker", NULL, 90, &err), E_EXPIRED);
	make();
	cr_expect(trusted("control.pem", X509_PURPOSE_SSL_SERVER, "localhost"));
}

Test(cert, lives_no_longer_than_its_authority)
{
	struct err err;
	cr_assert_eq(cert_make_ca(dir, "short", 5, &err), 0);
	cr_assert_eq(cert_make(dir, "control", NULL, 90, &err), 0);
	X509 *ca = load("ca.pem"), *leaf = load("control.pem");
	cr_expect_eq(ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(ca)), 0);
	X509_free(ca);
	X509_free(leaf);
}

static void write_text(const char *file, const char *text)
{
	char path[128];
	FILE *out = fopen(at(file, path), "w");
	fputs(text, out);
	fclose(out);
}

Test(cert, a_damaged_authority_is_named_and_not_replaced)
{
	char path[128], text[4096];
	struct err err;
	make();
	cr_assert_eq(rename(at("control.key", path), at("ca.key", text)), 0);
	cr_expect_eq(cert_make_ca(dir, "freehold-dev", 90, &err), E_CORRUPT);
	cr_expect_not_null(strstr(err.text, "not the key of ca.pem"), "%s", err.text);
	write_text("ca.key", "no key");
	cr_expect_eq(cert_make_ca(dir, "freehold-dev", 90, &err), E_CORRUPT);
	cr_assert_eq(unlink(at("ca.key", path)), 0);
	cr_expect_eq(cert_make_ca(dir, "freehold-dev", 90, &err), E_CONFLICT);
	write_text("ca.pem", "no certificate");
	cr_expect_eq(cert_make_ca(dir, "freehold-dev", 90, &err), E_CORRUPT);
	content("ca.pem", text);
	cr_expect_str_eq(text, "no certificate");
}

Test(cert, without_an_authority_nothing_is_signed)
{
	struct err err;
	cr_expect_eq(cert_make(dir, "control", NULL, 90, &err), E_NOT_FOUND);
}

Test(cert, odd_names_days_and_alternatives_are_refused)
{
	static const char *const names[] = { "", "../x", "a/b", ".hidden", "a b" };
	static const char *const sans[] = {
		"", "email:a@b", "DNS:a,dirName:x", "DNS:a,", "@section", "DNS:a\nb",
		"IP:not-an-address", "URI:x",
	};
	struct err err;
	make();
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		cr_expect_eq(cert_make(dir, names[i], NULL, 90, &err), E_INVALID, "%s", names[i]);
	for (size_t i = 0; i < ARRAY_LEN(sans); i++)
		cr_expect_eq(cert_make(dir, "worker", sans[i], 90, &err), E_INVALID, "%zu", i);
	cr_expect_eq(cert_make(dir, "ca", NULL, 90, &err), E_INVALID);
	cr_expect_eq(cert_make(dir, "worker", NULL, 0, &err), E_INVALID);
	cr_expect_eq(cert_make_ca(dir, "x", 40000, &err), E_INVALID);
}

Test(cert, a_missing_folder_is_an_error)
{
	struct err err;
	cr_expect_eq(cert_make_ca("/tmp/no/such/folder", "x", 90, &err), E_NOT_FOUND, "%s",
		     err.text);
}
