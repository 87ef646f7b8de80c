/* test_cert_x509.c - certificates and keys that are kept under a password: whoever reads them does
 * without, even where somebody is there to be asked. */
#include "common/defs.h"
#include "common/cert_x509.h"

#include "common/cert.h"
#include "tests/support/folder.h"
#include "tests/support/pems.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <openssl/ui.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 8192 };
#define PASSWORD "open sesame"

/* Of a file that the test has made, in the clear and under the password. */
struct sealed { char clear[TEXT_MAX], text[TEXT_MAX]; };

static void take(BIO *bio, char out[TEXT_MAX])
{
	int n = BIO_read(bio, out, TEXT_MAX - 1);
	cr_assert_gt(n, 0);
	out[n] = 0;
	BIO_free(bio);
}

static BIO *open_file(const char *path, char clear[TEXT_MAX])
{
	FILE *file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	clear[fread(clear, 1, TEXT_MAX - 1, file)] = 0;
	fclose(file);
	BIO *bio = BIO_new_mem_buf(clear, -1);
	cr_assert_not_null(bio);
	return bio;
}

static void seal_cert(const char *path, struct sealed *sealed)
{
	BIO *from = open_file(path, sealed->clear), *to = BIO_new(BIO_s_mem());
	X509 *cert = PEM_read_bio_X509(from, NULL, NULL, NULL);
	cr_assert_not_null(cert);
	cr_assert_eq(PEM_ASN1_write_bio((i2d_of_void *)i2d_X509, PEM_STRING_X509, to, cert,
	                                EVP_aes_256_cbc(), (const unsigned char *)PASSWORD,
	                                sizeof PASSWORD - 1, NULL, NULL), 1);
	X509_free(cert);
	BIO_free(from);
	take(to, sealed->text);
}

static void seal_key(const char *path, struct sealed *sealed)
{
	BIO *from = open_file(path, sealed->clear), *to = BIO_new(BIO_s_mem());
	EVP_PKEY *key = PEM_read_bio_PrivateKey(from, NULL, NULL, NULL);
	cr_assert_not_null(key);
	cr_assert_eq(PEM_write_bio_PrivateKey(to, key, EVP_aes_256_cbc(),
	                                      (const unsigned char *)PASSWORD,
	                                      sizeof PASSWORD - 1, NULL, NULL), 1);
	EVP_PKEY_free(key);
	BIO_free(from);
	take(to, sealed->text);
}

static int asked;

static int answer(UI *ui, UI_STRING *string)
{
	asked++;
	return UI_set_result(ui, string, PASSWORD) == 0;
}

/* In place of the terminal: somebody who knows it. */
static UI_METHOD *let_somebody_answer(void)
{
	UI_METHOD *method = UI_create_method("somebody");
	cr_assert(method && UI_method_set_reader(method, answer) == 0);
	UI_set_default_method(method);
	return method;
}

static bool opens_when_asked(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	bool opened = cert != NULL;
	X509_free(cert);
	BIO_free(bio);
	return opened;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file, "%s", path);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
}

Test(cert_x509, what_is_under_a_password_is_refused_and_nobody_is_asked_for_it)
{
	static struct sealed ca, cert, key;
	char dir[] = "/tmp/test-x509-XXXXXX";
	struct cert_facts facts;
	struct cert_tls *tls = NULL;
	struct err err = { 0 };
	pems_both_sides(dir, "DNS:localhost");
	const struct pem_paths paths = pems_paths(dir, "control");
	seal_cert(paths.ca, &ca);
	seal_cert(paths.cert, &cert);
	seal_key(paths.key, &key);
	UI_METHOD *somebody = let_somebody_answer();
	cr_assert(opens_when_asked(cert.text) && asked == 1, "nobody is there to be asked");
	const struct cert_set sets[] = {
		{ ca.text, cert.clear, key.clear }, { ca.clear, cert.text, key.clear },
		{ ca.clear, cert.clear, key.text },
	};
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		cr_expect_eq(cert_set_check(&sets[i], &err), E_INVALID, "set %zu", i);
		cr_expect_eq(cert_tls_new(&sets[i], true, &tls, &err), E_INVALID, "set %zu", i);
	}
	cr_expect_eq(cert_facts(cert.text, strlen(cert.text), &facts, &err), E_INVALID);
	write_file(paths.cert, cert.text);
	cr_expect_eq(cert_make(dir, "control", "DNS:localhost", 30, &err), E_CORRUPT);
	write_file(paths.cert, cert.clear);
	write_file(paths.key, key.text);
	cr_expect_eq(cert_make(dir, "control", "DNS:localhost", 30, &err), E_CORRUPT);
	cr_expect_eq(asked, 1);
	UI_set_default_method(NULL);
	UI_destroy_method(somebody);
	folder_remove(dir);
}
