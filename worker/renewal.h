/* renewal.h - the certificates of a worker while it runs: its own from the platform's authority is
 * renewed over the link when a third of its time is left; files that are replaced are taken up. No
 * connection is lost by either. */
#ifndef RENEWAL_H
#define RENEWAL_H

#include "api/http.h"
#include "worker/badge.h"
#include "worker/peer.h"

struct renewal;
struct renewal_conf {            /* borrowed for the renewal's life */
	struct badge *badge;         /* whose certificate is renewed; NULL: nobody's */
	struct peer *peer;
	const char *name;
	struct link_tls tls;         /* the link's files; cert_file NULL: it is plain */
	struct http_server *http;    /* NULL: none */
	const char *cert_file, *key_file;    /* its files; NULL: it is plain */
	int interval_ms;             /* between looks; 0: 2000 */
};
MUST_USE int renewal_new(const struct renewal_conf *conf, struct renewal **ret_renewal,
                         struct err *err);
void renewal_free(struct renewal *renewal);
DEFINE_AUTO(renewal)

/* When a certificate of those times is to be renewed, unix ms. */
int64_t renewal_due_ms(int64_t from_ms, int64_t until_ms);

#endif
