/* cert_pem.h - X.509 as PEM text in memory: an authority, requests for certificates, what it signs,
 * and what a certificate says. ECDSA P-256; requests with an Ed25519 key are signed too. */
#ifndef CERT_PEM_H
#define CERT_PEM_H

#include "common/buf.h"
#include "common/crypto.h"

enum {
	CERT_PEM_MAX = 64 * 1024, CERT_REQUEST_MAX = 8 * 1024, CERT_SERIAL_LEN = 40,
	CERT_NAME_LEN = 64, CERT_LIFETIME_MIN_S = 10, CERT_LIFETIME_MAX_S = 400 * 86400
};

/* Of the first certificate of a text. Times in unix ms. */
struct cert_facts {
	char name[CERT_NAME_LEN + 1];        /* the common name; "": none */
	char serial[CERT_SERIAL_LEN + 1];    /* hex digits */
	int64_t from_ms, until_ms;
};
MUST_USE int cert_facts(const char *pem, size_t len, struct cert_facts *ret_facts,
                        struct err *err);

/* A certificate authority of its own; the key's PEM ends with a NUL. */
MUST_USE int cert_authority(const char *name, int days, struct secret **ret_key, struct buf *out,
                            struct err *err);
/* A new key and a request for a certificate of that name. */
MUST_USE int cert_request(const char *name, struct secret **ret_key, struct buf *out,
                          struct err *err);

struct cert_order {
	const char *ca_pem;
	const struct secret *ca_key; /* PEM with its NUL */
	const char *name;            /* the common name: what the request says is not asked */
	const char *sans;            /* "DNS:a,IP:1.2.3.4,URI:freehold:worker" */
	bool serves;                 /* it may also stand for a server */
	int64_t lifetime_s;
};
/* Signs what the request's key is asked for; nothing else of the request counts. E_INVALID: not one
 * request in PEM, its signature does not hold, or its key is neither P-256 nor Ed25519. */
MUST_USE int cert_issue(const struct cert_order *order, const char *request, size_t len,
                        struct buf *out, struct err *err);

/* Whether a certificate (the first of its text) is in time and its key belongs to it, and the
 * authorities can be read (NULL: not asked). E_INVALID or E_EXPIRED says which is not so. */
struct cert_set { const char *ca, *cert, *key; };     /* PEM, NUL-terminated */
MUST_USE int cert_set_check(const struct cert_set *set, struct err *err);

#endif
