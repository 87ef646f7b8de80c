/* refs.h - what a spec refers to: every NAME or DOMAIN.NAME in it, by its table of fields. */
#ifndef REFS_H
#define REFS_H

#include "api/kinds.h"

struct ref {
	const char *path;            /* "spec.inputs[2]"; borrowed for the call */
	const char *field;           /* "inputs" */
	const char *text;            /* as written */
	enum kind kind;
	char domain[64], name[64];
};
typedef int ref_visit_fn(void *context, const struct ref *ref, struct err *err);

/* fields: the table spec was checked against; path: its name in errors ("spec"). A failure of
 * visit ends the walk and is returned. */
MUST_USE int refs_visit(const struct field *fields, const struct value *spec, const char *path,
                        const char *own_domain, ref_visit_fn *visit, void *context,
                        struct err *err);

#endif
