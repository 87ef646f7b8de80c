/* policy_digest.h - by what was decided, as one number that an audit event can carry: the SHA-256
 * of a text of lines "SHA256(TEXT)  NAME\n", as sha256sum prints them, ascending by name; first
 * that of the roles, whose name is "roles" and whose text is role_book's. */
#ifndef POLICY_DIGEST_H
#define POLICY_DIGEST_H

#include "common/buf.h"

enum { POLICY_DIGEST_TEXT = 64 + 1 };

/* A Policy resource: its name is the prefix of its policies' ids ("NAME.0"). */
struct engine_policy { const char *name, *text; };

/* "ROLE REACH ACTION ACTION ...\n" of every role, in the order of roles.def. */
void role_book(struct buf *out);
MUST_USE int policy_digest(const struct engine_policy *policies, size_t count,
                           char ret_hex[POLICY_DIGEST_TEXT], struct err *err);

#endif
