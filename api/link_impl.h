/* link_impl.h - what the files of the link door share, and nobody else. */
#ifndef LINK_IMPL_H
#define LINK_IMPL_H

#include "api/link.h"
#include "api/tunnel.h"

#include <nng/nng.h>

enum { LINK_NAME_MAX = 256 };
_Static_assert((int)LINK_PEER_LEN >= (int)TUNNEL_PEER_LEN, "a call's peer may be a tunnel's");

/* What a URL says, checked. */
struct link_url {
	bool tls;
	char host[LINK_NAME_MAX];
	int port;                    /* 0: any */
};
MUST_USE int link_url_read(const char *url, const struct link_tls *tls, struct link_url *ret_url,
                           struct err *err);
/* The name that the certificate of host must have. E_INVALID: an address has none. */
MUST_USE int link_tls_name(const char *host, char out[LINK_NAME_MAX], struct err *err);
MUST_USE int link_tls_read(const struct link_tls *tls, bool accepts, struct cert_tls **ret_tls,
                           struct err *err);

/* rv of nng's as an error of ours; 0: no error. what: at what it failed. */
int link_failed(int rv, const char *what, struct err *err);
/* What is handed to nng, and nng frees. tests/lsan-journey.supp knows it by this name: it does this
 * and no more. */
MUST_USE int link_message(const void *data, size_t len, nng_msg **ret_msg, struct err *err);
/* It was ended from this side. */
bool link_is_over(int rv);

#endif
