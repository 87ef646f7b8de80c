/* ocsf.h - an audit event as one line of JSON by the Open Cybersecurity Schema Framework. The line
 * is the leaf of a tenant's Merkle log, so a record gives the same bytes for ever: what depends on
 * tables that may change (class, activity) is in the record already, which names the version of the
 * format; a new format is another printer, beside the old one. */
#ifndef OCSF_H
#define OCSF_H

#include "common/buf.h"
#include "control/audit.h"

enum { OCSF_FORMAT = 1, OCSF_LINE_MAX = 32 * 1024 };

/* Of an event that did not say its verb: the action's own. An action that no table has is an API
 * activity, "other". */
struct ocsf_type { int class_uid, activity_id; };
struct ocsf_type ocsf_type(const char *action, enum audit_verb verb);

/* Appends the line, without an end of line. The record is a stored one: with its seq.
 * E_CORRUPT: of a format that this build does not know. */
MUST_USE int ocsf_print(const struct value *record, struct buf *out, struct err *err);

/* The rows of policy/ocsf.def for reference pages and tests: action number i ("dataset:read"), its
 * type and, of what is no policy's action, what it means. False: there are no more. */
struct ocsf_row {
	const char *action, *class_name, *meaning;
	struct ocsf_type type;
};
bool ocsf_row(size_t i, struct ocsf_row *ret_row);
/* "Datastore Activity"; NULL: not known. */
const char *ocsf_class_name(int class_uid);

#endif
