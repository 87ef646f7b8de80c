/* cert_pem.c - see cert_pem.h; OpenSSL's errors never leave this file's queue. Invariant: private
 * keys leave OpenSSL's memory into secret memory only. */
#include "common/defs.h"
#include "common/cert_pem.h"

#include "common/cert_x509.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { DAY_S = 86400 };

static void drop_cert(X509 **cert)
{
	X509_free(*cert);
}

static void drop_request(X509_REQ **request)
{
	X509_REQ_free(*request);
}

static void drop_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void drop_bio(BIO **bio)
{
	BIO_free_all(*bio);
}

#define AUTO_CERT __attribute__((cleanup(drop_cert))) X509
#define AUTO_REQUEST __attribute__((cleanup(drop_request))) X509_REQ
#define AUTO_KEY __attribute__((cleanup(drop_key))) EVP_PKEY
#define AUTO_BIO __attribute__((cleanup(drop_bio))) BIO

static int malformed(struct err *err, const char *what)
{
	ERR_clear_error();
	return err_set(err, E_INVALID, "the %s is no PEM text that can be read", what);
}

/* --- text to structures --- */

static int bio_of(const char *text, size_t len, BIO **ret_bio, struct err *err)
{
	*ret_bio = BIO_new_mem_buf(text, (int)len);
	return *ret_bio ? 0 : err_set(err, E_NOMEM, "no memory for a certificate");
}

static int read_cert(const char *pem, size_t len, X509 **ret_cert, struct err *err)
{
	AUTO_BIO *bio = NULL;
	if (len > CERT_PEM_MAX)
		return err_set(err, E_TOO_LARGE, "a certificate may have %d bytes of PEM",
		               CERT_PEM_MAX);
	TRY(bio_of(pem, len, &bio, err));
	*ret_cert = PEM_read_bio_X509(bio, NULL, cert_no_password, NULL);
	return *ret_cert ? 0 : malformed(err, "certificate");
}

static int read_key(const char *pem, size_t len, EVP_PKEY **ret_key, struct err *err)
{
	AUTO_BIO *bio = NULL;
	TRY(bio_of(pem, len, &bio, err));
	*ret_key = PEM_read_bio_PrivateKey(bio, NULL, cert_no_password, NULL);
	return *ret_key ? 0 : malformed(err, "private key");
}

static int read_request(const char *pem, size_t len, X509_REQ **ret_request, struct err *err)
{
	AUTO_BIO *bio = NULL;
	if (len > CERT_REQUEST_MAX)
		return err_set(err, E_TOO_LARGE, "a certificate request may have %d bytes of PEM",
		               CERT_REQUEST_MAX);
	TRY(bio_of(pem, len, &bio, err));
	*ret_request = PEM_read_bio_X509_REQ(bio, NULL, cert_no_password, NULL);
	return *ret_request ? 0 : malformed(err, "certificate request");
}

/* --- structures to text --- */

static int take_text(BIO *bio, struct buf *out, struct err *err)
{
	char *text = NULL;
	long len = BIO_get_mem_data(bio, &text);
	buf_put(out, text, (size_t)len);
	return buf_check(out, err);
}

static int write_cert(X509 *cert, struct buf *out, struct err *err)
{
	AUTO_BIO *bio = BIO_new(BIO_s_mem());
	if (!bio || PEM_write_bio_X509(bio, cert) != 1)
		return cert_failed(err, "write a certificate");
	return take_text(bio, out, err);
}

