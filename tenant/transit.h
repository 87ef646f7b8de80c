/* transit.h - a key service that wraps keys and never gives its own away: the transit engine of
 * OpenBao or Vault, over HTTP (POST /v1/MOUNT/datakey/plaintext/KEY, encrypt, decrypt, rewrap;
 * /v1/auth/MOUNT/login for Kubernetes). The token is read anew for every use, so that whoever
 * renews it only writes the file. */
#ifndef TRANSIT_H
#define TRANSIT_H

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"

/* Text is borrowed while the transit lives; NULL: not given. */
struct transit_conf {
	const char *url;             /* "https://HOST:PORT"; http:// on loopback only */
	const char *mount;           /* NULL: "transit" */
	const char *key;             /* the key's name there */
	const char *space;           /* X-Vault-Namespace */
	const char *token_file;      /* mode 0600; or */
	const char *k8s_role;        /* a login with the pod's service account */
	const char *k8s_mount;       /* NULL: "kubernetes" */
	const char *k8s_token_file;  /* NULL: where Kubernetes puts it */
	const char *ca_file;
	int wait_ms;                 /* it is asked again that long; 0: 30000 */
};

struct transit;
MUST_USE int transit_new(const struct transit_conf *conf, struct clock *clock,
                         struct transit **ret_transit, struct err *err);
void transit_free(struct transit *transit);
DEFINE_AUTO(transit)

/* What comes back wrapped is text ("vault:v1:..."), appended to a buf. A key has KEY_BYTES.
 * E_UNAVAILABLE: it does not answer, or is sealed; E_DENIED names what a policy has to allow;
 * E_NOT_FOUND: no such key or mount there; E_CORRUPT: that text is not of this key. */
MUST_USE int transit_datakey(struct transit *transit, struct secret **ret_key, struct buf *ret_text,
                             struct err *err);
MUST_USE int transit_encrypt(struct transit *transit, const struct secret *key,
                             struct buf *ret_text, struct err *err);
MUST_USE int transit_decrypt(struct transit *transit, const char *text, struct secret **ret_key,
                             struct err *err);
/* The same under the newest version of the service's key; this process never sees the key. */
MUST_USE int transit_rewrap(struct transit *transit, const char *text, struct buf *ret_text,
                            struct err *err);

/* The text of "name" in an answer's JSON: base64 and the like, nothing escaped. NULL: there is no
 * such member. Answers with keys in them are read by this alone, in place, and wiped. */
enum { TRANSIT_TEXT_MAX = 4096 };
const char *transit_member(const char *json, size_t len, const char *name, size_t *ret_len);

#endif
