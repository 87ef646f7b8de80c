/* cert_signature.c - see cert_signature.h. A key knows the one algorithm that it is for: nobody can
 * have it used with another. */
#include "common/defs.h"
#include "common/cert_signature.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

enum {
	RSA_BITS_LEAST = 2048, RSA_BITS_MOST = 8192, EXPONENT_BITS_MOST = 64,
	P256_BYTES = 32, P256_DER_MOST = 80, ED25519_BYTES = 32
};

struct signature_key {
	enum signature_kind kind;
	EVP_PKEY *pkey;
};

static const char *const names[SIGNATURE_KINDS_] = { "RS256", "ES256", "EdDSA" };

const char *signature_name(enum signature_kind kind)
{
	return (unsigned)kind < SIGNATURE_KINDS_ ? names[kind] : "none";
}

bool signature_by_name(const char *name, enum signature_kind *ret_kind)
{
	for (int i = 0; name && i < SIGNATURE_KINDS_; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*ret_kind = (enum signature_kind)i;
		return true;
	}
	return false;
}

void signature_key_free(struct signature_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum signature_kind signature_key_kind(const struct signature_key *key)
{
	return key->kind;
}

/* The library's own reasons are not for callers; its queue is left empty. */
static int refuse(const char *what, struct err *err)
{
	ERR_clear_error();
	return err_set(err, E_INVALID, "%s", what);
}

static int wrap(enum signature_kind kind, EVP_PKEY *pkey, struct signature_key **ret_key,
                struct err *err)
{
	struct signature_key *key = calloc(1, sizeof *key);
	if (!key) {
		EVP_PKEY_free(pkey);
		return err_set(err, E_NOMEM, "no memory for a public key");
	}
	key->kind = kind;
	key->pkey = pkey;
	*ret_key = key;
	return 0;
}

/* A public key out of its parameters, which it takes over; NULL when they make none. */
static EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;
	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return pkey;
}

/* --- RSA --- */

static bool rsa_fits(const BIGNUM *n, const BIGNUM *e)
{
	int bits = BN_num_bits(n);
	return bits >= RSA_BITS_LEAST && bits <= RSA_BITS_MOST && BN_is_odd(n) && BN_is_odd(e) &&
		!BN_is_one(e) && BN_num_bits(e) <= EXPONENT_BITS_MOST;
}

static EVP_PKEY *rsa_build(const BIGNUM *n, const BIGNUM *e)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;
	if (builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		pkey = build("RSA", builder);
	OSSL_PARAM_BLD_free(builder);
	return pkey;
}

int signature_key_rsa(struct bytes modulus, struct bytes exponent, struct signature_key **ret_key,
                      struct err *err)
{
	static const char what[] = "an RSA key has a modulus of 2048 to 8192 bits and an odd "
		"exponent of at most 64";
	if (modulus.len > RSA_BITS_MOST / 8 + 1 || exponent.len > EXPONENT_BITS_MOST / 8 + 1)
		return refuse(what, err);
	BIGNUM *n = BN_bin2bn(modulus.data, (int)modulus.len, NULL);
	BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.len, NULL);
	EVP_PKEY *pkey = n && e && rsa_fits(n, e) ? rsa_build(n, e) : NULL;
	BN_free(n);
	BN_free(e);
	return pkey ? wrap(SIGNATURE_RS256, pkey, ret_key, err) : refuse(what, err);
}

/* --- P-256 --- */

static bool on_curve(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool is = ctx && EVP_PKEY_public_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	return is;
}

int signature_key_p256(struct bytes x, struct bytes y, struct signature_key **ret_key,
                       struct err *err)
{
	uint8_t point[1 + 2 * P256_BYTES] = { 4 };       /* not compressed */
	EVP_PKEY *pkey = NULL;
	if (x.len != P256_BYTES || y.len != P256_BYTES)
		return refuse("a key of P-256 has coordinates of 32 bytes", err);
	memcpy(point + 1, x.data, P256_BYTES);
	memcpy(point + 1 + P256_BYTES, y.data, P256_BYTES);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	if (builder &&
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
	                                     sizeof point) == 1)
		pkey = build("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	if (pkey && on_curve(pkey))
		return wrap(SIGNATURE_ES256, pkey, ret_key, err);
	EVP_PKEY_free(pkey);
	return refuse("the coordinates are no point of P-256", err);
}

/* --- Ed25519 --- */

int signature_key_ed25519(struct bytes x, struct signature_key **ret_key, struct err *err)
{
	if (x.len != ED25519_BYTES)
		return refuse("a key of Ed25519 has 32 bytes", err);
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.len);
	return pkey ? wrap(SIGNATURE_EDDSA, pkey, ret_key, err)
	            : refuse("the bytes are no key of Ed25519", err);
}

/* --- verifying --- */

static bool verify(const struct signature_key *key, const EVP_MD *md, struct bytes data,
                   struct bytes signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key->pkey) == 1 &&
		EVP_DigestVerify(ctx, signature.data, signature.len, data.data, data.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/* JWS carries r and s side by side; OpenSSL takes them as DER. */
static bool verify_es256(const struct signature_key *key, struct bytes data,
                         struct bytes signature)
{
	uint8_t der[P256_DER_MOST], *at = der;
	if (signature.len != 2 * P256_BYTES)
		return false;
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature.data, P256_BYTES, NULL);
	BIGNUM *s = BN_bin2bn(signature.data + P256_BYTES, P256_BYTES, NULL);
	int len = -1;
	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
		r = s = NULL;                            /* the pair's now */
		if (i2d_ECDSA_SIG(pair, NULL) <= P256_DER_MOST)
			len = i2d_ECDSA_SIG(pair, &at);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	return len > 0 && verify(key, EVP_sha256(), data,
	                         (struct bytes){ der, (size_t)len });
}

bool signature_verify(const struct signature_key *key, struct bytes data, struct bytes signature)
{
	switch (key->kind) {
	case SIGNATURE_RS256:
		return signature.len == (size_t)EVP_PKEY_get_size(key->pkey) &&
			verify(key, EVP_sha256(), data, signature);
	case SIGNATURE_ES256:
		return verify_es256(key, data, signature);
	default:
		return signature.len == 2 * ED25519_BYTES && verify(key, NULL, data, signature);
	}
}
