/* idp.c - see idp.h. */
#include "common/defs.h"
#include "tests/support/idp.h"

#include "api/http.h"
#include "common/text.h"

#include <criterion/criterion.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MOST = 8, TEXT_MAX = 16 * 1024 };

struct idp_key {
	char kid[64];
	enum signature_kind kind;
	EVP_PKEY *pkey;
	bool served;
};

struct idp {
	struct http_server *server;
	char url[64];
	atomic_int asked, broken, looks_left;
	const char *token;           /* of a device's login; NULL: it is refused */
	pthread_mutex_t mutex;       /* guards the keys */
	struct idp_key keys[KEYS_MOST];
	int count;
};

/* --- keys --- */

static EVP_PKEY *make_key(enum signature_kind kind)
{
	if (kind == SIGNATURE_RS256)
		return EVP_RSA_gen(2048);
	if (kind == SIGNATURE_ES256)
		return EVP_EC_gen("P-256");
	EVP_PKEY *pkey = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
	cr_assert(ctx && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, &pkey) == 1);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static void put_number(EVP_PKEY *pkey, const char *name, size_t bytes, struct buf *out)
{
	BIGNUM *number = NULL;
	uint8_t text[1024];
	cr_assert_eq(EVP_PKEY_get_bn_param(pkey, name, &number), 1);
	size_t len = bytes ? bytes : (size_t)BN_num_bytes(number);
	cr_assert_eq(BN_bn2binpad(number, text, (int)len), (int)len);
	base64url_print(text, len, out);
	BN_free(number);
}

