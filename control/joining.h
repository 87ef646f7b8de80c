/* joining.h - a worker becomes a node: its record (control/nodes.h), and its certificate by the
 * platform's authority. What the joining route, the operator's and the link's "renew" share. */
#ifndef JOINING_H
#define JOINING_H

#include "common/cert_pem.h"
#include "control/control.h"

struct joining {
	const char *name;
	const char *pool;            /* the only one it may be in; NULL: any */
	const char *addresses;       /* its certificate may serve under; NULL: none */
	const char *by;              /* whose token it was */
	const char *request;         /* PEM; NULL: it brings a certificate of its own */
	uint8_t public_key[BOX_PUBLIC_BYTES];
	int64_t now_ms;
	bool replaces;               /* one of that name that has joined may be replaced */
	/* made by joining_add: */
	const char *certificate;     /* in arena; NULL: none was asked for */
	struct cert_facts facts;     /* of that */
};

/* A worker's name that no route takes for another thing. */
MUST_USE int joining_name_check(const char *name, struct err *err);
/* 64 hex digits. E_INVALID names publicKey. */
MUST_USE int joining_key(const char *hex, uint8_t ret_key[BOX_PUBLIC_BYTES], struct err *err);
/* Signs its request and adds its record to change. E_CONFLICT: one of that name has joined. */
MUST_USE int joining_add(struct control *control, struct arena *arena, struct joining *joining,
                         struct change *change, struct err *err);
/* A new certificate for a node: PEM in arena, its record in change. E_DENIED: it is none. */
MUST_USE int joining_renew(struct control *control, struct arena *arena, const char *name,
                           const char *request, struct change *change, const char **ret_pem,
                           struct err *err);
/* What workers check control's certificate with: the link's own CA, and the platform's. */
MUST_USE int joining_ca(struct control *control, struct arena *arena, const char **ret_pem,
                        struct err *err);

#endif
