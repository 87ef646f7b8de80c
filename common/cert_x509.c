/* cert_x509.c - see cert_x509.h. */
#include "common/defs.h"
#include "common/cert_x509.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

enum { SKEW_S = 300, SERIAL_BITS = 127 };

int cert_failed(struct err *err, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	ERR_clear_error();
	return err_set(err, E_INTERNAL, "cannot %s: %s", what,
	               reason ? reason : "OpenSSL gives no reason");
}

int cert_no_password(char *buf, int size, int writing, void *context)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)context;
	return 0;
}

bool cert_set_name(X509_NAME *name, const char *common_name)
{
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	                                  (const unsigned char *)common_name, -1, -1, 0) == 1;
}

static bool set_serial(X509 *cert)
{
	BIGNUM *number = BN_new();
	bool ok = number &&
		BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return ok;
}

static bool set_times(X509 *cert, const X509 *issuer, int64_t lifetime_s)
{
	/* Clocks differ; but a short life is not to look half over when it begins. */
	int64_t skew_s = lifetime_s / 10 < SKEW_S ? lifetime_s / 10 : SKEW_S;
	if (!X509_gmtime_adj(X509_getm_notBefore(cert), -(long)skew_s) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), (long)lifetime_s))
		return false;
	if (!issuer ||
	    ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(issuer)) <= 0)
		return true;
	return X509_set1_notAfter(cert, X509_get0_notAfter(issuer)) == 1;
}

bool cert_begin(X509 *cert, const char *name, const X509 *issuer, EVP_PKEY *key,
                int64_t lifetime_s)
{
	return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
		cert_set_name(X509_get_subject_name(cert), name) &&
		set_times(cert, issuer, lifetime_s) && X509_set_pubkey(cert, key) == 1 &&
		X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert)) == 1;
}

bool cert_extend(X509 *cert, X509 *issuer, int nid, const char *text)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
	bool ok = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

bool cert_sign_authority(X509 *cert, EVP_PKEY *key)
{
	return cert_extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		cert_extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
		cert_extend(cert, cert, NID_subject_key_identifier, "hash") &&
		X509_sign(cert, key, EVP_sha256()) != 0;
}