static void put_key(const struct idp_key *key, struct buf *out)
{
	uint8_t raw[32];
	size_t len = sizeof raw;
	buf_printf(out, "{\"kid\":\"%s\",\"use\":\"sig\",\"alg\":\"%s\",", key->kid,
	           signature_name(key->kind));
	switch (key->kind) {
	case SIGNATURE_RS256:
		buf_puts(out, "\"kty\":\"RSA\",\"n\":\"");
		put_number(key->pkey, OSSL_PKEY_PARAM_RSA_N, 0, out);
		buf_puts(out, "\",\"e\":\"");
		put_number(key->pkey, OSSL_PKEY_PARAM_RSA_E, 0, out);
		break;
	case SIGNATURE_ES256:
		buf_puts(out, "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"");
		put_number(key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, 32, out);
		buf_puts(out, "\",\"y\":\"");
		put_number(key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, 32, out);
		break;
	default:
		cr_assert_eq(EVP_PKEY_get_raw_public_key(key->pkey, raw, &len), 1);
		buf_puts(out, "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
		base64url_print(raw, len, out);
	}
	buf_puts(out, "\"}");
}

static void put_set(struct idp *idp, struct buf *out)
{
	bool any = false;
	buf_puts(out, "{\"keys\":[");
	pthread_mutex_lock(&idp->mutex);
	for (int i = 0; i < idp->count; i++) {
		if (!idp->keys[i].served)
			continue;
		buf_puts(out, any ? "," : "");
		put_key(&idp->keys[i], out);
		any = true;
	}
	pthread_mutex_unlock(&idp->mutex);
	buf_puts(out, "]}");
}

const char *idp_jwks(struct idp *idp, struct arena *arena)
{
	AUTO_BUF text;
	buf_init(&text, TEXT_MAX);
	put_set(idp, &text);
	cr_assert_eq(buf_check(&text, NULL), 0);
	return arena_strdup(arena, (char *)text.data);
}

/* --- the server --- */

static int serve_device(struct idp *idp, const struct http_request *request, struct buf *body)
{
	if (strcmp(http_path(request), "/device") == 0) {
		buf_printf(body, "{\"device_code\":\"d/1\",\"user_code\":\"ABCD-EFGH\","
		           "\"verification_uri\":\"%s/enter\",\"interval\":0,\"expires_in\":60}",
		           idp->url);
		return 200;
	}
	size_t len = 0;
	const uint8_t *form = http_body(request, &len);
	bool fits = len && memmem(form, len, "device_code=d%2F1", 17) &&
		memmem(form, len, "client_id=cli", 13);
	if (fits && atomic_fetch_sub(&idp->looks_left, 1) > 0)
		buf_puts(body, "{\"error\":\"authorization_pending\"}");
	else if (!fits || !idp->token)
		buf_puts(body, "{\"error\":\"access_denied\"}");
	else
		buf_printf(body, "{\"access_token\":\"x\",\"id_token\":\"%s\"}", idp->token);
	return memmem(body->data, body->len, "error", 5) ? 400 : 200;
}

void idp_confirm(struct idp *idp, int after, const char *token)
{
	idp->token = token;
	atomic_store(&idp->looks_left, after);
}

static void serve(void *context, struct http_request *request)
{
	struct idp *idp = context;
	int status = atomic_load(&idp->broken);
	struct buf body;
	buf_init(&body, TEXT_MAX);
	atomic_fetch_add(&idp->asked, 1);
	if (status == 0 && strcmp(http_path(request), "/keys") == 0)
		put_set(idp, &body);
	else if (status == 0 && strstr(http_path(request), "/.well-known/openid-configuration"))
		buf_printf(&body, "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/keys\","
		           "\"device_authorization_endpoint\":\"%s/device\","
		           "\"token_endpoint\":\"%s/token\"}", idp->url, idp->url, idp->url,
		           idp->url);
	else if (status == 0 && strcmp(http_method(request), "POST") == 0)
		status = serve_device(idp, request, &body);
	else if (status == 0)
		status = 404;
	http_answer(request, status ? status : 200, "application/json", &body);
	buf_release(&body);
}

struct idp *idp_start(void)
{
	struct idp *idp = calloc(1, sizeof *idp);
	struct err err = { 0 };
	const struct http_conf conf = { .listen = "127.0.0.1:0", .threads = 2, .serve = serve,
	                                .context = idp };
	cr_assert_not_null(idp);
	pthread_mutex_init(&idp->mutex, NULL);
	cr_assert_eq(http_server_new(&conf, &idp->server, &err), 0, "%s", err.text);
	snprintf(idp->url, sizeof idp->url, "http://127.0.0.1:%d", http_server_port(idp->server));
	return idp;
}

void idp_stop(struct idp *idp)
{
	http_server_free(idp->server);
	for (int i = 0; i < idp->count; i++)
		EVP_PKEY_free(idp->keys[i].pkey);
	pthread_mutex_destroy(&idp->mutex);
	free(idp);
}

const char *idp_url(const struct idp *idp)
{
	return idp->url;
}

void idp_add_key(struct idp *idp, const char *kid, enum signature_kind kind)
{
	struct idp_key key = { .kind = kind, .pkey = make_key(kind), .served = true };
	snprintf(key.kid, sizeof key.kid, "%s", kid);
	cr_assert_not_null(key.pkey);
	pthread_mutex_lock(&idp->mutex);
	cr_assert_lt(idp->count, KEYS_MOST);
	idp->keys[idp->count++] = key;
	pthread_mutex_unlock(&idp->mutex);
}

static struct idp_key *find(struct idp *idp, const char *kid)
{
	for (int i = 0; i < idp->count; i++)
		if (strcmp(idp->keys[i].kid, kid) == 0)
			return &idp->keys[i];
	cr_assert_fail("there is no key %s", kid);
	return NULL;
}

void idp_drop_key(struct idp *idp, const char *kid)
{
	pthread_mutex_lock(&idp->mutex);
	find(idp, kid)->served = false;
	pthread_mutex_unlock(&idp->mutex);
}

void idp_break(struct idp *idp, int status)
{
	atomic_store(&idp->broken, status);
}

int idp_asked(const struct idp *idp)
{
	return atomic_load(&idp->asked);
}

/* --- tokens --- */

static void put_part(const char *text, struct buf *out)
{
	char copy[TEXT_MAX];
	size_t len = strlen(text);
	cr_assert_lt(len, sizeof copy);
	memcpy(copy, text, len + 1);
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	base64url_print(copy, len, out);
}

static const char *finish(struct arena *arena, struct buf *text, struct bytes signature)
{
	buf_putc(text, '.');
	base64url_print(signature.data, signature.len, text);
	cr_assert_eq(buf_check(text, NULL), 0);
	return arena_strndup(arena, (char *)text->data, text->len);
}

const char *idp_compose(struct arena *arena, const char *header, const char *claims,
                        struct bytes signature)
{
	AUTO_BUF text;
	buf_init(&text, 4 * TEXT_MAX);
	put_part(header, &text);
	buf_putc(&text, '.');
	put_part(claims, &text);
	return finish(arena, &text, signature);
}

/* r and s, 32 bytes each, out of DER. */
static size_t from_der(const uint8_t *der, size_t len, uint8_t out[64])
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
	cr_assert_not_null(pair);
	cr_assert_eq(BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32), 32);
	cr_assert_eq(BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32), 32);
	ECDSA_SIG_free(pair);
	return 64;
}

static size_t sign(const struct idp_key *key, const struct buf *text, uint8_t out[1024])
{
	uint8_t made[1024];
	size_t len = sizeof made;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = key->kind == SIGNATURE_EDDSA ? NULL : EVP_sha256();
	cr_assert_eq(EVP_DigestSignInit(ctx, NULL, md, NULL, key->pkey), 1);
	cr_assert_eq(EVP_DigestSign(ctx, made, &len, text->data, text->len), 1);
	EVP_MD_CTX_free(ctx);
	if (key->kind == SIGNATURE_ES256)
		return from_der(made, len, out);
	memcpy(out, made, len);
	return len;
}

const char *idp_sign(struct idp *idp, struct arena *arena, const char *kid, const char *header,
                     const char *claims)
{
	uint8_t signature[1024];
	AUTO_BUF text;
	buf_init(&text, 4 * TEXT_MAX);
	put_part(header, &text);
	buf_putc(&text, '.');
	put_part(claims, &text);
	cr_assert_eq(buf_check(&text, NULL), 0);
	size_t len = sign(find(idp, kid), &text, signature);
	return finish(arena, &text, (struct bytes){ signature, len });
}

const char *idp_jwt(struct idp *idp, struct arena *arena, const char *kid, const char *claims)
{
	const char *header = arena_printf(arena, "{'alg':'%s','kid':'%s','typ':'JWT'}",
	                                  signature_name(find(idp, kid)->kind), kid);
	return idp_sign(idp, arena, kid, header, claims);
}
