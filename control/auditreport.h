/* auditreport.h - the questions that auditors ask, answered out of a tenant's audit events, those
 * in memory and stored ones. After so many pages it ends, and says from when on it is whole. */
#ifndef AUDITREPORT_H
#define AUDITREPORT_H

#include "control/control.h"

struct report_ask {
	const char *name;            /* "touched", "purpose", "policies", ... */
	const char *tenant;
	const char *principal;       /* TENANT/NAME; touched needs it, the others may have it */
	const char *purpose;         /* purpose needs it */
	int64_t from_ms, to_ms;      /* 0: open */
};
/* {report, from?, to?, complete, heldFrom?, truncated?, items: [...]} in arena. E_NOT_FOUND: no
 * such report; E_INVALID: it lacks what it is about. */
MUST_USE int auditreport_make(struct part *part, struct arena *arena, const struct report_ask *ask,
                              struct value **ret_report, struct err *err);

#endif
