/* bootstrap.h - the first start of an installation: the tenant platform, its key, the principal
 * operator and one API key, written once to a file of mode 0600. */
#ifndef BOOTSTRAP_H
#define BOOTSTRAP_H

#include "control/control.h"

/* Does nothing when the tenant platform exists. Leads the part of "platform". May be repeated
 * after any failure: the key's file is written first and read again, and the store takes it only if
 * there is no platform yet. */
MUST_USE int bootstrap(struct control *control, const char *key_file, struct err *err);

#endif
