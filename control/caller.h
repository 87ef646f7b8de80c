/* caller.h - where a request's caller is: the address that policies and events are told. The door
 * knows the connection's other end (through trusted proxies: api/proxied.h). A replica that passes
 * a request on says its caller's, and proves itself by a key that only replicas derive: the header
 * holds for a minute, and with that credential alone. */
#ifndef CALLER_H
#define CALLER_H

#include "control/admit.h"

#define CALLER_HEADER "Freehold-Caller"
enum { CALLER_MS = 60 * 1000 };

/* In the request's arena; NULL: not known. What a header says that proves nothing is not believed:
 * then it is whoever sent it. */
const char *caller_address(struct control *control, const struct request *request);
/* "ADDRESS EXPIRES PROOF" for a request that is passed on; *ret_text NULL: nothing is known. */
MUST_USE int caller_print(struct control *control, const struct request *request,
                          const char **ret_text, struct err *err);

#endif
