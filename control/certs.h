/* certs.h - the certificates of control's doors while they serve: files that are replaced are taken
 * up without a connection lost, and the link trusts the platform's authority beside its own CA. */
#ifndef CERTS_H
#define CERTS_H

#include "api/http.h"
#include "api/link.h"
#include "control/control.h"

struct certs;
struct certs_conf {              /* paths are copied */
	struct control *control;
	struct http_server *http;    /* outlive the certs, as control does */
	struct link_server *link;
	const char *cert_file, *key_file;    /* of the API; NULL: it is plain */
	const char *link_ca_file, *link_cert_file, *link_key_file;   /* NULL: it is plain */
	int interval_ms;             /* between looks; 0: 2000 */
};
MUST_USE int certs_new(const struct certs_conf *conf, struct certs **ret_certs, struct err *err);
void certs_free(struct certs *certs);          /* before the doors */
DEFINE_AUTO(certs)

#endif
