/* listen.h - the socket an HTTP server listens on. */
#ifndef LISTEN_H
#define LISTEN_H

#include "common/err.h"

/* Opens "HOST:PORT" or "[ADDRESS]:PORT" (port 0: any free one), not blocking. loopback_only refuses
 * any other address (E_INVALID). The caller closes ret_fd. */
MUST_USE int listen_open(const char *address, bool loopback_only, int *ret_fd, int *ret_port,
                         struct err *err);

#endif
