/* h_auditreport.c - reports over a tenant's audit log, each of which is an event of it as well. */
#include "common/defs.h"
#include "control/admit.h"

#include "control/auditexport.h"
#include "control/auditreport.h"

handler_fn h_audit_report;

int h_audit_report(struct control *control, struct request *request, struct err *err)
{
	struct value *report = NULL;
	struct report_ask ask = {
		.name = request->name, .tenant = request->tenant,
		.principal = request_query(request, "principal"),
		.purpose = request_query(request, "purpose"),
	};
	char key[STORE_KEY_MAX];
	TRY(request_needs_lead(request, err));
	catalog_key(key, KIND_TENANT, NULL, NULL, request->tenant);
	if (!catalog_has(control->catalog, key))
		return err_set(err, E_NOT_FOUND, "the tenant %s does not exist", request->tenant);
	TRY(auditexport_times(request, &ask.from_ms, &ask.to_ms, err));
	TRY(auditreport_make(request->part, request->arena, &ask, &report, err));
	request->detail = value_map(request->arena);
	value_set_str(request->detail, "report", ask.name);
	value_set_str(request->detail, "principal", ask.principal);
	value_set_str(request->detail, "purpose", ask.purpose);
	return request_reply(request, 200, report, err);
}