static int write_key(EVP_PKEY *key, struct secret **ret_key, struct err *err)
{
	AUTO_BIO *bio = BIO_new(BIO_s_secmem());
	char *text = NULL;
	if (!bio || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		return cert_failed(err, "write a private key");
	long len = BIO_get_mem_data(bio, &text);
	int rc = secret_new((size_t)len + 1, ret_key, err);
	if (rc == 0)
		memcpy(secret_data(*ret_key), text, (size_t)len);
	secret_wipe(text, (size_t)len);
	return rc;
}

/* --- making --- */

int cert_authority(const char *name, int days, struct secret **ret_key, struct buf *out,
                   struct err *err)
{
	AUTO_KEY *key = EVP_EC_gen("P-256");
	AUTO_CERT *cert = X509_new();
	AUTO(secret) *text = NULL;
	if (!key || !cert || !cert_begin(cert, name, NULL, key, (int64_t)days * DAY_S) ||
	    !cert_sign_authority(cert, key))
		return cert_failed(err, "make a certificate authority");
	TRY(write_key(key, &text, err));
	TRY(write_cert(cert, out, err));
	*ret_key = MOVE(text);
	return 0;
}

static int write_request(X509_REQ *request, struct buf *out, struct err *err)
{
	AUTO_BIO *bio = BIO_new(BIO_s_mem());
	if (!bio || PEM_write_bio_X509_REQ(bio, request) != 1)
		return cert_failed(err, "write a certificate request");
	return take_text(bio, out, err);
}

int cert_request(const char *name, struct secret **ret_key, struct buf *out, struct err *err)
{
	AUTO_KEY *key = EVP_EC_gen("P-256");
	AUTO_REQUEST *request = X509_REQ_new();
	AUTO(secret) *text = NULL;
	if (!key || !request || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
	    !cert_set_name(X509_REQ_get_subject_name(request), name) ||
	    X509_REQ_set_pubkey(request, key) != 1 ||
	    X509_REQ_sign(request, key, EVP_sha256()) == 0)
		return cert_failed(err, "make a certificate request");
	TRY(write_key(key, &text, err));
	TRY(write_request(request, out, err));
	*ret_key = MOVE(text);
	return 0;
}

/* --- signing --- */

static bool key_allowed(EVP_PKEY *key)
{
	char group[32] = "";
	if (EVP_PKEY_is_a(key, "ED25519"))
		return true;
	return EVP_PKEY_is_a(key, "EC") &&
		EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
		strcmp(group, "prime256v1") == 0;
}

static int request_key(X509_REQ *request, EVP_PKEY **ret_key, struct err *err)
{
	EVP_PKEY *key = X509_REQ_get0_pubkey(request);
	bool allowed = key && key_allowed(key);
	bool holds = allowed && X509_REQ_verify(request, key) == 1;
	ERR_clear_error();
	if (!allowed)
		return err_set(err, E_INVALID, "the certificate request's key must be P-256 or "
		               "Ed25519");
	if (!holds)
		return err_set(err, E_INVALID, "the certificate request is not signed by its own "
		               "key");
	*ret_key = key;
	return 0;
}

static int sign(const struct cert_order *order, X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key,
                struct buf *out, struct err *err)
{
	AUTO_CERT *cert = X509_new();
	const char *uses = order->serves ? "clientAuth,serverAuth" : "clientAuth";
	if (!cert || !cert_begin(cert, order->name, ca, key, order->lifetime_s) ||
	    !cert_extend(cert, ca, NID_basic_constraints, "critical,CA:FALSE") ||
	    !cert_extend(cert, ca, NID_key_usage, "critical,digitalSignature") ||
	    !cert_extend(cert, ca, NID_ext_key_usage, uses) ||
	    !cert_extend(cert, ca, NID_subject_alt_name, order->sans) ||
	    !cert_extend(cert, ca, NID_subject_key_identifier, "hash") ||
	    !cert_extend(cert, ca, NID_authority_key_identifier, "keyid:always") ||
	    X509_sign(cert, ca_key, EVP_sha256()) == 0)
		return cert_failed(err, "sign a certificate");
	return write_cert(cert, out, err);
}

int cert_issue(const struct cert_order *order, const char *request_pem, size_t len,
               struct buf *out, struct err *err)
{
	AUTO_CERT *ca = NULL;
	AUTO_KEY *ca_key = NULL;
	AUTO_REQUEST *request = NULL;
	EVP_PKEY *key = NULL;
	if (order->lifetime_s < CERT_LIFETIME_MIN_S || order->lifetime_s > CERT_LIFETIME_MAX_S)
		return err_set(err, E_INVALID, "a certificate is valid for %d seconds to %d days",
		               CERT_LIFETIME_MIN_S, CERT_LIFETIME_MAX_S / DAY_S);
	TRY(read_request(request_pem, len, &request, err));
	TRY(request_key(request, &key, err));
	TRY(read_cert(order->ca_pem, strlen(order->ca_pem), &ca, err));
	TRY(read_key((const char *)secret_bytes(order->ca_key), secret_len(order->ca_key) - 1,
	             &ca_key, err));
	return sign(order, ca, ca_key, key, out, err);
}

/* --- looking --- */

static int64_t unix_ms(const ASN1_TIME *time)
{
	int days = 0, seconds = 0;
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	bool ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
	ASN1_TIME_free(epoch);
	return ok ? ((int64_t)days * DAY_S + seconds) * 1000 : 0;
}

static bool print_serial(X509 *cert, char out[CERT_SERIAL_LEN + 1])
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get_serialNumber(cert), NULL);
	char *hex = number ? BN_bn2hex(number) : NULL;
	if (hex)
		snprintf(out, CERT_SERIAL_LEN + 1, "%s", hex);
	bool ok = hex != NULL;
	OPENSSL_free(hex);
	BN_free(number);
	return ok;
}

int cert_facts(const char *pem, size_t len, struct cert_facts *ret_facts, struct err *err)
{
	AUTO_CERT *cert = NULL;
	TRY(read_cert(pem, len, &cert, err));
	struct cert_facts facts = {
		.from_ms = unix_ms(X509_get0_notBefore(cert)),
		.until_ms = unix_ms(X509_get0_notAfter(cert)),
	};
	if (!print_serial(cert, facts.serial))
		return cert_failed(err, "read a certificate's number");
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, facts.name,
	                              sizeof facts.name) < 0)
		facts.name[0] = 0;
	*ret_facts = facts;
	return 0;
}

static int check_times(const X509 *cert, struct err *err)
{
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
		return err_set(err, E_EXPIRED, "the certificate has expired");
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0)
		return err_set(err, E_INVALID, "the certificate is not valid yet");
	return 0;
}

int cert_set_check(const struct cert_set *set, struct err *err)
{
	AUTO_CERT *cert = NULL, *ca = NULL;
	AUTO_KEY *key = NULL;
	TRY(read_cert(set->cert, strlen(set->cert), &cert, err));
	TRY(read_key(set->key, strlen(set->key), &key, err));
	if (set->ca)
		TRY(read_cert(set->ca, strlen(set->ca), &ca, err));
	bool pair = X509_check_private_key(cert, key) == 1;
	ERR_clear_error();
	if (!pair)
		return err_set(err, E_INVALID, "the key is not the certificate's");
	return check_times(cert, err);
}
