/* cert_tls.c - see cert_tls.h; OpenSSL's errors never leave this file's queue. */
#include "common/defs.h"
#include "common/cert_tls.h"

#include "common/cert_x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_MAX = 128 };

struct cert_tls {
	SSL_CTX *context;
	bool accepts;
	atomic_int refs;
};

struct tls_session {
	struct cert_tls *tls;
	SSL *ssl;
	char why[WHY_MAX];
};

/* --- certificates --- */

static int unreadable(struct err *err, const char *what)
{
	ERR_clear_error();
	return err_set(err, E_INVALID, "TLS: the %s cannot be read or used; give it as PEM text",
	               what);
}

/* All of a text: what follows the last one is no error. */
static int add_authorities(SSL_CTX *context, BIO *text, struct err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	int count = 0;
	for (X509 *one; (one = PEM_read_bio_X509(text, NULL, cert_no_password, NULL)); count++) {
		int added = X509_STORE_add_cert(store, one);
		X509_free(one);
		if (added != 1)
			return unreadable(err, "authority");
	}
	ERR_clear_error();
	return count > 0 ? 0 : unreadable(err, "authority");
}

/* The certificate, and those between it and its authority. */
static int set_chain(SSL_CTX *context, BIO *text, struct err *err)
{
	X509 *own = PEM_read_bio_X509(text, NULL, cert_no_password, NULL);
	int used = own ? SSL_CTX_use_certificate(context, own) : 0;
	X509_free(own);
	if (used != 1)
		return unreadable(err, "certificate");
	for (X509 *one; (one = PEM_read_bio_X509(text, NULL, cert_no_password, NULL));) {
		if (SSL_CTX_add0_chain_cert(context, one) == 1)
			continue;
		X509_free(one);
		return unreadable(err, "certificate");
	}
	ERR_clear_error();
	return 0;
}

static int set_key(SSL_CTX *context, BIO *text, struct err *err)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, cert_no_password, NULL);
	int used = key ? SSL_CTX_use_PrivateKey(context, key) : 0;
	EVP_PKEY_free(key);
	if (used != 1 || SSL_CTX_check_private_key(context) != 1)
		return unreadable(err, "key, or it is not the certificate's: it");
	return 0;
}

typedef int fill_fn(SSL_CTX *context, BIO *text, struct err *err);

static int fill(SSL_CTX *context, fill_fn *with, const char *pem, struct err *err)
{
	BIO *text = BIO_new_mem_buf(pem, -1);
	if (!text)
		return err_set(err, E_NOMEM, "TLS: no memory for a certificate");
	int rc = with(context, text, err);
	BIO_free(text);
	return rc;
}

static int set_up(SSL_CTX *context, const struct cert_set *set, struct err *err)
{
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* Each connection is begun with the certificates: none is taken up again by a ticket. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	if (SSL_CTX_set_num_tickets(context, 0) != 1 ||
	    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		return err_set(err, E_INTERNAL, "TLS: OpenSSL does not take its settings");
	TRY(fill(context, add_authorities, set->ca, err));
	TRY(fill(context, set_chain, set->cert, err));
	return fill(context, set_key, set->key, err);
}

int cert_tls_new(const struct cert_set *set, bool accepts, struct cert_tls **ret_tls,
                 struct err *err)
{
	struct cert_tls *tls = calloc(1, sizeof *tls);
	SSL_CTX *context = SSL_CTX_new(accepts ? TLS_server_method() : TLS_client_method());
	int rc = tls && context ? set_up(context, set, err)
	                        : err_set(err, E_NOMEM, "TLS: no memory for certificates");
	if (rc < 0) {
		ERR_clear_error();
		SSL_CTX_free(context);
		free(tls);
		return rc;
	}
	tls->context = context;
	tls->accepts = accepts;
	atomic_init(&tls->refs, 1);
	*ret_tls = tls;
	return 0;
}

struct cert_tls *cert_tls_ref(struct cert_tls *tls)
{
	atomic_fetch_add(&tls->refs, 1);
	return tls;
}

void cert_tls_free(struct cert_tls *tls)
{
	if (!tls || atomic_fetch_sub(&tls->refs, 1) > 1)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

/* --- sessions --- */

int tls_session_new(struct cert_tls *tls, int fd, const char *name,
                    struct tls_session **ret_session, struct err *err)
{
	AUTO(tls_session) *session = calloc(1, sizeof *session);
	if (!session)
		return err_set(err, E_NOMEM, "TLS: no memory for a connection");
	session->tls = cert_tls_ref(tls);
	session->ssl = SSL_new(tls->context);
	bool made = session->ssl && SSL_set_fd(session->ssl, fd) == 1;
	if (made && name)
		made = SSL_set1_host(session->ssl, name) == 1 &&
			SSL_set_tlsext_host_name(session->ssl, name) == 1;
	if (!made) {
		ERR_clear_error();
		return err_set(err, E_NOMEM, "TLS: no memory for a connection");
	}
	if (tls->accepts)
		SSL_set_accept_state(session->ssl);
	else
		SSL_set_connect_state(session->ssl);
	*ret_session = MOVE(session);
	return 0;
}

void tls_session_free(struct tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	cert_tls_free(session->tls);
	free(session);
}

static enum tls_state state_of(struct tls_session *session, int rv)
{
	if (rv > 0)
		return TLS_DONE;
	switch (SSL_get_error(session->ssl, rv)) {
	case SSL_ERROR_WANT_READ: return TLS_WANTS_READ;
	case SSL_ERROR_WANT_WRITE: return TLS_WANTS_WRITE;
	default: return TLS_ENDED;
	}
}

enum tls_state tls_session_shake(struct tls_session *session)
{
	ERR_clear_error();
	enum tls_state state = state_of(session, SSL_do_handshake(session->ssl));
	if (state == TLS_ENDED) {
		long verdict = SSL_get_verify_result(session->ssl);
		const char *reason = verdict != X509_V_OK
			? X509_verify_cert_error_string(verdict)
			: ERR_reason_error_string(ERR_peek_error());
		snprintf(session->why, sizeof session->why, "%s",
		         reason ? reason : "the other side has ended it");
	}
	ERR_clear_error();
	return state;
}

enum tls_state tls_session_read(struct tls_session *session, void *data, size_t room,
                                size_t *ret_len)
{
	*ret_len = 0;
	ERR_clear_error();
	enum tls_state state = state_of(session, SSL_read_ex(session->ssl, data, room, ret_len));
	ERR_clear_error();
	return state;
}

enum tls_state tls_session_write(struct tls_session *session, const void *data, size_t len,
                                 size_t *ret_len)
{
	*ret_len = 0;
	ERR_clear_error();
	enum tls_state state = state_of(session, SSL_write_ex(session->ssl, data, len, ret_len));
	ERR_clear_error();
	return state;
}

void tls_session_bye(struct tls_session *session)
{
	ERR_clear_error();
	if (SSL_is_init_finished(session->ssl))
		SSL_shutdown(session->ssl);
	ERR_clear_error();
}

const char *tls_session_why(const struct tls_session *session)
{
	return session->why;
}
