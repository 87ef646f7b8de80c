/* badge.h - who this worker is: a folder of mode 0700 with its long-lived key (node.key, 0600;
 * node.pub is the public half) and, when it has joined, link.pem (its certificate and that one's
 * key), ca.pem and what control told it (joined). It joins once, with a token, over HTTPS. */
#ifndef BADGE_H
#define BADGE_H

#include "api/node.h"
#include "common/cert_pem.h"

struct badge_conf {           /* borrowed for the call */
	const char *folder, *name, *pool;
	const char *token_file;      /* NULL: it has joined, or is registered */
	const char *api, *api_ca_file;       /* where to join, and whom to trust there */
	bool own_certificate;        /* it brings one: none is asked for */
};
struct badge;
/* Makes the key if there is none, and joins if there is a token and it has not joined. E_INVALID: a
 * file that others can read, or that holds no key. */
MUST_USE int badge_open(const struct badge_conf *conf, struct badge **ret_badge,
                           struct err *err);
void badge_free(struct badge *badge);
DEFINE_AUTO(badge)

bool badge_joined(const struct badge *badge);
/* What grants are checked with, as control said when this worker joined. */
const uint8_t *badge_signing_key(const struct badge *badge);
const char *badge_links(const struct badge *badge);         /* NULL: it was not told */
const char *badge_ca_file(const struct badge *badge);       /* NULL: not joined */
const char *badge_link_file(const struct badge *badge);     /* NULL: no certificate */
/* The key that is agreed on with the control that signs by that key. */
MUST_USE int badge_agree(const struct badge *badge,
                            const uint8_t signing_key[SIGN_PUBLIC_BYTES],
                            struct node_key **ret_key, struct err *err);
/* A certificate that was renewed, with its key: replaces link.pem as a whole. */
MUST_USE int badge_store(struct badge *badge, const char *certificate,
                            const struct secret *key, struct err *err);

/* 64 hex digits, and line ends behind. */
bool badge_hex(const char *text, uint8_t out[KEY_BYTES]);

#endif
