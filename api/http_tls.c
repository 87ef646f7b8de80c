/* http_tls.c - the certificate that the HTTP door shows, which may be exchanged while it serves:
 * GnuTLS asks for it with every handshake. Invariant: server->pair is read and replaced under the
 * server's mutex; connections that stand keep what they were made with. */
#include "common/defs.h"
#include "api/http_impl.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN_MAX = 8 };

struct http_pair {
	gnutls_datum_t cert;         /* PEM */
	struct secret *key;          /* likewise */
};

void http_pair_free(struct http_pair *pair)
{
	if (!pair)
		return;
	free(pair->cert.data);
	secret_free(pair->key);
	free(pair);
}

static int pair_new(const struct cert_set *set, struct http_pair **ret_pair, struct err *err)
{
	struct http_pair *pair = calloc(1, sizeof *pair);
	if (pair)
		pair->cert.data = (unsigned char *)strdup(set->cert);
	if (!pair || !pair->cert.data) {
		http_pair_free(pair);
		return err_set(err, E_NOMEM, "no memory for the HTTPS certificate");
	}
	pair->cert.size = (unsigned int)strlen(set->cert);
	int rc = secret_copy(set->key, strlen(set->key), &pair->key, err);
	if (rc < 0)
		http_pair_free(pair);
	else
		*ret_pair = pair;
	return rc;
}

int http_server_set_tls(struct http_server *server, const struct cert_set *set, struct err *err)
{
	struct http_pair *pair = NULL, *before;
	if (!server->https)
		return err_set(err, E_INVALID, "this server speaks plain HTTP");
	TRY(crypto_start(err));
	TRY(cert_set_check(set, err));
	TRY(pair_new(set, &pair, err));
	pthread_mutex_lock(&server->mutex);
	before = server->pair;
	server->pair = pair;
	pthread_mutex_unlock(&server->mutex);
	http_pair_free(before);
	return 0;
}

/* --- with every handshake --- */

static int import_key(const struct http_pair *pair, gnutls_privkey_t *ret_key)
{
	gnutls_privkey_t key = NULL;
	const gnutls_datum_t text = { (unsigned char *)(uintptr_t)secret_bytes(pair->key),
	                              (unsigned int)secret_len(pair->key) };
	if (gnutls_privkey_init(&key) < 0)
		return -1;
	if (gnutls_privkey_import_x509_raw(key, &text, GNUTLS_X509_FMT_PEM, NULL, 0) < 0) {
		gnutls_privkey_deinit(key);
		return -1;
	}
	*ret_key = key;
	return 0;
}

/* GnuTLS frees all of it (GNUTLS_CERT_RETR_DEINIT_ALL). */
static int import_pair(const struct http_pair *pair, gnutls_pcert_st **ret_certs,
                       unsigned int *ret_count, gnutls_privkey_t *ret_key)
{
	unsigned int count = CHAIN_MAX;
	gnutls_pcert_st *certs = gnutls_malloc(CHAIN_MAX * sizeof *certs);
	if (!certs)
		return -1;
	if (gnutls_pcert_list_import_x509_raw(certs, &count, &pair->cert, GNUTLS_X509_FMT_PEM,
	                                      0) < 0) {
		gnutls_free(certs);
		return -1;
	}
	if (import_key(pair, ret_key) < 0) {
		for (unsigned int i = 0; i < count; i++)
			gnutls_pcert_deinit(&certs[i]);
		gnutls_free(certs);
		return -1;
	}
	*ret_certs = certs;
	*ret_count = count;
	return 0;
}

static struct http_server *server_of(gnutls_session_t session)
{
	struct MHD_Connection *connection = gnutls_session_get_ptr(session);
	const union MHD_ConnectionInfo *info = connection
		? MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT) : NULL;
	const struct http_request *request = info ? info->socket_context : NULL;
	return request ? request->server : NULL;
}

static int choose(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                  gnutls_pcert_st **ret_certs, unsigned int *ret_count, gnutls_ocsp_data_st **ocsp,
                  unsigned int *ocsp_count, gnutls_privkey_t *ret_key, unsigned int *flags)
{
	struct http_server *server = server_of(session);
	(void)info;
	*ocsp = NULL;
	*ocsp_count = 0;
	*flags = GNUTLS_CERT_RETR_DEINIT_ALL;
	if (!server)
		return -1;
	pthread_mutex_lock(&server->mutex);
	int rc = import_pair(server->pair, ret_certs, ret_count, ret_key);
	pthread_mutex_unlock(&server->mutex);
	return rc;
}

void *http_tls_chooser(void)
{
	gnutls_certificate_retrieve_function3 *function = choose;
	void *out;
	memcpy(&out, &function, sizeof out);
	return out;
}
