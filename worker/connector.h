/* connector.h - where ingested bytes come from: one row of connectors.def, one file c_NAME.c. */
#ifndef CONNECTOR_H
#define CONNECTOR_H

#include "common/value.h"

struct runner;

struct connector_call {
	const struct runner *runner;
	const char *tenant;
	const struct value *work;    /* the grant's */
	int64_t timeout_ms;
	const volatile int *stop;    /* set by another thread to end it soon; NULL: nobody does */
};

/* Opens what work.path names for the tenant: a descriptor of a regular file (or memfd), the
 * caller's, and its length. E_INPUT names the path as it was written. */
typedef int connector_open_fn(const struct connector_call *call, int *ret_fd, int64_t *ret_bytes,
                              struct err *err);

connector_open_fn *connector_by_name(const char *name); /* NULL: none */

#define CONNECTOR(name, doc) connector_open_fn c_##name##_open;
#include "worker/connectors.def"
#undef CONNECTOR

#endif
