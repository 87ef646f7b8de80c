/* loopback.h - what may go in the clear: this machine's own addresses, and nothing else. */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include "common/err.h"

/* "localhost", 127.0.0.0/8 or ::1, in brackets or not. A name that resolves to one is none. */
bool loopback_host(const char *host, size_t len);
/* http:// is for loopback only; https:// for anything. E_INVALID names `what`. */
MUST_USE int loopback_check_url(const char *what, const char *url, struct err *err);

#endif
