/* cert_x509.h - what the files of the door to OpenSSL (cert*.c) share, and nobody else. The structs
 * are OpenSSL's: X509, X509_NAME, EVP_PKEY. */
#ifndef CERT_X509_H
#define CERT_X509_H

#include "common/err.h"

struct x509_st;
struct X509_name_st;
struct evp_pkey_st;

/* E_INTERNAL with the library's last reason; its queue is left empty. */
int cert_failed(struct err *err, const char *what);
/* For every PEM_read: what is kept under a password cannot be read, and nobody is asked for one
 * (OpenSSL would, on the terminal, and wait). */
int cert_no_password(char *buf, int size, int writing, void *context);

/* What follows is false when OpenSSL fails; cert_failed has the reason. */
bool cert_set_name(struct X509_name_st *name, const char *common_name);
/* Version, a number of its own, names, times and key. issuer NULL: itself. From a little before
 * now, and never longer than its issuer. */
bool cert_begin(struct x509_st *cert, const char *name, const struct x509_st *issuer,
                struct evp_pkey_st *key, int64_t lifetime_s);
bool cert_extend(struct x509_st *cert, struct x509_st *issuer, int nid, const char *text);
/* What was begun becomes an authority, which signs no other. */
bool cert_sign_authority(struct x509_st *cert, struct evp_pkey_st *key);

#endif
