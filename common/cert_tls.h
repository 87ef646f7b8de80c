/* cert_tls.h - TLS 1.2 and 1.3 (RFC 5246, RFC 8446) over a socket that does not block; both sides
 * show a certificate of an authority that the other trusts. */
#ifndef CERT_TLS_H
#define CERT_TLS_H

#include "common/cert_pem.h"

/* The certificates of one side. Counted; any thread. */
struct cert_tls;
/* accepts: the side that is called. E_INVALID: a text is no PEM, or the key is not the
 * certificate's. */
MUST_USE int cert_tls_new(const struct cert_set *set, bool accepts, struct cert_tls **ret_tls,
                          struct err *err);
struct cert_tls *cert_tls_ref(struct cert_tls *tls);
void cert_tls_free(struct cert_tls *tls);

/* One connection; of one thread at a time. */
struct tls_session;
/* fd stays the caller's. name: that the other's certificate must have (RFC 6125); NULL on the side
 * that accepts. E_NOMEM. */
MUST_USE int tls_session_new(struct cert_tls *tls, int fd, const char *name,
                             struct tls_session **ret_session, struct err *err);
void tls_session_free(struct tls_session *session);
DEFINE_AUTO(tls_session)

enum tls_state {
	TLS_DONE,                    /* it was done, in part at least */
	TLS_WANTS_READ,              /* again when the socket can be read, */
	TLS_WANTS_WRITE,             /* or written to; with the same bytes */
	TLS_ENDED                    /* the other side has ended it, or it has failed */
};
enum tls_state tls_session_shake(struct tls_session *session);
enum tls_state tls_session_read(struct tls_session *session, void *data, size_t room,
                                size_t *ret_len);
enum tls_state tls_session_write(struct tls_session *session, const void *data, size_t len,
                                 size_t *ret_len);
/* Says to the other side that nothing more comes; waits for nothing. */
void tls_session_bye(struct tls_session *session);
/* Why the handshake failed, in OpenSSL's words; "": it did not. */
const char *tls_session_why(const struct tls_session *session);

#endif
