/* device.h - how a person logs in: by a credential that is typed or lies in a file, or by a browser
 * elsewhere. */
#ifndef DEVICE_H
#define DEVICE_H

#include "api/cli/cli.h"

enum { CREDENTIAL_TEXT_MAX = 8 * 1024 + 1 };
/* The first line of a file, or of standard input ("-", or NULL: then it asks, hidden). */
MUST_USE int login_read(const char *path, const char *what, char text[CREDENTIAL_TEXT_MAX],
                        struct err *err);
/* The device authorization grant (RFC 8628) at a provider: shows where to go and what to enter,
 * and waits until that is done. text: the JWT it gives. */
struct device_ask {
	const char *issuer, *client, *scope;     /* scope NULL: "openid" */
};
MUST_USE int device_login(struct cli *cli, const struct device_ask *ask,
                          char text[CREDENTIAL_TEXT_MAX], struct err *err);

#endif
