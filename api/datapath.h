/* datapath.h - how events tell which data was read: "datasets/DOMAIN.NAME", of several with a
 * blank between, since one read may be of many. Whoever looks for a resource by its path finds
 * these, too: " " RESOURCE " " holds the needle of the path. */
#ifndef DATAPATH_H
#define DATAPATH_H

#include "common/defs.h"

enum { DATAPATH_MAX = 256 };

/* ".../domains/sales/datasets/orders": " datasets/sales.orders "; ".../domains/sales/datasets":
 * " datasets/sales."; ".../domains/sales": "/sales.". False: the path is none of data's. */
bool datapath_needle(const char *path, char out[DATAPATH_MAX]);

/* Whether an event's resource (NULL: none) tells of what lies at the path. */
bool datapath_matches(const char *path, const char *resource);

#endif
