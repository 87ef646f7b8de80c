/* link_url.c - what both sides of the link need: addresses, certificates, errors of nng's. */
#include "common/defs.h"
#include "api/link_impl.h"

#include "common/loopback.h"
#include "common/pemwatch.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int code_of(int rv)
{
	switch (rv) {
	case NNG_ETIMEDOUT: return E_TIMEOUT;
	case NNG_ECANCELED:
	case NNG_ECLOSED: return E_CANCELLED;
	case NNG_ENOMEM: return E_NOMEM;
	case NNG_EMSGSIZE: return E_TOO_LARGE;
	case NNG_EADDRINUSE: return E_CONFLICT;
	case NNG_EADDRINVAL:
	case NNG_EINVAL:
	case NNG_ENOTSUP: return E_INVALID;
	case NNG_ECRYPTO:
	case NNG_EPEERAUTH: return E_UNAUTHENTICATED;
	default: return E_UNAVAILABLE;
	}
}

int link_failed(int rv, const char *what, struct err *err)
{
	return rv ? err_set(err, code_of(rv), "link: %s: %s", what, nng_strerror(rv)) : 0;
}

int link_message(const void *data, size_t len, nng_msg **ret_msg, struct err *err)
{
	nng_msg *msg = NULL;
	TRY(link_failed(nng_msg_alloc(&msg, 0), "message", err));
	int rc = link_failed(nng_msg_append(msg, data, len), "message", err);
	if (rc < 0)
		nng_msg_free(msg);
	else
		*ret_msg = msg;
	return rc;
}

static bool is_loopback(const char *host)
{
	return loopback_host(host, strlen(host));
}

static bool is_address(const char *host)
{
	unsigned char any[16];
	return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

static int check_url(const nng_url *parsed, const char *url, const struct link_tls *tls,
                     struct link_url *ret_url, struct err *err)
{
	const char *scheme = parsed->u_scheme ? parsed->u_scheme : "";
	const char *host = parsed->u_hostname ? parsed->u_hostname : "";
	ret_url->tls = strcmp(scheme, "tls+tcp") == 0;
	ret_url->port = parsed->u_port ? atoi(parsed->u_port) : 0;
	snprintf(ret_url->host, sizeof ret_url->host, "%s", host);
	if (strcmp(scheme, "inproc") == 0)
		return 0;
	if (strcmp(scheme, "tcp") == 0)
		return is_loopback(host) ? 0 :
			err_set(err, E_INVALID, "link: %s is not encrypted, which is allowed on "
			        "loopback only; use tls+tcp://", url);
	if (!ret_url->tls)
		return err_set(err, E_INVALID, "link: %s must begin with tls+tcp://, tcp:// or "
		               "inproc://", url);
	if (!tls->ca_file || !tls->cert_file || !tls->key_file)
		return err_set(err, E_INVALID, "link: %s needs the files of a CA, a certificate "
		               "and its key", url);
	return 0;
}

int link_url_read(const char *url, const struct link_tls *tls, struct link_url *ret_url,
                  struct err *err)
{
	nng_url *parsed = NULL;
	if (nng_url_parse(&parsed, url) != 0)
		return err_set(err, E_INVALID, "link: %s is no URL", url);
	int rc = check_url(parsed, url, tls, ret_url, err);
	nng_url_free(parsed);
	return rc;
}

int link_tls_read(const struct link_tls *tls, bool accepts, struct cert_tls **ret_tls,
                  struct err *err)
{
	const struct pemwatch_conf files = {
		.ca_file = tls->ca_file, .cert_file = tls->cert_file, .key_file = tls->key_file,
	};
	return pem_tls_read(&files, accepts, ret_tls, err);
}

/* Certificates are for names: an address stands for the name of this machine, or nothing. */
int link_tls_name(const char *host, char out[LINK_NAME_MAX], struct err *err)
{
	const char *name = is_loopback(host) ? "localhost" : host;
	if (is_address(name))
		return err_set(err, E_INVALID, "link: %s is an address; TLS checks names: use the "
		               "replica's DNS name", host);
	snprintf(out, LINK_NAME_MAX, "%s", name);
	return 0;
}

bool link_is_over(int rv)
{
	return rv == NNG_ECLOSED || rv == NNG_ECANCELED;
}
