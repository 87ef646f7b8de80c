/* cert.h - X.509 certificates; the only door to OpenSSL. ECDSA P-256, PEM, keys 0600. */
#ifndef CERT_H
#define CERT_H

#include "common/err.h"

/* An own certificate authority in dir: ca.pem, ca.key. What is there and still valid stays. */
MUST_USE int cert_make_ca(const char *dir, const char *name, int days, struct err *err);
/* dir/NAME.pem and dir/NAME.key, signed by dir's CA. Subject CN = name. sans: "DNS:localhost,
 * IP:127.0.0.1" or NULL. Renews when less than a third of its time is left. */
MUST_USE int cert_make(const char *dir, const char *name, const char *sans, int days,
		       struct err *err);

#endif
