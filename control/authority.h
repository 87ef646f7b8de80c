/* authority.h - the platform's own certificate authority: r/authority/platform holds {certificate,
 * key (a lockbox under the state key), createdAt}. Made once, by who leads first; every replica can
 * sign with it. */
#ifndef AUTHORITY_H
#define AUTHORITY_H

#include "common/cert_pem.h"
#include "control/control.h"

/* Makes it if there is none; this replica leads the platform's part. */
MUST_USE int authority_ensure(struct control *control, struct err *err);
/* Its certificate in PEM, in arena. E_UNAVAILABLE: not made yet. */
MUST_USE int authority_certificate(struct control *control, struct arena *arena,
                                   const char **ret_pem, struct err *err);

struct authority_order {
	const char *name;            /* the common name */
	const char *addresses;       /* DNS names and IP addresses it may serve under, separated by
	                              * commas; NULL: it does not serve */
	int64_t lifetime_s;
	const char *request;         /* PEM */
};
/* Appends the certificate that is signed, with a NUL behind it. */
MUST_USE int authority_sign(struct control *control, const struct authority_order *order,
                            struct buf *out, struct err *err);

enum { ADDRESSES_MAX = 16, ADDRESS_LEN_MAX = 253 };
/* At most ADDRESSES_MAX DNS names and IP addresses, separated by commas. E_INVALID. */
MUST_USE int authority_addresses_check(const char *text, struct err *err);

#endif
